"""What this server talks to others for. Each purpose has addresses of its own: one that may be asked for one is not for another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calock.server.egress.models import Destination
from calock.server.tools.addresses import Endpoint, endpoint_of
from calock.server.tools.registry import Registry

Allowed = Callable[[], Mapping[Endpoint, bool]]
"""Endpoints that may be talked to; True = in a private network, with two operators' consent."""


@dataclass(frozen=True, slots=True)
class Purpose:
    code: str
    title: str
    """In Chinese, for operators."""
    allowed: Allowed | None = None
    """For a room that keeps addresses of its own under seal; None = the rows of :class:`Destination`."""


_purposes: Registry[Purpose] = Registry("purposes")
register_purpose, purpose_named = _purposes.register, _purposes.named


def listed_purposes() -> list[Purpose]:
    """Those whose addresses operators keep in the list of destinations."""
    return [purpose for purpose in _purposes.all() if purpose.allowed is None]


def destinations(purpose: str) -> list[Destination]:
    """The addresses of a purpose that carry this server's seal, the first one added first."""
    return [row for row in Destination.objects.filter(purpose=purpose).order_by("added_at") if row.is_intact()]


def allowed(purpose: Purpose) -> Mapping[Endpoint, bool]:
    """The endpoints that may be talked to for ``purpose`` now."""
    if purpose.allowed is not None:
        return purpose.allowed()
    return {endpoint_of(row.url): row.private_network for row in destinations(purpose.code)}
