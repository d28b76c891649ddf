"""The files that an operator takes from ``ops``: each is accepted by the program that reads it, and says what calock says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from serving import free_port

from calock.server.process import config
from calock.server.web.client_address import client_address

OPS = Path(__file__).resolve().parents[2] / "ops"
CALOCK = "/opt/calock/bin/calock"


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed; make drill does that")


def run(*command: object, **environment: object) -> str:
    given = os.environ | {name: str(value) for name, value in environment.items()}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, env=given)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs("systemd-analyze")
@pytest.mark.parametrize("name", ["calock.service", "calock-jobs.service"])
def test_systemd_finds_nothing_wrong_with_a_unit_and_calls_it_hardened(name, tmp_path):
    unit = tmp_path / name
    unit.write_text((OPS / "systemd" / name).read_text("utf-8").replace(CALOCK, str(Path(sys.executable).with_name("calock"))))
    assert not run("systemd-analyze", "verify", "--man=no", unit)
    run("systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", unit)  # of 100; a bare unit has 96


@needs("systemd-analyze")
def test_systemd_makes_the_user_and_the_folders(tmp_path):
    (tmp_path / "etc").mkdir()
    run("systemd-sysusers", f"--root={tmp_path}", OPS / "systemd" / "calock.sysusers")
    run("systemd-tmpfiles", f"--root={tmp_path}", "--create", OPS / "systemd" / "calock.tmpfiles")
    assert "calock:" in (tmp_path / "etc" / "passwd").read_text()
    assert (tmp_path / "var/lib/calock").stat().st_mode & 0o777 == 0o700


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    run(*make, "-subj", "/CN=login.example.gov.cn", "-keyout", folder / "calock.key", "-out", folder / "calock.crt")
    (folder / "calock.pem").write_text((folder / "calock.crt").read_text() + (folder / "calock.key").read_text())
    return folder


def nginx_conf(certificate: Path, folder: Path, ports: dict[str, int]) -> Path:
    """The configuration as it is but for files and ports, inside of the least one around it."""
    text = (OPS / "nginx" / "calock.conf").read_text("utf-8")
    text = text.replace("/etc/nginx/", f"{certificate}/").replace("/var/log/nginx/", f"{folder}/")
    text = re.sub(r"listen (\[::\]:)?(443|80)\b", lambda found: f"listen {found[1] or ''}{ports[found[2]]}", text)
    text = re.sub(r"server 127\.0\.0\.1:800\d", f"server 127.0.0.1:{ports['nobody']}", text)
    own = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    around = f"pid {folder}/pid; error_log {folder}/main.log info; events {{}} http {{\n{own}\naccess_log {folder}/main-access.log;"
    (folder / "nginx.conf").write_text(f"{around}\n{text}\n}}", "utf-8")
    return folder / "nginx.conf"


@pytest.fixture
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("443", "80", "nobody")}


@needs("nginx")
def test_nginx_accepts_its_configuration(certificate, tmp_path, ports):
    assert "[warn]" not in run("nginx", "-t", "-p", tmp_path, "-c", nginx_conf(certificate, tmp_path, ports))


@needs("nginx")
def test_no_log_of_nginx_holds_the_query_of_an_address(certificate, tmp_path, ports):
    """Neither of one that is sent on to HTTPS, nor of one that no machine answers."""
    conf = nginx_conf(certificate, tmp_path, ports)
    run("nginx", "-p", tmp_path, "-c", conf)
    try:
        for scheme, port, status in (("http", "80", "301"), ("https", "443", "502")):
            address = f"{scheme}://login.example.gov.cn:{ports[port]}/calendar/ca.ics?token=SECRET"
            to = f"login.example.gov.cn:{ports[port]}:127.0.0.1"
            assert run("curl", "-sk", "--resolve", to, "-o", tmp_path / "body", "-w", "%{http_code}", address) == status
    finally:
        run("nginx", "-p", tmp_path, "-c", conf, "-s", "quit")
    logs = {path.name: path.read_text("utf-8") for path in tmp_path.glob("*.log")}
    assert logs["calock.log"].count("/calendar/ca.ics") == 2
    assert not [name for name, text in logs.items() if "SECRET" in text]


@needs("haproxy")
def test_haproxy_accepts_its_configuration(certificate, tmp_path):
    text = (OPS / "haproxy" / "haproxy.cfg").read_text("utf-8").replace("/etc/haproxy/", f"{certificate}/")
    (tmp_path / "haproxy.cfg").write_text(text, "utf-8")
    assert "WARNING" not in run("haproxy", "-c", "-f", tmp_path / "haproxy.cfg")


@needs("docker-compose")
def test_compose_accepts_its_file_and_gives_no_service_a_system_to_write_to(tmp_path):
    """Compose resolves it without an engine."""
    shutil.copy(OPS / "compose" / "compose.yaml", tmp_path)
    (tmp_path / "secret.key").touch()
    file = ("docker-compose", "--project-directory", tmp_path, "-f", tmp_path / "compose.yaml")
    assert run(*file, "config", DATABASE_PASSWORD="s3cret").count("read_only: true") == 2
    refused = subprocess.run([*file, "config"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert "DATABASE_PASSWORD" in refused.stderr


@pytest.mark.parametrize("path", ["backup", "restore", "image/build"])
def test_a_script_is_one_that_sh_reads(path):
    run("sh", "-n", OPS / path)


def test_no_file_names_a_setting_that_calock_does_not_have():
    """Each is in the reader's own list; the scripts' own two are theirs alone."""
    known = set(re.findall(r"CALOCK_[A-Z_]+", Path(config.__file__).read_text("utf-8"))) | {"CALOCK_PYTHON", "CALOCK_COMMAND"}
    known |= {"CALOCK_HOSTS_SHANXI", "CALOCK_HOSTS_ZCY"}
    for path in (path for path in OPS.rglob("*") if path.is_file()):
        assert not set(re.findall(r"CALOCK_[A-Z_]+", path.read_text("utf-8"))) - known, path


def only(pattern: str, path: str) -> str:
    """The one text in a file of ``ops`` that a pattern's group finds."""
    (found,) = re.findall(pattern, (OPS / path).read_text("utf-8"), re.MULTILINE)
    return str(found)


