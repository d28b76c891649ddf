"""A provider bundle: the register, or part of it, as one signed file that another server can take over.

``{"format":"calock-provider-bundle/1","payload":b64,"key":hex,"signature":b64}``: ``payload`` is UTF-8 JSON, ``key`` the SHA-256
of the raw Ed25519 public key, ``signature`` Ed25519 (RFC 8032) over ``format ‖ LF ‖ payload``. The bytes that were signed are the
bytes that are read: nothing is canonicalised. Reading is pure: no database, no clock, no network.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Meta

from calock.core.policy import Policy, PolicyError
from calock.core.refusals import Reason, Refusal

FORMAT: Literal["calock-provider-bundle/1"] = "calock-provider-bundle/1"
MAX_BYTES = 2 * 1024 * 1024  # the register of a whole country has some hundred CA certificates of 2 KB

T = TypeVar("T")
Code = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,48}\Z")]
_ONE_LINE = r"^[^\x00-\x1f\x7f]*\Z"
Line = Annotated[str, Meta(max_length=200, pattern=_ONE_LINE)]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=_ONE_LINE)]
Short = Annotated[str, Meta(max_length=64, pattern=_ONE_LINE)]
Url = Annotated[str, Meta(max_length=500, pattern=r"^(https?://[!-~]+)?\Z")]
Blob = Annotated[bytes, Meta(max_length=16 * 1024)]


class BundleSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["crl", "ocsp"]
    url: Annotated[str, Meta(max_length=500, pattern=r"^https?://[!-~]+\Z")]
    private_network: bool


class BundleCa(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    certificate: Blob
    group: Short
    anchor: bool
    state: Literal["recognised", "suspended", "withdrawn"]
    sources: Annotated[tuple[BundleSource, ...], Meta(max_length=20)]


class BundleProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Code
    name: Name
    short_name: Name
    legal_name: Line
    state: Literal["enabled", "suspended"]
    sites: Annotated[tuple[Code, ...], Meta(max_length=50)]
    rules: dict[str, Any]
    hotline: Short
    website: Url
    renew_url: Url
    unlock_url: Url
    allow_expired_binding: bool
    order: Annotated[int, Meta(ge=0, le=100000)]
    cas: Annotated[tuple[BundleCa, ...], Meta(max_length=200)]


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle says. ``made_at`` (ISO 8601) keeps an older bundle from being taken over after a newer one."""

    made_at: Annotated[str, Meta(max_length=40, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")]
    providers: Annotated[tuple[BundleProvider, ...], Meta(max_length=500)]


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


def _check(bundle: Bundle) -> None:
    """What types do not say: a moment that exists, no code twice, rules that the verifier understands."""
    try:
        datetime.fromisoformat(bundle.made_at)
    except ValueError as error:
        raise Refusal(Reason.BUNDLE_MALFORMED, "made_at is no moment") from error
    codes = [provider.code for provider in bundle.providers]
    if len(codes) != len(set(codes)):
        raise Refusal(Reason.BUNDLE_MALFORMED, "a provider stands in it twice")
    for provider in bundle.providers:
        try:
            Policy.from_json(provider.rules)
        except (PolicyError, RecursionError) as error:
            raise Refusal(Reason.BUNDLE_MALFORMED, f"{provider.code}: {error}") from error
