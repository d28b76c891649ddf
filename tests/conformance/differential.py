"""Generated chains judged by us and by pyhanko-certvalidator: two engines with nothing in common but the standard.

A product of key kinds, depths and faults, made with the practice PKI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import product
from typing import Any

from conformance.second_opinion import Question, second_opinion
from conformance.suite_cases import Outcome
from cryptography import x509
from worlds.responses import ocsp_answer, ocsp_responder

from calock.core.certificates.certificate import Certificate
from calock.core.decision.verify import VerificationInputs, verify_certificate
from calock.core.policy import Policy, RevocationRules
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.revocation.evidence import InMemoryEvidence
from calock.core.verdict import Step
from calock.demo import der, pki

NOW = datetime(2026, 6, 1, tzinfo=pki.EPOCH.tzinfo)
START, END = pki.EPOCH, pki.years(pki.EPOCH, 3)
A, B, ANY = "1.2.156.99999.1", "1.2.156.99999.2", "2.5.29.32.0"
A_TO_B: pki.Extension = ("2.5.29.33", True, der.sequence(der.sequence(der.oid(A), der.oid(B))))
INHIBIT_ANY = pki.extension(x509.InhibitAnyPolicy(0), critical=True)
INHIBIT_MAPPING = pki.extension(x509.PolicyConstraints(None, 0), critical=True)
REQUIRE_EXPLICIT = pki.extension(x509.PolicyConstraints(0, None), critical=True)
KINDS = ("SM2", "EC", "RSA")


@dataclass
class Chain:
    """One generated case; faults change it before it is judged."""

    kind: str
    depth: int
    """CA certificates between root and leaf."""
    root: pki.Authority
    authorities: list[pki.Authority]
    ca_extra: dict[int, list[pki.Extension]] = field(default_factory=dict)
    ca_changes: dict[int, dict[str, Any]] = field(default_factory=dict)
    leaf_extra: list[pki.Extension] = field(default_factory=list)
    leaf_changes: dict[str, Any] = field(default_factory=dict)
    leaf_subject: bytes = field(default_factory=lambda: pki.name("holder", organisation="calock practice"))
    required: tuple[str, ...] = ()
    explicit: bool = False
    crls: bool = True
    revoked: set[int] = field(default_factory=set)
    crl_changes: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[pki.Authority], bytes] | None = None
    """The issuing CA's OCSP response for the leaf, instead of its CRL."""


@cache
def _key(kind: str, name: str) -> pki.Key:
    return pki.make_key(kind)  # type: ignore[arg-type]


def _policies(oids: list[str]) -> pki.Extension:
    return pki.extension(x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]))


def _organisation(name: str) -> x509.GeneralName:
    return x509.DirectoryName(
        x509.Name([x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "CN"), x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name)])
    )


def _subtrees(*, permitted: str = "", excluded: str = "") -> pki.Extension:
    subtrees = [[_organisation(name)] if name else None for name in (permitted, excluded)]
    return pki.extension(x509.NameConstraints(*subtrees), critical=True)


Fault = Callable[[Chain], None]


def _set(where: str, key: Any, value: Any) -> Fault:
    def change(chain: Chain) -> None:
        target = getattr(chain, where)
        if isinstance(target, dict):
            target[key] = value
        else:
            setattr(chain, where, value)

    return change


def _with_policies(
    first: list[str], second: list[str], leaf: list[str], *extra: pki.Extension, required: tuple[str, ...] = ("1.2.156.99999.1",)
) -> Fault:
    """Policies of the two CAs and the leaf; ``extra``: further extensions of the first CA; ``required``: what we ask for."""

    def change(chain: Chain) -> None:
        chain.required = required
        chain.ca_extra = {0: [*map(_policies, filter(None, [first])), *extra], 1: [*map(_policies, filter(None, [second]))]}
        chain.leaf_extra = [*map(_policies, filter(None, [leaf]))]

    return change


