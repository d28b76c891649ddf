"""What refusing rubbish costs: CPU milliseconds for each kind of input that attackers send first, beside one accepted answer.

The goal is under 10 ms each. The worst of ``RUNS`` is printed as well: a parser that is fast on average is not what is asked.
"""

from __future__ import annotations

import base64
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from worlds.core_trust import AT, CHALLENGE, ORIGIN, answer, key, world  #  noqa: E402

from calock.core.decision.verify import VerificationInputs, verify_token  # noqa: E402
from calock.core.refusals import Refusal  # noqa: E402 - the path comes first
from calock.wire.token import parse_token  # noqa: E402

RUNS = 50
GOAL = 10.0
REGISTER, EVIDENCE = world().register(), world().evidence()


def judged(text: bytes) -> str:
    """The reason of the refusal, or nothing."""
    try:
        verdict = verify_token(parse_token(text), VerificationInputs(REGISTER, AT, EVIDENCE), origin=ORIGIN, challenge=CHALLENGE)
    except Refusal as refusal:
        return refusal.reason
    return str(verdict.reason or "")


def inputs() -> dict[str, Callable[[], bytes]]:
    token = answer(world().lock(), key("EC"))
    right = {
        "format": token.format, "algorithm": token.algorithm, "signature": token.signature,
        "unverifiedCertificate": token.unverified_certificate,
    }  # fmt: skip

    def changed(**fields: str) -> bytes:
        return json.dumps({**right, **fields}).encode()

    certificate = base64.b64decode(token.unverified_certificate)
    nested = b"\x30\x80" * 2000
    found = {
        "accepted": changed(),
        "empty": b"",
        "one byte": b"{",
        "10 MB": b"x" * 10_000_000,
        "deeply nested JSON": b"[" * 9000,
        "NUL": b"\x00" * 99,
        "not base64": changed(unverifiedCertificate="%" + token.unverified_certificate),
        "base64 with a newline": changed(unverifiedCertificate=token.unverified_certificate + "\n"),
        "URL alphabet": changed(signature="-_" + token.signature[2:]),
        "certificate cut short": changed(unverifiedCertificate=base64.b64encode(certificate[:-9]).decode()),
        "deeply nested DER": changed(unverifiedCertificate=base64.b64encode(nested).decode()),
        "signature of zeros": changed(signature=base64.b64encode(bytes(64)).decode()),
    }
    return {name: partial(bytes, text) for name, text in found.items()}


def main() -> None:
    print(f"{'input':<24}{'median ms':>10}{'worst ms':>10}   reason")
    for name, make in inputs().items():
        text = make()
        times = []
        for _ in range(RUNS):
            start = time.process_time()
            reason = judged(text)
            times.append((time.process_time() - start) * 1000)
        words = "" if max(times) < GOAL else f"   over {GOAL:.0f} ms"
        print(f"{name:<24}{statistics.median(times):>10.3f}{max(times):>10.3f}   {reason}{words}")


if __name__ == "__main__":
    main()
