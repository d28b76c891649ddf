"""What the server makes of the driver's proof of its key that comes with an answer."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from worlds.browser import HOSTS, Browser, logged_in, reason_of
from worlds.locks import LockWorld
from worlds.practice import ORIGIN, family, make_lock
from worlds.rows import install

from calock.agent.driver_key import DriverKey
from calock.server.audit.models import AuditEvent
from calock.server.challenges.models import SpentChallenge
from calock.server.locks.models import KnownDriver
from calock.server.notices.models import Notice
from calock.server.sessions.models import Session
from calock.wire.driver_key import DriverProof

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(tmp_path: Path) -> DriverKey:
    return DriverKey(tmp_path)


def proof(key: DriverKey, challenge: str, origin: str = ORIGIN) -> DriverProof:
    return key.prove("answer", origin=origin, port=47113, nonce=challenge)


def fingerprint(proven: DriverProof) -> str:
    return hashlib.sha256(b64decode(proven.key)).hexdigest()


def log_in(lock, challenge: str, browser: Browser, driver: object):
    return browser.post("/api/login", {"challenge": challenge, "token": lock.sign(challenge), "driver": driver})


def test_binding_and_login_keep_which_driver_gave_the_answer(lock_world: LockWorld, key: DriverKey):
    lock = make_lock("EC")
    browser = logged_in(lock_world.member)
    aim = {"member": str(lock_world.member.pk), "provider": lock.family.provider}
    text = browser.challenge("bind", **aim)
    proven = proof(key, text)
    body = {"challenge": text, "token": lock.sign(text), "driver": msgspec.to_builtins(proven), **aim}
    assert browser.post("/api/bindings", body).status_code == 200
    assert AuditEvent.objects.get(event="binding:lock:added").details["driver_key"] == fingerprint(proven)
    stranger = Browser()
    text = stranger.challenge()
    answer = log_in(lock, text, stranger, msgspec.to_builtins(proof(key, text)))
    assert answer.status_code == 200, answer.content.decode()
    assert AuditEvent.objects.get(event="login:ca:succeeded").details["driver_key"] == fingerprint(proven)


@pytest.mark.parametrize("wrong", ["other challenge", "other origin", "other key", "no signature"])
def test_a_proof_that_does_not_hold_lets_nobody_in_and_uses_the_challenge_up(
    lock_world: LockWorld, key: DriverKey, tmp_path: Path, wrong: str
):
    lock = make_lock("EC")
    owner = logged_in(lock_world.member)
    assert owner.bind(lock, lock_world.member).status_code == 200
    spent = SpentChallenge.objects.count()
    browser = Browser()
    text = browser.challenge()
    (tmp_path / "other").mkdir()
    proven = {
        "other challenge": proof(key, text[:-1] + "x"),
        "other origin": proof(key, text, "https://evil.example"),
        "other key": msgspec.structs.replace(proof(key, text), key=proof(DriverKey(tmp_path / "other"), text).key),
        "no signature": msgspec.structs.replace(proof(key, text), signature=""),
    }[wrong]
    answer = log_in(lock, text, browser, msgspec.to_builtins(proven))
    assert answer.status_code == 400
    assert reason_of(answer) == "DRIVER_KEY_INVALID"
    assert not Session.objects.filter(method="ca").exists()
    assert SpentChallenge.objects.count() == spent + 1


@pytest.mark.parametrize("driver", ["text", {"key": 1}, {"key": "", "port": "x", "version": "", "signature": ""}])
def test_what_is_no_proof_is_a_malformed_request(lock_world: LockWorld, driver: object):
    lock = make_lock("EC")
    browser = Browser()
    text = browser.challenge()
    assert reason_of(log_in(lock, text, browser, driver)) == "REQUEST_MALFORMED"


def test_a_driver_that_proves_nothing_is_served_all_the_same(lock_world: LockWorld):
    """A browser extension in the driver's place has no such key."""
    lock = make_lock("EC")
    assert logged_in(lock_world.member).bind(lock, lock_world.member).status_code == 200
    browser = Browser()
    text = browser.challenge()
    assert log_in(lock, text, browser, None).status_code == 200
    assert "driver_key" not in AuditEvent.objects.get(event="login:ca:succeeded").details


def test_a_driver_that_is_new_to_the_account_is_told_and_refuses_nobody(lock_world: LockWorld, tmp_path: Path):
    """The first is nothing to tell; another is a new computer, or in a browser that knows the account another driver."""
    lock = make_lock("EC")
    assert logged_in(lock_world.member).bind(lock, lock_world.member).status_code == 200
    keys = []
    for name in ("office", "home", "again"):
        (tmp_path / name).mkdir()
        keys.append(DriverKey(tmp_path / name))

    def enter(key: DriverKey, browser: Browser) -> list[str]:
        """What is told by this login."""
        before = set(Notice.objects.values_list("pk", flat=True))
        text = browser.challenge()
        assert log_in(lock, text, browser, msgspec.to_builtins(proof(key, text))).status_code == 200
        return [notice.kind for notice in Notice.objects.exclude(pk__in=before)]

    office, home = Browser(), Browser()
    assert enter(keys[0], office) == []
    assert enter(keys[0], office) == []
    assert enter(keys[1], home) == ["new_computer"]
    assert enter(keys[1], home) == enter(keys[0], office) == []
    assert enter(keys[2], office) == ["driver_changed"]
    page = office.client.get("/notices/").content.decode()
    assert "首次通过另一台电脑的 CA 驱动使用 CA 锁" in page
    assert "应答的 CA 驱动与以前不同" in page
    assert "请不要再输入 PIN 码" in page
    row = AuditEvent.objects.get(number=Notice.objects.get(kind="driver_changed").facts["number"])
    assert (row.event, row.actor) == ("login:ca:succeeded", lock_world.member.pk)


def test_one_computer_has_a_key_for_each_site_and_is_new_on_neither(lock_world: LockWorld, key: DriverKey):
    install(replace(family("EC"), provider="zcy-lianxi"), sites=["zcy"])
    lock = make_lock("EC")
    assert logged_in(lock_world.member).bind(lock, lock_world.member).status_code == 200
    for site in ("shanxi", "zcy"):
        browser = Browser(host=HOSTS[site])
        origin = f"http://{browser.host}"
        text = browser.challenge()
        sent = {"challenge": text, "token": lock.sign(text, origin=origin), "driver": msgspec.to_builtins(proof(key, text, origin))}
        assert browser.post("/api/login", sent).status_code == 200
    assert KnownDriver.objects.filter(account=lock_world.member).count() == 2
    assert not Notice.objects.exclude(kind="lock_bound").exists()
