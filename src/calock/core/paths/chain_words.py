"""Why OpenSSL refuses a certificate of a path, where its own words do not say what an operator could act on.

These functions explain a refusal that stands already; nothing here decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from calock.core.certificates.certificate import Certificate
from calock.core.certificates.extension_set import READ_BY_OPENSSL_ALONE
from calock.core.der import names, reader, strings
from calock.core.der.extensions import OID_AUTHORITY_KEY_ID, extension_name
from calock.core.refusals import Refusal

_UTF8, _BMP, _UNIVERSAL = 0x0C, 0x1E, 0x1C
_READ_IN_NAMES = frozenset({_UTF8, 0x12, 0x13, 0x14, 0x16, _UNIVERSAL, _BMP, reader.BIT_STRING, reader.SEQUENCE})
"""Types that OpenSSL reads in an attribute."""
_SIGNED_BY = {"1.2.840.113549.1.1.": "RSA", "1.2.840.10045.4.": "EC", "1.2.156.10197.1.501": "SM2"}
_KEY, _ISSUER, _SERIAL, _DIRECTORY = 0x80, 0xA1, 0x82, 0xA4


def unreadable(certificate: Certificate) -> str:
    """What OpenSSL probably cannot read: an attribute of a name; empty = not known."""
    for which, der in (("subject", certificate.subject_der), ("issuer", certificate.issuer_der)):
        try:
            rdns = names.rdns_of(der)
        except reader.DerError as error:
            return f"its {which}: {error}"
        for oid, tag, contents in (attribute for rdn in rdns for attribute in rdn):
            fault = _attribute_fault(tag, contents)
            if fault:
                return f"{names.attribute_name(oid)} in its {which} is {fault}"
    return ""


def _attribute_fault(tag: int, contents: bytes) -> str:
    if tag not in _READ_IN_NAMES:
        return f"of a type that names do not have (tag {tag:#04x})"
    if tag == _UTF8 and strings.text(tag, contents) is None:
        return "a UTF8String that holds other octets than UTF-8"
    if tag == _BMP and any(0xD8 <= octet < 0xE0 for octet in contents[::2]):
        return "a BMPString with a character that takes more than two octets"
    return ""


def no_issuer(certificate: Certificate, issuer: Certificate) -> str:
    """Why OpenSSL does not take ``issuer`` as the issuer of ``certificate``, whose name fits; empty = not known."""
    unread = READ_BY_OPENSSL_ALONE & certificate.by_oid.keys()
    if unread:
        return f"probably because OpenSSL cannot read its {', '.join(map(extension_name, sorted(unread)))}"
    kind = next((kind for begin, kind in _SIGNED_BY.items() if certificate.signature_algorithm.startswith(begin)), issuer.algorithm)
    if kind != issuer.algorithm:
        return f"since it is signed by {kind} ({certificate.signature_algorithm}), and the CA's key is {issuer.algorithm}"
    try:
        return next(_mismatches(certificate, issuer), "")
    except (reader.DerError, Refusal):
        return ""


def _mismatches(certificate: Certificate, issuer: Certificate) -> Iterator[str]:
    value = certificate.value_of(OID_AUTHORITY_KEY_ID)
    parts = [] if value is None else reader.children(value, *reader.whole(value))
    for tag, _, first, last in parts:
        contents = (value or b"")[first:last]
        if tag not in (_KEY, _ISSUER, _SERIAL):
            yield f"probably because OpenSSL cannot read its {extension_name(OID_AUTHORITY_KEY_ID)}"
        if tag == _KEY and not contents:
            yield "since its authorityKeyIdentifier names the key by nothing"
        if tag == _SERIAL and reader.integer(contents) != issuer.serial:
            named = f"{int.from_bytes(contents[:40], 'big'):x}"
            yield f"since its authorityKeyIdentifier names serial number {named}, and the CA certificate's is {issuer.serial_hex}"
        for general, _, begin, end in reader.children(contents, 0, len(contents)) if tag == _ISSUER else ():
            if general == _DIRECTORY and names.comparison_key(contents[begin:end]) != issuer.issuer_key:
                yield "since the issuer in its authorityKeyIdentifier is not the issuer of the CA certificate"
    if certificate.issuer_der != issuer.subject_der:
        yield "probably since its issuer's name is written in another character set than in the CA certificate"


def no_ca(certificate: Certificate) -> str:
    """Why a certificate is no CA's, or may not sign others; empty = not known."""
    if certificate.version != 3:
        return f"it is of version {certificate.version}"
    if certificate.basic_constraints is None:
        return "it has no basicConstraints"
    if not certificate.is_ca:
        return "its basicConstraints say cA FALSE"
    return "its keyUsage is without keyCertSign" if "key_cert_sign" not in (certificate.key_usage or ("key_cert_sign",)) else ""
