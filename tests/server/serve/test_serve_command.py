"""``calock serve`` as a stranger runs it: a real process on an empty directory, real HTTP, a clean end."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from agent.driving import until
from serving import START, Server, ask, calock, children_of, command, environment, free_port, left_of, name_of, warm_python

from calock.server.process import serve
from calock.server.process.ports import require_free
from calock.server.sites.registry import SITES


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("serve"), "--workers", "2")
    yield running
    if running.process.poll() is None:
        running.stop()


def test_both_sites_answer_with_hashed_static_files(server):
    status, headers, body = ask(server.port, "/")
    assert status == 200
    assert "山西政府采购平台" in body.decode()
    path = next(part for part in body.decode().split('"') if part.startswith("/static/portal/css/base."))
    assert path != "/static/portal/css/base.css"
    status, headers, _ = ask(server.port, path)
    assert status == 200
    assert "immutable" in headers["Cache-Control"]
    status, _, body = ask(server.port, "/api/site", Host=f"zcy.localhost:{server.port}")
    assert json.loads(body)["code"] == "zcy"


def test_a_10_mb_body_and_garbage_are_refused_and_the_server_lives(server):
    head = "POST /api/login HTTP/1.1\r\nHost: shanxi.localhost\r\nContent-Type: application/json\r\n"
    big = f"{head}Content-Length: 10000000\r\n\r\n".encode() + b"x" * 10_000_000
    smuggled = f"{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode()
    for request in (
        big,
        smuggled,
        b"\x16\x03\x01 not HTTP \r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
            try:
                raw.sendall(request)
                answer = raw.recv(64)
            except ConnectionError:  # the server answered before it had read everything, and hung up
                answer = b""
            assert answer[:10] in (b"", b"HTTP/1.1 4"), answer
    assert ask(server.port, "/healthz")[0] == 200


def test_concurrent_requests_are_all_answered(server):
    def status(_: int) -> int | str:
        try:
            return ask(server.port, "/login/")[0]
        except (OSError, http.client.HTTPException) as error:
            return repr(error)

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(status, range(64)))
    assert statuses == [200] * 64, server.text()


def test_the_jobs_run_beside_it(server):
    children = children_of(server.process.pid)
    assert "calock-jobs" in map(name_of, children)


def test_a_machine_whose_jobs_run_becomes_ready(server):
    server.wait("/readyz")


def test_a_machine_without_jobs_lives_but_is_not_ready(data):
    running = Server(data, "--workers", "1", "--no-jobs")
    try:
        status, _, body = ask(running.port, "/readyz", Host="10.0.0.1")
        assert (status, body) == (503, b"jobs: have not been heard of\n")
        assert ask(running.port, "/healthz", Host="10.0.0.1")[0] == 200
    finally:
        running.stop()


def test_ctrl_c_ends_it_and_everything_it_started(data):
    running = Server(data, "--workers", "1")
    children = children_of(running.process.pid)
    assert children
    assert running.stop() in (0, 130)
    assert not left_of(children)
    with pytest.raises(OSError, match="refused"):
        ask(running.port, "/healthz")
    assert "Traceback" not in running.text()


def test_processes_told_to_end_while_they_still_load_end(data):
    told = command("serve", "--port", str(free_port()), "--workers", "2", "--no-jobs")
    process = subprocess.Popen(
        told, env=environment(data, CALOCK_DRAIN_SECONDS="0"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    said = next(line for line in process.stdout if "2 processes" in line)
    process.terminate()
    said += process.communicate(timeout=60)[0]
    assert process.returncode == 0, said
    assert said.count("\n") == 1, said


def test_nothing_goes_on_when_the_server_itself_is_killed(data):
    running = Server(data, "--workers", "2")
    children = children_of(running.process.pid)
    assert len(children) == 3
    running.process.kill()
    running.process.wait()
    assert not left_of(children)
    with pytest.raises(OSError, match="refused"):
        ask(running.port, "/healthz")


def test_a_worker_and_jobs_that_do_not_hear_are_ended_and_collected(data):
    """Where nobody else collects the dead, as in most containers, one left would stay in the process table."""
    running = Server(data, "--workers", "2")
    children = children_of(running.process.pid)
    jobs = next(child for child in children if name_of(child) == "calock-jobs")
    worker = next(child for child in children if child != jobs)
    for deaf in (jobs, worker):
        os.kill(int(deaf), signal.SIGSTOP)
    assert running.stop() in (0, 130)
    assert not left_of(children)


ORPHAN = """
import django; django.setup()
from calock.server.jobs import background
background.run(parent=PARENT)
"""


def test_jobs_whose_server_ended_before_they_were_ready_end_too(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    told = {**environment(tmp_path), "DJANGO_SETTINGS_MODULE": "calock.server.process.settings"}
    done = warm_python().run(["-c", ORPHAN.replace("PARENT", str(gone.pid))], environment=told)
    assert done.returncode == 0, done.stderr


FORKED = """
import sys
from unittest.mock import patch
from calock.server.process import serve
serve.prepare()
with patch("calock.server.process.supervisor.Supervisor") as supervisor:
    serve._serve("127.0.0.1", 8000, 1, jobs=True)
