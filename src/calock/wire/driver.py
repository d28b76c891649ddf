"""Messages between a page and the driver on 127.0.0.1, version 1. ``docs/protocol.md`` is the prose of this file.

Every request is ``POST`` with ``Content-Type: application/json`` and ``X-Calock: 1`` (so that no simple request of a
foreign page can reach it). Every refusal is ``{"error": DriverError}`` with a 4xx or 5xx status.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from calock.wire.driver_key import DriverProof
from calock.wire.token import AuthToken

PROTOCOL = 1
PORTS = tuple(range(47113, 47129))
"""Where a page looks for a driver: one for each of 16 users that share one computer (a terminal server) at the same time."""
TLS_PORTS = tuple(range(47133, 47141))
"""The same over https, by a driver that was told to (``tls = true``), for browsers that block plain http to 127.0.0.1."""
TIME_ZONE = "Asia/Shanghai"
"""Whose days the pages, the server and the driver's window print: one certificate ends on one day, wherever it is read."""
LIST_LIMIT, OPERATION_LIMIT, READER_LIMIT = 35, 55, 115
"""Seconds after which a page may give up on the list, an operation, and one whose PIN is typed on the reader: above its own."""
HEADER = "X-Calock"
MAX_BODY = 16 * 1024
EVENTS_SUBPROTOCOL = "calock.v1"

HELLO_PATH = "/v1/hello"
LOCKS_PATH = "/v1/locks"
AUTHENTICATE_PATH = "/v1/authenticate"
CHANGE_PIN_PATH = "/v1/pin/change"
REVEAL_PATH = "/v1/locks/reveal"
CANCEL_PATH = "/v1/cancel"
DIAGNOSIS_PATH = "/v1/diagnosis"
EVENTS_PATH = "/v1/events"
WINDOW_PATH = "/window/authenticate"


class _Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    pass


class HelloRequest(_Message, frozen=True, forbid_unknown_fields=True):
    """Ask who is listening."""

    nonce: str = ""
    """16 to 128 characters of ``A-Z a-z 0-9 - _`` that the driver signs; empty: no proof is wanted."""


class Hello(_Message, frozen=True):
    """Answer to ``/v1/hello``: who is listening. It identifies neither a person nor a lock."""

    driver: str
    """Always ``calock``; another value is another vendor's driver."""
    version: str
    protocol: int
    pin_entry: tuple[Literal["page", "window"], ...]
    package: str
    """Code of the driver package this was installed from, e.g. ``shanxi-huren``; ``source`` when run from the wheel."""
    proof: DriverProof | None
    """Signed with the driver's key for this origin, over the page's nonce."""
    takes: tuple[Literal["statement"], ...] = ("statement",)
    """Fields of ``/v1/authenticate`` that older drivers refuse."""


class PinState(_Message, frozen=True):
    """State of a lock's PIN, read before any try. ``tries_left`` is None where the lock does not tell."""

    tries_left: int | None
    tries_max: int | None
    locked: bool
    default: bool
    """The lock says that the PIN is still the one it was delivered with."""
    reserved: bool
    """Only the last two tries may be left: they are for the driver's own window, where a person releases them."""
    on_reader: bool
    """The PIN is typed on the reader's own keys: ``pin`` of a request stays empty."""


class LockInfo(_Message, frozen=True):
    """One plugged-in lock with its signing certificate, as much as a chooser shows. No certificate, no full serial."""

    id: str
    """Opaque handle, of this origin only; valid while the lock stays plugged in and the driver runs."""
    device: str
    """Opaque too; the same for all signing certificates in one lock. The preferred one comes first, expired ones last."""
    name: str
    """Subject CN of the signing certificate."""
    organisation: str
    issuer: str
    """Issuer CN."""
    issuer_key_id: str
    """AuthorityKeyIdentifier as lower-case hex, empty when absent: lets the page preselect the provider."""
    device_serial: str
    """Masked to its last four characters; empty where the lock tells no number of its own."""
    algorithm: Literal["SM2", "RSA", "EC"]
    not_before: str
    not_after: str
    """ISO 8601, UTC."""
    expired: bool
    backend: Literal["soft", "pkcs11", "skf"]
    module: str
    pin: PinState


class DriverProblem(_Message, frozen=True):
    """What the driver knows to be wrong with a module, a plugged-in lock or its own start, each with a reason of its own."""

    module: str
    """File name of the vendor library; empty: the driver itself."""
    reason: str
    """A ``calock.core.refusals.Reason``."""
    label: str
    """Which lock, masked; for DRIVER_PORT_TAKEN the port."""
    lock: str = ""
    """LOCK_CERTIFICATE_HIDDEN: the handle for ``/v1/locks/reveal``."""
    pin: PinState | None = None
    """LOCK_CERTIFICATE_HIDDEN: the state of that lock's PIN."""


