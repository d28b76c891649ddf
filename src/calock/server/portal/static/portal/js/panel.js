// What a person sees of the driver: the strip, a lock's card, the state of its certificate and its PIN.

import { data, day, labelOf, refusal, say } from "./data.js";
import { actionButton, element, redraw } from "./dom.js";
import { describe, problemsOf, whyNoLock } from "./driver-problems.js";

/** @import { Driver } from "./driver.js" */
/** @typedef {{ label: string, href?: string, click?: () => void }} Action leads to a page, or is done here */

/** @param {string} source */
export function picture(source) {
  return element("img", { src: source, alt: say("picture"), width: 360, height: 190 });
}

/** @param {string} reason */
export function pictureOf(reason) {
  const source = data.pictures[reason];
  return source === undefined ? null : picture(source);
}

export function exclamation() {
  return element("span", { class: "icon", "aria-hidden": "true" }, "!");
}

/** @param {Wire.LockInfo[]} locks */
function allExpired(locks) {
  return locks.length > 0 && locks.every(({ expired }) => expired);
}

const TONES = { searching: "searching", gesture: "warn", asking: "warn", ready: "good", failed: "bad" };

/**
 * @param {Driver} driver
 * @param {boolean} toChoose one of the locks is to be chosen on this part of the page
 */
function stripText(driver, toChoose) {
  const { state, reason, facts, locks } = driver;
  if (state === "failed") return refusal(reason, facts).message;
  if (state !== "ready") return say(state);
  const [first] = locks;
  const problem = whyNoLock(driver);
  if (!first) return problem ? describe(problem).message : say("ready_none");
  const devices = new Set(locks.map((lock) => lock.device));
  if (devices.size > 1) return say(toChoose ? "ready_many" : "ready_several", { count: devices.size });
  return say(allExpired(locks) ? "ready_expired" : "ready_one", { name: first.name });
}

/** What looking again alone does not mend: the action leads to what helps. */
const EXPLAINED = [
  "DRIVER_PERMISSION_DENIED",
  "DRIVER_CERTIFICATE",
  "DRIVER_NOT_ANSWERING",
  "DRIVER_SEVERAL",
  "DRIVER_KEY_INVALID",
  "DRIVER_PORTS_TAKEN",
];

/**
 * @param {Driver} driver
 * @returns {Action | null}
 */
function stripAction(driver) {
  const look = () => void driver.look(true);
  if (driver.state === "gesture") return { label: say("start"), click: look };
  const problem = driver.state === "ready" ? whyNoLock(driver) : undefined;
  if (problem) return describe(problem).action;
  if (driver.state !== "failed") return null;
  if (driver.reason === "DRIVER_CHANGED") return { label: say("driver_accept"), click: () => void driver.accept() };
  const { action } = refusal(driver.reason, driver.facts);
  if (EXPLAINED.includes(driver.reason)) return action;
  const missing = ["DRIVER_ABSENT", "DRIVER_TOO_OLD", "DRIVER_OTHER_VENDOR", "ORIGIN_NOT_ALLOWED"].includes(driver.reason);
  if (missing) return { label: action.label, href: data.download };
  return { label: say("retry"), click: look };
}

/** @param {Action} action */
function stripButton({ label, href, click }) {
  if (click) return actionButton(label, "button", click);
  return element("a", { class: "button", href, target: "_blank", rel: "opener" }, label);
}

/**
 * Draw one device strip: what is going on, and at most one thing to do.
 *
 * @param {HTMLElement} place
 * @param {Driver} driver
 * @param {boolean} chosen the lock to use is chosen
 */
export function drawStrip(place, driver, chosen = false) {
  const empty = driver.state === "ready" && driver.locks.length === 0;
  const problem = empty ? whyNoLock(driver) : undefined;
  const calm = (empty && !problem) || allExpired(driver.locks) || driver.reason === "DRIVER_ABSENT"; // nothing has gone wrong yet
  const tone = problem ? "bad" : TONES[driver.state];
  place.className = `device ${calm ? "warn" : tone}`;
  place.dataset.state = driver.state;
  place.dataset.reason = problem?.reason ?? driver.reason;
  const action = stripAction(driver);
  const text = element("span", { class: "text" }, stripText(driver, !("stateOnly" in place.dataset) && !chosen));
  redraw(place, [element("span", { class: "dot" }), text, ...(action ? [stripButton(action)] : [])]);
  place.parentElement?.querySelector("[data-coach]")?.remove();
  const hints = [coach(driver), ...notes(driver)].filter((hint) => hint !== null);
  if (hints.length > 0) place.after(element("div", { class: "coach", "data-coach": true }, ...hints));
}

/**
 * The drawing that helps now, if one does.
 *
 * @param {Driver} driver
 */
function coach({ state, reason }) {
  if (state === "failed") return pictureOf(reason);
  return state === "asking" || state === "gesture" ? pictureOf("DRIVER_PERMISSION_PROMPT") : null;
}

/** How an installed driver is started here; on a phone there is none. */
function howToStart() {
  const { userAgent } = navigator;
  if (userAgent.includes("Windows")) return say("start_windows");
  if (userAgent.includes("Macintosh")) return say("start_macos");
  return userAgent.includes("Linux") && !userAgent.includes("Android") ? say("start_linux") : "";
}

/**
 * Sentences below the strip: how to start the driver, and what is wrong besides the locks that can be used.
 *
 * @param {Driver} driver
 */
