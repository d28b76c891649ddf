"""``calock token explain`` and ``calock certificate explain``: the server's own verification, offline, check by check."""

from __future__ import annotations

import argparse
import hashlib
import textwrap
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from calock.cli import arguments, output, report
from calock.cli.arguments import UsageError
from calock.cli.certificates import certificates_in
from calock.cli.output import OutputError
from calock.core.certificates.certificate import Certificate
from calock.core.decision.verify import VerificationInputs, verify_certificate, verify_token
from calock.core.masking import mask_person_ids
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.revocation.evidence import InMemoryEvidence, NoRevocationEvidence, split_pem
from calock.core.verdict import ALL_STEPS, Step, Verdict, failed, passed
from calock.wire.token import parse_token

ACCEPTED, REFUSED, UNUSABLE = 0, 1, 2
_ANY_LIFE = 100_000  # days
_Verify = Callable[[argparse.Namespace, "_Inputs"], tuple[Verdict, tuple[str, ...]]]

_EPILOG = textwrap.dedent("""\
    exit status: 0 accepted; 1 refused, with the reason code printed; 2 a question that cannot be asked (arguments or files that
    cannot be used); 3 an error of calock's own, nothing is known then; 4 the answer could not be written.

    Files are PEM (bundles too) or DER. Trust ends at the --anchors; they may be intermediate CAs. When neither --crl nor
    --ocsp is given, and no --policy demands it, revocation is reported as skipped; when either is given, every certificate of
    the path below the anchor needs an answer, and a missing, stale or unusable one refuses. Without a --policy that says
    otherwise, revocation data count as they say themselves: until nextUpdate (an OCSP answer without one for ten minutes),
    and an OCSP signer marked nocheck is not checked further. docs/policy.md lists what a --policy may say.
    """)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The arguments and files of the command, read."""

    inputs: VerificationInputs
    notes: tuple[str, ...]
    evidence: InMemoryEvidence | None
    origins: dict[str, str]
    """Where the CRL or OCSP response with this SHA-256 was found."""


_USAGE = """\
%(prog)s {first} --anchors FILE [FILE …] [--intermediates FILE [FILE …]]
           [--crl FILE [FILE …]] [--ocsp FILE [FILE …]] [--policy FILE] [--at ISO8601] [--only STEP,…] [--json]{last}"""
"""With what has to be given first: after a list of files a further one would be taken for one of the list."""


def _parser(prog: str, description: str, first: str, last: str = "") -> arguments.Parser:
    parser = arguments.Parser(
        prog=prog,
        usage=_USAGE.format(first=first, last=last),
        description=description,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    many = {"nargs": "+", "action": "extend", "default": [], "metavar": "FILE"}
    parser.add_argument("--anchors", required=True, help="CA certificates at which trust ends", **many)  # type: ignore[arg-type]
    parser.add_argument("--intermediates", help="further CA certificates of the provider", **many)  # type: ignore[arg-type]
    parser.add_argument("--crl", help="certificate revocation lists", **many)  # type: ignore[arg-type]
    parser.add_argument("--ocsp", help="OCSP responses", **many)  # type: ignore[arg-type]
    parser.add_argument("--policy", metavar="FILE", help="the provider's rules as JSON; the strict default otherwise")
    parser.add_argument("--at", type=arguments.moment, metavar="ISO8601", help="the moment to judge for; now otherwise")
    parser.add_argument(
        "--only",
        type=arguments.steps,
        metavar="STEP,…",
        help="only these of the steps gate,path,revocation,profile,identity (for certificates that are no lock's)",
    )
    parser.add_argument("--json", action="store_true", help="machine-readable result")
    return parser


def explain_certificate(argv: list[str]) -> int:
    """``calock certificate explain …``; returns the exit status."""
    description = "Judge one certificate as the server would, offline, and print every check."
    parser = _parser("calock certificate explain", description, "FILE")
    parser.add_argument("file", metavar="FILE", help="the certificate (PEM or DER), - for standard input")
    return _run("certificate", parser, argv, _certificate)


def explain_token(argv: list[str]) -> int:
    """``calock token explain … < token.json``; returns the exit status."""
    parser = _parser(
        "calock token explain",
        "Judge one login answer (JSON on standard input) as the server would, offline, and print every check.",
        "--origin ORIGIN --challenge TEXT",
        " < FILE",
    )
    parser.add_argument(
        "--origin", required=True, type=arguments.origin, help="origin the answer was made for, https://host[:port]"
    )
    parser.add_argument("--challenge", required=True, metavar="TEXT", help="text of the challenge, exactly as it was sent")
    return _run("token", parser, argv, _token)


def _run(name: str, parser: arguments.Parser, argv: list[str], verify: _Verify) -> int:
    if not argv or argv[0] != "explain":
        usage = f"usage: calock {name} explain …   (calock {name} explain --help says more)"
        if argv and argv[0] in ("-h", "--help"):
            output.show(usage + "\n")
            return ACCEPTED
        output.complain(usage)
        return UNUSABLE
    try:
        options = parser.parse_args(argv[1:])
        verdict, text = _answer(options, verify)
    except UsageError as error:
        output.complain(f"calock {name} explain: {error}")
        return UNUSABLE
    except SystemExit as end:  # --help
        return int(end.code or 0)
    except (OutputError, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - our own error: status 1 would mean a refusal
        output.complain(f"calock {name} explain: could not be judged, by an error of calock's own: {_place_of(error)}")
        return output.UNJUDGED
    output.show(text)
    return ACCEPTED if verdict.accepted else REFUSED


def _answer(options: argparse.Namespace, verify: _Verify) -> tuple[Verdict, str]:
    given = _read(options)
    verdict, notes = verify(options, given)
    notes = (*given.notes, *notes, *_unused(given))
    always = {Step.TOKEN, Step.SIGNATURE} if verify is _token else set()
    steps = given.inputs.steps | always
    if options.json:
        return verdict, report.as_json(verdict, given.inputs.at, notes, steps, ascii_only=not output.holds_any_character())
    return verdict, report.as_text(verdict, given.inputs.at, notes, steps)


def _unused(given: _Inputs) -> Iterable[str]:
    """Notes about revocation data that could not be used, also when other data sufficed."""
    for item in given.evidence.rejected if given.evidence else ():
        yield f"{item.what} {given.origins.get(item.sha256, '')} was not used: {item.reason}: {item.detail}"


def _place_of(error: Exception) -> str:
    """Kind and place of an error, to report to calock's maintainers."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return mask_person_ids(f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {str(error)[:200]}")


