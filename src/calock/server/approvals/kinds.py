"""What can be decided by two operators. Each domain names its kinds once, with the act that follows an approval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calock.server.accounts.models import Account
from calock.server.approvals.models import Approval
from calock.server.context import RequestContext

Act = Callable[[Approval, Account, RequestContext | None], None]
"""Does what was approved, inside the transaction of the approval; raises Refusal when it can no longer be done."""
Facts = Callable[[Approval], list[tuple[str, str]]]
"""What the second operator reads before deciding: label and value, in Chinese."""


class Alarm(str):
    """The value of a fact that nobody may overlook: what an approval would end, or let in. The page sets it apart."""

    __slots__ = ()
    alarming = True


Ended = Callable[[Approval], None]
"""Tidies up after a proposal that was rejected or taken back, inside that transaction."""


@dataclass(frozen=True, slots=True)
class Kind:
    code: str
    title: str
    act: Act
    facts: Facts
    ended: Ended | None = None


_kinds: dict[str, Kind] = {}


def register_kind(kind: Kind) -> None:
    """Name a kind at start-up.

    Raises:
        ValueError: the code is taken by another act.
    """
    if _kinds.get(kind.code, kind) != kind:
        raise ValueError(f"two acts for approvals of kind {kind.code}")
    _kinds[kind.code] = kind


def kind_of(approval: Approval) -> Kind:
    return _kinds[approval.kind]
