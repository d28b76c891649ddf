// What a person sees of the driver: the strip, one problem with one action, a lock's card, the state of its PIN.

import { data, refusal, say } from "./data.js";
import { actionButton, element } from "./dom.js";

/** @import { Shown } from "./data.js" */
/** @import { Driver } from "./driver.js" */
/** @typedef {{ label: string, href?: string, click?: () => void }} Action leads to a page, or is done here */

/** @param {string} source */
export function picture(source) {
  return element("img", { src: source, alt: say("picture"), width: 360, height: 190 });
}

/** @param {string} reason */
function pictureOf(reason) {
  const source = data.pictures[reason];
  return source === undefined ? null : picture(source);
}

function exclamation() {
  return element("span", { class: "icon", "aria-hidden": "true" }, "!");
}

/**
 * @param {Element} place
 * @param {"bad" | "warn"} tone
 * @param {Shown} shown
 * @param {...(Node | string | null)} act what comes of it
 */
function drawProblem(place, tone, { reason, message }, ...act) {
  const parts = [exclamation(), element("p", {}, message), pictureOf(reason), element("p", { class: "act" }, ...act)];
  place.replaceChildren(element("div", { class: `alert ${tone}`, "data-reason": reason }, ...parts));
}

/**
 * One problem, one action: a link when it leads to a page, else a button that calls `retry`.
 *
 * @param {Element} place
 * @param {Shown} shown
 * @param {() => void} retry
 */
export function showProblem(place, shown, retry) {
  const { action, number, again, stay } = shown;
  const elsewhere = stay ? { target: "_blank", rel: "opener" } : {};
  const next =
    !action.href || again
      ? actionButton(action.label, "button", retry)
      : element("a", { class: "button", href: action.href, ...elsewhere }, action.label);
  drawProblem(place, "bad", shown, next, number ? element("span", { class: "code" }, ` ${say("number", { number })}`) : null);
}

/**
 * A problem that the page waits out by itself.
 *
 * @param {Element} place
 * @param {Shown} shown
 */
export function showWaiting(place, shown) {
  drawProblem(place, "warn", shown, say("trying_again"));
}

const TONES = { searching: "searching", gesture: "warn", asking: "warn", ready: "good", failed: "bad" };

/** @param {Driver} driver */
function stripText({ state, reason, facts, locks }) {
  if (state === "failed") return refusal(reason, facts).message;
  if (state !== "ready") return say(state);
  const [first] = locks;
  if (!first) return say("ready_none");
  const devices = new Set(locks.map((lock) => lock.device));
  return devices.size === 1 ? say("ready_one", { name: first.name }) : say("ready_many", { count: devices.size });
}

/**
 * @param {Driver} driver
 * @returns {Action | null}
 */
function stripAction(driver) {
  const look = () => void driver.look(true);
  if (driver.state === "gesture") return { label: say("start"), click: look };
  if (driver.state !== "failed") return null;
  const { action } = refusal(driver.reason, driver.facts);
  if (["DRIVER_PERMISSION_DENIED", "DRIVER_CERTIFICATE"].includes(driver.reason)) return action;
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
 */
export function drawStrip(place, driver) {
  const empty = driver.state === "ready" && driver.locks.length === 0;
  const calm = empty || driver.reason === "DRIVER_ABSENT"; // nothing has gone wrong yet
  place.className = `device ${calm ? "warn" : TONES[driver.state]}`;
  place.dataset.state = driver.state;
  place.dataset.reason = driver.reason;
  const action = stripAction(driver);
  const text = element("span", { class: "text" }, stripText(driver));
  place.replaceChildren(element("span", { class: "dot" }), text, action ? stripButton(action) : "");
  place.parentElement?.querySelector("[data-coach]")?.remove();
  const drawing = coach(driver);
  if (drawing) place.after(element("div", { class: "coach", "data-coach": true }, drawing, ...problems(driver)));
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

/** @param {Driver} driver */
function problems(driver) {
  return driver.problems.map(({ module }) => element("p", { class: "hint" }, say("problem", { module })));
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
 * @param {boolean} checked
 * @param {Portal.Provider | undefined} provider
 */
export function lockCard(lock, group, checked, provider) {
  const title = lock.expired ? `${lock.name} ${say("expired")}` : lock.name;
  const until = say("until", { day: lock.notAfter.slice(0, 10) });
  const serial = lock.deviceSerial ? say("serial", { serial: lock.deviceSerial.replace(/^\*+/, "") }) : "";
  const lines = [
    [provider?.shortName ?? lock.issuer, lock.organisation],
    [until, serial],
  ].map((parts) => element("small", {}, parts.filter(Boolean).join(" · ")));
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
 */
function alertLine(tone, text) {
  return element("div", { class: `alert ${tone}` }, exclamation(), element("p", {}, text));
}

/**
 * Tries left, default PIN, last try with its explicit agreement, locked PIN: all before anything is typed.
 *
 * @param {Element} place
 * @param {Wire.LockInfo | null} lock
 * @param {Portal.Provider | undefined} provider
 */
export function drawPinFacts(place, lock, provider) {
  place.replaceChildren(...(lock ? pinFacts(lock.pin, provider) : []));
}

/**
 * @param {Wire.PinState} pin
 * @param {Portal.Provider | undefined} provider
 */
function pinFacts({ triesLeft, locked, default: initial }, provider) {
  if (locked) {
    const complete = provider?.name && provider.hotline;
    return [alertLine("bad", say(complete ? "locked" : "locked_plain", { provider: provider?.name, hotline: provider?.hotline }))];
  }
  const facts = [];
  if (triesLeft === 1) {
    const box = element("input", { type: "checkbox", "data-last-try": true });
    facts.push(alertLine("warn", say("last_try")), element("label", { class: "check" }, box, say("last_try_agree")));
  } else if (triesLeft !== null) {
    facts.push(element("p", { class: "hint" }, say("tries", { count: triesLeft })));
  }
  if (initial) facts.push(alertLine("warn", say("default_pin")));
  return facts;
}
