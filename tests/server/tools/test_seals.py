"""What this server sealed before still fits, and what somebody puts in a seal's place never does."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime

import msgspec
import pytest

from calock.core.refusals import Reason
from calock.core.trail.heads import leaf_of
from calock.server.approvals.models import Approval
from calock.server.audit.canonical import is_intact
from calock.server.audit.events import Event
from calock.server.audit.services import build
from calock.server.providers import seal
from calock.server.providers.models import Provider
from calock.server.revocation.manifest import Final, Manifest, StoreDamagedError, directory, read_manifest, write_manifest
from calock.server.tools import seals
from calock.server.tools.keys import key_for

ID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
AT = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


def hexdigest(purpose, text):
    return hmac.new(key_for(purpose), text.encode(), "sha256").hexdigest()


def test_a_row_of_the_register_fits_what_was_sealed_before():
    row = Provider(pk=ID, code="demo", state="enabled", sites=["shanxi"], rules={"b": "山西", "a": 1}, version=3)
    fields = f'["provider","{ID}","demo","enabled",["shanxi"],{{"a":1,"b":"\\u5c71\\u897f"}},false,3]'
    row.mac = hexdigest("register", fields)
    assert row.is_intact()
    row.rules = {"a": 1}
    assert not row.is_intact()


def test_the_register_and_what_was_seen_of_it_fit_what_was_sealed_before():
    assert seal.register_is_intact(7, hexdigest("register", '["register",7,["a","b"]]'), ["b", "a"])
    assert seal.fits(hexdigest("register", '["seen","{}"]'), "seen", ["{}"])


def test_an_approval_fits_what_was_sealed_before():
    row = Approval(
        pk=ID, kind="anchor.recognise", target="t", target_version=2, payload={"b": 1, "a": "山"}, reason="换锁",
        proposed_by_id=ID, summary="互认", proposed_at=AT,
    )  # fmt: skip
    content = [
        str(ID),
        "anchor.recognise",
        "t",
        2,
        {"a": "山", "b": 1},
        "换锁",
        str(ID),
        "互认",
        "2026-11-25T10:00:00.000000+00:00",
    ]
    text = json.dumps(content, separators=(",", ":"))
    row.mac = hexdigest("approval", text)
    assert row.is_intact()
    assert row.sha256 == hashlib.sha256(text.encode()).hexdigest()
    row.summary = "撤回"
    assert not row.is_intact()


def test_an_audit_row_fits_what_was_sealed_before():
    row = build(Event.LOGIN_CA_REFUSED, reason=Reason.LOCK_NOT_BOUND, subject=ID, details={"detail": "锁", "n": 1})
    made_now = row.mac
    row.mac = hexdigest(
        "audit",
        f'{{"actor":null,"at":"{row.at.astimezone(UTC).isoformat(timespec="microseconds")}","details":{{"detail":"锁","n":1}},'
        f'"event":"{row.event}","ip":null,"lock":null,"number":"{row.number}","organisation":null,"provider":"",'
        f'"reason":"{row.reason}","site":"","subject":"{ID}","user_agent":""}}',
    )
    assert row.mac != made_now
    assert is_intact(row)
    row.details["n"] = 2
    assert not is_intact(row)


def test_a_manifest_of_crls_sealed_before_is_believed_and_a_changed_one_is_not():
    final = Final("ca", "0a", "sha", AT, "revoked", AT)
    body = msgspec.json.encode(Manifest(finals=(final,)))
    former = hashlib.blake2b(body, digest_size=32, key=key_for("revocation"), person=b"crl manifest").hexdigest()
    path = directory() / "manifest"
    try:
        path.write_bytes(body + b"\n" + former.encode())
        assert read_manifest().finals == (final,)
        write_manifest(read_manifest())
        assert read_manifest().finals == (final,)
        for changed in (path.read_bytes().replace(b"revoked", b"removed"), body + "\n锁".encode(), body + b"\n\xff"):
            path.write_bytes(changed)
            with pytest.raises(StoreDamagedError):
                read_manifest()
    finally:
        path.unlink()


def test_a_seal_fits_its_purpose_its_content_and_its_key_alone(settings):
    text = seals.mac("register", b"content")
    assert seals.fits(text, "register", b"content")
    assert not seals.fits(text, "approval", b"content")
    assert not seals.fits(text, "register", b"other")
    settings.SECRET_KEY = "another secret key of this server, long enough"
    assert not seals.fits(text, "register", b"content")
    assert seals.is_of_another_key(text)


@pytest.mark.parametrize("text", ["", "x" * 64, "锁" * 64, "\ud800", "0" * 63])
def test_nothing_that_stands_in_a_seals_place_fits_or_fails(text):
    assert not seals.fits(text, "audit", b"content")
    assert leaf_of(1, text, b"", intact=True)  # nor does it keep the trail from being sealed


def test_the_same_values_give_the_same_bytes():
    assert seals.canonical({"b": 1, "a": ["山"]}) == b'{"a":["\\u5c71"],"b":1}'
    assert seals.canonical({"a": ["山"], "b": 1}, escaped=False) == '{"a":["山"],"b":1}'.encode()


@pytest.mark.parametrize("value", [b"x", uuid.UUID(int=1), datetime(2026, 11, 30, tzinfo=UTC), {1, 2}], ids=str)
def test_what_json_has_no_form_for_is_not_sealed_as_a_text_that_looks_like_it(value):
    with pytest.raises(TypeError):
        seals.canonical(["row", value])
