"""Build the driver packages that the download centre serves: ``calock packages build``.

Each is a zip with wheels, installer, licences and a signed manifest (``calock.wire.package``). The same sources, settings and key
give the same bytes. The signing key is the operator's: ``CALOCK_PACKAGE_KEY_FILE`` names it (Ed25519, PEM). Without it a practice
key is made beside the packages, and the packages allow the practice sites on this computer only.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import calock
from calock.agent.config import ConfigError, check_origin
from calock.packages.licences import licences
from calock.packages.own import own_wheel
from calock.packages.targets import PYTHONS, TARGETS, Target
from calock.packages.wheels import fetch
from calock.wire.archive import write_archive
from calock.wire.package import FORMAT, MANIFEST, SIGNATURE, inspect, parse_manifest
from calock.wire.vendors import LibraryKind, Product, System, Vendor, library_names, read_vendors

HERE = Path(__file__).resolve().parent
SCRIPTS = {
    "linux": ("install.sh", "uninstall.sh"),
    "macos": ("install.command", "uninstall.command"),
    "windows": ("install.cmd", "install.ps1", "uninstall.cmd", "uninstall.ps1"),
}
PRACTICE_PORTS = range(8000, 8010)
PRACTICE_HOSTS = {"shanxi": ("shanxi.localhost", "127.0.0.1", "localhost"), "zcy": ("zcy.localhost",)}


class BuildError(RuntimeError):
    """A package cannot be built; says why."""


@dataclass(frozen=True)
class Order:
    """What to build with."""

    key: Ed25519PrivateKey
    origins: Mapping[str, tuple[str, ...]]
    """By site."""
    epoch: int
    """Seconds since 1970 of the sources: the only time that enters a package."""
    vendors: Mapping[str, Vendor]
    """By code; each that says what its product is gets a package."""
    wheels: Path
    """Where fetched wheels are kept."""
    own: Path | None
    """calock's own wheel; None: it is made."""
    out: Path