assert supervisor.called
before = set(sys.modules)
from calock.server.jobs import background
print(sorted(name for name in set(sys.modules) - before if name.startswith("calock.")))
"""


def test_the_jobs_are_started_again_with_the_code_that_the_server_began_with(tmp_path):
    """An upgrade that lies there already must not be mixed with what is loaded."""
    told = {**environment(tmp_path), "DJANGO_SETTINGS_MODULE": "calock.server.process.settings"}
    done = warm_python().run(["-c", FORKED], environment=told)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


BUSY_WAITING = """
import threading
import django; django.setup()
from calock.server.jobs.background import stop_on_signal
stop = threading.Event()
stop_on_signal(stop)
print("waiting", flush=True)
while not stop.wait(0):
    pass
"""


def test_the_jobs_end_when_told_to_at_whatever_moment(tmp_path):
    """Told in a handler, one in two of these would wait for ever: for the lock that it held itself."""
    told = {**environment(tmp_path), "DJANGO_SETTINGS_MODULE": "calock.server.process.settings"}
    for number in range(8):
        said = tmp_path / f"said{number}"
        process = warm_python().start(["-c", BUSY_WAITING], output=said, environment=told)
        try:
            until(lambda said=said: said.exists() and said.read_text() == "waiting\n", "it waits", START)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=START) == 0
        finally:
            process.kill()


def refused_start(data: Path, *arguments: str, **more: str) -> str:
    done = calock(data, "serve", *(arguments or ("--port", str(free_port()))), **more)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def server_socket() -> socket.socket:
    """Bound as the server binds its own."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", 0))
    return made


def test_a_second_server_is_not_let_onto_the_port_of_the_first(server, tmp_path):
    assert f"port {server.port} of 127.0.0.1 is taken" in refused_start(tmp_path, "--port", str(server.port))
    assert "is taken" in refused_start(tmp_path, "--host", "0.0.0.0", "--port", str(server.port))
    assert not list(tmp_path.iterdir()), "it made its database first"


def test_a_port_taken_while_it_prepared_is_not_shared(monkeypatch, tmp_path, capsys):
    """Both of two that start together find the port free at first."""
    with server_socket() as other:
        monkeypatch.setattr(serve, "prepare", other.listen)
        monkeypatch.setattr(serve, "_serve", lambda *_: pytest.fail("it served"))
        monkeypatch.setattr(serve, "require_free", lambda *place: seen.append(place) or require_free(*place))
        seen: list[tuple[str, int]] = []
        assert serve.main(["--port", str(other.getsockname()[1]), "--no-jobs"]) == 1
    assert len(seen) == 2
    assert "is taken" in capsys.readouterr().err


def test_connections_of_the_server_before_do_not_keep_it_from_starting():
    with server_socket() as listener:
        listener.listen()
        place = listener.getsockname()
        with socket.create_connection(place) as client:
            listener.accept()[0].close()  # the side that closes first keeps the port for a minute
            client.recv(1)
    require_free(*place)


