"""Any data a library or a token returns ends in a typed refusal or in bounded values, never in another exception."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from agent.soft_skf import Pair
from hypothesis import given
from hypothesis import strategies as st

from calock.agent.backends.base import Listing, LockRecord, PinState, strip_padding
from calock.agent.backends.skf.binding import GuardedBuffer, OutParameter, SkfFunctions
from calock.agent.backends.skf.errors import SkfError
from calock.agent.backends.skf.library import Container, Device, SkfLibrary
from calock.agent.backends.skf.structures import text
from calock.agent.locks import _usable


class Scribbler:
    """Stands where the C library is called: writes given bytes and lengths and returns a given code."""

    ulong = 4

    def __init__(self, content: bytes, length: int, code: int) -> None:
        self.content, self.length, self.result = content, length, code

    def has(self, _: str) -> bool:
        return True

    def cell(self, value: int = 0) -> OutParameter:
        return OutParameter(4, value)

    def call(self, name: str, *arguments: Any) -> None:
        if code := self.code(name, *arguments):
            raise SkfError("SKF_" + name, code)

    def code(self, _: str, *arguments: Any) -> int:
        for argument in arguments:
            if isinstance(argument, GuardedBuffer):
                room = len(argument.memory)
                argument.memory[: min(len(self.content), room)] = self.content[:room]
            elif isinstance(argument, OutParameter):
                argument.raw[:4] = self.length.to_bytes(4, "little")
        return self.result


def library(content: bytes, length: int, code: int) -> SkfLibrary:
    made = SkfLibrary.__new__(SkfLibrary)
    made._guessed = False
    made.functions = cast("SkfFunctions", Scribbler(content, length, code))
    return made


CODES = st.sampled_from([0, 0, 0, 0x0A000020, 0x0A000023, 1, 0xFFFFFFFF])
LENGTHS = st.one_of(st.integers(0, 9000), st.sampled_from([0xFFFFFFFF, 0x7FFFFFFF, 8192, 8193, 262144, 262145]))
CONTENT = st.one_of(st.binary(max_size=600), st.binary(max_size=40).map(lambda b: b * 250))


@given(CONTENT, LENGTHS, CODES)
def test_lists(content: bytes, length: int, code: int) -> None:
    try:
        names = library(content, length, code).devices()
    except SkfError:
        return
    assert len(names) <= 64
    assert all(0 < len(name) <= 260 and 0 not in name for name in names)


@given(CONTENT, LENGTHS, CODES)
def test_certificates_and_signatures(content: bytes, length: int, code: int) -> None:
    made = library(content, length, code)
    for read in (
        lambda: made.certificate(Container(1), signing=True),
        lambda: made.sign_rsa(Container(1), b"x"),
        lambda: made.sign_sm2(Container(1), b"e" * 32),
    ):
        try:
            assert len(read()) <= 262144
        except SkfError as error:
            assert error.refusal().reason


@given(CONTENT, LENGTHS, CODES)
def test_device_information(content: bytes, length: int, code: int) -> None:
    try:
        info = library(content, length, code).device_info(Device(1))
    except SkfError:
        return
    assert all(value.isprintable() for value in (info.manufacturer, info.label, info.serial, info.issuer))


@given(st.binary(max_size=300))
def test_texts_and_filling(raw: bytes) -> None:
    assert text(raw).isprintable()
    assert raw.startswith(strip_padding(raw))


def record(certificate: bytes) -> LockRecord:
    return LockRecord(
        key="k", device="d", certificate=certificate, serial="1", label="l", manufacturer="m", pin=PinState(tries_left=6)
    )


def list_one(certificate: bytes) -> tuple[int, tuple[str, ...]]:
    module = cast("Any", SimpleNamespace(name="m", kind="skf", path="m"))
    entries, problems = _usable(module, Listing(locks=(record(certificate),)), {("d", certificate): "p"})
    return len(entries), problems


@given(st.binary(max_size=2000))
def test_any_bytes_for_a_certificate_are_a_problem_not_an_end(raw: bytes) -> None:
    usable, problems = list_one(raw)
    assert (usable, len(problems)) == (0, 1)


@pytest.mark.parametrize("kind", ["SM2", "RSA"])
@given(data=st.data())
def test_damaged_certificates(pairs: dict[str, Pair], kind: str, data: st.DataObject) -> None:
    raw = bytearray(pairs[kind].certificate)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    usable, problems = list_one(bytes(raw))
    assert usable + len(problems) == 1
