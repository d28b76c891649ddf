"""``calock certificate explain`` and ``calock token explain`` as a stranger's script uses them: exit status, one line, JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from conformance.suite_cases import calock
from worlds.core_trust import AT, CHALLENGE, END, ORIGIN, START, World, answer, key, world

from calock import __version__
from calock.cli import main
from calock.demo import der, pki


def pem(*certificates: bytes) -> bytes:
    body = (b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n" for der in certificates)
    return b"a line before\n" + b"\n".join(body)


DAMAGED = bytes([0x30, 0x82, 0x01, 0x00, *range(256)])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    here = world("SM2")
    files = {
        "root.pem": pem(here.root.certificate), "root.der": here.root.certificate, "ca.pem": pem(here.ca.certificate),
        "both.pem": pem(here.root.certificate, here.ca.certificate), "lock.der": here.lock(), "lock.pem": pem(here.lock()),
        "root.crl": here.crls()[0], "ca.crl": here.crls()[1], "revoked.crl": here.crls(4242)[1], "garbage": b"\x00garbage",
        "damaged.der": DAMAGED, "damaged.pem": pem(DAMAGED),
        "nobase64.pem": pem(b"").replace(b"BEGIN CERTIFICATE-----", b"BEGIN CERTIFICATE-----!"),
        "cut.der": here.lock()[:9], "two.der": here.lock() + here.lock(), "two_roots.der": here.root.certificate * 2,
        "empty": b"", "text": b"a letter\n", "key.der": key("SM2").private_pkcs8,
        "key.pem": b"-----BEGIN PRIVATE KEY-----\nMAA=\n",
        "ec.der": bytes.fromhex("30770201010420"), "rsa.der": bytes.fromhex("308204a40201000282"),
        "lock.p12": bytes.fromhex("308209a1020103308209"),
        "lock.p7b": bytes.fromhex("3082066206092a864886f70d010702"), "noend.pem": pem(here.lock())[:-30],
        "policy.json": b'{"grace_days": 3}', "required.json": b'{"revocation": {"mode": "require"}}',
        "bad.json": b'{"grace": 3}', "notjson": b"{",
        "twice.json": b'{"revocation":{"mode":"require"},"revocation":{"mode":"off"}}',
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def explain(place: Path, *arguments: str) -> tuple[int, dict[str, object] | None, str]:
    given = [str(place / item) if (place / item).exists() and "/" not in item else item for item in arguments]
    return calock("certificate", "explain", *given, "--at", AT.isoformat(), "--json")


@pytest.mark.parametrize("lock", ["lock.der", "lock.pem"])
@pytest.mark.parametrize("root", ["root.pem", "root.der", "both.pem"])
def test_accepted(place: Path, lock: str, root: str) -> None:
    status, report, _ = explain(place, lock, "--anchors", root, "--intermediates", "ca.pem")
    assert report is not None
    assert (status, report["accepted"], report["reason"]) == (0, True, None)
    skipped = [check for check in report["checks"] if check["step"] == "revocation"]
    assert [(check["passed"], check["detail"]) for check in skipped] == [(None, "no revocation data given")]
    assert report["identity"]["holder_masked"].count("*") == 10


def test_every_step_is_printed_in_order(place: Path) -> None:
    _, report, _ = explain(place, "lock.der", "--anchors", "root.pem", "--intermediates", "ca.pem", "--crl", "root.crl", "ca.crl")
    assert report is not None
    steps = list(dict.fromkeys(check["step"] for check in report["checks"]))
    assert steps == ["gate", "path", "revocation", "profile", "identity"]
    assert all(set(check) == {"step", "name", "passed", "reason", "detail"} for check in report["checks"])
    assert [entry["source"] for entry in report["revocation"]] == ["crl", "crl"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["lock.der", "--anchors", "root.pem"], "CERTIFICATE_UNTRUSTED"),
        (["damaged.der", "--anchors", "root.pem"], "CERTIFICATE_UNPARSABLE"),
        (["damaged.pem", "--anchors", "root.pem"], "CERTIFICATE_UNPARSABLE"),
        (["nobase64.pem", "--anchors", "root.pem"], "CERTIFICATE_UNPARSABLE"),
        (["cut.der", "--anchors", "root.pem"], "CERTIFICATE_UNPARSABLE"),
        (["two.der", "--anchors", "root.pem"], "CERTIFICATE_UNPARSABLE"),
        (["root.pem", "--anchors", "root.pem"], "CERTIFICATE_IS_CA"),
        (["lock.der", "--anchors", "both.pem", "--crl", "root.crl", "revoked.crl"], "CERTIFICATE_REVOKED"),
        (["lock.der", "--anchors", "root.pem", "--intermediates", "ca.pem", "--crl", "ca.crl"], "REVOCATION_UNAVAILABLE"),
        (
            ["lock.der", "--anchors", "root.pem", "--intermediates", "ca.pem", "--crl", "root.crl", "garbage"],
            "REVOCATION_UNTRUSTED",
        ),
        (["lock.der", "--anchors", "root.pem", "--intermediates", "ca.pem", "--ocsp", "garbage"], "REVOCATION_UNTRUSTED"),
        (["lock.der", "--anchors", "root.pem", "--intermediates", "ca.pem", "--policy", "required.json"], "REVOCATION_UNAVAILABLE"),
    ],
)
def test_refused_with_the_reason(place: Path, arguments: list[str], reason: str) -> None:
    status, report, _ = explain(place, *arguments)
    assert report is not None
    assert (status, report["reason"]) == (1, reason)


@pytest.mark.parametrize(
    "arguments",
    [
        ["lock.der"],
        ["lock.der", "--anchors"],
        ["lock.der", "--anchors", "nowhere.pem"],
        ["nowhere.der", "--anchors", "root.pem"],
        ["lock.der", "--anchors", "garbage"],
        ["lock.der", "--anchors", "empty"],
        ["lock.der", "--anchors", "root.pem", "--crl", "nowhere.crl"],
        ["lock.der", "--anchors", "root.pem", "--policy", "bad.json"],
        ["lock.der", "--anchors", "root.pem", "--policy", "notjson"],
        ["lock.der", "--anchors", "root.pem", "--policy", "twice.json"],
        ["lock.der", "--anchors", "root.pem", "--only", "gate,everything"],
        ["lock.der", "--anchors", "root.pem", "--at", "yesterday"],
        ["lock.der", "--anchors", "root.pem", "--what"],
        ["lock.der", "--anch", "root.pem"],
    ],
)
def test_unusable_arguments_are_one_line(place: Path, arguments: list[str]) -> None:
    given = [str(place / item) if (place / item).exists() else item for item in arguments]
    status, report, said = calock("certificate", "explain", *given)
    assert (status, report) == (2, None)
    assert said.count("\n") == 1
    assert said.startswith("calock certificate explain: ")


def test_only_some_steps(place: Path) -> None:
    status, report, _ = explain(place, "root.pem", "--anchors", "root.pem", "--only", "path,revocation")
    assert report is not None
    assert status == 0
    assert {check["step"] for check in report["checks"]} == {"path", "revocation"}
    assert len(report["path"]) == 1


def test_an_anchor_that_cannot_be_used_is_left_out_and_said(place: Path) -> None:
    (place / "bundle.pem").write_bytes(pem(DAMAGED, world("SM2").root.certificate))
    status, report, _ = explain(place, "lock.der", "--anchors", "bundle.pem", "--intermediates", "ca.pem", "damaged.der")
    assert report is not None
    assert status == 0
    said = [note.partition(" was left out: CERTIFICATE_UNPARSABLE: ")[0] for note in report["notes"]]
    assert said == [f"anchor {place / 'bundle.pem'}, certificate 1", f"intermediate {place / 'damaged.der'}"]


CLIENT, SERVER, ANY = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1", "2.5.29.37.0"


def trust_settings(trust: list[str] | None = None, reject: list[str] | None = None) -> bytes:
    """X509_CERT_AUX, as ``openssl x509 -addtrust`` and ``-addreject`` write it."""
    trusted = der.sequence(*map(der.oid, trust)) if trust is not None else b""
    rejected = der.tlv(0xA0, *map(der.oid, reject)) if reject is not None else b""
    return der.sequence(trusted, rejected)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (trust_settings(reject=[CLIENT]), f"reject it for {CLIENT}"),
        (trust_settings(reject=[ANY]), f"reject it for {ANY}"),
        (trust_settings([CLIENT], [CLIENT]), f"reject it for {CLIENT}"),
        (trust_settings([SERVER]), f"trust it for {SERVER} alone"),
        (trust_settings([]), "trust it for nothing alone"),
        (b"\x30\x05abc", "cannot be read"),
        (trust_settings([CLIENT]), ""),
        (trust_settings([SERVER, ANY]), ""),
        (trust_settings(reject=[SERVER]), ""),
        (trust_settings(), ""),
    ],
)
def test_l21_openssls_trust_settings_of_an_anchor_hold(place: Path, settings: bytes, words: str) -> None:
    block = pem(world("SM2").root.certificate + settings).replace(b" CERTIFICATE", b" TRUSTED CERTIFICATE")
    (place / "trusted.pem").write_bytes(block)
    status, report, _ = explain(place, "lock.der", "--anchors", "trusted.pem", "--intermediates", "ca.pem")
    assert report is not None
    assert (status, report["reason"]) == ((1, "CERTIFICATE_UNTRUSTED") if words else (0, None))
    assert len(report["notes"]) == bool(words)
    assert all(words in note for note in report["notes"])


def test_l21_an_anchor_for_other_purposes_is_taken_with_a_note(place: Path) -> None:
    own = key("SM2", "server root")
    extensions = [*pki.ca_extensions(own, issuer=own), pki.extended_key_usage(SERVER)]
    subject = pki.name("server root")
    made = pki.Authority(own, subject, b"", ()).issue(subject, own.spki_der, not_before=START, not_after=END, extensions=extensions)
    root = pki.Authority(own, subject, made, (made,))
    (place / "server.der").write_bytes(made)
    (place / "theirs.der").write_bytes(root.issue_lock("x", key("SM2"), not_before=START, not_after=END))
    status, report, _ = explain(place, "theirs.der", "--anchors", "server.der")
    assert report is not None
    assert status == 0
    assert [SERVER in note and "extendedKeyUsage" in note for note in report["notes"]] == [True]


def test_l15_of_a_pkcs7_chain_the_certificate_at_its_end_is_judged(place: Path) -> None:
    here, lock = world("SM2"), (place / "lock.der").read_bytes()
    body = der.sequence(
        der.integer(1), der.set_of(), der.sequence(der.oid("1.2.840.113549.1.7.1")),
        der.tlv(0xA0, here.root.certificate, here.ca.certificate, lock), der.set_of(),
    )  # fmt: skip
    (place / "chain.p7b").write_bytes(der.sequence(der.oid("1.2.840.113549.1.7.2"), der.tlv(0xA0, body)))
    status, report, _ = explain(place, "chain.p7b", "--anchors", "root.pem", "--intermediates", "chain.p7b")
    assert report is not None
    assert (status, report["path"][0]["sha256"]) == (0, hashlib.sha256(lock).hexdigest())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2, 0)])
def test_of_a_chain_in_pem_the_certificate_at_its_end_is_judged_whatever_its_order(place: Path, order: tuple[int, ...]) -> None:
    chain = (place / "lock.der").read_bytes(), world("SM2").ca.certificate, world("SM2").root.certificate
    (place / "chain.pem").write_bytes(pem(*(chain[number] for number in order)))
    status, report, _ = explain(place, "chain.pem", "--anchors", "root.pem", "--intermediates", "chain.pem")
    assert report is not None
    assert (status, report["path"][0]["sha256"]) == (0, hashlib.sha256(chain[0]).hexdigest())


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_locks_two_certificates_the_one_for_signatures_is_judged(place: Path, order: int) -> None:
    here = world("SM2")
    both = here.lock(), here.lock(serial=4244, usages=("key_encipherment", "data_encipherment"))
    (place / "both_keys.pem").write_bytes(pem(*both[::order], DAMAGED))
    status, report, _ = explain(place, "both_keys.pem", "--anchors", "both.pem")
    assert report is not None
    assert (status, report["path"][0]["sha256"]) == (0, hashlib.sha256(both[0]).hexdigest())


NO_CERTIFICATE = {
    "empty": "is empty", "text": "holds no certificate", "garbage": "holds no certificate", "key.der": "is a private key",
    "ec.der": "is a private key", "rsa.der": "is a private key", "key.pem": "holds PRIVATE KEY",
    "lock.p12": "is a PKCS#12 container",
    "lock.p7b": "is a PKCS#7 container", "noend.pem": "holds a certificate without its end",
}  # fmt: skip


@pytest.mark.parametrize("name", NO_CERTIFICATE)
@pytest.mark.parametrize("role", ["file", "anchor", "intermediate"])
def test_a_file_without_a_certificate_is_no_refusal(place: Path, name: str, role: str) -> None:
    file = name if role == "file" else "lock.der"
    anchors = [name] if role == "anchor" else ["root.pem"]
    others = [name] if role == "intermediate" else ["ca.pem"]
    status, report, said = explain(place, file, "--anchors", *anchors, "--intermediates", *others)
    assert (status, report) == (2, None)
    assert said.startswith(f"calock certificate explain: {place / name} {NO_CERTIFICATE[name]}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["damaged.der", "damaged.pem", "two_roots.der", "cut.der", "nobase64.pem", "ca.crl"])
def test_by_an_anchor_that_cannot_be_read_nothing_is_accepted(place: Path, name: str) -> None:
    """A suite's malformed root is a case for a refusal, not a question that cannot be asked."""
    status, report, _ = explain(place, "lock.der", "--anchors", name)
    assert (status, report["reason"]) == (1, "CERTIFICATE_UNTRUSTED")
    assert any(note.startswith(f"anchor {place / name} was left out: ") for note in report["notes"])


