"""Password hashes that another system made: which are taken over, and how they are kept until their person logs in once.

What is slow by itself (PBKDF2, bcrypt, scrypt, Argon2) is kept as it is. A fast digest is never kept bare: it is hashed once more
with Argon2id, and so a copy of the database is no easier to try for its having been fast (Django, "Password upgrading without
requiring a login"). Either is replaced by a hash of our own when the right password comes along for the first time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import bcrypt
from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from cryptography.hazmat.primitives import hashes
from django.contrib.auth.hashers import BasePasswordHasher, BCryptPasswordHasher, get_hasher, identify_hasher
from passlib.hash import md5_crypt, sha256_crypt, sha512_crypt

MOST_PBKDF2 = 2_000_000
MOST_BCRYPT = 14
MOST_SCRYPT = 64 * 1024 * 1024
"""Bytes of memory; likewise of Argon2, in KiB below."""
MOST_ARGON2_KIB, MOST_ARGON2_TIME = 128 * 1024, 10
MOST_ARGON2_WORK = 256 * 1024
"""KiB times passes."""
MOST_ARGON2_THREADS = 8
"""As Django makes them; each lane is a thread of the server at every try."""
MOST_CRYPT = 100_000
MOST_SALT, MOST_TEXT = 64, 250
"""Octets of a salt, and characters of a hash that is kept as it is: ``Account.password`` holds 255."""
"""What one check may cost at most, about half a second of a core: no list decides how busy the server is."""

_TOO_MUCH = "密码哈希的计算量超出允许的范围"
_CRYPT: dict[str, Any] = {"1": md5_crypt, "5": sha256_crypt, "6": sha512_crypt}
_CRYPT_SHAPE = re.compile(r"(\$(?:1|5|6)\$(?:rounds=(\d{1,9})\$)?[./0-9A-Za-z]{1,16}\$)([./0-9A-Za-z]{22,86})")
_BCRYPT_SHAPE = re.compile(r"\$2[aby]\$(\d\d)\$[./0-9A-Za-z]{53}")
_LDAP_SHAPE = re.compile(r"\{([A-Za-z0-9]+)\}(.+)")
_LDAP = {"SHA": "sha1", "SSHA": "sha1", "SHA256": "sha256", "SSHA256": "sha256", "SHA512": "sha512", "SSHA512": "sha512",
         "MD5": "md5", "SMD5": "md5"}  # fmt: skip
_PLAIN = re.compile(r"(md5|sha1|sha256|sha512|sm3)(?:\((?:(password\+salt)|(salt\+password))\))?")


class Bcrypt(BCryptPasswordHasher):
    """bcrypt as other systems used it: what a password has beyond 72 octets never counted."""

    def encode(self, password: str, salt: Any) -> str:
        made = bcrypt.hashpw(password.encode()[:72], salt if isinstance(salt, bytes) else salt.encode())
        return f"{self.algorithm}${made.decode('ascii')}"


class Wrapped(BasePasswordHasher):
    """A fast digest inside Argon2id: ``imported$scheme$salt$argon2…``; scheme and salt say how the digest is made."""

    algorithm = "imported"

    def encode(self, password: str, salt: str) -> str:
        raise NotImplementedError("new passwords are hashed by PasswordHasher")

    def verify(self, password: str, encoded: str) -> bool:
        _, scheme, salt, outer = encoded.split("$", 3)
        try:
            inner = _digest(password, scheme, base64.urlsafe_b64decode(salt))
        except ValueError:  # a password that the old system could not have had: with NUL in it
            return False
        return bool(get_hasher().verify(inner, outer))

    def must_update(self, encoded: str) -> bool:  # noqa: ARG002 - Django's signature
        return True

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Nothing: the work is the same for right and wrong passwords."""


def is_foreign(encoded: str) -> bool:
    """Whether a stored hash is not of the form that passwords are kept in today."""
    ours = get_hasher()
    return identify_hasher(encoded).algorithm != ours.algorithm or ours.must_update(encoded)


class Foreign(NamedTuple):
    """A hash of another system that was read and may be taken over."""

    kept: str
    digest: str = ""
    """A fast one, to be hashed once more behind ``kept``."""

    def form(self) -> str:
        """How the database keeps it. Costs an Argon2 hash for a fast digest: 20 ms of a core."""
        ours = get_hasher()
        return self.kept + ours.encode(self.digest, ours.salt()) if self.digest else self.kept


def read_foreign(text: str, *, algorithm: str = "", salt: str = "") -> Foreign:
    """Read a hash of another system.

    ``algorithm`` and ``salt`` are for digests that do not say how they were made: ``md5``, ``sha256(salt+password)``,
    ``sm3(password+salt)`` …; the digest in hexadecimal, the salt as text.

    Raises:
        ValueError: no form that is taken over, or one that would cost more than a login may; the message is for people.
    """
    if len(text) > MOST_TEXT:
        raise ValueError(f"密码哈希最多 {MOST_TEXT} 个字符")
    if algorithm:
        return _plain(text, algorithm.replace(" ", "").lower(), salt)
    for shape, take in _FORMS:
        found = shape.match(text)
        if found:
            return take(found)
    raise ValueError("密码哈希的格式无法识别；请填写密码算法")


# --- forms that say what they are


