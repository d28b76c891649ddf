// What a lock with a new key is when its holder has bound locks: asked in the binding dialog, answered with one choice.

import { day, refuseHere, say } from "./data.js";
import { all, element, maybe, part } from "./dom.js";

const EFFECTS = /** @type {const} */ ({
  renew: ["choice_renew", "choice_renew_effect"],
  replace: ["choice_replace", "choice_replace_effect"],
  replace_lost: ["choice_replace_lost", "choice_replace_effect"],
  another: ["choice_another", "choice_another_effect"],
});

/**
 * @param {Portal.Act} act
 * @param {string} binding which bound lock; empty for one more
 * @param {string} lock what tells that lock from others
 * @param {boolean} lost that lock is reported lost
 */
function card(act, binding, lock, lost = false) {
  const [title, effect] = EFFECTS[act === "replace" && lost ? "replace_lost" : act];
  return element(
    "label",
    { class: "lock choice" },
    element("input", { type: "radio", name: "binding-choice", value: act, "data-of": binding }),
    element("span", {}, element("b", {}, say(title)), lock ? element("small", {}, lock) : null, element("small", {}, say(effect))),
  );
}

/** @param {Portal.Candidate} candidate */
function described({ label, certificate, lockId, boundAt, notAfter }) {
  const until = notAfter ? say("until", { day: day(notAfter) }) : "";
  const parts = [label, certificate, say("serial", { serial: lockId.slice(-4) }), say("bound_on", { day: day(boundAt) }), until];
  return parts.filter(Boolean).join(" · ");
}

export class BindingQuestion {
  #place;
  #fields;
  /** @type {Portal.BindRequest | null} */
  #answer = null;

  /** @param {HTMLElement} dialog holds [data-question], shown instead of its [data-bind-fields] */
  constructor(dialog) {
    this.#place = part(dialog, "[data-question]", HTMLElement);
    this.#fields = part(dialog, "[data-bind-fields]", HTMLElement);
  }

  get asked() {
    return this.#answer !== null;
  }

  /**
   * @param {Portal.Question} question
   * @param {Portal.BindRequest} answer the lock's answer that it is about; it is sent again with the choice
   */
  ask({ candidates }, answer) {
    this.#answer = answer;
    const cards = candidates.map((one) => card(one.act, one.binding, described(one), one.lost));
    part(this.#place, "[data-choices]", HTMLElement).replaceChildren(...cards, card("another", "", ""));
    this.#place.hidden = false;
    this.#fields.hidden = true;
    this.focus();
  }

  focus() {
    all(this.#place, "input", HTMLInputElement)[0]?.focus();
  }

  /**
   * The lock's answer with the choice that was made.
   *
   * @returns {Portal.BindRequest}
   * @throws {import("./data.js").Refused} nothing is chosen
   */
  answered() {
    const input = maybe(this.#place, "input:checked", HTMLInputElement);
    if (!this.#answer || !input) throw refuseHere("REQUEST", "choice_missing", "fill_in");
    const act = /** @type {Portal.Act} */ (input.value);
    const { of: binding } = input.dataset;
    return { ...this.#answer, choice: binding ? { act, binding } : { act } };
  }

  clear() {
    this.#answer = null;
    this.#place.hidden = true;
    this.#fields.hidden = false;
  }
}