def load_signing_key(out: Path) -> Ed25519PrivateKey:
    """The operator's key, else a practice key, made once and kept in ``out``."""
    named = os.environ.get("CALOCK_PACKAGE_KEY_FILE", "")
    path = Path(named) if named else out / "practice-key.pem"
    if not named and not path.exists():
        made = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(made)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise BuildError(f"{path}: not an unencrypted private key in PEM: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BuildError(f"{path}: packages are signed with Ed25519")
    return key


def public_text(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def read_origins(settings: Path | None) -> dict[str, tuple[str, ...]]:
    """Origins by site from a settings file, or those of the practice sites."""
    if settings is None:
        return {
            site: tuple(f"http://{host}:{port}" for port in PRACTICE_PORTS for host in hosts)
            for site, hosts in PRACTICE_HOSTS.items()
        }
    try:
        sites = tomllib.loads(settings.read_text("utf-8"))["sites"]
        return {site: tuple(check_origin(origin) for origin in value["origins"]) for site, value in sites.items()}
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ConfigError) as error:
        raise BuildError(f"{settings}: {error}") from error


def _scripts(target: Target, words: Mapping[str, str]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name in SCRIPTS[target.os]:
        text = (HERE / "scripts" / name.replace(".command", ".sh")).read_text("utf-8")
        if target.os == "windows":
            text = text.replace("\n", "\r\n")
        # PowerShell 5 reads Chinese only after a byte order mark
        files[name] = text.encode("utf-8-sig" if name.endswith(".ps1") else "utf-8")
    for path in sorted((HERE / "installer").glob("*.py")):
        files[f"installer/{path.name}"] = path.read_bytes()
    readme = (HERE / "scripts" / f"readme-{target.os}.txt").read_text("utf-8")
    for word, value in words.items():
        readme = readme.replace(f"@{word}@", value)
    files["安装说明.txt"] = readme.replace("\n", "\r\n").encode("utf-8-sig")
    return files


def _modules(order: Order, target: Target) -> dict[str, Any]:
    """Every driver looks for every vendor's libraries: a person's lock is not always the one that a package is named after."""
    system = cast(System, target.os)
    kinds: tuple[LibraryKind, ...] = ("skf", "pkcs11")
    own = [vendor for code, vendor in order.vendors.items() if code not in read_vendors()]
    named = {f"{kind}_names": list(library_names(own, kind, system)) for kind in kinds}
    return {"find_skf": True, "find_pkcs11": True, **{key: names for key, names in named.items() if names}}


def _manifest(order: Order, code: str, product: Product, target: Target, files: dict[str, bytes]) -> bytes:
    manifest = {
        "format": FORMAT,
        "code": code,
        "title": product.title,
        "version": calock.__version__,
        "os": target.os,
        "arch": target.arch,
        "sites": product.sites,
        "providers": product.providers,
        "origins": _origins(order, code, product),
        "key": public_text(order.key),
        "released": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(order.epoch)),
        "changes": tomllib.loads((HERE / "changes.toml").read_text("utf-8")).get(calock.__version__, "").strip(),
        "modules": _modules(order, target),
        "files": {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()},
    }
    return json.dumps(manifest, ensure_ascii=False, sort_keys=True, indent=1).encode()


def _dos_time(epoch: int) -> tuple[int, int]:
    at = time.gmtime(epoch)
    return at.tm_hour << 11 | at.tm_min << 5 | at.tm_sec // 2, (at.tm_year - 1980) << 9 | at.tm_mon << 5 | at.tm_mday


def build_one(order: Order, code: str, product: Product, target: Target, own: Path) -> Path:
    """Build one package; it is inspected as the server will before it is put in place."""
    wheels = [*fetch(target, order.wheels), own]
    files = {f"wheels/{path.name}": path.read_bytes() for path in wheels}
    words = {"TITLE": product.title, "VERSION": calock.__version__, "CODE": code, "PYTHONS": "、".join(PYTHONS)}
    files |= _scripts(target, words)
    files |= licences(wheels)
    text = _manifest(order, code, product, target, files)
    files[MANIFEST] = text
    files[SIGNATURE] = base64.b64encode(order.key.sign(text)) + b"\n"
    manifest = parse_manifest(text)
    runnable = frozenset(f"{manifest.folder}/{name}" for name in SCRIPTS[target.os] if not name.endswith((".cmd", ".ps1")))
    whole = io.BytesIO()
    inner = {f"{manifest.folder}/{name}": data for name, data in files.items()}
    write_archive(whole, inner, executable=runnable, dos_time=_dos_time(order.epoch))
    inspect(whole, [public_text(order.key)])
    order.out.mkdir(parents=True, exist_ok=True)
    path = order.out / manifest.file_name
    path.write_bytes(whole.getvalue())
    return path


def _is_wanted(mine: set[str], codes: frozenset[str], names: frozenset[str], skip: frozenset[str]) -> bool:
    """``codes`` and ``names``: what was asked for of each kind; nothing asked for is everything."""
    return not mine & skip and (not codes or bool(mine & codes)) and (not names or bool(mine & names))


def _origins(order: Order, code: str, product: Product) -> list[str]:
    origins = [origin for site in product.sites for origin in order.origins.get(site, ())]
    if not origins:
        raise BuildError(f"{code}: the settings name no origin of {', '.join(product.sites)}")
    return origins


def build(order: Order, *, only: frozenset[str] = frozenset(), skip: frozenset[str] = frozenset()) -> list[Path]:
    """Build every package, or those whose code or system (``linux-x86_64``) is in ``only`` and not in ``skip``.

    Raises:
        BuildError, WheelError, LicenceError: see there.
    """
    products = {code: vendor.product for code, vendor in order.vendors.items() if vendor.product}
    codes = products.keys()
    names = {target.name for target in TARGETS}
    if (only | skip) - codes - names:
        raise BuildError(f"neither a package nor a system: {', '.join(sorted((only | skip) - codes - names))}")
    wanted = [
        (target, code)
        for target in TARGETS
        for code in products
        if _is_wanted({code, target.name}, only & codes, only & names, skip)
    ]
    for _, code in wanted:
        _origins(order, code, products[code])
    own = order.own or own_wheel(order.wheels, order.epoch)
    built = []
    for target, code in wanted:
        built.append(build_one(order, code, products[code], target, own))
        print(built[-1].name, flush=True)
    (order.out / "package-key.txt").write_text(public_text(order.key) + "\n", "utf-8")
    return built
