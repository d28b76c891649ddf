// The locks to choose from. Of many only the chosen one is shown, so that the PIN stays in sight; a button shows the others.

import { say } from "./data.js";
import { actionButton, all, holds, maybe, redraw } from "./dom.js";

const MANY = 3;

/**
 * Redraw without taking the focus away from a person who moves through the choices with the keyboard.
 *
 * @param {Element} place
 * @param {Element[]} children
 */
export function replace(place, children) {
  const focused = maybe(place, "input:focus", HTMLInputElement)?.value;
  redraw(place, children);
  if (focused !== undefined) maybe(place, `input[value="${CSS.escape(focused)}"]`, HTMLInputElement)?.focus({ preventScroll: true });
}

export class LockList {
  #place;
  /** Only the chosen one is shown. */
  #folded = true;
  /** @type {HTMLElement[]} */
  #cards = [];

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
    place.addEventListener("change", ({ target }) => {
      // with the arrow keys every lock on the way is chosen for a moment
      if (target instanceof HTMLInputElement) this.#folded = !target.matches(":focus-visible");
    });
    place.addEventListener("focusout", ({ relatedTarget }) => {
      // what lies around the list is focused when a lock is pressed with the mouse: the person has not left
      if (this.#folded || !(relatedTarget instanceof Element) || relatedTarget.contains(place) || holds(place, relatedTarget)) return;
      this.#folded = true;
      this.#show();
    });
  }

  /** @param {HTMLElement[]} cards with a radio button each */
  draw(cards) {
    this.#cards = cards;
    this.#show();
  }

  #show() {
    const chosen = this.#cards.filter((card) => maybe(card, "input:checked", HTMLInputElement));
    if (!this.#folded || this.#cards.length <= MANY || chosen.length === 0) {
      replace(this.#place, this.#cards);
      return;
    }
    const others = actionButton(say("other_locks", { count: this.#cards.length }), "link others", () => {
      this.#folded = false;
      this.#show();
      (maybe(this.#place, "input:checked", HTMLInputElement) ?? all(this.#place, "input", HTMLInputElement)[0])?.focus();
    });
    replace(this.#place, [...chosen, others]);
  }
}
