"""The keys that sign ID tokens: one set for each site, turned every 90 days by a job, each announced a day before it signs."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from joserfc.jwk import ECKey, Key, RSAKey, import_key, thumbprint

from calock.core.refusals import Reason, Refusal
from calock.server.oidc.models import KeyState, SigningKey
from calock.server.sites.registry import sites
from calock.server.tools import clock
from calock.server.tools.keys import ring
from calock.server.tools.prepared import prepared
from calock.server.tools.rekeying import Rekeyed

ALGORITHMS = ("RS256", "ES256")
LIFE = timedelta(days=90)
ANNOUNCED = timedelta(days=1)
"""How long a key stands in the JWKS before it signs: applications keep the JWKS for an hour."""
_NONCE = 12

log = structlog.get_logger(__name__)


def _new(site: str, alg: str, state: KeyState, at: datetime) -> SigningKey:
    made: Key = ECKey.generate_key("P-256") if alg == "ES256" else RSAKey.generate_key(2048)
    kid = thumbprint(made.as_dict(private=False))
    sealed = _seal(_bound_to(site, alg, kid), json.dumps(made.as_dict(private=True)).encode())
    return SigningKey(kid=kid, site=site, alg=alg, state=state, sealed=sealed, created_at=at, state_since=at)


def _published(key: Key, kid: str, alg: str) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": kid, "alg": alg, "use": "sig"}


def _bound_to(site: str, alg: str, kid: str) -> str:
    """What a sealed key is sealed with: it opens for this site, algorithm and id alone."""
    return f"{site} {alg} {kid}"


def _seal(bound_to: str, text: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(ring("oidc")[0].octets).encrypt(nonce, text, bound_to.encode())


def _open(bound_to: str, sealed: bytes) -> Key:
    for key in ring("oidc"):
        try:
            text = AESGCM(key.octets).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to.encode())
        except (InvalidTag, ValueError):  # ValueError: too short to be sealed
            continue
        return import_key(json.loads(text))
    raise Refusal(Reason.REGISTER_DAMAGED, f"signing key {bound_to} does not open: changed, or another secret")


@prepared
def _current(site: Any, alg: Any) -> QuerySet[SigningKey]:
    return SigningKey.objects.filter(site=site, alg=alg, state=KeyState.CURRENT)


_opened = lru_cache(maxsize=64)(_open)


def _private(row: SigningKey) -> Key:
    return _opened(_bound_to(row.site, row.alg, row.kid), bytes(row.sealed))


def signing_key(site: str, alg: str) -> tuple[str, Key]:
    """The id and the private key that sign now; the site's first is made when it is needed first.

    Raises:
        Refusal: REGISTER_DAMAGED when the stored key does not open.
    """
    row = _current.first(site, alg)
    if row is None:
        try:
            with transaction.atomic():
                row = _new(site, alg, KeyState.CURRENT, clock.now())
                row.save(force_insert=True)
        except IntegrityError:  # another process was first
            row = SigningKey.objects.get(site=site, alg=alg, state=KeyState.CURRENT)
    return row.kid, _private(row)


def public_keys(site: str) -> list[dict[str, Any]]:
    """The keys of a site's JWKS: what signs now, what will, and what did until lately.

    Made of the sealed private keys alone: whoever writes into the table without the server's secret publishes nothing.
    """
    for alg in ALGORITHMS:
        signing_key(site, alg)
    found = []
    for row in SigningKey.objects.filter(site=site).exclude(state=KeyState.RETIRED).order_by("alg", "state"):
        try:
            found.append(_published(_private(row), row.kid, row.alg))
        except Refusal as refusal:
            log.error("signing_key_not_published", kid=row.kid, error=str(refusal))  # noqa: TRY400 - no trace: it is a row
    return found


def turn_keys(*, at: datetime) -> int:
    """Announce, use and retire keys as their time comes; how many changed. For the job."""
    return sum(_turn(site, alg, at) for site in sites() for alg in ALGORITHMS)


def _turn(site: str, alg: str, at: datetime) -> int:
    with transaction.atomic():
        rows = SigningKey.objects.select_for_update().filter(site=site, alg=alg).exclude(state=KeyState.RETIRED)
        by_state = {row.state: row for row in rows}
        current, following = by_state.get(KeyState.CURRENT), by_state.get(KeyState.NEXT)
        if current is None:
            return 0
        if following is None:
            if at - current.state_since < LIFE - ANNOUNCED:
                return 0
            _new(site, alg, KeyState.NEXT, at).save(force_insert=True)
            return 1
        if at - following.state_since < ANNOUNCED:
            return 0
        changes = [(by_state.get(KeyState.PREVIOUS), KeyState.RETIRED), (current, KeyState.PREVIOUS), (following, KeyState.CURRENT)]
        for row, state in changes:
            if row is not None:
                row.state, row.state_since = state, at
                if state == KeyState.RETIRED:
                    row.sealed = b""
                row.save(update_fields=["state", "state_since", "sealed"])
        return 1


def rekey() -> Rekeyed:
    """Seal every private key under the newest key of the server's secret."""
    found = Rekeyed("signing keys")
    for row in SigningKey.objects.exclude(state=KeyState.RETIRED):
        bound_to = _bound_to(row.site, row.alg, row.kid)
        try:
            text = json.dumps(_open(bound_to, bytes(row.sealed)).as_dict(private=True)).encode()
        except Refusal:
            found.failed.append(row.kid)
            continue
        found.done += SigningKey.objects.filter(pk=row.pk, sealed=row.sealed).update(sealed=_seal(bound_to, text))
    return found
