"""``calock token explain`` and ``calock certificate explain``: the server's own verification, offline, check by check."""

from __future__ import annotations

import argparse
import json
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from msgspec import structs

from calock.cli import arguments, output, report
from calock.cli.arguments import UsageError
from calock.cli.certificates import FileCertificate, certificates_in
from calock.cli.inputs import GivenInputs, read_inputs
from calock.cli.output import OutputError
from calock.core.certificates.certificate import Certificate, lowest
from calock.core.checks.unread_numbers import unread_numbers
from calock.core.decision.verify import verify_certificate, verify_token
from calock.core.masking import mask_person_ids
from calock.core.refusals import Reason, Refusal
from calock.core.verdict import Step, Verdict, failed, passed
from calock.wire.token import parse_token

ACCEPTED, REFUSED, UNUSABLE = 0, 1, 2
_Verify = Callable[[argparse.Namespace, GivenInputs], tuple[Verdict, tuple[str, ...]]]

_EPILOG = textwrap.dedent("""\
    exit status: 0 accepted; 1 refused, with the reason code printed; 2 a question that cannot be asked (arguments or files that
    cannot be used); 3 an error of calock's own, nothing is known then; 4 the answer could not be written.

    Files are PEM (bundles too), DER, PKCS#7 (.p7b) or any of them in bare base64. Trust ends at the --anchors; they may be
    intermediate CAs. When neither --crl nor --ocsp is given, and no --policy demands it, revocation is reported as skipped;
    when either is given, every certificate of the path below the anchor needs an answer, and a missing, stale or unusable one
    refuses. Without a --policy that says otherwise, revocation data count as they say themselves: until nextUpdate (an OCSP
    answer without one for ten minutes), and an OCSP signer marked nocheck is not checked further. docs/policy.md lists what a
    --policy may say. """)


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
    given = read_inputs(options)
    verdict, notes = verify(options, given)
    notes = (*given.notes, *notes, *given.rejected, *_unread(verdict, given))
    always = {Step.TOKEN, Step.SIGNATURE} if verify is _token else set()
    steps = given.inputs.steps | always
    if options.json:
        return verdict, report.as_json(verdict, given.inputs.at, notes, steps, ascii_only=not output.holds_any_character())
    return verdict, report.as_text(verdict, given.inputs.at, notes, steps)


def _unread(verdict: Verdict, given: GivenInputs) -> Iterator[str]:
    """Notes about numbers that name a holder and that no rule reads: such a lock counts as one without a holder's number."""
    if verdict.certificate is None or Step.IDENTITY not in given.inputs.steps:
        return
    rules = given.inputs.register.providers[0].policy.identity
    for number in unread_numbers(verdict.certificate, rules):
        rule = json.dumps(asdict(number.rule), ensure_ascii=False) if number.rule else ""
        would = f"this one would: {rule}" if rule else "none can, since other text stands beside it"
        what = f"{number.masked} in {number.place} has the check digits of a {_KINDS[number.kind]}"
        yield f"{what}, and no rule for the holder reads it; {would}"


_KINDS = {"uscc": "统一社会信用代码 (uscc)", "id_card": "公民身份号码 (id_card)"}


def _place_of(error: Exception) -> str:
    """Kind and place of an error, to report to calock's maintainers."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return mask_person_ids(f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {str(error)[:200]}")


def _certificate(options: argparse.Namespace, given: GivenInputs) -> tuple[Verdict, tuple[str, ...]]:
    found = certificates_in(options.file)
    notes = (f"{len(found) - 1} more certificates in {options.file} were not looked at",) if len(found) > 1 else ()
    return verify_certificate(_chosen(found), given.inputs), notes


def _chosen(found: Sequence[FileCertificate]) -> bytes:
    """Of a file's certificates that issued none of the others the first to sign with, as a lock's holder would.

    Chains stand in files in any order, and a lock's two certificates, for signatures and for encryption, beside one another.
    """
    readable = []
    for item in found:
        with suppress(Refusal):
            certificate = Certificate.parse(item.der)
            _ = certificate.subject_key, certificate.issuer_key
            readable.append(certificate)
    ends = lowest(readable)
    return next((item.der for item in (*filter(_may_sign, ends), *ends)), found[0].der)


def _may_sign(certificate: Certificate) -> bool:
    try:
        return "digital_signature" in (certificate.key_usage or ())
    except Refusal:
        return False


def _token(options: argparse.Namespace, given: GivenInputs) -> tuple[Verdict, tuple[str, ...]]:
    try:
        token = parse_token(arguments.as_utf8(arguments.read_file("-")))
        if not options.challenge or len(options.challenge) > 256:
            raise Refusal(Reason.CHALLENGE_MALFORMED, "a challenge of 1 to 256 characters is wanted")  # noqa: TRY301 - one outcome
    except Refusal as refusal:
        return Verdict((failed(Step.TOKEN, "form", refusal.reason, refusal.detail),)), ()
    verdict = verify_token(token, given.inputs, origin=options.origin, challenge=options.challenge)
    return structs.replace(verdict, checks=(passed(Step.TOKEN, "form", token.format), *verdict.checks)), ()
