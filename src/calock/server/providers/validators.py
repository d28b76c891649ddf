"""What the register's texts may be, and how much of each there may be: one definition for the rows and the forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from django.core.validators import RegexValidator

from calock.core.refusals import Reason, Refusal
from calock.server.tools.addresses import FetchRefusedError, endpoint, split

CODE_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,49}\Z"
LINE_PATTERN: Final = r"^[^\x00-\x1f\x7f\ud800-\udfff]*\Z"
"""No control characters, and nothing that UTF-8 cannot say."""
ADDRESS_PATTERN: Final = r"^https?://[!-~]+\Z"
"""ASCII alone: a host with other letters in its IDNA form, a path with percent signs."""

MAX_NAME: Final = 100
MAX_LEGAL_NAME: Final = 200
MAX_SHORT: Final = 64
"""Hotline, CA group."""
MAX_LINK: Final = 200
MAX_SOURCE: Final = 500
MAX_ORDER: Final = 100_000
MAX_SITES: Final = 50
MAX_SOURCES: Final = 100
"""Addresses of one CA: some CAs publish their CRL in many parts."""
MAX_CAS: Final = 200
MAX_PROVIDERS: Final = 500

CODE = RegexValidator(CODE_PATTERN, "只能使用小写字母、数字和连字符，并以字母或数字开头")
ONE_LINE = RegexValidator(LINE_PATTERN, "不能含有换行等控制字符")
ADDRESS = RegexValidator(ADDRESS_PATTERN, "须以 http:// 或 https:// 开头，且只含 ASCII 字符")

LINKS: Final = ("website", "renew_url", "unlock_url")


def ascii_address(text: str) -> str:
    """An http or https address in the form in which it is stored: IDNA host, percent-encoded rest.

    Raises:
        ValueError: none that this server would link to or fetch; the text says why, in Chinese.
    """
    text = text.strip()
    try:
        parts = split(text)
        _, host, _ = endpoint(parts)
    except (FetchRefusedError, ValueError) as error:
        raise ValueError("不是以 http:// 或 https:// 开头的有效网址") from error
    where = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port is not None else ""
    # what is reserved or percent-encoded already means something and stays as it is
    path, query, fragment = (quote(part, safe="/%:@!$&'()*+,;=~?") for part in (parts.path, parts.query, parts.fragment))
    found = f"{parts.scheme}://{where}{port}{path}" + (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")
    if not re.match(ADDRESS_PATTERN, found):
        raise ValueError("不是以 http:// 或 https:// 开头的有效网址")
    return found


def clean_address(text: str) -> str:
    """As :func:`ascii_address`.

    Raises:
        Refusal: REQUEST_MALFORMED.
    """
    try:
        return ascii_address(text)
    except ValueError as error:
        raise Refusal(Reason.REQUEST_MALFORMED, str(error)) from error


def clean_links(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a provider with its links in the form in which they are stored.

    Raises:
        Refusal: REQUEST_MALFORMED.
    """
    return {key: clean_address(value) if key in LINKS and value else value for key, value in values.items()}


def clean_sites(sites: object) -> list[str]:
    """Codes of sites, each once, in one order.

    Raises:
        Refusal: REQUEST_MALFORMED.
    """
    if not isinstance(sites, (list, tuple)) or len(sites) > MAX_SITES:
        raise Refusal(Reason.REQUEST_MALFORMED, f"at most {MAX_SITES} sites")
    if not all(isinstance(site, str) and re.match(CODE_PATTERN, site) for site in sites):
        raise Refusal(Reason.REQUEST_MALFORMED, "a site's code has lower-case letters, digits and hyphens")
    return sorted(set(sites))


def refuse_more_than(limit: int, count: int, what: str) -> None:
    """Raise REQUEST_MALFORMED when one more would be too many."""
    if count >= limit:
        raise Refusal(Reason.REQUEST_MALFORMED, f"{what}最多 {limit} 个")
