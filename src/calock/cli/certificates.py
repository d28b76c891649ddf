"""Certificates in the files that the command line is given."""

from __future__ import annotations

from dataclasses import dataclass

from calock.cli.arguments import UsageError, read_file
from calock.core.der import containers, extensions, reader
from calock.core.der.containers import ContainerError
from calock.core.policy import ANY_EXTENDED_KEY_USAGE, Policy

_TRUST, _REJECT = reader.SEQUENCE, 0xA0


@dataclass(frozen=True, slots=True)
class FileCertificate:
    """One certificate of a file, not parsed yet."""

    der: bytes
    where: str
    settings: bytes = b""
    """OpenSSL's own trust settings behind it; empty = none."""


def certificates_in(name: str) -> list[FileCertificate]:
    """Every certificate in a file, at least one.

    Raises:
        UsageError: the file cannot be read, or holds nothing that looks like a certificate.
    """
    try:
        found = containers.certificates_in(read_file(name))
    except ContainerError as error:
        raise UsageError(f"{name} {error}") from error
    return [
        FileCertificate(item.der, f"{name}, certificate {n}" if len(found) > 1 else name, item.settings)
        for n, item in enumerate(found, 1)
    ]


def trust_settings_fault(settings: bytes, policy: Policy) -> str:
    """Why OpenSSL's trust settings (X509_CERT_AUX) keep a certificate from being an anchor for logins; empty = they do not.

    ``trust`` lists the uses it is trusted for, ``reject`` those that it is rejected for: extendedKeyUsage OIDs, and
    anyExtendedKeyUsage for all.
    """
    try:
        start, stop = reader.whole(settings)
        parts = {tag: settings[begin:end] for tag, begin, _, end in reader.children(settings, start, stop, 5)}
        trusted, rejected = (_uses(parts.get(tag)) for tag in (_TRUST, _REJECT))
    except reader.DerError:
        return "its trust settings cannot be read"
    wanted = {*policy.ekus, ANY_EXTENDED_KEY_USAGE}
    if rejected is not None and rejected & wanted:
        return f"its trust settings reject it for {', '.join(sorted(rejected & wanted))}"
    if trusted is not None and not trusted & wanted:
        return f"its trust settings trust it for {', '.join(sorted(trusted)) or 'nothing'} alone"
    return ""


def _uses(encoded: bytes | None) -> set[str] | None:
    if encoded is None:
        return None
    sequence = bytes([reader.SEQUENCE]) + encoded[1:]
    return set(extensions.oid_list(sequence)) if sequence[1:2] != b"\0" else set()
