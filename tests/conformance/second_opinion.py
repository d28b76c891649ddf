"""pyhanko-certvalidator's answer to what we answer: it shares no code with our path engine, policy processing or revocation layer.

SM2 signatures reach it by a signature validator over our libcrypto binding; everything else of it is its own.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import pem
from asn1crypto import x509 as asn1_x509
from conformance import suite_cases
from conformance.suite_cases import SUITES, Outcome, calock
from cryptography.exceptions import InvalidSignature
from pyhanko_certvalidator import CertificateValidator, PKIXValidationParams, ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError
from pyhanko_certvalidator.policy_decl import CertRevTrustPolicy, RevocationCheckingPolicy, RevocationCheckingRule
from pyhanko_certvalidator.sig_validate import DefaultSignatureValidator

from calock.core import libcrypto

logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL)  # it logs a traceback for each CRL that it refuses


class _WithSm2(DefaultSignatureValidator):
    """The second opinion's own signature check, and SM2 beside it."""

    def validate_signature(
        self, signature: bytes, signed_data: bytes, public_key_info: Any, signature_algorithm: Any, *rest: Any, **more: Any
    ) -> None:
        if signature_algorithm["algorithm"].dotted != "1.2.156.10197.1.501":
            super().validate_signature(signature, signed_data, public_key_info, signature_algorithm, *rest, **more)
        elif not libcrypto.sm2_verify(public_key_info.dump(), signature, signed_data):
            raise InvalidSignature


@dataclass(frozen=True)
class Question:
    """What a certificate is judged with: DER throughout. ``revocation``: whether evidence is required for every certificate."""

    moment: datetime
    anchors: tuple[bytes, ...]
    others: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    revocation: bool = True
    policies: tuple[str, ...] = ()
    explicit: bool = False
    mapping_inhibited: bool = False
    any_inhibited: bool = False


def _asked(question: Question) -> RevocationCheckingPolicy:
    """Evidence for every certificate, or none. Told to require OCSP, it also reads answers about a leaf that names no responder."""
    if not question.revocation:
        return RevocationCheckingPolicy.from_legacy("soft-fail")
    leaf = RevocationCheckingRule.OCSP_REQUIRED if question.ocsps else RevocationCheckingRule.CRL_REQUIRED
    return RevocationCheckingPolicy(leaf, RevocationCheckingRule.CRL_REQUIRED)


def second_opinion(leaf: bytes, question: Question) -> tuple[bool, str]:
    """Accepted or not, and what the second opinion said."""
    with patch("pyhanko_certvalidator.context.DefaultSignatureValidator", _WithSm2):  # an argument would not reach OCSP delegates
        return _opinion(leaf, question)


def _opinion(leaf: bytes, question: Question) -> tuple[bool, str]:
    try:
        context = ValidationContext(
            trust_roots=[asn1_x509.Certificate.load(anchor) for anchor in question.anchors],
            other_certs=[asn1_x509.Certificate.load(other) for other in question.others],
            crls=[asn1_crl.CertificateList.load(crl) for crl in question.crls] or None,
            ocsps=[asn1_ocsp.OCSPResponse.load(ocsp) for ocsp in question.ocsps] or None,
            moment=question.moment, best_signature_time=question.moment, allow_fetching=False,
            revinfo_policy=CertRevTrustPolicy(_asked(question)),
            weak_hash_algos={"md2", "md5", "sha1"}, time_tolerance=timedelta(0),
        )  # fmt: skip
        parameters = PKIXValidationParams(
            user_initial_policy_set=frozenset(question.policies or ("any_policy",)),
            initial_explicit_policy=question.explicit,
            initial_policy_mapping_inhibit=question.mapping_inhibited,
            initial_any_policy_inhibit=question.any_inhibited,
        )
        validator = CertificateValidator(asn1_x509.Certificate.load(leaf), validation_context=context, pkix_params=parameters)
        asyncio.run(validator.async_validate_path())
    except (PathError, ValidationError, ValueError) as error:
        return False, f"{type(error).__name__}: {error}"
    return True, ""


def _der(file: Path) -> bytes:
    """The DER of a file, PEM or not. Raises ValueError for neither."""
    content = file.read_bytes()
    return pem.unarmor(content)[2] if pem.detect(content) else content


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _compared(suite: str, case: str, ours: tuple[bool, str], leaf: bytes, question: Question) -> Outcome:
    expected, said = second_opinion(leaf, question)
    return Outcome(suite, case, expected, ours[0], f"{ours[1]} / second opinion: {said[:200]}")


