"""A Python that has imported already: each program it starts is a process of its own, without a third of a second for imports.

``Warm("calock.agent.main").start(["-m", "calock.agent", …])`` is ``python -m calock.agent …`` as far as the program can see. The
warm process runs no test and nothing of the program but its imports; it forks, and the child becomes the program.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
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

    def start(self, arguments: Sequence[str], *, output: Path, environment: Mapping[str, str]) -> Program:
        """``python ARGUMENTS``; what it prints goes to the file ``output``."""
        message = {"arguments": list(arguments), "output": str(output), "environment": dict(environment), "folder": str(Path.cwd())}
        return Program(self, self.ask(message))

    def ask(self, message: dict[str, Any]) -> Any:
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        return json.loads(self._answers.readline())

    def close(self) -> None:
        self._answers.close()
        self._socket.close()
        self._process.wait()


def _become(message: dict[str, Any]) -> None:
    """Be the program, from here to the end of this process."""
    log = os.open(message["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(log, standard)
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


def _end(error: SystemExit | None) -> int:
    code = error.code if error else 0
    if isinstance(code, str):
        sys.stderr.write(code + "\n")
        return 1
    return code or 0


def _serve(commands: socket.socket) -> None:
    for line in commands.makefile("r"):
        message = json.loads(line)
        if "poll" in message:
            pid, status = os.waitpid(message["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif (answer := os.fork()) == 0:
            commands.close()
            status = 1
            try:
                _become(message)
                status = 0
            except SystemExit as error:
                status = _end(error)
            except BaseException:  # noqa: BLE001 - shown as Python shows it at the end of a program
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        commands.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    for module in sys.argv[2:]:
        __import__(module)
    _serve(socket.socket(fileno=int(sys.argv[1])))
