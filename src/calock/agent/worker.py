"""The worker process: one vendor library, one thread that calls it, a pipe to the driver.

Run by the driver as ``python -m calock.agent.worker``. Standard input and output carry frames (``calock.agent.pipe``); what the
vendor library prints goes nowhere, because it may print PINs. The process ends when the driver goes away, even while the
library hangs. It loads only the module named in the first frame, which comes from the driver's own configuration.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from calock.agent import pipe, signing
from calock.agent.backends import watchdog
from calock.agent.backends.base import Backend, Listing, LockRecord, TokenProblem
from calock.agent.memory import never_dumped
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal

MAX_LISTING = 512 * 1024
MAX_PROBLEMS = 64
"""Octets and problems of one listing: what a frame holds, with room to spare."""
POLL_SECONDS = 1.0
"""How often a module that cannot report plug events is asked what is there."""

Open = Callable[[pipe.Start], Backend]


def open_backend(start: pipe.Start) -> Backend:
    """Load the module of ``start``; imports only what that kind of module needs."""
    if start.kind == "soft":
        from calock.agent.backends.soft import SoftBackend  # noqa: PLC0415 - a worker loads one kind

        return SoftBackend(Path(start.path))
    if start.kind == "pkcs11":
        from calock.agent.backends.pkcs11 import Pkcs11Backend  # noqa: PLC0415 - same

        return Pkcs11Backend(Path(start.path))
    from calock.agent.backends.skf import SkfBackend  # noqa: PLC0415 - same

    return SkfBackend(Path(start.path))


class Worker:
    """The loop: requests one after the other, polls in between."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO, open_module: Open) -> None:
        self._requests, self._replies = requests, replies
        self._open = open_module
        self._queue: queue.SimpleQueue[pipe.Start | pipe.Request] = queue.SimpleQueue()
        self._write_lock = threading.Lock()

    def _send(self, message: pipe.FromWorker) -> None:
        with self._write_lock:
            self._replies.write(pipe.frame(message))
            self._replies.flush()

    def _read(self) -> None:
        """Feed the queue from the pipe; in a thread of its own, so that the driver's end is noticed during a hang."""
        try:
            while len(head := self._requests.read(4)) == 4:
                body = bytearray(pipe.body_length(head))
                view = memoryview(body)
                while view and (count := self._requests.readinto(view)):  # type: ignore[attr-defined]  # BufferedReader has it
                    view = view[count:]
                view.release()
                self._queue.put(pipe.to_worker(body))
                pipe.wipe(body)
        finally:
            os._exit(0)  # also when a frame was cut short: after a driver was killed no process may keep the token open

    def run(self) -> int:
        """Serve until the driver goes away. Returns the exit status."""
        threading.Thread(target=self._read, daemon=True).start()
        start = self._queue.get()
        if not isinstance(start, pipe.Start):
            return 2
        try:
            backend = self._open(start)
        except Exception as error:  # noqa: BLE001 - a vendor library may raise anything
            self._send(_failed(0, error))
            return 1
        self._send(pipe.Ready())
        polls = not backend.watch(lambda: self._send(pipe.Changed()))
        self._serve(backend, polls=polls)
        return 0

    def _serve(self, backend: Backend, *, polls: bool) -> None:
        seen = _look(backend) if polls else ""
        due = time.monotonic() + POLL_SECONDS
        while True:
            try:
                request = self._queue.get(timeout=max(0.0, due - time.monotonic()) if polls else None)
            except queue.Empty:
                now = _look(backend)
                due = time.monotonic() + POLL_SECONDS
                if now != seen:
                    seen = now
                    self._send(pipe.Changed())
                continue
            if isinstance(request, pipe.Start):
                return
            if polls and isinstance(request, pipe.ListLocks):
                seen = _look(backend)  # as the listing tells it: a token put back before the next poll counts as a change
            self._send(answer(backend, request))


def _look(backend: Backend) -> str:
    with watchdog.ending_after():
        return backend.fingerprint()


def answer(backend: Backend, request: pipe.Request) -> pipe.FromWorker:
    """Carry out one request. Every exception becomes a refusal; PINs are overwritten afterwards."""
    try:
        if isinstance(request, pipe.ListLocks):
            found = backend.list_locks()
            return pipe.Listed(request.id, *_bounded(found))
        return _operate(backend, request)
    except Exception as error:  # noqa: BLE001 - a vendor library may raise anything
        return _failed(request.id, error)
    finally:
        if isinstance(request, pipe.ChangePin):
            pipe.wipe(request.old, request.new)
        elif isinstance(request, (pipe.Authenticate, pipe.Reveal)):
            pipe.wipe(request.pin)


def _bounded(listing: Listing) -> tuple[tuple[LockRecord, ...], tuple[TokenProblem, ...]]:
    """Cut a listing to what one frame holds, and say so."""
    kept: list[LockRecord] = []
    octets = 0
    for record in listing.locks:
        octets += (
            sum(len(part) for part in (record.certificate, record.label, record.serial, record.manufacturer, record.key)) + 256
        )
        if octets > MAX_LISTING:
            break
        kept.append(record)
    cut = (TokenProblem(reason=Reason.LOCK_LIST_CUT),) if len(kept) < len(listing.locks) else ()
    return tuple(kept), (*listing.problems[:MAX_PROBLEMS], *cut)


def _operate(backend: Backend, request: pipe.Operation) -> pipe.FromWorker:
    if isinstance(request, pipe.ChangePin):
        backend.change_pin(request.key, certificate=request.certificate, old=request.old, new=request.new, consent=request.consent)
        return pipe.Done(request.id)
    if isinstance(request, pipe.Reveal):
        backend.reveal(request.device, pin=request.pin, consent=request.consent)
        return pipe.Done(request.id)
    signing_input = signing.prepare(Certificate.parse(request.certificate), origin=request.origin, challenge=request.challenge)
    signature = backend.sign(
        request.key, certificate=request.certificate, pin=request.pin, signing_input=signing_input, consent=request.consent
    )
    return pipe.Signed(request.id, signature)


def _failed(request_id: int, error: Exception) -> pipe.Failed:
    if isinstance(error, Refusal):
        return pipe.Failed(request_id, error.reason, error.detail, error.facts)
    return pipe.Failed(request_id, Reason.MODULE_FAILED, type(error).__name__, {})  # its text might name a person or a path


def serve(open_module: Open = open_backend) -> int:
    """Take over standard input and output, then run."""
    never_dumped()
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    try:
        return Worker(requests, replies, open_module).run()
    except (BrokenPipeError, msgspec.MsgspecError, ValueError):
        return 0  # the driver went away


def main() -> int:
    return serve()


if __name__ == "__main__":
    os._exit(main())  # a vendor library's exit handlers may hang
