"""The Web eID browser extension as another way to the same answer.

The extension itself comes from browser stores only; what its content script says to a page (message protocol of web-eid.js 2.0)
is spoken here by a script in the page, and the signature is a real one, made outside of it as the native app would.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from calock.agent.backends.soft import create_soft_lock
from calock.core import libcrypto
from calock.core.certificates import signatures
from calock.demo import pki
from calock.demo.people import organisation
from calock.demo.practice import open_practice
from journeys.people import Person

SERIAL, PIN = "7301409900003301", "314159"
CONTENT_SCRIPT = """
window.addEventListener("message", async (event) => {
  const { action, challengeNonce } = event.data ?? {};
  if (event.source !== window || !["web-eid:status", "web-eid:authenticate"].includes(action)) return;
  window.postMessage({ action: action + "-ack" }, location.origin);
  if (action === "web-eid:status") return window.postMessage({ action: action + "-success", extension: "2.3.0" }, location.origin);
  const token = await window.nativeApp(location.origin, challengeNonce);
  window.postMessage(token ? { action: action + "-success", ...token }
    : { action: action + "-failure", error: { code: "ERR_WEBEID_USER_CANCELLED", message: "" } }, location.origin);
});
"""


def test_log_in_with_the_extension(person: Person) -> None:
    practice = open_practice(person.platform.place.root)
    now = datetime.now(UTC).replace(microsecond=0)
    sample, key = organisation("supplier"), pki.make_key("EC")
    certificate = practice.families["huren-p256"].issuing.issue_lock(
        sample.name, key, not_before=now - timedelta(days=1), not_after=now + timedelta(days=300),
        organisation=sample.name, uscc=sample.uscc, lock_id=SERIAL,
    )  # fmt: skip
    create_soft_lock(
        person.platform.place.locks, pin=PIN, key_pkcs8=key.private_pkcs8, certificate_der=certificate, serial=SERIAL, label="eID"
    )
    answers = [False, True]  # the user cancels once

    def native_app(_: object, origin: str, challenge: str) -> dict[str, str] | None:
        if not answers.pop(0):
            return None
        signature = libcrypto.der_to_raw(key.sign(signatures.signed_message("ES256", origin, challenge)))
        return {
            "unverifiedCertificate": base64.b64encode(certificate).decode(),
            "algorithm": "ES256",
            "signature": base64.b64encode(signature).decode(),
            "format": "web-eid:1.0",
            "appVersion": "https://web-eid.eu/web-eid-app/releases/2.6.0",
        }

    person.page.expose_binding("nativeApp", native_app)
    person.page.add_init_script(CONTENT_SCRIPT)
    person.enter("cssbjgys02")
    person.unbind_all("cssbjgys02")  # what journeys before left bound, or the page asks which of the firm's locks this one is
    person.bind(SERIAL[-4:], PIN, here=True)
    person.expect_bound()
    person.log_out()
    panel = person.open_ca_login()
    panel.get_by_role("button", name="用 Web eID 浏览器扩展登录").click()
    person.expect_refused("取消")
    panel.get_by_role("button", name="用 Web eID 浏览器扩展登录").click()
    person.expect_inside()


def test_without_the_extension_it_is_not_offered(person: Person) -> None:
    panel = person.open_ca_login()
    expect(panel.get_by_role("button", name="用 Web eID 浏览器扩展登录")).to_be_hidden()
