"""Every third-party case agrees with us, or stands in ``listed_exceptions`` by name with its reason; nothing listed is stale."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from conformance import listed_exceptions as listed
from conformance import second_opinion, suite_cases
from conformance.differential import FAULTS, KINDS, differential
from conformance.suite_cases import SUITES, Outcome

pytestmark = pytest.mark.skipif(not SUITES.is_dir(), reason=f"third-party suites are not at {SUITES} (set CALOCK_SUITES)")


def _check(outcomes: Iterable[Outcome], exceptions: dict[str, str], count: int) -> None:
    outcomes = list(outcomes)
    differences = {outcome.case: outcome for outcome in outcomes if not outcome.agrees}
    assert len(outcomes) == count
    assert {case: str(outcome.reason) for case, outcome in differences.items() if case not in exceptions} == {}
    assert set(exceptions) - set(differences) == set(), "listed, but we agree now"


@pytest.mark.parametrize(
    ("cases", "exceptions", "count"),
    [
        pytest.param(suite_cases.pkits, listed.PKITS, 246, id="pkits"),
        pytest.param(suite_cases.wycheproof, listed.WYCHEPROOF, 909, id="wycheproof"),
        pytest.param(suite_cases.webeid, listed.WEBEID, 40, id="webeid-1.0"),
        pytest.param(suite_cases.webeid_ocsp, listed.WEBEID_OCSP, 13, id="webeid-ocsp"),
        pytest.param(suite_cases.sm2, listed.SM2, 7, id="sm2"),
        pytest.param(second_opinion.pkits, listed.SECOND_PKITS, 246, id="pkits-second-opinion"),
        pytest.param(second_opinion.webeid, {}, 45, id="webeid-second-opinion"),
        pytest.param(second_opinion.webeid_ocsp, {}, 13, id="webeid-ocsp-second-opinion"),
        pytest.param(second_opinion.sm2, listed.SECOND_SM2, 7, id="sm2-second-opinion"),
    ],
)
def test_suite_agrees(cases: Callable[[], Iterable[Outcome]], exceptions: dict[str, str], count: int) -> None:
    _check(cases(), exceptions, count)


def test_webeid_1_1_is_recognised_and_refused() -> None:
    outcomes = list(suite_cases.webeid("1.1"))
    assert len(outcomes) == 18
    refused = [outcome for outcome in outcomes if not outcome.accepted]
    assert all(outcome.reason.startswith("TOKEN_FORMAT_UNSUPPORTED") for outcome in refused)
    assert {outcome.case for outcome in outcomes if not outcome.agrees} == set(listed.WEBEID_11)


def test_generated_chains_agree_with_the_second_opinion() -> None:
    outcomes = list(differential())
    _check(outcomes, listed.DIFFERENTIAL, len(KINDS) * 2 * len(FAULTS))
    accepted = sum(outcome.accepted for outcome in outcomes)
    assert 40 < accepted < len(outcomes) - 100, "both answers must occur often"
