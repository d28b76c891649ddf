// What the server put into the page for its scripts: words, sentences of refusals, settings.

import { maybe, part } from "./dom.js";

/**
 * A refusal on a page. `stay`: links open another page.
 *
 * @typedef {Portal.Refusal & { stay?: boolean }} Shown
 */

export const data = /** @type {Portal.PageData} */ (JSON.parse(part(document, "#driver-data", HTMLScriptElement).text));

/** What the person who is logged in calls their locks, by the serial or the id of each. */
const labels = /** @type {Record<string, string>} */ (JSON.parse(maybe(document, "#lock-labels", HTMLScriptElement)?.text ?? "{}"));

/**
 * The label of the one lock whose serial ends so; empty for none and for several.
 *
 * @param {string} tail
 */
export function labelOf(tail) {
  const found = new Set(Object.entries(labels).filter(([id]) => tail && id.endsWith(tail)).map(([, label]) => label));
  return found.size === 1 ? [...found][0] ?? "" : "";
}

/**
 * Whether a plugged-in lock may be the one of these: a driver tells the end of its serial only.
 *
 * @param {Wire.LockInfo} lock
 * @param {string} names serials and ids of locks, with blanks between them
 */
export function isAmong({ deviceSerial }, names) {
  const tail = deviceSerial.replace(/^\*+/, "");
  return tail !== "" && names.split(" ").some((name) => name.endsWith(tail));
}

/**
 * @param {string} text
 * @param {Portal.Facts} facts
 */
export function fill(text, facts) {
  return text.replace(/\{(\w+)\}/g, (whole, /** @type {string} */ key) => (key in facts ? String(facts[key]) : whole));
}

/**
 * A word of the page with its {facts} filled in.
 *
 * @param {Portal.Word} name
 * @param {Portal.Facts} facts
 */
export function say(name, facts = {}) {
  return fill(data.words[name], facts);
}

/**
 * A refusal as something to show; in its plain words where a fact it names is not known.
 *
 * @param {string} reason
 * @param {Portal.Facts} facts
 * @returns {Portal.Refusal}
 */
export function refusal(reason, facts = {}) {
  const entry = data.refusals[reason] ?? data.refusals.DRIVER_FAILED;
  const needed = [...entry.message.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");
  const complete = needed.every((key) => facts[key] !== undefined && facts[key] !== null && facts[key] !== "");
  return { reason, message: complete ? fill(entry.message, facts) : entry.plain, action: entry.action, ca: entry.ca, cause: entry.cause, number: "" };
}

/** Something that was refused, by the driver, the server or the page itself; carries what to show. */
export class Refused extends Error {
  /** @param {Shown} shown */
  constructor(shown) {
    super(shown.message);
    this.shown = shown;
    this.reason = shown.reason;
  }
}

/**
 * @param {string} reason
 * @param {Portal.Facts} facts
 */
export function refuse(reason, facts = {}) {
  return new Refused(refusal(reason, facts));
}

/**
 * A refusal in words of the page, for what neither driver nor server refused.
 *
 * @param {string} reason
 * @param {Portal.Word} message
 * @param {Portal.Word} action
 * @param {Portal.Action["does"]} does
 */
export function refuseHere(reason, message, action, does = "again") {
  return new Refused({ reason, message: say(message), action: { label: say(action), href: "", does }, ca: false, cause: "", number: "" });
}

/**
 * The day of a moment, `2020-11-30`, on the clock that all pages of the site show.
 *
 * @param {string} iso
 */
export function day(iso) {
  if (iso.startsWith("9999-12-31")) return iso.slice(0, 10); // "no end", RFC 5280 clause 4.1.2.5
  return new Intl.DateTimeFormat("sv-SE", { timeZone: data.timeZone }).format(new Date(iso)); // Swedish is written so
}