def test_an_address_of_another_machine_is_no_place_to_listen(tmp_path):
    assert "cannot listen on port" in refused_start(tmp_path, "--host", "192.0.2.1")


def test_a_provider_whose_anchor_is_gone_keeps_it_from_starting(data):
    with sqlite3.connect(data / "calock.sqlite3") as database:
        columns = {row[1]: row[2] for row in database.execute("PRAGMA table_info(providers_provider)")}
        values = {name: 0 if "int" in kind or kind == "bool" else "" for name, kind in columns.items()}
        values |= {"id": "1" * 32, "code": "x", "name": "x", "short_name": "x", "state": "enabled", "sites": "[]", "rules": "{}"}
        marks = ", ".join("?" for _ in values)
        names = ", ".join(f'"{name}"' for name in values)
        database.execute(f"INSERT INTO providers_provider ({names}) VALUES ({marks})", list(values.values()))
    assert "register" in refused_start(data)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"CALOCK_INSECURE_HTTP": "yes"}, "CALOCK_INSECURE_HTTP must be 0 or 1"),
        ({"CALOCK_SECRET_KEY": "short"}, "at least 32 characters"),
        ({"CALOCK_SECRET_KEY_FILE": "/nonexistent/key"}, "does not exist"),
        ({"CALOCK_PUBLIC_PORT": "70000"}, "CALOCK_PUBLIC_PORT must be a number"),
        ({"CALOCK_DATABASE_SECONDS": "0"}, "CALOCK_DATABASE_SECONDS must be a number from 1 to 600"),
        ({"CALOCK_DATABASE_WAIT": "long"}, "CALOCK_DATABASE_WAIT must be a number"),
        ({"CALOCK_DRAIN_SECONDS": "-1"}, "CALOCK_DRAIN_SECONDS must be a number"),
        ({"CALOCK_HSTS_SUBDOMAINS": "yes"}, "CALOCK_HSTS_SUBDOMAINS must be 0 or 1"),
        ({"CALOCK_FAILURES_PER_MINUTE": "many"}, "CALOCK_FAILURES_PER_MINUTE must be a number"),
        ({"CALOCK_DRIVER_PORTS": "47113,x"}, "CALOCK_DRIVER_PORTS is a comma list of ports"),
        ({"CALOCK_DRIVER_PORTS": "50000", "CALOCK_INSECURE_HTTP": "0"}, "CALOCK_DRIVER_PORTS is for demonstrations"),
        ({"CALOCK_TRUSTED_PROXIES": "10.0.0.1, foo"}, "CALOCK_TRUSTED_PROXIES is a comma list of IP addresses and networks"),
        ({"CALOCK_TRUSTED_PROXIES": "10.0.0.1/8"}, "10.0.0.1/8 has host bits set"),
        ({"CALOCK_TRUSTED_PROXIES": "::/0"}, "CALOCK_TRUSTED_PROXIES: ::/0: each user of so much Internet"),
        ({"DATABASE_URL": "postgresql://u:p@h1:1,h2:x/db"}, "DATABASE_URL is no address"),
        ({"CALOCK_METRICS": "host:9464"}, "CALOCK_METRICS is a port, or an address and a port"),
        ({"CALOCK_HOSTS_SHANXI": "a.b/ca"}, "a site has host names of its own, never a part of another's"),
        ({"CALOCK_AUDIT_HEADS": "file:///var/heads/ ftp://logs.example/"}, "begins with none of file"),
        ({"CALOCK_AUDIT_HEADS": "file:heads"}, "three slashes and a path"),
        ({"CALOCK_AUDIT_HEADS": "https://me:secret@logs.example/"}, "without user"),
        ({"CALOCK_AUDIT_HEADS_TOKEN_FILE": "/nowhere"}, "cannot be read"),
        ({"CALOCK_EGRESS_PROXY": "bad"}, "CALOCK_EGRESS_PROXY is an address such as"),
        ({"CALOCK_EGRESS_PROXY": "https://proxy.example"}, "CALOCK_EGRESS_PROXY is an address such as"),
        ({"CALOCK_EGRESS_PROXY": "http://me:secret@proxy.example"}, "CALOCK_EGRESS_PROXY is an address such as"),
        ({"CALOCK_HOSTS_FOO": "a.b"}, "CALOCK_HOSTS_FOO is no site's; there are CALOCK_HOSTS_SHANXI, CALOCK_HOSTS_ZCY"),
        ({"CALOCK_HOSTS_SHANXI": ""}, "CALOCK_HOSTS_SHANXI names no host"),
        ({"CALOCK_HOSTS_SHANXI": "https://a.b"}, "CALOCK_HOSTS_SHANXI: 'https://a.b' is not a host name"),
        ({"CALOCK_HOSTS_SHANXI": "a.b", "CALOCK_HOSTS_ZCY": "a.b"}, "a.b belongs to shanxi and to zcy"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_named(tmp_path, more, says):
    assert says in refused_start(tmp_path, **more)


# --- sites and vendors of an operator's own

VENDOR = """code = "jinan"
name = "济南 CA"
short_name = "济南 CA"

[rules]
algorithms = ["SM2"]

[product]
title = "湖北驱动"
sites = ["hubei"]
providers = ["jinan"]
"""


@pytest.fixture
def own(tmp_path) -> dict[str, str]:
    """Folders with a site and a vendor that the program does not bring."""
    hubei, jinan = tmp_path / "sites" / "hubei", tmp_path / "vendors" / "jinan"
    shutil.copytree(SITES / "zcy", hubei)
    profile = (hubei / "profile.toml").read_text("utf-8")
    changed = (('code = "zcy"', 'code = "hubei"'), ("order = 2", "order = 3"), ("zcy.loc", "hubei.loc"), ("zcy-huren", "jinan"))
    for old, new in changed:
        assert old in profile
        profile = profile.replace(old, new)
    (hubei / "profile.toml").write_text(profile.replace("政采云平台", "湖北政府采购平台"), "utf-8")
    (hubei / "static" / "tokens.css").write_text(":root { --hubei: 1; }\n")
    jinan.mkdir(parents=True)
    (jinan / "vendor.toml").write_text(VENDOR, "utf-8")
    return {"CALOCK_SITES": str(tmp_path / "sites"), "CALOCK_VENDORS": str(tmp_path / "vendors")}


def test_an_operators_site_is_served_with_its_words_and_its_look(data, own):
    running = Server(data, "--workers", "1", "--no-jobs", **own)
    try:
        host = {"Host": f"hubei.localhost:{running.port}"}
        body = ask(running.port, "/login/", **host)[2].decode()
        assert "湖北政府采购平台" in body
        assert "政采云平台" not in body
        tokens, emblem = (re.search(rf"/static/sites/hubei/{name}\.\w+\.\w+", body)[0] for name in ("tokens", "emblem"))
        status, headers, css = ask(running.port, tokens, **host)
        assert (status, css) == (200, b":root { --hubei: 1; }\n")
        assert "immutable" in headers["Cache-Control"]  # collected, under a name with a hash
        assert ask(running.port, emblem, **host)[0] == 200
        assert "湖北政府采购平台" not in ask(running.port, "/login/")[2].decode()
    finally:
        running.stop()
    installed = calock(data, "manage", "register", "install", "jinan", **own)
    assert installed.stdout == "jinan: suspended\n", installed.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("sites/hubei/profile.toml", 'landing = "', 'surprise = 1\nlanding = "', "Object contains unknown field `surprise`"),
        ("sites/hubei/profile.toml", 'header = "', 'header = "x', r"Invalid enum value 'xbar' - at `$.header`"),
        ("vendors/jinan/vendor.toml", 'name = "济南 CA"', "name = 1", "Expected `str`, got `int` - at `$.name`"),
        ("vendors/jinan/vendor.toml", '"SM2"', '"DSA"', "rules: policy.algorithms"),
    ],
)
def test_a_file_of_an_operator_that_makes_no_sense_keeps_it_from_starting(tmp_path, own, file, old, new, says):
    path = tmp_path / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    line = refused_start(tmp_path / "data", **own)
    assert line.startswith(f"calock serve: not started: {path}: ")
    assert says in line
    assert not (tmp_path / "data" / "calock.sqlite3").exists()


