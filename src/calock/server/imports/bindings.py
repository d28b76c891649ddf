"""Lists of bindings: claims about CA锁ID, which a verified certificate has yet to confirm (:mod:`calock.server.locks.claims`)."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db.models import Q

from calock.server.accounts.models import Account, Role
from calock.server.audit.events import Event
from calock.server.audit.services import build, record_all
from calock.server.imports.accounts import require_believed
from calock.server.imports.columns import Record
from calock.server.imports.outcomes import Importing, Judged, Outcome, judge_each
from calock.server.imports.tables import malformed
from calock.server.locks.claims import claimed_ids, kept_id
from calock.server.locks.models import Binding, PendingBinding
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import notify_all
from calock.server.providers.models import Provider

MAX_ID, MAX_SOURCE = 64, 100


def keys(record: Record) -> dict[str, str]:
    return {"CA锁ID": f"{record.values['provider'].casefold()} {record.values['lock_id']}"}


class _Known:
    """The rows that a batch speaks of."""

    def __init__(self, records: Sequence[Record]) -> None:
        whole = [record.values for record in records if not record.fault]
        names = {values.get("username", "") for values in whole} - {""}
        external = {values.get("external_id", "") for values in whole} - {""}
        rows = list(Account.objects.filter(Q(username__in=names) | Q(external_id__in=external)))
        self.by_name = {row.username: row for row in rows}
        self.by_external = {row.external_id: row for row in rows if row.external_id}
        self.providers: defaultdict[str, set[Provider]] = defaultdict(set)
        for provider in Provider.objects.all():
            for text in (provider.code, provider.name, provider.short_name):
                self.providers[text.casefold()].add(provider)
        ids = {known for values in whole for known in claimed_ids(values["lock_id"])}
        claims = PendingBinding.objects.filter(lock_id__in=ids)
        self.claims = {(claim.provider_id, claim.lock_id): claim for claim in claims}
        named = Q(lock__lock_id__in=ids) | Q(lock__device__in=ids)
        live = Binding.objects.live().filter(named).values_list("lock__provider", "lock__lock_id", "lock__device", "account")
        self.bound = {(provider, text): account for provider, *texts, account in live for text in texts}


def judge(records: Sequence[Record]) -> list[Judged]:
    known = _Known(records)
    judged = judge_each(records, "lock_id", lambda record: _decided(record, known))
    _refuse_same_locks(judged)
    return judged


def _refuse_same_locks(judged: Iterable[Judged]) -> None:
    """Lines that name one lock in different words (a provider by code and by name, ids that are kept alike) are errors."""
    same: defaultdict[tuple[uuid.UUID, str], list[Judged]] = defaultdict(list)
    for line in judged:
        if line.outcome == Outcome.NEW:
            same[line.row.provider_id, line.row.lock_id].append(line)
    for lines in same.values():
        if len(lines) > 1:
            words = f"CA锁ID重复：第 {'、'.join(str(line.number) for line in lines[:5])} 行"
            for line in lines:
                line.outcome, line.words, line.row = Outcome.ERROR, words, None


def _decided(record: Record, known: _Known) -> Judged:
    values, lock_id = record.values, record.values["lock_id"]
    account, source = _account(values, known), values.get("source", "")
    found = known.providers.get(values["provider"].casefold(), set())
    if len(found) != 1:
        raise malformed(f"没有这个 CA 服务商，或名称不唯一：{values['provider'][:40]}")
    if len(lock_id) > MAX_ID or len(source) > MAX_SOURCE:
        raise malformed(f"CA锁ID 最多 {MAX_ID} 个字符，来源最多 {MAX_SOURCE} 个")
    provider = next(iter(found))
    ids = claimed_ids(lock_id)
    holders = {known.bound[provider.pk, text] for text in ids if (provider.pk, text) in known.bound}
    if holders:
        if holders == {account.pk}:
            return Judged(record.number, lock_id, Outcome.SAME, "已绑定该账户")
        raise malformed("该 CA 锁已绑定其他账户")
    claims = {known.claims[provider.pk, text].account_id for text in ids if (provider.pk, text) in known.claims}
    if claims:
        if claims == {account.pk}:
            return Judged(record.number, lock_id, Outcome.SAME, "已是该账户的待激活绑定")
        raise malformed("该 CA 锁已是另一账户的待激活绑定")
    row = PendingBinding(account=account, provider=provider, lock_id=kept_id(provider, lock_id), source=source)
    return Judged(record.number, lock_id, Outcome.NEW, f"{account.username}，{provider.short_name}", row)


def _account(values: dict[str, str], known: _Known) -> Account:
    username, external = values.get("username", ""), values.get("external_id", "")
    found: list[Account | None] = [known.by_name.get(username)] if username else []
    found += [known.by_external.get(external)] if external else []
    account = found[0] if found else None
    if account is None or any(other != account for other in found):
        raise malformed("账户与外部编号至少填一项，且须是同一个已有的账户")
    if account.role == Role.OPERATOR:
        raise malformed("运营人员的 CA 锁不能导入，须由本人绑定")
    require_believed(account)
    return account


def write(judged: Iterable[Judged], importing: Importing) -> None:
    """New claims, inside the caller's transaction; each person is told."""
    new: list[PendingBinding] = [line.row for line in judged if line.outcome == Outcome.NEW]
    for claim in new:
        claim.imported_by, claim.imported_at = importing.by, importing.at
        claim.mac = claim.expected_mac()
    PendingBinding.objects.bulk_create(new)
    rows = [
        build(
            Event.BINDING_CLAIMED,
            context=importing,
            actor=importing.actor,
            subject=claim.account_id,
            organisation=claim.account.organisation_id,
            provider=claim.provider.code,
            details={"claim": str(claim.pk), "import": importing.sha256, "source": claim.source},
        )
        for claim in new
    ]
    record_all(rows)
    told = ((claim.account_id, row, {"lock": claim.lock_id}) for claim, row in zip(new, rows, strict=True))
    notify_all(NoticeKind.LOCK_CLAIMED, told, by=importing.by)
