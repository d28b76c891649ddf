"""The cookies: the session, the pre-login cookie that ties a challenge to one browser, and that of a known browser.

``__Host-`` names (RFC 6265bis clause 4.1.3.2) can only be set by this very host, over HTTPS, for the whole site. Under
CALOCK_INSECURE_HTTP, for a demonstration on loopback, the names are plain and ``Secure`` is left out.
"""

from __future__ import annotations

import re
import secrets
import uuid
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from calock.server.sessions.known_browsers import LIFE, KnownBrowser

_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


def _name(plain: str) -> str:
    return plain if settings.CALOCK.insecure_http else f"__Host-{plain}"


def session_cookie() -> str:
    return _name("calock")


def pre_login_cookie() -> str:
    return _name("calock-pre")


def known_browser_cookie() -> str:
    return _name("calock-known")


def new_value() -> str:
    """256 random bits as 43 characters."""
    return secrets.token_urlsafe(32)


def _read(request: HttpRequest, name: str) -> str:
    value = request.COOKIES.get(name, "")
    return value if _VALUE.fullmatch(value) else ""


def session_value(request: HttpRequest) -> str:
    """The session cookie's value; empty when there is none or it is malformed."""
    return _read(request, session_cookie())


def pre_login_value(request: HttpRequest) -> str:
    """The pre-login cookie's value; empty when there is none or it is malformed."""
    return _read(request, pre_login_cookie())


def known_browser(request: HttpRequest) -> KnownBrowser:
    """What the browser shows of the logins it saw before."""
    return KnownBrowser.parse(request.COOKIES.get(known_browser_cookie(), ""))


def known_browser_id(header: str) -> str:
    """The id of the browser that sent a Cookie header, if somebody logged in there before; else empty.

    It is asked in the event loop, under a bulkhead's lock: other cookies, of which there may be thousands, are not taken apart.
    """
    named = f"{known_browser_cookie()}="
    # begins with the literal, which is found fast; then the look back, since another cookie's name may end so
    found = re.search(rf"{named}(?<![^; ]{named})([^;]*)", header)
    browser = KnownBrowser.parse(found[1].strip() if found else "")
    return browser.id if browser.is_known() else ""


def _set(response: HttpResponseBase, name: str, value: str, life: timedelta | None = None) -> None:
    """Set one cookie; without ``life`` the browser forgets it when it is closed."""
    secure = not settings.CALOCK.insecure_http
    response.set_cookie(name, value, max_age=life, path="/", secure=secure, httponly=True, samesite="Lax")


def set_session(response: HttpResponseBase, value: str) -> None:
    _set(response, session_cookie(), value)


def set_pre_login(response: HttpResponseBase, value: str) -> None:
    _set(response, pre_login_cookie(), value)


def remember_browser(response: HttpResponseBase, known: KnownBrowser, account_id: uuid.UUID) -> None:
    """Note in the browser that this account logged in there; nothing is sent when it says so already."""
    if not known.knows(account_id):
        _set(response, known_browser_cookie(), str(known.with_account(account_id)), LIFE)


def clear_session(response: HttpResponseBase) -> None:
    """Take the cookie away, and the pages that a browser keeps for its back button.

    Nothing else of the site's goes: the browser remembers which driver it trusts, and that its person logged in before.
    """
    response["Clear-Site-Data"] = '"cache"'
    name = session_cookie()
    response.delete_cookie(name, path="/", samesite="Lax")
    # browsers refuse to touch a __Host- cookie without Secure, a deletion included
    response.cookies[name]["secure"] = not settings.CALOCK.insecure_http or ""
