"""What can be sent. Each room names its kinds once, in ``AppConfig.ready``, with the function that sends one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from calock.server.outbox.models import Message
from calock.server.tools.registry import Registry

SCHEDULE = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
)
"""Waits after the first, second … failed try; after the last of them it is given up: by then almost two days."""


class GiveUpError(RuntimeError):
    """Another try would not help: the receiver is gone, or refuses for good. The text is for operators."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How messages of one kind are sent."""

    code: str
    title: str
    """In Chinese, for operators."""
    send: Callable[[Message], None]
    """Sends one, within a minute or so and outside of any transaction, perhaps for the second time. Raises whatever kept it from
    being sent; GiveUpError ends it."""
    schedule: tuple[timedelta, ...] = SCHEDULE
    given_up: Callable[[Message], None] | None = None
    """Called once, in the transaction that gives it up."""


_kinds: Registry[Kind] = Registry("kinds of messages")
register_kind, kind_named, kinds = _kinds.register, _kinds.named, _kinds.all
