"""A CA that signs its CRLs with a key of their own: that key is recognised for CRLs, and for nothing else (RFC 5280, cRLSign)."""

from __future__ import annotations

import shutil

import pytest
from cryptography import x509
from django.db import IntegrityError, transaction
from django.utils import timezone
from worlds.practice import spare_key
from worlds.revocation import HOUR, CrlWorld, live_source, moment
from worlds.rows import operator

from calock.core.certificates.certificate import Certificate
from calock.core.decision.verify import VerificationInputs, verify_certificate
from calock.core.refusals import Reason, Refusal
from calock.demo import pki
from calock.server.approvals.kinds import kind_of
from calock.server.approvals.models import Approval
from calock.server.approvals.services import approve
from calock.server.locks.models import LockCertificate
from calock.server.providers.anchors import CA_WITHDRAW, propose_ca, propose_ca_state
from calock.server.providers.enforcement import usable_records
from calock.server.providers.installation import CaToInstall, install_provider
from calock.server.providers.models import CaRecord, CaState, Provider
from calock.server.providers.sources import add_source
from calock.server.providers.trust import current_problems, current_register
from calock.server.revocation import store
from calock.server.revocation.evidence import current_evidence, forget_evidence
from calock.server.revocation.refresh import refresh_crl


@pytest.fixture
def place(db):
    shutil.rmtree(store.directory(), ignore_errors=True)
    forget_evidence()
    with live_source() as server:
        world = CrlWorld.installed(server)
        world.first, world.second = operator("jia"), operator("yi")
        yield world
    forget_evidence()


