"""Third-party cases, each as a question with the suite's answer and ours. What runs here is the command line's own function."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from calock.cli import main
from calock.core.certificates import signatures
from calock.core.refusals import Refusal

REPOSITORY = Path(__file__).resolve().parents[2]
SUITES = Path(os.environ.get("CALOCK_SUITES") or REPOSITORY.parent / "shared" / "suites")


@dataclass(frozen=True)
class Outcome:
    """One case: what the suite expects of it and what we said."""

    suite: str
    case: str
    expected: bool
    accepted: bool
    reason: str

    @property
    def agrees(self) -> bool:
        return self.expected == self.accepted


def calock(*arguments: object, stdin: bytes = b"") -> tuple[int, dict[str, Any] | None, str]:
    """Run one command in this process: exit status, the JSON it printed, what it said on standard error."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin))):
        status = main([str(argument) for argument in arguments])
    text = out.getvalue()
    return status, json.loads(text) if text.startswith("{") else None, err.getvalue()


def _outcome(suite: str, case: str, *, expected: bool, answer: tuple[int, dict[str, Any] | None, str]) -> Outcome:
    status, report, said = answer
    assert status in (0, 1), said
    assert report is not None
    assert report["accepted"] is (status == 0)
    return Outcome(suite, case, expected, report["accepted"], f"{report['reason']}: {report['detail']}")


# --- Web eID


def webeid_index() -> dict[str, Any]:
    return json.loads((SUITES / "webeid" / "index.json").read_text("utf-8"))


def webeid(version: str = "1.0") -> Iterator[Outcome]:
    """Every token of this format version, at its own clock and with its own anchors."""
    index = webeid_index()
    with tempfile.TemporaryDirectory() as scratch:
        for case in index["cases"]:
            if case["format_support"] == version:
                yield _webeid_case(index, case, Path(scratch))


def _webeid_case(index: dict[str, Any], case: dict[str, Any], scratch: Path) -> Outcome:
    place = SUITES / "webeid"
    text = (place / index["tokens"][case["token"]]["file"]).read_bytes() if case["token"] else b""
    anchors = [place / index["certificates"][name]["file"] for name in case["trust_anchors"]]
    extra: list[object] = []
    if case.get("extra_disallowed_policies"):
        policy = scratch / "policy.json"
        policy.write_text(json.dumps({"disallowed_policies": case["extra_disallowed_policies"]}), "utf-8")
        extra += ["--policy", policy]
    answer = calock(
        "token", "explain", "--origin", case["origin"], "--challenge", case["nonce"], "--json", *extra,
        "--at", case["clock"] or "2023-10-01T00:00:00Z",
        "--anchors", *(anchors or [place / "certs" / "TEST_of_ESTEID2018.der"]),
        stdin=text,
    )  # fmt: skip
    if case["stage"] == "signature_only":
        report = answer[1]
        assert report is not None
        signature = [check for check in report["checks"] if check["step"] == "signature" and check["name"] == "signature"]
        accepted = bool(signature) and signature[0]["passed"] is True
        return Outcome("webeid", case["id"], case["expect"] == "accept", accepted, str(report["reason"]))
    return _outcome("webeid", case["id"], expected=case["expect"] == "accept", answer=answer)


# --- SM2


SM2_MOMENT = "2026-11-22T06:00:00Z"


@dataclass(frozen=True)
class Sm2Case:
    name: str
    expected: bool
    leaf: str
    root: str
    above: str
    crls: tuple[str, ...] = ()
    ocsps: tuple[str, ...] = ()


SM2_CASES = (
    Sm2Case("chain", True, "leaf.pem", "root.pem", "int.pem"),
    Sm2Case("chain with CRLs", True, "leaf.pem", "root.pem", "int.pem", ("root.crl", "int.crl")),
    Sm2Case("revoked leaf", False, "leaf.pem", "root.pem", "int.pem", ("root.crl", "int_rev.crl")),
    Sm2Case("OCSP for the leaf", True, "leaf.pem", "root.pem", "int.pem", ("root.crl",), ("resp.der",)),
    Sm2Case("empty signer ID", False, "nleaf.pem", "nroot.pem", "nint.pem"),
    Sm2Case("empty signer ID under the right root", False, "nleaf.pem", "root.pem", "int.pem"),
    Sm2Case("CRL of the root missing", False, "leaf.pem", "root.pem", "int.pem", ("int.crl",)),
)


