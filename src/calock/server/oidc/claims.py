"""What applications are told of a person: their ``sub``, the ID token, and UserInfo by scope. A 身份证号 is never among it."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from authlib.oidc.core.util import create_half_hash
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject
from joserfc import jwt

from calock.server.accounts.models import Account
from calock.server.applications.models import Application
from calock.server.grants.models import Grant
from calock.server.locks.models import Binding
from calock.server.oidc.keys import signing_key
from calock.server.oidc.models import Token
from calock.server.tools import seals

ID_TOKEN_LIFE = timedelta(minutes=10)


def subject_of(account_id: uuid.UUID, application: Application) -> str:
    """The person as this application knows them: the account's id, or one that no other application knows.

    Pairwise as OpenID Connect Core clause 8.1 has it, each application a sector of its own. Its salt is random and never leaves.
    """
    if not application.wish.pairwise:
        return str(account_id)
    return hashlib.sha256(seals.canonical(["calock:pairwise", application.salt, str(account_id)])).hexdigest()


def id_token(grant: Grant, *, nonce: str, access_token: str, at: datetime) -> str:
    """Who logged in, how and when; nothing personal."""
    wish = grant.application.wish
    kid, key = signing_key(grant.application.site, wish.id_token_alg)
    claims: dict[str, Any] = {
        "iss": grant.issuer,
        "sub": subject_of(grant.account_id, grant.application),
        "aud": wish.client_id,
        "iat": int(at.timestamp()),
        "exp": int((at + ID_TOKEN_LIFE).timestamp()),
        "auth_time": int(grant.auth_time.timestamp()),
        "acr": grant.acr,
        "amr": grant.amr,
        "sid": grant.sid,
        "at_hash": create_half_hash(access_token, wish.id_token_alg).decode(),
    }
    if nonce:
        claims["nonce"] = nonce
    return jwt.encode({"alg": wish.id_token_alg, "kid": kid, "typ": "JWT"}, claims, key, algorithms=[wish.id_token_alg])


def user_info(token: Token) -> dict[str, Any]:
    """UserInfo of a live grant (OpenID Connect Core clause 5.3); ``token`` was found :func:`with_lock`.

    Where the application has names of its own for people, nothing goes along by which two applications would find them the same
    account (clause 8.1): no account name, no id of lock, binding or certificate.
    """
    grant: Grant = token.grant
    account, scopes = grant.account, token.scope.split()
    found: dict[str, Any] = {"sub": subject_of(account.pk, grant.application)}
    if "profile" in scopes:
        found |= {"name": account.name, "preferred_username": account.username}
    if "calock" in scopes:
        found |= _calock(account, token.lock_now)  # type: ignore[attr-defined]  # annotated
    return _unlinked(found) if grant.application.wish.pairwise else found


def _unlinked(found: dict[str, Any]) -> dict[str, Any]:
    lock = {name: value for name, value in found.get("lock", {}).items() if name in ("provider", "provider_name", "not_after")}
    kept = {name: value for name, value in found.items() if name not in ("preferred_username", "lock")}
    return {**kept, **({"lock": lock} if lock else {})}


def _calock(account: Account, lock: dict[str, str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {"role": str(account.role)}
    organisation = account.organisation
    if organisation is not None:
        found["org"] = {
            "id": str(organisation.pk),
            "name": organisation.name,
            "uscc": organisation.uscc,
            "kind": str(organisation.kind),
        }
    return found | ({"lock": _lock(lock)} if lock else {})


def with_lock(tokens: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    """Annotate tokens with ``lock_now``: the lock that the person proved in the session, with the certificate that it has now.

    None when they proved none there, or the account has it no longer.
    """
    bindings = Binding.objects.live().filter(account=OuterRef("grant__account"), lock=OuterRef("grant__session__proved_lock"))
    now = bindings.filter(lock__certificates__isnull=False, lock__certificates__superseded_at__isnull=True)
    told = JSONObject(
        id="lock__lock_id",
        provider="lock__provider__code",
        provider_name="lock__provider__name",
        binding="pk",
        cert_sha256="lock__certificates__cert_sha256",
        not_after="lock__certificates__not_after",
    )
    rows: QuerySet[Any, Any] = tokens.annotate(lock_now=Subquery(now.values_list(told)))
    return rows


def _lock(now: dict[str, str]) -> dict[str, str]:
    """What was annotated, as each database writes ids and moments into JSON, as applications are told it."""
    not_after = datetime.fromisoformat(now["not_after"])
    return {
        "id": now["id"],
        "provider": now["provider"],
        "provider_name": now["provider_name"],
        "binding": str(uuid.UUID(now["binding"])),
        "x5t#S256": now["cert_sha256"],
        "not_after": (not_after if not_after.tzinfo else not_after.replace(tzinfo=UTC)).isoformat(),
    }
