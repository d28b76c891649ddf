"""Rules proposed from sample certificates: what they accept, what they ask for, and nothing more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from worlds.core_trust import AT, USCC, key, world
from worlds.signatures import padded, resigned

from calock.core.decision.proposal import Proposal, propose_rules
from calock.core.policy import ESTONIAN_MOBILE_ID, IdentityRule, IdentityRules, Policy
from calock.core.refusals import Reason, Refusal
from calock.demo import der, pki

SERVER, MAIL, STAMP, CLIENT, ANY = (
    "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0",
)  # fmt: skip
PERSON = "11010519491231002X"
WITHOUT_AKI = ("2.5.29.35",)


def proposed(*samples: bytes, policy: Policy | None = None) -> Proposal:
    here = world("SM2")
    return propose_rules(samples, policy or Policy(), at=AT, cas=[here.root.certificate, here.ca.certificate])


def keys(proposal: Proposal) -> list[str]:
    return [change.key for change in proposal.changes]


def with_ekus(*oids: str) -> bytes:
    return world("SM2").lock(ekus=oids)


def dn_lock(text: str, oid: str = "2.5.4.5") -> bytes:
    subject = der.sequence(der.set_of(der.sequence(der.oid(oid), der.utf8(text))))
    return world("SM2").raw_lock(subject=subject)


def test_a_firm_and_a_person_in_one_place_are_both_read() -> None:
    """Numbers of figures alone, so that each has the other's shape."""
    proposal = proposed(dn_lock("911401001234500003"), dn_lock("140102199003071235"), dn_lock(USCC))
    assert proposal.accepts_all
    assert [sample.holder_kind for sample in proposal.samples] == ["uscc", "id_card", "uscc"]


def test_l11_samples_that_the_rules_take_need_no_change() -> None:
    proposal = proposed(world("SM2").lock(), world("SM2").lock())
    assert (proposal.changes, proposal.rules, proposal.accepts_all, proposal.unread) == ((), {}, True, ())
    assert all(sample.has_path and sample.holder_kind == "uscc" for sample in proposal.samples)


CASES = [
    ("ekus", lambda: with_ekus(SERVER)),
    ("ekus", lambda: with_ekus(SERVER, MAIL)),
    ("strict_extensions", lambda: world("SM2").raw_lock(drop=WITHOUT_AKI)),
    ("strict_extensions", lambda: world("SM2").raw_lock(("2.5.29.18", True, der.sequence(der.tlv(0x86, b"http://a/"))))),
    ("key_usage_required", lambda: world("SM2").raw_lock(drop=("2.5.29.15",))),
    ("signature_encoding", lambda: resigned(world("SM2").lock(), padded, until_written_otherwise=world("SM2").ca.key)),
    ("legacy", lambda: world("SM2").lock(key=pki.make_key("RSA", rsa_bits=1024))),
    ("identity.holder", lambda: dn_lock(USCC)),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "sample"), CASES)
def test_l11_each_refusal_by_a_rule_is_answered_by_that_rule_alone(rule: str, sample: object) -> None:
    proposal = proposed(sample(), world("SM2").lock())  # type: ignore[operator]
    assert keys(proposal) == [rule]
    assert proposal.accepts_all
    assert Policy.from_json(proposal.rules) == proposal.policy
    (change,) = proposal.changes
    assert len(change.zh) > 10
    assert len(change.en) > 10
    assert "{}" not in change.zh + change.en


def test_l11_the_smallest_set_of_purposes_is_proposed() -> None:
    """ServerAuth alone would do for both; mail and time stamps are not let in as well."""
    proposal = proposed(with_ekus(SERVER, MAIL), with_ekus(STAMP, SERVER), with_ekus(CLIENT))
    assert proposal.policy.ekus == (CLIENT, SERVER)
    assert SERVER in proposal.changes[0].zh
    assert SERVER in proposal.changes[0].en


def test_l11_any_purpose_is_never_proposed() -> None:
    proposal = proposed(with_ekus(ANY))
    assert (keys(proposal), proposal.samples[0].reason) == ([], Reason.EXTENDED_KEY_USAGE)


def test_l11_what_no_rule_lifts_is_said_and_changes_nothing() -> None:
    """A certificate for encryption, a CA's own, an unknown critical extension, and a stranger's signature."""
    here = world("SM2")
    hopeless = [
        here.lock(usages=("key_encipherment",)), here.ca.certificate, here.raw_lock(("1.2.3.4", True, b"\x05\x00")),
        here.lock(serial=-5), here.lock()[:-1] + bytes([here.lock()[-1] ^ 1]),
    ]  # fmt: skip
    proposal = proposed(*hopeless, with_ekus(SERVER))
    assert keys(proposal) == ["ekus"]
    assert not proposal.accepts_all
    assert [sample.reason is None for sample in proposal.samples] == [False] * 5 + [True]
    assert all(sample.detail for sample in proposal.samples[:5])


