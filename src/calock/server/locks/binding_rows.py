"""A binding as the JSON interface tells it. Ids of persons never; the lock id whole only to those who may see the row."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from calock.server.locks.models import Binding, LockCertificate
from calock.server.providers.models import CaState, ProviderState

SOON = timedelta(days=30)


class LockStatus(StrEnum):
    """A certificate's state as far as the server knows it without asking anybody."""

    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    REVOKED = "revoked"
    UNTRUSTED = "untrusted"
    UNKNOWN = "unknown"


LABELS = {
    LockStatus.VALID: "正常",
    LockStatus.EXPIRING: "即将到期",
    LockStatus.EXPIRED: "已过期",
    LockStatus.NOT_YET_VALID: "未生效",
    LockStatus.REVOKED: "已吊销",
    LockStatus.UNTRUSTED: "不受信任",
    LockStatus.UNKNOWN: "未知",
}


def status_of(certificate: LockCertificate | None, at: datetime) -> LockStatus:
    if certificate is None:
        return LockStatus.UNKNOWN
    if certificate.revoked_at is not None:
        return LockStatus.REVOKED
    record = certificate.ca_record
    if record.state != CaState.RECOGNISED or record.provider.state != ProviderState.ENABLED:
        return LockStatus.UNTRUSTED
    if at < certificate.not_before:
        return LockStatus.NOT_YET_VALID
    if at > certificate.not_after:
        return LockStatus.EXPIRED
    return LockStatus.EXPIRING if certificate.not_after - at <= SOON else LockStatus.VALID


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def row_of(binding: Binding, certificate: LockCertificate | None, *, at: datetime) -> dict[str, Any]:
    """``certificate`` is the lock's current one."""
    status = status_of(certificate, at)
    return {
        "id": str(binding.pk),
        "account": {"name": binding.account.name, "username": binding.account.username},
        "boundBy": binding.bound_by.name,
        "boundAt": _iso(binding.bound_at),
        "provider": {"code": binding.lock.provider.code, "name": binding.lock.provider.name},
        "lockId": binding.lock.lock_id,
        "certificate": certificate.subject_cn if certificate else "",
        "holder": certificate.holder_masked if certificate else "",
        "algorithm": certificate.algorithm if certificate else "",
        "notBefore": _iso(certificate.not_before) if certificate else None,
        "notAfter": _iso(certificate.not_after) if certificate else None,
        "status": status.value,
        "statusLabel": LABELS[status],
        "unboundAt": _iso(binding.unbound_at),
        "reason": binding.reason,
    }


def rows_of(bindings: list[Binding], *, at: datetime) -> list[dict[str, Any]]:
    """Rows in the given order; one query for all certificates."""
    current = LockCertificate.objects.filter(superseded_at__isnull=True, lock__in={binding.lock_id for binding in bindings})
    by_lock = {certificate.lock_id: certificate for certificate in current.select_related("ca_record__provider")}
    return [row_of(binding, by_lock.get(binding.lock_id), at=at) for binding in bindings]
