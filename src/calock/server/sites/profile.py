"""A site profile: everything in which one branded site differs from another, as typed data.

One folder per site holds ``profile.toml`` (read into ``Profile``), and ``static/`` with its look (``tokens.css``, ``emblem.svg``).
Unknown keys, missing keys and wrong types are refused when the server starts. Every text stands in both languages.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from django.utils.translation import get_language

Page = Literal[
    "home",
    "guide",
    "downloads",
    "ca_downloads",
    "drivers",
    "login",
    "apps",
    "user_center",
    "system",
    "bindings",
    "expiry",
    "sessions",
    "password",
    "password_code",
    "confirm",
    "notices",
    "contacts",
    "forgotten",
    "personal_data",
    "members",
    "help",
    "help_driver",
    "help_binding",
    "help_login",
    "help_certificate",
    "help_failures",
    "versions",
    "verify",
    "receipts",
    "contact",
    "legal",
    "privacy",
    "check",
]
"""Names of the portal's pages that a profile may link (``portal:<name>``)."""

Value = Literal[
    "number",
    "status",
    "account_name",
    "account_username",
    "provider",
    "subject",
    "lock_id",
    "lock_id_short",
    "not_after",
    "bound_by",
    "bound_at",
    "actions",
]
"""What a line of a list cell shows."""

Icon = Literal[
    "home",
    "book",
    "download",
    "lock",
    "key",
    "shield",
    "user",
    "users",
    "gear",
    "monitor",
    "phone",
    "help",
    "list",
    "grid",
    "clock",
]


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text in both languages; as a string it is the one of the request's language."""

    zh: str
    en: str

    def __str__(self) -> str:
        return self.en if (get_language() or "").startswith("en") else self.zh


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Link(_Part, frozen=True, kw_only=True):
    label: Text
    page: Page
    icon: Icon | None = None
    note: Text | None = None
    role: Literal["organisation_admin"] | None = None
    """Shown to accounts of this role alone."""


class Group(_Part, frozen=True, kw_only=True):
    """A heading with links under it: a branch of the left tree, a group of tiles."""

    label: Text
    items: tuple[Link, ...]


class Line(_Part, frozen=True, kw_only=True):
    value: Value
    label: Text | None = None


class Column(_Part, frozen=True, kw_only=True):
    label: Text
    lines: tuple[Line, ...]


class Names(_Part, frozen=True, kw_only=True):
    platform: Text
    """The platform behind the login."""
    portal: Text
    """The public site in front of it."""
    slogan: Text
    owner: Text
    """Who is named after 版权所有©."""
    sms: Text | None = None
    """How a text message is signed, 【…】, as the gateway knows it; left out: the platform's name."""


class Home(_Part, frozen=True, kw_only=True):
    address: str
    """The address the manual prints for the portal; shown as text, never followed."""
    title: Text
    lead: Text
    login_button: Text
    quick: tuple[Link, ...]


class Guide(_Part, frozen=True, kw_only=True):
    title: Text
    downloads: Text
    application: Text
    """Name of the page that lists driver packages."""
    row: Text
    """Name of the driver row there."""
    action: Text
    after: Text
    hint: Text


class Login(_Part, frozen=True, kw_only=True):
    address: str
    title: Text
    account_tab: Text
    ca_tab: Text
    driver_choice: Literal["select", "chips"]
    driver_label: Text
    pin_label: Text
    button: Text
    failure_help: Text
    driver_link: Text


class BindingList(_Part, frozen=True, kw_only=True):
    title: Text
    list_name: Text
    breadcrumb: tuple[Text, ...]
    bind_button: Text
    end_button: Text
    note: Text
    rule: Text
    columns: tuple[Column, ...]
    provider_labels: dict[str, Text] = {}
    """Label of the provider line for one provider code, where the manual uses another word for it."""


