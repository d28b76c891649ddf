"""A live source that works, fails and attacks: what counts afterwards, and the reason that the user and the operator see."""

from __future__ import annotations

import base64
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from worlds.revocation import HOUR, conditional, dripping, endless, moment, redirect

from calock.core.refusals import Reason
from calock.core.revocation.check import check_revocation
from calock.demo import pki
from calock.server.audit.models import AuditEvent
from calock.server.egress.connections import Limits
from calock.server.providers.models import RevocationSource
from calock.server.providers.trust import current_register
from calock.server.revocation import manifest, refresh, store
from calock.server.revocation.evidence import current_evidence, forget_evidence
from calock.server.revocation.refresh import forget_removed_sources, refresh_crl
from calock.server.tools.addresses import endpoint_of

pytestmark = pytest.mark.django_db


def user_sees(world, at=None):
    """Reason with which a login is refused now; None = revocation does not stand in its way."""
    forget_evidence()
    policy = current_register().provider(world.family.provider).policy
    return check_revocation(world.path, evidence=current_evidence(), policy=policy, at=at or moment()).reason


def refresh_both(world):
    outcomes = refresh_crl(world.root), refresh_crl(world.issuing)
    assert [outcome.error for outcome in outcomes] == ["", ""]
    return outcomes


def test_nothing_fetched_yet_refuses(world):
    assert user_sees(world) is Reason.REVOCATION_UNAVAILABLE


def test_a_fetched_crl_counts_and_is_written_down(each_world):
    world = each_world
    _, outcome = refresh_both(world)
    assert outcome.changed
    assert user_sees(world) is None
    row = world.issuing
    assert row.next_update is not None
    assert row.last_ok_at is not None
    assert AuditEvent.objects.filter(event="provider:revocation:fetched", provider=world.family.provider).count() == 2


def test_revoked_means_out_at_the_next_refresh(each_world):
    world = each_world
    refresh_both(world)
    world.publish(reason="keyCompromise")
    refresh_both(world)
    assert user_sees(world) is Reason.CERTIFICATE_REVOKED


def test_every_process_of_the_machine_sees_a_new_crl_without_being_told(world):
    refresh_both(world)
    evidence = current_evidence()
    before = manifest.stamp()
    world.publish(reason="superseded")
    refresh_both(world)
    assert manifest.stamp() != before
    assert evidence.crls_for(world.path[1])[0].crl.lookup(world.leaf.serial) is None  # the old state stays whole
    assert user_sees(world) is Reason.CERTIFICATE_REVOKED


def test_source_killed_what_was_fetched_counts_until_its_end(world, source):
    refresh_both(world)
    source.stop()
    outcome = refresh_crl(world.issuing)
    assert outcome.reason is Reason.REVOCATION_UNAVAILABLE
    assert outcome.error == "connection refused"
    assert user_sees(world) is None
    assert user_sees(world, at=moment() + 7 * HOUR) is Reason.REVOCATION_STALE
    assert world.issuing.last_error == "connection refused"


def test_source_killed_before_the_first_fetch(world, source):
    source.stop()
    assert refresh_crl(world.issuing).reason is Reason.REVOCATION_UNAVAILABLE
    assert user_sees(world) is Reason.REVOCATION_UNAVAILABLE


def test_a_failure_is_audited_once_not_every_minute(world, source):
    source.stop()
    for _ in range(3):
        refresh_crl(world.issuing)
    failures = AuditEvent.objects.filter(event="provider:revocation:failed")
    assert [(row.reason, row.details["error"]) for row in failures] == [("REVOCATION_UNAVAILABLE", "connection refused")]


def test_crl_that_ended_is_not_taken_and_the_operator_is_told(world):
    world.publish(world.crl(this_update=moment() - 2 * HOUR, next_update=moment() - HOUR))
    outcome = refresh_crl(world.issuing)
    assert outcome.reason is Reason.REVOCATION_STALE
    assert "ended at" in world.issuing.last_error
    refresh_crl(world.root)
    assert user_sees(world) is Reason.REVOCATION_STALE