class LockList(_Message, frozen=True):
    """Answer to ``/v1/locks``."""

    locks: tuple[LockInfo, ...]
    problems: tuple[DriverProblem, ...]
    window_only: bool
    """Two wrong PINs in a row came from this page: the next one is taken in the driver's own window only."""


class AuthenticateRequest(_Message, frozen=True, forbid_unknown_fields=True):
    """Ask for one signature. The origin that is signed is the ``Origin`` header, never a field."""

    lock: str
    challenge: str
    pin: str
    statement: str = ""
    """The text whose digest the challenge carries; empty: the page, or the challenge, has none."""
    as_typed: bool = False
    """The user was told of blanks or unusual characters in the PIN and meant them."""
    use_last_try: bool = False
    """Counts in the driver's own pages only: a platform's page never gets the last two tries, whatever it says here."""


class ReportedDevice(_Message, frozen=True):
    """What the driver reports of the device; the server trusts it only for naming, never for identity."""

    serial: str
    label: str
    manufacturer: str


class AuthenticateReply(_Message, frozen=True):
    """Answer to ``/v1/authenticate``."""

    token: AuthToken
    device: ReportedDevice
    driver: DriverProof | None = None
    """Signed with the driver's key for this origin, over the challenge: handed on to the server, which may remember the key."""


class PinChanged(_Message, frozen=True):
    """Answer to ``/v1/pin/change``: the state after it."""

    pin: PinState


class ModuleState(_Message, frozen=True):
    """One token module in a diagnosis: the file's name without its folder."""

    module: str
    backend: Literal["soft", "pkcs11", "skf"]
    state: Literal["running", "starting", "failed"]
    reason: str
    """Why it failed, a ``Reason``; empty while it runs."""
    locks: int
    restarts: int


class Diagnosis(_Message, frozen=True):
    """Answer to ``/v1/diagnosis``: for support. No names, serials, certificates or user names in it."""

    version: str
    protocol: int
    package: str
    system: str
    python: str
    uptime_seconds: int
    modules: tuple[ModuleState, ...]
    reasons: dict[str, int]
    """How often each reason was given since the start."""


class ChangePinRequest(_Message, frozen=True, forbid_unknown_fields=True):
    """Change the PIN of the lock that holds the certificate behind the handle ``lock``."""

    lock: str
    old_pin: str
    new_pin: str
    as_typed: bool = False
    """Of the old PIN, as in ``AuthenticateRequest``. A new PIN never has such characters."""
    use_last_try: bool = False


class RevealRequest(_Message, frozen=True, forbid_unknown_fields=True):
    """Read the certificates that a lock shows only after a PIN; answered like ``/v1/locks``. Spends a PIN try."""

    lock: str
    """Handle of a problem LOCK_CERTIFICATE_HIDDEN."""
    pin: str
    as_typed: bool = False
    use_last_try: bool = False


class Cancelled(_Message, frozen=True):
    """Answer to ``/v1/cancel``: whether an operation of this page was under way."""

    cancelled: bool


class DriverError(_Message, frozen=True):
    """``reason`` is a ``calock.core.refusals.Reason``. ``tries_left`` is set after a PIN was tried."""

    reason: str
    detail: str = ""
    tries_left: int | None = None


class ErrorReply(_Message, frozen=True):
    error: DriverError


class LocksEvent(_Message, frozen=True):
    """Pushed over the WebSocket ``/v1/events``: ask ``/v1/locks`` again. ``revision`` grows with every change."""

    event: Literal["locks"]
    revision: int


WINDOW_MESSAGE = "calock-answer"
"""``type`` of the one message that the driver's window posts to its opener."""


class WindowRequest(_Message, frozen=True, forbid_unknown_fields=True):
    """Fields of the form a page posts into a pop-up (``application/x-www-form-urlencoded``) at ``/window/authenticate``."""

    challenge: str
    state: str
    """Chosen by the page, handed back with the answer: 16 to 128 of ``A-Z a-z 0-9 - _``."""
    lock: str = ""
    """A handle to preselect; empty: the window's own chooser."""


class WindowAnswer(_Message, frozen=True, omit_defaults=True):
    """What ``window.opener`` gets by ``postMessage``, for exactly the origin that posted the form: answer or error."""

    type: str
    state: str
    takes: tuple[Literal["statement"], ...] = ()
    """In the window's first message, ``calock-ready``: what it likes to be told."""
    answer: AuthenticateReply | None = None
    error: DriverError | None = None
