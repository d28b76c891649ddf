"""Every case on which we differ from a suite on purpose: its name, and why. ``docs/conformance.md`` says the same in prose."""

from __future__ import annotations

DSA = "DSA is not a key type of any CA lock; its 1024 bits are below every allowed size"
INDIRECT = "indirect CRLs are refused: a CRL speaks only for the key that signed it (trust rule, fail closed)"
FORMAT_11 = "format web-eid:1.1 is recognised and refused with TOKEN_FORMAT_UNSUPPORTED; no released validator speaks it"
IGNORED = "format 1.0 ignores unknown fields, as the released 1.0 validators do; only the unreleased 1.1 branch refuses this token"

PKITS = {
    "40104 valid_dsa_signatures_test4": DSA,
    "40105 valid_dsa_parameter_inheritance_test5": DSA,
    "41422 valid_idp_with_indirectcrl_test22": INDIRECT,
    "41424 valid_idp_with_indirectcrl_test24": INDIRECT,
    "41425 valid_idp_with_indirectcrl_test25": INDIRECT,
    "41428 valid_crlissuer_test28": INDIRECT,
    "41429 valid_crlissuer_test29": INDIRECT,
    "41430 valid_crlissuer_test30": INDIRECT,
    "41433 valid_crlissuer_test33": INDIRECT,
}

WEBEID: dict[str, str] = {}
"""None: all forty cases of format 1.0 agree, the two OCSP-only ones included (refused at the signature, before any OCSP)."""

WEBEID_11 = {
    "AuthTokenSignatureValidatorTest.whenValidRS256V11Signature_thenSucceeds": FORMAT_11,
    "v1.1/AuthTokenSignatureTest.whenValidV11TokenAndNonce_thenValidationSucceeds": FORMAT_11,
    "v1.1/AuthTokenV11CertificateTest.whenValidV11Token_thenValidationSucceeds": FORMAT_11,
    "v1.1/AuthTokenVersion1ValidatorTest.whenUnverifiedSigningCertificatesPresentForV1_thenValidationFails": IGNORED,
}

SM2: dict[str, str] = {}
WYCHEPROOF: dict[str, str] = {}

WEBEID_OCSP = {
    "whenNonceDiffers_thenThrows": "a file has no request whose nonce could differ; the server's fetcher judges nonces",
}

LONG_NOCHECK = (
    "a delegate that nobody may ask about (id-pkix-ocsp-nocheck) counts for 90 days at most; RFC 6960 4.2.2.2.1 leaves this to us"
)

DIFFERENTIAL = {
    f"{kind}, {depth} CAs, OCSP by a delegate never checked and long valid": LONG_NOCHECK
    for kind in ("SM2", "EC", "RSA")
    for depth in (1, 2)
}
"""Where the second opinion answers otherwise; ``docs/conformance.md`` says who is right."""

SECOND_PKITS = {case: reason for case, reason in PKITS.items() if reason is INDIRECT}
"""The second opinion refuses the two DSA cases like us."""

SECOND_SM2 = {
    "OCSP for the leaf": "it reads no OCSP about a certificate that names no responder; ours are named by the provider's record",
}
