"""``calock evidence verify``: judge a receipt (存证回执) offline, with nothing but its file."""

from __future__ import annotations

from collections.abc import Sequence

from calock.cli import arguments
from calock.cli.arguments import UsageError
from calock.cli.certificates import certificates_in
from calock.cli.output import complain, show
from calock.core.certificates.certificate import Certificate
from calock.core.receipts.verify import Note, Report, verify_receipt
from calock.core.refusals import Reason, Refusal

HOLDS, DOES_NOT_HOLD, UNUSABLE = 0, 1, 2

_NOTES = {
    Note.NO_EXTERNAL_TIME: "no time-stamp of an authority: the time is the platform's own word and that of its audit trail",
    Note.TIMESTAMP_BY_OPENSSL: "the time-stamp speaks of this trail; the fourth command of 核验说明.txt checks its signature",
    Note.ANCHOR_NOT_COMPARED: "no --anchors given: compare the anchor's key with what the CA publishes",
    Note.SEALING_KEY_NOT_COMPARED: "no --key given: compare the sealing key with what the platform publishes",
    Note.REVOCATION_DATA_BY_HASH: "a CRL or OCSP answer that is named, and not in the file",
    Note.CERTIFICATE_WAS_EXPIRED: "the certificate was over when it was bound, which the provider's rules allowed",
}


def _parser() -> arguments.Parser:
    parser = arguments.Parser(
        prog="calock evidence",
        usage="%(prog)s verify FILE [--anchors FILE [FILE …]] [--key HEX]",
        description="Judge a receipt offline: signature, chain, place in the audit trail. Revocation data is not judged again.",
        epilog="exit status: 0 it holds; 1 it does not, with reason and part printed; 2 the arguments or files cannot be used.",
        allow_abbrev=False,
    )
    parser.add_argument("verb", choices=("verify",), metavar="verify")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument(
        "--anchors", nargs="+", action="extend", default=[], metavar="FILE", help="CA certificates that are believed"
    )
    parser.add_argument("--key", action="append", default=[], metavar="HEX", help="a sealing key of the platform (raw Ed25519)")
    return parser


def evidence(argv: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    try:
        given = _parser().parse_args(argv)
        anchors = {Certificate.parse(item.der).spki_sha256 for name in given.anchors for item in certificates_in(name)}
        file = arguments.read_file(given.file)
    except UsageError as error:
        complain(f"calock evidence: {error}")
        return UNUSABLE
    except Refusal as refusal:
        complain(f"calock evidence: --anchors: {refusal.detail}")
        return UNUSABLE
    try:
        report = verify_receipt(file, anchors=anchors, keys={key.lower() for key in given.key})
    except Refusal as refusal:
        show(f"{refusal.reason}: {_plain(refusal.detail)}\n")
        not_one = refusal.reason is Reason.RECEIPT_INCOMPLETE and "not a file" in refusal.detail
        return UNUSABLE if not_one else DOES_NOT_HOLD
    show(_told(report))
    return HOLDS


def _plain(text: str) -> str:
    """A text out of a stranger's file, without what would steer the terminal or begin a line of its own."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _told(report: Report) -> str:
    said = report.statement
    lines = [
        ("holds", report.number),
        ("purpose", said.purpose),
        ("site", f"{said.site} ({said.origin})"),
        ("account", said.account),
        ("by", said.by),
        ("organisation", " ".join(filter(None, (said.organisation, said.organisation_code)))),
        ("judged at", report.record.at),
        ("issued at", said.time),
        ("from", report.record.ip),
        ("anchor key", report.anchor),
        ("sealing key", report.sealing_key),
        *(("name", f"{name}: {value} (as the platform says)") for name, value in report.names.items()),
    ]
    notes = [("note", f"{note}: {_NOTES[Note(note.partition(' ')[0])]}") for note in report.notes]
    return "".join(f"{name:<14}{_plain(value)}\n" for name, value in [*lines, *notes] if value)
