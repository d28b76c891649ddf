"""Which of the candidate paths of a certificate counts.

A path counts when the path step, the revocation of its certificates and the purposes of its CA certificates all hold; otherwise
the next candidate is tried, within the bounds of :mod:`calock.core.paths.ca_path` (RFC 4158 clauses 2.4.2 and 3.5). When none
counts, the refusal is that of the path that got furthest. The order of the register's rows decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from calock.core.certificates.certificate import Certificate
from calock.core.checks.profile import check_ca_purposes
from calock.core.decision.inputs import VerificationInputs
from calock.core.paths.ca_path import CandidatePaths, CaPath
from calock.core.paths.path import CertificationPath, progress, validated_paths
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.core.register import Issuer, Register
from calock.core.revocation.check import FETCH_MAY_HELP, RevocationResult, SameKey, check_revocation
from calock.core.revocation.signed_data import SignatureRejectedError, check_issued_ever
from calock.core.verdict import Check, Step


class ChosenPath(NamedTuple):
    """A path, and what was found out about it while it was chosen."""

    path: CertificationPath
    revocation: RevocationResult | None = None
    """None: not looked at, or a certificate of the path does not say legibly which CRLs are meant."""
    purposes: Check | None = None
    """Whether its CA certificates may issue locks; None: not looked at, or there is none below the anchor."""
    counts: bool = False


def choose_path(leaf: Certificate, inputs: VerificationInputs, candidates: CandidatePaths | None = None) -> ChosenPath:
    """The first candidate path of ``leaf`` that counts, otherwise the one that got furthest."""
    best: ChosenPath | None = None
    paths = validated_paths(leaf, inputs.register, at=inputs.at, provider=inputs.provider, site=inputs.site, candidates=candidates)
    for path in paths:
        chosen = _examined(path, inputs)
        if chosen.counts:
            return chosen
        best = chosen if best is None or _rank(chosen) > _rank(best) else best
    assert best is not None
    return best


def _examined(path: CertificationPath, inputs: VerificationInputs) -> ChosenPath:
    if not path.holds or path.provider is None:
        return ChosenPath(path, counts=path.holds)
    policy = path.provider.policy
    revocation, purposes, legible = None, None, True
    if Step.REVOCATION in inputs.steps and inputs.revocation_given:
        try:
            revocation = revocation_of(path, inputs)
        except Refusal:  # the revocation step meets it again and says so
            legible = False
    if Step.PROFILE in inputs.steps:
        purposes = ca_purposes(path.above, policy)
    good = legible and (revocation is None or revocation.reason is None) and (purposes is None or purposes.passed is True)
    return ChosenPath(path, revocation, purposes, good)


def _rank(chosen: ChosenPath) -> tuple[object, ...]:
    """To compare paths that do not count. One about which only data is missing got further than one with a revoked certificate."""
    reason = chosen.revocation.reason if chosen.revocation is not None else Reason.REVOCATION_UNTRUSTED
    status = 2 if reason is None else 1 if reason in FETCH_MAY_HELP else 0
    purposes = chosen.purposes is None or chosen.purposes.passed is True
    return progress(chosen.path)[0], status, purposes, reason or "", progress(chosen.path)


def ca_purposes(above: CaPath | None, policy: Policy) -> Check | None:
    """Whether the CA certificates below the anchor may issue locks; computed once for a CA path. None = there is none."""
    if above is None or len(above.certificates) == 1:
        return None
    if above.purposes is None:
        above.purposes = check_ca_purposes(above.certificates[:-1], policy)
    return above.purposes


def revocation_of(path: CertificationPath, inputs: VerificationInputs) -> RevocationResult:
    """The revocation step over a path that has a provider.

    Raises:
        Refusal: CERTIFICATE_EXTENSION, when the distribution points of a certificate cannot be read.
    """
    assert path.provider is not None
    return check_revocation(
        path.certificates,
        evidence=inputs.evidence.of_provider(path.provider.code),
        policy=path.provider.policy,
        at=inputs.at,
        stapled=inputs.stapled,
        same_keys=certificates_over_the_same_keys(path.above, inputs.register),
    )


def certificates_over_the_same_keys(above: CaPath | None, register: Register) -> tuple[SameKey, ...]:
    """Other certificates over the CA keys of a path, with the CA certificates whose keys signed them; computed once for a CA path.

    A key that a CA declares compromised is lost for every path over it, whichever certificate the path goes through.
    """
    if above is None:
        return ()
    found: tuple[SameKey, ...] | None = above.same_keys
    if found is None:
        found = above.same_keys = tuple(_found_same_keys(above, register))
    return found


def _found_same_keys(above: CaPath, register: Register) -> Iterator[SameKey]:
    for number, issuer in enumerate(above.issuers, 1):
        for other in register.with_key(issuer.ca.spki_sha256):
            if other.ca.der == issuer.ca.der and issuer is not above.issuers[-1]:
                continue  # the path itself holds it, and its issuer
            seen = {issuer.ca.spki_sha256}
            for signer in _named_signers(other, register):
                if signer.ca.spki_sha256 not in seen and _signed(other, signer):
                    seen.add(signer.ca.spki_sha256)
                    yield SameKey(number, other.certificate, signer.certificate)


def _named_signers(other: Issuer, register: Register) -> Iterator[Issuer]:
    try:
        named = register.named(other.certificate.issuer_key)
    except Refusal:
        return
    yield from (signer for signer in named if signer.provider is other.provider)


def _signed(other: Issuer, signer: Issuer) -> bool:
    try:
        check_issued_ever(other.certificate, signer.certificate, policy=other.provider.policy)
    except (SignatureRejectedError, Refusal):
        return False
    return True
