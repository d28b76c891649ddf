"""What one process learns from OCSP all of the machine know, and nobody forgets a revocation: no answer replaces a stronger one."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from worlds.kept import kept
from worlds.practice import family
from worlds.responses import ocsp_answer
from worlds.revocation import HOUR, CrlWorld, install_ca, moment, nonce_of
from worlds.rows import install

from calock.core.certificates.certificate import Certificate
from calock.core.decision.verify import VerificationInputs, verify_certificate
from calock.core.refusals import Reason
from calock.core.revocation.ocsp import CertStatus
from calock.core.verdict import Step
from calock.demo import pki
from calock.server.egress.connections import Patience
from calock.server.providers.models import RevocationSource
from calock.server.providers.trust import current_register, forget_register
from calock.server.revocation import live, ocsp_cache
from calock.server.revocation.evidence import forget_evidence, graph_of
from calock.server.revocation.live import fetch_ocsp, with_live_answers
from calock.server.revocation.refresh import refresh_crl

pytestmark = pytest.mark.django_db
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class OcspWorld:
    """A CA that answers by OCSP alone, as the test says; and processes that have memories of their own."""

    def __init__(self, source) -> None:
        self.world = CrlWorld(source)
        assert refresh_crl(self.world.root).ok
        forget_evidence()
        self.says("good")
        source.answers["/ocsp"] = self._answer
        source.asked.clear()
        self.source = source

    def says(self, status: str, *, at=None, reason: str | None = None, nonce: bool = True, life=HOUR) -> None:
        at = at or moment()
        self._values = {"status": status, "this_update": at, "next_update": at + life, "nonce": nonce, "reason": reason}

    def _answer(self, handler) -> None:
        values = dict(self._values)
        values["nonce"] = nonce_of(handler.body) if values["nonce"] else None
        handler.send(ocsp_answer(self.world.family.issuing, self.world.leaf.serial, values.pop("status"), **values))

    @property
    def asked(self) -> int:
        return self.source.asked.count("POST /ocsp")

    @property
    def error(self) -> str:
        return RevocationSource.objects.get(kind="ocsp").last_error

    @property
    def question(self):
        register = current_register()
        issuer = register.with_key(self.world.path[1].spki_sha256)[0]
        return issuer.certificate, self.world.leaf.serial, graph_of(issuer.provider)

    def ask(self) -> bool:
        """As the background does."""
        issuer, _, graph = self.question
        live.forget_failures()
        return fetch_ocsp(self.world.leaf, issuer, graph=graph, at=moment(), anew=True)

    def at_hand(self) -> str:
        issuer, serial, graph = self.question
        found = ocsp_cache.answers(issuer, serial, graph=graph)
        return found[0].single.status.value if found else "nothing"

    def log_in(self) -> Reason | None:
        steps = frozenset({Step.GATE, Step.PATH, Step.REVOCATION})
        live.forget_failures()
        return with_live_answers(
            lambda evidence: verify_certificate(
                self.world.lock.certificate, VerificationInputs(current_register(), moment(), evidence, steps=steps)
            )
        ).reason

    @property
    def file(self):
        return next(ocsp_cache.directory().glob("*/*.der"))


class Process:
    """What one process of the machine remembers."""

    def __init__(self) -> None:
        self.answers, self.missing = OrderedDict(), {}

    @contextmanager
    def __call__(self, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(ocsp_cache, "_answers", self.answers)
            patch.setattr(ocsp_cache, "_missing", self.missing)
            yield


@contextmanager
def later(monkeypatch, *, seconds):
    """So many seconds on, for what is kept."""
    with monkeypatch.context() as patch:
        then = moment() + seconds * SECOND
        patch.setattr(ocsp_cache.timezone, "now", lambda: then)
        ocsp_cache._missing.clear()
        yield


def _install(rules=None) -> None:
    install_ca(ocsp=True, rules=rules)
    RevocationSource.objects.get(url__endswith="/issuing.crl").delete()


kept_ca = kept(_install)


@pytest.fixture
def ocsp(kept_ca, db, source):
    kept_ca()
    return OcspWorld(source)


def test_f5_a_worker_does_not_go_on_with_good_when_another_process_learnt_revoked(ocsp, monkeypatch):
    worker, jobs = Process(), Process()
    with worker(monkeypatch):
        assert ocsp.log_in() is None
    ocsp.says("revoked", reason="keyCompromise")
    with jobs(monkeypatch):
        assert ocsp.ask()
    with worker(monkeypatch):
        assert ocsp.log_in() is Reason.CERTIFICATE_REVOKED
    assert ocsp.asked == 2  # the worker did not have to ask


def test_f5_revoked_is_not_taken_back_by_any_later_answer(ocsp, monkeypatch):
    ocsp.says("revoked", reason="keyCompromise", at=moment() - 5 * MINUTE)
    assert ocsp.log_in() is Reason.CERTIFICATE_REVOKED
    for status in ("good", "unknown"):
        ocsp.says(status)
        ocsp.ask()
        assert "where revoked of" in ocsp.error  # the operator is told that the CA contradicts itself
        assert ocsp.log_in() is Reason.CERTIFICATE_REVOKED
        with Process()(monkeypatch):  # nor on disk
            assert ocsp.log_in() is Reason.CERTIFICATE_REVOKED


def test_f5_revoked_counts_whatever_was_known_that_is_newer(ocsp):
    ocsp.ask()
    ocsp.says("revoked", reason="superseded", at=moment() - 20 * MINUTE)
    ocsp.ask()
    assert ocsp.log_in() is Reason.CERTIFICATE_REVOKED


def test_f5_an_older_good_answer_replaces_nothing(ocsp, monkeypatch):
    ocsp.says("revoked", reason="certificateHold")
    ocsp.ask()
    ocsp.says("good", at=moment() - 9 * MINUTE, nonce=False)  # what somebody recorded before the hold
    ocsp.ask()
    assert "says good of" in ocsp.error
    assert ocsp.log_in() is Reason.CERTIFICATE_ON_HOLD
    with Process()(monkeypatch):
        assert ocsp.log_in() is Reason.CERTIFICATE_ON_HOLD


def test_a_lag_among_the_servers_of_one_responder_is_no_error(ocsp):
    ocsp.ask()
    ocsp.says("good", at=moment() - MINUTE)
    assert ocsp.ask()
    assert ocsp.error == ""


def test_f5_the_comparison_is_with_the_disk_too(ocsp, monkeypatch):
    with Process()(monkeypatch):
        ocsp.says("revoked", reason="keyCompromise")
        ocsp.ask()
    ocsp.says("good")
    with Process()(monkeypatch):
        ocsp.ask()
        assert ocsp.at_hand() == "revoked"
        assert "where revoked of" in ocsp.error


def test_a_hold_that_was_lifted_is_lifted(ocsp, monkeypatch):
    ocsp.says("revoked", reason="certificateHold", at=moment() - MINUTE)
    assert ocsp.log_in() is Reason.CERTIFICATE_ON_HOLD
    ocsp.says("good")
    ocsp.ask()
    assert ocsp.log_in() is None
    with Process()(monkeypatch):
        assert ocsp.log_in() is None


@pytest.mark.parametrize(("status", "reason"), [("good", None), ("revoked", "certificateHold")])
def test_an_answer_that_ran_out_is_asked_for_anew_at_the_next_login(ocsp, monkeypatch, status, reason):
    """Once it stayed: the file that had run out was believed to be an answer, and nobody asked again for two days."""
    ocsp.says(status, reason=reason, at=moment() - 3 * MINUTE, life=4 * MINUTE)
    ocsp.log_in()
    monkeypatch.setattr(ocsp_cache.timezone, "now", lambda: moment() + 2 * MINUTE)
    ocsp.says("good", at=moment() + 2 * MINUTE)
    assert ocsp.log_in() is None
    assert ocsp.asked == 2


def test_a_responder_that_forgot_a_certificate_takes_back_what_it_said(ocsp, monkeypatch):
    """Else the good answer on disk would count again as soon as nobody remembers the unknown one."""
    ocsp.says("good", at=moment() - MINUTE)
    ocsp.ask()
    ocsp.says("unknown")
    ocsp.ask()
    assert ocsp.log_in() is Reason.REVOCATION_UNKNOWN
    with Process()(monkeypatch):
        assert ocsp.at_hand() == "nothing"
        assert ocsp.log_in() is Reason.REVOCATION_UNKNOWN


def test_a_file_that_was_put_back_behind_our_back_is_no_rollback(ocsp):
    ocsp.says("good", at=moment() - MINUTE)
    ocsp.ask()
    older = ocsp.file.read_bytes()
    ocsp.says("revoked", reason="keyCompromise")
    ocsp.ask()
    ocsp.file.write_bytes(older)
    assert ocsp.at_hand() == "revoked"
    ocsp.file.unlink()
    assert ocsp.at_hand() == "revoked"


def test_a_file_that_is_damaged_makes_it_ask_again(ocsp):
    ocsp.ask()
    ocsp.file.write_bytes(b"nonsense")
    assert ocsp.at_hand() == "nothing"
    assert ocsp.log_in() is None
    assert ocsp.asked == 2


def test_what_a_full_disk_did_not_keep_is_remembered_and_still_gives_way_to_worse(ocsp, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    worker = Process()
    with worker(monkeypatch), monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkstemp", full)
        ocsp.ask()
        assert ocsp.at_hand() == "good"
    ocsp.says("revoked", reason="keyCompromise")
    with Process()(monkeypatch):
        ocsp.ask()
    with worker(monkeypatch):
        assert ocsp.at_hand() == "revoked"


def test_many_writers_at_once_leave_the_strongest(ocsp, monkeypatch):
    issuer, serial, graph = ocsp.question
    now = moment()
    made = []
    for minute in range(8):
        reason = {"reason": "keyCompromise"} if minute == 3 else {}
        status = "revoked" if minute == 3 else "good"
        body = ocsp_answer(
            ocsp.world.family.issuing, serial, status, this_update=now - minute * MINUTE, next_update=now + HOUR, **reason
        )
        message = ocsp_cache.read_response(body)
        made.append((ocsp_cache.responses_about(message, issuer, serial, graph=graph)[0], body))
    start = threading.Barrier(len(made))

    def put(item, body):
        start.wait(20)
        ocsp_cache.put(issuer, serial, item, body, graph=graph)

    threads = [threading.Thread(target=put, args=pair) for pair in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert ocsp.at_hand() == "revoked"
    with Process()(monkeypatch):
        assert ocsp.at_hand() == "revoked"


def test_old_files_go_but_not_those_that_say_revoked(ocsp):
    at = moment()
    ocsp.ask()
    then = time.time() - 3 * 86400
    os.utime(ocsp.file, (then, then))
    assert ocsp_cache.sweep(at=at) == 1
    ocsp_cache.forget_memory()
    ocsp.says("revoked", reason="keyCompromise")
    ocsp.ask()
    os.utime(ocsp.file, (then, then))
    assert ocsp_cache.sweep(at=at) == 0
    (ocsp.file.parent / "a directory").mkdir()
    assert ocsp_cache.sweep(at=at + timedelta(days=4000)) == 1


def test_an_answer_without_our_nonce_is_not_let_in_by_asking_twice(ocsp):
    """The narrower limit holds for the answer as it was fetched; kept and judged as a kept one it would count for an hour."""
    ocsp.says("good", at=moment() - 30 * MINUTE, nonce=False)
    for _ in range(2):
        assert ocsp.log_in() is Reason.REVOCATION_UNAVAILABLE
    assert ocsp.error == "the OCSP answer is older than 600 s (by the rule ocsp_live_max_age)"
    assert ocsp.at_hand() == "nothing"


def test_an_answer_that_was_fresh_when_it_was_fetched_counts_as_a_kept_one_later(ocsp, monkeypatch):
    ocsp.says("good", at=moment() - 5 * MINUTE, nonce=False)
    assert ocsp.log_in() is None
    issuer, serial, graph = ocsp.question
    kept = ocsp_cache.answers(issuer, serial, graph=graph)[0]
    assert (kept.live, kept.single.status) == (False, CertStatus.GOOD)
    steps = frozenset({Step.GATE, Step.PATH, Step.REVOCATION})
    later = moment() + 20 * MINUTE
    verdict = with_live_answers(
        lambda evidence: verify_certificate(
            ocsp.world.lock.certificate, VerificationInputs(current_register(), later, evidence, steps=steps)
        )
    )
    assert (verdict.reason, ocsp.asked) == (None, 1)


def test_an_unknown_that_was_believed_long_enough_stands_in_no_answers_way(ocsp, monkeypatch):
    """A responder that answers in batches knows a new lock later, with answers that carry the time of its last batch."""
    ocsp.says("unknown")
    assert ocsp.log_in() is Reason.REVOCATION_UNKNOWN
    ocsp.says("good", at=moment() - 2 * MINUTE)
    with later(monkeypatch, seconds=40):
        assert ocsp.log_in() is None
        assert ocsp.error == ""


def test_a_hold_that_was_lifted_is_noticed_at_the_next_login(ocsp, monkeypatch):
    ocsp.says("revoked", reason="certificateHold")
    assert ocsp.log_in() is Reason.CERTIFICATE_ON_HOLD
    assert ocsp.log_in() is Reason.CERTIFICATE_ON_HOLD
    assert ocsp.asked == 1
    ocsp.says("good", at=moment() + 40 * SECOND)
    with later(monkeypatch, seconds=60):
        assert ocsp.log_in() is None
    assert ocsp.asked == 2


def test_a_hold_stays_one_while_nobody_can_be_asked(ocsp, monkeypatch):
    ocsp.says("revoked", reason="certificateHold")
    assert ocsp.log_in() is Reason.CERTIFICATE_ON_HOLD
    del ocsp.source.answers["/ocsp"]
    with later(monkeypatch, seconds=60):
        assert ocsp.log_in() is Reason.CERTIFICATE_ON_HOLD


def test_an_emergency_lifts_the_age_limit_of_answers_as_well(db, source):
    issuing = Certificate.parse(family("EC").issuing.certificate).spki_sha256
    rules = {"revocation": {"emergencies": [f"{issuing}:{(moment() + 3 * HOUR).isoformat()}"]}}
    _install(rules)
    ocsp = OcspWorld(source)
    ocsp.says("good", at=moment() - 2 * HOUR, life=24 * HOUR)
    assert ocsp.log_in() is None


def test_without_an_emergency_the_age_limit_holds(ocsp):
    ocsp.says("good", at=moment() - 2 * HOUR, life=24 * HOUR)
    assert ocsp.log_in() is not None


def test_rules_that_do_without_data_ask_for_them_first(db, source):
    _install({"revocation": {"mode": "if_available"}})
    ocsp = OcspWorld(source)
    ocsp.says("revoked", reason="keyCompromise")
    assert ocsp.log_in() is Reason.CERTIFICATE_REVOKED


def test_and_go_on_when_there_are_none(db, source):
    _install({"revocation": {"mode": "if_available"}})
    ocsp = OcspWorld(source)
    del source.answers["/ocsp"]
    assert ocsp.log_in() is None
    assert ocsp.asked == 1
    assert ocsp.error


def test_one_who_has_little_time_left_does_not_make_a_responder_look_dead(ocsp):
    """A responder slower than somebody's last half second is still asked by the next."""
    answered = threading.Event()

    def slow(handler) -> None:
        answered.wait(20)
        ocsp._answer(handler)

    ocsp.source.answers["/ocsp"] = slow
    issuer, _, graph = ocsp.question
    live.forget_failures()
    assert not fetch_ocsp(ocsp.world.leaf, issuer, graph=graph, at=moment(), patience=Patience(0.6))
    answered.set()
    ocsp_cache.forget_memory()
    ocsp.source.answers["/ocsp"] = ocsp._answer
    assert fetch_ocsp(ocsp.world.leaf, issuer, graph=graph, at=moment(), patience=Patience(20))


