"""Measure the driver with a soft SKF lock: PIN to answer, start-up, memory, and a day's worth of plug events.

    python bench/driver.py [--answers 100] [--events 2000] [--starts 5]

The lock is tests/agent/skf/softskf (real SM2 over libcrypto, ULONG 32 bit); the driver is a process of its own, asked over
HTTP as a page asks. The library adds up the time spent inside its functions, so an answer's time splits into the vendor's part
and ours. Figures of one machine at one time: other load shows up in them; medians over many runs move least.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from agent import soft_skf as softskf
from agent.driving import DriverProcess, Events, until

PACE = 0.07
"""Seconds between requests: the driver lets one page ask 20 times a second."""
LIMITS = {"ours, median": 20.0, "main process": 60.0}


@dataclass(frozen=True)
class Process:
    """Memory and handles of one process, from /proc."""

    pid: int
    resident_mib: float
    proportional_mib: float
    descriptors: int
    threads: int

    @classmethod
    def read(cls, pid: int) -> Process:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        pss = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
        return cls(
            pid,
            int(status["VmRSS"].split()[0]) / 1024,
            int(pss.split()[1]) / 1024,
            len(list(Path(f"/proc/{pid}/fd").iterdir())),
            int(status["Threads"]),
        )


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def driver(directory: Path, library: Path, ports: softskf.SoftSkf) -> Iterator[DriverProcess]:
    (directory / "agent.toml").write_text("signatures_per_minute = 6000\nlog_level = 'warning'\n")
    options = ["--config", str(directory / "agent.toml"), "--skf", str(library)]
    with DriverProcess(directory, options=options, environment={"SOFTSKF_DIR": str(ports.root)}, cold=True) as running:
        yield running


def table(title: str, rows: list[tuple[str, str]]) -> None:
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<44}{value}")


def spread(values: list[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    return f"median {statistics.median(ordered):8.2f}   p95 {p95:8.2f}   max {ordered[-1]:8.2f}"


def measure_answers(running: DriverProcess, ports: softskf.SoftSkf, count: int) -> None:
    """Time POST /v1/authenticate; the vendor's part is by the library's own clock."""
    lock = until(running.locks, "the lock")[0]["id"]
    timing = ports.root / "timing"
    timing.write_text("")
    total = []
    for _ in range(count):
        time.sleep(PACE)
        begun = time.perf_counter()
        reply = running.authenticate(lock, pin=softskf.PIN)
        total.append((time.perf_counter() - begun) * 1000)
        assert reply.status == 200, reply.body
    vendor = [int(line.split()[1]) / 1e6 for line in timing.read_text().splitlines() if line.startswith("used")]
    timing.unlink()
    ours = [whole - theirs for whole, theirs in zip(total, vendor, strict=True)]
    table(
        f"PIN to answer, ms ({count} SM2 answers over HTTP)",
        [("total", spread(total)), ("inside the vendor library", spread(vendor)), ("ours", spread(ours))],
    )
    verdict("ours, median", statistics.median(ours))


def measure_starts(directory: Path, library: Path, ports: softskf.SoftSkf, count: int) -> None:
    listening, listed = [], []
    for index in range(count):
        home = directory / f"start{index}"
        home.mkdir()
        begun = time.perf_counter()
        with driver(home, library, ports) as running:
            listening.append((time.perf_counter() - begun) * 1000)
            until(running.locks, "the lock")
            listed.append((time.perf_counter() - begun) * 1000)
    table(f"Start-up, ms ({count} cold processes)", [("to listening", spread(listening)), ("to the lock listed", spread(listed))])


def measure_memory(running: DriverProcess) -> None:
    main = Process.read(running.process.pid)
    rows = [("main process", _memory(main))]
    rows += [(f"worker {number}", _memory(Process.read(pid))) for number, pid in enumerate(children(main.pid), 1)]
    table("Memory, MiB", rows)
    verdict("main process", main.resident_mib)


def _memory(process: Process) -> str:
    return f"resident {process.resident_mib:6.1f}   proportional {process.proportional_mib:6.1f}   threads {process.threads}"


def measure_events(running: DriverProcess, ports: softskf.SoftSkf, count: int) -> None:
    """Plug and unplug ``count`` times, each seen by a listening page before the next."""
    until(running.locks, "the lock")
    worker = children(running.process.pid)
    delays, marks = [], []
    with Events(running.port) as events:
        events.next()
        plugged = True
        for number in range(count):
            time.sleep(PACE)
            begun = time.perf_counter()
            (ports.unplug if plugged else ports.plug)("key0")
            plugged = not plugged
            events.next()
            while bool(running.locks()) != plugged:  # as a page does: an event says only "ask again"
                events.next()
            delays.append((time.perf_counter() - begun) * 1000)
            if number + 1 in (count // 10, count // 2, count):
                marks.append((number + 1, [Process.read(pid) for pid in (running.process.pid, *worker)]))
    table(f"Plug and unplug, ms to the event in the page ({count} events)", [("delay", spread(delays))])
    rows = []
    for number, processes in marks:
        for name, process in zip(("main", "worker 1", "worker 2"), processes, strict=False):
            rows.append((f"after {number:>5} events, {name}", f"{_memory(process)}   descriptors {process.descriptors}"))
    table("Growth", rows)
    same = children(running.process.pid) == worker
    early, late = _growth(marks, 0, 1), _growth(marks, 1, 2)
    print(f"  resident memory per 1,000 events: {early:+.2f} MiB in the first half, {late:+.2f} MiB in the second")
    print(f"  workers are the same processes: {same}")


def _growth(marks: list[tuple[int, list[Process]]], first: int, last: int) -> float:
    (start, before), (stop, after) = marks[first], marks[last]
    return sum(b.resident_mib - a.resident_mib for a, b in zip(before, after, strict=True)) * 1000 / (stop - start)


def verdict(name: str, value: float) -> None:
    limit = LIMITS[name]
    print(f"  -> {name} {value:.1f}, goal at most {limit:.0f}: {'met' if value <= limit else 'MISSED'}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--events", type=int, default=2000, help="a busy day of a lock that is never left alone")
    parser.add_argument("--starts", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        library = softskf.build(directory / "lib")[32]
        root = directory / "usb"
        root.mkdir()
        ports = softskf.SoftSkf(root)
        ca = softskf.practice_ca()
        ports.add(
            "key0", {"c": (softskf.make_pair(ca, "测试_国密", "SM2"), softskf.make_pair(ca, "测试_国密", "SM2", encryption=True))}
        )
        load = os.getloadavg()
        print(
            f"{os.cpu_count()} cores, load {load[0]:.1f} {load[1]:.1f} {load[2]:.1f} at the start; Python {sys.version.split()[0]}"
        )
        measure_starts(directory, library, ports, chosen.starts)
        home = directory / "driver"
        home.mkdir()
        with driver(home, library, ports) as running:
            measure_answers(running, ports, chosen.answers)
            measure_memory(running)
            measure_events(running, ports, chosen.events)
        load = os.getloadavg()
        print(f"\nload at the end {load[0]:.1f} {load[1]:.1f} {load[2]:.1f}: what else runs on the machine is in these figures")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
