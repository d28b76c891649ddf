"""Hand the register to another server and take one over, as a signed bundle. Taking over waits for a second operator."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import transaction
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose, require_operator
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.providers import trail
from calock.server.providers.basis import basis_of
from calock.server.providers.bundle import (
    Bundle,
    BundleCa,
    BundleProvider,
    BundleSource,
    faults_of,
    key_id,
    made_at,
    read_bundle,
    write_bundle,
)
from calock.server.providers.certificates import read_ca_certificate
from calock.server.providers.emergencies import require_bounded
from calock.server.providers.models import BundleKey, CaRecord, CaState, Provider, open_register
from calock.server.providers.services import clean_rules
from calock.server.sessions.context import RequestContext
from calock.server.tools.keys import key_for

BUNDLE_IMPORT, BUNDLE_PIN = "bundle.import", "bundle.pin"
FUTURE = timedelta(minutes=5)
"""How far ahead another server's clock may be. A bundle from later would shut out all that come after it."""


def signing_key() -> Ed25519PrivateKey:
    """The key this server signs its bundles with; derived from its secret, so that every replica has the same."""
    return Ed25519PrivateKey.from_private_bytes(key_for("bundle"))


def own_public_key() -> bytes:
    """What an operator of another server pins (32 bytes)."""
    return signing_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _sources(record: CaRecord) -> tuple[BundleSource, ...]:
    rows = record.revocation_sources.order_by("kind", "url")
    return tuple(BundleSource(kind=row.kind, url=row.url, private_network=row.private_network) for row in rows)  # type: ignore[arg-type]


def describe_provider(provider: Provider) -> BundleProvider:
    """One provider as a bundle says it. Pending CA records are nobody's decision yet and stay out."""
    records = provider.ca_records.exclude(state=CaState.PENDING).order_by("spki_sha256")
    return BundleProvider(
        code=provider.code,
        name=provider.name,
        short_name=provider.short_name,
        legal_name=provider.legal_name,
        state=provider.state,  # type: ignore[arg-type]
        sites=tuple(sorted(provider.sites)),
        rules=clean_rules(provider.rules),
        hotline=provider.hotline,
        website=provider.website,
        renew_url=provider.renew_url,
        unlock_url=provider.unlock_url,
        allow_expired_binding=provider.allow_expired_binding,
        order=provider.order,
        cas=tuple(
            BundleCa(
                certificate=bytes(record.certificate),
                group=record.group,
                anchor=record.anchor,
                state=record.state,  # type: ignore[arg-type]
                sources=_sources(record),
                crl_signer=record.crl_signer,
            )
            for record in records
        ),
    )


def _described() -> tuple[list[BundleProvider], list[str]]:
    """Every provider as a bundle says it, and what of the register no bundle can say: rows of an older version's rules."""
    said: list[BundleProvider] = []
    faults: list[str] = []
    for provider in Provider.objects.order_by("code"):
        try:
            one = describe_provider(provider)
        except Refusal as refusal:
            faults.append(f"{provider.code}: {refusal.detail}")
            continue
        said.append(one)
        faults += faults_of(one)
    return said, faults


def unfit_for_export() -> list[str]:
    """What stands in the register and cannot be written into a bundle, with the provider's code; empty = an export will read."""
    return _described()[1]


def export_bundle(*, by: Account | None, context: RequestContext | None) -> bytes:
    """The whole register as a bundle signed by this server, and an audit row with its hash. ``by`` None: the command line.

    Raises:
        Refusal: NOT_ALLOWED, BUNDLE_MALFORMED naming every row that no bundle can say, BUNDLE_TOO_LARGE.
    """
    with transaction.atomic():
        operator = require_operator(by.pk) if by else None
        said, faults = _described()
        if faults:
            raise Refusal(Reason.BUNDLE_MALFORMED, f"登记中有内容不能写入互认包：{'；'.join(faults)}"[:1000])
        data = write_bundle(Bundle(made_at=timezone.now().isoformat(), providers=tuple(said)), signing_key())
        read_bundle(data, {key_id(own_public_key()): own_public_key()})  # as the other server will, its size included
        digest = hashlib.sha256(data).hexdigest()
        details: dict[str, str | int] = {"sha256": digest, "providers": len(said), "revision": trail.revision()}
        record(Event.PROVIDER_EXPORTED, actor=operator, context=context, details=details)
    return data


def pinned_keys() -> dict[str, bytes]:
    """Keys whose bundles are believed now; rows that somebody changed behind the server's back are not among them."""
    rows = BundleKey.objects.filter(retired=False)
    return {row.key_id: bytes.fromhex(row.public_key) for row in rows if row.is_intact()}


