"""One provider's rules as a frozen value, from and to JSON. ``Policy()`` is the strict default."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar, get_args

from calock.core.prefix import check_prefix

CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0"
ANY_POLICY = "2.5.29.32.0"
CURVES = ("secp256r1", "secp384r1", "secp521r1")
MAX_DEPTH = 8
MAX_SKEW = 3600
MAX_EMERGENCIES = 20
ESTONIAN_MOBILE_ID = ("1.3.6.1.4.1.10015.1.3", "1.3.6.1.4.1.10015.1.3.1", "1.3.6.1.4.1.10015.1.3.2", "1.3.6.1.4.1.10015.1.3.3")
"""Web eID's default: certificates whose key is not in a card the user holds at this computer."""

Mode = Literal["require", "if_available", "off"]
Source = Literal["oid", "dn", "device", "key"]
Kind = Literal["uscc", "id_card", "text"]
Legacy = Literal["SHA1", "RSA1024"]
SignatureEncoding = Literal["strict", "tolerant"]


T = TypeVar("T")


class PolicyError(ValueError):
    """A policy that cannot be used; the message names the field and what it wants."""


def by_rule(detail: str, rule: str) -> str:
    """The text of a refusal, with the rule (a key of docs/policy.md) that it follows."""
    return f"{detail} (by the rule {rule})"


def json_value(text: str | bytes) -> object:
    """Read rules from JSON text. A key may occur once in an object: of two, JSON readers silently take the last.

    Raises:
        PolicyError: such a key.
        ValueError: not JSON.
        RecursionError: too deep.
    """
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise PolicyError(f"the key {key[:40]!r} occurs twice in one object")
        found[key] = value
    return found


@dataclass(frozen=True, slots=True)
class IdentityRule:
    """Where an identifier is read from. Rules are tried in order; the first that gives an acceptable value is used."""

    source: Source
    """``oid``: extension; ``dn``: subject attribute; ``device``: serial the driver reports; ``key``: the key's own hash."""
    oid: str = ""
    """Dotted OID of the extension or of the DN attribute."""
    prefix: str = ""
    """Matched at the start of the text and cut off, e.g. ``1@5013SF0``: what ``core.prefix`` allows. Must match when given."""
    kind: Kind = "text"
    """``uscc``: GB 32100 with check character; ``id_card``: GB 11643 with check digit; ``text``: 1 to 64 printable characters."""


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """How the lock's and the holder's ids are read."""

    lock: tuple[IdentityRule, ...] = ()
    """A lock's id is shown and stored in clear, so a rule of this list never reads an id of a person or an organisation."""
    holder: tuple[IdentityRule, ...] = (
        IdentityRule("oid", "1.2.156.10260.4.1.4", kind="uscc"),
        IdentityRule("oid", "1.2.156.10260.4.1.1", kind="id_card"),
    )
    holder_required: bool = False


@dataclass(frozen=True, slots=True)
class RevocationRules:
    """How fresh revocation data must be, and what happens without data. Ages are seconds; None = until nextUpdate."""

    mode: Mode = "require"
    crl_max_age: int | None = None
    """Since thisUpdate, of CRLs about leaf certificates. None: as long as their CA says by nextUpdate, its own rhythm."""
    ca_crl_max_age: int | None = None
    """Of CRLs about CA certificates: roots publish them for months."""
    ocsp_max_age: int | None = 3600
    """Since thisUpdate, for cached and stapled responses."""
    ocsp_live_max_age: int | None = 600
    """For responses fetched for this very decision."""
    ocsp_nonce_required: bool = False
    """Whether a fetched response must echo our nonce; a different nonce is refused in any case."""
    ocsp_skew: int = 300
    future_skew: int = 300
    """How far in the future thisUpdate may lie."""
    ocsp_no_next_update_age: int = 600
    """A response without nextUpdate counts this long after thisUpdate."""
    nocheck_max_days: int = 90
    """id-pkix-ocsp-nocheck is believed only of responder certificates that live at most this long."""
    responders: tuple[str, ...] = ()
    """Pinned OCSP signers besides the CA itself and its delegates: ``<SPKI SHA-256 of the CA>:<SPKI SHA-256 of the signer>``."""
    delta: bool = True
    """Whether delta CRLs are combined with their base."""
    emergencies: tuple[str, ...] = ()
    """A CA stopped publishing: age limits of its data are lifted up to a moment, and what it has published counts until its own
    nextUpdate, never longer. ``<SPKI SHA-256 of the CA>:<ISO 8601 moment with its offset from UTC>``."""

    def emergency_end(self, ca: str) -> datetime | None:
        """Up to when the age limits of the CA with this key (SPKI SHA-256) are lifted."""
        return max((end for key, end in map(_emergency, self.emergencies) if key == ca), default=None)


