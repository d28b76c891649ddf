"""Recognising, suspending and withdrawing a CA: two operators, exactly what was read, effect on trust and sessions (A34, A99)."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from django.db import IntegrityError, transaction
from django.utils import timezone
from worlds.practice import id_card
from worlds.register import AT_START
from worlds.rows import ca_session, operator

from calock.core.refusals import Reason, Refusal
from calock.demo import der, pki
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.approvals.models import Approval, ApprovalState
from calock.server.approvals.services import approve, reject, take_back
from calock.server.audit.models import AuditEvent
from calock.server.providers.anchors import CA_RESUME, CA_SUSPEND, CA_WITHDRAW, propose_ca, propose_ca_state
from calock.server.providers.certificates import read_ca_certificate
from calock.server.providers.decisions import certificate_facts
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState
from calock.server.providers.services import suspend_provider
from calock.server.providers.trust import current_register

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def newcomer() -> pki.Authority:
    return pki.make_root("新根 CA", "EC", not_before=AT_START, not_after=pki.years(AT_START, 20))


def ask(world, certificate: bytes, *, by=None, anchor=True) -> Approval:
    return propose_ca(
        provider=world.provider,
        certificate=certificate,
        anchor=anchor,
        group="root-2",
        reason="CA 换发根证书",
        by=by or world.first,
        context=None,
    )


def agree(approval: Approval, by: Account, **changes) -> Approval:
    seen = {"approval_id": approval.pk, "version": approval.version, "sha256": approval.sha256, **changes}
    return approve(**seen, by=by, context=None)


def step(world, kind: str, record: CaRecord | None = None) -> Approval:
    row = CaRecord.objects.get(pk=(record or world.intermediate).pk)
    return propose_ca_state(record=row, version=row.version, kind=kind, reason="按通报处理", by=world.first, context=None)


def trusted() -> set[str]:
    return {ca.spki_sha256 for provider in current_register().providers if not provider.suspended for ca in provider.cas}


def refused(reason: Reason):
    return pytest.raises(Refusal, match=f"^{reason}")


def test_a_ca_is_trusted_only_after_the_second_operator(world, newcomer):
    approval = ask(world, newcomer.certificate)
    assert newcomer.key.spki_sha256 not in trusted()
    assert CaRecord.objects.get(spki_sha256=newcomer.key.spki_sha256).state == CaState.PENDING
    agree(approval, world.second)
    assert newcomer.key.spki_sha256 in trusted()


def test_the_audit_rows_name_both_operators_and_the_hash(world, newcomer):
    agree(ask(world, newcomer.certificate), world.second)
    proposed = AuditEvent.objects.get(event="approval:proposed")
    approved = AuditEvent.objects.get(event="approval:approved")
    recognised = AuditEvent.objects.get(event="provider:anchor:approved")
    assert (proposed.actor, approved.actor, recognised.actor) == (world.first.pk, world.second.pk, world.second.pk)
    assert recognised.details["cert_sha256"] == hashlib.sha256(newcomer.certificate).hexdigest()
    assert recognised.details["spki_sha256"] == newcomer.key.spki_sha256
    assert proposed.details["sha256"] == approved.details["sha256"]


def test_pem_is_taken_as_well(world, newcomer):
    pem = x509.load_der_x509_certificate(newcomer.certificate).public_bytes(Encoding.PEM)
    agree(ask(world, pem), world.second)
    assert newcomer.key.spki_sha256 in trusted()


@pytest.mark.parametrize("form", ["line ends behind", "bare base64", "a chain in PKCS#7", "a chain in PEM"])
def test_l15_a_ca_certificate_is_taken_from_a_file_as_cas_hand_it_out(world, authority, newcomer, form):
    """Of a chain the CA at its lower end: the file is that CA's."""
    lower = newcomer.intermediate("新下级 CA", not_before=AT_START, not_after=pki.years(AT_START, 20))
    made = [x509.load_der_x509_certificate(item) for item in (newcomer.certificate, lower.certificate)]
    pem = b"".join(item.public_bytes(Encoding.PEM) for item in made)
    file, expected = {
        "line ends behind": (newcomer.certificate + b"\r\n", newcomer),
        "bare base64": (base64.encodebytes(newcomer.certificate), newcomer),
        "a chain in PKCS#7": (pkcs7.serialize_certificates(made, Encoding.DER), lower),
        "a chain in PEM": (pem, lower),
    }[form]
    ask(world, file)
    assert set(CaRecord.objects.filter(state=CaState.PENDING).values_list("spki_sha256", flat=True)) == {expected.key.spki_sha256}


