"""A provider bundle: the register, or part of it, as one signed file that another server can take over.

``{"format":"calock-provider-bundle/1","payload":b64,"key":hex,"signature":b64}``: ``payload`` is UTF-8 JSON, ``key`` the SHA-256
of the raw Ed25519 public key, ``signature`` Ed25519 (RFC 8032) over ``format ‖ LF ‖ payload``. The bytes that were signed are the
bytes that are read: nothing is canonicalised. Reading is pure: no database, no clock, no network.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Meta

from calock.core.policy import Policy, PolicyError, json_value
from calock.core.refusals import Reason, Refusal
from calock.server.providers.validators import (
    ADDRESS_PATTERN,
    CODE_PATTERN,
    LINE_PATTERN,
    MAX_CAS,
    MAX_LEGAL_NAME,
    MAX_LINK,
    MAX_NAME,
    MAX_ORDER,
    MAX_PROVIDERS,
    MAX_SHORT,
    MAX_SITES,
    MAX_SOURCE,
    MAX_SOURCES,
)

FORMAT: Literal["calock-provider-bundle/1"] = "calock-provider-bundle/1"
MAX_BYTES = 2 * 1024 * 1024  # the register of a whole country has some hundred CA certificates of 2 KB

T = TypeVar("T")
Code = Annotated[str, Meta(pattern=CODE_PATTERN)]
Line = Annotated[str, Meta(max_length=MAX_LEGAL_NAME, pattern=LINE_PATTERN)]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, pattern=LINE_PATTERN)]
Short = Annotated[str, Meta(max_length=MAX_SHORT, pattern=LINE_PATTERN)]
Url = Annotated[str, Meta(max_length=MAX_LINK, pattern=rf"(^\Z)|({ADDRESS_PATTERN})")]
Blob = Annotated[bytes, Meta(max_length=16 * 1024)]


class BundleSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["crl", "ocsp"]
    url: Annotated[str, Meta(max_length=MAX_SOURCE, pattern=ADDRESS_PATTERN)]
    private_network: bool


class BundleCa(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    certificate: Blob
    group: Short
    anchor: bool
    state: Literal["recognised", "suspended", "withdrawn"]
    sources: Annotated[tuple[BundleSource, ...], Meta(max_length=MAX_SOURCES)]
    crl_signer: bool = False


class BundleProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Code
    name: Name
    short_name: Name
    legal_name: Line
    state: Literal["enabled", "suspended"]
    sites: Annotated[tuple[Code, ...], Meta(max_length=MAX_SITES)]
    rules: dict[str, Any]
    hotline: Short
    website: Url
    renew_url: Url
    unlock_url: Url
    allow_expired_binding: bool
    order: Annotated[int, Meta(ge=0, le=MAX_ORDER)]
    cas: Annotated[tuple[BundleCa, ...], Meta(max_length=MAX_CAS)]


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle says. ``made_at`` (ISO 8601) keeps an older bundle from being taken over after a newer one."""

    made_at: Annotated[str, Meta(max_length=40, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")]
    providers: Annotated[tuple[BundleProvider, ...], Meta(max_length=MAX_PROVIDERS)]


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["calock-provider-bundle/1"]
    payload: str
    key: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    signature: Annotated[str, Meta(max_length=100)]


def key_id(public_key: bytes) -> str:
    """SHA-256 (hex) of the raw 32-byte Ed25519 public key."""
    return hashlib.sha256(public_key).hexdigest()


def write_bundle(bundle: Bundle, key: Ed25519PrivateKey) -> bytes:
    """Sign; the result is one line of JSON."""
    payload = msgspec.json.encode(bundle)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    signature = key.sign(_signed(payload))
    text = base64.b64encode
    return msgspec.json.encode(_Envelope(FORMAT, text(payload).decode(), key_id(public), text(signature).decode())) + b"\n"


def read_bundle(data: bytes, keys: Mapping[str, bytes]) -> tuple[Bundle, str]:
    """Read a bundle that one of ``keys`` (key id to raw public key) signed, and say which one.

    Nothing of the payload is looked at before its signature holds.

    Raises:
        Refusal: BUNDLE_TOO_LARGE, BUNDLE_MALFORMED, BUNDLE_SIGNER_UNKNOWN, BUNDLE_SIGNATURE_INVALID.
    """
    if len(data) > MAX_BYTES:
        raise Refusal(Reason.BUNDLE_TOO_LARGE, f"{len(data)} bytes; at most {MAX_BYTES}")
    envelope = _decode(data, _Envelope, "envelope")
    public = keys.get(envelope.key)
    if public is None:
        raise Refusal(Reason.BUNDLE_SIGNER_UNKNOWN, f"signed by {envelope.key}")
    payload = _base64(envelope.payload, "payload")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(_base64(envelope.signature, "signature"), _signed(payload))
    except (InvalidSignature, ValueError) as error:
        raise Refusal(Reason.BUNDLE_SIGNATURE_INVALID, "the signature does not fit the payload") from error
    bundle = _decode(payload, Bundle, "payload")
    _require_one_reading(payload)
    _check(bundle)
    return bundle, envelope.key


def _signed(payload: bytes) -> bytes:
    return FORMAT.encode() + b"\n" + payload


def _base64(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(Reason.BUNDLE_MALFORMED, f"{where} is not base64") from error


def _decode(data: bytes, kind: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise Refusal(Reason.BUNDLE_MALFORMED, f"{where}: {str(error)[:200]}") from error


def _require_one_reading(payload: bytes) -> None:
    """Who looks at a bundle before it is taken over must see what counts: no key twice."""
    try:
        json_value(payload)
    except (ValueError, RecursionError) as error:
        raise Refusal(Reason.BUNDLE_MALFORMED, f"payload: {str(error)[:200]}") from error


def made_at(bundle: Bundle) -> datetime:
    """The moment of signing, in UTC.

    Raises:
        Refusal: BUNDLE_MALFORMED; no moment, or one that no calendar here reaches.
    """
    try:
        return datetime.fromisoformat(bundle.made_at).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refusal(Reason.BUNDLE_MALFORMED, "made_at is no moment") from error


def faults_of(provider: BundleProvider) -> list[str]:
    """Why another server would not read this provider in a bundle, each value by its name; empty = it would."""
    found = []
    for name, kind in get_type_hints(BundleProvider, include_extras=True).items():
        try:
            msgspec.json.decode(msgspec.json.encode(getattr(provider, name)), type=kind)
        except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError) as error:
            found.append(f"{provider.code}: {_value_at(getattr(provider, name), name, str(error))}")
    try:
        _check_provider(provider)
    except Refusal as refusal:
        found.append(refusal.detail)
    return found


def _value_at(value: Any, name: str, error: str) -> str:
    """What msgspec complains of: its path below ``name``, and as it stands there."""
    path = error.partition(" - at `$")[2].rstrip("`")
    for field, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        value = getattr(value, field) if field else value[int(index)]
    shown = f" = {value!r}" if isinstance(value, str | int) else ""
    return f"{name}{path}{shown}"[:200]


def _check(bundle: Bundle) -> None:
    """What types do not say: a moment that exists, no code twice, and of each provider what :func:`_check_provider` says."""
    made_at(bundle)
    codes = [provider.code for provider in bundle.providers]
    if len(codes) != len(set(codes)):
        raise Refusal(Reason.BUNDLE_MALFORMED, "a provider stands in it twice")
    for provider in bundle.providers:
        _check_provider(provider)


def _check_provider(provider: BundleProvider) -> None:
    """Rules that the verifier understands, and no CA certificate for two uses."""
    if any(ca.anchor and ca.crl_signer for ca in provider.cas):
        raise Refusal(Reason.BUNDLE_MALFORMED, f"{provider.code}: a key that signs CRLs alone is no anchor")
    try:
        Policy.from_json(provider.rules)
    except (PolicyError, RecursionError, OverflowError) as error:
        raise Refusal(Reason.BUNDLE_MALFORMED, f"{provider.code}: {error}") from error
