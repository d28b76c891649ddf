"""Several CA certificates over one key: which path counts does not depend on the order of the register's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from itertools import permutations

import pytest
from worlds.core_trust import AT, CHALLENGE, END, ORIGIN, START, answer, key, world

from calock.core.certificates.certificate import Certificate
from calock.core.decision.cache import VerificationCache
from calock.core.decision.verify import VerificationInputs, verify_certificate, verify_token
from calock.core.policy import Policy, RevocationRules
from calock.core.refusals import Reason
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.revocation.evidence import InMemoryEvidence
from calock.core.verdict import Verdict
from calock.demo import pki

OFF = Policy(revocation=RevocationRules(mode="off"))
EMAIL = pki.extended_key_usage("1.3.6.1.5.5.7.3.4")
SERIALS = {"old": 101, "new": 102, "mail": 103, "expired": 104}


@cache
def twins(kind: str) -> dict[str, pki.Authority]:
    """Certificates over one CA key: two plain ones, one for mail alone, one that has expired, one by another root."""
    root, own, dates = world(kind).root, key(kind, "twin"), {"not_before": START, "not_after": END}
    made = {
        "old": root.intermediate("twin CA", own, serial=101, **dates),
        "new": root.intermediate("twin CA", own, serial=102, not_before=START + timedelta(days=30), not_after=END),
        "mail": root.intermediate("twin CA", own, serial=103, extra=[EMAIL], **dates),
        "expired": root.intermediate("twin CA", own, serial=104, not_before=START, not_after=AT - timedelta(days=1)),
    }
    made["other root"] = pki.make_root("other root", kind, key(kind, "other root"), **dates)  # type: ignore[arg-type]
    made["cross"] = made["other root"].intermediate("twin CA", own, serial=105, **dates)
    return made


@cache
def lock(kind: str) -> bytes:
    return twins(kind)["old"].issue_lock("holder", key(kind), not_before=START, not_after=END, serial=7)


def register_of(kind: str, chosen: Sequence[str], policy: Policy = OFF) -> Register:
    roots = {"": world(kind).root, **({"other": twins(kind)["other root"]} if "cross" in chosen else {})}
    rows = [CaCertificate.of(twins(kind)[name].certificate) for name in chosen]
    rows[1:1] = [CaCertificate.of(root.certificate, anchor=True) for root in roots.values()]
    return Register([ProviderTrust("p", tuple(rows), policy)])


def judged(kind: str, chosen: Sequence[str], revoked: Mapping[str, str] | None = None) -> Verdict:
    """``revoked``: reasons by twin; None = revocation is not asked about."""
    if revoked is None:
        return verify_certificate(lock(kind), VerificationInputs(register_of(kind, chosen), AT))
    register = register_of(kind, chosen, Policy())
    return verify_certificate(lock(kind), VerificationInputs(register, AT, evidence_of(kind, chosen, revoked)))


def evidence_of(kind: str, chosen: Sequence[str], revoked: Mapping[str, str]) -> InMemoryEvidence:
    times = {"this_update": AT - timedelta(hours=1), "next_update": AT + timedelta(days=1)}
    root, other = world(kind).root, twins(kind)["other root"]
    listed = [(SERIALS[name], AT, reason) for name, reason in revoked.items() if name != "cross"]
    crossed = [(105, AT, revoked["cross"])] if "cross" in revoked else []
    crls = [root.crl(listed, **times), other.crl(crossed, **times), twins(kind)["old"].crl(**times)]
    others = [Certificate.parse(twins(kind)[name].certificate) for name in chosen]
    return InMemoryEvidence(crls, anchors=[Certificate.parse(item.certificate) for item in (root, other)], others=others, at=AT)


def orders(*names: str) -> list[tuple[str, ...]]:
    return list(permutations(names))


@pytest.mark.parametrize("kind", ["SM2", "EC"])
def test_l04_a_path_that_holds_is_found_in_every_order(kind: str) -> None:
    """The old certificate is superseded, one is for mail, one has expired: the lock comes in by the one that is left."""
    for chosen in orders("old", "new", "mail", "expired"):
        verdict = judged(kind, chosen, {"old": "superseded"})
        assert verdict.reason is None
        assert verdict.path[1] == twins(kind)["new"].certificate
        assert judged(kind, chosen).reason is None


@pytest.mark.parametrize("kind", ["SM2", "EC"])
def test_l04_a_cross_certificate_carries_the_path_when_the_own_root_revoked_its_certificate(kind: str) -> None:
    for chosen in orders("old", "cross", "expired"):
        verdict = judged(kind, chosen, {"old": "affiliationChanged"})
        assert verdict.reason is None
        assert verdict.path[-1] == twins(kind)["other root"].certificate


def test_more_expired_certificates_than_are_tried_keep_none_from_its_path() -> None:
    root, own = world("EC").root, key("EC", "twin")
    gone = [root.intermediate("twin CA", own, not_before=START, not_after=AT - timedelta(days=n)).certificate for n in range(1, 30)]
    for chosen in ([*gone, twins("EC")["old"].certificate], [twins("EC")["old"].certificate, *gone]):
        rows = CaCertificate.of(root.certificate, anchor=True), *map(CaCertificate.of, chosen)
        register = Register([ProviderTrust("p", rows, OFF)])
        assert verify_certificate(lock("EC"), VerificationInputs(register, AT)).reason is None


HOPELESS: list[tuple[tuple[str, ...], dict[str, str] | None, Reason]] = [
    (("old", "new", "mail"), {"old": "superseded", "new": "superseded", "mail": "superseded"}, Reason.CA_REVOKED),
    (("old", "new", "mail", "expired"), {"old": "superseded", "new": "cessationOfOperation"}, Reason.PATH_INVALID),
    (("mail", "expired"), None, Reason.PATH_INVALID),
    (("expired", "mail"), {}, Reason.PATH_INVALID),
    (("expired",), None, Reason.PATH_EXPIRED),
]


@pytest.mark.parametrize("kind", ["SM2", "EC"])
@pytest.mark.parametrize(("chosen", "revoked", "reason"), HOPELESS)
def test_l04_the_refusal_is_the_same_in_every_order(
    kind: str, chosen: tuple[str, ...], revoked: dict[str, str] | None, reason: Reason
) -> None:
    found = {(verdict.reason, verdict.failure) for verdict in (judged(kind, order, revoked) for order in orders(*chosen))}
    assert len(found) == 1
    assert {item[0] for item in found} == {reason}


@pytest.mark.parametrize("kind", ["SM2", "EC"])
@pytest.mark.parametrize("reason", ["keyCompromise", "cACompromise"])
@pytest.mark.parametrize("lost", ["old", "new", "mail", "cross", "expired"])
def test_l04_a_compromised_ca_key_is_lost_for_every_path_over_it(kind: str, reason: str, lost: str) -> None:
    for chosen in orders("old", "new", lost) if lost not in ("old", "new") else orders("old", "new", "cross"):
        verdict = judged(kind, chosen, {lost: reason})
        assert verdict.reason is Reason.CA_REVOKED


@pytest.mark.parametrize("reason", ["superseded", "cessationOfOperation", "affiliationChanged", "unspecified", "certificateHold"])
def test_l04_other_reasons_are_about_the_one_certificate(reason: str) -> None:
    for chosen in orders("old", "new"):
        assert judged("EC", chosen, {"old": reason}).reason is None


def test_l04_missing_data_about_one_path_hides_no_other_path() -> None:
    """The other root publishes nothing that is at hand; the own root does."""
    for chosen in orders("old", "cross"):
        times = {"this_update": AT - timedelta(hours=1), "next_update": AT + timedelta(days=1)}
        others = [Certificate.parse(twins("EC")[name].certificate) for name in chosen]
        anchors = [Certificate.parse(item.certificate) for item in (world().root, twins("EC")["other root"])]
        crls = [world().root.crl(**times), twins("EC")["old"].crl(**times)]
        evidence = InMemoryEvidence(crls, anchors=anchors, others=others, at=AT)
        verdict = verify_certificate(lock("EC"), VerificationInputs(register_of("EC", chosen, Policy()), AT, evidence))
        assert verdict.reason is None


def test_l04_a_cached_login_takes_the_other_path_when_its_own_is_revoked() -> None:
    cache, chosen = VerificationCache(), ("old", "new")
    register = register_of("EC", chosen, Policy())
    token = answer(lock("EC"), key("EC"))

    def login(revoked: Mapping[str, str]) -> Verdict:
        inputs = VerificationInputs(register, AT, evidence_of("EC", chosen, revoked), cache=cache)
        return verify_token(token, inputs, origin=ORIGIN, challenge=CHALLENGE)

    first = login({})
    assert first.reason is None
    taken = "new" if first.path[1] == twins("EC")["new"].certificate else "old"
    left = "old" if taken == "new" else "new"
    second = login({taken: "superseded"})
    assert second.reason is None
    assert second.path[1] == twins("EC")[left].certificate
    assert login({"old": "superseded", "new": "superseded"}).reason is Reason.CA_REVOKED
    assert login({left: "keyCompromise"}).reason is Reason.CA_REVOKED
