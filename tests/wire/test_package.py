"""A83, A84: whatever is not exactly one strict, signed package is refused before anything is unpacked."""

from __future__ import annotations

import base64
import io
import json
import struct
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds.driver_packages import archive, make_manifest, make_package, package_key, public

from calock.core.refusals import Reason, Refusal
from calock.wire.archive import read_members
from calock.wire.package import MAX_PACKAGE, inspect, version_key

KEYS = [public(package_key())]
FOLDER = "calock-shanxi-huren-1.0.0-linux-x86_64"


def refusal_of(data: bytes, keys: list[str] | None = None) -> str:
    with pytest.raises(Refusal) as caught:
        inspect(io.BytesIO(data), keys or KEYS)
    assert caught.value.reason is Reason.PACKAGE_REFUSED
    return caught.value.detail


def test_a_signed_package_is_what_its_manifest_says():
    found = inspect(io.BytesIO(make_package()), KEYS)
    assert (found.manifest.code, found.manifest.version) == ("shanxi-huren", "1.0.0")
    assert found.manifest.file_name == "山西互认驱动-1.0.0-linux-x86_64.zip"


def test_every_other_zip_reader_sees_the_same_files():
    with zipfile.ZipFile(io.BytesIO(make_package())) as read:
        assert read.testzip() is None
        assert read.read(f"{FOLDER}/install.sh") == b"#!/bin/sh\n"


@pytest.mark.parametrize("bad", [b"", b"PK", b"<!doctype html>" * 100, b"\x7fELF" + b"\0" * 4000])
def test_something_else_is_no_package(bad):
    assert "not a zip" in refusal_of(bad)


def test_no_signature_no_package():
    assert "not Base64" in refusal_of(make_package(signature=b"!!"))
    assert "not signed" in refusal_of(make_package(signature=b""))


def test_a_strangers_signature_counts_for_nothing():
    assert "not signed by a known package key" in refusal_of(make_package(key=package_key("stranger")))


def test_a_file_changed_after_signing():
    good = make_package()
    assert "is not what the manifest says" in refusal_of(good.replace(b"wheel" * 1000, b"wheeL" * 1000))


def test_a_file_that_the_manifest_does_not_name():
    assert "disagree about 'wheels/evil.whl'" in refusal_of(make_package(beside={"wheels/evil.whl": b"x"}))


def test_a_file_that_is_missing():
    files = {"install.sh": b"#!/bin/sh\n"}
    named = {**make_manifest(files, key=package_key())["files"], "gone": {"sha256": "0" * 64, "size": 1}}
    text = json.dumps({**make_manifest(files, key=package_key()), "files": named}).encode()
    inside = {**files, "manifest.json": text, "manifest.sig": base64.b64encode(package_key().sign(text))}
    assert "disagree about 'gone'" in refusal_of(archive({f"{FOLDER}/{name}": data for name, data in inside.items()}))


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/cron.d/x",
        "/etc/passwd",
        "a/../../x",
        "a/./x",
        "a//x",
        "a\\..\\x",
        "C:/x",
        "a\x00b",
        "a\u202ebbat.exe",
        "nul. ",
        "a" * 250,
    ],
)
def test_a_name_that_leaves_its_folder(name):
    assert refusal_of(archive({f"{FOLDER}/ok": b"1", name: b"2"})).startswith("a member's name")


def _zip(write, **kwargs):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", **kwargs) as made:
        write(made)
    return whole.getvalue()


