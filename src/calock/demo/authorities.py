"""The practice CAs: made once, kept on disk, and their CRLs signed anew whenever they are asked for."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from calock.demo import pki

CRL_LIFE = timedelta(days=7)
YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class FamilySpec:
    """One practice CA: a root and an issuing CA below it. ``providers``: that recognise it, on a site each; none = outside 互认."""

    code: str
    providers: tuple[str, ...]
    algorithm: pki.Algorithm
    label: str


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    code: str
    name: str
    short_name: str
    sites: tuple[str, ...]
    hotline: str


PROVIDERS = (
    ProviderSpec("shanxi-huren", "山西CA互认平台", "山西 CA", ("shanxi",), "0351-0000-000 练习"),
    ProviderSpec("zhejiang-tiangu", "浙江天谷CA", "浙江天谷CA", ("shanxi", "zcy"), "0571-0000-001 练习"),
    ProviderSpec("zcy-huren", "政采云CA互认平台", "政采云 CA", ("zcy",), "0571-0000-002 练习"),
)
FAMILIES = (
    FamilySpec("huren-sm2", ("shanxi-huren",), "SM2", "山西互认练习 SM2"),
    FamilySpec("huren-p256", ("shanxi-huren", "zcy-huren"), "EC", "两地互认练习 P-256"),  # one CA that both platforms recognise
    FamilySpec("tiangu-rsa", ("zhejiang-tiangu",), "RSA", "浙江天谷练习 RSA"),
    FamilySpec("zcy-sm2", ("zcy-huren",), "SM2", "政采云练习 SM2"),
    FamilySpec("zcy-p256", ("zcy-huren",), "EC", "政采云练习 P-256"),
    FamilySpec("outside-sm2", (), "SM2", "互认范围外练习 SM2"),
)


@dataclass(frozen=True, slots=True)
class Family:
    """A practice CA with its keys. ``revoked``: serial → date, for the issuing CA's CRL."""

    spec: FamilySpec
    root: pki.Authority
    issuing: pki.Authority
    revoked: Mapping[int, datetime]

    def authorities(self) -> Iterator[tuple[str, pki.Authority]]:
        """(name of the CRL file, authority), root first."""
        yield f"{self.spec.code}-root.crl", self.root
        yield f"{self.spec.code}.crl", self.issuing

    def crls(self, now: datetime) -> dict[str, bytes]:
        """Both CRLs, signed now; the number grows with the time, so a later one always replaces an earlier one."""
        number = int(now.timestamp())
        made = {}
        for name, authority in self.authorities():
            revoked = self.revoked if authority is self.issuing else {}
            entries = [(serial, moment, "keyCompromise") for serial, moment in sorted(revoked.items())]
            made[name] = authority.crl(entries, this_update=now - timedelta(minutes=5), next_update=now + CRL_LIFE, number=number)
        return made


def make_family(spec: FamilySpec, now: datetime) -> Family:
    """Generate the keys and certificates of one practice CA."""
    root = pki.make_root(f"{spec.label} 根CA", spec.algorithm, not_before=now - 6 * YEAR, not_after=now + 14 * YEAR)
    issuing = root.intermediate(f"{spec.label} CA", not_before=now - 6 * YEAR, not_after=now + 9 * YEAR)
    return Family(spec, root, issuing, {})


def _authority_as_json(authority: pki.Authority) -> dict[str, Any]:
    return {
        "algorithm": authority.key.algorithm,
        "key": b64encode(authority.key.private_pkcs8).decode(),
        "spki": b64encode(authority.key.spki_der).decode(),
        "subject": b64encode(authority.subject).decode(),
        "certificate": b64encode(authority.certificate).decode(),
    }


def _authority_from_json(record: Mapping[str, Any], above: tuple[bytes, ...] = ()) -> pki.Authority:
    key = pki.Key(record["algorithm"], b64decode(record["key"]), b64decode(record["spki"]))
    certificate = b64decode(record["certificate"])
    return pki.Authority(key, b64decode(record["subject"]), certificate, (certificate, *above))


def save_family(family: Family, directory: Path) -> None:
    path = directory / f"{family.spec.code}.json"
    record = {
        "root": _authority_as_json(family.root),
        "issuing": _authority_as_json(family.issuing),
        "revoked": {f"{serial:x}": moment.isoformat() for serial, moment in family.revoked.items()},
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(record), "utf-8")


def load_families(directory: Path) -> dict[str, Family]:
    """Every practice CA that :func:`save_family` wrote, by code."""
    families = {}
    for spec in FAMILIES:
        record = json.loads((directory / f"{spec.code}.json").read_text("utf-8"))
        root = _authority_from_json(record["root"])
        issuing = _authority_from_json(record["issuing"], root.chain)
        revoked = {int(serial, 16): datetime.fromisoformat(moment) for serial, moment in record["revoked"].items()}
        families[spec.code] = Family(spec, root, issuing, revoked)
    return families
