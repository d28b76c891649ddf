// A button that says what is going on while it cannot be pressed.

import { say } from "./data.js";

export class BusyButton {
  #label;

  /** @param {HTMLButtonElement} button */
  constructor(button) {
    this.button = button;
    this.#label = button.textContent;
  }

  /** @param {Portal.Word | ""} word empty: it can be pressed again */
  show(word) {
    const busy = word !== "";
    this.button.disabled = busy;
    this.button.classList.toggle("busy", busy);
    this.button.textContent = busy ? say(word) : this.#label;
  }
}
