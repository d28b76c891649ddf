"""The profile: whether this is the certificate a person logs in with, not the other one on the same lock.

A Chinese CA lock often holds two certificates over two keys: one to sign, one to be encrypted to. They share a subject. Only the
signing one may log in. Source: RFC 5280 clause 4.2.1.3 and 4.2.1.12; Web eID for EKU and disallowed policies.
"""

from __future__ import annotations

from calock.core.certificate import Certificate
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.core.verdict import Check, Step, failed, passed


def check_profile(certificate: Certificate, policy: Policy) -> tuple[Check, ...]:
    """Judge purpose and policies of a holder's certificate."""
    try:
        form = certificate.form
    except Refusal as refusal:  # a malformed extension, when the gate was left out
        return (failed(Step.PROFILE, "extensions", refusal.reason, refusal.detail),)
    kept = form.profile
    if kept is not None and kept[0] is policy:
        return kept[1]
    checks = (_key_usage(certificate, policy), _extended(certificate, policy), _policies(certificate, policy))
    form.profile = policy, checks
    return checks


def _key_usage(certificate: Certificate, policy: Policy) -> Check:
    usage = certificate.key_usage
    if usage is None:
        if policy.key_usage_required:
            return failed(Step.PROFILE, "key usage", Reason.KEY_USAGE_MISSING, "no keyUsage extension")
        return passed(Step.PROFILE, "key usage", "absent, and the provider does without")
    if "digital_signature" not in usage:
        found = ", ".join(sorted(usage)) or "nothing"
        return failed(Step.PROFILE, "key usage", Reason.KEY_USAGE_NOT_SIGNING, f"for {found}, not for digital signatures")
    return passed(Step.PROFILE, "key usage", "digital signature")


def _extended(certificate: Certificate, policy: Policy) -> Check:
    eku = certificate.eku
    if eku is None:
        if policy.eku_required:
            return failed(Step.PROFILE, "extended key usage", Reason.EXTENDED_KEY_USAGE, "no extendedKeyUsage extension")
        return passed(Step.PROFILE, "extended key usage", "absent: not restricted")
    if not set(eku) & set(policy.ekus):
        return failed(Step.PROFILE, "extended key usage", Reason.EXTENDED_KEY_USAGE, "not for client authentication")
    return passed(Step.PROFILE, "extended key usage")


def _policies(certificate: Certificate, policy: Policy) -> Check:
    barred = set(certificate.policies or ()) & set(policy.disallowed_policies)
    if barred:
        return failed(Step.PROFILE, "disallowed policies", Reason.POLICY_NOT_ALLOWED, f"policy {min(barred)} is disallowed")
    return passed(Step.PROFILE, "disallowed policies")