UNKNOWN = ("1.2.156.99999.9", True, der.utf8("?"))
DAY = timedelta(days=1)
FAULTS: dict[str, Fault] = {
    "none": lambda _: None,
    "no revocation asked": _set("crls", None, False),
    "leaf expired": _set("leaf_changes", "not_after", NOW - DAY),
    "leaf not yet valid": _set("leaf_changes", "not_before", NOW + DAY),
    "leaf ends this second": _set("leaf_changes", "not_after", NOW),
    "CA expired": _set("ca_changes", 0, {"not_after": NOW - DAY}),
    "CA not yet valid": _set("ca_changes", 0, {"not_before": NOW + DAY}),
    "leaf signed by another key": _set("leaf_changes", "wrong_signer", True),
    "leaf signed with an empty signer ID": _set("leaf_changes", "signer_id", b""),
    "CA is no CA": _set("ca_changes", 0, {"basic": x509.BasicConstraints(ca=False, path_length=None)}),
    "CA without basicConstraints": _set("ca_changes", 0, {"basic": None}),
    "CA without keyCertSign": _set("ca_changes", 0, {"usages": ("crl_sign",)}),
    "CA without cRLSign": _set("ca_changes", 0, {"usages": ("key_cert_sign",)}),
    "path length exceeded": _set("ca_changes", 0, {"basic": x509.BasicConstraints(ca=True, path_length=0)}),
    "unknown critical extension in the leaf": _set("leaf_extra", None, [UNKNOWN]),
    "unknown critical extension in the CA": _set("ca_extra", 0, [UNKNOWN]),
    "unknown non-critical extension": _set("leaf_extra", None, [("1.2.156.99999.9", False, der.utf8("?"))]),
    "names permitted": _set("ca_extra", 0, [_subtrees(permitted="calock practice")]),
    "names not permitted": _set("ca_extra", 0, [_subtrees(permitted="somebody else")]),
    "names excluded": _set("ca_extra", 0, [_subtrees(excluded="calock practice")]),
    "policy wanted, all have it": _with_policies([A], [A], [A]),
    "policy wanted, leaf has another": _with_policies([A], [A], [B]),
    "policy wanted, CA has anyPolicy": _with_policies([ANY], [ANY], [A]),
    "policy wanted, CA inhibits anyPolicy": _with_policies([ANY], [ANY], [A], INHIBIT_ANY),
    "policy mapped": _with_policies([A], [B], [B], A_TO_B),
    "mapping inhibited": _with_policies([A], [B], [B], A_TO_B, INHIBIT_MAPPING),
    "CA requires an explicit policy": _with_policies([A], [], [], REQUIRE_EXPLICIT, required=()),
    "explicit policy, none anywhere": _set("explicit", None, True),
    "leaf revoked": _set("revoked", None, {0}),
    "CA revoked": _set("revoked", None, {1}),
    "CRL past its time": _set("crl_changes", "next_update", NOW - DAY),
    "CRL from the future": _set("crl_changes", "this_update", NOW + DAY),
    "CRL by another key": _set("crl_changes", "wrong_signer", True),
    "CRL with an unknown critical extension": _set("crl_changes", "extra", [UNKNOWN]),
    "CRL without nextUpdate": _set("crl_changes", "next_update", None),
}  # fmt: skip


