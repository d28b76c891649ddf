"""``amr`` says that a key is in hardware only where the lock's CA says so, by a policy that its provider's rules name."""

from __future__ import annotations

import pytest
from cryptography import x509
from worlds.browser import Browser, bound
from worlds.practice import make_lock

from calock.core.policy import Policy, PolicyError
from calock.demo.pki import extension
from calock.server.providers.models import Provider

pytestmark = pytest.mark.django_db

HARDWARE, OTHER = "1.2.156.99999.1.1", "1.2.156.99999.1.2"


@pytest.mark.parametrize(
    ("rules", "certificate", "method"),
    [([HARDWARE], [OTHER, HARDWARE], "hwk"), ([HARDWARE], [OTHER], "swk"), ([HARDWARE], [], "swk"), ([], [HARDWARE], "swk")],
)
def test_a_lock_is_hardware_by_its_cas_word_alone(rp, lock_world, rules, certificate, method):
    policies = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in certificate]
    lock = make_lock("EC", extra=[extension(x509.CertificatePolicies(policies))] if policies else [])
    bound(lock, lock_world.member)
    provider = Provider.objects.get(code=lock.family.provider)
    provider.rules = {**provider.rules, "hardware_policies": rules}
    provider.save()
    person = Browser()
    assert person.log_in(lock).status_code == 200
    assert rp.enter(person)["claims"]["amr"] == [method, "pin", "mfa"]


def test_any_policy_is_no_word_about_the_key():
    with pytest.raises(PolicyError, match="anyPolicy"):
        Policy.from_json({"hardware_policies": ["2.5.29.32.0"]})
