// What the server put into the page for its scripts: words, sentences of refusals, settings.

const island = document.getElementById("driver-data");
export const data = island ? JSON.parse(island.textContent) : {};

/** A word of the page with its {facts} filled in. */
export function say(name, facts = {}) {
  return fill(data.words[name] ?? name, facts);
}

function fill(text, facts) {
  return text.replace(/\{(\w+)\}/g, (whole, key) => (key in facts ? String(facts[key]) : whole));
}

/** A refusal as something to show: {message, action: {label, href}, reason, number}. */
export function refusal(reason, facts = {}) {
  const entry = data.refusals[reason] ?? data.refusals.DRIVER_FAILED;
  const needed = [...entry.message.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  const complete = needed.every((key) => facts[key] !== undefined && facts[key] !== null && facts[key] !== "");
  return { reason, message: complete ? fill(entry.message, facts) : entry.plain, action: entry.action, number: "" };
}

/** Something that was refused, by the driver, the server or the page itself; carries what to show. */
export class Refused extends Error {
  constructor(shown) {
    super(shown.message);
    this.shown = shown;
    this.reason = shown.reason;
  }
}

export function refuse(reason, facts = {}) {
  return new Refused(refusal(reason, facts));
}
