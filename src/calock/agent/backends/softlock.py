"""The practice lock as a file: what the demo and the tests plug in.

A directory holds ``plugged/`` and ``drawer/``; a lock is plugged in while its file lies in ``plugged/``. The first line
carries the tries left at a fixed place, so that spending one is two bytes written in place and flushed to disk before the
PIN is looked at; the rest is JSON. The private key is sealed with AES-256-GCM under a key derived from the PIN by scrypt.

A file can be copied, so the try counter does not hold against a person who can write the directory: for practice and tests only.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from calock.agent.backends.base import PinState
from calock.core.refusals import Reason, Refusal

MAGIC = b"CALOCK-SOFT-LOCK/1 tries "
SUFFIX = ".lock"
PLUGGED, DRAWER = "plugged", "drawer"
MAX_FILE = 64 * 1024
COST: Final = 1024
"""Of scrypt: 3 ms and 1 MiB per try. No cost would keep six digits from a person who has the file."""


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the file that a PIN try does not touch."""

    serial: str
    label: str
    manufacturer: str
    tries_max: int
    default_pin: bool
    certificate: bytes
    """DER of the signing certificate; empty: a lock without a certificate."""
    encryption_certificate: bytes | None = None
    extra_certificates: tuple[bytes, ...] = ()
    """Older signing certificates of the same key."""
    cost: Literal[1024, 16384] = 16384
    """Files that do not say it were made with this one."""
    salt: bytes
    nonce: bytes
    sealed_key: bytes


class SoftLock(msgspec.Struct, frozen=True, kw_only=True):
    """One practice lock as read from its file."""

    path: Path
    tries_left: int
    body: Body

    @property
    def pin(self) -> PinState:
        return PinState(
            tries_left=self.tries_left,
            tries_max=self.body.tries_max,
            locked=self.tries_left == 0,
            default=self.body.default_pin,
        )


def _kek(pin: bytes | bytearray, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(bytes(pin))


def _seal(pin: bytes | bytearray, key_pkcs8: bytes) -> tuple[bytes, bytes, bytes]:
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    return salt, nonce, AESGCM(_kek(pin, salt, COST)).encrypt(nonce, key_pkcs8, MAGIC)


def _first_line(tries: int) -> bytes:
    return MAGIC + f"{tries:02d}\n".encode()


def _write_whole(path: Path, tries: int, body: Body) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(_first_line(tries) + msgspec.json.encode(body))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def create_soft_lock(
    directory: Path,
    *,
    pin: str,
    key_pkcs8: bytes,
    certificate_der: bytes,
    serial: str,
    label: str,
    manufacturer: str = "calock 练习锁",
    encryption_certificate_der: bytes | None = None,
    extra_certificates_der: tuple[bytes, ...] = (),
    tries: int = 6,
    tries_left: int | None = None,
    default_pin: bool = False,
    plugged: bool = True,
) -> Path:
    """Make one practice lock below ``directory`` and return its file.

    ``key_pkcs8`` is the signing key, unencrypted PKCS#8 DER: SM2, RSA or EC. ``serial`` names the file (letters, digits, ``-``),
    so plugging a second lock with the same serial replaces the first. ``tries_left=0`` makes a lock whose PIN is locked.
    """
    if not serial.replace("-", "").isalnum() or not serial.isascii():
        raise ValueError("a serial is letters, digits and hyphens")
    if not 1 <= tries <= 99:
        raise ValueError("1 to 99 tries")
    for name in (PLUGGED, DRAWER):
        (directory / name).mkdir(parents=True, exist_ok=True)
    salt, nonce, sealed = _seal(pin.encode(), key_pkcs8)
    body = Body(
        serial=serial,
        label=label,
        manufacturer=manufacturer,
        tries_max=tries,
        default_pin=default_pin,
        certificate=certificate_der,
        encryption_certificate=encryption_certificate_der,
        extra_certificates=extra_certificates_der,
        cost=COST,
        salt=salt,
        nonce=nonce,
        sealed_key=sealed,
    )
    path = directory / (PLUGGED if plugged else DRAWER) / (serial + SUFFIX)
    _write_whole(path, tries if tries_left is None else tries_left, body)
    return path


def plug(directory: Path, serial: str) -> Path:
    """Plug a practice lock in."""
    return (directory / DRAWER / (serial + SUFFIX)).replace(directory / PLUGGED / (serial + SUFFIX))


def unplug(directory: Path, serial: str) -> Path:
    """Pull a practice lock out; its file waits in ``drawer/``."""
    return (directory / PLUGGED / (serial + SUFFIX)).replace(directory / DRAWER / (serial + SUFFIX))


def read_soft_lock(path: Path) -> SoftLock:
    """Read a practice lock.

    Raises:
        Refusal: LOCK_REMOVED (no such file), MODULE_FAILED (damaged).
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        raise Refusal(Reason.LOCK_REMOVED, "the lock was pulled out") from error
    end = len(MAGIC) + 3
    if len(data) > MAX_FILE or not data.startswith(MAGIC) or not data[len(MAGIC) : end - 1].isdigit():
        raise Refusal(Reason.MODULE_FAILED, "damaged practice lock")
    try:
        body = msgspec.json.decode(data[end:], type=Body)
    except msgspec.MsgspecError as error:
        raise Refusal(Reason.MODULE_FAILED, "damaged practice lock") from error
    return SoftLock(path=path, tries_left=int(data[len(MAGIC) : end - 1]), body=body)


def _write_tries(path: Path, tries: int) -> None:
    try:
        with path.open("r+b") as file:  # never creates: a lock that was pulled out is not made again
            file.seek(0)
            file.write(_first_line(tries))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError as error:
        raise Refusal(Reason.LOCK_REMOVED, "the lock was pulled out") from error


def open_key(lock: SoftLock, pin: bytearray) -> bytes:
    """Spend one try and unseal the private key (PKCS#8 DER). The try is on disk before the PIN is looked at.

    Raises:
        Refusal: PIN_WRONG or PIN_LOCKED with ``tries_left``; LOCK_REMOVED.
    """
    left = lock.tries_left - 1
    if left < 0:
        raise Refusal(Reason.PIN_LOCKED, "the lock's PIN is locked", {"tries_left": 0})
    _write_tries(lock.path, left)
    try:
        key = AESGCM(_kek(pin, lock.body.salt, lock.body.cost)).decrypt(lock.body.nonce, lock.body.sealed_key, MAGIC)
    except InvalidTag as error:
        reason = Reason.PIN_WRONG if left else Reason.PIN_LOCKED
        raise Refusal(reason, "wrong PIN", {"tries_left": left}) from error
    _write_tries(lock.path, lock.body.tries_max)
    return key


def set_pin(lock: SoftLock, old: bytearray, new: bytearray) -> None:
    """Seal the key under another PIN; the default-PIN mark goes.

    Raises:
        Refusal: as ``open_key``.
    """
    key = open_key(lock, old)
    salt, nonce, sealed = _seal(new, key)
    body = msgspec.structs.replace(lock.body, cost=COST, salt=salt, nonce=nonce, sealed_key=sealed, default_pin=False)
    _write_whole(lock.path, lock.body.tries_max, body)