def test_l15_a_file_with_two_unrelated_cas_is_none_of_them(world, authority, newcomer):
    made = [
        x509.load_der_x509_certificate(item).public_bytes(Encoding.PEM) for item in (newcomer.certificate, authority.certificate)
    ]
    with pytest.raises(Refusal, match="2 certificates that are no one chain"):
        ask(world, b"".join(made))


def test_l21_a_file_with_openssls_trust_settings_is_refused_since_they_would_not_apply(world, newcomer):
    settings = der.sequence(der.tlv(0xA0, der.oid("1.3.6.1.5.5.7.3.2")))
    body = base64.encodebytes(newcomer.certificate + settings).decode()
    with pytest.raises(Refusal, match="trust settings"):
        ask(world, f"-----BEGIN TRUSTED CERTIFICATE-----\n{body}-----END TRUSTED CERTIFICATE-----\n".encode())


def test_l21_operators_are_told_that_an_anchor_is_certified_for_other_purposes(world):
    key = pki.make_key("EC")
    extensions = [*pki.ca_extensions(key, issuer=key), pki.extended_key_usage("1.3.6.1.5.5.7.3.1")]
    for_servers = pki.Authority(key, pki.name("服务器 CA"), b"", ()).issue(
        pki.name("服务器 CA"), key.spki_der, not_before=AT_START, not_after=pki.years(AT_START, 20), extensions=extensions
    )
    facts = dict(certificate_facts(read_ca_certificate(for_servers, at=None)))
    assert facts["扩展密钥用途"].startswith("1.3.6.1.5.5.7.3.1，其中没有客户端认证")


def test_nobody_approves_his_own_proposal(world, newcomer):
    approval = ask(world, newcomer.certificate)
    with refused(Reason.SECOND_OPERATOR_NEEDED):
        agree(approval, world.first)
    assert newcomer.key.spki_sha256 not in trusted()


def test_the_database_refuses_a_self_approval_as_well(world, newcomer):
    approval = ask(world, newcomer.certificate)
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(state=ApprovalState.APPROVED, decided_by=world.first)
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(state=ApprovalState.APPROVED)


@pytest.mark.parametrize("change", [{"role": Role.ORGANISATION_ADMIN}, {"role": Role.MEMBER}, {"state": AccountState.DISABLED}])
@pytest.mark.parametrize("who", ["first", "second"])
def test_a_role_taken_away_between_open_and_click_counts(world, newcomer, change, who):
    approval = ask(world, newcomer.certificate)
    Account.objects.filter(pk=getattr(world, who).pk).update(**change)
    with refused(Reason.NOT_ALLOWED):
        agree(approval, world.second)
    assert newcomer.key.spki_sha256 not in trusted()


@pytest.mark.parametrize("role", [Role.MEMBER, Role.ORGANISATION_ADMIN])
def test_only_operators_propose(world, newcomer, role):
    stranger = Account.objects.create_account(username="x", name="某", role=role)
    with refused(Reason.NOT_ALLOWED):
        ask(world, newcomer.certificate, by=stranger)
    assert not CaRecord.objects.filter(spki_sha256=newcomer.key.spki_sha256).exists()


def test_approving_twice_does_it_once(world, newcomer):
    approval = ask(world, newcomer.certificate)
    agree(approval, world.second)
    with refused(Reason.APPROVAL_CLOSED):
        agree(approval, operator("bing"))
    assert AuditEvent.objects.filter(event="provider:anchor:approved").count() == 1


