# ruff: noqa: E402 - the path comes first
"""What a login with a P-256 certificate costs calock, LemonLDAP::NG and Keycloak behind one nginx with TLS: CPU of every process.

Run: ``python bench/peers.py [--logins N] [--rounds N] [--warm N]``. One nginx with one worker ends TLS for all, each login on a new
connection with a full handshake; in turns, in the same run. calock: challenge and answer, as ``ops/nginx/calock.conf`` passes them,
revocation checked, receipt and audit row written. The others: one request with the certificate of the TLS connection, which nginx
verifies against the CA, answered by the redirect to the application. LemonLDAP::NG is Debian's, configured as packaged but for the
certificate, and "stripped": without login history and notifications. Keycloak is its distribution of Maven Central, with
PostgreSQL, and believes nginx' verification. Neither is told to check revocation. What is not to be had is said in a line.
"""

from __future__ import annotations

import argparse
import base64
import grp
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Self
from urllib.parse import urlencode

from measuring import PEOPLE, ROOT, Goals, children, cpu_milliseconds_each, postmaster, ratio, turns, use_this_checkout

use_this_checkout()
sys.path.append(str(ROOT / "tests" / "server" / "relying_parties"))
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_der_x509_certificate
from drill_keycloak import keycloak
from drill_lemonldap import INI
from field import Field
from machines import wait_until
from serving import free_port, nginx_servers, start_nginx
from worlds.practice import NOW, YEARS

HOST = "login.example.gov.cn"
GOALS = {"LemonLDAP::NG, stripped": 0.75, "Keycloak": 0.35}
"""At most so much of it."""
CSRF = "x" * 32
PACKAGED = Path("/var/lib/lemonldap-ng/conf/lmConf-1.json")
APPLICATION = "http://test1.example.com/"
PORTAL = """
map $ssl_client_s_dn $common_name {{ default ""; ~CN=(?<CN>[^,]+) $CN; }}
server {{
    listen 127.0.0.1:{port} ssl;
    {tls}
    {client}
    root /usr/share/lemonldap-ng/portal/htdocs/;
    rewrite ^/(.*)$ /index.psgi/$1 break;
    location ~ ^(?<sc>/.*\\.psgi)(?:$|/) {{
        include /etc/nginx/fastcgi_params;
        fastcgi_pass unix:{socket};
        fastcgi_param HTTP_HOST $http_host;
        fastcgi_param LLTYPE psgi;
        fastcgi_param SCRIPT_FILENAME $document_root$sc;
        fastcgi_split_path_info ^(.*\\.psgi)(/.*)$;
        fastcgi_param PATH_INFO $fastcgi_path_info;
        fastcgi_param SSL_CLIENT_S_DN_CN $common_name;
    }}
}}
"""
BROKER = """
server {{
    listen 127.0.0.1:{port} ssl;
    {tls}
    {client}
    location / {{
        proxy_pass http://127.0.0.1:{behind};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-Port $server_port;
        proxy_set_header ssl-client-cert $ssl_client_escaped_cert;
        proxy_set_header ssl-client-verify $ssl_client_verify;
    }}
}}
"""


class Ground:
    """The folder in which all of it lies: certificates of the server and of the people, and the words nginx needs for them."""

    def __init__(self, field: Field) -> None:
        self.field, self.place = field, field.place / "peers"
        self.place.mkdir(mode=0o755)
        self.people = field.people[:PEOPLE]
        family = self.people[0].lock.family
        pem = [load_der_x509_certificate(authority.certificate) for authority in (family.issuing, family.root)]
        (self.place / "clients.pem").write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in pem))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             f"/CN={HOST}", "-keyout", str(self.place / "calock.key"), "-out", str(self.place / "calock.crt")],
            check=True, capture_output=True,
        )  # fmt: skip
        self.tls = f"ssl_certificate {self.place}/calock.crt; ssl_certificate_key {self.place}/calock.key; ssl_session_tickets off;"
        self.client = f"ssl_client_certificate {self.place}/clients.pem; ssl_verify_client on; ssl_verify_depth 3;"

    def context(self, person: Any) -> ssl.SSLContext:
        """A browser's TLS, with the key of the person's lock and a certificate that names the account, or with none."""
        made = ssl.create_default_context(cafile=str(self.place / "calock.crt"))
        if person is None:
            return made
        lock, file = person.lock, self.place / f"{person.username}.pem"
        if not file.exists():
            of = lock.family.issuing.issue_lock(person.username, lock.key, not_before=NOW - YEARS / 10, not_after=NOW + YEARS / 10)
            key = serialization.load_der_private_key(lock.key.private_pkcs8, None)
            pem = serialization.Encoding.PEM
            file.write_bytes(
                key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                + load_der_x509_certificate(of).public_bytes(pem)
            )
        made.load_cert_chain(file)
        return made