def propose_key(*, name: str, public_key: str, reason: str, by: Account, context: RequestContext | None) -> Approval:
    """Ask to believe bundles signed by an Ed25519 key (64 hex digits, or base64 of 32 bytes).

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    raw = _raw_key(public_key)
    name = " ".join(name.split())[:100]
    if not name or not name.isprintable():
        raise Refusal(Reason.REQUEST_MALFORMED, "the key needs a name")
    with transaction.atomic():
        require_operator(by.pk)
        open_register()
        return propose(
            kind=BUNDLE_PIN,
            target=key_id(raw),
            target_version=key_version(key_id(raw)),
            payload={"name": name, "public_key": raw.hex()},
            summary=f"固定互认包签名公钥：{name}",
            reason=reason,
            by=by,
            context=context,
        )


def key_version(name: str) -> int:
    """Version of the pinned or retired key with this key id; 0 = there is none."""
    return BundleKey.objects.filter(key_id=name).values_list("version", flat=True).first() or 0


def _raw_key(text: str) -> bytes:
    text = "".join(text.split())
    try:
        raw = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise Refusal(Reason.REQUEST_MALFORMED, "not an Ed25519 public key: 64 hex digits or base64 are wanted") from error
    if len(raw) != 32:
        raise Refusal(Reason.REQUEST_MALFORMED, "an Ed25519 public key has 32 bytes")
    return raw


def retire_key(*, key: BundleKey, by: Account, context: RequestContext | None) -> None:
    """Believe no further bundle of a key; one operator may.

    Raises:
        Refusal: NOT_ALLOWED.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        open_register()
        fresh = BundleKey.objects.select_for_update(no_key=True).get(pk=key.pk)
        fresh.retired = True
        fresh.save()
        details: dict[str, str | int] = {"key_id": fresh.key_id, "revision": trail.revision()}
        record(Event.BUNDLE_KEY_RETIRED, actor=operator, context=context, subject=fresh.pk, details=details)


def believed_bundle(data: bytes, *, locked: bool = False) -> tuple[Bundle, BundleKey]:
    """Read a bundle and find the pinned key that signed it.

    ``locked``: hold the key's row, so that of two bundles approved at once the older one is judged by what the newer left.

    Raises:
        Refusal: what ``read_bundle`` and ``read_ca_certificate`` refuse, BUNDLE_MALFORMED when it was made in the future, and
            BUNDLE_OLDER when one as new was taken over from that key before.
    """
    bundle, signer = read_bundle(data, pinned_keys())
    rows = BundleKey.objects.select_for_update(no_key=True) if locked else BundleKey.objects.all()
    key = rows.get(key_id=signer)
    for provider in bundle.providers:
        for ca in provider.cas:
            read_ca_certificate(ca.certificate, at=None, crl_signer=ca.crl_signer)
    made = made_at(bundle)
    if made > timezone.now() + FUTURE:
        raise Refusal(Reason.BUNDLE_MALFORMED, f"made at {bundle.made_at}, in the future: compare both servers' clocks")
    if key.last_made_at is not None and made <= key.last_made_at:
        raise Refusal(Reason.BUNDLE_OLDER, f"made at {bundle.made_at}")
    return bundle, key


def require_bounded_emergencies(bundle: Bundle, *, since: datetime) -> None:
    """An emergency that came from elsewhere is held to the same limits as one decided here.

    Raises:
        Refusal: PROVIDER_RULES_REFUSED.
    """
    for provider in bundle.providers:
        files = (read_ca_certificate(ca.certificate, at=None, crl_signer=ca.crl_signer) for ca in provider.cas)
        require_bounded(clean_rules(provider.rules), {file.spki_sha256 for file in files}, since=since)


def propose_import(*, data: bytes, reason: str, by: Account, context: RequestContext | None) -> Approval:
    """Ask to take over a bundle. It is read and judged now, and again when it is approved, upon the rows as they stand now.

    Raises:
        Refusal: as :func:`believed_bundle` and ``approvals.services.propose``; PROVIDER_RULES_REFUSED for an emergency without
            bounds.
    """
    bundle, key = believed_bundle(data)
    require_bounded_emergencies(bundle, since=timezone.now())
    payload: dict[str, Any] = {"bundle": data.decode(), "sha256": hashlib.sha256(data).hexdigest(), "key_id": key.key_id}
    with transaction.atomic():
        require_operator(by.pk)
        open_register()
        return propose(
            kind=BUNDLE_IMPORT,
            target=payload["sha256"],
            payload={**payload, "basis": basis_of(bundle)},
            summary=f"导入互认包：{key.name}，{len(bundle.providers)} 家服务商",
            reason=reason,
            by=by,
            context=context,
        )
