"""One CRL: what is refused before anything of it is believed, and that walking its entries is exact and bounded."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from calock.core.certificates.certificate import Certificate
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.crl import MAX_SIZE, read_crl
from calock.core.revocation.crl_entries import SERIAL_SIZE, walk_entries
from calock.core.revocation.crl_index import CrlIndex, IndexDamagedError, build_index, write_index
from calock.demo import der, pki

AT = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ROOTS = {
    name: pki.make_root(f"{name} root", name, not_before=AT - 900 * DAY, not_after=AT + 900 * DAY) for name in ("EC", "SM2", "RSA")
}
ROOT = ROOTS["EC"]


def crl(revoked=(), *, authority=ROOT, **fields) -> bytes:
    fields.setdefault("this_update", AT - DAY)
    fields.setdefault("next_update", AT + DAY)
    return authority.crl(revoked, **fields)


def built(data: bytes, authority=ROOT, **policy) -> CrlIndex:
    return build_index(data, Certificate.parse(authority.certificate), policy=Policy(**policy), at=AT)


def refused(data: bytes, authority=ROOT, **policy) -> str:
    with pytest.raises(Refusal) as caught:
        built(data, authority, **policy)
    assert caught.value.reason is Reason.REVOCATION_UNTRUSTED
    return caught.value.detail


# --- what counts


@pytest.mark.parametrize("name", ROOTS)
def test_a_signed_crl_says_who_is_on_it(name):
    moment = datetime(2026, 3, 1, 12, 30, 59, tzinfo=UTC)
    index = built(crl([(7, moment, "keyCompromise"), (2**159 - 1, moment, None)], authority=ROOTS[name]), ROOTS[name])
    entry = index.lookup(7)
    assert entry is not None
    assert (entry.reason, entry.revoked_at) == (1, moment)
    assert index.lookup(2**159 - 1) is not None
    assert index.lookup(8) is None
    assert (index.count, index.number, index.is_delta) == (2, 1, False)


def test_a39_an_empty_crl():
    index = built(crl())
    assert index.count == 0
    assert index.lookup(1) is None


def test_serials_that_only_their_sign_tells_apart():
    index = built(crl([(255, AT, None)]))
    assert index.lookup(255) is not None
    assert index.lookup(-1) is None


@pytest.mark.parametrize("serial", [0x8234567890ABCDEF, (1 << 160) - 1])
def test_an_entry_without_its_sign_octet_revokes_the_unsigned_number(serial):
    index = built(crl([(serial - (1 << serial.bit_length()), AT, "keyCompromise")]))
    assert index.lookup(serial) is not None
    assert index.lookup(serial - 1) is None


def test_a_serial_twice_keeps_what_is_final():
    entries = [(5, AT, "certificateHold"), (5, AT - DAY, "superseded"), (5, AT, "certificateHold")]
    found = built(crl(entries)).lookup(5)
    assert found is not None
    assert found.final


def test_a_serial_longer_than_any_is_on_no_crl():
    assert built(crl([(1, AT, None)])).lookup(1 << 200) is None


# --- what is refused


def test_a37_not_signed_by_the_issuer():
    other = pki.make_root("EC root", "EC", not_before=AT - DAY, not_after=AT + DAY)  # the very same name
    assert refused(crl(authority=other)) == "CRL signature: the signature does not hold"


def test_a37_signer_outside_its_dates():
    old = pki.make_root("old", "EC", not_before=AT - 9 * DAY, not_after=AT - DAY)
    assert refused(crl(authority=old), old) == "the signer's certificate is not valid at this time"


def test_a37_signer_without_crl_sign():
    key = pki.make_key("EC")
    usage = [pki.key_usage("key_cert_sign")]
    certificate = ROOT.issue(pki.name("no crlsign"), key.spki_der, not_before=AT - DAY, not_after=AT + DAY, extensions=usage)
    signer = pki.Authority(key, pki.name("no crlsign"), certificate, (certificate,))
    assert "cRLSign" in refused(crl(authority=signer), signer)


def test_without_next_update():
    assert refused(crl(next_update=None)) == "CRL without nextUpdate"


def test_times_the_wrong_way_round():
    assert "before its thisUpdate" in refused(crl(next_update=AT - 2 * DAY))


@pytest.mark.parametrize("critical", [True, False])
def test_an_unknown_extension_only_matters_when_critical(critical):
    data = crl(extra=[("1.2.3.4.5", critical, der.octets(b"x"))])
    if critical:
        assert refused(data) == "unknown critical CRL extension 1.2.3.4.5"
    else:
        assert built(data).count == 0


@pytest.mark.parametrize("critical", [True, False])
def test_an_unknown_entry_extension_only_matters_when_critical(critical):
    data = crl([(1, AT, None)], entry_extra=[("1.2.3.4.5", critical, der.octets(b"x"))])
    if critical:
        assert refused(data) == "unknown critical CRL entry extension 1.2.3.4.5"
    else:
        assert built(data).lookup(1) is not None


@pytest.mark.parametrize("code", [7, 11, 200, -1])
def test_a_reason_that_no_standard_names_revokes_and_shuts_out_nobody_else(code):
    reason = ("2.5.29.21", False, der.tlv(0x0A, der.integer(code)[2:]))
    index = built(crl([(1, AT, None)], entry_extra=[reason]))
    entry = index.lookup(1)
    assert entry is not None
    assert entry.final
    assert index.lookup(2) is None


def test_a_number_without_its_sign_octet_is_the_unsigned_one():
    written = crl(number=None, extra=[("2.5.29.20", False, der.tlv(0x02, b"\xc0\x01"))])
    assert built(written).number == 0xC001
    assert built(crl(number=None, extra=[("2.5.29.20", False, der.tlv(0x02, b"\0\0\0\x07"))])).number == 7
    assert "without octets" in refused(crl(number=None, extra=[("2.5.29.20", False, der.tlv(0x02))]))


def test_a_time_in_another_form_is_told_as_one():
    entry = der.sequence(der.integer(7), der.tlv(0x17, b"261122120000+0800"))
    with pytest.raises(Refusal, match="with seconds, Z and no fraction"):
        list(walk_entries(entry, 0, len(entry)))


def test_a_serial_that_no_certificate_may_have_is_told_as_one():
    assert "at most 20 octets" in refused(crl([(1 << 170, AT, None)]))


def idp(**fields) -> pki.Extension:
    values = {
        "full_name": None, "relative_name": None, "only_contains_user_certs": False, "only_contains_ca_certs": False,
        "only_some_reasons": None, "indirect_crl": False, "only_contains_attribute_certs": False,
    }  # fmt: skip
    return pki.extension(x509.IssuingDistributionPoint(**{**values, **fields}), critical=True)


def test_a39_an_indirect_crl():
    assert refused(crl(extra=[idp(indirect_crl=True)])) == "indirect CRL"


def test_a39_an_entry_of_another_issuer():
    names = x509.GeneralNames([x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")]))])
    entry = pki.extension(x509.CertificateIssuer(names), critical=True)
    assert "indirect CRL" in refused(crl([(1, AT, None)], entry_extra=[entry]))


def test_remove_from_crl_has_no_place_in_a_complete_crl():
    assert refused(crl([(1, AT, "removeFromCRL")])) == "removeFromCRL in a complete CRL"


def test_a_delta_needs_a_number():
    assert "delta CRL without a number" in refused(crl(number=None, extra=[("2.5.29.27", True, der.integer(1))]))


def test_sha_1_only_by_a_dated_exception():
    root = ROOTS["RSA"]
    tbs_algorithm = pki.RSA_WITH_SHA1
    tbs = der.sequence(
        der.integer(1), tbs_algorithm, root.subject, der.time(AT - DAY), der.time(AT + DAY),
        der.tlv(0xA0, der.sequence(der.sequence(der.oid("2.5.29.20"), der.octets(der.integer(1))))),
    )  # fmt: skip
    data = der.sequence(tbs, tbs_algorithm, der.bits(root.key.sign(tbs, digest=hashes.SHA1())))
    assert refused(data, root) == "CRL signature: SHA-1 is not allowed (by the rule legacy)"
    assert built(data, root, legacy=(("SHA1", AT + DAY),)).count == 0
    assert refused(data, root, legacy=(("SHA1", AT - DAY),)) == "CRL signature: SHA-1 is not allowed (by the rule legacy)"


def test_a_short_rsa_key_is_refused():
    key = pki.make_key("RSA", rsa_bits=1024)
    small = pki.make_root("small", key=key, not_before=AT - DAY, not_after=AT + DAY)
    assert refused(crl(authority=small), small) == "CRL signature: RSA key of fewer than 2048 bits (by the rule legacy)"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"algorithms": ("SM2",)}, "EC keys are not allowed (by the rule algorithms)"),
        ({"curves": ("secp384r1",)}, "curve secp256r1 is not allowed (by the rule curves)"),
    ],
)
def test_a_refusal_by_a_rule_names_the_rule(rules, words):
    assert words in refused(crl(), **rules)


def signed_by(authority, algorithm: bytes, sign) -> bytes:
    tbs = der.sequence(der.integer(1), algorithm, authority.subject, der.time(AT - DAY), der.time(AT + DAY))
    return der.sequence(tbs, algorithm, der.bits(sign(tbs)))


def test_a_null_beside_an_ecdsa_algorithm_is_read_as_in_certificates():
    algorithm = der.sequence(der.oid("1.2.840.10045.4.3.2"), der.tlv(0x05))
    assert built(signed_by(ROOT, algorithm, ROOT.key.sign)).count == 0


@pytest.mark.parametrize("salt", [0, 20, 32, 222])  # 222 fill a block of 2048 bits, as OpenSSL 1.1 and 3.0 sign
def test_a_pss_salt_may_have_any_length_that_is_said(salt):
    sha256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.tlv(0x05))
    generator = der.sequence(der.oid("1.2.840.113549.1.1.8"), sha256)
    said = [der.tlv(0xA2, der.integer(salt))] if salt != 20 else []  # the default of RSASSA-PSS-params
    parameters = der.sequence(der.tlv(0xA0, sha256), der.tlv(0xA1, generator), *said)
    private = serialization.load_der_private_key(ROOTS["RSA"].key.private_pkcs8, None)

    def sign(length):
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), length)
        algorithm = der.sequence(der.oid("1.2.840.113549.1.1.10"), parameters)
        return signed_by(ROOTS["RSA"], algorithm, lambda tbs: private.sign(tbs, scheme, hashes.SHA256()))

    assert built(sign(salt), ROOTS["RSA"]).count == 0
    assert "does not hold" in refused(sign(salt + 1 if salt < 222 else 1), ROOTS["RSA"])


def test_too_large_is_refused_before_it_is_read():
    with pytest.raises(Refusal, match="at most"):
        read_crl(bytes(MAX_SIZE + 1))


def test_every_truncation_is_refused():
    data = crl([(5, AT, "superseded")])
    for size in range(len(data)):
        assert refused(data[:size])


def test_no_changed_octet_survives():
    """Whatever single octet is changed: it is refused, or nothing that counts has changed."""
    data = crl([(5, AT, "superseded"), (900, AT, None)])
    chance = random.Random(20261122)
    accepted = 0
    for _ in range(600):
        place = chance.randrange(len(data))
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        try:
            index = built(bytes(changed))
        except Refusal:
            continue
        accepted += 1
        assert index.lookup(5)
        assert index.lookup(900)
    assert accepted < 10


# --- the walker against cryptography's reader


entries_strategy = st.lists(
    st.tuples(
        st.integers(min_value=1, max_value=2**159 - 1) | st.integers(min_value=1, max_value=300),
        st.integers(min_value=0, max_value=4_000_000_000),
        st.sampled_from([None, *(name for name in pki.CRL_REASONS if name != "removeFromCRL")]),
    ),
    max_size=40,
    unique_by=lambda entry: entry[0],
)


@given(entries_strategy)
def test_the_index_agrees_with_cryptography(entries):
    data = crl([(serial, datetime.fromtimestamp(seconds, UTC), reason) for serial, seconds, reason in entries])
    index = built(data)
    oracle = x509.load_der_x509_crl(data)
    assert index.count == len(oracle)
    for revoked in oracle:
        found = index.lookup(revoked.serial_number)
        assert found is not None
        assert found.revoked_at == revoked.revocation_date_utc
    for serial in (0, 1, 2**80):
        assert (index.lookup(serial) is None) == (oracle.get_revoked_certificate_by_serial_number(serial) is None)


# --- the index as a file


def sealed(data: bytes, key: bytes) -> bytes:
    head = read_crl(data)
    out = BytesIO()
    write_index(head, Certificate.parse(ROOT.certificate), walk_entries(data, *head.entries), out, key)
    return out.getvalue()


def test_an_index_file_opens_with_its_key_and_says_the_same():
    data = crl([(serial, AT, None) for serial in range(1, 2000)], number=77)
    index = CrlIndex.open(sealed(data, b"k" * 32), b"k" * 32)
    assert index.count == 1999
    assert all(index.lookup(serial) for serial in range(1, 2000))
    assert not any(index.lookup(serial) for serial in range(2000, 4000))
    assert (index.number, index.this_update, index.next_update) == (77, AT - DAY, AT + DAY)
    assert index.signer_spki_sha256 == ROOT.key.spki_sha256
    assert index.sha256 == read_crl(data).sha256


def test_serials_that_end_alike_are_sorted_as_well():
    """However a CA numbers its certificates: here so that the octets they are shared out by first say nothing."""
    head, many = read_crl(crl([])), 40_000
    records = [((number << 16 | 7).to_bytes(SERIAL_SIZE, "little"), 1, number) for number in range(many)]
    records += [((5 << 16 | 7).to_bytes(SERIAL_SIZE, "little"), 6, 0)]  # and one of them a second time, less severe
    out = BytesIO()
    assert write_index(head, Certificate.parse(ROOT.certificate), reversed(records), out, b"k" * 32) == many
    index = CrlIndex.open(out.getvalue(), b"k" * 32)
    entries = [index.lookup(number << 16 | 7) for number in range(many)]
    assert all(entry and entry.final and entry.revoked_at.timestamp() == number for number, entry in enumerate(entries))
    assert index.lookup(many << 16 | 7) is None


def test_a_changed_index_file_is_refused():
    block = sealed(crl([(serial, AT, None) for serial in range(1, 20)]), b"k" * 32)
    for place in range(0, len(block), 13):
        changed = bytearray(block)
        changed[place] ^= 1
        with pytest.raises(IndexDamagedError):
            CrlIndex.open(bytes(changed), b"k" * 32)
    with pytest.raises(IndexDamagedError):
        CrlIndex.open(block, b"K" * 32)
    for size in (0, 8, 31, 32, 40, len(block) - 1):
        with pytest.raises(IndexDamagedError):
            CrlIndex.open(block[:size], b"k" * 32)


@given(st.binary(max_size=300))
def test_any_bytes_as_entries_end_in_an_entry_or_a_refusal(data):
    try:
        for serial, reason, seconds in walk_entries(data, 0, len(data)):
            assert len(serial) == SERIAL_SIZE
            assert 0 <= reason <= 10
            assert 0 <= seconds < 1 << 32
    except Refusal as refusal:
        assert refusal.reason is Reason.REVOCATION_UNTRUSTED


@given(st.binary(max_size=600))
def test_any_bytes_as_a_crl_are_refused(data):
    with pytest.raises(Refusal):
        read_crl(data)


def test_a_header_that_makes_no_sense_is_damage_even_under_the_right_seal():
    block = sealed(crl([(5, AT, None)], number=0xAB), b"k" * 32)
    body = block[:-32].replace(b'"number":"ab"', b'"number":"qq"')
    assert body != block[:-32]
    with pytest.raises(IndexDamagedError):
        CrlIndex(body + bytes(32))