LEAF_SERIAL = 1000
RESPONDER = pki.extension(
    x509.AuthorityInformationAccess(
        [x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.practice/"))]
    )
)
TIMES: dict[str, Any] = {"this_update": NOW - timedelta(minutes=2), "next_update": NOW + timedelta(minutes=8)}

DELEGATE: dict[str, Any] = {"not_before": NOW - 10 * DAY, "not_after": NOW + 30 * DAY}


def _answered(make: Callable[[pki.Authority], bytes]) -> Fault:
    """``make``: the response, signed with the keys of the CA that issued the leaf."""

    def change(chain: Chain) -> None:
        chain.answer = make
        chain.leaf_extra = [RESPONDER]  # the second opinion asks no OCSP about a leaf that names no responder

    return change


def _good(authority: pki.Authority, serial: int = LEAF_SERIAL, **changes: Any) -> bytes:
    return ocsp_answer(authority, serial, **{**TIMES, **changes})


def _delegated(**changes: Any) -> Fault:
    def make(authority: pki.Authority) -> bytes:
        return _good(authority, responder=ocsp_responder(authority, **{**DELEGATE, **changes}))

    return _answered(make)


def _by_delegate_of_another(authority: pki.Authority) -> bytes:
    """The delegate's certificate is by a key of the same kind, under the CA's own name."""
    stranger = replace(authority, key=_key(authority.key.algorithm, "stranger"))
    return _good(authority, responder=ocsp_responder(stranger, **DELEGATE))


FAULTS |= {
    "OCSP good": _answered(_good),
    "OCSP good, SHA-256 names": _answered(lambda ca: _good(ca, digest="sha256")),
    "OCSP revoked": _answered(lambda ca: _good(ca, status="revoked", revoked_at=NOW - DAY, reason="keyCompromise")),
    "OCSP unknown": _answered(lambda ca: _good(ca, status="unknown")),
    "OCSP of another certificate": _answered(lambda ca: _good(ca, LEAF_SERIAL + 1)),
    "OCSP past its time": _answered(lambda ca: _good(ca, this_update=NOW - 2 * DAY, next_update=NOW - DAY)),
    "OCSP from the future": _answered(lambda ca: _good(ca, this_update=NOW + DAY, next_update=NOW + 2 * DAY)),
    "OCSP by another key": _answered(lambda ca: _good(ca, key=_key(ca.key.algorithm, "stranger"))),
    "OCSP by a delegate": _delegated(),
    "OCSP by a delegate never checked and long valid": _delegated(not_after=NOW + 300 * DAY),
    "OCSP by a delegate without the purpose": _delegated(ekus=()),
    "OCSP by a delegate for TLS": _delegated(ekus=("1.3.6.1.5.5.7.3.1",)),
    "OCSP by an expired delegate": _delegated(not_after=NOW - DAY),
    "OCSP by a delegate of another key": _answered(_by_delegate_of_another),
}  # fmt: skip


def _ca(above: pki.Authority, kind: str, number: int, chain: Chain) -> pki.Authority:
    changes = chain.ca_changes.get(number, {})
    key = _key(kind, f"ca{number}")
    subject = pki.name(f"practice CA {number}", organisation="calock practice")
    basic = changes.get("basic", x509.BasicConstraints(ca=True, path_length=None))
    extensions = [
        *([pki.extension(basic, critical=True)] if basic else []),
        pki.key_usage(*changes.get("usages", ("key_cert_sign", "crl_sign"))),
        pki.extension(x509.SubjectKeyIdentifier(key.key_id)),
        pki.extension(x509.AuthorityKeyIdentifier(above.key.key_id, None, None)),
        *chain.ca_extra.get(number, []),
    ]
    dates = {"not_before": changes.get("not_before", START), "not_after": changes.get("not_after", END)}
    made = above.issue(subject, key.spki_der, **dates, extensions=extensions, serial=100 + number)
    return pki.Authority(key, subject, made, (made, *above.chain))


def _leaf(above: pki.Authority, chain: Chain) -> bytes:
    changes = dict(chain.leaf_changes)
    signer = replace(above, key=_key(chain.kind, "stranger")) if changes.pop("wrong_signer", False) else above
    extensions = [
        pki.extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
        pki.key_usage("digital_signature"),
        pki.extension(x509.AuthorityKeyIdentifier(above.key.key_id, None, None)),
        *chain.leaf_extra,
    ]
    values = {"not_before": START, "not_after": END, "serial": LEAF_SERIAL, **changes}
    return signer.issue(chain.leaf_subject, _key(chain.kind, "leaf").spki_der, extensions=extensions, **values)


def _crls(chain: Chain) -> list[bytes]:
    changes = dict(chain.crl_changes)
    wrong = changes.pop("wrong_signer", False)
    values = {"this_update": NOW - timedelta(hours=1), "next_update": NOW + DAY, **changes}
    crls = []
    speaking = [chain.root, *chain.authorities][: chain.depth if chain.answer else None]
    for level, authority in enumerate(speaking):
        below = chain.depth - level
        serial = LEAF_SERIAL if below == 0 else 100 + level
        revoked = [(serial, NOW - DAY, "keyCompromise")] if below in chain.revoked else []
        crls.append(authority.crl(revoked, key=_key(chain.kind, "stranger") if wrong else None, **values))
    return crls


def _ours(leaf: bytes, chain: Chain, crls: list[bytes], answers: list[bytes]) -> tuple[bool, str]:
    policy = Policy(
        required_policies=chain.required, require_explicit_policy=chain.explicit, strict_extensions=False,
        revocation=RevocationRules(mode="require" if chain.crls else "off", crl_max_age=None),
    )  # fmt: skip
    root, others = chain.root.certificate, [authority.certificate for authority in chain.authorities]
    register = Register([ProviderTrust("p", (CaCertificate.of(root, anchor=True), *map(CaCertificate.of, others)), policy)])
    evidence = InMemoryEvidence(
        crls, answers, anchors=[Certificate.parse(root)], others=[Certificate.parse(c) for c in others], policy=policy, at=NOW
    )
    verdict = verify_certificate(leaf, VerificationInputs(register, NOW, evidence, steps=frozenset({Step.PATH, Step.REVOCATION})))
    return verdict.accepted, str(verdict.reason)


def _second_opinion(leaf: bytes, chain: Chain, crls: list[bytes], answers: list[bytes]) -> tuple[bool, str]:
    return second_opinion(
        leaf,
        Question(
            anchors=(chain.root.certificate,),
            others=tuple(authority.certificate for authority in chain.authorities),
            crls=tuple(crls) if chain.crls else (),
            ocsps=tuple(answers),
            revocation=chain.crls,
            moment=NOW,
            policies=chain.required,
            explicit=chain.explicit or bool(chain.required),
        ),
    )


def differential() -> Iterator[Outcome]:
    """``expected`` is the second opinion's answer."""
    for kind, depth, fault in product(KINDS, (1, 2), FAULTS):
        chain = Chain(kind, depth, _root(kind), [])
        FAULTS[fault](chain)
        above = chain.root
        for number in range(depth):
            above = _ca(above, kind, number, chain)
            chain.authorities.append(above)
        leaf = _leaf(above, chain)
        evidence = (_crls(chain), [chain.answer(above)] if chain.answer else [])
        accepted, reason = _ours(leaf, chain, *evidence)
        expected, said = _second_opinion(leaf, chain, *evidence)
        yield Outcome(
            "differential", f"{kind}, {depth} CAs, {fault}", expected, accepted, f"{reason} / second opinion: {said[:160]}"
        )


@cache
def _root(kind: str) -> pki.Authority:
    return pki.make_root("practice root", kind, _key(kind, "root"), not_before=START, not_after=END)  # type: ignore[arg-type]
