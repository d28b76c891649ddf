"""OpenID Connect Back-Channel Logout 1.0: the token that tells an application that a session ended, and its way there."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

from joserfc import jwt

from calock.server.egress.services import ask
from calock.server.grants.ending import EGRESS, LOGOUT, SCHEDULE
from calock.server.grants.models import Grant
from calock.server.oidc.authorize import PROTOCOL
from calock.server.oidc.claims import subject_of
from calock.server.oidc.keys import signing_key
from calock.server.outbox.kinds import Kind, register_kind
from calock.server.outbox.models import Message
from calock.server.tools import clock

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFE = timedelta(minutes=2)


def logout_token(grant: Grant, *, number: str) -> str:
    """Clause 2.4: who, which session, that it is over; no nonce, so that it passes for no ID token. ``number``: its ``jti``."""
    wish, now = grant.application.wish, clock.now()
    kid, key = signing_key(grant.application.site, wish.id_token_alg)
    claims = {
        "iss": grant.issuer,
        "aud": wish.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFE).timestamp()),
        "jti": number,
        "events": {EVENT: {}},
        "sid": grant.sid,
        "sub": subject_of(grant.account_id, grant.application),
    }
    return jwt.encode({"alg": wish.id_token_alg, "kid": kid, "typ": "logout+jwt"}, claims, key, algorithms=[wish.id_token_alg])


def send(message: Message) -> None:
    """Tell one application; repetitions carry the same ``jti``."""
    grant = Grant.objects.select_related("application").filter(pk=message.body["grant"]).first()
    if grant is None or not grant.application.wish.logout_url:
        return  # forgotten with its session, or the application wants to hear nothing any more
    body = urlencode({"logout_token": logout_token(grant, number=str(message.pk))}).encode()
    ask(
        EGRESS,
        grant.application.wish.logout_url,
        body=body,
        content_type="application/x-www-form-urlencoded",
        statuses=(200, 204),
    )


def register() -> None:
    """At start-up."""
    register_kind(Kind(PROTOCOL + LOGOUT, "应用退出通知（OpenID Connect）", send, SCHEDULE))