def test_an_edited_proposal_is_not_the_one_that_was_read(world, newcomer, authority):
    approval = ask(world, newcomer.certificate)
    other = pki.make_root("调包", "EC", not_before=AT_START, not_after=pki.years(AT_START, 20))
    stored = Approval.objects.get(pk=approval.pk)
    stored.payload["anchor"] = False
    Approval.objects.filter(pk=approval.pk).update(payload=stored.payload)
    with refused(Reason.REGISTER_DAMAGED):
        agree(approval, world.second)
    with refused(Reason.REGISTER_DAMAGED):
        agree(approval, world.second, sha256=stored.sha256)
    assert other.key.spki_sha256 not in trusted()


@pytest.mark.parametrize(
    "change", [{"summary": "更正电话号码"}, {"proposed_at": timezone.now() + timedelta(days=300)}, {"mac": "改"}]
)
def test_a_relabelled_or_prolonged_proposal_is_not_the_one_that_was_made(world, newcomer, change):
    approval = ask(world, newcomer.certificate)
    Approval.objects.filter(pk=approval.pk).update(**change)
    stored = Approval.objects.get(pk=approval.pk)
    assert not stored.is_intact()
    with refused(Reason.REGISTER_DAMAGED):
        agree(stored, world.second)
    assert newcomer.key.spki_sha256 not in trusted()


def test_a_damaged_proposal_is_ended_and_made_anew(world, newcomer):
    for end in (
        lambda row: reject(approval_id=row.pk, version=1, by=world.second, context=None, note="被改动"),
        lambda row: take_back(approval_id=row.pk, version=1, by=world.first, context=None),
    ):
        approval = ask(world, newcomer.certificate)
        Approval.objects.filter(pk=approval.pk).update(proposed_at=timezone.now() + timedelta(days=300))
        end(approval)
    agree(ask(world, newcomer.certificate), world.second)
    assert newcomer.key.spki_sha256 in trusted()


@pytest.mark.parametrize("seen", [{"version": 7}, {"sha256": "0" * 64}])
def test_a_stale_page_approves_nothing(world, newcomer, seen):
    approval = ask(world, newcomer.certificate)
    with refused(Reason.VERSION_CHANGED):
        agree(approval, world.second, **seen)


def test_a_target_changed_since_the_proposal_is_looked_at_anew(world):
    approval = step(world, CA_SUSPEND)
    world.intermediate.refresh_from_db()
    world.intermediate.group = "other"
    world.intermediate.save()
    with refused(Reason.VERSION_CHANGED):
        agree(approval, world.second)
    assert Approval.objects.get(pk=approval.pk).state == ApprovalState.PENDING  # nothing half-written


def test_a_rejected_or_taken_back_proposal_does_nothing_and_can_be_made_again(world, newcomer):
    first = ask(world, newcomer.certificate)
    with refused(Reason.SECOND_OPERATOR_NEEDED):
        reject(approval_id=first.pk, version=first.version, by=world.first, context=None, note="不")
    reject(approval_id=first.pk, version=first.version, by=world.second, context=None, note="摘要与电话核对不符")
    second = ask(world, newcomer.certificate)
    with refused(Reason.NOT_ALLOWED):
        take_back(approval_id=second.pk, version=second.version, by=world.second, context=None)
    take_back(approval_id=second.pk, version=second.version, by=world.first, context=None)
    assert newcomer.key.spki_sha256 not in trusted()
    agree(ask(world, newcomer.certificate), world.second)
    assert newcomer.key.spki_sha256 in trusted()


def test_one_open_proposal_per_target(world):
    step(world, CA_WITHDRAW)
    with refused(Reason.APPROVAL_WAITING):
        step(world, CA_WITHDRAW)


def test_an_old_proposal_is_closed(world, newcomer):
    approval = ask(world, newcomer.certificate)
    Approval.objects.filter(pk=approval.pk).update(proposed_at=AT_START)
    with refused(Reason.APPROVAL_CLOSED):
        agree(approval, world.second)
    ask(world, newcomer.certificate)  # and does not stand in the way of a new one