class Browser:
    """Each ``connected`` is one connection of its own, with a full handshake."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port, self._context = port, context
        self.cookies: dict[str, str] = {}
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        self._connection = http.client.HTTPSConnection(HOST, self._port, context=self._context, timeout=60)
        self._connection._create_connection = _here  # type: ignore[attr-defined]  # noqa: SLF001 - the name is nobody's but the certificate's
        return self

    def __exit__(self, *_: object) -> None:
        assert self._connection
        self._connection.close()

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        assert self._connection
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        given = {"Host": f"{HOST}:{self._port}", "User-Agent": "bench", **cookies, **headers}
        self._connection.request(method, path, body, given)
        answer = self._connection.getresponse()
        text = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, answer.headers, text


def _here(address: tuple[str, int], *arguments: Any) -> Any:
    import socket  # noqa: PLC0415 - beside its only use

    return socket.create_connection(("127.0.0.1", address[1]), *arguments)


class Peer(ABC):
    """One of those that are compared."""

    name: str

    def __init__(self, ground: Ground) -> None:
        self.ground, self.port = ground, free_port()

    @property
    @abstractmethod
    def servers(self) -> str:
        """What nginx is told of it."""

    @abstractmethod
    def processes(self) -> list[int]:
        """All that works for it but nginx and PostgreSQL."""

    @abstractmethod
    def person(self, person: Any) -> Callable[[], None]:
        """A browser of this person's: each call is one login, which must succeed."""

    @abstractmethod
    def close(self) -> None:
        """End what the field does not end."""


class Calock(Peer):
    name = "calock"

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._machine = ground.field.replica(
            "--workers", "1", wait="/healthz",
            CALOCK_HOSTS_SHANXI=HOST, CALOCK_PUBLIC_PORT=str(self.port), CALOCK_INSECURE_HTTP="0",
        )  # fmt: skip

    @property
    def servers(self) -> str:
        return str(nginx_servers(self.ground.place, (f"127.0.0.1:{self._machine.port}",), self.port))

    def processes(self) -> list[int]:
        return [self._machine.process.pid, *children(self._machine.process.pid)]

    def person(self, person: Any) -> Callable[[], None]:
        browser = Browser(self.port, self.ground.context(None))
        browser.cookies["__Host-csrf"] = CSRF
        origin = f"https://{HOST}:{self.port}"
        headers = {"Origin": origin, "X-CSRFToken": CSRF, "Content-Type": "application/json"}

        def log_in() -> None:
            browser.cookies.pop("__Host-calock", None)  # another person's turn at this browser
            with browser:
                status, _, text = browser.ask("POST", "/api/challenge", '{"purpose":"login"}', **headers)
                _require(self, status, 200, text)
                challenge = json.loads(text)["challenge"]
                answer = {"challenge": challenge, "token": person.lock.sign(challenge, origin=origin)}
                status, _, text = browser.ask("POST", "/api/login", json.dumps(answer), **headers)
                _require(self, status, 200, text)

        return log_in

    def close(self) -> None:
        """The field ends its machines."""