@dataclass(frozen=True, slots=True)
class Policy:
    """Which certificates of one provider are acceptable, and how they are read."""

    algorithms: tuple[str, ...] = ("SM2", "RSA", "EC")
    rsa_min_bits: int = 2048
    rsa_max_bits: int = 8192
    curves: tuple[str, ...] = CURVES
    legacy: tuple[tuple[Legacy, datetime], ...] = ()
    """Dated exceptions: ``SHA1`` = SHA-1 signatures, ``RSA1024`` = RSA keys of 1024 bits and more, each until its moment."""
    ekus: tuple[str, ...] = (CLIENT_AUTH,)
    """A leaf's EKU extension, when present, must hold one of these; anyExtendedKeyUsage does not count."""
    eku_required: bool = False
    key_usage_required: bool = True
    required_policies: tuple[str, ...] = ()
    """When not empty, one of these certificate policies must be valid for the whole path."""
    initial_policies: tuple[str, ...] = ()
    """user-initial-policy-set (RFC 5280 clause 6.1.1 c) that only counts where a CA or ``require_explicit_policy`` demands one."""
    disallowed_policies: tuple[str, ...] = ESTONIAN_MOBILE_ID
    hardware_policies: tuple[str, ...] = ()
    """Policies under which the CA certifies keys in hardware alone: applications are told ``hwk`` (RFC 8176), on the CA's word."""
    require_explicit_policy: bool = False
    inhibit_policy_mapping: bool = False
    inhibit_any_policy: bool = False
    strict_extensions: bool = True
    """Demands of RFC 5280 that some CAs do not meet: key identifiers present, critical flags as docs/policy.md lists."""
    signature_encoding: SignatureEncoding = "strict"
    """``tolerant``: SM2 and ECDSA signatures whose r and s are not written in DER are read (certificates/signature_encoding.py)."""
    max_depth: int = MAX_DEPTH
    """Certificates on the path, leaf and anchor included."""
    grace_days: int = 0
    """Days after notAfter during which a leaf is still taken."""
    identity: IdentityRules = field(default_factory=IdentityRules)
    revocation: RevocationRules = field(default_factory=RevocationRules)

    def __post_init__(self) -> None:
        _check(self)

    def allows_legacy(self, what: Legacy, at: datetime) -> bool:
        return any(kind == what and at < until for kind, until in self.legacy)

    @property
    def tolerates_signatures(self) -> bool:
        """Whether signatures in the forms of certificates/signature_encoding.py are accepted."""
        return self.signature_encoding == "tolerant"

    @property
    def grace(self) -> timedelta:
        return timedelta(days=self.grace_days)

    @classmethod
    def from_json(cls, value: object) -> Policy:
        """Read what :meth:`to_json` writes; missing keys take their default.

        Raises:
            PolicyError: unknown key, wrong type, or a value outside its range.
        """
        data = _object(value, "policy", cls)
        if "legacy" in data:
            data["legacy"] = tuple(_legacy(item) for item in _items(data["legacy"], "legacy"))
        if "identity" in data:
            inner = _object(data["identity"], "identity", IdentityRules)
            for key in ("lock", "holder"):
                if key in inner:
                    inner[key] = tuple(_rule(item, key) for item in _items(inner[key], key))
            data["identity"] = _build(IdentityRules, inner, "identity")
        if "revocation" in data:
            data["revocation"] = _build(RevocationRules, _object(data["revocation"], "revocation", RevocationRules), "revocation")
        return _build(cls, data, "policy")

    def to_json(self) -> dict[str, Any]:
        """JSON value of the whole policy, defaults included."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        plain["legacy"] = [{"what": kind, "until": until.isoformat()} for kind, until in self.legacy]
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, (Policy, IdentityRules, IdentityRule, RevocationRules)):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _object(value: object, where: str, cls: type) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PolicyError(f"{where}: an object is wanted")
    unknown = [str(key)[:40] for key in value if key not in {item.name for item in fields(cls)}]
    if unknown:
        raise PolicyError(f"{where}: unknown key {unknown[0]!r}")
    return dict(value)


def _items(value: object, where: str) -> list[Any]:
    if not isinstance(value, (list, tuple)) or len(value) > 100:
        raise PolicyError(f"{where}: a list of at most 100 items is wanted")
    return list(value)


def _legacy(value: object) -> tuple[Legacy, datetime]:
    if not isinstance(value, dict) or set(value) != {"what", "until"} or value["what"] not in get_args(Legacy):
        raise PolicyError('legacy: items are {"what": "SHA1" or "RSA1024", "until": ISO 8601}')
    try:
        until = datetime.fromisoformat(value["until"])
    except (TypeError, ValueError) as error:
        raise PolicyError("legacy: until is not an ISO 8601 moment") from error
    return value["what"], until if until.tzinfo else until.replace(tzinfo=UTC)


def _rule(value: object, where: str) -> IdentityRule:
    data = _object(value, where, IdentityRule)
    if "source" not in data:
        raise PolicyError(f"identity.{where}: a rule without source, which is one of {', '.join(get_args(Source))}")
    return _build(IdentityRule, data, where)


def _build(cls: type[T], data: dict[str, Any], where: str) -> T:
    """Make ``cls`` after holding each value against the annotated type."""
    for item in fields(cls):  # type: ignore[arg-type]
        if item.name in data:
            data[item.name] = _typed(data[item.name], str(item.type), f"{where}.{item.name}")
    try:
        made = cls(**data)
        if cls is not Policy:
            _check(made)
    except TypeError as error:
        raise PolicyError(f"{where}: {str(error)[:80]}") from error
    return made


def _typed(value: Any, annotation: str, where: str) -> Any:
    wanted = {"bool": bool, "str": str, "int": int}.get(annotation)
    if annotation == "int | None" and value is None:
        return None
    if annotation == "int | None":
        wanted = int
    if wanted is not None and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
        raise PolicyError(f"{where}: {annotation} is wanted")
    if isinstance(value, str):
        _require_plain(value, where)
    if annotation == "tuple[str, ...]":
        values = _items(value, where)
        if not all(isinstance(item, str) for item in values):
            raise PolicyError(f"{where}: a list of texts is wanted")
        for item in values:
            _require_plain(item, where)
        return tuple(values)
    if annotation in _CHOICES:
        allowed = _CHOICES[annotation]
        if value not in allowed:
            raise PolicyError(f"{where}: one of {', '.join(allowed)}")
    return value


_CHOICES: dict[str, tuple[str, ...]] = {
    "Mode": get_args(Mode),
    "Source": get_args(Source),
    "Kind": get_args(Kind),
    "SignatureEncoding": get_args(SignatureEncoding),
}
_FORBIDDEN = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, which PostgreSQL's JSON cannot hold, and lone surrogates, which UTF-8 cannot. JSON escapes allow both."""