@pytest.mark.parametrize(
    "arguments",
    [["-", "--anchors", "-"], ["lock.der", "--anchors", "-", "--crl", "-"], ["-", "--anchors", "root.pem", "--policy", "-"],
     ["lock.der", "--anchors", "root.pem", "--intermediates", "-", "--ocsp", "-"], ["lock.der", "--anchors", "-", "-"]],
)  # fmt: skip
def test_standard_input_is_read_for_one_thing(place: Path, arguments: list[str]) -> None:
    status, report, said = explain(place, *arguments)
    assert (status, report) == (2, None)
    assert "standard input (-)" in said


def hiding(here: World, inner: bytes) -> bytes:
    """A stranger's CA certificate that carries the PEM text of another one in a comment."""
    spki, text = key("SM2", "stranger").spki_der, pem(inner)
    stranger = pki.make_root("stranger", "SM2", key("SM2", "stranger"), not_before=START, not_after=END)
    comment = ("2.16.840.1.113730.1.13", False, b"\x16\x82" + len(text).to_bytes(2, "big") + text)
    return stranger.issue(pki.name("stranger"), spki, extensions=[comment], not_before=START, not_after=END, serial=7)


def test_a_certificate_is_not_judged_as_the_text_inside_it(place: Path) -> None:
    here = world("SM2")
    (place / "hiding.der").write_bytes(hiding(here, here.lock()))
    (place / "hiding_root.der").write_bytes(hiding(here, here.root.certificate))
    status, report, _ = explain(place, "hiding.der", "--anchors", "both.pem")
    assert report is not None
    assert (status, report["accepted"], report["certificate"]["subject"]) == (1, False, "C=CN, CN=stranger")
    status, report, _ = explain(place, "lock.der", "--anchors", "hiding_root.der", "--intermediates", "ca.pem")
    assert report is not None
    assert (status, report["reason"]) == (1, "CERTIFICATE_UNTRUSTED")