@pytest.mark.parametrize("reason", ["", "   ", "a\x00b", "长" * 201])
def test_a_proposal_needs_a_reason(world, newcomer, reason):
    with refused(Reason.REASON_MISSING):
        propose_ca(
            provider=world.provider,
            certificate=newcomer.certificate,
            anchor=True,
            group="",
            reason=reason,
            by=world.first,
            context=None,
        )


@pytest.mark.parametrize("note", ["a\x00b", "\x00", "长" * 201])
def test_a_note_is_as_clean_as_a_reason(world, note):
    """A NUL in it used to be an error 500 from the database."""
    approval = step(world, CA_SUSPEND)
    with refused(Reason.REASON_MISSING):
        agree(approval, world.second, note=note)
    agree(approval, world.second, note=" 已电话\n核实 ")
    assert Approval.objects.get(pk=approval.pk).note == "已电话 核实"


def test_an_approval_needs_no_note(world):
    approval = agree(step(world, CA_SUSPEND), world.second, note=" ")
    assert approval.note == ""


def test_a_personal_id_in_a_reason_or_a_note_is_kept_nowhere(world):
    person = id_card("14010119900101123")
    row = CaRecord.objects.get(pk=world.intermediate.pk)
    suspend = {"record": row, "version": row.version, "kind": CA_SUSPEND, "by": world.first, "context": None}
    approval = propose_ca_state(**suspend, reason=f"张三 {person} 来电")
    agree(approval, world.second, note=f"核实 {person}")
    suspend_provider(provider=world.provider, reason=person, by=world.first, context=None)
    other = ask(world, pki.make_root(person, "EC", not_before=AT_START, not_after=pki.years(AT_START, 20)).certificate)
    reject(approval_id=other.pk, version=1, by=world.second, context=None, note=person)
    stored = str([*Approval.objects.values_list("reason", "note", "summary"), *AuditEvent.objects.values_list("details")])
    assert person not in stored
    assert stored.count(person[-4:]) >= 7  # masked, not dropped


@pytest.mark.parametrize(("kind", "state"), [(CA_SUSPEND, CaState.SUSPENDED), (CA_WITHDRAW, CaState.WITHDRAWN)])
def test_a_ca_that_goes_takes_its_sessions_with_it_and_no_others(world, kind, state, newcomer):
    agree(ask(world, newcomer.certificate), world.second)
    on_it, elsewhere = ca_session(world.intermediate), ca_session(CaRecord.objects.get(spki_sha256=newcomer.key.spki_sha256))
    agree(step(world, kind), world.second)
    assert CaRecord.objects.get(pk=world.intermediate.pk).state == state
    assert world.intermediate.spki_sha256 not in trusted()
    on_it.refresh_from_db()
    elsewhere.refresh_from_db()
    assert on_it.ended_at is not None
    assert elsewhere.ended_at is None
    assert (
        AuditEvent.objects.get(event__in=["provider:anchor:suspended", "provider:anchor:withdrawn"]).details["sessions_ended"] == 1
    )


def test_withdrawing_the_only_anchor_ends_what_stood_below_it_and_suspends_the_provider(world):
    session = ca_session(world.intermediate)
    agree(step(world, CA_WITHDRAW, world.anchor), world.second)
    session.refresh_from_db()
    assert session.ended_at is not None
    assert Provider.objects.get(pk=world.provider.pk).state == ProviderState.SUSPENDED
    assert trusted() == set()


def test_a_suspended_ca_comes_back_and_a_withdrawn_one_only_as_a_new_proposal(world):
    agree(step(world, CA_SUSPEND), world.second)
    agree(step(world, CA_RESUME), world.second)
    assert world.intermediate.spki_sha256 in trusted()
    agree(step(world, CA_WITHDRAW), world.second)
    with refused(Reason.REQUEST_MALFORMED):
        step(world, CA_RESUME)
    agree(ask(world, bytes(world.intermediate.certificate), anchor=False), world.second)
    assert world.intermediate.spki_sha256 in trusted()


