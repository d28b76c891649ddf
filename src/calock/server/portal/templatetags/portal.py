"""Template words of the portal: icons, links of a profile, times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from django import template
from django.contrib.auth.models import AnonymousUser
from django.contrib.staticfiles import finders
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import get_script_prefix
from django.utils.functional import Promise
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from calock.server.accounts.models import Account
from calock.server.locks.last_lock import LastLock, last_lock
from calock.server.locks.password_rules import may_dismiss
from calock.server.notices.models import Notice, NoticeKind
from calock.server.notices.words import Words, words_of
from calock.server.portal.binding_query import ORDERS, STATUSES
from calock.server.portal.failures import CATALOGUE, SHORT, Failure
from calock.server.portal.packages import is_phone
from calock.server.sites.profile import Link
from calock.server.sites.registry import sites
from calock.server.tools import clock
from calock.server.tools.prepared import prepared
from calock.server.tools.times import day_text, minute_text, second_text
from calock.server.web.http import SiteRequest
from calock.server.web.links import portal_page

register = template.Library()
_IMPORT = re.compile(r'^import (?:.* from )?"\./([a-z-]+\.js)";', re.MULTILINE)
MOST_COUNTED = 99
MIN_DIGITS = 5
"""The shortest numbers that a hotline has."""


@dataclass(frozen=True, slots=True)
class Unread:
    """How many notices a person has not read, and the newest of them, which stands above every page, with its words."""

    count: int = 0
    newest: Notice | None = None
    words: Words | None = None

    @property
    def shown(self) -> str:
        return _bounded(self.count)

    @property
    def more(self) -> str:
        """How many beside the newest; empty for none."""
        return _bounded(self.count - 1) if self.count > 1 else ""

    @property
    def says_last_lock(self) -> bool:
        """The newest reminds of the only lock that is left."""
        return self.newest is not None and self.newest.kind == NoticeKind.LOCK_EXPIRES and self.newest.facts.get("only") == "1"


def _bounded(count: int) -> str:
    return f"{MOST_COUNTED}+" if count > MOST_COUNTED else str(count)


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """The inline SVG ``templates/icons/<name>.svg``."""
    return mark_safe(render_to_string(f"icons/{name}.svg").strip())  # noqa: S308 - our own files


@cache
def _imports(name: str) -> tuple[str, ...]:
    """Every module that a page's module imports, and those that they import, as names of static files."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        source = Path(str(finders.find(waiting.pop()))).read_text("utf-8")
        for line in _IMPORT.findall(source):
            imported = f"portal/js/{line}"
            if imported not in found:
                found[imported] = None
                waiting.append(imported)
    return tuple(found)


@register.simple_tag
def module(name: str) -> SafeString:
    """The page's own module, and word to the browser to fetch now what it imports, instead of one after the other as it reads.

    Nothing is shown before it has run: a button that is pressed before its script is there does nothing, and does not say so.
    Browsers without ``blocking`` (Firefox) show the page at once.
    """
    return _module(name, get_script_prefix())


@cache
def _module(name: str, _prefix: str) -> SafeString:
    own = f"portal/js/{name}.js"
    preloads = format_html_join("", '<link rel="modulepreload" href="{}">', ((static(file),) for file in _imports(own)))
    return format_html('{}<script type="module" blocking="render" src="{}"></script>', preloads, static(own))


@register.simple_tag
def phone(number: str) -> SafeString:
    """A telephone number that a phone dials by tapping it; words beside the digits stay words."""
    digits = re.sub(r"[^0-9+]", "", number)
    if len(digits) < MIN_DIGITS:
        return format_html("{}", number)
    return format_html('<a class="nowrap" href="tel:{}">{}</a>', digits, number)


@register.simple_tag
def open_notices(account: Account | AnonymousUser) -> Unread:
    """What the person has not read yet."""
    if not isinstance(account, Account):
        return Unread()
    found = _newest_open(account.pk)
    return Unread(len(found), found[0], words_of(found[0])) if found else Unread()


@prepared
def _newest_open(account: Any) -> QuerySet[Notice]:
    return Notice.objects.open_for(account).order_by("-created_at")[: MOST_COUNTED + 1]


