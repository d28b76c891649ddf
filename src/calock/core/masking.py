"""Masking of personal ids in texts that other people read.

Source: GB 11643 (公民身份号码).
"""

from __future__ import annotations

import unicodedata

from calock.core.checks.identity import id_card_valid

_BETWEEN = frozenset(" \u00a0\u3000-\u2010\u2011\u2012\u2013\u2014_.·/")
"""Characters that are written between digits to make a number readable."""
_LENGTH, _SHOWN = 18, 4


def mask_person_ids(text: str) -> str:
    """``text`` with every 公民身份号码 in it reduced to its last four characters; text without one comes back as it is.

    Masked is every number whose date exists and whose check digit holds (GB 11643): also inside a longer row of digits, in
    full-width digits, or with blanks or hyphens between the digits.
    """
    hidden: set[int] = set()
    for run in _runs(text):
        for start in range(len(run) - _LENGTH + 1):
            window = run[start : start + _LENGTH]
            if id_card_valid("".join(digit for _, digit in window)):
                hidden.update(place for place, _ in window[:-_SHOWN])
    if not hidden:
        return text
    return "".join("*" if place in hidden else character for place, character in enumerate(text))


def _runs(text: str) -> list[list[tuple[int, str]]]:
    """Rows of digits and ``X`` that are long enough, each as (place in the text, plain character)."""
    runs: list[list[tuple[int, str]]] = [[]]
    for place, character in enumerate(text):
        digit = unicodedata.decimal(character, None)
        if digit is not None:
            runs[-1].append((place, str(digit)))
        elif unicodedata.normalize("NFKC", character) in ("X", "x"):
            runs[-1].append((place, "X"))
        elif character not in _BETWEEN:
            runs.append([])
    return [run for run in runs if len(run) >= _LENGTH]