def hostile_certificates(authority: pki.Authority) -> dict[str, bytes]:
    key, dates = pki.make_key("EC"), {"not_before": AT_START, "not_after": pki.years(AT_START, 20)}
    name = pki.name("根 CA")
    ca = pki.ca_extensions(key, issuer=key)
    issue = pki.Authority(key, name, b"", ()).issue
    small = pki.make_key("RSA", rsa_bits=1024)
    return {
        "empty": b"",
        "noise": b"\x30\x82" + bytes(300),
        "too large": b"\x30" * 20_000,
        "text": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "leaf": authority.issue_lock("张三", key, **dates),
        "version 1": issue(name, key.spki_der, **dates, version=0),
        "no key usage": issue(name, key.spki_der, **dates, extensions=[e for e in ca if e[0] != "2.5.29.15"]),
        "may not sign certificates": issue(
            name, key.spki_der, **dates, extensions=[*(e for e in ca if e[0] != "2.5.29.15"), pki.key_usage("crl_sign")]
        ),
        "not cA": issue(name, key.spki_der, **dates, extensions=[e for e in ca if e[0] != "2.5.29.19"]),
        "a name that OpenSSL cannot read": issue(
            der.sequence(der.set_of(der.sequence(der.oid("2.5.4.3"), der.tlv(0x0C, b"\xff\xfe")))),
            key.spki_der,
            **dates,
            extensions=ca,
        ),
        "a key that OpenSSL cannot read": issue(
            name, key.spki_der.replace(b"\x03\x42\x00", b"\x03\x42\x01")[:-1] + b"\0", **dates, extensions=ca
        ),
        "RSA 1024": pki.make_root("弱", "RSA", small, **dates).certificate,
        "expired": pki.make_root("旧", "EC", not_before=pki.years(AT_START, -5), not_after=AT_START).certificate,
        "not yet valid": pki.make_root(
            "新", "EC", not_before=pki.years(AT_START, 9), not_after=pki.years(AT_START, 20)
        ).certificate,
    }


@pytest.mark.parametrize(
    "name",
    [
        "empty", "noise", "too large", "text", "leaf", "version 1", "no key usage", "may not sign certificates", "not cA",
        "a name that OpenSSL cannot read", "a key that OpenSSL cannot read", "RSA 1024", "expired", "not yet valid",
    ],
)  # fmt: skip
def test_what_is_no_ca_certificate_never_becomes_an_anchor(world, authority, name):
    """A20: a non-CA certificate as anchor lets its owner mint others."""
    with refused(Reason.CA_CERTIFICATE_REFUSED):
        ask(world, hostile_certificates(authority)[name])
    assert CaRecord.objects.count() == 2
    assert not Approval.objects.exists()


def test_a_known_key_is_not_recorded_twice(world, authority):
    with refused(Reason.CA_KEY_KNOWN):
        ask(world, authority.certificate)
    sites = world.provider.sites
    other = Provider.objects.create(code="other", name="另一家", short_name="另一家", state=ProviderState.SUSPENDED, sites=sites)
    with refused(Reason.CA_KEY_KNOWN):
        propose_ca(
            provider=other,
            certificate=authority.certificate,
            anchor=True,
            group="",
            reason="同一公钥",
            by=world.first,
            context=None,
        )


def test_a_newer_certificate_of_the_same_key_replaces_the_older_after_approval(world, authority):
    newer = pki.make_root("练习根 CA", "SM2", authority.key, not_before=AT_START, not_after=pki.years(AT_START, 40)).certificate
    approval = ask(world, newer)
    assert bytes(CaRecord.objects.get(pk=world.anchor.pk).certificate) == authority.certificate
    agree(approval, world.second)
    assert bytes(CaRecord.objects.get(pk=world.anchor.pk).certificate) == newer
    assert CaRecord.objects.count() == 2