def _of_django(found: re.Match[str]) -> Foreign:
    text = found.string
    try:
        parts = identify_hasher(text).decode(text)
    except (ValueError, AssertionError, KeyError, TypeError, InvalidHashError) as error:
        raise ValueError("密码哈希不完整") from error
    if parts["algorithm"].startswith("bcrypt"):
        _require_at_most(int(parts["work_factor"]), MOST_BCRYPT)
    elif parts["algorithm"] == "scrypt":
        _require_at_most(128 * int(parts["work_factor"]) * int(parts["block_size"]), MOST_SCRYPT)
        _require_at_most(int(parts["parallelism"]), 16)
    else:
        _require_at_most(int(parts["iterations"]), MOST_PBKDF2)
    return Foreign(text)


def _of_argon2(found: re.Match[str]) -> Foreign:
    text = found.string.removeprefix("argon2")
    try:
        settings = extract_parameters(text)
    except (InvalidHashError, ValueError) as error:
        raise ValueError("密码哈希不完整") from error
    _require_at_most(settings.memory_cost, MOST_ARGON2_KIB)
    _require_at_most(settings.time_cost, MOST_ARGON2_TIME)
    _require_at_most(settings.memory_cost * settings.time_cost, MOST_ARGON2_WORK)
    _require_at_most(settings.parallelism, MOST_ARGON2_THREADS)
    return Foreign(f"argon2{text}")


def _of_bcrypt(found: re.Match[str]) -> Foreign:
    if not _BCRYPT_SHAPE.fullmatch(found.string):
        raise ValueError("密码哈希不完整")
    _require_at_most(int(found.string[4:6]), MOST_BCRYPT)
    return Foreign(f"bcrypt${found.string}")


def _of_crypt(found: re.Match[str]) -> Foreign:
    whole = _CRYPT_SHAPE.fullmatch(found.string)
    if whole is None:
        raise ValueError("密码哈希不完整")
    if not 1000 <= int(whole[2] or 5000) <= MOST_CRYPT:
        raise ValueError(_TOO_MUCH)
    return _wrapped("crypt", whole[1].encode(), whole[3])


def _of_ldap(found: re.Match[str]) -> Foreign:
    if found[1].upper() == "CRYPT":
        return read_foreign(found[2])
    name = _LDAP.get(found[1].upper())
    if name is None:
        raise ValueError(f"不支持的密码哈希 {{{found[1][:20]}}}")
    try:
        octets = base64.b64decode(found[2], validate=True)
    except binascii.Error as error:
        raise ValueError("密码哈希不完整") from error
    size = hashlib.new(name, usedforsecurity=False).digest_size
    if len(octets) < size:
        raise ValueError("密码哈希不完整")
    return _wrapped(f"{name}-after", octets[size:], octets[:size].hex())


def _of_salted(found: re.Match[str]) -> Foreign:
    name, salt, digest = found.string.split("$", 2)
    return _plain(digest, f"{name}(salt+password)", salt)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Foreign]], ...] = (
    (re.compile(r"(argon2)?\$argon2id?\$"), _of_argon2),
    (re.compile(r"(pbkdf2_sha256|pbkdf2_sha1|bcrypt|bcrypt_sha256|scrypt)\$"), _of_django),
    (re.compile(r"\$2[a-z]?\$"), _of_bcrypt),
    (re.compile(r"\$[156]\$"), _of_crypt),
    (_LDAP_SHAPE, _of_ldap),
    (re.compile(r"(md5|sha1)\$[^$]*\$"), _of_salted),
)


def _plain(digest: str, algorithm: str, salt: str) -> Foreign:
    known = _PLAIN.fullmatch(algorithm)
    if known is None:
        raise ValueError("密码算法须为 md5、sha1、sha256、sha512 或 sm3，可加 (password+salt) 或 (salt+password)")
    if bool(known[2] or known[3]) != bool(salt):
        raise ValueError("密码算法与盐不一致：有盐须写明 (password+salt) 或 (salt+password)")
    size = 32 if known[1] == "sm3" else hashlib.new(known[1], usedforsecurity=False).digest_size
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * size}}}", digest):
        raise ValueError(f"{known[1]} 的密码哈希须为 {2 * size} 位十六进制")
    return _wrapped(f"{known[1]}-{'before' if known[3] else 'after'}", salt.encode(), digest.lower())


def _wrapped(scheme: str, salt: bytes, digest: str) -> Foreign:
    if len(salt) > MOST_SALT:
        raise ValueError(f"盐最多 {MOST_SALT} 个字节")
    return Foreign(f"imported${scheme}${base64.urlsafe_b64encode(salt).decode()}$", digest)


def _digest(password: str, scheme: str, salt: bytes) -> str:
    """The digest as the other system made it, in hexadecimal, or in crypt's letters."""
    if scheme == "crypt":
        _, kind, *rounds, letters, _ = salt.decode().split("$")
        cost = {"rounds": int(rounds[0].removeprefix("rounds=")) if rounds else 5000} if kind != "1" else {}
        return str(_CRYPT[kind].using(salt=letters, **cost).hash(password)).rpartition("$")[2]
    name, _, place = scheme.partition("-")
    octets = salt + password.encode() if place == "before" else password.encode() + salt
    if name == "sm3":
        sm3 = hashes.Hash(hashes.SM3())
        sm3.update(octets)
        return sm3.finalize().hex()
    return hashlib.new(name, octets, usedforsecurity=False).hexdigest()


def _require_at_most(number: int, most: int) -> None:
    if number > most:
        raise ValueError(_TOO_MUCH)