def test_wrong_signer(world):
    stranger = pki.make_root("stranger", "EC", not_before=moment() - HOUR, not_after=moment() + HOUR)
    world.publish(world.crl(key=stranger.key))
    outcome = refresh_crl(world.issuing)
    assert outcome.error == "CRL signature: the signature does not hold"
    refresh_crl(world.root)
    assert user_sees(world) is Reason.REVOCATION_UNTRUSTED


def test_wrong_signer_never_replaces_a_good_crl(world):
    refresh_both(world)
    stranger = pki.make_root("stranger", "EC", not_before=moment() - HOUR, not_after=moment() + HOUR)
    world.publish(world.crl(key=stranger.key, reason="keyCompromise"))
    assert not refresh_crl(world.issuing).ok
    assert user_sees(world) is None


def test_the_root_may_not_speak_for_the_locks_of_the_ca_below(world):
    world.publish(world.crl(authority=world.family.root))
    assert refresh_crl(world.issuing).error == "the CRL does not speak for this CA"


@pytest.mark.parametrize(
    "older",
    [
        pytest.param(lambda now: {"number": 5}, id="number"),
        pytest.param(lambda now: {"this_update": now - 3 * HOUR}, id="thisUpdate"),
        pytest.param(lambda now: {"number": None}, id="no-number"),
    ],
)
def test_an_older_crl_does_not_bring_a_revoked_lock_back(world, older):
    world.publish(reason="keyCompromise")
    refresh_both(world)
    world.publish(world.crl(**older(moment())))
    outcome = refresh_crl(world.issuing)
    assert outcome.reason is Reason.REVOCATION_UNTRUSTED
    assert "seen before" in outcome.error
    assert user_sees(world) is Reason.CERTIFICATE_REVOKED


def test_an_older_crl_is_refused_after_the_machine_lost_its_files(world):
    world.publish(reason="keyCompromise")
    refresh_both(world)
    shutil.rmtree(manifest.directory())
    world.publish(world.crl(number=3))
    assert "seen before" in refresh_crl(world.issuing).error


@pytest.mark.parametrize("kept", [0, 1, 60, 200, -1])
def test_truncated(world, kept):
    body = world.crl()
    world.publish(body[:kept])
    outcome = refresh_crl(world.issuing)
    assert outcome.reason is Reason.REVOCATION_UNTRUSTED
    refresh_crl(world.root)
    assert user_sees(world) is Reason.REVOCATION_UNTRUSTED