class LemonLdap(Peer):
    def __init__(self, ground: Ground, name: str, **changed: Any) -> None:
        super().__init__(ground)
        self.name = name
        program = shutil.which("llng-fastcgi-server") or "/usr/sbin/llng-fastcgi-server"
        if not Path(program).exists() or not PACKAGED.exists():
            raise MissingError(
                "LemonLDAP::NG was not measured: its Debian packages are not installed (tools/system-packages bench)"
            )
        self._place = ground.place / f"lemonldap-{self.port}"
        for folder in ("conf", "cache", "sessions/lock", "psessions/lock", "notifications"):
            (self._place / folder).mkdir(parents=True)
        (self._place / "lemonldap-ng.ini").write_text(INI.format(place=self._place))
        (self._place / "conf" / "lmConf-1.json").write_text(json.dumps(self._configuration() | changed))
        user: list[str] = []
        if os.geteuid() == 0:  # it refuses to run as root
            user = ["--user", "www-data", "--group", grp.getgrgid(_gid()).gr_name]
            subprocess.run(["chown", "-R", "www-data:www-data", str(self._place)], check=True)
        self._socket = self._place / "socket"
        with (self._place / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "--foreground", "--pid", str(self._place / "pid"), "--socket", str(self._socket), *user],
                env={**os.environ, "LLNG_DEFAULTCONFFILE": str(self._place / "lemonldap-ng.ini"),
                     "LLNG_DEFAULTLOGGER": "Lemonldap::NG::Common::Logger::Std"},
                stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(self._socket.exists, "LemonLDAP::NG")

    def _configuration(self) -> dict[str, Any]:
        """As packaged, but for where it lies, who it is, and that the certificate says who comes."""
        files = {
            kind: {"Directory": f"{self._place}/{kind}", "LockDirectory": f"{self._place}/{kind}/lock",
                   "generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256"}
            for kind in ("sessions", "psessions")
        }  # fmt: skip
        packaged: dict[str, Any] = json.loads(PACKAGED.read_text())
        local = packaged["localSessionStorageOptions"] | {"cache_root": f"{self._place}/cache"}
        return packaged | {
            "portal": f"https://{HOST}:{self.port}/", "domain": "example.gov.cn", "authentication": "SSL", "userDB": "Null",
            "passwordDB": "Null", "registerDB": "Null", "SSLVar": "SSL_CLIENT_S_DN_CN", "whatToTrace": "_user",
            "globalStorageOptions": files["sessions"], "persistentStorageOptions": files["psessions"],
            "localSessionStorageOptions": local, "notificationStorageOptions": {"dirName": f"{self._place}/notifications"},
        }  # fmt: skip

    @property
    def servers(self) -> str:
        text = PORTAL.format(port=self.port, tls=self.ground.tls, client=self.ground.client, socket=self._socket)
        return text.replace("common_name", f"common_name_{self.port}")

    def processes(self) -> list[int]:
        return [self._process.pid, *children(self._process.pid)]

    def person(self, person: Any) -> Callable[[], None]:
        browser = Browser(self.port, self.ground.context(person))
        path = f"/?{urlencode({'url': base64.b64encode(APPLICATION.encode()).decode()})}"

        def log_in() -> None:
            browser.cookies.clear()
            with browser:
                status, headers, text = browser.ask("GET", path)
            _require(self, status, 302, text)
            if headers["Location"] != APPLICATION or "lemonldap" not in browser.cookies:
                raise SystemExit(f"{self.name}: {headers}")

        return log_in

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def _gid() -> int:
    return grp.getgrnam("www-data").gr_gid


class Keycloak(Peer):
    name = "Keycloak"
    REALM = "bench"
    BACK = "https://application.example.com/done"

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._behind = free_port()
        place = ground.place / "keycloak"
        place.mkdir()
        try:
            folder = keycloak(place)
        except pytest.skip.Exception as skipped:
            raise MissingError(str(skipped).replace("tried", "measured")) from None
        field = ground.field
        assert field.postgres
        with field.postgres.connect() as connection:
            connection.execute("CREATE DATABASE keycloak TEMPLATE template0")
        (folder / "data" / "import").mkdir(parents=True)
        (folder / "data" / "import" / "realm.json").write_text(json.dumps(self._realm()))
        command = [
            str(folder / "bin" / "kc.sh"), "start", "--import-realm", "--cache=local", "--db=postgres",
            f"--db-url=jdbc:postgresql://127.0.0.1:{field.postgres.port}/keycloak", "--db-username=calock", "--db-password=x",
            "--http-enabled=true", "--http-host=127.0.0.1", f"--http-port={self._behind}", "--proxy-headers=xforwarded",
            f"--hostname=https://{HOST}:{self.port}", "--spi-x509cert-lookup--provider=nginx",
            "--spi-x509cert-lookup--nginx--ssl-client-cert=ssl-client-cert",
            "--spi-x509cert-lookup--nginx--trust-proxy-verification=true",
        ]  # fmt: skip
        self._log = place / "log"
        with self._log.open("wb") as log:
            heap = {"JAVA_OPTS_KC_HEAP": "-Xms512m -Xmx1g"}
            self._process = subprocess.Popen(command, env={**os.environ, **heap}, stdout=log, stderr=log)
        wait_until(self._answers, "Keycloak", 900)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise SystemExit(self._log.read_text()[-3000:])
        connection = http.client.HTTPConnection("127.0.0.1", self._behind, timeout=30)
        try:
            connection.request("GET", f"/realms/{self.REALM}", headers={"X-Forwarded-Proto": "https"})
            return connection.getresponse().status == 200
        except OSError:
            time.sleep(1)  # Java is starting
            return False
        finally:
            connection.close()

    def _realm(self) -> dict[str, object]:
        """A realm whose browser flow is the certificate alone: its CN names the account, and nobody is asked to confirm."""
        settings = {
            "mapping-source-selection": "Subject's Common Name", "mapper-selection": "Username or Email",
            "confirmation-page-disallowed": "true", "timestamp-validation-enabled": "true",
        }  # fmt: skip
        return {
            "realm": self.REALM, "enabled": True, "sslRequired": "none", "browserFlow": "certificate",
            "authenticationFlows": [{
                "alias": "certificate", "providerId": "basic-flow", "topLevel": True, "builtIn": False,
                "authenticationExecutions": [{
                    "authenticator": "auth-x509-client-username-form", "requirement": "REQUIRED", "priority": 10,
                    "authenticatorConfig": "certificate",
                }],
            }],
            "authenticatorConfig": [{
                "alias": "certificate", "config": {f"x509-cert-auth.{name}": value for name, value in settings.items()},
            }],
            "users": [{
                "username": person.username, "enabled": True, "email": f"{person.username}@example.com", "emailVerified": True,
                "firstName": "San", "lastName": "Zhang",
            } for person in self.ground.people],
            "clients": [{
                "clientId": "inner", "publicClient": True, "redirectUris": [self.BACK], "standardFlowEnabled": True,
            }],
        }  # fmt: skip

    @property
    def servers(self) -> str:
        return BROKER.format(port=self.port, tls=self.ground.tls, client=self.ground.client, behind=self._behind)

    def processes(self) -> list[int]:
        return [self._process.pid, *children(self._process.pid)]

    def person(self, person: Any) -> Callable[[], None]:
        browser = Browser(self.port, self.ground.context(person))
        asked = {"client_id": "inner", "redirect_uri": self.BACK, "response_type": "code", "scope": "openid", "state": "s"}
        path = f"/realms/{self.REALM}/protocol/openid-connect/auth?{urlencode(asked)}"

        def log_in() -> None:
            browser.cookies.clear()
            with browser:
                status, headers, text = browser.ask("GET", path)
            _require(self, status, 302, text)
            if "code=" not in headers["Location"]:
                raise SystemExit(f"{self.name}: {headers}")

        return log_in

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)


