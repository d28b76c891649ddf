"""What a CRL with a million entries costs: to take in, to look up, in memory by worker, and in every login.

Run: ``python bench/crl.py [--entries N] [--algorithm SM2|EC|RSA] [--workers N] [--rounds N]``. CPU time of one thread;
memory from /proc (PSS: shared pages count once a machine). A login here is everything that judges an answer (challenge signature,
certificate, path, revocation, profile, identity) without HTTP and database: the ratio is harder than a whole login's.
"""

from __future__ import annotations

import argparse
import base64
import json
import mmap
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from calock.core import libcrypto
from calock.core.certificates.certificate import Certificate
from calock.core.certificates.signatures import signed_message
from calock.core.decision.verify import VerificationInputs, verify_token
from calock.core.der.reader import Bytes
from calock.core.policy import Policy
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.revocation.ca_graph import CaGraph
from calock.core.revocation.crl import read_crl
from calock.core.revocation.crl_entries import walk_entries
from calock.core.revocation.crl_index import CrlIndex, write_index
from calock.core.revocation.evidence import EvidenceForAll, link_crls
from calock.demo import der, pki
from calock.wire.token import AuthToken

AT = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
KEY = b"k" * 32
ORIGIN = "https://login.example"
CHALLENGE = "c2.login." + "a" * 80


def make_crl(authority: pki.Authority, count: int, seed: int) -> bytes:
    """A CRL of ``count`` entries with random 16-octet serials and reasons: about 40 octets an entry."""
    chance = random.Random(seed)
    reasons = [der.sequence(der.sequence(der.oid("2.5.29.21"), der.octets(der.enumerated(code)))) for code in (0, 1, 4, 5)]
    moments = [der.time(AT - timedelta(seconds=chance.randrange(10**8))) for _ in range(5000)]
    entries = []
    for _ in range(count):
        serial = (chance.getrandbits(127) | 1 << 126).to_bytes(16, "big")
        body = b"\x02\x10" + serial + chance.choice(moments) + chance.choice(reasons)
        entries.append(bytes((0x30, len(body))) + body)
    revoked = [der.tlv(0x30, b"".join(entries))] if entries else []
    number = der.sequence(der.oid("2.5.29.20"), der.octets(der.integer(7)))
    tbs = der.sequence(
        der.integer(1), authority.key.signature_algorithm, authority.subject,
        der.time(AT - timedelta(minutes=5)), der.time(AT + DAY),
        *revoked, der.tlv(0xA0, der.sequence(number)),
    )  # fmt: skip
    return pki.signed(tbs, authority.key)


def take_in(path: Path, out: Path, signer: bytes) -> dict[str, float]:
    """Read, verify and index a CRL file, in a process of its own; seconds and MB."""
    parent, child = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_take_in, args=(path, out, signer, child))
    process.start()
    result = cast(dict[str, float], parent.recv())
    process.join()
    return result


def _take_in(path: Path, out: Path, signer_der: bytes, pipe: Any) -> None:
    signer = Certificate.parse(signer_der)
    before = high_water_mb()
    marks = [time.process_time()]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        data = cast(Bytes, mapped)
        head = read_crl(data)
        marks.append(time.process_time())
        head.verify(data, signer, policy=Policy(), at=AT)
        marks.append(time.process_time())
        with out.open("wb") as target:
            write_index(head, signer, walk_entries(data, *head.entries), target, KEY)
    marks.append(time.process_time())
    peak = high_water_mb() - before
    pipe.send({"read": marks[1] - marks[0], "verify": marks[2] - marks[1], "index": marks[3] - marks[2], "peak_mb": peak})


def high_water_mb() -> float:
    """Most memory this process ever had, mapped files included."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM")


def open_index(path: Path) -> CrlIndex:
    with path.open("rb") as file:
        return CrlIndex.open(cast(Bytes, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), KEY)


def lookup_cost(index: CrlIndex, rounds: int) -> tuple[float, float]:
    """Microseconds for one look-up that misses (every good user), and for one that hits the first record's neighbourhood."""
    chance = random.Random(1)
    serials = [chance.getrandbits(127) for _ in range(rounds)]
    start = time.process_time()
    for serial in serials:
        index.lookup(serial)
    missed = (time.process_time() - start) / rounds * 1e6
    start = time.process_time()
    for _ in range(rounds):
        index.lookup(serials[0])
    return missed, (time.process_time() - start) / rounds * 1e6


