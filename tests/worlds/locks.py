"""Who binds locks and logs in with them: two organisations with their people, and recognised practice CAs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone
from worlds.practice import NOW, Family, PracticeLock, family
from worlds.rows import OTHER_USCC, account, install, supplier

from calock.core.certificates.certificate import Certificate
from calock.core.revocation.evidence import InMemoryEvidence
from calock.server.accounts.models import Account, Role
from calock.server.organisations.models import Organisation

_evidence: dict[Any, InMemoryEvidence] = {}
"""What was signed once for one test is as good for the next: it is current for hours."""


@dataclass
class LockWorld:
    """What every test of locks and logins stands on. Revoke with ``revoke``; evidence is real and current."""

    families: list[Family]
    organisation: Organisation
    other_organisation: Organisation
    admin: Account
    member: Account
    colleague: Account
    outsider: Account
    outside_admin: Account
    operator: Account
    expert: Account
    revoked: dict[int, str] = field(default_factory=dict)
    without_evidence: bool = False

    def revoke(self, lock: PracticeLock, reason: str = "keyCompromise") -> None:
        self.revoked[Certificate.parse(lock.certificate).serial] = reason

    def evidence(self) -> InMemoryEvidence:
        families = tuple(item.provider for item in self.families)
        key = (families, self.without_evidence, *sorted(self.revoked.items()))
        if key not in _evidence:
            _evidence[key] = self._fresh_evidence()
        return _evidence[key]

    def _fresh_evidence(self) -> InMemoryEvidence:
        at = timezone.now()
        crls, anchors, others = [], [], []
        for item in self.families:
            anchors.append(Certificate.parse(item.root.certificate))
            others.append(Certificate.parse(item.issuing.certificate))
            entries = [(serial, NOW - timedelta(days=1), reason) for serial, reason in self.revoked.items()]
            for authority, revoked in ((item.root, []), (item.issuing, entries)):
                crls.append(authority.crl(revoked, this_update=at - timedelta(minutes=5), next_update=at + timedelta(hours=6)))
        return InMemoryEvidence([] if self.without_evidence else crls, anchors=anchors, others=others, at=at)


def make_lock_world(*algorithms: str) -> LockWorld:
    families = [family(algorithm) for algorithm in algorithms or ("SM2",)]
    for item in families:
        install(item)
    own, other = supplier(), supplier("别家有限公司", OTHER_USCC)
    return LockWorld(
        families=families,
        organisation=own,
        other_organisation=other,
        admin=account("guanli", "王管理", Role.ORGANISATION_ADMIN, own),
        member=account("zhangsan", "张三", organisation=own),
        colleague=account("lisi", "李四", organisation=own),
        outsider=account("waibu", "钱外", organisation=other),
        outside_admin=account("waiguan", "孙外管", Role.ORGANISATION_ADMIN, other),
        operator=account("yunying", "运营", Role.OPERATOR),
        expert=account("zhuanjia", "赵安"),
    )