class BindingDialog(_Part, frozen=True, kw_only=True):
    title: Text
    fields: tuple[Literal["member", "provider", "certificate", "pin"], ...]
    """Fields in their order. Without ``pin`` among them the PIN is asked for after the confirming button."""
    member_label: Text
    provider_label: Text
    certificate_label: Text
    pin_label: Text
    pin_step: Text
    """What the step of typing it is called."""
    driver_link: Text
    confirm: Text
    done: Text
    precondition: Text


class Members(_Part, frozen=True, kw_only=True):
    """What an organisation's administrator does for its people."""

    title: Text
    add_button: Text
    note: Text
    bind_for_member: Literal["tell", "member", "administrator"]
    """A lock that an administrator bound for a member: the member is told; or it waits for the member's, or another
    administrator's, consent."""


class Driver(_Part, frozen=True, kw_only=True):
    package: str
    """``DriverPackage.code`` recommended on this site."""
    title: Text
    min_version: str
    page: Page
    """Where this site's download word leads."""


class DocumentVersion(_Part, frozen=True, kw_only=True):
    document: Text
    contents: tuple[Text, ...]
    version: str
    date: str


class Paragraphs(_Part, frozen=True, kw_only=True):
    title: Text
    text: tuple[Text, ...]


class HelpPage(_Part, frozen=True, kw_only=True):
    """One page of the help centre: steps in order, the manual's rules, one link that goes on."""

    page: Page
    icon: Icon = "book"
    title: Text
    lead: Text
    steps: tuple[Text, ...]
    rules: tuple[Text, ...] = ()
    hints: tuple[Text, ...] = ()
    then: Link


class Record(_Part, frozen=True, kw_only=True):
    """What a public site of an authority says of itself at the foot of each page (国办发〔2017〕47号); empty facts are left out."""

    organiser: Text
    """主办单位."""
    icp: str = ""
    """ICP 备案号."""
    police: str = ""
    """公安备案号."""
    site_id: str = ""
    """网站标识码."""


class Contact(_Part, frozen=True, kw_only=True):
    text: Text
    phone: str = ""
    """Empty where the platform has not given one; the page then names the CA hotlines only."""
    hours: Text | None = None
    address: Text | None = None
    scope: Text


class Profile(_Part, frozen=True, kw_only=True):
    code: str
    hosts: tuple[str, ...]
    """Host names without port. ``CALOCK_HOSTS_<CODE>`` replaces them."""
    default: bool = False
    """The site that answers on a bare loopback address."""
    order: int
    landing: Page
    hero: str = "portal/img/hero.svg"
    """The picture of its home and login pages, a static file: the common one, or ``sites/<code>/hero.svg`` of its folder."""
    header: Literal["banner", "bar"]
    ca_icon: bool
    """The CA icon in the platform's header."""
    pin_entry: Literal["page", "window", "page-then-window"]
    web_eid: bool
    idle_minutes: Annotated[int, msgspec.Meta(ge=1, le=720)] = 15
    """How long a session may go unused (NIST SP 800-63B-4 clause 2.3.3: 15 minutes); operators' never more than 15."""
    lock_only: bool = False
    """An account that has a bound lock logs in with it alone, unless its own or its organisation's switch says otherwise."""
    providers: tuple[str, ...]
    """Provider codes offered, in this order; the first is preselected. Empty: every enabled provider of the site."""
    names: Names
    purpose: Text
    driver: Driver
    nav: tuple[Link, ...]
    guide_menu: tuple[Link, ...]
    footer: tuple[Link, ...]
    tiles: tuple[Group, ...]
    menu: tuple[Group, ...]
    home: Home
    guide: Guide
    login: Login
    bindings: BindingList
    members: Members
    dialog: BindingDialog
    help: tuple[HelpPage, ...]
    versions: tuple[DocumentVersion, ...]
    legal: Paragraphs
    privacy: Paragraphs
    contact: Contact
    record: Record | None = None
    practice_facts: bool = False
    """Telephone, hours, address and ``record`` are samples: pages say so, and a server with a public name warns at its start."""