def test_truncated_on_the_wire(world, source):
    def short(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(bytes(100))

    source.answers["/issuing.crl"] = short
    outcome = refresh_crl(world.issuing)
    assert (outcome.reason, outcome.error) == (Reason.REVOCATION_UNAVAILABLE, "ended after 100 of 5000 bytes")


@pytest.mark.parametrize("announced", [True, False])
def test_100_mb(world, source, announced):
    source.answers["/issuing.crl"] = endless(100 << 20, announced=announced)
    before = set(manifest.directory().iterdir())
    outcome = refresh_crl(world.issuing)
    assert outcome.reason is Reason.REVOCATION_UNAVAILABLE
    assert "67108864" in outcome.error
    assert {path.name for path in set(manifest.directory().iterdir()) - before} == {"flights"}


def test_slow_drip(world, source):
    source.answers["/issuing.crl"] = dripping
    outcome = refresh_crl(world.issuing, limits=Limits(1 << 20, 0.3))
    assert outcome.error.startswith("not finished within 0.")  # a machine under load takes part of it before the fetch


def test_redirect_to_a_private_address_is_not_followed(world, source):
    source.answers["/issuing.crl"] = redirect("http://169.254.169.254/latest/meta-data")
    outcome = refresh_crl(world.issuing)
    assert outcome.error == "169.254.169.254:80 is not an address that may be asked"


def test_an_address_outside_does_not_choose_what_is_asked_inside(world):
    """The provider has a mirror in a private network; its public address may not send us there, the mirror may send us anywhere."""
    outside = RevocationSource(ca_record=world.issuing.ca_record, kind="crl", url="http://crl.example/a.crl")
    outside.save()
    inside = endpoint_of(world.issuing.url)
    assert inside not in refresh.target_of(outside).hosts
    assert {inside, endpoint_of(outside.url)} <= refresh.target_of(world.issuing).hosts.keys()


def test_a_source_that_says_another_number_each_time_fills_no_audit_trail(world, source):
    refresh_both(world)
    sizes = iter(range(70_000_000, 70_000_020))

    def announcing(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(next(sizes)))
        handler.end_headers()

    source.answers["/issuing.crl"] = announcing
    errors = {refresh_crl(world.issuing).error for _ in range(20)}
    assert len(errors) == 20
    assert AuditEvent.objects.filter(event="provider:revocation:failed").count() == 1


def test_a_store_that_cannot_be_read_refuses_and_says_so_until_it_can(world, monkeypatch):
    """As when somebody ran a command as root, and the files are root's now."""
    refresh_both(world)
    with monkeypatch.context() as denied:

        def deny(*_):
            raise PermissionError(13, "Permission denied")

        denied.setattr(Path, "read_bytes", deny)
        assert user_sees(world) is Reason.REVOCATION_UNTRUSTED
        [found] = current_evidence().rejected_for(world.path[1])
        assert "cannot be read" in found.detail
    assert current_evidence(look=True).crls_for(world.path[1])


def test_redirect_within_the_providers_addresses(world, source):
    source.serve("/moved.crl", world.crl(reason="superseded"))
    source.answers["/issuing.crl"] = redirect("/moved.crl")
    refresh_both(world)
    assert user_sees(world) is Reason.CERTIFICATE_REVOKED


def test_a_second_source_of_the_same_ca(world, source):
    refresh_both(world)
    extra = RevocationSource(ca_record=world.issuing.ca_record, kind="crl", url=source.url("/second.crl"), private_network=True)
    extra.save()
    source.serve("/second.crl", world.crl(reason="keyCompromise"))
    assert refresh_crl(extra).ok
    assert user_sees(world) is Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize("order", [1, -1])
def test_a39_two_crls_in_one_answer_are_both_read(world, order):
    pem = b"".join(
        b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(world.crl(**extra)) + b"-----END X509 CRL-----\n"
        for extra in [{}, {"reason": "keyCompromise", "number": 99}][::order]
    )
    world.publish(pem)
    refresh_both(world)
    assert user_sees(world) is Reason.CERTIFICATE_REVOKED
    assert world.issuing.crl_number == "63"


def test_a39_a_bundle_that_holds_other_cas_crls_too(world):
    both = [world.crl(authority=world.family.root), world.crl(reason="superseded")]
    parts = (b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(item) + b"-----END X509 CRL-----\n" for item in both)
    world.publish(b"".join(parts))
    refresh_both(world)
    assert user_sees(world) is Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize(("before", "behind"), [(b"-----BEGIN X509 CRL-----\n", b"-----END X509 CRL-----\n"), (b"", b"")])
def test_a_source_that_serves_text(world, before, behind):
    world.publish(before + base64.encodebytes(world.crl(reason="superseded")) + behind)
    refresh_both(world)
    assert user_sees(world) is Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize("form", [bytes, base64.encodebytes, lambda der: der + b"\r\n"])
def test_a_source_that_serves_a_container(world, form):
    world.publish(form(world.container(world.crl(authority=world.family.root), world.crl(reason="superseded"), certificates=2)))
    refresh_both(world)
    assert user_sees(world) is Reason.CERTIFICATE_REVOKED


def test_a_container_of_too_many_crls_is_refused(world):
    world.publish(world.container(*[world.crl()] * 17))
    assert "17 CRLs in one answer" in refresh_crl(world.issuing).error


def test_unchanged_crls_are_not_fetched_again_when_the_source_can_say_so(world, source):
    source.answers["/issuing.crl"] = conditional(world.crl())
    refresh_both(world)
    outcome = refresh_crl(world.issuing)
    assert (outcome.ok, outcome.changed, outcome.size, outcome.whole) == (True, False, 0, False)
    assert AuditEvent.objects.filter(event="provider:revocation:fetched").count() == 2


def test_an_address_changed_in_the_database_is_not_fetched(world, source):
    source.serve("/evil.crl", world.crl())
    RevocationSource.objects.filter(pk=world.issuing.pk).update(url=source.url("/evil.crl"))
    row = RevocationSource.objects.get(url=source.url("/evil.crl"))
    assert refresh_crl(row).error == "the address was changed outside the server"
    assert "GET /evil.crl" not in source.asked


def test_a_removed_source_no_longer_counts(world):
    refresh_both(world)
    world.issuing.delete()
    assert forget_removed_sources() == 1
    assert user_sees(world) is Reason.REVOCATION_UNAVAILABLE


def test_a_tampered_index_is_refused(world):
    refresh_both(world)
    held = manifest.read_manifest().of(world.issuing.ca_record.spki_sha256, world.issuing.url)
    path = manifest.directory() / held.file
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    assert user_sees(world) is Reason.REVOCATION_UNTRUSTED


def test_a_tampered_manifest_refuses_everybody(world):
    refresh_both(world)
    path = manifest.directory() / "manifest"
    path.write_bytes(path.read_bytes().replace(b"issuing.crl", b"issuing.crx"))
    assert user_sees(world) is Reason.REVOCATION_UNTRUSTED


@pytest.mark.parametrize("damage", ["manifest", "index", "truncated", "gone"])
def test_what_was_damaged_on_disk_is_fetched_and_written_anew(world, damage):
    """Nobody is let in by damage, and nobody is kept out for longer than the next refresh."""
    world.source.answers["/issuing.crl"] = conditional(world.crl())
    refresh_both(world)
    held = manifest.read_manifest().of(world.issuing.ca_record.spki_sha256, world.issuing.url)
    path = manifest.directory() / ("manifest" if damage == "manifest" else held.file)
    if damage == "gone":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[:100] if damage == "truncated" else data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])
    assert user_sees(world) is Reason.REVOCATION_UNTRUSTED
    refresh_both(world)
    assert user_sees(world) is None


