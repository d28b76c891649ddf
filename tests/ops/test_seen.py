"""What an operator sees of a running server: its log, its figures, the alerts that they raise."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import subprocess
import time
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from django.utils import timezone
from prometheus_client import Counter, Histogram
from serving import START, Server, ask, free_port
from worlds import migrated

from calock.server.jobs.figures import families
from calock.server.tools import figures

OPS = Path(__file__).resolve().parents[2] / "ops"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory, metrics_port):
    """With one request that was refused and written down, and whose trace began elsewhere."""
    data = tmp_path_factory.mktemp("seen")
    migrated.put(data / "calock.sqlite3")
    running = Server(data, "--workers", "2", CALOCK_METRICS=str(metrics_port))
    try:
        running.wait("/readyz")
        traced = {"Content-Type": "application/json", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        origin = f"http://shanxi.localhost:{running.port}"
        running.refused = ask(running.port, "/api/login", method="POST", body="{}", Origin="http://else.where", **traced)
        running.page = ask(running.port, "/nowhere/?code=secret", Origin=origin)
        yield running
    finally:
        running.stop()


def lines(server: Server) -> list[dict]:
    """Every line that is none of ``calock serve``'s own sentences."""
    return [json.loads(line) for line in server.text().splitlines() if not line.startswith("calock serve: ")]


def test_every_line_is_json_with_a_time_in_utc_and_names_its_request(server):
    found = lines(server)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"]) for line in found)
    assert all(line["level"] and line["logger"] and line["event"] for line in found)
    (access,) = (line for line in found if line["event"] == "request" and line["request"] == TRACE)
    assert (access["method"], access["path"], access["status"], access["address"]) == ("POST", "/api/login", 403, "127.0.0.1")


def test_a_request_is_found_by_one_id_in_header_page_log_and_trail(server):
    _, headers, _ = server.refused
    assert headers["X-Request-Id"] == TRACE
    with sqlite3.connect(server.data / "calock.sqlite3") as database:
        rows = [json.loads(details) for (details,) in database.execute("SELECT details FROM audit_auditevent")]
    assert TRACE in [row.get("request") for row in rows]
    status, headers, body = server.page
    made = headers["X-Request-Id"]
    assert (status, len(made)) == (404, 32)
    assert made in body.decode()
    (access,) = (line for line in lines(server) if line.get("request") == made)
    assert access["path"] == "/nowhere/"
    assert "secret" not in server.text()


@pytest.mark.parametrize(
    "value", ["", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", f"00-{TRACE.upper()}-00f067aa0ba902b7-01", "x" * 500]
)
def test_what_is_no_trace_gets_an_id_of_our_own(server, value):
    _, headers, _ = ask(server.port, "/api/site", traceparent=value)
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-Id"])
    assert headers["X-Request-Id"] not in (TRACE, "0" * 32)


def scrape(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return answer.read().decode()


def test_the_processes_of_a_machine_are_counted_together_and_nobody_is_named(server, metrics_port):
    text = scrape(metrics_port)
    total = sum(
        float(value) for value in re.findall(r'^calock_requests_total{kind="logins",status="4xx"} (\S+)$', text, re.MULTILINE)
    )
    assert total >= 1
    assert re.search(r'^calock_events_total{event="request:refused",reason="CSRF_FAILED",site="shanxi"} 1.0$', text, re.MULTILINE)
    assert re.search(r'^calock_job_started_timestamp_seconds{job="crl"} \d', text, re.MULTILINE)
    assert set(re.findall(r"[{,](\w+)=", text)) <= {
        "event", "reason", "site", "kind", "status", "le", "job", "part", "ca", "version",
    }  # fmt: skip
    assert "127.0.0.1" not in text


def test_figures_are_told_where_they_were_asked_for_and_nowhere_else(server, metrics_port):
    assert ask(server.port, "/metrics")[0] == 404
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", metrics_port))  # loopback, but not the address that was named


@pytest.mark.django_db
def test_rules_and_dashboard_ask_for_nothing_that_is_not_told():
    told = {family.name for family in families(timezone.now())} | {"calock_build_info"}
    counted = [value for value in vars(figures).values() if isinstance(value, Counter | Histogram)]
    told |= {
        f"{family.name}{end}"
        for value in counted
        for family in value.describe()
        for end in ("", "_total", "_bucket", "_count", "_sum")
    }
    for name in ("alerts.yml", "alerts_test.yml", "grafana.json"):
        missing = set(re.findall(r"calock_[a-z_]+", (OPS / name).read_text("utf-8"))) - told
        assert not missing, name


def test_every_alert_says_what_to_do():
    text = (OPS / "alerts.yml").read_text("utf-8")
    rules = text.split("- alert: ")[1:]
    assert len(rules) >= 15
    for rule in rules:
        assert "severity:" in rule
        assert re.search(r'summary: "\S', rule)
        assert len(re.search(r'handling: "(.+)"', rule)[1]) > 20, rule[:30]


needs_prometheus = pytest.mark.skipif(not shutil.which("promtool"), reason="Prometheus is not installed; make drill does that")


@needs_prometheus
@pytest.mark.parametrize("command", ["check rules alerts.yml", "test rules alerts_test.yml", "check config prometheus.yml"])
def test_prometheus_own_tool_accepts_the_rules(command):
    done = subprocess.run(["promtool", *command.split()], cwd=OPS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_a_real_prometheus_scrapes_it(server, metrics_port, tmp_path):
    port = free_port()
    config = (OPS / "prometheus.yml").read_text("utf-8").replace("127.0.0.1:9464", f"127.0.0.1:{metrics_port}")
    (tmp_path / "prometheus.yml").write_text(config.replace("scrape_interval: 15s", "scrape_interval: 1s"), "utf-8")
    shutil.copy(OPS / "alerts.yml", tmp_path)
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=log)
    try:
        assert query(port, 'up{job="calock"} == 1')
        (found,) = query(port, "calock_build_info")
        assert found["metric"]["version"]
    finally:
        process.terminate()
        process.wait(30)


def query(port: int, expression: str) -> list[dict]:
    """The answer of Prometheus, once it has one."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={quote(expression)}", timeout=10) as answer:
                if found := json.load(answer)["data"]["result"]:
                    return found
        except OSError:
            pass
        time.sleep(0.2)  # it has not scraped yet; the deadline above ends it
    return []
