"""Why a renewed certificate took over the binding of its predecessor, or did not: the rule's questions, answered from the rows."""

from __future__ import annotations

from dataclasses import dataclass

from calock.core.refusals import Reason
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.console.statistics import reason_text
from calock.server.locks.models import Lock, LockCertificate
from calock.server.tools import seals
from calock.server.tools.times import day_text

WHY_NOT = frozenset({
    Reason.LOCK_HOLDER_CHANGED.value,
    Reason.RENEWAL_NEEDS_STEP_UP.value,
    Reason.PREDECESSOR_REVOKED.value,
    Reason.KEY_ALREADY_KNOWN.value,
    Reason.CERTIFICATE_REVOKED.value,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the renewal rule. ``answer`` None: it was not asked."""

    words: str
    answer: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class LockVersion:
    """One certificate of a lock, and how it came after the one before."""

    certificate: LockCertificate
    questions: list[Question]
    how: str


def _questions(before: LockCertificate, after: LockCertificate) -> list[Question]:
    same_group = before.ca_record.group == after.ca_record.group
    holder = before.holder_hmac == after.holder_hmac if seals.comparable(before.holder_hmac, after.holder_hmac) else None
    revoked = before.revoked_at
    revoked_then = revoked is not None and revoked <= after.created_at
    same_key = before.spki_sha256 == after.spki_sha256
    return [
        Question("同一 CA 组", same_group, f"{before.ca_record.group} → {after.ca_record.group}"),
        Question("同一持有人标识", holder, f"{before.holder_masked or '无'} → {after.holder_masked or '无'}"),
        Question("前一证书未被吊销", not revoked_then, f"{day_text(revoked)} 得知被吊销" if revoked else ""),
        Question("前一证书在有效期内", after.created_at <= before.not_after, f"至 {day_text(before.not_after)}"),
        Question("同一公钥", same_key, "密钥未变，登录时自动沿用" if same_key else "密钥已变，须本人再次确认身份"),
    ]


def versions_of(lock: Lock) -> list[LockVersion]:
    """Every certificate of the lock, newest first."""
    rows = list(
        LockCertificate.objects.filter(lock=lock).select_related("ca_record", "supersedes__ca_record").order_by("-created_at")
    )
    renewals = {
        str(row.details.get("certificate")): row
        for row in AuditEvent.objects.filter(lock=lock.pk, event=Event.CERTIFICATE_RENEWED.value)
    }
    found = []
    for row in rows:
        if row.supersedes is None:
            found.append(LockVersion(row, [], "首次绑定"))
            continue
        audit = renewals.get(row.cert_sha256)
        at_login = audit is not None and str(audit.details.get("how", "")).startswith("same key")
        how = "登录时自动沿用原绑定（密钥未变）" if at_login else "本人确认身份后沿用原绑定"
        how = how if audit is not None else "原绑定解除后重新绑定"
        found.append(LockVersion(row, _questions(row.supersedes, row), how))
    return found


def attempts_of(lock: Lock) -> list[tuple[AuditEvent, str]]:
    """Certificates that were shown with this lock and did not inherit its binding, with the reason in words."""
    rows = AuditEvent.objects.filter(lock=lock.pk, reason__in=WHY_NOT, event__endswith=":refused")[:20]
    return [(row, reason_text(row.reason)) for row in rows]