def signer_of(place, *, usages=("crl_sign",), by=None, ca: bool | None = None, number: int = 7) -> pki.Authority:
    """A key of the issuing CA's name, certified by the root unless told otherwise."""
    key, above = spare_key("EC", number), by or place.family.root
    extensions = [
        pki.key_usage(*usages),
        pki.extension(x509.AuthorityKeyIdentifier(above.key.key_id, None, None)),
        pki.extension(x509.SubjectKeyIdentifier(key.key_id)),
    ]
    if ca is not None:
        extensions.append(pki.extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
    subject = place.family.issuing.subject
    now = moment()
    certificate = above.issue(subject, key.spki_der, not_before=now - 24 * HOUR, not_after=now + 2400 * HOUR, extensions=extensions)
    return pki.Authority(key, subject, certificate, ())


def ask(place, certificate: bytes, **fields) -> Approval:
    wanted = {"anchor": False, "crl_signer": True, "group": "", "reason": "CRL 单独签发", "context": None, **fields}
    return propose_ca(provider=Provider.objects.get(), certificate=certificate, by=place.first, **wanted)


def agree(place, approval: Approval) -> None:
    approve(approval_id=approval.pk, version=approval.version, sha256=approval.sha256, by=place.second, context=None)


def judge(certificate: bytes) -> Reason | None:
    forget_evidence()
    setting = VerificationInputs(current_register(), timezone.now(), current_evidence(), site="shanxi")
    return verify_certificate(certificate, setting).reason


def test_its_crl_counts_from_the_second_operator_on_until_it_is_withdrawn(place):
    signer = signer_of(place)
    place.publish(place.crl(authority=signer))
    assert refresh_crl(place.root).ok
    assert not refresh_crl(place.issuing).ok
    approval = ask(place, signer.certificate)
    assert not refresh_crl(place.issuing).ok
    agree(place, approval)
    assert refresh_crl(place.issuing).ok
    assert judge(place.lock.certificate) is None
    record = CaRecord.objects.get(crl_signer=True)
    step = {"version": record.version, "kind": CA_WITHDRAW, "reason": "换钥", "by": place.first, "context": None}
    agree(place, propose_ca_state(record=record, **step))
    assert judge(place.lock.certificate) == Reason.REVOCATION_UNAVAILABLE, "nor does the one that is held already"
    place.publish(place.crl(authority=signer))
    assert not refresh_crl(place.issuing).ok


def test_what_its_crl_revokes_is_revoked(place):
    signer = signer_of(place)
    agree(place, ask(place, signer.certificate))
    place.publish(place.crl(authority=signer, reason="keyCompromise"))
    assert refresh_crl(place.issuing).ok
    assert refresh_crl(place.root).ok
    assert judge(place.lock.certificate) == Reason.CERTIFICATE_REVOKED


def test_one_certified_by_the_ca_itself_is_taken_as_well(place):
    signer = signer_of(place, by=place.family.issuing)
    agree(place, ask(place, signer.certificate))
    place.publish(place.crl(authority=signer))
    assert refresh_crl(place.issuing).ok


@pytest.mark.parametrize("ca", [None, False, True])
def test_a_lock_certificate_by_its_key_is_refused(place, ca):
    """Whatever its basicConstraints say: without keyCertSign it issues nothing."""
    signer = signer_of(place, ca=ca)
    agree(place, ask(place, signer.certificate))
    for source in (place.root, place.issuing):
        assert refresh_crl(source).ok
    assert judge(place.lock.certificate) is None
    now = moment()
    forged = signer.issue_lock("张三", spare_key("EC", 8), not_before=now - HOUR, not_after=now + HOUR)
    assert judge(forged) in (Reason.CERTIFICATE_UNTRUSTED, Reason.PATH_INVALID)
    below = signer.intermediate("假中级", not_before=now - HOUR, not_after=now + HOUR)
    with pytest.raises(Refusal):
        install_provider(code="x", values={"name": "n", "short_name": "s"}, rules={}, sites=[],
                         cas=[CaToInstall(signer.certificate, anchor=True)])  # fmt: skip
    agree(place, ask(place, below.certificate, crl_signer=False))
    leaf = below.issue_lock("张三", spare_key("EC", 8), not_before=now - HOUR, not_after=now + HOUR)
    assert judge(leaf) in (Reason.CERTIFICATE_UNTRUSTED, Reason.PATH_INVALID)


def test_nothing_stands_on_it(place):
    agree(place, ask(place, signer_of(place).certificate))
    assert {record.role for record in usable_records(Provider.objects.get())} == {"anchor", "intermediate"}
    assert not LockCertificate.objects.filter(ca_record__crl_signer=True).exists()
    assert current_problems() == ()


@pytest.mark.parametrize(
    "usages", [("key_cert_sign", "crl_sign"), ("digital_signature", "crl_sign"), ("digital_signature",), ("key_cert_sign",)]
)
def test_only_a_key_for_crls_alone_takes_this_use(place, usages):
    with pytest.raises(Refusal, match=f"^{Reason.CA_CERTIFICATE_REFUSED}"):
        ask(place, signer_of(place, usages=usages, ca=True).certificate)


def test_it_takes_no_other_use(place):
    certificate = signer_of(place, ca=True).certificate
    for use in ({"anchor": True}, {"anchor": False}):
        with pytest.raises(Refusal, match="CRL signer only"):
            ask(place, certificate, crl_signer=False, **use)
    with pytest.raises(Refusal, match=f"^{Reason.REQUEST_MALFORMED}"):
        ask(place, certificate, anchor=True)
    with pytest.raises(Refusal, match=f"^{Reason.CA_CERTIFICATE_REFUSED}"):
        ask(place, place.family.issuing.certificate)
    agree(place, ask(place, certificate))
    with pytest.raises(IntegrityError), transaction.atomic():
        CaRecord.objects.filter(crl_signer=True).update(anchor=True)


def test_a_recorded_ca_key_does_not_change_its_use(place):
    issuing = place.family.issuing
    now = moment()
    crl_only = place.family.root.issue(
        issuing.subject, issuing.key.spki_der, not_before=now - HOUR, not_after=now + HOUR, extensions=[pki.key_usage("crl_sign")]
    )
    with pytest.raises(Refusal, match="for another use"):
        ask(place, crl_only)


def test_it_has_no_sources_of_its_own(place):
    agree(place, ask(place, signer_of(place).certificate))
    record = CaRecord.objects.get(crl_signer=True)
    with pytest.raises(Refusal, match=f"^{Reason.REQUEST_MALFORMED}"):
        add_source(record=record, kind="crl", url="http://ca.example/", private_network=False, by=place.first, context=None)


def test_the_second_operator_reads_whose_crls_it_will_sign(place):
    approval = ask(place, signer_of(place).certificate)
    use = dict(kind_of(approval).facts(approval))["用途"]
    assert use.startswith("CRL 签发证书（不是信任锚，不能签发锁证书）")
    assert "issuing" in use
    stranger = pki.make_root("别家", "EC", not_before=moment() - HOUR, not_after=moment() + 99 * HOUR)
    other = ask(place, signer_of(place, by=stranger, number=9).certificate)
    assert "登记中没有它所代表的 CA" in dict(kind_of(other).facts(other))["用途"]


def test_the_command_line_installs_it(place):
    signer = signer_of(place)
    install_provider(
        code=place.family.provider, values={"name": "练习平台", "short_name": "练习 CA"}, rules={}, sites=["shanxi"],
        cas=[CaToInstall(signer.certificate, anchor=False, crl_signer=True)],
    )  # fmt: skip
    record = CaRecord.objects.get(spki_sha256=signer.key.spki_sha256)
    assert (record.state, record.role) == (CaState.RECOGNISED, "crl_signer")
    assert current_problems() == ()


def test_one_that_is_revoked_replaces_nothing(place):
    """A stolen key that the CA above already revoked: its CRL would lock everybody out, and its number the CA's own next one."""
    signer = signer_of(place)
    agree(place, ask(place, signer.certificate))
    assert refresh_crl(place.issuing).ok
    serial = Certificate.parse(signer.certificate).serial
    place.source.serve("/root.crl", place.crl(authority=place.family.root, revoked=serial, reason="keyCompromise"))
    assert refresh_crl(place.root).ok
    place.publish(place.crl(authority=signer, number=2**150))
    assert refresh_crl(place.issuing).error == "the key that signed the CRL is revoked"
    assert judge(place.lock.certificate) is None
    place.publish(reason="superseded")
    assert refresh_crl(place.issuing).ok
    assert judge(place.lock.certificate) is Reason.CERTIFICATE_REVOKED
