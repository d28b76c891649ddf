"""One row of the CA list: a binding with its lock's certificate then, judged at one moment, laid out as the profile says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Prefetch, QuerySet
from django.utils.translation import gettext_lazy as _

from calock.server.accounts.models import Account
from calock.server.locks import binding_rows
from calock.server.locks.binding_rows import LockStatus
from calock.server.locks.consent import may_confirm
from calock.server.locks.models import Awaits, Binding, LockCertificate, Rank
from calock.server.providers.models import CaRecord, CaState, ProviderState
from calock.server.sites.profile import Profile
from calock.server.tools.prepared import prepared
from calock.server.tools.times import day_text, second_text


@dataclass(frozen=True, slots=True)
class ShownStatus:
    """``tone`` is good, warn, bad or empty; ``hint`` says what to do about it."""

    word: str
    tone: str
    hint: str = ""


_WORDS = {
    LockStatus.VALID: (_("正常"), "good", ""),
    LockStatus.EXPIRING: (_("即将到期"), "warn", _("还有 %(days)d 天到期，请尽快续期")),
    LockStatus.EXPIRED: (_("已过期"), "bad", _("请联系 CA 机构续期，续期后无需重新绑定")),
    LockStatus.NOT_YET_VALID: (_("未生效"), "warn", _("到生效日再使用")),
    LockStatus.REVOKED: (_("已吊销"), "bad", _("请联系 CA 机构补办")),
    LockStatus.UNTRUSTED: (_("不受信任"), "bad", _("该 CA 已暂停互认")),
    LockStatus.UNKNOWN: (_("未知"), "", _("插入这把锁登录一次，即可刷新证书信息")),
}


_AWAITING = {
    Awaits.MEMBER: (_("待本人确认"), "warn", _("确认前不能用这把锁登录")),
    Awaits.ADMINISTRATOR: (_("待另一位管理员确认"), "warn", _("确认前不能用这把锁登录")),
}


RANKS = {Rank.NONE: _("不区分"), Rank.MAIN: _("主锁"), Rank.SPARE: _("备用锁")}


def status_of(
    certificate: LockCertificate | None,
    at: datetime,
    *,
    ended: bool = False,
    lost: bool = False,
    awaits: str = "",
    site: Profile | None = None,
) -> ShownStatus:
    """The certificate's status in words, on ``site``. The login asks the revocation store again; this is what is known now."""
    if ended:
        return ShownStatus(str(_("已解除")), "")
    if lost:
        return ShownStatus(str(_("已挂失")), "bad", str(_("不能登录；找回后可以恢复使用，也请联系 CA 机构挂失或补办")))
    if awaits:
        return ShownStatus(*map(str, _AWAITING[Awaits(awaits)]))
    status = binding_rows.status_of(certificate, at)
    if site is not None and certificate is not None and status == LockStatus.VALID and not _is_recognised(certificate, site):
        return ShownStatus(str(_("本平台不可用")), "warn", str(_("本平台不认可签发它的 CA；在绑定它的平台照常使用")))
    word, tone, hint = _WORDS[status]
    days = (certificate.not_after - at).days if certificate else 0
    return ShownStatus(str(word), tone, str(hint) % {"days": days} if hint else "")


def _is_recognised(certificate: LockCertificate, site: Profile) -> bool:
    """Whether a provider of this site has the CA too: one CA may stand under two, each on a site of its own."""
    record = certificate.ca_record
    if site.code in record.provider.sites:
        return True
    same = CaRecord.objects.filter(spki_sha256=record.spki_sha256, state=CaState.RECOGNISED)
    sites = same.filter(provider__state=ProviderState.ENABLED).values_list("provider__sites", flat=True)
    return any(site.code in codes for codes in sites)


@dataclass(frozen=True, slots=True)
class CellLine:
    """One line of a cell: ``kind`` text, moment, status, lock, label or actions decides how the template draws it."""

    kind: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Cell:
    label: str
    lines: tuple[CellLine, ...]


@dataclass(frozen=True, slots=True)
class Row:
    binding: Binding
    certificate: LockCertificate | None
    status: ShownStatus
    cells: tuple[Cell, ...]
    at: datetime
    """When it was looked at."""
    may_confirm: bool = False
    """Whether the account that looks may give the consent it waits for."""

    @property
    def short_id(self) -> str:
        return shorten(self.binding.lock.lock_id)

    @property
    def in_words(self) -> str:
        """The lock as the question before an act names it: with what tells it from others of the same account and CA."""
        lock, bound = self.binding.lock, day_text(self.binding.bound_at)
        which = (f"{_('CA锁ID')} {lock.lock_id}", f"{_('绑定时间')} {bound}")
        return " · ".join(filter(None, (self.called, self.subject, lock.provider.name, *which, self.binding.account.name)))

    @property
    def called(self) -> str:
        return label_of(self.binding)

    @property
    def days(self) -> int | None:
        """Whole days until the certificate ends, below zero after it; None without one."""
        return (self.certificate.not_after - self.at).days if self.certificate else None

    @property
    def subject(self) -> str:
        return self.certificate.subject_cn if self.certificate else "-"


