"""What an operator sets, read once from the environment and refused when it makes no sense.

``CALOCK_DATA`` (directory), ``DATABASE_URL``, ``CALOCK_SECRET_KEY`` or ``CALOCK_SECRET_KEY_FILE``, ``CALOCK_INSECURE_HTTP``
(1 only for a demonstration on loopback), ``CALOCK_HOSTS_<SITE>`` (comma list of host names of one site), ``CALOCK_PUBLIC_PORT``
(the port people's browsers use, when it is not the scheme's own), ``CALOCK_TRUSTED_PROXIES`` (comma list of addresses, networks),
``CALOCK_METRICS`` (port, or address and port, where Prometheus finds figures; none without it),
``CALOCK_ACCESS_LOG`` (0: no line for each request), ``CALOCK_FAILURES_PER_MINUTE`` (refused attempts one address may make in a
minute, default 60), ``CALOCK_EGRESS_PROXY``,
``CALOCK_AUDIT_HEADS`` (places outside that get the audit trail's heads, separated by blanks), ``CALOCK_AUDIT_HEADS_TOKEN_FILE`` and
``CALOCK_AUDIT_HEADS_S3_KEY_FILE``,
``CALOCK_OPERATORS_NEED_LOCK`` (0: operators may do with a password; default 1),
``CALOCK_SITES``, ``CALOCK_VENDORS`` (directories of sites and of CA vendors of the operator's own, beside those of the program),
``CALOCK_DATABASE_SECONDS`` (how long a person's request waits for the database, default 10), ``CALOCK_DATABASE_WAIT`` (seconds that
``calock serve`` waits for a database that is not up yet, default 300), ``CALOCK_DRAIN_SECONDS`` (how long ``/readyz`` says
"draining" before a machine that was told to end stops listening, default 5), ``CALOCK_HSTS_SUBDOMAINS`` (1: browsers use HTTPS for
all names below the sites' too), ``CALOCK_TIMESTAMP_CA`` (file of CA certificates of the time-stamp authority, PEM),
``CALOCK_MAIL`` (address of the mail server), ``CALOCK_MAIL_FROM``, ``…_USER``, ``…_PASSWORD_FILE``, ``…_SECONDS``,
``CALOCK_SMS_TOKEN_FILE`` (the SMS gateway's token),
``CALOCK_DRIVER_PORTS`` (comma list, of a demonstration only: where its pages look for the driver,
``calock.wire.driver.PORTS``), ``CALOCK_KEEP_SESSIONS_DAYS``, ``…_NOTICES_DAYS``, ``…_IMPORTS_DAYS``, ``…_AUDIT_DAYS``,
``…_LOGIN_RECEIPTS_DAYS``, ``…_BINDING_RECEIPTS_DAYS`` (how long rows are kept).
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import dj_database_url
from cryptography.x509 import load_pem_x509_certificates

from calock.server.audit.outside.addresses import Key, require_place
from calock.server.process.mail_config import MailConfigError, MailServer, read_mail_server, read_secret
from calock.server.tools.addresses import FetchRefusedError, endpoint_of
from calock.server.tools.files import make_once
from calock.wire.driver import PORTS

_SERVER = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]/]+))(?::(?P<port>[0-9]{1,5}))?")
OWN_FILES = frozenset({"secret.key", "calock.sqlite3", "audit-seal.key", "static", "jobs.lock"})
"""What shows that a folder is a data folder of ours."""


Network = IPv4Network | IPv6Network


class ConfigError(RuntimeError):
    """The environment asks for something that cannot work."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that rows are kept after they have served; each has a floor below which the start is refused."""

    sessions: int = 400
    notices: int = 400
    imports: int = 90
    audit: int = 1095
    """Nothing deletes audit rows by itself: younger ones are not let go of when the archive is asked to."""
    login_receipts: int = 7305
    """Twenty years: procurement files are kept for 15 years from the end of the procurement (政府采购法 clause 42)."""
    binding_receipts: int = 7305
    """From the end of the binding."""


