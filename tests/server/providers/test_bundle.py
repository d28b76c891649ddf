"""The signed provider bundle: round trip, two operators, and everything a stranger may send instead (A17, A20, A99)."""

from __future__ import annotations

import base64
import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from register_help import ca_session, make_world

from calock.core.refusals import Reason, Refusal
from calock.demo import pki
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Alarm, kind_of
from calock.server.approvals.services import approve
from calock.server.audit.models import AuditEvent
from calock.server.providers.anchors import CA_WITHDRAW, propose_ca, propose_ca_state
from calock.server.providers.bundle import (
    FORMAT,
    MAX_BYTES,
    Bundle,
    BundleProvider,
    BundleSource,
    key_id,
    read_bundle,
    write_bundle,
)
from calock.server.providers.exchange import (
    describe_provider,
    export_bundle,
    own_public_key,
    pinned_keys,
    propose_import,
    propose_key,
    retire_key,
    signing_key,
)
from calock.server.providers.models import BundleKey, CaRecord, Provider, RegisterState, RevocationSource
from calock.server.providers.services import create_provider, edit_provider, propose_trust, suspend_provider
from calock.server.providers.sources import remove_source
from calock.server.providers.trust import check_at_start, current_register, forget_register

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
KEYS = {key_id(PUBLIC): PUBLIC}


def refused(reason: Reason):
    return pytest.raises(Refusal, match=f"^{reason}")


