// What a person sees of the driver: the strip, the lock chooser, the PIN's remaining tries, one problem with one action.

import { data, refusal, say } from "./data.js";

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function picture(reason) {
  const source = data.pictures[reason];
  return source ? element("img", { src: source, alt: say("picture"), width: 360, height: 190 }) : null;
}

/** One problem, one action: a link when it leads to a page, else a button that calls `retry`. */
export function showProblem(place, shown, retry) {
  place.replaceChildren();
  if (!shown) return;
  const local = retry && (!shown.action.href || shown.again);
  const action = local
    ? element("button", { class: "button", type: "button", onclick: retry }, shown.action.label)
    : element("a", { class: "button", href: shown.action.href, target: shown.stay ? "_blank" : null, rel: shown.stay ? "opener" : null }, shown.action.label);
  place.append(
    element(
      "div",
      { class: shown.waiting ? "alert warn" : "alert bad", "data-reason": shown.reason },
      element("span", { class: "icon", "aria-hidden": "true" }, "!"),
      element("p", {}, shown.message),
      picture(shown.reason),
      shown.waiting ? element("p", { class: "act" }, say("trying_again")) : element("p", { class: "act" }, action, shown.number ? element("span", { class: "code" }, ` ${say("number", { number: shown.number })}`) : ""),
    ),
  );
}

const TONES = { searching: "searching", gesture: "warn", asking: "warn", ready: "good", failed: "bad" };

function stripText(driver) {
  if (driver.state === "failed") return refusal(driver.reason, driver.facts).message;
  if (driver.state !== "ready") return say(driver.state);
  const devices = new Set(driver.locks.map((lock) => lock.device));
  if (devices.size === 0) return say("ready_none");
  return devices.size === 1 ? say("ready_one", { name: driver.locks[0].name }) : say("ready_many", { count: devices.size });
}

function stripAction(driver) {
  if (driver.state === "gesture") return { label: say("start"), click: () => driver.look(true) };
  if (driver.state !== "failed") return null;
  const { action } = refusal(driver.reason, driver.facts);
  if (driver.reason === "DRIVER_PERMISSION_PROMPT") return { label: say("retry"), click: () => driver.look(true) };
  if (["DRIVER_PERMISSION_DENIED", "DRIVER_CERTIFICATE"].includes(driver.reason)) return { label: action.label, href: action.href };
  if (["DRIVER_ABSENT", "DRIVER_TOO_OLD", "DRIVER_OTHER_VENDOR", "ORIGIN_NOT_ALLOWED"].includes(driver.reason))
    return { label: action.label, href: data.download };
  return { label: say("retry"), click: () => driver.look(true) };
}

/** Draw one device strip: what is going on, and at most one thing to do. */
export function drawStrip(place, driver) {
  const empty = driver.state === "ready" && driver.locks.length === 0;
  const calm = empty || driver.reason === "DRIVER_ABSENT"; // nothing has gone wrong yet
  place.className = `device ${calm ? "warn" : TONES[driver.state]}`;
  place.dataset.state = driver.state;
  place.dataset.reason = driver.reason;
  const action = stripAction(driver);
  const button = !action
    ? null
    : action.href
      ? element("a", { class: "button", href: action.href, target: "_blank", rel: "opener" }, action.label)
      : element("button", { class: "button", type: "button", onclick: action.click }, action.label);
  place.replaceChildren(element("span", { class: "dot" }), element("span", { class: "text" }, stripText(driver)), button ?? "");
  const coached = driver.state === "asking" ? "DRIVER_PERMISSION_PROMPT" : driver.reason;
  const drawn = driver.state === "asking" || driver.state === "failed" || driver.state === "gesture" ? picture(coached || "DRIVER_PERMISSION_PROMPT") : null;
  const coach = place.parentElement.querySelector("[data-coach]");
  coach?.remove();
  if (drawn && (driver.state !== "failed" || data.pictures[driver.reason])) {
    place.after(element("div", { class: "coach", "data-coach": true }, drawn, ...problems(driver)));
  }
}

function problems(driver) {
  return driver.problems.map(({ module }) => element("p", { class: "hint" }, say("problem", { module })));
}

const USB =
  '<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linejoin="round" aria-hidden="true"><rect x="7" y="9" width="10" height="12" rx="2"/><path d="M9 9V3.5h6V9"/></svg>';

function icon(markup) {
  return new DOMParser().parseFromString(markup, "text/html").body.firstChild;
}

/** One lock as a card of the chooser. */
export function lockCard(lock, group, checked, provider) {
  const title = lock.expired ? `${lock.name} ${say("expired")}` : lock.name;
  const until = say("until", { day: lock.notAfter.slice(0, 10) });
  const serial = lock.deviceSerial ? say("serial", { serial: lock.deviceSerial.replace(/^\*+/, "") }) : "";
  const lines = [[provider?.shortName ?? lock.issuer, lock.organisation], [until, serial]].map((parts) => parts.filter(Boolean).join(" · "));
  return element(
    "label",
    { class: lock.expired ? "lock expired" : "lock" },
    element("input", { type: "radio", name: group, value: lock.id, checked }),
    element("span", { class: "pic" }, icon(USB)),
    element("span", {}, element("b", {}, title), ...lines.map((line) => element("small", {}, line))),
  );
}

function alertLine(tone, ...content) {
  return element("div", { class: `alert ${tone}` }, element("span", { class: "icon", "aria-hidden": "true" }, "!"), element("p", {}, ...content));
}

/** Tries left, default PIN, last try with its explicit agreement, locked PIN: all before anything is typed. */
export function drawPinFacts(place, lock, provider) {
  place.replaceChildren();
  if (!lock) return;
  const { triesLeft, locked, default: initial } = lock.pin;
  if (locked) {
    const complete = provider?.name && provider?.hotline;
    place.append(alertLine("bad", say(complete ? "locked" : "locked_plain", { provider: provider?.name, hotline: provider?.hotline })));
    return;
  }
  if (triesLeft === 1) {
    const box = element("input", { type: "checkbox", "data-last-try": true });
    place.append(alertLine("warn", say("last_try")), element("label", { class: "check" }, box, say("last_try_agree")));
  } else if (triesLeft !== null && triesLeft !== undefined) {
    place.append(element("p", { class: "hint" }, say("tries", { count: triesLeft })));
  }
  if (initial) place.append(alertLine("warn", say("default_pin")));
}