def sm2() -> Iterator[Outcome]:
    """The chain with the standard signer ID, the same with the empty one, CRLs and an OCSP response, at the time they were made."""
    place = SUITES / "sm2"
    for case in SM2_CASES:
        evidence: list[object] = []
        for option, files in (("--crl", case.crls), ("--ocsp", case.ocsps)):
            evidence += [option, *(place / file for file in files)] if files else []
        answer = calock(
            "certificate", "explain", place / case.leaf, "--json", "--at", SM2_MOMENT,
            "--anchors", place / case.root, "--intermediates", place / case.above, *evidence,
        )  # fmt: skip
        yield _outcome("sm2", case.name, expected=case.expected, answer=answer)


# --- PKITS


def pkits_index() -> list[dict[str, Any]]:
    return json.loads((SUITES / "pkits" / "pkits.json").read_text("utf-8"))


@cache
def pkits(steps: str = "path,revocation") -> tuple[Outcome, ...]:
    """NIST PKITS at the moment its maintainers use; the gate's own rules on form stay out (see docs/conformance.md)."""
    with tempfile.TemporaryDirectory() as scratch:
        return tuple(_pkits_case(case, Path(scratch) / f"{number}.json", steps) for number, case in enumerate(pkits_index()))


def _pkits_case(case: dict[str, Any], policy: Path, steps: str) -> Outcome:
    place = SUITES / "pkits"
    others = [place / "certs" / name for name in case.get("other_certs", [])]
    crls = [place / "crls" / name for name in ("TrustAnchorRootCRL.crl", *case.get("crls", []))]
    policy.write_text(json.dumps(_pkits_policy(case.get("params", {}))), "utf-8")
    evidence: Sequence[object] = ["--crl", *crls]
    answer = calock(
        "certificate", "explain", place / "certs" / case["cert"], "--json", "--at", "2022-05-01T00:00:00Z", "--only", steps,
        "--policy", policy, "--anchors", place / "certs" / "TrustAnchorRootCertificate.crt",
        *(["--intermediates", *others] if others else []), *evidence,
    )  # fmt: skip
    return _outcome("pkits", f"{case['id']} {case['name']}", expected="error" not in case, answer=answer)


def _pkits_policy(params: dict[str, Any]) -> dict[str, Any]:
    return {
        "initial_policies": params.get("user_initial_policy_set", []),
        "require_explicit_policy": params.get("initial_explicit_policy", False),
        "inhibit_policy_mapping": params.get("initial_policy_mapping_inhibit", False),
        "inhibit_any_policy": params.get("initial_any_policy_inhibit", False),
        "strict_extensions": False,
    }


# --- Wycheproof

_JWA = {
    ("ECDSA", "SHA-256"): "ES256", ("ECDSA", "SHA-384"): "ES384", ("ECDSA", "SHA-512"): "ES512",
    ("RSASSA-PKCS1-v1_5", "SHA-256"): "RS256", ("RSASSA-PSS", "SHA-256"): "PS256",
}  # fmt: skip


def wycheproof() -> Iterator[Outcome]:
    """Every vector of every file whose algorithm an answer may carry. A vector marked ``acceptable`` agrees with either answer."""
    for file in sorted((SUITES / "wycheproof").glob("*_test.json")):
        content = json.loads(file.read_text("utf-8"))
        for group in content["testGroups"]:
            algorithm = _JWA[content["algorithm"], group["sha"]]
            key = group["publicKeyDer"] if "publicKeyDer" in group else group["publicKey"]["publicKeyDer"]
            for vector in group["tests"]:
                accepted, reason = _verifies(bytes.fromhex(key), algorithm, vector)
                expected = accepted if vector["result"] == "acceptable" else vector["result"] == "valid"
                yield Outcome("wycheproof", f"{file.stem} {vector['tcId']}", expected, accepted, reason)


def _verifies(key: bytes, algorithm: str, vector: dict[str, Any]) -> tuple[bool, str]:
    try:
        signatures.verify(key, algorithm, bytes.fromhex(vector["msg"]), bytes.fromhex(vector["sig"]))
    except Refusal as refusal:
        return False, str(refusal)
    return True, ""


# --- Web eID's OCSP responses


def webeid_ocsp() -> Iterator[Outcome]:
    """The responses of Web eID's own OCSP tests about one certificate, judged as files."""
    place = SUITES / "webeid"
    index = webeid_index()
    for case in index["ocsp_responses"]:
        answer = calock(
            "certificate", "explain", place / index["certificates"][case["subject"]]["file"], "--json", "--only", "path,revocation",
            "--anchors", place / index["certificates"][case["issuer"]]["file"], "--ocsp", place / case["file"],
            "--at", case["clock"] or "2021-09-17T18:25:24Z",
        )  # fmt: skip
        yield _outcome("webeid-ocsp", case["java_test"], expected=case["expect"] == "accept", answer=answer)