def test_l11_several_habits_need_several_rules_and_no_more() -> None:
    proposal = proposed(with_ekus(SERVER), world("SM2").raw_lock(drop=WITHOUT_AKI), dn_lock(PERSON))
    assert sorted(keys(proposal)) == ["ekus", "identity.holder", "strict_extensions"]
    assert proposal.accepts_all


def test_l11_a_providers_own_rules_are_kept() -> None:
    own = Policy(disallowed_policies=(*ESTONIAN_MOBILE_ID, "1.2.3.4"), ekus=(MAIL,), grace_days=2)
    proposal = proposed(with_ekus(SERVER), policy=own)
    assert proposal.policy == Policy(disallowed_policies=own.disallowed_policies, ekus=(MAIL, SERVER), grace_days=2)


@pytest.mark.parametrize("policy", [Policy(eku_required=True), Policy(identity=IdentityRules(holder_required=True))])
def test_l11_rules_stricter_than_the_default_are_relaxed_when_the_samples_need_it(policy: Policy) -> None:
    sample = world("SM2").raw_lock()
    proposal = proposed(sample, policy=policy)
    assert keys(proposal) == (["eku_required"] if policy.eku_required else ["identity.holder_required"])
    assert proposal.accepts_all


def test_l11_keys_and_curves_that_the_rules_leave_out() -> None:
    assert proposed(world("SM2").lock(key=key("EC")), policy=Policy(algorithms=("SM2",))).policy.algorithms == ("SM2", "EC")
    p256 = world("SM2").lock(key=key("EC"))
    assert proposed(p256, policy=Policy(curves=("secp384r1",))).policy.curves == ("secp384r1", "secp256r1")


def test_l11_without_the_ca_a_signature_that_is_not_der_is_seen_all_the_same() -> None:
    sample = resigned(world("SM2").lock(), padded, until_written_otherwise=world("SM2").ca.key)
    proposal = propose_rules([sample], Policy(), at=AT)
    assert keys(proposal) == ["signature_encoding"]
    assert [item.has_path for item in proposal.samples] == [False]


def test_l11_a_sample_that_has_run_out_is_judged_within_its_dates() -> None:
    long_ago = world("SM2").lock(not_after=AT - timedelta(days=9))
    assert proposed(long_ago).accepts_all


def test_l11_weak_algorithms_are_excepted_for_a_bounded_time() -> None:
    until = proposed(world("SM2").lock(key=pki.make_key("RSA", rsa_bits=1024))).policy.legacy[0][1]
    assert timedelta(days=80) < until - AT <= timedelta(days=90)


def test_l03_the_fewest_places_are_proposed_in_which_every_holder_is_found() -> None:
    both = world("SM2").raw_lock(pki.text_extension("1.2.86.21.1.1", USCC), subject=pki.name(f"x@{USCC}"))
    one = world("SM2").raw_lock(pki.text_extension("1.2.86.21.1.1", USCC))
    proposal = proposed(both, one)
    assert proposal.policy.identity.holder == (*IdentityRules().holder, IdentityRule("oid", "1.2.86.21.1.1", kind="uscc"))
    assert [sample.holder_kind for sample in proposal.samples] == ["uscc", "uscc"]


def test_l03_a_number_that_no_rule_can_read_is_told_masked() -> None:
    proposal = proposed(dn_lock(f"{PERSON}_张三", "2.5.4.3"))
    assert proposal.changes == ()
    assert [(item.kind, item.masked[-4:]) for item in proposal.unread] == [("id_card", "002X")]
    assert PERSON not in repr(proposal)


def test_l03_a_holder_that_is_named_already_needs_no_further_rule() -> None:
    sample = world("SM2").raw_lock(pki.text_extension(pki.USCC_OID, USCC), subject=pki.name(PERSON))
    proposal = proposed(sample)
    assert proposal.changes == ()
    assert [item.kind for item in proposal.unread] == ["id_card"]


def test_l11_no_samples_and_too_many_are_refused() -> None:
    for samples in ([], [world("SM2").lock()] * 201):
        with pytest.raises(ValueError, match="1 to 200 samples"):
            propose_rules(samples, Policy(), at=AT)
    with pytest.raises(Refusal):
        propose_rules([b"no certificate"], Policy(), at=AT)
