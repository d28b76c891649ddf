"""The profile: whether this is the signing certificate of a lock, and its purposes allow a login.

A Chinese CA lock often holds two certificates over two keys: one to sign, one to be encrypted to. They share a subject. Only the
signing one may log in. Source: RFC 5280 clause 4.2.1.3 and 4.2.1.12; Web eID for EKU and disallowed policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from calock.core.certificates.certificate import Certificate
from calock.core.certificates.extension_set import ExtensionSet, extension_set_of
from calock.core.policy import ANY_EXTENDED_KEY_USAGE, Policy, by_rule
from calock.core.refusals import Reason, Refusal
from calock.core.verdict import Check, Step, failed, passed

_NAMED = 6
"""At most so many purposes are named in a refusal."""
_judged: WeakKeyDictionary[ExtensionSet, tuple[Policy, tuple[Check, ...]]] = WeakKeyDictionary()
"""For each extension set the policy it was last checked by, and the outcome. All locks of a CA share one entry."""


def check_profile(certificate: Certificate, policy: Policy) -> tuple[Check, ...]:
    """Check purpose and policies of a holder's certificate."""
    try:
        carried = extension_set_of(certificate)
    except Refusal as refusal:  # a malformed extension, when the gate was left out
        return (failed(Step.PROFILE, "extensions", refusal.reason, refusal.detail),)
    kept = _judged.get(carried)
    if kept is not None and kept[0] is policy:
        return kept[1]
    checks = (_holder(carried), _key_usage(certificate, policy), _extended(certificate, policy), _policies(certificate, policy))
    _judged[carried] = policy, checks
    return checks


def check_ca_purposes(authorities: Sequence[Certificate], policy: Policy) -> Check:
    """Check the CA certificates below the anchor: one whose extendedKeyUsage names other purposes alone issues no locks.

    RFC 5280 gives extendedKeyUsage no meaning in CA certificates; OpenSSL, NSS, Windows and the CA/Browser Forum read it so.
    """
    for number, authority in enumerate(authorities, 1):
        try:
            eku = authority.eku
        except Refusal as refusal:
            return failed(Step.PROFILE, "CA purposes", refusal.reason, refusal.detail)
        if eku is not None and ANY_EXTENDED_KEY_USAGE not in eku and not set(eku) & set(policy.ekus):
            detail = f"CA certificate {number} of the path: {_for_others(eku, policy)}"
            return failed(Step.PROFILE, "CA purposes", Reason.PATH_INVALID, detail)
    return passed(Step.PROFILE, "CA purposes")


def _holder(carried: ExtensionSet) -> Check:
    if carried.is_ca:
        return failed(Step.PROFILE, "holder, not a CA", Reason.CERTIFICATE_IS_CA, "a CA certificate cannot be a holder's")
    return passed(Step.PROFILE, "holder, not a CA")


def _key_usage(certificate: Certificate, policy: Policy) -> Check:
    usage = certificate.key_usage
    if usage is None:
        if policy.key_usage_required:
            detail = by_rule("no keyUsage extension", "key_usage_required")
            return failed(Step.PROFILE, "key usage", Reason.KEY_USAGE_MISSING, detail)
        return passed(Step.PROFILE, "key usage", "absent, and the provider does without")
    if "digital_signature" not in usage:
        found = ", ".join(sorted(usage)) or "nothing"
        return failed(Step.PROFILE, "key usage", Reason.KEY_USAGE_NOT_SIGNING, f"for {found}, not for digital signatures")
    return passed(Step.PROFILE, "key usage", "digital signature")


def _extended(certificate: Certificate, policy: Policy) -> Check:
    eku = certificate.eku
    if eku is None:
        if policy.eku_required:
            detail = by_rule("no extendedKeyUsage extension", "eku_required")
            return failed(Step.PROFILE, "extended key usage", Reason.EXTENDED_KEY_USAGE, detail)
        return passed(Step.PROFILE, "extended key usage", "absent: not restricted")
    if not set(eku) & set(policy.ekus):
        return failed(Step.PROFILE, "extended key usage", Reason.EXTENDED_KEY_USAGE, _for_others(eku, policy))
    return passed(Step.PROFILE, "extended key usage")


def _for_others(eku: Sequence[str], policy: Policy) -> str:
    found, wanted = (", ".join(oids[:_NAMED]) + (", …" if len(oids) > _NAMED else "") for oids in (eku, policy.ekus))
    return by_rule(
        f"its extendedKeyUsage is for {found}, and {'one of ' if len(policy.ekus) > 1 else ''}{wanted} is wanted", "ekus"
    )


def is_of_hardware(certificate: Certificate, policy: Policy) -> bool:
    """Whether the CA says, by a policy that the provider's rules name, that it certified a key in hardware."""
    return bool(policy.hardware_policies) and not set(policy.hardware_policies).isdisjoint(certificate.policies or ())


def _policies(certificate: Certificate, policy: Policy) -> Check:
    barred = set(certificate.policies or ()) & set(policy.disallowed_policies)
    if barred:
        detail = by_rule(f"policy {min(barred)} is disallowed", "disallowed_policies")
        return failed(Step.PROFILE, "disallowed policies", Reason.POLICY_NOT_ALLOWED, detail)
    return passed(Step.PROFILE, "disallowed policies")