class MissingError(Exception):
    """A peer is not to be had here; the text says why."""


def _require(peer: Peer, status: int, wanted: int, text: bytes) -> None:
    if status != wanted:
        raise SystemExit(f"{peer.name}: {status} {text[:2000]!r}")


def started(ground: Ground) -> list[Peer]:
    """calock, and of the others those that are to be had."""
    wishes: Sequence[Callable[[], Peer]] = (
        lambda: Calock(ground),
        lambda: LemonLdap(ground, "LemonLDAP::NG, packaged"),
        lambda: LemonLdap(ground, "LemonLDAP::NG, stripped", loginHistoryEnabled=0, notification=0),
        lambda: Keycloak(ground),
    )
    found = []
    for wish in wishes:
        try:
            found.append(wish())
        except MissingError as missing:
            print(missing, flush=True)
    return found


class Turn:
    """People who log in at one peer, all at once; ``parts``: what nginx, its own processes and PostgreSQL spent, of each time."""

    def __init__(self, peer: Peer, nginx: int) -> None:
        self.peer = peer
        database = postmaster(peer.ground.field)
        self._groups = (lambda: children(nginx), peer.processes, lambda: children(database))
        self._acts = [peer.person(person) for person in peer.ground.people]
        self._pool = ThreadPoolExecutor(PEOPLE)
        self.parts: list[list[float]] = []

    def run(self, count: int) -> None:
        def some(act: Callable[[], None]) -> None:
            for _ in range(count // PEOPLE):
                act()

        list(self._pool.map(some, self._acts))

    def cost(self, count: int) -> float:
        self.parts.append(cpu_milliseconds_each(self._groups, partial(self.run, count), count))
        return sum(self.parts[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logins", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--warm", type=int, default=1500, help="logins before it counts: Java compiles what is used often")
    chosen = parser.parse_args()
    field, peers, goals = Field("postgresql"), list[Peer](), Goals()
    try:
        ground = Ground(field)
        peers = started(ground)
        nginx = start_nginx(ground.place, "".join(peer.servers for peer in peers))
        try:
            measured = {peer.name: Turn(peer, nginx.pid) for peer in peers}
            for name, turn in measured.items():
                turn.run(chosen.warm if name == "Keycloak" else 100)
            found = turns({name: partial(turn.cost, chosen.logins) for name, turn in measured.items()}, chosen.rounds)
        finally:
            nginx.terminate()
            nginx.wait(30)
    finally:
        for peer in peers:
            peer.close()
        field.close()
    print(f"CPU ms of a login, nginx + own processes + PostgreSQL, P-256, {chosen.rounds} x {chosen.logins} in turns")
    for name, values in found.items():
        reached = ratio(found["calock"], values)
        goal = f"   {goals.at_most(reached, GOALS[name])}" if name in GOALS else ""
        parts = " + ".join(f"{median(part):.2f}" for part in zip(*measured[name].parts, strict=True))
        print(f"{name:<26} best {min(values):6.2f} ms, medians {parts}, calock / it {reached:.2f}{goal}")
    return goals.status()


if __name__ == "__main__":
    sys.exit(main())