def test_people_read_a_table(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["certificate", "explain", str(place / "lock.der"), "--anchors", str(place / "root.pem"), "--at", AT.isoformat()])
    shown = capsys.readouterr().out
    assert status == 1
    assert shown.rstrip().endswith("refused: CERTIFICATE_UNTRUSTED")
    assert "REFUSED" in shown


def _token(*arguments: str, codec: str = "utf-8", **changes: str) -> tuple[int, dict[str, object] | None, str]:
    made = answer(world("SM2").lock(), key("SM2"))
    fields = {"format": made.format, "unverifiedCertificate": made.unverified_certificate, "algorithm": made.algorithm,
              "signature": made.signature, **changes}  # fmt: skip
    return calock("token", "explain", "--json", "--at", AT.isoformat(), *arguments, stdin=json.dumps(fields).encode(codec))


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_an_answer_that_an_editor_has_saved_is_read(place: Path, codec: str) -> None:
    assert _token("--anchors", str(place / "both.pem"), "--origin", ORIGIN, "--challenge", CHALLENGE, codec=codec)[0] == 0


def test_token(place: Path) -> None:
    trust = ["--anchors", str(place / "both.pem")]
    assert _token(*trust, "--origin", ORIGIN, "--challenge", CHALLENGE)[0] == 0
    for wrong in (["--origin", "https://other.example", "--challenge", CHALLENGE], ["--origin", ORIGIN, "--challenge", "another"]):
        status, report, _ = _token(*trust, *wrong)
        assert report is not None
        assert (status, report["reason"]) == (1, "SIGNATURE_INVALID")
    status, _, said = _token("--anchors", "-", "--origin", ORIGIN, "--challenge", CHALLENGE)
    assert (status, said) == (2, "calock token explain: standard input (-) can be read for one thing only, and holds the answer\n")
    apart = ["--anchors", str(place / "root.pem"), "--origin", ORIGIN, "--challenge", CHALLENGE]
    assert (_token(*apart)[0], _token(*apart, "--only", "gate,profile,identity")[0]) == (1, 0)
    status, report, _ = _token(*trust, "--origin", ORIGIN, "--challenge", "")
    assert report is not None
    assert (status, report["reason"]) == (1, "CHALLENGE_MALFORMED")
    status, report, _ = _token(*trust, "--origin", ORIGIN, "--challenge", CHALLENGE, format="web-eid:1.1")
    assert report is not None
    assert (status, report["reason"]) == (1, "TOKEN_FORMAT_UNSUPPORTED")


