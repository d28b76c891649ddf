"""SM2 signatures through libcrypto >= 3, always with the signer ID set.

``cryptography`` carries OpenSSL 4 but exposes no SM2 keys, so the system's (or Python's own) libcrypto is called by ctypes.
OpenSSL before 4.0 takes the *empty* signer ID unless told otherwise, and every real Chinese certificate uses the standard one:
it is set here on every call.

Sources: GB/T 32918.2 (SM2 signatures), GM/T 0009 clause 10 (default signer ID), GM/T 0004 (SM3).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from functools import lru_cache
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

SIGNER_ID = b"1234567812345678"
"""GM/T 0009 clause 10: the signer's distinguishing identifier when nothing else was agreed."""

N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
"""Order of the SM2 curve's base point, GB/T 32918.5."""

_A_B_G = bytes.fromhex(
    "FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFC"
    "28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93"
    "32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7"
    "BC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0"
)
SPKI_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")
"""DER of an SM2 SubjectPublicKeyInfo up to the uncompressed point, GM/T 0009 clause 7.1."""


class LibcryptoError(RuntimeError):
    """No usable libcrypto, or it failed at something that cannot fail for outside reasons."""


def sm3(data: bytes) -> bytes:
    """SM3 digest, 32 bytes (GM/T 0004)."""
    digest = _EMPTY.copy()  # making one anew takes twice as long
    digest.update(data)
    return digest.finalize()


_EMPTY = hashes.Hash(hashes.SM3())


def _candidates() -> list[str]:
    if sys.platform == "win32":
        beside = [str(path) for path in Path(sys.base_prefix, "DLLs").glob("libcrypto-3*.dll")]
        return [*beside, "libcrypto-3-x64.dll", "libcrypto-3.dll"]
    if sys.platform == "darwin":
        beside = [str(path) for path in Path(sys.base_prefix, "lib").glob("libcrypto.3*.dylib")]
        return [*beside, "libcrypto.3.dylib"]
    found = ctypes.util.find_library("crypto")
    return ["libcrypto.so.4", "libcrypto.so.3", *([found] if found else [])]


