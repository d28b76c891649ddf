"""A Python that has imported already: each program it starts is a process of its own, without a third of a second for imports.

``Warm("calock.agent.main").start(["-m", "calock.agent", …])`` is ``python -m calock.agent …`` as far as the program can see. The
warm process runs no test and nothing of the program but its imports; it forks, and the child becomes the program.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


class Program:
    """A program that was started; as much of ``subprocess.Popen`` as tests use."""

    def __init__(self, warm: Warm, pid: int) -> None:
        self._warm, self.pid, self.returncode = warm, pid, None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._warm.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises: subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired([], timeout or 0)
            time.sleep(0.005)  # it is ending; the deadline above ends the wait
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Warm:
    """The parent's side: one warm process, which ends with this one."""

    def __init__(self, *modules: str) -> None:
        self._socket, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, __file__, str(theirs.fileno()), *modules]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)
        theirs.close()
        self._answers = self._socket.makefile("r")
        atexit.register(self.close)

    def start(
        self, arguments: Sequence[str], *, output: Path, errors: Path | None = None, environment: Mapping[str, str]
    ) -> Program:
        """``python ARGUMENTS``; what it prints goes to the file ``output``, or to two files."""
        files = [str(output), str(errors or output)]
        message = {"arguments": list(arguments), "files": files, "environment": dict(environment), "folder": str(Path.cwd())}
        return Program(self, self.ask(message))

    def run(self, arguments: Sequence[str], *, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """As ``subprocess.run`` with what it printed, for two minutes at most."""
        with TemporaryDirectory() as folder:
            output, errors = Path(folder, "output"), Path(folder, "errors")
            status = self.start(arguments, output=output, errors=errors, environment=environment).wait(120)
            return subprocess.CompletedProcess(arguments, status, output.read_text("utf-8"), errors.read_text("utf-8"))

    def ask(self, message: dict[str, Any]) -> Any:
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        return json.loads(self._answers.readline())

    def close(self) -> None:
        self._answers.close()
        self._socket.close()
        self._process.wait()


def _become(message: dict[str, Any]) -> None:
    """Be the program, to its end."""
    for standard, name in enumerate(message["files"], 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), standard)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(message["environment"])
    os.chdir(message["folder"])
    kind, *rest = message["arguments"]
    if kind == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = [kind, *rest[1:]]
        exec(rest[0], {"__name__": "__main__"})  # as Python does with it
    else:
        sys.argv = [kind, *rest]
        runpy.run_path(kind, run_name="__main__")


def _end(message: dict[str, Any]) -> int:
    """Be the program; its status. Only what it wrote and gave to ``atexit`` is seen to: to take all objects apart takes longer."""
    status = 0
    try:
        _become(message)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise
        status = ended.code or 0
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _serve(commands: socket.socket) -> dict[str, Any]:
    """Answer until the parent is gone. In each child it returns what that child is to become."""
    for line in commands.makefile("r"):
        message: dict[str, Any] = json.loads(line)
        if "poll" in message:
            pid, status = os.waitpid(message["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif (answer := os.fork()) == 0:
            commands.detach()
            return message
        commands.sendall(json.dumps(answer).encode() + b"\n")
    sys.exit()


if __name__ == "__main__":
    for module in sys.argv[2:]:
        __import__(module)
    gc.freeze()
    os._exit(_end(_serve(socket.socket(fileno=int(sys.argv[1])))))