@pytest.mark.parametrize(
    "origin", ["not-url", "https://ria.ee/", "https://ria.ee/x", "http://ria.ee", "ria://ria.ee", "https:///ria.ee", "", "null",
               "https://user@ria.ee", "https://RIA.ee", "https://ria.ee:99999", "https://ria.ee?x", "https://päike.ee"]
)  # fmt: skip
def test_origins_that_no_browser_writes(place: Path, origin: str) -> None:
    status, report, said = _token("--anchors", str(place / "both.pem"), "--origin", origin, "--challenge", CHALLENGE)
    assert (status, report) == (2, None)
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("origin", "written"),
    [("https://ria.ee:443", "https://ria.ee"), ("http://127.0.0.1:80", "http://127.0.0.1"), ("https://[::1]:443", "https://[::1]")],
)
def test_the_port_that_browsers_leave_out(place: Path, origin: str, written: str) -> None:
    status, report, said = _token("--anchors", str(place / "both.pem"), "--origin", origin, "--challenge", CHALLENGE)
    assert (status, report) == (2, None)
    assert said.endswith(f"browsers leave the scheme's own port out: write {written}\n")


@pytest.mark.parametrize(
    "origin",
    [
        "https://ria.ee",
        "https://ria.ee:80",
        "http://localhost:443",
        "https://ria.ee:8443",
        "http://127.0.0.1:8000",
        "http://zcy.localhost:8000",
    ],
)
def test_origins_that_browsers_write(place: Path, origin: str) -> None:
    assert _token("--anchors", str(place / "both.pem"), "--origin", origin, "--challenge", CHALLENGE)[0] == 1


def test_commands_that_exist_and_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"calock {__version__}\n"
    assert main(["--help"]) == 0
    assert "certificate explain" in capsys.readouterr().out
    assert main(["certificate", "--help"]) == 0
    assert main(["certificate", "explain", "--help"]) == 0
    assert main(["nonsense"]) == 2
    assert main(["token"]) == 2
