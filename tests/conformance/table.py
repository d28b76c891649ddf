"""``make conformance``: every third-party and generated case, as a table. Exit status 1 on any difference that is not listed.

Run it with the repository's ``src`` and ``tests`` importable: ``python -m conformance.table``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

if __package__ in (None, ""):  # called by its path
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "src")]

from conformance import listed_exceptions as listed
from conformance import second_opinion, suite_cases
from conformance.differential import differential
from conformance.suite_cases import Outcome

ROWS: tuple[tuple[str, Callable[[], Iterable[Outcome]], dict[str, str]], ...] = (
    ("PKITS (NIST), path and revocation", suite_cases.pkits, listed.PKITS),
    ("Wycheproof, ES256 ES384 RS256 PS256", suite_cases.wycheproof, listed.WYCHEPROOF),
    ("Web eID tokens, format 1.0", suite_cases.webeid, listed.WEBEID),
    ("Web eID tokens, format 1.1", lambda: suite_cases.webeid("1.1"), listed.WEBEID_11),
    ("Web eID OCSP responses", suite_cases.webeid_ocsp, listed.WEBEID_OCSP),
    ("SM2 chains, CRLs, OCSP", suite_cases.sm2, listed.SM2),
    ("generated chains, second opinion", differential, listed.DIFFERENTIAL),
    ("PKITS, second opinion", second_opinion.pkits, listed.SECOND_PKITS),
    ("Web eID paths, second opinion", second_opinion.webeid, {}),
    ("Web eID OCSP, second opinion", second_opinion.webeid_ocsp, {}),
    ("SM2, second opinion", second_opinion.sm2, listed.SECOND_SM2),
)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    say(f"{'suite':<46}{'cases':>7}{'agree':>7}{'listed':>8}{'unlisted':>10}")
    unlisted = 0
    notes: list[str] = []
    for name, cases, exceptions in ROWS:
        outcomes = list(cases())
        differences = [outcome for outcome in outcomes if not outcome.agrees]
        known = [outcome for outcome in differences if outcome.case in exceptions]
        new = [outcome for outcome in differences if outcome.case not in exceptions]
        unlisted += len(new) + (not outcomes)
        say(f"{name:<46}{len(outcomes):>7}{len(outcomes) - len(differences):>7}{len(known):>8}{len(new):>10}")
        notes += [f"listed    {outcome.case}: {exceptions[outcome.case]}" for outcome in known]
        notes += [f"UNLISTED  {o.case}: expected {'accept' if o.expected else 'refuse'}, we: {o.reason}" for o in new]
        notes += [f"STALE     {case}: listed, but we agree now" for case in exceptions.keys() - {o.case for o in differences}]
    say("\n" + "\n".join(notes))
    return 1 if unlisted else 0


if __name__ == "__main__":
    sys.exit(main())