def test_a_disk_that_takes_nothing_is_said_and_raises_nothing(world, monkeypatch):
    refresh_both(world)
    world.publish(reason="keyCompromise")

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write_files", full)
    assert "No space left" in refresh_crl(world.issuing).error
    assert user_sees(world) is None  # what counted before still does, until its own end
    monkeypatch.undo()
    refresh_both(world)
    assert user_sees(world) is Reason.CERTIFICATE_REVOKED


def test_a_crl_older_than_the_age_limit_is_stale_and_the_emergency_lifts_that_until_its_own_end(world):
    refresh_both(world)
    policy = current_register().provider(world.family.provider).policy
    late = moment() + 5 * HOUR
    tight = replace(policy, revocation=replace(policy.revocation, crl_max_age=3600))
    ends = [f"{certificate.spki_sha256}:{(late + HOUR).isoformat()}" for certificate in world.path[1:]]
    emergency = replace(tight, revocation=replace(tight.revocation, emergencies=tuple(ends)))

    def reason(rules, at):
        return check_revocation(world.path, evidence=current_evidence(), policy=rules, at=at).reason

    assert reason(tight, late) is Reason.REVOCATION_STALE
    assert reason(emergency, late) is None
    assert reason(emergency, late + 2 * HOUR) is Reason.REVOCATION_STALE  # past nextUpdate, whatever anybody says
    assert refresh.CRL_LIMITS.seconds >= timedelta(minutes=1).total_seconds()