def test_a_name_that_leads_nowhere_keeps_it_from_starting(tmp_path, own):
    path = tmp_path / "sites/hubei/profile.toml"
    path.write_text(path.read_text("utf-8").replace('package = "jinan"', 'package = "jinan-ca"'), "utf-8")
    line = refused_start(tmp_path / "data", **own)
    assert "site hubei: driver.package: no CA vendor 'jinan-ca' has a driver package" in line


@pytest.mark.parametrize("name", ["CALOCK_SITES", "CALOCK_VENDORS"])
def test_a_folder_of_an_operator_that_is_gone_keeps_it_from_starting(tmp_path, own, name):
    line = refused_start(tmp_path / "data", **(own | {name: str(tmp_path / "unmounted")}))
    assert f"{name} names {tmp_path}/unmounted, which is no directory" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "0"], ["--port", "-5"], ["--port", "65536"], ["--port", "x"], ["--workers", "0"], ["--nonsense"],
        ["--host", "999.1.1.1"], ["--host", "localhost"], ["--host", ""], ["--host", "fe80::1%lo"],
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(tmp_path, arguments):
    done = calock(tmp_path, "serve", *arguments)
    assert done.returncode == 2
    assert "usage: calock serve" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_says_what_a_stranger_needs(tmp_path):
    done = calock(tmp_path, "serve", "--help")
    assert done.returncode == 0
    for word in ("--host", "--port", "--workers", "CALOCK_DATA", "DATABASE_URL", "CALOCK_INSECURE_HTTP"):
        assert word in done.stdout