def pss_mb() -> float:
    """Proportional set size of this process."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no smaps_rollup")


def memory(path: Path | None, workers: int) -> list[float]:
    """PSS of each of ``workers`` processes that hold the index and looked up all over it, at the same moment."""
    context = multiprocessing.get_context("spawn")
    ready, measure = context.Barrier(workers), context.Barrier(workers)
    results = context.Queue()
    processes = [context.Process(target=_hold, args=(path, ready, measure, results)) for _ in range(workers)]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return found


def _hold(path: Path | None, ready: Any, measure: Any, results: Any) -> None:
    index = open_index(path) if path else None
    if index is not None:
        lookup_cost(index, 200_000)
    ready.wait()
    found = pss_mb()
    measure.wait()
    results.put(found)


class StoredLike(EvidenceForAll):
    """Evidence as the server keeps it: opened indexes, linked once."""

    def __init__(self, indexes: list[CrlIndex], graph: CaGraph) -> None:
        self._offers = link_crls(indexes, graph)

    def crls_for(self, issuer: Certificate) -> Any:
        return self._offers.get(issuer.spki_sha256, ())

    def ocsp_for(self, issuer: Certificate, serial: int) -> Any:  # noqa: ARG002
        return ()

    def rejected_for(self, issuer: Certificate) -> Any:  # noqa: ARG002
        return ()

    def final_for(self, issuer: Certificate, serial: int) -> None:  # noqa: ARG002
        return None


def raw_signature(key: pki.Key, message: bytes) -> bytes:
    signature = key.sign(message)
    return signature if key.algorithm == "RSA" else libcrypto.der_to_raw(signature)


def logins(root: pki.Authority, issuing: pki.Authority, *held: list[CrlIndex]) -> list[Callable[[], None]]:
    """One whole judgement of one answer, ready to be repeated, over each of these sets of CRLs; all else is the same."""
    key = pki.make_key(root.key.algorithm)
    certificate = issuing.issue_lock("bench", key, not_before=AT - DAY, not_after=AT + 300 * DAY, lock_id="1")
    algorithm = {"SM2": "SM2", "EC": "ES256", "RSA": "RS256"}[key.algorithm]
    signature = raw_signature(key, signed_message(algorithm, ORIGIN, CHALLENGE))
    token = AuthToken(
        format="web-eid:1.0", unverified_certificate=base64.b64encode(certificate).decode(), algorithm=algorithm,
        signature=base64.b64encode(signature).decode(),
    )  # fmt: skip
    cas = (CaCertificate.of(root.certificate, anchor=True), CaCertificate.of(issuing.certificate))
    register = Register([ProviderTrust("bench", cas)])
    graph = CaGraph([Certificate.parse(root.certificate)], [Certificate.parse(issuing.certificate)], policy=Policy(), at=AT)

    def ready(setting: VerificationInputs) -> Callable[[], None]:
        def once() -> None:
            verdict = verify_token(token, setting, origin=ORIGIN, challenge=CHALLENGE)
            if not verdict.accepted:
                raise RuntimeError(str(verdict.failure))

        return once

    return [ready(VerificationInputs(register, AT, StoredLike(indexes, graph))) for indexes in held]


def medians(runs: list[Callable[[], None]], rounds: int) -> list[float]:
    """Median CPU microseconds of each, taken in turns, so that whatever else the machine does meets all alike."""
    samples: list[list[int]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, found in zip(runs, samples, strict=True):
            start = time.process_time_ns()
            run()
            found.append(time.process_time_ns() - start)
    return [statistics.median(found) / 1000 for found in samples]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--algorithm", choices=("SM2", "EC", "RSA"), default="SM2")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    root = pki.make_root("bench root", chosen.algorithm, not_before=AT - DAY, not_after=AT + 900 * DAY)
    issuing = root.intermediate("bench issuing", not_before=AT - DAY, not_after=AT + 900 * DAY)
    with tempfile.TemporaryDirectory() as place:
        result = measure(chosen, root, issuing, Path(place))
    if chosen.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:34} {value:>12.3f}" if isinstance(value, float) else f"{name:34} {value:>12}")
    return 0


def measure(chosen: argparse.Namespace, root: pki.Authority, issuing: pki.Authority, place: Path) -> dict[str, float | int | str]:
    paths = {}
    made: dict[str, float] = {}
    sizes = {}
    for name, authority, count in (("large", issuing, chosen.entries), ("small", issuing, 0), ("root", root, 0)):
        crl, paths[name] = place / f"{name}.crl", place / f"{name}.idx"
        crl.write_bytes(make_crl(authority, count, chosen.seed))
        found = take_in(crl, paths[name], authority.certificate)
        if name == "large":
            made, sizes = found, {"crl_mb": crl.stat().st_size / 1e6, "index_mb": paths[name].stat().st_size / 1e6}
    start = time.process_time()
    index = open_index(paths["large"])
    opened = time.process_time() - start
    missed, again = lookup_cost(index, 200_000)
    without, with_it = memory(None, chosen.workers), memory(paths["large"], chosen.workers)
    clean = open_index(paths["root"])
    runs = logins(root, issuing, [open_index(paths["large"]), clean], [open_index(paths["small"]), clean])
    large, small = medians(runs, chosen.rounds)
    return {
        "algorithm": chosen.algorithm, "entries": index.count, "seed": chosen.seed, **sizes,
        "take in: read s": made["read"], "take in: verify s": made["verify"], "take in: index s": made["index"],
        "take in: peak MB": made["peak_mb"], "open (seal checked) s": opened,
        "look-up, miss us": missed, "look-up, same again us": again,
        "workers": chosen.workers, "memory of the machine, MB more": sum(with_it) - sum(without),
        "memory of one worker, MB more (PSS)": (sum(with_it) - sum(without)) / chosen.workers,
        "login with empty CRL us": small, "login with this CRL us": large, "login ratio": large / small,
    }  # fmt: skip


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
