"""The XML of CAS: answers of the validation, and the logout request (SAML 2.0)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

_CAS = 'xmlns:cas="http://www.yale.edu/tp/cas"'


def success(user: str, attributes: Mapping[str, str]) -> str:
    """Clause 2.5.2."""
    told = "".join(f"<cas:{name}>{escape(value)}</cas:{name}>" for name, value in attributes.items())
    return (
        f"<cas:serviceResponse {_CAS}><cas:authenticationSuccess><cas:user>{escape(user)}</cas:user>"
        f"<cas:attributes>{told}</cas:attributes></cas:authenticationSuccess></cas:serviceResponse>"
    )


def failure(code: str, text: str) -> str:
    """Clause 2.5.3."""
    inner = f"<cas:authenticationFailure code={quoteattr(code)}>{escape(text)}</cas:authenticationFailure>"
    return f"<cas:serviceResponse {_CAS}>{inner}</cas:serviceResponse>"


def logout_request(ticket: str, *, number: str, user: str, at: datetime) -> str:
    """Clause 2.3.3: the session that this ticket began is over."""
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        '<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
        f' ID={quoteattr("LR-" + number)} Version="2.0" IssueInstant="{moment}"><saml:NameID>{escape(user)}</saml:NameID>'
        f"<samlp:SessionIndex>{escape(ticket)}</samlp:SessionIndex></samlp:LogoutRequest>"
    )