def shorten(lock_id: str) -> str:
    """As the manual prints it, ``7...``, with the last four so that two locks can be told apart; short ids stay whole."""
    return f"{lock_id[0]}...{lock_id[-4:]}" if len(lock_id) > 8 else lock_id


def label_of(binding: Binding) -> str:
    """What its people call the lock: ``主锁 · 财务室``; empty when they call it nothing."""
    rank = str(RANKS[Rank(binding.rank)]) if binding.rank else ""
    return " · ".join(filter(None, (rank, binding.label)))


_TEXTS: dict[str, Callable[[Binding, LockCertificate | None], str]] = {
    "account_name": lambda binding, _certificate: binding.account.name,
    "account_username": lambda binding, _certificate: binding.account.username,
    "provider": lambda binding, _certificate: binding.lock.provider.name,
    "subject": lambda _binding, certificate: certificate.subject_cn if certificate else "-",
    "lock_id": lambda binding, _certificate: binding.lock.lock_id,
    "lock_id_short": lambda binding, _certificate: shorten(binding.lock.lock_id),
    "not_after": lambda _binding, certificate: second_text(certificate.not_after if certificate else None),
    "bound_by": lambda binding, _certificate: binding.bound_by.name,
    "bound_at": lambda binding, _certificate: second_text(binding.bound_at),
    "status": lambda _binding, _certificate: "",
    "actions": lambda _binding, _certificate: "",
}
_KINDS = {"status": "status", "actions": "actions", "lock_id_short": "lock", "not_after": "moment", "bound_at": "moment"}


def _end_of(binding: Binding) -> Cell:
    """When, by whom and why a binding was ended."""
    facts = (
        (_("解除时间"), second_text(binding.unbound_at)),
        (_("解除人"), binding.unbound_by.name if binding.unbound_by else "-"),
        (_("解除原因"), binding.reason or "-"),
    )
    return Cell(str(_("解除")), tuple(CellLine("text", str(label), text) for label, text in facts))


def row_of(binding: Binding, *, site: Profile, at: datetime, number: int, viewer: Account | None = None) -> Row:
    certificates: list[LockCertificate] = list(getattr(binding.lock, "last_first", []))
    certificate = next((known for known in certificates if binding.shows(known)), None)
    cells = []
    for column in site.bindings.columns:
        lines = []
        for line in column.lines:
            label = line.label
            if line.value == "provider":
                label = site.bindings.provider_labels.get(binding.lock.provider.code, label)
            text = str(number) if line.value == "number" else _TEXTS[line.value](binding, certificate)
            lines.append(CellLine(_KINDS.get(line.value, "text"), str(label) if label else "", text))
            if line.value in ("lock_id", "lock_id_short") and (called := label_of(binding)):
                lines.append(CellLine("label", "", called))
        cells.append(Cell(str(column.label), tuple(lines)))
    if binding.unbound_at is not None:
        cells.insert(-1, _end_of(binding))
    status = status_of(
        certificate,
        at,
        ended=binding.unbound_at is not None,
        lost=binding.suspended_at is not None,
        awaits=binding.awaits,
        site=site,
    )
    return Row(binding, certificate, status, tuple(cells), at, viewer is not None and may_confirm(binding, viewer))


def _last_first() -> QuerySet[LockCertificate]:
    found = LockCertificate.objects.select_related("ca_record__provider")
    found = found.defer("sealed_der", "ca_record__certificate", "ca_record__provider__rules")
    return found.order_by(F("superseded_at").desc(nulls_first=True))


def with_certificates(bindings: QuerySet[Binding]) -> QuerySet[Binding]:
    """Everything a row reads, in two queries whatever the number of rows."""
    return bindings.select_related("lock__provider", "account", "bound_by", "unbound_by", "suspended_by").prefetch_related(
        Prefetch("lock__certificates", queryset=_last_first(), to_attr="last_first")
    )


def live_bindings(account: Account) -> list[Binding]:
    """The account's own live bindings, newest first, with everything a row reads: what most people's pages show."""
    found, of_lock = _live(account.pk), defaultdict(list)
    for certificate in _certificates(account.pk) if found else ():
        of_lock[certificate.lock_id].append(certificate)
    for binding in found:
        binding.lock.last_first = of_lock[binding.lock_id]  # type: ignore[attr-defined]  # as ``with_certificates`` names it
    return found


@prepared
def _live(account: Any) -> QuerySet[Binding]:
    rows: QuerySet[Binding] = Binding.objects.live().filter(account=account).newest_first()
    return rows.select_related("lock__provider", "account", "bound_by", "suspended_by").defer("lock__provider__rules")


@prepared
def _certificates(account: Any) -> QuerySet[LockCertificate]:
    """Of the locks that are bound to the account."""
    return _last_first().filter(lock__in=Binding.objects.live().filter(account=account).values("lock"))


def rows_of(
    bindings: Iterable[Binding], *, site: Profile, at: datetime, first: int = 1, viewer: Account | None = None
) -> list[Row]:
    """Rows in the given order, numbered from ``first``; of bindings that have their certificates."""
    return [row_of(binding, site=site, at=at, number=number, viewer=viewer) for number, binding in enumerate(bindings, start=first)]
