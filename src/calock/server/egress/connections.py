"""Connections under one deadline, to exactly the address that was checked: what :mod:`calock.server.egress.fetch` stands on."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field

from calock.server.tools.addresses import Endpoint, checked_addresses, endpoint, refuse_literal, split

STALL = 5.0
"""Seconds that one connect, one resolution or one read may take."""

_RESOLVERS = ThreadPoolExecutor(max_workers=128, thread_name_prefix="resolve")
"""Name servers that do not answer hold a thread each until the system's resolver gives up."""


class FetchFailedError(RuntimeError):
    """We asked and got nothing usable. The text is for operators; ``status`` is the HTTP status that was answered, 0 for none."""

    def __init__(self, text: str, *, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one fetch: octets of the body, and seconds for all of it, redirects included."""

    size: int
    seconds: float

    @property
    def late(self) -> str:
        return f"not finished within {round(self.seconds, 1):g} s"


LEAST = 0.5
"""Seconds below which nothing is begun for somebody who waits: a source that lives would look dead."""


class Patience:
    """How long somebody may be let wait, over all sources and attempts together."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds; 0 = none."""
        return max(0.0, self._end - self._clock())

    @property
    def over(self) -> bool:
        return self.left < LEAST

    def within(self, limits: Limits) -> Limits:
        """``limits``, cut to what is left."""
        return Limits(limits.size, min(limits.seconds, self.left))


@dataclass(slots=True)
class Budget:
    """One deadline for everything that one fetch does."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.end = self.clock() + self.limits.seconds

    def left(self) -> float:
        """Seconds for the next step.

        Raises:
            FetchFailedError: there are none.
        """
        left = self.end - self.clock()
        if left <= 0:
            raise FetchFailedError(self.limits.late)
        return min(left, STALL)


def connect(place: Endpoint, budget: Budget, *, private_network: bool, proxy: str) -> socket.socket:
    """A connection to one of the endpoint's addresses after all of them were checked; through ``proxy`` when there is one.

    Raises:
        FetchRefusedError: an address that may not be connected to.
        FetchFailedError: the name does not resolve, the proxy refuses, or time is over.
        OSError: there is no answer.
    """
    scheme, host, port = place
    if proxy:
        refuse_literal(host, private_network=private_network)
        _, proxy_host, proxy_port = endpoint(split(proxy))
        connected = _first_of(_resolve(proxy_host, proxy_port, budget), proxy_port, budget)  # ours: it may be anywhere
        try:
            if scheme == "https":
                _tunnel(connected, host, port, budget)
        except BaseException:
            connected.close()
            raise
        return connected
    return _first_of(checked_addresses(_resolve(host, port, budget), host, private_network=private_network), port, budget)


def _first_of(addresses: Iterable[str], port: int, budget: Budget) -> socket.socket:
    failure: OSError | None = None
    for address in addresses:
        try:
            return socket.create_connection((address, port), budget.left())
        except OSError as error:
            failure = error
    raise failure or OSError("no address")


def _resolve(host: str, port: int, budget: Budget) -> list[str]:
    """Resolve within the deadline: the system's resolver has none of its own."""
    future = _RESOLVERS.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        return list(dict.fromkeys(str(item[4][0]) for item in future.result(timeout=budget.left())))
    except FutureTimeoutError as error:
        future.cancel()  # its caller has given up: it must not stand in line before others
        raise FetchFailedError("the name does not resolve in time") from error
    except (OSError, UnicodeError) as error:
        raise FetchFailedError("the name does not resolve") from error


def _tunnel(connected: socket.socket, host: str, port: int, budget: Budget) -> None:
    name = f"[{host}]" if ":" in host else host
    connected.settimeout(budget.left())
    connected.sendall(f"CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode("ascii"))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        connected.settimeout(budget.left())
        octet = connected.recv(1)  # one at a time: what follows belongs to TLS
        if not octet or len(answer) > 8192:
            raise FetchFailedError("the egress proxy does not answer")
        answer += octet
    if answer.split(b" ", 2)[1:2] != [b"200"]:
        raise FetchFailedError("the egress proxy refused")


def failed(error: Exception, budget: Budget) -> FetchFailedError:
    """What went wrong, in words for an operator."""
    if isinstance(error, TimeoutError) and budget.clock() >= budget.end:
        return FetchFailedError(budget.limits.late)
    return FetchFailedError(_plain(error))


def _plain(error: Exception) -> str:
    """Say what went wrong: no addresses inside, no stack."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'reason', '') or 'failed'}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return f"connection failed ({type(error).__name__})"