def signed(payload: object) -> bytes:
    """An envelope whose signature holds, whatever the payload says."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    text = base64.b64encode
    signature = KEY.sign(FORMAT.encode() + b"\n" + raw)
    return json.dumps(
        {"format": FORMAT, "payload": text(raw).decode(), "key": key_id(PUBLIC), "signature": text(signature).decode()}
    ).encode()


GOOD = {
    "made_at": "2026-11-22T00:00:00+00:00",
    "providers": [
        {
            "code": "x", "name": "n", "short_name": "s", "legal_name": "", "state": "suspended", "sites": [], "rules": {},
            "hotline": "", "website": "", "renew_url": "", "unlock_url": "", "allow_expired_binding": False, "order": 1, "cas": [],
        }
    ],
}  # fmt: skip


def changed(**values):
    return {**GOOD, "providers": [{**GOOD["providers"][0], **values}]}


def test_a_bundle_reads_as_it_was_written():
    bundle = msgspec.convert(GOOD, Bundle)
    assert read_bundle(write_bundle(bundle, KEY), KEYS) == (bundle, key_id(PUBLIC))


CA = {"certificate": "", "group": "", "anchor": True, "state": "recognised", "sources": []}
SOURCE = {"kind": "crl", "url": "http://ca.example/a.crl", "private_network": False}


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"null", b"[]", b"{}", b'"' * 10, b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000,
        {**GOOD, "more": 1}, {**GOOD, "made_at": "yesterday"}, {**GOOD, "made_at": "2026-99-99T00:00:00Z"},
        {**GOOD, "made_at": "9999-12-31T23:59:59-23:59"}, {**GOOD, "made_at": "0001-01-01T00:00:00+23:59"},
        {**GOOD, "made_at": "0000-01-01T00:00:00Z"}, {**GOOD, "made_at": "2026-11-22T00:00:00"},
        changed(website="ftp://x.cn/a"), changed(website="https://山西.中国/"), changed(website="http://a/" + "x" * 200),
        changed(cas=[{**CA, "crl_signer": True}]), changed(cas=[{**CA, "sources": [SOURCE] * 101}]),
        {**GOOD, "providers": {}}, changed(code="x\n"),
        {**GOOD, "providers": GOOD["providers"] * 2}, {**GOOD, "providers": GOOD["providers"] * 501},
        changed(code="../x"), changed(code="X"), changed(code=""), changed(name=""), changed(name="a\nb"), changed(name="n" * 101),
        changed(is_admin=True), changed(state="pending"), changed(order=-1), changed(order=10**30), changed(website="javascript:1"),
        changed(rules={"unknown": 1}), changed(rules={"grace_days": 10**400}), changed(rules=[]), changed(sites=["a"] * 51),
        changed(cas=[{**CA, "state": "pending"}]), changed(cas=[{**CA, "certificate": "%%%"}]), changed(cas=[CA] * 201),
        changed(cas=[{**CA, "certificate": base64.b64encode(bytes(20_000)).decode()}]), changed(cas=[{**CA, "mac": "x"}]),
        changed(cas=[{**CA, "sources": [{"kind": "crl", "url": "file:///etc/passwd", "private_network": False}]}]),
    ],
)  # fmt: skip
def test_signed_nonsense_is_refused(payload):
    with refused(Reason.BUNDLE_MALFORMED):
        read_bundle(signed(payload), KEYS)


def test_a_signed_key_twice_is_refused():
    text = json.dumps(changed(rules={"grace_days": 0}))
    for once, twice in (('"grace_days": 0', '"grace_days": 0, "grace_days": 9'), ('"rules": {', '"rules": {}, "rules": {')):
        assert once in text
        with pytest.raises(Refusal, match="stands twice"):
            read_bundle(signed(text.replace(once, twice).encode()), KEYS)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"null", b"[]", b"\x00" * 50, b'{"format":"calock-provider-bundle/2"}', b"[" * 200_000]
)
def test_an_envelope_that_is_none_is_refused(data):
    with refused(Reason.BUNDLE_MALFORMED):
        read_bundle(data, KEYS)


def test_a_bundle_has_a_size():
    with refused(Reason.BUNDLE_TOO_LARGE):
        read_bundle(b" " * (MAX_BYTES + 1), KEYS)


def test_another_signer_or_another_payload_is_refused():
    with refused(Reason.BUNDLE_SIGNER_UNKNOWN):
        read_bundle(signed(GOOD), {})
    envelope = json.loads(signed(GOOD))
    with refused(Reason.BUNDLE_SIGNATURE_INVALID):
        read_bundle(
            json.dumps({**envelope, "payload": base64.b64encode(json.dumps(changed(order=2)).encode()).decode()}).encode(), KEYS
        )
    with refused(Reason.BUNDLE_SIGNATURE_INVALID):
        read_bundle(signed(GOOD), {key_id(PUBLIC): own_public_key()})


def mutated(data: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    out = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        where = chance.randrange(len(out))
        step = chance.randrange(3)
        if step == 0:
            out[where] = chance.randrange(256)
        elif step == 1:
            del out[where : where + chance.randint(1, 40)]
        else:
            out[where:where] = out[chance.randrange(len(out)) :][:40]
        out = out or bytearray(b"{")
    return bytes(out)


@given(st.integers(0, 2**32))
def test_any_input_is_read_or_refused(seed):
    payload = json.dumps(GOOD).encode()
    for data in (mutated(signed(GOOD), seed), signed(mutated(payload, seed))):
        try:
            read_bundle(data, KEYS)
        except Refusal as refusal:
            assert refusal.reason.startswith("BUNDLE_")


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data):
    with pytest.raises(Refusal):
        read_bundle(data, KEYS)


# --- with the register


def pin(world, public: bytes = b"") -> BundleKey:
    raw = public or own_public_key()
    approval = propose_key(name="省平台", public_key=raw.hex(), reason="电话核对公钥", by=world.first, context=None)
    agree(approval, world.second)
    return BundleKey.objects.get(key_id=key_id(raw))


def agree(approval, by: Account) -> None:
    approve(approval_id=approval.pk, version=approval.version, sha256=approval.sha256, by=by, context=None)


def take(world, data: bytes) -> None:
    agree(propose_import(data=data, reason="同步互认目录", by=world.first, context=None), world.second)


def empty_the_register() -> None:
    for row in (*CaRecord.objects.all(), *Provider.objects.all()):
        row.delete()


def test_the_register_goes_out_and_comes_back_the_same(world):
    pin(world)
    before = [describe_provider(provider) for provider in Provider.objects.all()]
    fingerprint = current_register().fingerprint
    data = export_bundle(by=world.first, context=None)
    empty_the_register()
    assert current_register().providers == ()
    take(world, data)
    assert [describe_provider(provider) for provider in Provider.objects.all()] == before
    assert current_register().fingerprint == fingerprint
    check_at_start()
    assert AuditEvent.objects.filter(event="provider:imported").count() == 1


def test_nothing_is_taken_over_before_the_second_operator(world):
    pin(world)
    data = export_bundle(by=world.first, context=None)
    empty_the_register()
    propose_import(data=data, reason="同步互认目录", by=world.first, context=None)
    assert Provider.objects.count() == 0


def test_a_bundle_of_an_unpinned_or_retired_key_is_not_taken_over(world):
    data = export_bundle(by=world.first, context=None)
    with refused(Reason.BUNDLE_SIGNER_UNKNOWN):
        propose_import(data=data, reason="r", by=world.first, context=None)
    key = pin(world)
    approval = propose_import(data=data, reason="r", by=world.first, context=None)
    retire_key(key=key, by=world.second, context=None)
    with refused(Reason.BUNDLE_SIGNER_UNKNOWN):
        agree(approval, world.second)


def test_an_older_bundle_does_not_bring_back_what_was_withdrawn(world):
    pin(world)
    older = export_bundle(by=world.first, context=None)
    newer = export_bundle(by=world.first, context=None)
    take(world, newer)
    for data in (older, newer):
        with refused(Reason.BUNDLE_OLDER):
            propose_import(data=data, reason="r", by=world.first, context=None)


def test_a_key_pinned_in_the_database_is_not_pinned(world):
    pin(world)
    row = BundleKey.objects.get()
    BundleKey.objects.filter(pk=row.pk).update(public_key=PUBLIC.hex(), key_id=key_id(PUBLIC))
    assert pinned_keys() == {}
    BundleKey.objects.filter(pk=row.pk).update(public_key=row.public_key, key_id=row.key_id)
    RegisterState.objects.update(revision=99)
    forget_register()
    with refused(Reason.REGISTER_DAMAGED):
        current_register()


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 31, "00" * 33, "=" * 44, "\u0660" * 64])
def test_a_pinned_key_is_an_ed25519_key(world, text):
    with refused(Reason.REQUEST_MALFORMED):
        propose_key(name="k", public_key=text, reason="r", by=world.first, context=None)


def test_a_bundle_with_a_leaf_as_anchor_is_refused(world, authority):
    pin(world)
    dates = {"not_before": datetime(2025, 1, 1, tzinfo=UTC), "not_after": datetime(2035, 1, 1, tzinfo=UTC)}
    leaf = authority.issue_lock("张三", pki.make_key("EC"), **dates)
    bad = changed(cas=[{**CA, "certificate": base64.b64encode(leaf).decode()}])
    data = write_bundle(msgspec.convert(bad, Bundle, strict=False, builtin_types=()), signing_key())
    with refused(Reason.CA_CERTIFICATE_REFUSED):
        propose_import(data=data, reason="r", by=world.first, context=None)


def test_a_bundle_cannot_move_a_key_to_another_provider(world):
    pin(world)
    (provider,) = [describe_provider(row) for row in Provider.objects.all()]
    stolen = msgspec.structs.replace(provider, code="thief")
    data = write_bundle(Bundle(made_at=timezone.now().isoformat(), providers=(stolen,)), signing_key())
    approval = propose_import(data=data, reason="r", by=world.first, context=None)
    with refused(Reason.CA_KEY_KNOWN):
        agree(approval, world.second)
    assert not Provider.objects.filter(code="thief").exists()


# --- what was decided between the proposal and the approval


def withdraw(world) -> None:
    record = CaRecord.objects.get(pk=world.intermediate.pk)
    ask = {"record": record, "version": record.version, "kind": CA_WITHDRAW}
    agree(propose_ca_state(**ask, reason="密钥被盗", by=world.first, context=None), world.second)


def stop(world) -> None:
    suspend_provider(provider=world.provider, reason="紧急", by=world.second, context=None)


def rewrite(world) -> None:
    edit_provider(
        provider=Provider.objects.get(),
        version=Provider.objects.get().version,
        values={"hotline": "1"},
        by=world.first,
        context=None,
    )


def take_address_away(world) -> None:
    remove_source(source=RevocationSource.objects.get(), by=world.first, context=None)


def stop_and_start(world) -> None:
    stop(world)
    provider = Provider.objects.get()
    ask = {"state": "enabled", "sites": provider.sites, "rules": provider.rules, "allow_expired_binding": False}
    agree(
        propose_trust(provider=provider, version=provider.version, **ask, reason="恢复", by=world.first, context=None),
        world.second,
    )


@pytest.mark.parametrize("decided", [withdraw, stop, rewrite, take_address_away, stop_and_start])
def test_a_bundle_does_not_undo_what_was_decided_after_it_was_proposed(world, decided):
    """The second operator read that it changes nothing; it used to bring a withdrawn CA and a stopped provider back."""
    pin(world)
    approval = propose_import(data=export_bundle(by=world.first, context=None), reason="同步", by=world.first, context=None)
    assert (world.provider.name, "无变化") in kind_of(approval).facts(approval)
    decided(world)
    left = [describe_provider(row) for row in Provider.objects.all()]
    assert "现在不可通过" in dict(kind_of(approval).facts(approval))
    with refused(Reason.VERSION_CHANGED):
        agree(approval, world.second)
    assert [describe_provider(row) for row in Provider.objects.all()] == left


def test_a_provider_made_after_the_proposal_is_not_overwritten(world):
    pin(world)
    data = write_bundle(
        Bundle(made_at=timezone.now().isoformat(), providers=msgspec.convert(GOOD, Bundle).providers), signing_key()
    )
    approval = propose_import(data=data, reason="同步", by=world.first, context=None)
    create_provider(code="x", values={"name": "新", "short_name": "新"}, by=world.first, context=None)
    with refused(Reason.VERSION_CHANGED):
        agree(approval, world.second)
    assert Provider.objects.get(code="x").name == "新"


def test_a_bundle_goes_through_when_only_other_rows_changed_since(world, authority):
    pin(world)
    approval = propose_import(data=export_bundle(by=world.first, context=None), reason="同步", by=world.first, context=None)
    create_provider(code="xin", values={"name": "新", "short_name": "新"}, by=world.first, context=None)
    newer = pki.make_root("新根", "EC", not_before=datetime(2024, 1, 1, tzinfo=UTC), not_after=datetime(2046, 1, 1, tzinfo=UTC))
    ask = {"provider": world.provider, "certificate": newer.certificate, "anchor": True, "group": ""}
    propose_ca(**ask, reason="新根证书", by=world.first, context=None)
    agree(approval, world.second)
    assert AuditEvent.objects.filter(event="provider:imported").count() == 1


def test_a_key_retired_after_it_was_proposed_again_stays_retired(world):
    key = pin(world)
    approval = propose_key(name="新名称", public_key=own_public_key().hex(), reason="更名", by=world.first, context=None)
    assert ("登记状态", "已固定（省平台）") in kind_of(approval).facts(approval)
    retire_key(key=key, by=world.second, context=None)
    facts = dict(kind_of(approval).facts(approval))
    assert isinstance(facts["登记状态"], Alarm)
    assert isinstance(facts["现在不可通过"], Alarm)
    with refused(Reason.VERSION_CHANGED):
        agree(approval, world.second)
    assert BundleKey.objects.get().retired
    assert pinned_keys() == {}


def test_a_retired_key_comes_back_by_a_proposal_made_since(world):
    retire_key(key=pin(world), by=world.second, context=None)
    pin(world)
    assert set(pinned_keys()) == {key_id(own_public_key())}


# --- when a bundle was made


def bundle_of(made: datetime | str) -> bytes:
    return write_bundle(Bundle(made_at=made if isinstance(made, str) else made.isoformat(), providers=()), signing_key())


@pytest.mark.parametrize("ahead", [timedelta(minutes=6), timedelta(days=400)])
def test_a_bundle_from_the_future_shuts_nobody_out(world, ahead):
    """One made in the year 9998 used to be taken, and no bundle of that key ever after."""
    pin(world)
    with pytest.raises(Refusal, match="in the future"):
        propose_import(data=bundle_of(timezone.now() + ahead), reason="r", by=world.first, context=None)
    take(world, bundle_of(timezone.now() + timedelta(minutes=4)))
    assert BundleKey.objects.get().last_made_at < timezone.now() + timedelta(minutes=5)


@pytest.mark.parametrize("made", ["9999-12-31T23:59:59-23:59", "9998-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_a_moment_beyond_the_calendar_is_refused(world, made):
    pin(world)
    with refused(Reason.BUNDLE_MALFORMED):
        propose_import(data=bundle_of(made), reason="r", by=world.first, context=None)
    assert BundleKey.objects.get().last_made_at is None


def test_of_two_bundles_that_wait_the_older_one_is_judged_by_what_the_newer_left(world):
    pin(world)
    now = timezone.now()
    older, newer = (
        propose_import(data=bundle_of(now - timedelta(minutes=ago)), reason="r", by=world.first, context=None) for ago in (2, 1)
    )
    agree(newer, world.second)
    with refused(Reason.BUNDLE_OLDER):
        agree(older, world.second)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_two_bundles_of_one_key_approved_at_once_end_with_the_newer(authority, intermediate):
    world = make_world(authority, intermediate)
    pin(world)
    now = timezone.now()
    waiting = [
        propose_import(data=bundle_of(now - timedelta(minutes=ago)), reason="r", by=world.first, context=None) for ago in (2, 1)
    ]

    def decide(approval) -> str:
        try:
            agree(approval, world.second)
        except Refusal as refusal:
            return refusal.reason
        finally:
            connection.close()
        return "taken"

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(decide, waiting))
    assert outcomes[1] == "taken"
    assert outcomes[0] in ("taken", "BUNDLE_OLDER")
    assert BundleKey.objects.get().last_made_at == now - timedelta(minutes=1)


# --- what the second operator reads


def read_facts(data: bytes, world) -> list[tuple[str, str]]:
    approval = propose_import(data=data, reason="r", by=world.first, context=None)
    return kind_of(approval).facts(approval)


def test_the_second_operator_reads_every_change_a_bundle_would_make(world):
    pin(world)
    (now,) = [describe_provider(row) for row in Provider.objects.all()]
    ca = next(ca for ca in now.cas if ca.sources)
    inside = BundleSource("crl", "http://10.1.2.3/a.crl", private_network=True)
    cas = [
        msgspec.structs.replace(ca, sources=(inside,), group="neu") if ca.sources else msgspec.structs.replace(ca, anchor=False)
        for ca in now.cas
    ]
    rules = {**now.rules, "grace_days": 30}
    wanted = msgspec.structs.replace(now, hotline="12345", sites=("zcy",), rules=rules, cas=tuple(cas))
    facts = read_facts(write_bundle(Bundle(made_at=timezone.now().isoformat(), providers=(wanted,)), signing_key()), world)
    text = "\n".join(f"{label}：{value}" for label, value in facts)
    assert {value.partition(" ")[0] for _, value in facts if isinstance(value, Alarm)} == {"recognised", "crl", "0"}
    for line in (
        "服务热线：0351-0000000 → 12345", "站点 zcy", "规则 grace_days：0 → 30", "用途 信任锚 → 中间 CA", "CA 组 issuing → neu",
        "内网地址：crl http://10.1.2.3/a.crl", f"移除来源：crl {ca.sources[0].url}",
    ):  # fmt: skip
        assert line in text


def test_the_rules_of_a_provider_that_is_new_here_are_read_as_well(world):
    pin(world)
    new = msgspec.convert(changed(code="neu", rules={"revocation": {"mode": "off"}})["providers"][0], BundleProvider)
    data = write_bundle(Bundle(made_at=timezone.now().isoformat(), providers=(new,)), signing_key())
    assert ("s 规则 revocation.mode", '"require" → "off"') in read_facts(data, world)


def test_a_ca_that_a_bundle_demotes_takes_its_provider_with_it(world):
    pin(world)
    (now,) = [describe_provider(row) for row in Provider.objects.all()]
    cas = tuple(msgspec.structs.replace(ca, anchor=False) for ca in now.cas)
    session = ca_session(world)
    bundle = Bundle(made_at=timezone.now().isoformat(), providers=(msgspec.structs.replace(now, cas=cas),))
    take(world, write_bundle(bundle, signing_key()))
    session.refresh_from_db()
    assert session.ended_at is not None
    check_at_start()
