"""Backend for practice locks: files in a directory (``calock.agent.backends.softlock``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from calock.agent.backends import base
from calock.agent.backends.base import Consent, Listing, LockRecord, TokenProblem
from calock.agent.backends.serials import own_serials
from calock.agent.backends.softlock import PLUGGED, SUFFIX, SoftLock, create_soft_lock, open_key, read_soft_lock, set_pin
from calock.agent.signing import SigningInput
from calock.core.libcrypto import LibcryptoError, der_to_raw, sm2_sign
from calock.core.refusals import Reason, Refusal

__all__ = ["SoftBackend", "create_soft_lock"]


class SoftBackend:
    """All practice locks plugged into one directory."""

    def __init__(self, directory: Path) -> None:
        self._plugged = directory / PLUGGED
        self._plugged.mkdir(parents=True, exist_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._plugged.glob("*" + SUFFIX))

    def list_locks(self) -> Listing:
        locks: list[LockRecord] = []
        problems: list[TokenProblem] = []
        present: list[SoftLock] = []
        for path in self._files():
            try:
                present.append(read_soft_lock(path))
            except Refusal as refusal:
                if refusal.reason is not Reason.LOCK_REMOVED:
                    problems.append(TokenProblem(reason=refusal.reason, label=path.stem))
        for lock, serial in zip(present, own_serials(lock.body.serial for lock in present), strict=True):
            certificates = self._certificates(lock)
            if not certificates:
                problems.append(TokenProblem(reason=Reason.LOCK_WITHOUT_CERTIFICATE, label=lock.body.label, serial=serial))
            locks += [
                LockRecord(
                    key=f"{lock.path.name}/{index}",
                    device=lock.path.name,
                    certificate=certificate,
                    serial=serial,
                    label=lock.body.label,
                    manufacturer=lock.body.manufacturer,
                    pin=lock.pin,
                )
                for index, certificate in enumerate(certificates)
            ]
        return Listing(locks=tuple(locks), problems=tuple(problems))

    @staticmethod
    def _certificates(lock: SoftLock) -> tuple[bytes, ...]:
        return (lock.body.certificate, *lock.body.extra_certificates) if lock.body.certificate else ()

    def _lock(self, key: str, certificate: bytes) -> SoftLock:
        """Read the lock anew; it must hold the certificate that was shown."""
        name, _, index = key.partition("/")
        if name not in {path.name for path in self._files()}:
            raise Refusal(Reason.LOCK_REMOVED, "the lock was pulled out")
        lock = read_soft_lock(self._plugged / name)
        certificates = self._certificates(lock)
        base.require_same_certificate(certificates[int(index)] if int(index) < len(certificates) else b"", certificate)
        return lock

    def sign(self, key: str, *, certificate: bytes, pin: bytearray, signing_input: SigningInput, consent: Consent) -> bytes:
        lock = self._lock(key, certificate)
        base.require_try_allowed(pin, lock.pin, consent=consent)
        private = open_key(lock, pin)
        signature = _sign(private, signing_input)
        if not lock.path.exists():  # pulled out while it was signing: a real lock would not have answered
            raise Refusal(Reason.LOCK_REMOVED, "the lock was pulled out")
        return signature

    def change_pin(self, key: str, *, certificate: bytes, old: bytearray, new: bytearray, consent: Consent) -> None:
        lock = self._lock(key, certificate)
        base.require_length(new, lock.pin)
        base.require_try_allowed(old, lock.pin, consent=consent)
        set_pin(lock, old, new)

    def reveal(self, device: str, *, pin: bytearray, consent: Consent) -> None:  # noqa: ARG002 - the protocol's
        raise Refusal(Reason.NOT_ALLOWED, "practice locks hide no certificates")

    def fingerprint(self) -> str:
        return "\n".join(path.name for path in self._files())

    def watch(self, notify: Callable[[], None]) -> bool:  # noqa: ARG002 - the protocol's
        return False

    def close(self) -> None:
        return


def _sign(private: bytes, signing_input: SigningInput) -> bytes:
    if signing_input.algorithm == "SM2":
        try:
            return der_to_raw(sm2_sign(private, signing_input.message))
        except (ValueError, LibcryptoError) as error:
            raise Refusal(Reason.MODULE_FAILED, "the practice lock holds no SM2 key") from error
    key = load_der_private_key(private, None)
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[signing_input.algorithm[2:]]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return der_to_raw(key.sign(signing_input.message, ec.ECDSA(digest)), (key.key_size + 7) // 8)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signing_input.message, padding.PKCS1v15(), digest)
    raise Refusal(Reason.MODULE_FAILED, "the practice lock holds a key of another kind")