SAY = """
import django; django.setup()
from django.contrib.messages import SUCCESS
from calock.server.console.messages import HostCookieStorage
from django.http import HttpResponse
from django.test import RequestFactory
storage, response = HostCookieStorage(RequestFactory().get("/console/")), HttpResponse()
storage.add(SUCCESS, "done")
storage.update(response)
print(response.cookies["__Host-messages"].output())
"""


def test_what_the_console_says_travels_as_carefully_as_a_session(tmp_path):
    """It names accounts and locks, and stays in the browser until the next page."""
    real = {**environment(tmp_path), "CALOCK_INSECURE_HTTP": "0", "DJANGO_SETTINGS_MODULE": "calock.server.process.settings"}
    done = warm_python().run(["-c", SAY], environment=real)
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= {part.strip() for part in done.stdout.split(";")}


def test_a_real_site_speaks_https_only_and_locks_its_cookies_down(data):
    running = Server(data, "--workers", "1", "--no-jobs", CALOCK_INSECURE_HTTP="0", CALOCK_HSTS_SUBDOMAINS="1")
    try:
        origin = f"https://shanxi.localhost:{running.port}"
        _, headers, _ = ask(running.port, "/login/")
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        token = next(value for value in headers.get_all("Set-Cookie") if value.startswith("__Host-csrf="))
        assert "Secure" in token
        cookie, value = token.split(";")[0], token.split(";")[0].partition("=")[2]
        sent = {"Content-Type": "application/json", "Cookie": cookie, "X-CSRFToken": value, "Referer": origin + "/login/"}
        status, headers, _ = ask(running.port, "/api/challenge", method="POST", body='{"purpose":"login"}', Origin=origin, **sent)
        assert status == 200
        made = headers["Set-Cookie"]
        assert made.startswith("__Host-calock-pre=")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in made.split(";")}
        form = {**sent, "Content-Type": "application/x-www-form-urlencoded", "Origin": origin}
        status, headers, _ = ask(running.port, "/language/", method="POST", body="language=en&next=/", **form)
        assert status == 302
        made = headers["Set-Cookie"]
        assert made.startswith("__Host-language=en")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in made.split(";")}
        plain = origin.replace("https", "http")
        status, _, _ = ask(running.port, "/api/challenge", method="POST", body='{"purpose":"login"}', Origin=plain, **sent)
        assert status == 403
        assert "Forbidden" not in running.text()  # refusals are audit rows, not log lines
    finally:
        running.stop()
