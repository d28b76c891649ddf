"""A remembered certificate is judged anew in everything that a clock, a revocation, a site or a choice can change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from worlds.core_trust import AT, CHALLENGE, END, KINDS, ORIGIN, answer, key, world

from calock.core.decision.cache import VerificationCache
from calock.core.decision.verify import VerificationInputs, verify_token
from calock.core.policy import Policy
from calock.core.refusals import Reason


def _judge(inputs: VerificationInputs, kind: str = "EC", **changes: object) -> Reason | None:
    token = answer(world(kind).lock(), key(kind), **changes)  # type: ignore[arg-type]
    return verify_token(token, inputs, origin=ORIGIN, challenge=CHALLENGE).reason


def _inputs(kind: str = "EC", **changes: object) -> VerificationInputs:
    here = world(kind)
    values = {
        "register": here.register(sites=frozenset({"shanxi"})),
        "at": AT,
        "evidence": here.evidence(),
        "cache": VerificationCache(),
        **changes,
    }
    return VerificationInputs(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_verdict_is_the_first(kind: str) -> None:
    inputs = _inputs(kind)
    token = answer(world(kind).lock(), key(kind))
    first, second = (verify_token(token, inputs, origin=ORIGIN, challenge=CHALLENGE) for _ in range(2))
    assert first.accepted
    assert len(inputs.cache or ()) == 1
    assert first == second


def test_revoked_since_then() -> None:
    inputs = _inputs()
    assert _judge(inputs) is None
    assert _judge(replace(inputs, evidence=world().evidence(world().crls(4242)))) is Reason.CERTIFICATE_REVOKED
    assert _judge(inputs) is None


@pytest.mark.parametrize(
    ("at", "reason"),
    [(END + timedelta(seconds=1), Reason.PATH_EXPIRED), (AT + timedelta(days=2), Reason.REVOCATION_STALE)],
)
def test_out_of_date_since_then(at: datetime, reason: Reason) -> None:
    inputs = _inputs()
    assert _judge(inputs) is None
    assert _judge(replace(inputs, at=at)) is reason


def test_signature_is_never_remembered() -> None:
    inputs = _inputs()
    assert _judge(inputs) is None
    assert _judge(inputs, challenge="another") is Reason.SIGNATURE_INVALID
    assert _judge(inputs, algorithm="RS256") is Reason.ALGORITHM_KEY_MISMATCH


def test_site_and_choice_since_then() -> None:
    inputs = _inputs()
    assert _judge(inputs) is None
    assert _judge(replace(inputs, site="zcy")) is Reason.PROVIDER_NOT_RECOGNISED_HERE
    assert _judge(replace(inputs, provider="another")) is Reason.PROVIDER_MISMATCH


def test_another_register_forgets() -> None:
    inputs = _inputs()
    assert _judge(inputs) is None
    withdrawn = replace(inputs, register=world("SM2").register())
    assert _judge(withdrawn) is Reason.CERTIFICATE_UNTRUSTED
    stricter = replace(inputs, register=world().register(Policy(algorithms=("SM2",))))
    assert _judge(stricter) is Reason.ALGORITHM_NOT_ALLOWED


def test_refused_certificates_are_not_remembered_and_the_cache_is_bounded() -> None:
    inputs = _inputs(cache=VerificationCache(capacity=3))
    assert _judge(replace(inputs, evidence=world().evidence(world().crls(4242)))) is Reason.CERTIFICATE_REVOKED
    assert len(inputs.cache or ()) == 0
    for serial in range(8):
        token = answer(world().lock(serial=50 + serial), key("EC"))
        assert verify_token(token, inputs, origin=ORIGIN, challenge=CHALLENGE).accepted
    assert len(inputs.cache or ()) == 3


def test_dated_exceptions_are_not_remembered() -> None:
    policy = Policy(legacy=(("SHA1", AT + timedelta(hours=1)),))
    inputs = _inputs(register=world().register(policy))
    assert _judge(inputs) is None
    assert len(inputs.cache or ()) == 0
