"""How large and how bright pages are: chosen by the reader and remembered by their browser alone.

长辈版 is the large and simple form that 工信部's programme for older users (工信部信管〔2020〕200号) asks public sites to offer.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseRedirect

from calock.server.portal.render import post_only
from calock.server.web.links import is_local

COOKIES = {"size": ("usual", "large"), "scheme": ("system", "light", "dark")}
"""Names of the cookies and what they may hold, first what is so without one."""
_YEAR = 365 * 24 * 3600
_DARK_FOR = {"system": "(prefers-color-scheme: dark)", "light": "", "dark": "all"}
_SCHEMES = {"system": "light dark", "light": "light", "dark": "dark"}


def context(request: HttpRequest) -> dict[str, Any]:
    """``appearance`` for every template: size, scheme, for which media the dark style counts, what the browser may use."""
    size, scheme = (_chosen(request.COOKIES.get(name, ""), name) for name in COOKIES)
    return {
        "appearance": {"large": size == "large", "scheme": scheme, "dark_for": _DARK_FOR[scheme], "schemes": _SCHEMES[scheme]},
    }


def _chosen(value: str, name: str) -> str:
    return value if value in COOKIES[name] else COOKIES[name][0]


@post_only("home")
def appearance(request: HttpRequest) -> HttpResponseRedirect:
    """Remember ``size`` or ``scheme``, and go back to ``next``."""
    back = request.POST.get("next", "")
    response = HttpResponseRedirect(back if is_local(back) else "/")
    for name in COOKIES.keys() & request.POST.keys():
        chosen = _chosen(request.POST[name], name)
        response.set_cookie(name, chosen, max_age=_YEAR, secure=request.is_secure(), httponly=True, samesite="Lax")
    return response
