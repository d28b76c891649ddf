"""Stored certificates and the keyed hashes of what they hold, under the newest of the server's secrets.

A keyed hash cannot be turned into another key's. What it hides is read again from the sealed certificate by the provider's rules,
and the hash is replaced only where the certificate gives the one that stands there.
"""

from __future__ import annotations

import re

from django.db import IntegrityError, models, transaction
from django.db.models import Func, Value

from calock.core.certificates.certificate import Certificate
from calock.core.checks.identity import check_identity
from calock.core.policy import Policy
from calock.core.refusals import Refusal
from calock.core.verdict import Identity
from calock.server.locks.holder import HASHED_ID, holder_hmacs, lock_ids_of
from calock.server.locks.models import Lock, LockCertificate
from calock.server.locks.sealed import newest_prefix
from calock.server.tools.keys import key_ids
from calock.server.tools.rekeying import Rekeyed, batches

_NAMED_FROM = "k"
"""Ids of keys begin so; the 64 hex digits of hashes that name no key sort before it."""
_HIGHEST = "z" * 44
"""Behind an id of a key: above every hash of that key."""


def rekey_certificates() -> Rekeyed:
    """Seal certificates anew, and their holders' and locks' keyed hashes with them."""
    found = Rekeyed("certificates")
    newest = newest_prefix()
    prefix = Func("sealed_der", Value(1), Value(len(newest)), function="substr", output_field=models.BinaryField())
    rows = LockCertificate.objects.alias(prefix=prefix).exclude(prefix=newest).select_related("lock", "ca_record__provider")
    for batch in batches(rows):
        for row in batch:
            try:
                with transaction.atomic():
                    _rekey(row)
            except (Refusal, ValueError, IntegrityError) as error:
                found.failed.append(f"{row.pk}: {error}")
            else:
                found.done += 1
    return found


def _rekey(row: LockCertificate) -> None:
    """One certificate.

    Raises:
        Refusal: it does not open.
        ValueError: a keyed hash that stands in the table does not follow from it.
        IntegrityError: another lock got the same id meanwhile.
    """
    der = row.der
    identity = _identity(row, der)
    if row.holder_hmac:
        candidates = holder_hmacs(identity.holder_kind, identity.holder_id) if identity else ()
        if row.holder_hmac not in candidates:
            raise ValueError("the holder's keyed hash does not follow from the certificate by the provider's rules of today")
        row.holder_hmac = candidates[0]
    row.der = der
    row.save(update_fields=["holder_hmac", "sealed_der"])
    if re.search(HASHED_ID, row.lock.lock_id) and identity is not None:
        ids = lock_ids_of(identity, row.spki_sha256)
        if row.lock.lock_id in ids:  # another of its certificates may have brought the id
            Lock.objects.filter(pk=row.lock_id).update(lock_id=ids[0], device=ids[0] if row.lock.device in ids else row.lock.device)


def _identity(row: LockCertificate, der: bytes) -> Identity | None:
    _, identity = check_identity(Certificate.parse(der), Policy.from_json(row.ca_record.provider.rules))
    return identity


def foreign_keys() -> list[str]:
    """Keys that stored hashes name and the ring lacks: what they made cannot be opened here. A jump through the index for each."""
    known = key_ids()
    found: list[str] = []
    hashes = LockCertificate.objects.order_by("holder_hmac").values_list("holder_hmac", flat=True)
    after = _NAMED_FROM
    while (named := hashes.filter(holder_hmac__gt=after).first()) is not None and len(found) < len(known) + 1:
        key = named.partition(".")[0]
        if key not in known:
            found.append(key)
        after = key + _HIGHEST
    former = LockCertificate.objects.filter(holder_hmac__gt="", holder_hmac__lt=_NAMED_FROM).order_by("holder_hmac").first()
    if former is not None and not _opens(former):
        found.append("unnamed")
    return found


def _opens(row: LockCertificate) -> bool:
    try:
        return bool(row.der)
    except Refusal:
        return False
