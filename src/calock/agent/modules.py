"""The driver's side of a worker process: start, request with a deadline, kill, restart."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from calock.agent import pipe
from calock.agent.backends import watchdog
from calock.agent.backends.base import Kind, Listing
from calock.core.refusals import Reason, Refusal

log = logging.getLogger("calock.agent.modules")

START_SECONDS = 10.0
LIST_SECONDS = 6.0
OPERATION_SECONDS = 30.0
"""An old token may take seconds for RSA; a library that opens a dialog of its own must not block the driver without end."""
READER_SECONDS = 90.0
"""The same where a person types the PIN on the reader meanwhile."""
KILLED = 1 if sys.platform == "win32" else -9
"""Exit status of a worker that the driver ended: TerminateProcess as ``Popen.kill`` calls it, SIGKILL."""
UNTRIED = "untried"
"""Fact of a refusal: the request never reached the worker, so no PIN was tried."""
BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before a crashed module is started again, longer each time."""


def worker_command() -> list[str]:
    """How a worker is started: by this Python, or by the frozen program itself."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "agent", "--worker"]
    return [sys.executable, "-m", "calock.agent.worker"]


class Module:
    """One vendor library in one worker process. Calls are serialised; each has a deadline, and missing it kills the worker."""

    def __init__(
        self, kind: Kind, path: str, *, changed: Callable[[], None], command: Sequence[str] | None = None, patience: float = 1.0
    ) -> None:
        """``changed`` is called on each plug event and after a restart; ``patience`` scales every deadline."""
        self.kind, self.path = kind, path
        self.name = Path(path).name
        self.failure: tuple[Reason, str] | None = None
        """Why it does not run: reason, and a short technical sentence."""
        self.restarts = 0
        self.running = False
        self.operating = False
        """An operation of a user is under way; listings do not queue behind it."""
        self._changed = changed
        self._command = list(command or worker_command())
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[pipe.FromWorker]] = {}
        self._ids = itertools.count(1)
        self._turn = asyncio.Lock()
        self._failures = 0
        self._retry_at = 0.0
        self._revive: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self.running else None

    async def list_locks(self) -> Listing:
        """Read what is plugged in.

        Raises:
            Refusal: MODULE_MISSING, MODULE_ARCHITECTURE, MODULE_CRASHED, MODULE_NOT_ANSWERING, MODULE_FAILED.
        """
        reply = await self._ask(pipe.ListLocks(next(self._ids)), LIST_SECONDS)
        if not isinstance(reply, pipe.Listed):
            raise await self._unexpected()
        return Listing(locks=reply.locks, problems=reply.problems)

    async def authenticate(self, request: pipe.Authenticate, *, on_reader: bool = False) -> bytes:
        """Get one signature; raises what the backend refused, or as ``list_locks``. Cancelling it kills the worker."""
        reply = await self._operate(request, on_reader=on_reader)
        if not isinstance(reply, pipe.Signed):
            raise await self._unexpected()
        return reply.signature

    async def change_pin(self, request: pipe.ChangePin, *, on_reader: bool = False) -> None:
        reply = await self._operate(request, on_reader=on_reader)
        if not isinstance(reply, pipe.Done):
            raise await self._unexpected()

    async def reveal(self, request: pipe.Reveal, *, on_reader: bool = False) -> None:
        """Let the token show what it hides; the next listing has it."""
        reply = await self._operate(request, on_reader=on_reader)
        if not isinstance(reply, pipe.Done):
            raise await self._unexpected()

    async def _operate(self, request: pipe.Operation, *, on_reader: bool = False) -> pipe.FromWorker:
        self.operating = True
        try:
            return await self._ask(request, READER_SECONDS if on_reader else OPERATION_SECONDS)
        finally:
            self.operating = False

    def next_id(self) -> int:
        return next(self._ids)

    async def start(self) -> None:
        """Start the worker if it does not run; a failure is kept in ``failure`` and tried again later."""
        async with self._turn:
            try:
                await self._ensure()
            except Refusal:
                return

    async def close(self) -> None:
        self._closed = True
        if self._revive:
            self._revive.cancel()
        await self._stop()

    async def _ask(self, request: pipe.Request, seconds: float) -> pipe.FromWorker:
        async with self._turn:
            try:
                await self._ensure()
            except Refusal as refusal:
                refusal.facts[UNTRIED] = True
                raise
            reply = await self._exchange(request, request.id, seconds)
        if isinstance(reply, pipe.Failed):
            raise _refusal(reply)
        return reply

    async def _exchange(self, message: pipe.Start | pipe.Request, number: int, seconds: float) -> pipe.FromWorker:
        process = self._process
        if process is None or process.stdin is None:
            raise await self._broken(Reason.MODULE_CRASHED, "not running")
        future: asyncio.Future[pipe.FromWorker] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        data = pipe.frame(message)
        try:
            process.stdin.write(bytes(data))
            await process.stdin.drain()
            return await asyncio.wait_for(future, seconds * self._patience)
        except TimeoutError:
            await self._stop()
            raise await self._gone(process, hung=KILLED) from None
        except (ConnectionError, EOFError):
            raise await self._gone(process) from None
        except asyncio.CancelledError:
            await self._stop()  # a call into a vendor library cannot be interrupted; the next request starts the worker anew
            raise
        finally:
            pipe.wipe(data)
            self._waiting.pop(number, None)

    async def _ensure(self) -> None:
        if self.running:
            return
        wait = self._retry_at - time.monotonic()
        if wait > 0 or self._closed:
            raise Refusal(*(self.failure or (Reason.MODULE_FAILED, "not running")))
        await self._stop()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=pipe.MAX_FRAME + 4,
                creationflags=0x08000000 if sys.platform == "win32" else 0,  # CREATE_NO_WINDOW
            )
        except OSError:
            raise await self._broken(Reason.MODULE_FAILED, "the worker cannot be started") from None
        self._reader = asyncio.create_task(self._read(self._process))
        reply = await self._exchange(pipe.Start(self.kind, self.path), 0, START_SECONDS)
        if isinstance(reply, pipe.Failed):
            refused = _refusal(reply)
            raise await self._broken(refused.reason, refused.detail)
        self.running, self.failure, self._failures = True, None, 0
        log.info("module %s runs", self.name)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        stream = process.stdout
        if stream is None:
            return
        try:
            while True:
                body = await stream.readexactly(pipe.body_length(await stream.readexactly(4)))
                self._take(pipe.from_worker(body))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError, msgspec.MsgspecError):
            pass  # it ended or sent a malformed frame: both end the connection
        if self._process is process:
            await self._ended(process)

    def _take(self, message: pipe.FromWorker) -> None:
        if isinstance(message, pipe.Changed):
            self._changed()
            return
        future = self._waiting.get(0 if isinstance(message, pipe.Ready) else message.id)
        if future and not future.done():
            future.set_result(message)

    async def _ended(self, process: asyncio.subprocess.Process) -> None:
        waiting = [future for future in self._waiting.values() if not future.done()]
        for future in waiting:
            future.set_exception(EOFError())
        if not waiting:  # no call is waiting: it ended between two calls
            await self._gone(process)

    async def _gone(self, process: asyncio.subprocess.Process, *, hung: int = watchdog.NOT_ANSWERING) -> Refusal:
        """Say why a worker ended: its status tells a call that ``hung`` from a crash, also one that was still being reported."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 1.0)
        if process.returncode == hung:
            return await self._broken(Reason.MODULE_NOT_ANSWERING, "no answer in time")
        return await self._broken(Reason.MODULE_CRASHED, "ended unexpectedly")

    async def _unexpected(self) -> Refusal:
        return await self._broken(Reason.MODULE_FAILED, "unexpected answer")

    async def _broken(self, reason: Reason, why: str) -> Refusal:
        """Kill the worker, plan its restart, and return the one clear refusal."""
        self.failure = reason, why
        delay = BACK_OFF[min(self._failures, len(BACK_OFF) - 1)]
        self._failures += 1
        self._retry_at = time.monotonic() + delay
        await self._stop()
        if not self._closed:
            log.warning("module %s failed: %s; again in %.1f s", self.name, why, delay)
            if self._revive:
                self._revive.cancel()
            self._revive = asyncio.get_running_loop().call_later(delay + 0.01, self._try_again)
            self._changed()
        return Refusal(reason, why)

    def _try_again(self) -> None:
        if not self._closed and not self.running:
            self.restarts += 1
            self._again = asyncio.ensure_future(self._restart())

    async def _restart(self) -> None:
        await self.start()
        if self.running:
            self._changed()

    async def _stop(self) -> None:
        process, self._process, self.running = self._process, None, False
        if process is not None and process.returncode is None:
            try:
                process.kill()
            except ProcessLookupError:
                return
            await process.wait()


def _refusal(failed: pipe.Failed) -> Refusal:
    try:
        reason = Reason(failed.reason)
    except ValueError:
        reason = Reason.MODULE_FAILED
    return Refusal(reason, failed.detail[:200], failed.facts)
