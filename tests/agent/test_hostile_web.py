"""A thousand requests of a hostile page in a real Chromium: no signature, no PIN prompt, nothing that identifies (B01, R19)."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent.chromium import Site, chromium, chromium_path, serving
from agent.driving import CHALLENGE, PIN, make_lock

from calock.agent.backends.softlock import read_soft_lock

pytestmark = pytest.mark.skipif(not chromium_path(), reason="Chromium is not installed")

EVIL = """<!doctype html><meta charset="utf-8"><title>evil</title><body><script>
const tell = {read: [], loaded: [], frames: 0, sockets: 0, asked: 0};
const soon = (what) => Promise.race([what, new Promise((done) => setTimeout(done, 3000))]);
const paths = ["/v1/hello", "/v1/locks", "/v1/authenticate", "/v1/diagnosis", "/v1/pin/change", "/v1/events",
  "/window/authenticate", "/window/sign", "/status/view", "/status/session", "/status/launch", "/ui/status.js", "/ui/common.css",
  "/ui/mark.svg", "/", "/favicon.ico"];
const json = {"Content-Type": "application/json", "X-Calock": "1"};

async function read(url, options) {
  tell.asked++;
  try {
    const response = await fetch(url, options);
    if (response.type !== "opaque") tell.read.push([url, response.status, await response.text()]);
  } catch {}
}

function element(name, attributes) {
  tell.asked++;
  return soon(new Promise((done) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.onload = () => { if (name !== "iframe" && name !== "object") tell.loaded.push([name, attributes]); done(); };
    made.onerror = done;
    document.body.append(made);
  }));
}

function socket(url, protocols) {
  tell.asked++;
  return soon(new Promise((done) => {
    const made = new WebSocket(url, protocols);
    made.onopen = () => { tell.sockets++; done(); };
    made.onerror = made.onclose = done;
  }));
}

function stream(url) {
  tell.asked++;
  return soon(new Promise((done) => {
    const made = new EventSource(url);
    made.onopen = () => { tell.sockets++; made.close(); done(); };
    made.onerror = () => { made.close(); done(); };
  }));
}

function form(url, kind, body) {
  tell.asked++;
  const name = "frame" + tell.asked;
  const frame = Object.assign(document.createElement("iframe"), {name});
  const made = Object.assign(document.createElement("form"), {action: url, method: "post", target: name, enctype: kind});
  for (const [key, value] of Object.entries(body)) made.append(Object.assign(document.createElement("input"), {name: key, value}));
  document.body.append(frame, made);
  return soon(new Promise((done) => { frame.onload = () => { frame.remove(); done(); }; made.submit(); }));
}

async function attackOne(url, body, round) {
  const text = JSON.stringify(body);
  await Promise.all([
    read(url, {method: "POST", headers: json, body: text}),
    read(url, {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body: text}),
    read(url, {method: "POST", credentials: "include", body: new URLSearchParams(body)}),
    read(url + "?" + new URLSearchParams(body), {mode: round % 2 ? "cors" : "no-cors"}),
    read(url, {method: "PUT", headers: json, body: text}),
    read(url, {method: "POST", headers: {...json, "X-Forwarded-For": "127.0.0.1"}, body: text, referrerPolicy: "no-referrer"}),
    element("img", {src: url + "?i" + round}),
    element("script", {src: url + "?s" + round}),
    element("link", {rel: "stylesheet", href: url + "?l" + round}),
    element("script", {type: "module", src: url + "?m" + round}),
    element("iframe", {src: url + "?f" + round}),
    stream(url),
    form(url, round % 2 ? "text/plain" : "application/x-www-form-urlencoded", body),
    form(url, "multipart/form-data", body),
    ...(round ? [] : [socket(url.replace("http", "ws"), ["calock.v1"])]),  // browsers slow down pages whose sockets fail
  ]);
}

async function attack(base, body, rounds) {
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < paths.length; at += 8)
      await Promise.all(paths.slice(at, at + 8).map((path) => attackOne(base + path, body, round)));
  }
  return tell;
}
</script>"""


def test_b01_b11_a_thousand_hostile_requests_of_a_browser(start, locks: Path) -> None:
    made = make_lock(locks)
    driver = start(soft_dir=locks)
    untouched = made.path.stat().st_mtime_ns
    body = {"challenge": CHALLENGE, "state": "s" * 22, "lock": "x", "pin": PIN, "code": "x", "ticket": "x"}
    with serving(Site({"/": EVIL})) as site, chromium() as browser:
        page = browser.new_context().new_page()
        page.set_default_timeout(240_000)
        page.goto(site.at("evil"))
        page.evaluate("([base, body]) => attack(base, body, 4)", [driver.address, body])
        heard = page.evaluate("([base, body]) => attack(base, body, 1)", [f"http://localhost:{driver.port}", body])
    asked = heard["asked"]
    assert asked >= 1000, asked
    assert heard["read"] == [], "an answer could be read"
    assert heard["loaded"] == [], "an image, script or style came through: the driver shows that it is there"
    assert heard["sockets"] == 0
    assert "answer given" not in driver.log
    assert made.path.stat().st_mtime_ns == untouched, "a PIN was tried"
    assert read_soft_lock(made.path).tries_left == 6
    assert driver.call("/v1/diagnosis").json["reasons"] == {}


def test_b03_a_name_that_is_rebound_to_this_computer_reaches_nothing(start, locks: Path) -> None:
    """DNS rebinding: the page's own name now leads to the driver, so its requests are same-origin for the browser."""
    make_lock(locks)
    driver = start(soft_dir=locks)
    without_its_own_defence = "--disable-features=LocalNetworkAccessChecks"  # not every browser has it
    with chromium("--host-resolver-rules=MAP rebound.example 127.0.0.1", without_its_own_defence) as browser:
        page = browser.new_context().new_page()
        place = f"http://rebound.example:{driver.port}/"
        page.route(
            place, lambda route: route.fulfill(body=EVIL, content_type="text/html")
        )  # while the name still led to the attacker
        page.goto(place)
        call = "(url) => fetch(url, {method: 'POST', headers: json, body: '{}'}).then(async (r) => [r.status, await r.text()])"
        for path in ("/v1/hello", "/v1/locks", "/status/view", "/ui/status.js"):
            assert page.evaluate(call, path) == [421, ""]


def test_an_allowed_page_in_the_same_browser_works(start, locks: Path) -> None:
    """The control: the same browser, the same kind of page, but an allowed origin."""
    make_lock(locks)
    with serving(Site({"/": EVIL})) as site, chromium() as browser:
        driver = start(soft_dir=locks, origins=[site.at("shanxi")])
        page = browser.new_context().new_page()
        page.goto(site.at("shanxi"))
        call = (
            "([url, message]) => fetch(url, {method: 'POST', headers: json, body: JSON.stringify(message)}).then((r) => r.json())"
        )
        assert page.evaluate(call, [driver.address + "/v1/hello", {}])["driver"] == "calock"
        [lock] = page.evaluate(call, [driver.address + "/v1/locks", {}])["locks"]
        message = {"lock": lock["id"], "challenge": CHALLENGE, "pin": PIN}
        assert "token" in page.evaluate(call, [driver.address + "/v1/authenticate", message])
        listen = (
            "(url) => new Promise((done) => { new WebSocket(url, 'calock.v1').onmessage = (e) => done(JSON.parse(e.data).event); })"
        )
        assert page.evaluate(listen, driver.address.replace("http", "ws") + "/v1/events") == "locks"