def test_in_containers_nobody_but_nginx_says_who_asks(settings):
    """Callers of published ports may arrive from the network's gateway; what they wrote in front of it is not believed."""
    named = tuple(map(ip_network, only(r"CALOCK_TRUSTED_PROXIES: (\S+)", "compose/compose.yaml").split(",")))
    settings.CALOCK = replace(settings.CALOCK, trusted_proxies=named)
    nginx = only(r"ipv4_address: ([0-9.]+)", "compose/compose.yaml")
    gateway = str(next(ip_network(only(r"subnet: ([0-9./]+)", "compose/compose.yaml")).hosts()))
    assert client_address(nginx, "198.51.100.7").ip == "198.51.100.7"
    assert client_address(nginx, f"203.0.113.66, {gateway}").ip == gateway
    assert client_address(gateway, "203.0.113.66").ip == gateway
    assert only(r"^ *proxy_set_header X-Forwarded-For (\S+);", "nginx/calock.conf") == "$remote_addr"


def test_haproxy_writes_no_query_down_and_takes_no_request_id_from_a_caller():
    """%r, %HU and %HQ hold the query: CAS tickets, id_token_hint."""
    log = only(r'^ *log-format "(.+)"', "haproxy/haproxy.cfg")
    assert "%HPO" in log
    assert not {"%r", "%HU", "%HQ"} & set(re.findall("%[A-Za-z]+", log))
    assert "option httplog" not in [line.strip() for line in (OPS / "haproxy" / "haproxy.cfg").read_text("utf-8").splitlines()]
    assert only(r"^ *http-request del-header (\S+)", "haproxy/haproxy.cfg") == "traceparent"


@pytest.fixture
def seen(tmp_path):
    """``seen(program, url, *command)`` runs a script; what ``program`` of PostgreSQL got: its service file, its arguments."""
    programs = tmp_path / "programs"
    programs.mkdir()

    def arguments(program, url, *command):
        (programs / program).write_text(
            f'#!/bin/sh\ncat "$PGSERVICEFILE" >"{tmp_path}/service"\nprintf "%s\\n" "$@" >"{tmp_path}/seen"\n'
        )
        (programs / program).chmod(0o755)
        run(
            *command, PATH=f"{programs}:{os.environ['PATH']}", DATABASE_URL=url, CALOCK_DATA=tmp_path / "data",
            CALOCK_PYTHON=sys.executable, CALOCK_COMMAND="true",
        )  # fmt: skip
        return (tmp_path / "service").read_text().splitlines(), (tmp_path / "seen").read_text().splitlines()

    return arguments


@pytest.mark.parametrize(
    ("url", "bare", "secrets"),
    [
        (
            "postgresql://calock:s3cr%40t@a:5432,b:5433/calock?options=-c%20x",
            "postgresql://calock@a:5432,b:5433/calock?options=-c%20x&service=calock",
            ["password=s3cr@t"],
        ),
        (
            "postgresql:///calock?user=calock&password=s3cr%40t&sslkey=/k&sslpassword=s3cr%20k&host=/run",
            "postgresql:///calock?user=calock&sslkey=/k&host=/run&service=calock",
            ["password=s3cr@t", "sslpassword=s3cr k"],
        ),
    ],
)
def test_neither_backup_nor_restore_shows_a_password_of_the_database_among_processes(seen, tmp_path, url, bare, secrets):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "package-keys.txt").touch()
    (tmp_path / "data" / "audit-seal.key").touch()
    made, kept = tmp_path / "made", tmp_path / "kept"
    service, arguments = seen("pg_dump", url, OPS / "backup", made, kept)
    assert service == ["[calock]", *secrets]
    assert arguments[:2] == ["--dbname", bare]
    assert not [word for word in arguments if "s3cr" in word]
    (made,), (kept,) = made.iterdir(), kept.iterdir()
    service, arguments = seen("pg_restore", url, OPS / "restore", made, kept)
    assert service == ["[calock]", *secrets]
    assert arguments[:2] == ["--dbname", bare]
    assert not [word for word in arguments if "s3cr" in word]
    assert str(made / "database.dump") in arguments


def test_the_databases_take_all_that_two_servers_of_four_processes_may_open():
    manual = (OPS.parent / "docs" / "operations.md").read_text("utf-8")
    process, machine = map(int, re.findall(r"\((\d+) × processes \+ (\d+)\)", manual)[0])
    for pattern, file in ((r"max_connections=(\d+)", "compose/compose.yaml"), (r"max_connections: (\d+)", "patroni/patroni.yml")):
        assert int(only(pattern, file)) > 2 * (4 * process + machine), file
