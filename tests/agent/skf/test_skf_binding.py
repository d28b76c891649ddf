"""The C boundary: ULONG width, guarded buffers, impossible lengths, r and s where a vendor put them, modules that do not load."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from agent.soft_skf import Pair, SoftSkf, Width, to_sign_for
from hypothesis import given
from hypothesis import strategies as st

from calock.agent import signing
from calock.agent.backends.base import strip_padding
from calock.agent.backends.module_file import architecture_here, architectures
from calock.agent.backends.skf import SkfBackend, probe
from calock.agent.backends.skf.errors import SkfContractError, SkfError
from calock.agent.backends.skf.library import SkfLibrary
from calock.agent.backends.skf.probe import ulong_size, width_from
from calock.agent.backends.skf.structures import DEVINFO_SIZE, UlongSize, parse_device_info, raw_signature, text
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal

WRITTEN = {32: bytes.fromhex("00100000a5a5a5a5"), 64: bytes.fromhex("0010000000000000")}


def test_width_is_found_without_a_device(ports: SoftSkf, library_path: Path, width: Width) -> None:
    assert ulong_size(str(library_path)) * 8 == width


@pytest.mark.parametrize("fault", ["null-crash", "null-refused"])
def test_width_is_found_when_the_library_cannot_stand_null(ports: SoftSkf, library_path: Path, width: Width, fault: str) -> None:
    ports.fault(f"EnumDev {fault}")
    assert ulong_size(str(library_path)) * 8 == width


@pytest.mark.parametrize("fault", ["crash", "abort", "hang"])
def test_width_probe_survives_the_library(ports: SoftSkf, library_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_SECONDS", 1)
    ports.fault(f"EnumDev {fault}")
    assert ulong_size(str(library_path)) is None


def test_width_that_could_not_be_probed_is_seen_at_the_first_lock(
    ports: SoftSkf, library_path: Path, pairs: dict[str, Pair], width: Width
) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})
    ports.fault("EnumDev crash")
    backend = SkfBackend(library_path)
    ports.fault()
    (record,) = backend.list_locks().locks
    assert record.serial == "3301000045102205"
    assert backend._library.functions.ulong * 8 == width
    wanted = to_sign_for(record.certificate)
    assert backend.sign(
        record.key, certificate=record.certificate, pin=bytearray(b"012345"), signing_input=wanted, consent="window"
    )


@pytest.mark.parametrize("width_", [32, 64])
def test_what_the_eight_bytes_say(width_: int) -> None:
    assert width_from(WRITTEN[width_]) == width_ // 8


def test_eight_untouched_bytes_say_nothing() -> None:
    assert width_from(b"\xa5" * 8) is None
    assert width_from(bytes.fromhex("0010000001000000")) is None


@pytest.mark.parametrize(("built", "read_as", "words"), [(64, 4, "past its buffer"), (32, 8, "another ULONG")])
def test_wrong_width_is_noticed_not_believed(
    ports: SoftSkf, skf_libraries: dict[Width, Path], built: Width, read_as: UlongSize, words: str
) -> None:
    ports.add("key0", {})
    library = SkfLibrary(str(skf_libraries[built]), ulong=read_as)
    device = library.connect(b"key0")
    with pytest.raises(SkfContractError, match=words):
        library.device_info(device)


def test_numbers_of_devinfo_stand_where_they_belong(ports: SoftSkf, library_path: Path, width: Width) -> None:
    ports.add("key0", {})
    library = SkfLibrary(str(library_path))
    info = library.device_info(library.connect(b"key0"))
    assert info.asymmetric == 0x00030700
    assert info.firmware == "2.1"


def test_long_texts_fill_their_field_without_nul(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)}, serial="S1" * 100)
    (record,) = backend.list_locks().locks
    assert record.serial == "S1" * 16


LISTS = ("EnumDev", "EnumApplication", "EnumContainer")


@pytest.mark.parametrize("function", LISTS)
@pytest.mark.parametrize("fault", ["unterminated", "huge-length"])
def test_broken_lists_are_refused(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair], function: str, fault: str) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})
    ports.fault(f"{function} {fault}")
    if function == "EnumDev":
        with pytest.raises(Refusal) as refused:
            backend.list_locks()
        assert refused.value.reason is Reason.MODULE_FAILED
    else:
        assert [problem.reason for problem in backend.list_locks().problems] == [Reason.MODULE_FAILED]
    ports.fault()
    assert len(backend.list_locks().locks) == 1


@pytest.mark.parametrize("fault", ["null-crash", "null-refused"])
@pytest.mark.parametrize("function", [*LISTS, "ExportCertificate"])
def test_null_is_never_offered(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair], function: str, fault: str) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})
    ports.fault(f"{function} {fault}")
    assert len(backend.list_locks().locks) == 1


def test_certificate_longer_than_the_first_buffer_is_asked_for_again(
    ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]
) -> None:
    home = ports.add("key0", {"c": (pairs["SM2"], None)})
    large = b"\x30\x82\x4e\x20" + b"\x00" * 20000
    (home / "containers" / "c" / "sign.crt").write_bytes(large)
    (record,) = backend.list_locks().locks
    assert record.certificate == large


def test_certificate_with_filling_is_cut(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    home = ports.add("key0", {"c": (pairs["SM2"], None)})
    (home / "containers" / "c" / "sign.crt").write_bytes(pairs["SM2"].certificate + b"\xff" * 700)
    (record,) = backend.list_locks().locks
    assert record.certificate == pairs["SM2"].certificate
    assert strip_padding(pairs["SM2"].certificate + b"\x01") == pairs["SM2"].certificate + b"\x01"  # no filling: left to the parser


def test_left_aligned_r_and_s(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})
    ports.fault("ECCSignData left-aligned")
    (record,) = backend.list_locks().locks
    wanted = to_sign_for(record.certificate)
    for _ in range(20):
        signature = backend.sign(
            record.key, certificate=record.certificate, pin=bytearray(b"012345"), signing_input=wanted, consent="window"
        )
        signing.require_good_signature(Certificate.parse(record.certificate), wanted, signature)


@given(r=st.integers(1, 2**256 - 1), s=st.integers(1, 2**256 - 1), left=st.booleans())
def test_alignment_of_any_value(r: int, s: int, left: bool) -> None:
    halves = [value.to_bytes(32, "big") for value in (r, s)]
    blob = b"".join(half + bytes(32) if left else bytes(32) + half for half in halves)
    assert raw_signature(blob) == b"".join(halves)


@pytest.mark.parametrize("blob", [bytes(128), bytes(127), b"\x01" * 128, bytes(64) + b"\x01" * 32 + bytes(32)])
def test_impossible_signature_blobs(blob: bytes) -> None:
    with pytest.raises(ValueError):
        raw_signature(blob)


@given(st.binary(min_size=DEVINFO_SIZE[4], max_size=DEVINFO_SIZE[4]))
def test_any_devinfo_bytes_give_printable_texts(raw: bytes) -> None:
    info = parse_device_info(raw, 4)
    for value in (info.manufacturer, info.issuer, info.label, info.serial):
        assert value.isprintable()
        assert len(value) <= 64


def test_texts_of_older_locks() -> None:
    assert text("山西CA".encode("gb18030") + b"\0rest") == "山西CA"
    assert text(b"a\x1b[31mb\r\n\0") == "a[31mb"


def test_missing_module(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="missing") as refused:
        SkfBackend(tmp_path / "libnone.so")
    assert refused.value.reason is Reason.MODULE_MISSING
    assert str(tmp_path) not in str(refused.value)


def test_module_that_is_no_library(tmp_path: Path) -> None:
    file = tmp_path / "libtext.so"
    file.write_text("not a program")
    with pytest.raises(Refusal, match="not a program library"):
        SkfBackend(file)


def test_module_without_skf(tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text("int something_else(void) { return 0; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(tmp_path / "libother.so"), str(source)], check=True)
    with pytest.raises(Refusal, match="no SKF library"):
        SkfBackend(tmp_path / "libother.so")


def test_module_for_another_architecture(tmp_path: Path, library_path: Path) -> None:
    raw = bytearray(library_path.read_bytes())
    raw[18:20] = (0x102).to_bytes(2, "little")  # e_machine: LoongArch
    file = tmp_path / "libforeign.so"
    file.write_bytes(raw)
    with pytest.raises(Refusal, match="built for loongarch64, this driver for"):
        SkfBackend(file)


def test_module_of_32_bits(tmp_path: Path) -> None:
    file = tmp_path / "libold.so"
    file.write_bytes(b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x03\x00\x03\x00" + bytes(64))
    with pytest.raises(Refusal, match="built for x86, this driver for"):
        SkfBackend(file)


def test_architectures_of_real_heads(library_path: Path) -> None:
    assert architectures(library_path.read_bytes()[:4096]) == {architecture_here()}
    pe = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + (0x14C).to_bytes(2, "little")
    assert architectures(pe) == {"x86"}
    fat = b"\xca\xfe\xba\xbe" + (2).to_bytes(4, "big")
    for cpu in (0x01000007, 0x0100000C):
        fat += cpu.to_bytes(4, "big") + bytes(16)
    assert architectures(fat) == {"x86-64", "arm64"}


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe"]))
def test_any_head_is_judged_without_failing(rest: bytes, magic: bytes) -> None:
    assert isinstance(architectures(magic + rest), frozenset)


def test_unsupported_function_is_an_error_with_its_name(ports: SoftSkf, library_path: Path) -> None:
    ports.add("key0", {})
    ports.fault("GenRandom fail=0A000003")
    library = SkfLibrary(str(library_path))
    device = library.connect(b"key0")
    with pytest.raises(SkfError, match="SKF_GenRandom: SAR_NOTSUPPORTYETERR"):
        library.random(device, 16)
    ports.fault()
    assert len(library.random(device, 16)) == 16
