// What the server put into the page for its scripts: words, sentences of refusals, settings.

import { part } from "./dom.js";

/**
 * A refusal on a page. `again`: the page itself does it once more; `stay`: links open another page.
 *
 * @typedef {Portal.Refusal & { again?: boolean, stay?: boolean }} Shown
 */

export const data = /** @type {Portal.PageData} */ (JSON.parse(part(document, "#driver-data", HTMLScriptElement).text));

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
  return { reason, message: complete ? fill(entry.message, facts) : entry.plain, action: entry.action, number: "" };
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
 */
export function refuseHere(reason, message, action) {
  return new Refused({ reason, message: say(message), action: { label: say(action), href: "" }, number: "" });
}