def pkits() -> Iterator[Outcome]:
    place = SUITES / "pkits"
    anchor = (place / "certs" / "TrustAnchorRootCertificate.crt").read_bytes()
    ours = {outcome.case: (outcome.accepted, outcome.reason) for outcome in suite_cases.pkits()}
    for case in suite_cases.pkits_index():
        name = f"{case['id']} {case['name']}"
        crls = [place / "crls" / crl for crl in ("TrustAnchorRootCRL.crl", *case.get("crls", []))]
        params = case.get("params", {})
        question = Question(
            moment=_moment("2022-05-01T00:00:00Z"), anchors=(anchor,),
            others=tuple((place / "certs" / other).read_bytes() for other in case.get("other_certs", [])),
            crls=tuple(crl.read_bytes() for crl in crls),
            policies=tuple(params.get("user_initial_policy_set", ())), explicit=params.get("initial_explicit_policy", False),
            mapping_inhibited=params.get("initial_policy_mapping_inhibit", False),
            any_inhibited=params.get("initial_any_policy_inhibit", False),
        )  # fmt: skip
        yield _compared("pkits", name, ours[name], (place / "certs" / case["cert"]).read_bytes(), question)


def webeid() -> Iterator[Outcome]:
    """The path of every certificate in a Web eID token of either format, at the case's clock and under its anchors."""
    place = SUITES / "webeid"
    index = suite_cases.webeid_index()
    with tempfile.TemporaryDirectory() as scratch:
        for case in index["cases"]:
            leaf = _certificate_of(place, index, case)
            anchors = tuple(place / index["certificates"][name]["file"] for name in case["trust_anchors"])
            if leaf is None or not anchors:
                continue
            file = Path(scratch) / "leaf.der"
            file.write_bytes(leaf)
            at = case["clock"] or "2023-10-01T00:00:00Z"
            _, report, said = calock("certificate", "explain", file, "--json", "--only", "path", "--at", at, "--anchors", *anchors)
            accepted = report is not None and report["accepted"]
            ours = (accepted, str(report["reason"] if report else said))
            question = Question(moment=_moment(at), anchors=tuple(map(_der, anchors)), revocation=False)
            yield _compared("webeid", case["id"], ours, leaf, question)


def _certificate_of(place: Path, index: dict[str, Any], case: dict[str, Any]) -> bytes | None:
    """The DER in the case's token; None where the token holds nothing that is Base64."""
    if not case["token"]:
        return None
    try:
        token = json.loads((place / index["tokens"][case["token"]]["file"]).read_bytes())
        return binascii.a2b_base64(token["unverifiedCertificate"], strict_mode=True) or None
    except (ValueError, KeyError, TypeError):
        return None


def webeid_ocsp() -> Iterator[Outcome]:
    place = SUITES / "webeid"
    index = suite_cases.webeid_index()
    ours = {outcome.case: (outcome.accepted, outcome.reason) for outcome in suite_cases.webeid_ocsp()}
    for case in index["ocsp_responses"]:
        subject, issuer = (_der(place / index["certificates"][case[role]]["file"]) for role in ("subject", "issuer"))
        question = Question(
            moment=_moment(case["clock"] or "2021-09-17T18:25:24Z"), anchors=(issuer,), ocsps=((place / case["file"]).read_bytes(),)
        )
        yield _compared("webeid-ocsp", case["java_test"], ours[case["java_test"]], subject, question)


def sm2() -> Iterator[Outcome]:
    place = SUITES / "sm2"
    ours = {outcome.case: (outcome.accepted, outcome.reason) for outcome in suite_cases.sm2()}
    for case in suite_cases.SM2_CASES:
        question = Question(
            moment=_moment(suite_cases.SM2_MOMENT), anchors=(_der(place / case.root),), others=(_der(place / case.above),),
            crls=tuple(_der(place / crl) for crl in case.crls), ocsps=tuple(_der(place / ocsp) for ocsp in case.ocsps),
            revocation=bool(case.crls or case.ocsps),
        )  # fmt: skip
        yield _compared("sm2", case.name, ours[case.name], _der(place / case.leaf), question)
