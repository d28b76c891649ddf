"""The switch 绑定 CA 锁后不再允许密码登录 as a proposal. Turning it on takes one operator, anything else two."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict

from calock.core.refusals import Reason, Refusal
from calock.server.approvals.kinds import Change
from calock.server.approvals.models import Approval

WORDS: dict[bool | None, str] = {
    None: "沿用上级设置（账户随单位，单位随站点）",
    True: "绑定 CA 锁后不再允许密码登录",
    False: "绑定 CA 锁后仍可用密码登录",
}
_LESS: dict[str, bool | None] = {"off": False, "": None}
"""What the form sends that takes two operators."""


def less(now: bool | None) -> list[tuple[str, str]]:
    """What may be proposed instead of what is set ``now``: the form's value and its words."""
    return [(value, WORDS[setting]) for value, setting in _LESS.items() if setting is not now]


def chosen(form: QueryDict) -> bool | None:
    """What the form asks for.

    Raises:
        Refusal: REQUEST_MALFORMED.
    """
    value = form.get("value", "-")
    if value not in _LESS:
        raise Refusal(Reason.REQUEST_MALFORMED, "请选择登录方式")
    return _LESS[value]


def value_to_propose(now: bool | None, wanted: bool | None) -> dict[str, Any]:
    """The payload of a proposal.

    Raises:
        Refusal: REQUEST_MALFORMED when nothing would change, or when one operator may do it.
    """
    if wanted is now or wanted is True:
        raise Refusal(Reason.REQUEST_MALFORMED, "登录方式没有变化")
    return {"was": now, "value": wanted}


def value_of(approval: Approval, *, now: bool | None) -> bool | None:
    """What is to be set.

    Raises:
        Refusal: VERSION_CHANGED when it was set otherwise since the proposal.
    """
    if now is not approval.payload["was"]:
        raise Refusal(Reason.VERSION_CHANGED, "the switch was changed since the proposal")
    value: bool | None = approval.payload["value"]
    return value


def switch_facts(approval: Approval) -> list[tuple[str, str]]:
    """What the second operator reads."""
    was, value = approval.payload["was"], approval.payload["value"]
    return [("登录方式", Change(WORDS[was], WORDS[value], alarming=True))]
