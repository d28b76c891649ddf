"""Verifications per CPU-second, one thread: three-tier chains with CRLs for SM2, P-256 and RSA-2048, cold and warm.

Each is a ratio to the bare signature verifications of the very same keys and signatures, timed interleaved with it in this run
(median of the rounds' ratios), so that a busy machine slows both alike.

  warm   the certificate is remembered: base64, certificate parse, the answer's signature, dates, provider and revocation each time
  cold   a certificate never seen before, under a register whose CA chains were judged: its form, key, path, profile, identity too
  first  cold, and the register itself is new: its certificates parsed, its CA chains judged

bare 1 = the answer's signature; bare 3 = the answer's, the leaf certificate's and the issuing CA certificate's signature.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from cryptography.hazmat.primitives import hashes  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa  # noqa: E402
from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: E402
from worlds.core_trust import ALGORITHM, AT, CHALLENGE, KINDS, ORIGIN, answer, key, world  #  noqa: E402

from calock.core import libcrypto  # noqa: E402 - the path comes first
from calock.core.certificates import signatures  # noqa: E402 - the path comes first
from calock.core.certificates.certificate import Certificate  # noqa: E402
from calock.core.decision.cache import VerificationCache  # noqa: E402
from calock.core.decision.verify import VerificationInputs, verify_token  # noqa: E402

ROUNDS, BATCH = 41, 30
"""Each batch takes milliseconds: long enough that what ran before it does not matter, short enough to share a noisy moment."""
GOALS = {("SM2", "warm"): 0.80, ("EC", "warm"): 0.50, ("SM2", "cold"): 0.60, ("EC", "cold"): 0.60, ("RSA", "cold"): 0.60}
NAMES = {"SM2": "SM2", "EC": "P-256", "RSA": "RSA-2048"}

Work = Callable[[], object]


def spent(work: Work, count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - start) / count


def bare(kind: str) -> tuple[Work, Work]:
    """The signature verifications and nothing else: of the answer, and of the answer and both certificates."""
    here = world(kind)
    message = signatures.signed_message(ALGORITHM[kind], ORIGIN, CHALLENGE)
    token_signature = key(kind).sign(message)
    leaf, ca = Certificate.parse(here.lock()), Certificate.parse(here.ca.certificate)
    triples = [
        (key(kind).spki_der, token_signature, message),
        (here.ca.key.spki_der, leaf.parsed.signature, leaf.tbs),
        (here.root.key.spki_der, ca.parsed.signature, ca.tbs),
    ]
    ready = [(_verifier(kind, spki), signature, data) for spki, signature, data in triples]

    def one() -> None:
        verify, signature, data = ready[0]
        verify(signature, data)

    def three() -> None:
        for verify, signature, data in ready:
            verify(signature, data)

    return one, three


def _verifier(kind: str, spki: bytes) -> Callable[[bytes, bytes], object]:
    if kind == "SM2":
        return lambda signature, data: libcrypto.sm2_verify(spki, signature, data) or sys.exit("bare verification failed")
    loaded = load_der_public_key(spki)
    if isinstance(loaded, rsa.RSAPublicKey):
        scheme, digest = padding.PKCS1v15(), hashes.SHA256()
        return lambda signature, data: loaded.verify(signature, data, scheme, digest)
    assert isinstance(loaded, ec.EllipticCurvePublicKey)
    method = ec.ECDSA(hashes.SHA256())
    return lambda signature, data: loaded.verify(signature, data, method)


def measure(kind: str, mode: str) -> tuple[float, float, float]:
    """(verifications per CPU-second, ratio to the bare one, ratio to the bare three)."""
    here = world(kind)
    one, three = bare(kind)
    register, evidence = here.register(), here.evidence()
    cache = VerificationCache()
    locks = iter([here.lock(serial=1000 + number) for number in range(ROUNDS * BATCH + 1)] if mode != "warm" else [])
    known = here.lock()
    tokens = iter([answer(lock, key(kind)) for lock in locks])
    again = answer(known, key(kind))

    def warm() -> None:
        Certificate.parse(known)  # not needed, as the bytes are known by their hash; here because the goal counts a parse
        check(verify_token(again, VerificationInputs(register, AT, evidence, cache=cache), origin=ORIGIN, challenge=CHALLENGE))

    def cold() -> None:
        check(
            verify_token(next(tokens), VerificationInputs(register, AT, evidence, cache=cache), origin=ORIGIN, challenge=CHALLENGE)
        )

    def first() -> None:
        check(verify_token(next(tokens), VerificationInputs(here.register(), AT, evidence), origin=ORIGIN, challenge=CHALLENGE))

    work = {"warm": warm, "cold": cold, "first": first}[mode]
    work()
    rows = [(spent(one, BATCH), spent(work, BATCH), spent(three, BATCH)) for _ in range(ROUNDS)]
    rate = 1 / statistics.median(row[1] for row in rows)
    return rate, statistics.median(row[0] / row[1] for row in rows), statistics.median(row[2] / row[1] for row in rows)


def check(verdict: object) -> None:
    if getattr(verdict, "reason", "") is not None:
        sys.exit(f"refused: {verdict}")


def main() -> None:
    print(f"{'key':<10}{'mode':<7}{'per CPU-second':>15}{'of bare 1':>11}{'of bare 3':>11}   goal")
    for kind in KINDS:
        for mode in ("warm", "cold", "first"):
            rate, to_one, to_three = measure(kind, mode)
            goal = GOALS.get((kind, mode))
            reached = to_one if mode == "warm" else to_three
            words = "" if goal is None else f"{goal:.2f} {'reached' if reached >= goal else 'MISSED'}"
            print(f"{NAMES[kind]:<10}{mode:<7}{rate:>15,.0f}{to_one:>11.2f}{to_three:>11.2f}   {words}")


if __name__ == "__main__":
    main()