@dataclass(frozen=True, slots=True)
class Config:
    data: Path
    database_url: str
    secrets: tuple[str, ...]
    """The newest first: it makes what is new, the others recognise what they made before."""
    insecure_http: bool
    trusted_proxies: tuple[Network, ...]
    egress_proxy: str
    public_port: str = ""
    failures_per_minute: int = 60
    operators_need_lock: bool = True
    driver_ports: tuple[int, ...] = PORTS
    sites: Path | None = None
    vendors: Path | None = None
    drain_seconds: int = 5
    database_seconds: int = 10
    database_wait: int = 300
    keep: Retention = Retention()
    hsts_subdomains: bool = False
    timestamp_ca: Path | None = None
    """CA certificates of the time-stamp authority, PEM."""
    heads_places: tuple[str, ...] = ()
    heads_token: str = ""
    heads_key: Key | None = None
    metrics: tuple[str, int] | None = None
    """Address and port for Prometheus."""
    access_log: bool = True
    mail: MailServer | None = None
    sms_token: str = ""


def _flag(name: str, *, default: str = "0") -> bool:
    value = os.environ.get(name) or default
    if value not in ("0", "1"):
        raise ConfigError(f"{name} must be 0 or 1, not {value!r}")
    return value == "1"


def _number(name: str, *, default: int | None, low: int, high: int) -> int | None:
    value = os.environ.get(name, "")
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
        raise ConfigError(f"{name} must be a number from {low} to {high}, not {value!r}")
    return int(value)


def _proxies() -> tuple[Network, ...]:
    named = filter(None, (part.strip() for part in os.environ.get("CALOCK_TRUSTED_PROXIES", "").split(",")))
    try:
        found = tuple(ip_network(part) for part in named)
    except ValueError as error:
        raise ConfigError(
            f"CALOCK_TRUSTED_PROXIES is a comma list of IP addresses and networks such as 10.1.2.0/24: {error}"
        ) from error
    for network in found:
        if network.prefixlen < (8 if network.version == 4 else 16):
            raise ConfigError(f"CALOCK_TRUSTED_PROXIES: {network}: each user of so much Internet could name any address")
    return found


def _metrics() -> tuple[str, int] | None:
    """Whoever reaches it may read it, so it is loopback unless an address is named."""
    value = os.environ.get("CALOCK_METRICS", "")
    if not value:
        return None
    host, _, port = value.rpartition(":")
    try:
        address = str(ip_address(host.strip("[]"))) if host else "127.0.0.1"
        number = int(port) if port.isascii() and port.isdigit() else 0
    except ValueError:
        address, number = "", 0
    if not address or not 1 <= number <= 65535:
        raise ConfigError(f"CALOCK_METRICS is a port, or an address and a port such as 10.0.0.7:9464 or [::1]:9464, not {value!r}")
    return address, number


def _egress_proxy() -> str:
    """What it names is spoken to in plain HTTP; to proxies that want a password or TLS nothing here could speak."""
    value = os.environ.get("CALOCK_EGRESS_PROXY", "")
    if value:
        try:
            scheme, _, _ = endpoint_of(value)
        except FetchRefusedError as error:
            raise ConfigError(f"CALOCK_EGRESS_PROXY is an address such as http://proxy.example:3128: {error}") from error
        if scheme != "http" or urlsplit(value).path not in ("", "/"):
            raise ConfigError("CALOCK_EGRESS_PROXY is an address such as http://proxy.example:3128, with nothing behind the port")
    return value


def _heads_key() -> Key | None:
    named = os.environ.get("CALOCK_AUDIT_HEADS_S3_KEY_FILE", "")
    try:
        lines = Path(named).read_text("ascii").split() if named else []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"CALOCK_AUDIT_HEADS_S3_KEY_FILE names {named}, which cannot be read: {error}") from error
    if named and len(lines) != 2:
        raise ConfigError(f"CALOCK_AUDIT_HEADS_S3_KEY_FILE names {named}, which is not two lines: a key's id, its secret")
    return Key(*lines) if named else None