def _require_plain(text: str, where: str) -> None:
    if _FORBIDDEN.search(text):
        raise PolicyError(f"{where}: a text has no control characters and nothing that UTF-8 cannot say")


_KEY_HASH = re.compile(r"[0-9a-f]{64}")
_PINNED_RESPONDER = re.compile(r"[0-9a-f]{64}:[0-9a-f]{64}")
_OID = re.compile(r"[0-2](\.(0|[1-9]\d{0,38})){1,30}")


def _check(value: Any) -> None:
    """Check ranges."""
    if isinstance(value, Policy):
        _check_policy(value)
    elif isinstance(value, RevocationRules):
        _check_revocation(value)
    elif isinstance(value, IdentityRules):
        if any(rule.kind != "text" for rule in value.lock):
            raise PolicyError("identity.lock: rules of kind text only; ids of holders are read by identity.holder")
    elif isinstance(value, IdentityRule):
        _check_rule(value)


def _check_policy(value: Policy) -> None:
    if not set(value.algorithms) <= {"SM2", "RSA", "EC"}:
        raise PolicyError("policy.algorithms: of SM2, RSA, EC")
    if not 2048 <= value.rsa_min_bits <= value.rsa_max_bits <= 16384:
        raise PolicyError("policy.rsa_min_bits, rsa_max_bits: 2048 to 16384; smaller keys only by a dated legacy exception")
    if not set(value.curves) <= set(CURVES):
        raise PolicyError(f"policy.curves: of {', '.join(CURVES)}")
    if not 1 <= value.max_depth <= MAX_DEPTH:
        raise PolicyError(f"policy.max_depth: 1 to {MAX_DEPTH}")
    if not 0 <= value.grace_days <= 366:
        raise PolicyError("policy.grace_days: 0 to 366")
    if not value.ekus or ANY_EXTENDED_KEY_USAGE in value.ekus:
        raise PolicyError("policy.ekus: at least one, and not anyExtendedKeyUsage")
    for key in ("ekus", "required_policies", "initial_policies", "disallowed_policies", "hardware_policies"):
        if not all(_OID.fullmatch(text) for text in getattr(value, key)):
            raise PolicyError(f"policy.{key}: an object identifier is not dotted decimal")
    if ANY_POLICY in value.hardware_policies:
        raise PolicyError("policy.hardware_policies: anyPolicy says nothing about the key")


