"""Which CRL may take the place of the one that is held: a true one of the CA for other certificates, or of another day, may not."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from worlds.responses import ocsp_answer
from worlds.revocation import HOUR, CrlWorld, moment

from calock.core.refusals import Reason
from calock.core.revocation.check import check_revocation
from calock.demo import pki
from calock.server.providers.models import RevocationSource
from calock.server.providers.trust import current_register
from calock.server.revocation.evidence import current_evidence, forget_evidence
from calock.server.revocation.health import Health, health_of
from calock.server.revocation.refresh import refresh_crl

pytestmark = pytest.mark.django_db
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def sees(world, *, at=None, stapled=()):
    forget_evidence()
    policy = current_register().provider(world.family.provider).policy
    return check_revocation(world.path, evidence=current_evidence(), policy=policy, at=at or moment(), stapled=stapled).reason


def fetched(world) -> None:
    assert [refresh_crl(source).error for source in (world.root, world.issuing)] == ["", ""]


def scope(**limits):
    values = {
        "full_name": None, "relative_name": None, "only_some_reasons": None, "only_contains_user_certs": False,
        "only_contains_ca_certs": False, "indirect_crl": False, "only_contains_attribute_certs": False, **limits,
    }  # fmt: skip
    return pki.extension(x509.IssuingDistributionPoint(**values), critical=True)


PARTITION = [x509.UniformResourceIdentifier("http://ca.example/7.crl")]
NARROWER = [
    {"only_contains_ca_certs": True},
    {"only_contains_user_certs": True},
    {"only_contains_attribute_certs": True},
    {"full_name": PARTITION},
    {"only_some_reasons": frozenset({x509.ReasonFlags.key_compromise})},
]


@pytest.mark.parametrize("limits", NARROWER, ids=lambda limits: next(iter(limits)))
def test_a_list_for_others_takes_no_ones_place(world, limits):
    world.publish(reason="keyCompromise")
    fetched(world)
    before_revocation = ocsp_answer(
        world.family.issuing, world.leaf.serial, "good", this_update=moment() - 20 * MINUTE, next_update=moment() + HOUR
    )
    world.publish(world.crl(extra=[scope(**limits)]))
    outcome = refresh_crl(world.issuing)
    assert (outcome.reason, "issuingDistributionPoint" in outcome.error) == (Reason.REVOCATION_UNTRUSTED, True)
    assert sees(world, stapled=[before_revocation]) is Reason.CERTIFICATE_REVOKED
    assert health_of(world.issuing, at=moment()).health is Health.FAILING  # operators see it at once


def test_nor_does_it_lock_anybody_out(world):
    fetched(world)
    world.publish(world.crl(extra=[scope(only_contains_ca_certs=True)]))
    assert not refresh_crl(world.issuing).ok
    assert sees(world) is None


def test_where_rules_do_without_data_the_revoked_stay_out_too(db, source):
    world = CrlWorld.installed(source, rules={"revocation": {"mode": "if_available"}})
    world.publish(reason="keyCompromise")
    fetched(world)
    world.publish(world.crl(extra=[scope(only_contains_ca_certs=True)]))
    refresh_crl(world.issuing)
    assert sees(world) is Reason.CERTIFICATE_REVOKED


def test_a_delta_takes_no_complete_lists_place(world):
    fetched(world)
    delta = pki.extension(x509.DeltaCRLIndicator(world.number), critical=True)
    world.publish(world.crl(extra=[delta]))
    assert "delta" in refresh_crl(world.issuing).error
    assert sees(world) is None


def test_a_list_for_more_takes_the_place_of_one_for_less(world):
    world.publish(world.crl(extra=[scope(only_contains_ca_certs=True)]))
    fetched(world)
    assert sees(world) is Reason.REVOCATION_UNAVAILABLE
    world.publish()
    assert refresh_crl(world.issuing).changed
    assert sees(world) is None


def test_an_operator_who_enters_the_address_anew_takes_what_the_ca_publishes_now(world):
    fetched(world)
    world.publish(world.crl(extra=[scope(only_contains_user_certs=True)]))
    assert not refresh_crl(world.issuing).ok
    old = world.issuing
    record, url = old.ca_record, old.url
    old.delete()
    RevocationSource(ca_record=record, kind="crl", url=url, private_network=True).save()
    assert refresh_crl(world.issuing).changed
    assert sees(world) is None


def test_of_several_in_one_answer_the_complete_one_counts(world):
    base = world.crl()
    delta = world.crl(extra=[pki.extension(x509.DeltaCRLIndicator(world.number), critical=True)])
    world.publish(
        b"".join(
            b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(der) + b"-----END X509 CRL-----\n" for der in (delta, base, delta)
        )
    )
    fetched(world)
    assert sees(world) is None


def test_a_list_of_another_day_counts_on_no_day_before(world):
    fetched(world)
    world.publish(world.crl(this_update=moment() + 365 * DAY, next_update=moment() + 366 * DAY))
    outcome = refresh_crl(world.issuing)
    assert (outcome.reason, "future" in outcome.error) == (Reason.REVOCATION_STALE, True)
    assert sees(world) is None
    world.publish(reason="keyCompromise")  # the CA's correction is not "older than one seen before"
    assert refresh_crl(world.issuing).changed
    assert sees(world) is Reason.CERTIFICATE_REVOKED


def test_a_clock_a_little_ahead_is_no_fault(world):
    world.publish(world.crl(this_update=moment() + MINUTE, next_update=moment() + DAY))
    fetched(world)
    assert sees(world) is None


class _Sha1:
    """A key that signs over SHA-1."""

    signature_algorithm = pki.ECDSA_WITH_SHA1

    def __init__(self, key) -> None:
        self._key = key

    def __getattr__(self, name):
        return getattr(self._key, name)

    def sign(self, data: bytes, **_: object) -> bytes:
        key = serialization.load_der_private_key(self._key.private_pkcs8, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key.sign(data, ec.ECDSA(hashes.SHA1()))


def test_a_held_list_counts_no_longer_than_the_exception_its_signature_rests_on(db, source):
    rules = {"legacy": [{"what": "SHA1", "until": (moment() + 2 * MINUTE).isoformat()}]}
    world = CrlWorld.installed(source, "EC", rules=rules)
    world.publish(world.crl(key=_Sha1(world.family.issuing.key)))
    fetched(world)
    assert sees(world) is None
    assert sees(world, at=moment() + 3 * MINUTE) is Reason.REVOCATION_UNTRUSTED
