"""Open a device, an application, a container, and close it again, also after an error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from calock.agent.backends.skf.errors import SkfError
from calock.agent.backends.skf.library import Application, Container, Device, SkfLibrary


@contextlib.contextmanager
def device(library: SkfLibrary, name: bytes) -> Iterator[Device]:
    opened = library.connect(name)
    try:
        yield opened
    finally:
        with contextlib.suppress(SkfError):
            library.disconnect(opened)


@contextlib.contextmanager
def application(library: SkfLibrary, within: Device, name: bytes, *, used: bool = False) -> Iterator[Application]:
    """``used``: a PIN may be tried here. Disconnecting does not end the PIN state, and other programs would inherit it."""
    opened = library.open_application(within, name)
    try:
        yield opened
    finally:
        if used:
            with contextlib.suppress(SkfError):
                library.clear_secure_state(opened)
        with contextlib.suppress(SkfError):
            library.close_application(opened)


@contextlib.contextmanager
def container(library: SkfLibrary, within: Application, name: bytes) -> Iterator[Container]:
    opened = library.open_container(within, name)
    try:
        yield opened
    finally:
        with contextlib.suppress(SkfError):
            library.close_container(opened)