@register.simple_tag
def only_lock(account: Account | AnonymousUser, unread: Unread) -> LastLock | None:
    """The account's last lock, when it is time to speak of it; not below a notice that says so too."""
    if not isinstance(account, Account) or unread.says_last_lock:
        return None
    return last_lock(account, at=clock.now())


@register.simple_tag
def list_statuses() -> dict[str, str | Promise]:
    """What the list of bindings can be narrowed to."""
    return STATUSES


@register.simple_tag
def list_orders() -> dict[str, str | Promise]:
    """What it can be ordered by."""
    return ORDERS


@register.simple_tag
def listed_failures(all_causes: object) -> tuple[Failure, ...]:
    """What keeps people from using their lock: most of them, or each of them."""
    return CATALOGUE if all_causes else SHORT


@register.filter
def hides_notices(request: SiteRequest) -> bool:
    """Whether this session may dismiss notices (``views/notices.py``)."""
    return request.login_session is not None and may_dismiss(request.login_session)


@register.filter
def seen_by(links: tuple[Link, ...], role: str) -> list[Link]:
    """Those of a profile's links that are for everybody, or for this role."""
    return [link for link in links if link.role in (None, role)]


@register.filter
def href(link: Link) -> str:
    """Address of a profile's link."""
    return portal_page(link.page)


@register.filter
def page_href(page: str) -> str:
    """Address of a portal page by its name."""
    return portal_page(page)


@register.filter
def moment(at: datetime | None) -> str:
    """Local time to the second; ``-`` for none."""
    return second_text(at)


@register.filter
def minute(at: datetime | None) -> str:
    """Local time to the minute; ``-`` for none."""
    return minute_text(at)


@register.filter
def day(at: datetime | None) -> str:
    """Local date; ``-`` for none."""
    return day_text(at)


@register.filter
def file_size(size: int) -> str:
    """Bytes as people read them: ``12.3 MB`` (1 MB = 1 048 576 bytes)."""
    if size >= 1 << 20:
        return f"{size / (1 << 20):.1f} MB"
    return f"{max(1, round(size / 1024))} KB"


@register.filter
def name_first(subject: str) -> str:
    """A distinguished name with what tells it from others, its CN, in front: ``山西 SM2 CA（C=CN, O=…）``."""
    rest, separator, name = subject.rpartition("CN=")
    return f"{name}（{rest.rstrip(', ')}）" if separator and rest else subject


@register.filter
def common_name(subject: str) -> str:
    """The CN alone, where the rest stands elsewhere; the whole name when it has none."""
    return subject.rpartition("CN=")[2]


@register.filter
def site_names(codes: str | list[str]) -> str:
    """Sites as people call them, from one code or several; a code that no site has any more stays as it is."""
    known = sites()
    wanted = [codes] if isinstance(codes, str) else codes
    return "、".join(str(known[code].names.platform) if code in known else code for code in wanted)


@register.filter
def on_phone(request: HttpRequest) -> bool:
    """Whether the page is looked at on a phone, where no lock can be used."""
    return is_phone(request.headers.get("User-Agent", ""))


@register.filter
def in_language(text: str) -> str:
    """Of a note that says everything in Chinese and in English, a line each: the lines in the page's language."""
    english = (get_language() or "").startswith("en")
    lines = [line for line in text.splitlines() if bool(_CHINESE.search(line)) != english]
    return "\n".join(lines) or text


_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_BROWSERS = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("Mac OS X", "macOS"), ("Linux", "Linux"))


@register.filter
def browser(user_agent: str) -> str:
    """A browser's own words, as much as a person recognises: ``Chrome · Windows``."""
    name = next((label for mark, label in _BROWSERS if mark in user_agent), "")
    system = next((label for mark, label in _SYSTEMS if mark in user_agent), "")
    return " · ".join(filter(None, (name, system))) or "-"


@register.filter
def whole_dates(text: str) -> SafeString:
    """A sentence whose dates are on one line each: narrow places break them after a hyphen."""
    return mark_safe(_DATE.sub(r'<span class="nowrap">\g<0></span>', conditional_escape(text)))  # noqa: S308 - escaped before


_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@register.filter
def labelled(row: tuple[object, ...], headings: tuple[str, ...]) -> list[tuple[str, object]]:
    """A row's cells with the headings they stand under; moments as they are printed everywhere."""
    shown = (second_text(cell) if isinstance(cell, datetime) else cell for cell in row)
    return list(zip(headings, shown, strict=True))