_P = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "OpenSSL_version_num": (ctypes.c_ulong, ()),
    "EVP_sm3": (_P, ()),
    "EVP_MD_CTX_new": (_P, ()),
    "EVP_MD_CTX_free": (None, (_P,)),
    "EVP_MD_CTX_set_pkey_ctx": (None, (_P, _P)),
    "EVP_PKEY_CTX_new": (_P, (_P, _P)),
    "EVP_PKEY_CTX_free": (None, (_P,)),
    "EVP_PKEY_CTX_set1_id": (ctypes.c_int, (_P, ctypes.c_char_p, ctypes.c_int)),
    "EVP_DigestVerifyInit": (ctypes.c_int, (_P, _P, _P, _P, _P)),
    "EVP_DigestVerify": (ctypes.c_int, (_P, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)),
    "EVP_DigestSignInit": (ctypes.c_int, (_P, _P, _P, _P, _P)),
    "EVP_DigestSign": (ctypes.c_int, (_P, ctypes.c_char_p, _P, ctypes.c_char_p, ctypes.c_size_t)),
    "EVP_PKEY_free": (None, (_P,)),
    "EVP_PKEY_Q_keygen": (_P, (_P, _P, ctypes.c_char_p)),
    "EVP_PKEY2PKCS8": (_P, (_P,)),
    "PKCS8_PRIV_KEY_INFO_free": (None, (_P,)),
    "i2d_PKCS8_PRIV_KEY_INFO": (ctypes.c_int, (_P, _P)),
    "i2d_PUBKEY": (ctypes.c_int, (_P, _P)),
    "d2i_PUBKEY": (_P, (_P, _P, ctypes.c_long)),
    "d2i_AutoPrivateKey": (_P, (_P, _P, ctypes.c_long)),
    "ERR_clear_error": (None, ()),
}


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Load libcrypto once.

    Raises:
        LibcryptoError: none found, or one older than 3.0.
    """
    for name in _candidates():
        try:
            found = ctypes.CDLL(name)
            for function, (result, arguments) in _SIGNATURES.items():
                entry = getattr(found, function)
                entry.restype, entry.argtypes = result, list(arguments)
        except (OSError, AttributeError):
            continue
        if found.OpenSSL_version_num() >= 0x30000000:
            return found
    raise LibcryptoError("no libcrypto >= 3.0 on this computer (Debian package: libssl3)")


class _Key:
    """An EVP_PKEY that is freed with its owner."""

    __slots__ = ("_free", "pointer")

    def __init__(self, pointer: int | None) -> None:
        lib = library()
        self._free = lib.EVP_PKEY_free
        self.pointer = pointer
        if not pointer:
            lib.ERR_clear_error()
            raise ValueError("not an SM2 key")

    def __del__(self) -> None:
        if self.pointer:
            self._free(self.pointer)


def _parse(function: str, der: bytes) -> _Key:
    buffer = ctypes.create_string_buffer(der, len(der))
    cursor = ctypes.c_void_p(ctypes.addressof(buffer))
    return _Key(getattr(library(), function)(None, ctypes.byref(cursor), len(der)))


@lru_cache(maxsize=4096)
def _public(spki_der: bytes) -> _Key:
    if len(spki_der) != 91 or not spki_der.startswith(SPKI_PREFIX):
        raise ValueError("not an SM2 public key")  # compressed or explicit forms are not allowed anyway
    return _parse("d2i_PUBKEY", spki_der)


class _DigestContext:
    """An EVP_MD_CTX with the SM2 signer ID set before anything is hashed."""

    def __init__(self, key: _Key, signer_id: bytes) -> None:
        self.lib = library()
        self.pctx = self.lib.EVP_PKEY_CTX_new(key.pointer, None)
        self.mctx = self.lib.EVP_MD_CTX_new()
        self.usable = self.lib.EVP_PKEY_CTX_set1_id(self.pctx, signer_id, len(signer_id)) == 1
        self.lib.EVP_MD_CTX_set_pkey_ctx(self.mctx, self.pctx)

    def __enter__(self) -> Self:
        if not self.usable:
            self.__exit__()
            raise ValueError("not an SM2 key")
        return self

    def __exit__(self, *_: object) -> None:
        self.lib.EVP_MD_CTX_free(self.mctx)
        self.lib.EVP_PKEY_CTX_free(self.pctx)


def sm2_verify(spki_der: bytes, signature_der: bytes, message: bytes, signer_id: bytes = SIGNER_ID) -> bool:
    """Verify SM2-with-SM3 over ``message``.

    ``spki_der`` is a DER SubjectPublicKeyInfo with an uncompressed SM2 point; ``signature_der`` is DER SEQUENCE {r, s}.
    False for anything that is not a valid signature, including a key that is not SM2 or not on the curve.
    """
    try:
        key = _public(spki_der)
    except ValueError:
        return False
    with _DigestContext(key, signer_id) as context:
        lib = context.lib
        good: bool = (
            lib.EVP_DigestVerifyInit(context.mctx, None, lib.EVP_sm3(), None, key.pointer) == 1
            and lib.EVP_DigestVerify(context.mctx, signature_der, len(signature_der), message, len(message)) == 1
        )
        if not good:
            lib.ERR_clear_error()
        return good


def sm2_public_key_valid(spki_der: bytes) -> bool:
    """Whether ``spki_der`` is an SM2 key whose point lies on the curve."""
    try:
        _public(spki_der)
    except ValueError:
        return False
    return True


def sm2_sign(private_pkcs8: bytes, message: bytes, signer_id: bytes = SIGNER_ID) -> bytes:
    """Sign with an SM2 key in unencrypted PKCS#8. For practice locks, practice CAs and tests: real keys stay in locks.

    Returns DER SEQUENCE {r, s}.

    Raises:
        ValueError: not an SM2 private key.
        LibcryptoError: libcrypto refused to sign.
    """
    key = _parse("d2i_AutoPrivateKey", private_pkcs8)
    with _DigestContext(key, signer_id) as context:
        lib = context.lib
        out = ctypes.create_string_buffer(128)
        size = ctypes.c_size_t(len(out))
        if (
            lib.EVP_DigestSignInit(context.mctx, None, lib.EVP_sm3(), None, key.pointer) != 1
            or lib.EVP_DigestSign(context.mctx, out, ctypes.byref(size), message, len(message)) != 1
        ):
            lib.ERR_clear_error()
            raise LibcryptoError("SM2 signing failed")
        return out.raw[: size.value]


def _to_der(function: str, pointer: int) -> bytes:
    lib = library()
    size = getattr(lib, function)(pointer, None)
    buffer = ctypes.create_string_buffer(max(size, 1))
    cursor = ctypes.c_void_p(ctypes.addressof(buffer))
    if size <= 0 or getattr(lib, function)(pointer, ctypes.byref(cursor)) != size:
        raise LibcryptoError(f"{function} failed")
    return buffer.raw[:size]


def sm2_generate() -> tuple[bytes, bytes]:
    """Make an SM2 key pair for practice: ``(PKCS#8 DER, SubjectPublicKeyInfo DER)``."""
    lib = library()
    key = _Key(lib.EVP_PKEY_Q_keygen(None, None, b"SM2"))
    info = lib.EVP_PKEY2PKCS8(key.pointer)
    try:
        return _to_der("i2d_PKCS8_PRIV_KEY_INFO", info), _to_der("i2d_PUBKEY", key.pointer or 0)
    finally:
        lib.PKCS8_PRIV_KEY_INFO_free(info)


def sm2_digest(spki_der: bytes, message: bytes, signer_id: bytes = SIGNER_ID) -> bytes:
    """Compute e = SM3(Z ‖ M): what a lock's raw SM2 function signs (GM/T 0009 clauses 8.1, 8.2; GM/T 0016 SKF_ECCSignData)."""
    if len(spki_der) != 91 or not spki_der.startswith(SPKI_PREFIX):
        raise ValueError("not an SM2 public key")
    z = sm3((len(signer_id) * 8).to_bytes(2, "big") + signer_id + _A_B_G + spki_der[-64:])
    return sm3(z + message)


def raw_to_der(raw: bytes) -> bytes:
    """r‖s (two halves) to DER SEQUENCE {r, s}."""
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def der_to_raw(der: bytes, size: int = 32) -> bytes:
    """DER SEQUENCE {r, s} to r‖s of ``size`` bytes each.

    Raises:
        ValueError: not such a DER value.
        OverflowError: r or s does not fit.
    """
    r, s = decode_dss_signature(der)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
