"""``amr`` says that a key is in hardware only where the lock's CA says so, by a policy that its provider's rules name."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from worlds.browser import Browser, bound
from worlds.practice import NOW, make_lock

from calock.core.policy import Policy, PolicyError
from calock.demo.pki import extension
from calock.server.providers.models import Provider

pytestmark = pytest.mark.django_db

HARDWARE, OTHER = "1.2.156.99999.1.1", "1.2.156.99999.1.2"


def certified(*oids: str) -> list:
    policies = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]
    return [extension(x509.CertificatePolicies(policies))] if policies else []


def recognise(lock, rules: list[str]) -> None:
    provider = Provider.objects.get(code=lock.family.provider)
    provider.rules = {**provider.rules, "hardware_policies": rules}
    provider.save()


@pytest.mark.parametrize(
    ("rules", "certificate", "method"),
    [([HARDWARE], [OTHER, HARDWARE], "hwk"), ([HARDWARE], [OTHER], "swk"), ([HARDWARE], [], "swk"), ([], [HARDWARE], "swk")],
)
def test_a_lock_is_hardware_by_its_cas_word_alone(rp, lock_world, rules, certificate, method):
    lock = make_lock("EC", extra=certified(*certificate))
    bound(lock, lock_world.member)
    recognise(lock, rules)
    person = Browser()
    assert person.log_in(lock).status_code == 200
    assert rp.enter(person)["claims"]["amr"] == [method, "pin", "mfa"]


def test_a_certificate_that_came_after_the_proof_says_nothing_about_it(rp, lock_world):
    lock = make_lock("EC")
    bound(lock, lock_world.member)
    recognise(lock, [HARDWARE])
    before, after = Browser(), Browser()
    assert before.log_in(lock).status_code == 200
    renewed = make_lock("EC", not_before=NOW - timedelta(days=1), not_after=NOW + timedelta(days=400), extra=certified(HARDWARE))
    assert after.log_in(renewed).status_code == 200
    assert [rp.enter(person)["claims"]["amr"][0] for person in (before, after)] == ["swk", "hwk"]


def test_any_policy_is_no_word_about_the_key():
    with pytest.raises(PolicyError, match="anyPolicy"):
        Policy.from_json({"hardware_policies": ["2.5.29.32.0"]})