def _check_revocation(value: RevocationRules) -> None:
    for item in fields(value):
        number = getattr(value, item.name)
        most = MAX_SKEW if item.name.endswith("_skew") else 10**9
        if isinstance(number, int) and not 0 <= number <= most:
            raise PolicyError(f"revocation.{item.name}: 0 to {most}")
    if not all(_PINNED_RESPONDER.fullmatch(text) for text in value.responders):
        raise PolicyError("revocation.responders: <SPKI SHA-256 of the CA>:<SPKI SHA-256 of the signer>, lower-case hex")
    if len(value.emergencies) > MAX_EMERGENCIES:
        raise PolicyError(f"revocation.emergencies: at most {MAX_EMERGENCIES}")
    for text in value.emergencies:
        _emergency(text)


def _emergency(text: str) -> tuple[str, datetime]:
    key, _, moment = text.partition(":")
    end = _moment_in_utc(moment)
    if end is None or not _KEY_HASH.fullmatch(key):
        raise PolicyError("revocation.emergencies: <SPKI SHA-256 of the CA, lower-case hex>:<ISO 8601 moment with its offset>")
    return key, end


def _moment_in_utc(text: str) -> datetime | None:
    """None when it is none, names no offset, or lies beyond the calendar's ends."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _check_rule(value: IdentityRule) -> None:
    if value.source in ("oid", "dn") and not _OID.fullmatch(value.oid):
        raise PolicyError("identity rule: oid must be dotted decimal")
    try:
        check_prefix(value.prefix)
    except ValueError as error:
        raise PolicyError(f"identity rule: {error}") from error