def _heads_places(token: str, key: Key | None) -> tuple[str, ...]:
    """Where every head goes; what makes no sense stops the start, since nobody would miss it."""
    places = tuple(dict.fromkeys(os.environ.get("CALOCK_AUDIT_HEADS", "").split()))
    for place in places:
        try:
            require_place(place, token=bool(token), key=key is not None)
        except ValueError as error:
            raise ConfigError(f"CALOCK_AUDIT_HEADS: {error}") from error
    return places


def _driver_ports(*, insecure_http: bool) -> tuple[int, ...]:
    """Several demonstrations on one computer: the pages of each find its own driver, and no other. Real users have one driver."""
    value = os.environ.get("CALOCK_DRIVER_PORTS", "")
    if not value:
        return PORTS
    if not insecure_http:
        raise ConfigError("CALOCK_DRIVER_PORTS is for demonstrations on loopback, with CALOCK_INSECURE_HTTP=1")
    named = [part.strip() for part in value.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= 65535 for part in named):
        raise ConfigError(f"CALOCK_DRIVER_PORTS is a comma list of ports, not {value!r}")
    return tuple(map(int, named))


def _secrets(data: Path) -> tuple[str, ...]:
    value = os.environ.get("CALOCK_SECRET_KEY", "")
    named = os.environ.get("CALOCK_SECRET_KEY_FILE", "")
    path = Path(named) if named else data / "secret.key"
    if not value:
        if not path.exists():
            if named:
                raise ConfigError(f"CALOCK_SECRET_KEY_FILE names {path}, which does not exist")
            make_once(path, secrets.token_urlsafe(48).encode())
        try:
            value = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the secret key cannot be read from {path}: {error}") from error
    found = tuple(dict.fromkeys(line.strip() for line in value.splitlines() if line.strip()))
    if not found or min(map(len, found)) < 32:
        raise ConfigError("the secret key must have at least 32 characters; several stand on a line each, the newest first")
    return found


def _data() -> Path:
    data = Path(os.environ.get("CALOCK_DATA") or Path.home() / ".local/share/calock-server").resolve()
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close(data)
    except OSError as error:
        raise ConfigError(f"CALOCK_DATA names {data}, which cannot be made or closed to others: {error.strerror}") from error
    return data


def _own(name: str) -> Path | None:
    """A directory of the operator's own definitions. One that is not there is a mistake: its sites would be gone without a word."""
    value = os.environ.get(name, "")
    if value and not Path(value).is_dir():
        raise ConfigError(f"{name} names {value}, which is no directory")
    return Path(value).resolve() if value else None


def _certificates(name: str) -> Path | None:
    """A file of CA certificates in PEM. One that cannot be read is a mistake that nobody would see for an hour."""
    value = os.environ.get(name, "")
    if not value:
        return None
    try:
        load_pem_x509_certificates(Path(value).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name} names {value}, which is no readable file of certificates in PEM: {error}") from error
    return Path(value).resolve()


def _close(data: Path) -> None:
    """Take other users' rights away from a folder that was found with some, as systemd's StateDirectory makes it.

    Only from one that is empty or has our files in it: whoever names a folder of the system by mistake is told, not obeyed.
    """
    mode = stat.S_IMODE(data.stat().st_mode)
    if not mode & 0o077:
        return
    names = {path.name for path in data.iterdir()}
    if names and not names & OWN_FILES:
        raise ConfigError(f"CALOCK_DATA names {data}, which other users may read (mode {mode:o}) and which holds other files")
    data.chmod(0o700)


