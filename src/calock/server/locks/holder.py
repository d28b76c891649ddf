"""What the server keeps of a lock's certificate: no personal id in clear, only its keyed hash and its masked form."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa

from calock.core.certificates.certificate import Certificate
from calock.core.masking import mask_person_ids
from calock.core.verdict import Identity
from calock.server.locks.answers import Proof
from calock.server.locks.decision_record import Details
from calock.server.receipts.drafts import Draft
from calock.server.tools import seals

DEVICE = 24
"""Characters of a device's serial that are kept, from its end."""
HASHED_ID = r"\*.*-[0-9a-f]{16}$"
"""A lock's id, as it is kept, that a keyed hash of an identity number is part of."""


def holder_hmacs(kind: str, holder_id: str) -> tuple[str, ...]:
    """HMAC-SHA256 of a holder's id with each key only this server has, the newest first; empty text for no id."""
    return seals.macs("holder", f"{kind}\x1f{holder_id}".encode()) if holder_id else ("",)


def key_identity(certificate: Certificate) -> str:
    """What makes two keys one, as SHA-256 in hex: the modulus for RSA, else the SPKI.

    Whoever knows the factors of a modulus signs with every exponent, so two RSA keys over one modulus are one secret.
    """
    key = certificate.public_key
    if not isinstance(key, rsa.RSAPublicKey):
        return certificate.spki_sha256
    modulus = key.public_numbers().n
    return hashlib.sha256(modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")).hexdigest()


def stored_lock_ids(lock_id: str) -> tuple[str, ...]:
    """A lock's id as it is kept, by each key, the newest first.

    Where a CA writes the holder's 身份证号 into it, that is masked and a keyed hash stands for it. Where not, no key is needed.
    """
    shown = mask_person_ids(lock_id)
    if shown == lock_id:
        return (lock_id[:64],)
    return tuple(f"{shown[:47]}-{found[:16]}" for found in seals.former_macs("holder", f"lock\x1f{lock_id}".encode()))


@dataclass(frozen=True, slots=True)
class ProvenCertificate:
    """A proven certificate in the terms of our tables."""

    provider: str
    ca_spki_sha256: str
    ca_group: str
    serial: str
    cert_sha256: str
    spki_sha256: str
    key_sha256: str
    lock_ids: tuple[str, ...]
    """As the tables may know it, the newest key's first."""
    id_is_signed: bool
    """Its CA signed what names the lock; else the driver reported the serial of the device."""
    devices: tuple[str, ...]
    """As ``Lock.device``, by each key; an empty text for none."""
    holder_kind: str
    holder_id: str = field(repr=False)
    holder_hmacs: tuple[str, ...]
    """The same of its holder's id."""
    holder_masked: str
    subject_cn: str
    algorithm: str
    not_before: datetime
    not_after: datetime
    certificate: Certificate = field(repr=False)
    details: Details
    """Of the decision, for the audit row."""
    draft: Draft
    """For the receipt."""

    @classmethod
    def of(cls, proof: Proof) -> ProvenCertificate:
        certificate, identity = proof.certificate, proof.identity
        return cls(
            provider=proof.provider.code,
            ca_spki_sha256=proof.issuer.spki_sha256,
            ca_group=proof.issuer.group,
            serial=certificate.serial_hex,
            cert_sha256=certificate.sha256,
            spki_sha256=certificate.spki_sha256,
            key_sha256=key_identity(certificate),
            lock_ids=lock_ids_of(identity, certificate.spki_sha256),
            id_is_signed=identity.lock_source != "device",
            devices=_devices(identity),
            holder_kind=identity.holder_kind,
            holder_id=identity.holder_id,
            holder_hmacs=holder_hmacs(identity.holder_kind, identity.holder_id),
            holder_masked=identity.holder_masked[:32],
            subject_cn=_stored_name(certificate.subject_cn),
            algorithm=certificate.algorithm,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            certificate=certificate,
            details=proof.details,
            draft=proof.draft,
        )

    def has_stored_name(self, stored: str) -> bool:
        """Whether a stored ``subject_cn`` is this certificate's, also one that was stored when T61String was read as latin-1."""
        return stored in map(_stored_name, self.certificate.subject_cn_readings)


def _stored_name(common_name: str) -> str:
    return mask_person_ids(common_name)[:200]


def _devices(identity: Identity) -> tuple[str, ...]:
    """What denotes the device, in the form that is kept; an empty text when only the key names the lock."""
    if identity.lock_source == "key":
        return ("",)
    return stored_lock_ids(identity.lock_id) if identity.lock_source != "device" else (mask_person_ids(identity.lock_id)[-DEVICE:],)


def lock_ids_of(identity: Identity, spki_sha256: str) -> tuple[str, ...]:
    """The lock's name, by each key.

    A device serial is the client's word: alone it would let anybody claim a stranger's lock id first.
    """
    if identity.lock_source != "device":
        return stored_lock_ids(identity.lock_id)
    return (f"{mask_person_ids(identity.lock_id)[-DEVICE:]}-{spki_sha256[:8].upper()}",)


class Found(NamedTuple):
    """What the database knows about a certificate at login: its lock, and the live binding if there is one."""

    certificate_id: uuid.UUID
    lock_id: uuid.UUID
    cert_sha256: str
    provider: str
    """Code of the provider by whose rules the certificate was taken in."""
    revoked: bool
    """It, or the lock's current certificate over the same key, was found revoked."""
    superseded_by_other_key: bool
    binding_id: uuid.UUID | None
    binding_awaits: str
    """Whose consent the binding waits for; empty: nobody's."""
    reported_lost: bool
    account_id: uuid.UUID | None
    account_state: str
    account_role: str
    organisation_id: uuid.UUID | None
    organisation_state: str
    driver_known: bool
    """Whether the driver that gave the answer gave one for this account before."""
    challenge_spent: bool
    """Whether the challenge that was answered had been used before."""
    sealed: bool
    """Whether the seals of certificate, binding and account fit."""