def test_what_counts_by_one_providers_rules_is_nothing_to_another_with_the_same_ca(ocsp):
    """A responder that only the other site's provider pinned says good of every lock; the CA's own CRL is both providers'."""
    family, source = ocsp.world.family, ocsp.source
    pinned = pki.make_root("another's responder", "EC", not_before=moment() - HOUR, not_after=moment() + HOUR)
    rules = {"revocation": {"responders": [f"{family.issuing.key.spki_sha256}:{pinned.key.spki_sha256}"]}}
    urls = {"ocsp_urls": (source.url("/pinned"),), "private_network": True}
    install(replace(family, provider="zcy-lianxi"), rules=rules, sites=["zcy"], addresses=({}, urls))
    forget_register()

    def answer(handler) -> None:
        given = {"this_update": moment(), "next_update": moment() + HOUR, "nonce": nonce_of(handler.body)}
        handler.send(ocsp_answer(family.issuing, ocsp.world.leaf.serial, "good", responder=pinned, **given))

    source.answers["/pinned"] = answer

    def judged(site: str) -> Reason | None:
        steps = frozenset({Step.GATE, Step.PATH, Step.REVOCATION})
        live.forget_failures()
        certificate = ocsp.world.lock.certificate
        return with_live_answers(
            lambda evidence: verify_certificate(
                certificate, VerificationInputs(current_register(), moment(), evidence, site=site, steps=steps)
            )
        ).reason

    ocsp.says("unknown")
    assert judged("zcy") is None
    assert judged("shanxi") is Reason.REVOCATION_UNKNOWN
    assert source.asked.count("POST /pinned") == ocsp.asked == 1
    assert judged("zcy") is None