def _with_hosts_apart(url: str) -> str:
    """``postgresql://h1:5432,h2:5433/name`` (libpq, "Specifying Multiple Hosts") with the hosts among the options."""
    parts = urlsplit(url)
    who, at, where = parts.netloc.rpartition("@")
    if "," not in where:
        return url
    named = [_SERVER.fullmatch(server) for server in where.split(",")]
    if not all(named):
        raise ValueError("an address among several")
    hosts = ",".join(found["six"] or found["host"] for found in named if found)
    ports = ",".join(found["port"] or "5432" for found in named if found)
    options = "&".join(filter(None, (f"host={hosts}&port={ports}", parts.query)))
    return urlunsplit((parts.scheme, who + at, parts.path, options, ""))


def _database_url(data: Path) -> str:
    """What is refused is not repeated: it may hold a password."""
    value = os.environ.get("DATABASE_URL") or f"sqlite:///{data / 'calock.sqlite3'}"
    if value.partition("://")[0] not in ("postgresql", "postgres", "sqlite"):
        raise ConfigError("DATABASE_URL must begin with postgresql:// or sqlite:///")
    try:
        value = _with_hosts_apart(value)
        name = dj_database_url.parse(value)["NAME"]
    except ValueError as error:
        raise ConfigError("DATABASE_URL is no address; what is unusual in a user name or password is written %XX") from error
    if name in ("", ":memory:"):
        raise ConfigError("DATABASE_URL names no database: postgresql://user:password@host/name")
    return value


def _retention() -> Retention:
    """The floors.

    Audit rows six months (网络安全法 clause 21 (3)); receipts three years, after which a claim is barred (民法典 clause 188), those
    of bindings five, as long as a CA keeps what it knows of a certificate (电子签名法 clause 24).
    """
    usual = Retention()
    floors = {"sessions": 30, "notices": 30, "imports": 7, "audit": 180, "login_receipts": 1095, "binding_receipts": 1826}
    days = {
        name: _number(f"CALOCK_KEEP_{name.upper()}_DAYS", default=getattr(usual, name), low=floor, high=36500)
        for name, floor in floors.items()
    }
    return Retention(**{name: value for name, value in days.items() if value is not None})


def read_config() -> Config:
    """Read the environment.

    Raises:
        ConfigError: a value that makes no sense, named.
    """
    data = _data()
    port = _number("CALOCK_PUBLIC_PORT", default=None, low=1, high=65535)
    insecure_http = _flag("CALOCK_INSECURE_HTTP")
    heads_key = _heads_key()
    try:
        heads_token = read_secret("CALOCK_AUDIT_HEADS_TOKEN_FILE")
        mail, sms_token = read_mail_server(), read_secret("CALOCK_SMS_TOKEN_FILE")
    except MailConfigError as error:
        raise ConfigError(str(error)) from error
    return Config(
        data=data,
        database_url=_database_url(data),
        secrets=_secrets(data),
        insecure_http=insecure_http,
        trusted_proxies=_proxies(),
        egress_proxy=_egress_proxy(),
        public_port="" if port is None else str(port),
        operators_need_lock=_flag("CALOCK_OPERATORS_NEED_LOCK", default="1"),
        failures_per_minute=_number("CALOCK_FAILURES_PER_MINUTE", default=60, low=1, high=1_000_000) or 60,
        driver_ports=_driver_ports(insecure_http=insecure_http),
        sites=_own("CALOCK_SITES"),
        vendors=_own("CALOCK_VENDORS"),
        drain_seconds=_number("CALOCK_DRAIN_SECONDS", default=5, low=0, high=600) or 0,
        database_seconds=_number("CALOCK_DATABASE_SECONDS", default=10, low=1, high=600) or 10,
        database_wait=_number("CALOCK_DATABASE_WAIT", default=300, low=0, high=86_400) or 0,
        keep=_retention(),
        hsts_subdomains=_flag("CALOCK_HSTS_SUBDOMAINS"),
        timestamp_ca=_certificates("CALOCK_TIMESTAMP_CA"),
        heads_places=_heads_places(heads_token, heads_key),
        heads_token=heads_token,
        heads_key=heads_key,
        metrics=_metrics(),
        access_log=_flag("CALOCK_ACCESS_LOG", default="1"),
        mail=mail,
        sms_token=sms_token,
    )
