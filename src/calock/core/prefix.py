"""The prefix of an identifier rule: a subset of regular expressions that cannot take exponential time.

Rules come from operators, and every login matches them. Groups, look-around and back-references, which make matching
exponential, are left out. An alternative has at most two repetitions of no fixed length, so that matching takes at most the square
of the text's length (256 characters).
"""

from __future__ import annotations

import re

MAX_LENGTH = 200
MAX_VARIABLE = 2
"""Repetitions of no fixed length (``* + ? {m,n}``) in one alternative."""

_PIECE = re.compile(
    r"(?:\\[dDsSwW]|\\[^\sA-Za-z0-9]|\[\^?(?:\\[^\s]|[^\]\\])+\]|[^\\\[\](){}|*+?^$])"  # one character of some kind
    r"(?:\{\d{1,3}\}|(?P<variable>[*+?]|\{\d{0,3},\d{0,3}\}))?"
)


def check_prefix(text: str) -> None:
    """Refuse what is not literals, ``.``, the escapes for digits, words and spaces, ``[…]``, repetitions, and ``|`` between them.

    Raises:
        ValueError: says what is wanted.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"prefix is at most {MAX_LENGTH} characters")
    place, variable = 0, 0
    while place < len(text):
        if text[place] == "|" or (text[place] == "^" and (place == 0 or text[place - 1] == "|")):
            variable = 0 if text[place] == "|" else variable
            place += 1
            continue
        piece = _PIECE.match(text, place)
        if piece is None:
            raise ValueError(f"prefix: at character {place + 1} something else than literals, '.', \\d, […], {{n}} and '|'")
        variable += piece["variable"] is not None
        if variable > MAX_VARIABLE:
            raise ValueError(f"prefix: at most {MAX_VARIABLE} repetitions without a fixed length")
        place = piece.end()
    try:
        re.compile(text)
    except (re.error, OverflowError) as error:
        raise ValueError("prefix is not a regular expression") from error


def without_prefix(prefix: str, text: str) -> str | None:
    """``text`` after the prefix; None when it does not begin with it."""
    if not prefix:
        return text
    match = re.match(prefix, text)
    return text[match.end() :] if match else None
