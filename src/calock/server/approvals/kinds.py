"""What can be decided by two operators. Each domain names its kinds once, with the act that follows an approval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.models import Approval
from calock.server.sessions.context import RequestContext
from calock.server.tools.registry import Registry

Act = Callable[[Approval, Account, RequestContext | None], None]
"""Does what was approved, inside the transaction of the approval and behind the locks of ``Kind.ahead``; raises Refusal when it
can no longer be done."""
Facts = Callable[[Approval], list[tuple[str, str]]]
"""What the second operator reads before deciding: label and value, in Chinese."""


class Alarm(str):
    """The value of a fact that must not be overlooked: what an approval would end, or let in. The page sets it apart."""

    __slots__ = ()
    alarming = True


class Change(str):
    """The value of a fact that an approval changes, ``before → after``; the page shows what goes and what comes apart."""

    __slots__ = ("after", "alarming", "before")
    before: str
    after: str
    alarming: bool

    def __new__(cls, before: str, after: str, *, alarming: bool = False) -> Self:
        made = super().__new__(cls, before if before == after else f"{before} → {after}")
        made.before, made.after, made.alarming = before, after, alarming and before != after
        return made

    @property
    def differs(self) -> bool:
        return self.before != self.after


Ended = Callable[[Approval], None]
"""Tidies up after a proposal that was rejected or taken back, inside that transaction."""
Ahead = Callable[[], object]
"""Takes the row locks that come before the proposal's own: in one order for proposing, acting and tidying, against deadlocks."""


@dataclass(frozen=True, slots=True)
class Kind:
    code: str
    title: str
    act: Act
    facts: Facts
    ended: Ended | None = None
    ahead: Ahead | None = None


_kinds: Registry[Kind] = Registry("acts for approvals")
register_kind, kind_named = _kinds.register, _kinds.named


def kind_of(approval: Approval) -> Kind:
    """What is decided.

    Raises:
        Refusal: NOT_FOUND for a kind of another version's, which runs beside this one or ran before.
    """
    kind = kind_named(approval.kind)
    if kind is None:
        raise Refusal(Reason.NOT_FOUND, f"this version knows no decision {approval.kind}")
    return kind


def title_of(approval: Approval) -> str:
    """Its title in a list; its code where this version has none."""
    kind = kind_named(approval.kind)
    return kind.title if kind is not None else approval.kind