def _certificate(options: argparse.Namespace, given: _Inputs) -> tuple[Verdict, tuple[str, ...]]:
    found = certificates_in(options.file)
    notes = (f"{len(found) - 1} more certificates in {options.file} were not looked at",) if len(found) > 1 else ()
    return verify_certificate(found[0].der, given.inputs), notes


def _token(options: argparse.Namespace, given: _Inputs) -> tuple[Verdict, tuple[str, ...]]:
    try:
        token = parse_token(arguments.read_file("-"))
        if not options.challenge or len(options.challenge) > 256:
            raise Refusal(Reason.CHALLENGE_MALFORMED, "a challenge of 1 to 256 characters is wanted")  # noqa: TRY301 - one outcome
    except Refusal as refusal:
        return Verdict((failed(Step.TOKEN, "form", refusal.reason, refusal.detail),)), ()
    verdict = verify_token(token, given.inputs, origin=options.origin, challenge=options.challenge)
    return structs.replace(verdict, checks=(passed(Step.TOKEN, "form", token.format), *verdict.checks)), ()


def _read(options: argparse.Namespace) -> _Inputs:
    file = getattr(options, "file", None)
    several = (*options.anchors, *options.intermediates, *options.crl, *options.ocsp)
    arguments.require_one_reader((file, options.policy, *several), taken=file is None)
    policy, says_revocation = arguments.policy(options.policy)
    at = options.at or datetime.now(UTC)
    any_evidence = bool(options.crl or options.ocsp)
    policy = _with_revocation(policy or Policy(), says=says_revocation)
    notes: list[str] = []
    anchors = _authorities(options.anchors, "anchor", notes)
    others = _authorities(options.intermediates, "intermediate", notes)
    others = [certificate for certificate in others if certificate not in anchors]
    cas = (*(_ca(certificate, anchor=True) for certificate in anchors), *(_ca(certificate, anchor=False) for certificate in others))
    register = Register([ProviderTrust("given", cas, policy)])
    crls, ocsp = (
        {name: arguments.read_file(name) for name in options.crl},
        {name: arguments.read_file(name) for name in options.ocsp},
    )
    blobs = crls.values(), ocsp.values()
    evidence = InMemoryEvidence(*blobs, anchors=anchors, others=others, policy=policy, at=at) if any_evidence else None
    given = any_evidence or (says_revocation and policy.revocation.mode != "off")
    inputs = VerificationInputs(
        register, at, evidence or NoRevocationEvidence(), steps=options.only or ALL_STEPS, revocation_given=given
    )
    return _Inputs(inputs, tuple(notes), evidence, {**_origins(crls, b"X509 CRL"), **_origins(ocsp, b"OCSP RESPONSE")})


def _origins(files: dict[str, bytes], label: bytes) -> dict[str, str]:
    found = {}
    for name, blob in files.items():
        parts = split_pem(blob, label)
        for number, der in enumerate(parts, 1):
            found[hashlib.sha256(der).hexdigest()] = f"{name}, number {number}" if len(parts) > 1 else name
    return found


def _with_revocation(policy: Policy, *, says: bool) -> Policy:
    """Without revocation rules in the policy, given data count until their own nextUpdate."""
    if says:
        return policy
    as_written = replace(policy.revocation, crl_max_age=None, ocsp_max_age=None, nocheck_max_days=_ANY_LIFE)
    return replace(policy, revocation=as_written)


def _authorities(files: list[str], what: str, notes: list[str]) -> list[Certificate]:
    """Parsed CA certificates; one that does not parse is left out with a note, so that nothing is accepted by it."""
    found: dict[bytes, Certificate] = {}
    for item in (item for name in files for item in certificates_in(name)):
        try:
            certificate = Certificate.parse(item.der)
            _ = certificate.spki_sha256, certificate.subject_key, certificate.subject_key_id
        except (Refusal, ValueError) as error:
            notes.append(f"{what} {item.where} was left out: {error}")
            continue
        found[certificate.der] = certificate
    return list(found.values())


def _ca(certificate: Certificate, *, anchor: bool) -> CaCertificate:
    return CaCertificate(certificate.der, certificate.spki_sha256, anchor=anchor)
