"""What the list of bindings can be narrowed to and ordered by; and the same rows as a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from calock.server.locks.binding_rows import SOON
from calock.server.locks.models import BindingQuerySet, LockCertificate
from calock.server.portal.rows import Row

STATUSES: dict[str, str | Promise] = {
    "": _("全部状态"),
    "expiring": _("即将到期"),
    "expired": _("已过期"),
    "revoked": _("已吊销"),
    "lost": _("已挂失"),
}
ORDERS: dict[str, str | Promise] = {"": _("新绑定的在前"), "expiry": _("先到期的在前")}


def known(chosen: str, choices: dict[str, str | Promise]) -> str:
    """What was chosen, if it is one of these choices; else the first."""
    return chosen if chosen in choices else next(iter(choices))


def searched(bindings: BindingQuerySet, words: str) -> BindingQuerySet:
    """Those in whose account, lock id, CA or certificate ``words`` stand; all where there are none."""
    if not words:
        return bindings
    found = Q(account__name__icontains=words) | Q(account__username__icontains=words) | Q(lock__lock_id__icontains=words)
    certified = bindings.certified_as(words).values("pk")
    return bindings.filter(found | Q(lock__provider__name__icontains=words) | Q(pk__in=certified))


def narrowed(bindings: BindingQuerySet, status: str, at: datetime) -> BindingQuerySet:
    """Those whose lock's current certificate is in that state of ``STATUSES`` at ``at``."""
    if status == "lost":
        return bindings.filter(suspended_at__isnull=False)
    states = {
        "expiring": Q(revoked_at__isnull=True, not_after__gte=at, not_after__lte=at + SOON),
        "expired": Q(revoked_at__isnull=True, not_after__lt=at),
        "revoked": Q(revoked_at__isnull=False),
    }
    if status not in states:
        return bindings
    current = LockCertificate.objects.filter(states[status], lock=OuterRef("lock"), superseded_at__isnull=True)
    return bindings.filter(Exists(current))


def ordered(bindings: BindingQuerySet, order: str, *, ended: bool) -> BindingQuerySet:
    """Newest first, or by what expires first."""
    if order != "expiry":
        return bindings.order_by("-unbound_at" if ended else "-bound_at", "id")
    current = LockCertificate.objects.filter(lock=OuterRef("lock"), superseded_at__isnull=True).values("not_after")[:1]
    return bindings.annotate(expires=Subquery(current)).order_by(F("expires").asc(nulls_last=True), "id")


_HEADINGS = (
    _("姓名"), _("账户"), _("CA 服务商"), _("CA锁ID"), _("备注"), _("证书名称"), _("有效期至"), _("状态"), _("绑定人"),
    _("绑定时间"), _("解除时间"), _("解除人"), _("解除原因"),
)  # fmt: skip


def file_rows(rows: Iterable[Row]) -> Iterator[tuple[object, ...]]:
    """Headings, then one line for each row, with whole lock ids."""
    yield tuple(map(str, _HEADINGS))
    for row in rows:
        binding, certificate = row.binding, row.certificate
        yield (
            binding.account.name, binding.account.username, binding.lock.provider.name, binding.lock.lock_id, row.called,
            row.subject, certificate.not_after if certificate else "", row.status.word, binding.bound_by.name, binding.bound_at,
            binding.unbound_at or "", binding.unbound_by.name if binding.unbound_by else "", binding.reason,
        )  # fmt: skip
