"""Messages between a page and the driver on 127.0.0.1, version 1. ``docs/protocol.md`` is the prose of this file.

Every request is ``POST`` with ``Content-Type: application/json`` and ``X-Calock: 1`` (so that no simple request of a
foreign page can reach it). Every refusal is ``{"error": DriverError}`` with a 4xx or 5xx status.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from calock.wire.token import AuthToken

PROTOCOL = 1
PORTS = (47113, 47114, 47115, 47116)
"""Where a page looks for a driver, in this order; several because several users may share one computer."""
TLS_PORTS = (47123, 47124, 47125, 47126)
"""The same over https, by a driver that was told to (``tls = true``), for browsers that block plain http to 127.0.0.1."""
TIME_ZONE = "Asia/Shanghai"
"""Whose days the pages, the server and the driver's window print: one certificate ends on one day, wherever it is read."""
HEADER = "X-Calock"
MAX_BODY = 16 * 1024
EVENTS_SUBPROTOCOL = "calock.v1"

HELLO_PATH = "/v1/hello"
LOCKS_PATH = "/v1/locks"
AUTHENTICATE_PATH = "/v1/authenticate"
CHANGE_PIN_PATH = "/v1/pin/change"
DIAGNOSIS_PATH = "/v1/diagnosis"
EVENTS_PATH = "/v1/events"
WINDOW_PATH = "/window/authenticate"


class _Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    pass


class Hello(_Message, frozen=True):
    """Answer to ``/v1/hello``: who is listening. It identifies neither a person nor a lock."""

    driver: str
    """Always ``calock``; another value is another vendor's driver."""
    version: str
    protocol: int
    pin_entry: tuple[Literal["page", "window"], ...]
    package: str
    """Code of the driver package this was installed from, e.g. ``shanxi-huren``; ``source`` when run from the wheel."""


class PinState(_Message, frozen=True):
    """State of a lock's PIN, read before any try. ``tries_left`` is None where the lock does not tell."""

    tries_left: int | None
    tries_max: int | None
    locked: bool
    default: bool
    """The lock says that the PIN is still the one it was delivered with."""


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
    """Masked to its last four characters."""
    algorithm: Literal["SM2", "RSA", "EC"]
    not_before: str
    not_after: str
    """ISO 8601, UTC."""
    expired: bool
    backend: Literal["soft", "pkcs11", "skf"]
    module: str
    pin: PinState


class ModuleProblem(_Message, frozen=True):
    """A token module that could not be asked, so that the page can say which driver part failed."""

    module: str
    reason: str


class LockList(_Message, frozen=True):
    """Answer to ``/v1/locks``."""

    locks: tuple[LockInfo, ...]
    problems: tuple[ModuleProblem, ...]


class AuthenticateRequest(_Message, frozen=True, forbid_unknown_fields=True):
    """Ask for one signature. The origin that is signed is the ``Origin`` header, never a field."""

    lock: str
    challenge: str
    pin: str
    use_last_try: bool = False


class ReportedDevice(_Message, frozen=True):
    """What the driver reports of the device; the server trusts it only for naming, never for identity."""

    serial: str
    label: str
    manufacturer: str


class AuthenticateReply(_Message, frozen=True):
    """Answer to ``/v1/authenticate``."""

    token: AuthToken
    device: ReportedDevice


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
    lock: str
    old_pin: str
    new_pin: str
    use_last_try: bool = False


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
    answer: AuthenticateReply | None = None
    error: DriverError | None = None