def test_a_bomb_is_refused_by_its_form_and_never_expanded():
    bomb = _zip(lambda z: z.writestr("bomb", b"\0" * 50_000_000), compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        assert "stored" in refusal_of(bomb)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_symbolic_link():
    def write(made):
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr, link.flag_bits = 3, 0o120777 << 16, 0x800
        made.writestr(link, "/etc/passwd")

    whole = bytearray(_zip(write))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", whole, whole.index(mark) + offset, 0x800)
    assert "not a plain file" in refusal_of(bytes(whole))


def test_two_members_of_one_name():
    assert "two members named" in refusal_of(archive({"a/x": b"1", "a/X": b"2"}))


def test_an_encrypted_member():
    whole = bytearray(archive({"a/x": b"1"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", whole, whole.index(mark) + offset, 0x801)
    assert "encrypted" in refusal_of(bytes(whole))


def test_a_million_members():
    whole = bytearray(archive({"a/x": b"1"}))
    end = whole.index(b"PK\x05\x06")
    struct.pack_into("<HH", whole, end + 8, 65535, 65535)
    assert "too many members" in refusal_of(bytes(whole))


def test_a_polyglot_hides_nothing_before_between_or_behind():
    good = make_package()
    assert refusal_of(b"<script>alert(1)</script>" + good)
    assert refusal_of(good + b"trailing")
    assert "bytes between" in refusal_of(_with_gap())


def _with_gap():
    """A second local file that the directory does not name, between two members."""
    first, second = archive({"a/1": b"1"}), archive({"a/2": b"2"})
    head = first[: first.index(b"PK\x01\x02")]
    hidden = second[: second.index(b"PK\x01\x02")]
    directory = first[first.index(b"PK\x01\x02") : first.index(b"PK\x05\x06")]
    shifted = bytearray(directory)
    struct.pack_into("<I", shifted, 42, len(hidden))
    end = bytearray(first[first.index(b"PK\x05\x06") :])
    struct.pack_into("<I", end, 16, len(head) + len(hidden))
    return hidden + head + bytes(shifted) + bytes(end)


def test_headers_that_tell_two_readers_two_things():
    whole = bytearray(archive({"a/x": b"1"}))
    whole[whole.index(b"a/x")] = ord("b")  # the local header only
    assert "disagree" in refusal_of(bytes(whole))


def test_a_package_inside_another_folder_name():
    good = make_package()
    assert "folder inside" in refusal_of(good.replace(FOLDER.encode(), FOLDER.replace("huren", "hurex").encode()))


def test_larger_than_the_limit_is_refused_by_size_alone():
    class Huge(io.BytesIO):
        def seek(self, offset, whence=0):
            return MAX_PACKAGE + 1 if whence == 2 else super().seek(offset, whence)

    with pytest.raises(Refusal, match="at most"):
        read_members(Huge(b""), limit=MAX_PACKAGE)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "1.0.0-rc1"}, {"version": "01.0"}, {"version": "1"}, {"code": "../x"}, {"title": 'a"; filename=x.exe'},
        {"title": "a\r\nX: y"}, {"title": "a\u202egpj.exe"}, {"os": "beos"}, {"format": "calock-package-2"},
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_used(changed):
    """A85: titles become file names, so what could break a header or a screen never enters the catalogue."""
    assert refusal_of(make_package(**changed))


def test_versions_are_compared_as_numbers():
    assert version_key("1.10.0") > version_key("1.9.9") > version_key("1.9")
    assert version_key("2.0") == version_key("2.0.0")


GOOD = make_package()


@given(position=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), cut=st.integers(0, len(GOOD)))
def test_any_changed_byte_is_seen(position, byte, cut):
    """Every byte of a package is covered: by the form, the manifest's hashes or the signature."""
    damaged = bytearray(GOOD)
    damaged[position] = byte
    for data in (bytes(damaged), GOOD[:cut]):
        if data == GOOD:
            continue
        try:
            inspect(io.BytesIO(data), KEYS)
        except Refusal as refusal:
            assert refusal.reason is Reason.PACKAGE_REFUSED
        else:
            assert _harmless(position)


def _harmless(position):
    """Headers carry time, version and mode, which nothing of ours reads as meaning; they are not part of any file."""
    return b"PK" in GOOD[max(0, position - 46) : position + 1]
