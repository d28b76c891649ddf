"""What a challenge says that is signed with it: compared with its digest before any PIN is tried, and put into words."""

from __future__ import annotations

from calock.agent.locks import printable
from calock.core.challenge import purpose_of, statement_digest_of
from calock.core.refusals import Reason, Refusal
from calock.core.statement import Statement, digest_of, read_statement

PURPOSES = {
    "login": "登录", "bind": "绑定 CA 锁", "unbind": "解除绑定 CA 锁", "stepup": "确认您的身份", "resume": "恢复使用 CA 锁",
}  # fmt: skip
_ABOUT = {
    "bind": "为账户 {} 绑定此 CA 锁",
    "unbind": "以账户 {} 解除绑定 CA 锁",
    "stepup": "确认账户 {} 的身份",
    "resume": "为账户 {} 恢复使用此 CA 锁",
}


def check_statement(text: str, *, challenge: str, origin: str) -> Statement:
    """The statement that a page hands over beside a challenge, when it is the one that the challenge was made for.

    Raises:
        Refusal: CHALLENGE_MALFORMED: another one, one of another purpose, or one for another site than ``origin``, which is what
            the browser attested.
    """
    statement = read_statement(text)
    if digest_of(text) != statement_digest_of(challenge) or statement.purpose != purpose_of(challenge):
        raise Refusal(Reason.CHALLENGE_MALFORMED, "the challenge was not made for this statement")
    if statement.origin != origin:
        raise Refusal(Reason.CHALLENGE_MALFORMED, "the statement is for another site")
    return statement


def purpose_in_words(challenge: str) -> str:
    """What a challenge is for, as far as its text alone says so."""
    return PURPOSES.get(purpose_of(challenge), "验证您的身份")


def in_words(statement: Statement) -> str:
    """What is signed, in one sentence for the person whose lock it is."""
    known = _ABOUT.get(statement.purpose)
    if known is None or not statement.account:
        return PURPOSES.get(statement.purpose, "验证您的身份")
    of = f"（{printable(statement.organisation)}）" if statement.organisation else ""
    return known.format(printable(statement.account)) + of