function notes(driver) {
  if (["DRIVER_ABSENT", "DRIVER_STOPPED"].includes(driver.reason) && howToStart()) return [element("p", { class: "hint" }, howToStart())];
  const told = driver.state === "ready" ? problemsOf(driver).slice(driver.locks.length > 0 ? 0 : 1) : [];
  return told.map((problem) => {
    const { message, action } = describe(problem);
    const link = element("a", { class: "link", href: action.href, target: "_blank", rel: "opener" }, action.label);
    return element("p", { class: "hint", "data-reason": problem.reason }, message, " ", link);
  });
}

const USB =
  '<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linejoin="round" aria-hidden="true"><rect x="7" y="9" width="10" height="12" rx="2"/><path d="M9 9V3.5h6V9"/></svg>';

/** @param {string} markup our own */
function icon(markup) {
  return new DOMParser().parseFromString(markup, "text/html").body.firstChild;
}

/**
 * One lock as a card of the chooser.
 *
 * @param {Wire.LockInfo} lock
 * @param {string} group name of its radio button
 * @param {{ checked: boolean, bound: boolean, provider: Portal.Provider | undefined }} known
 */
export function lockCard(lock, group, { checked, bound, provider }) {
  const tail = lock.deviceSerial.replace(/^\*+/, "");
  const serial = tail ? say("serial", { serial: tail }) : "";
  const title = [labelOf(tail), serial, provider?.shortName ?? lock.issuer].filter(Boolean).join(" · "); // what tells locks apart
  const names = [...new Set([lock.name, lock.organisation])].filter(Boolean).join(" · ");
  const until = say("until", { day: day(lock.notAfter) });
  const lines = [names, lock.expired ? `${until} ${say("expired")}` : until].map((line) => element("small", {}, line));
  if (bound) lines.push(element("small", { class: "bound" }, say("bound_lock")));
  return element(
    "label",
    { class: lock.expired ? "lock expired" : "lock" },
    element("input", { type: "radio", name: group, value: lock.id, checked }),
    element("span", { class: "pic" }, icon(USB)),
    element("span", {}, element("b", {}, title), ...lines),
  );
}

/**
 * @param {"bad" | "warn"} tone
 * @param {string} text
 * @param {...(Node | null)} more
 */
function alertLine(tone, text, ...more) {
  return element("div", { class: `alert ${tone}` }, exclamation(), element("p", {}, text), ...more);
}

/**
 * An expired or foreign certificate, tries left, default PIN, tries that only the driver's window uses, locked PIN: all before
 * anything is typed.
 *
 * @param {Element} place
 * @param {Wire.LockInfo | null} lock
 * @param {Portal.Provider | undefined} provider
 * @param {{ known: boolean, needsWindow: boolean }} facts the recognised providers are known; only the driver's window may take the
 *   next PIN
 */
export function drawPinFacts(place, lock, provider, { known, needsWindow }) {
  const hidden = needsWindow ? [alertLine("warn", say("hidden_lock"))] : [];
  place.replaceChildren(
    ...(lock ? [...certificateFacts(lock, provider, known), ...pinFacts(lock.pin, provider, needsWindow)] : hidden),
  );
}

/**
 * The line that names the CA of a lock, where it is known.
 *
 * @param {Portal.Provider | undefined} provider
 */
export function caLine(provider) {
  if (!provider?.hotline) return null;
  const number = element("span", { class: "nowrap" }, provider.hotline); // last in every language
  return element("p", { class: "ca" }, say("lock_ca", { provider: provider.name, hotline: "" }), number);
}

/**
 * @param {Wire.LockInfo} lock
 * @param {Portal.Provider | undefined} provider
 * @param {boolean} known
 */
function certificateFacts(lock, provider, known) {
  const found = [];
  if (lock.expired) {
    const { label, href } = refusal("CERTIFICATE_EXPIRED").action;
    const renew = element("a", { href: [provider?.renewUrl, href].find(Boolean), target: "_blank", rel: "opener" }, label);
    found.push(alertLine("bad", say("expired_lock", { day: day(lock.notAfter) }), caLine(provider), element("p", {}, renew)));
  }
  if (known && !provider) {
    const { message, action } = refusal("CERTIFICATE_UNTRUSTED");
    const list = element("a", { href: action.href, target: "_blank", rel: "opener" }, action.label);
    found.push(alertLine("bad", message, element("p", {}, list)));
  }
  return found;
}

/**
 * @param {Wire.PinState} pin
 * @param {Portal.Provider | undefined} provider
 * @param {boolean} needsWindow
 */
function pinFacts({ triesLeft, locked, reserved, onReader, default: initial }, provider, needsWindow) {
  if (locked) {
    const complete = provider?.name && provider.hotline;
    return [alertLine("bad", say(complete ? "locked" : "locked_plain", { provider: provider?.name, hotline: provider?.hotline }))];
  }
  const facts = [];
  if (reserved) facts.push(alertLine("warn", triesLeft === null ? say("reserved_unknown") : say("reserved", { count: triesLeft })));
  else if (needsWindow) facts.push(alertLine("warn", say("window_only")));
  else if (triesLeft !== null) facts.push(element("p", { class: "hint" }, say("tries", { count: triesLeft })));
  if (onReader && !needsWindow) facts.push(alertLine("warn", say("on_reader")));
  if (initial) facts.push(alertLine("warn", say("default_pin")));
  return facts;
}
