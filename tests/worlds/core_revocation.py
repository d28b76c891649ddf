"""A root, an issuing CA and a leaf of each algorithm, and what is published about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from worlds.responses import ocsp_answer

from calock.core.certificates.certificate import Certificate
from calock.core.policy import Policy, RevocationRules
from calock.core.refusals import Reason
from calock.core.revocation.check import check_revocation
from calock.core.revocation.evidence import InMemoryEvidence
from calock.demo import pki

AT = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


HOUR = timedelta(hours=1)


DAY = timedelta(days=1)


class World:
    """Root, issuing CA, one leaf; what is published about them is up to the test."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.root = pki.make_root(f"{algorithm} root", algorithm, not_before=AT - 900 * DAY, not_after=AT + 900 * DAY)
        self.issuing = self.root.intermediate("issuing", not_before=AT - 900 * DAY, not_after=AT + 900 * DAY)
        self.key = pki.make_key(algorithm)
        self.leaf = self.issue()

    def issue(self, **fields) -> Certificate:
        fields = {"not_before": AT - 30 * DAY, "not_after": AT + 30 * DAY, **fields}
        return Certificate.parse(self.issuing.issue_lock("leaf", self.key, **fields))

    def root_crl(self, revoked=(), **fields) -> bytes:
        return self.root.crl(revoked, **{"this_update": AT - DAY, "next_update": AT + 30 * DAY, **fields})

    def crl(self, reason: str | None = None, *, serial: int | None = None, authority=None, **fields) -> bytes:
        entries = [(serial or self.leaf.serial, AT - DAY, reason)] if reason else []
        return (authority or self.issuing).crl(entries, **{"this_update": AT - HOUR, "next_update": AT + DAY, **fields})

    def answer(self, status: str = "good", *, serial: int | None = None, authority=None, **fields) -> bytes:
        values = {"this_update": AT - timedelta(minutes=5), "next_update": AT + HOUR, **fields}
        return ocsp_answer(authority or self.issuing, self.leaf.serial if serial is None else serial, status, **values)

    def judge(self, *crls, ocsp=(), stapled=(), at=AT, leaf=None, policy=None, root_crl=None, others=(), **rules):
        policy = policy or Policy(revocation=RevocationRules(**rules))
        root, issuing = Certificate.parse(self.root.certificate), Certificate.parse(self.issuing.certificate)
        blobs = [*crls, *([] if root_crl is False else [root_crl or self.root_crl()])]
        evidence = InMemoryEvidence(blobs, ocsp, anchors=[root], others=[issuing, *others], policy=policy, at=at)
        path = [leaf or self.leaf, issuing, root]
        return check_revocation(path, evidence=evidence, policy=policy, at=at, stapled=stapled)

    def reason(self, *crls, **fields) -> Reason | None:
        return self.judge(*crls, **fields).reason

    def detail(self, *crls, **fields) -> str:
        checks = self.judge(*crls, **fields).checks
        return next(check.detail for check in checks if check.passed is False)


WORLDS = {name: World(name) for name in ("EC", "SM2", "RSA")}
