// A fresh proof of oneself, asked for before the PIN so that no try of it is wasted.

import { call } from "./api.js";
import { refuse, refuseHere } from "./data.js";
import { maybe, part } from "./dom.js";

const AFTERWARDS = 280000; // the server takes a proof for five minutes
const MARGIN = 15000;

export class StepUp {
  #place;
  #freshUntil;
  #timer = 0;

  /** @param {HTMLElement} dialog holds [data-step-up]; its data-fresh are the seconds that the last proof is still good for */
  constructor(dialog) {
    this.#place = part(dialog, "[data-step-up]", HTMLElement);
    /** Null where the account proves itself by its lock only, on a page of its own. */
    this.field = maybe(this.#place, "input", HTMLInputElement);
    this.#freshUntil = performance.now() + Number(dialog.dataset.fresh) * 1000 - MARGIN;
  }

  /** Whether a proof is asked for now. */
  get asked() {
    return !this.#place.hidden;
  }

  draw() {
    const left = this.#freshUntil - performance.now();
    this.#place.hidden = left > 0;
    clearTimeout(this.#timer);
    if (left > 0) {
      this.#timer = setTimeout(() => {
        this.draw(); // it is asked for as soon as it is needed, not after a PIN was typed
      }, left);
    }
  }

  /** The server wants a proof whatever this page thinks. */
  expire() {
    this.#freshUntil = 0;
    this.draw();
  }

  clear() {
    if (this.field) this.field.value = "";
  }

  /** @throws {import("./data.js").Refused} */
  async prove() {
    this.draw();
    if (!this.asked) return;
    if (!this.field) throw refuse("LOCK_PROOF_REQUIRED");
    const password = this.field.value;
    if (!password) {
      this.field.focus();
      throw refuseHere("STEP_UP_REQUIRED", "password_missing", "fill_in");
    }
    this.clear();
    await call("/api/step-up", { password });
    this.#freshUntil = performance.now() + AFTERWARDS;
    this.draw();
  }
}
