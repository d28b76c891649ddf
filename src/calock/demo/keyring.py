"""The practice locks: who holds them, which CA made them, and what is wrong with some of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from calock.agent.backends.soft import create_soft_lock
from calock.agent.backends.softlock import DRAWER, PLUGGED, SUFFIX, plug, unplug
from calock.demo import pki
from calock.demo.authorities import YEAR, Family
from calock.demo.people import organisation

Trouble = Literal["", "expired", "revoked", "outside", "pin-locked", "bound"]
PEOPLE = {
    "expert": ("赵安", "11010519491231002X"),
    "operator-1": ("运营甲", "440524188001010014"),
    "operator-2": ("运营乙", "440524188001010030"),
}
"""Holders of personal certificates. The 公民身份号码 are samples that GB 11643-1999 prints, and a neighbour of one: nobody's."""


@dataclass(frozen=True, slots=True)
class LockSpec:
    """One practice lock. ``serial`` is also its CA锁ID; ``holder`` is an organisation's key or one of ``PEOPLE``."""

    name: str
    family: str
    serial: str
    holder: str
    pin: str
    says: str
    trouble: Trouble = ""
    plugged: bool = True


OPERATORS_LOCK = "SM2，已绑定给运营人员 bound to an operator"
LOCKS = (
    LockSpec("sm2", "huren-sm2", "7301401000450001", "supplier", "135790", "SM2，正常 good"),
    LockSpec("rsa", "tiangu-rsa", "3301000045102201", "supplier", "246802", "RSA-2048，正常 good"),
    LockSpec("p256", "huren-p256", "7301401000450003", "supplier", "012345", "P-256，正常 good; PIN 以 0 开头 with a leading zero"),
    LockSpec("zcy-sm2", "zcy-sm2", "3301000045102205", "zcy", "135790", "SM2，正常 good"),
    LockSpec("zcy-p256", "zcy-p256", "3301000045102206", "zcy", "246802", "P-256，正常 good"),
    LockSpec("expired", "huren-sm2", "7301401000450004", "supplier", "135790", "SM2，证书已过期 expired", "expired"),
    LockSpec("revoked", "huren-sm2", "7301401000450005", "supplier", "135790", "SM2，证书已吊销 revoked", "revoked"),
    LockSpec("outside", "outside-sm2", "9901000000000006", "supplier", "135790", "SM2，不在互认范围 CA outside 互认", "outside"),
    LockSpec("pin-locked", "huren-sm2", "7301401000450007", "supplier", "135790", "SM2，PIN 已锁定 PIN locked", "pin-locked"),
    LockSpec(
        "bound",
        "tiangu-rsa",
        "3301000045102208",
        "supplier",
        "246802",
        "RSA-2048，已绑定给李明 bound to 李明 (cssbjgys03)",
        "bound",
    ),
    LockSpec("operator-1", "huren-sm2", "7301401000450021", "operator-1", "135790", OPERATORS_LOCK, "bound"),
    LockSpec("operator-2", "huren-sm2", "7301401000450022", "operator-2", "135790", OPERATORS_LOCK, "bound"),
    LockSpec("zcy-rsa", "tiangu-rsa", "3301000045102209", "zcy", "246802", "RSA-2048，正常 good", plugged=False),
    LockSpec("expert", "huren-sm2", "7301401000450010", "expert", "135790", "SM2，个人证书 of a person: 赵安", plugged=False),
)


BOUND = {"bound": "cssbjgys03", "operator-1": "yunying01", "operator-2": "yunying02"}
"""Whose locks are bound when the world is made: the console opens for operators with their lock alone."""


def lock(name: str) -> LockSpec:
    """The practice lock of that name.

    Raises:
        KeyError: there is none.
    """
    for spec in LOCKS:
        if spec.name == name:
            return spec
    raise KeyError(name)


@dataclass(frozen=True, slots=True)
class MadeLock:
    """A practice lock as made: what a test or the world's builder needs of it."""

    spec: LockSpec
    key: pki.Key
    certificate: bytes
    serial_number: int


def _validity(spec: LockSpec, now: datetime) -> tuple[datetime, datetime]:
    if spec.trouble == "expired":  # the dates of the manual's sample row, carried to today
        return now - 2 * YEAR, now - timedelta(days=30)
    return now - timedelta(days=90), now + 2 * YEAR


def issue(spec: LockSpec, family: Family, now: datetime) -> MadeLock:
    """Make the key and have the practice CA certify it."""
    key = pki.make_key(family.spec.algorithm)
    not_before, not_after = _validity(spec, now)
    serial_number = (
        int.from_bytes(hashlib.sha256(f"calock practice {spec.serial} {now.isoformat()}".encode()).digest()[:15]) | 1 << 118
    )
    person, person_id = PEOPLE.get(spec.holder, ("", ""))
    sample = None if person else organisation(spec.holder)
    certificate = family.issuing.issue_lock(
        sample.name if sample else person,
        key,
        not_before=not_before,
        not_after=not_after,
        organisation=sample.name if sample else "",
        uscc=sample.uscc if sample else "",
        person_id=person_id,
        lock_id=spec.serial,
        serial=serial_number,
    )
    return MadeLock(spec, key, certificate, serial_number)


def make_locks(directory: Path, families: Mapping[str, Family], now: datetime) -> tuple[dict[str, MadeLock], dict[str, Family]]:
    """Put every practice lock below ``directory``; the second result is the families with the revoked serials noted."""
    made: dict[str, MadeLock] = {}
    families = dict(families)
    for spec in LOCKS:
        one = issue(spec, families[spec.family], now)
        create_soft_lock(
            directory,
            pin=spec.pin,
            key_pkcs8=one.key.private_pkcs8,
            certificate_der=one.certificate,
            serial=spec.serial,
            label=f"练习锁 {spec.name}",
            tries_left=0 if spec.trouble == "pin-locked" else None,
            plugged=spec.plugged,
        )
        if spec.trouble == "revoked":
            family = families[spec.family]
            families[spec.family] = replace(family, revoked={**family.revoked, one.serial_number: now - timedelta(days=3)})
        made[spec.name] = one
    return made, families


def is_plugged(directory: Path, spec: LockSpec) -> bool:
    return (directory / PLUGGED / (spec.serial + SUFFIX)).exists()


def move(directory: Path, spec: LockSpec, *, plugged: bool) -> bool:
    """Plug a practice lock in or pull it out. False when it already is where it should be."""
    if is_plugged(directory, spec) is plugged:
        return False
    if not (directory / (DRAWER if plugged else PLUGGED) / (spec.serial + SUFFIX)).exists():
        raise FileNotFoundError(spec.name)
    (plug if plugged else unplug)(directory, spec.serial)
    return True
