// Changing a lock's PIN, in the lock's card.

import { ask } from "./session.js";
import { element, explain } from "./shared.js";

const READING = 2500; // milliseconds to read that the PIN was changed
/** What keeps the cards from being redrawn: the lock whose form is open, or whose result is being read. */
let editing = "";

export function isEditing() {
  return editing !== "";
}

/**
 * @param {HTMLElement} form
 * @param {string} id
 * @param {string} text
 */
function field(form, id, text) {
  const box = element("div");
  const label = element("label", "", text);
  const input = element("input");
  label.htmlFor = id;
  Object.assign(input, { id, type: "password", autocomplete: "off", maxLength: 32, required: true });
  box.append(label, input);
  form.append(box);
  return input;
}

/**
 * The box that must be ticked before the last try is used.
 *
 * @param {HTMLElement} form
 */
function lastTryBox(form) {
  const label = element("label", "wide small");
  const box = element("input");
  box.type = "checkbox";
  label.append(box, " 我确认使用最后一次机会。再输错一次，CA 锁将被锁定。");
  form.append(label);
  return box;
}

class PinForm {
  #form = element("form");
  #ok = element("button", "main", "确定修改");
  #old;
  #fresh;
  #again;
  #last;

  /**
   * @param {Wire.LockInfo} lock
   * @param {HTMLElement} message where the result is said
   * @param {HTMLButtonElement} opener the button that comes back at the end
   * @param {() => void} refresh
   */
  constructor(lock, message, opener, refresh) {
    this.lock = lock;
    this.message = message;
    this.opener = opener;
    this.refresh = refresh;
    this.#old = field(this.#form, "oldPin", "原 PIN 码");
    this.#fresh = field(this.#form, "newPin", "新 PIN 码（6 至 16 位）");
    this.#again = field(this.#form, "againPin", "再输一次新 PIN 码");
    this.#last = lock.pin.triesLeft === 1 ? lastTryBox(this.#form) : null;
    this.#form.append(this.#actions());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
  }

  #actions() {
    const actions = element("div", "actions wide");
    const cancel = element("button", "", "取消");
    cancel.type = "button";
    cancel.addEventListener("click", () => {
      this.message.hidden = true;
      this.#end();
      this.refresh();
    });
    actions.append(this.#ok, cancel);
    return actions;
  }

  open() {
    editing = this.lock.id;
    this.opener.hidden = true;
    this.opener.parentElement?.append(this.#form);
    this.#old.focus();
  }

  #end() {
    editing = "";
    this.#form.remove();
    this.opener.hidden = false;
  }

  /**
   * @param {string} text
   * @param {"good" | "bad"} kind
   */
  #say(text, kind) {
    this.message.textContent = text;
    this.message.className = `note ${kind}`;
    this.message.hidden = false;
  }

  async #submit() {
    if (this.#fresh.value !== this.#again.value) {
      this.#say("两次输入的新 PIN 码不一致。", "bad");
      return;
    }
    const useLastTry = this.#last?.checked ?? false;
    const request = { lock: this.lock.id, oldPin: this.#old.value, newPin: this.#fresh.value, useLastTry };
    for (const input of [this.#old, this.#fresh, this.#again]) input.value = "";
    this.#ok.disabled = true;
    try {
      await ask("/status/pin", request);
      this.#changed();
    } catch (error) {
      this.#say(explain(error), "bad");
      this.#old.focus();
    } finally {
      this.#ok.disabled = false;
      request.oldPin = "";
      request.newPin = "";
    }
  }

  /** The change is an event too: it must not wipe the sentence away at once. */
  #changed() {
    this.#say("PIN 码已修改。", "good");
    this.#end();
    const reading = `read ${this.lock.id}`;
    editing = reading;
    setTimeout(() => {
      if (editing === reading) editing = "";
      this.refresh();
    }, READING);
  }
}

/**
 * The part of a card with the button that opens the form.
 *
 * @param {Wire.LockInfo} lock
 * @param {() => void} refresh called when the cards may be drawn anew
 */
export function changePin(lock, refresh) {
  const box = element("div", "change");
  const opener = element("button", "quiet", "修改 PIN 码");
  opener.type = "button";
  opener.disabled = lock.pin.locked;
  const message = element("p", "note");
  message.setAttribute("role", "status");
  message.hidden = true;
  opener.addEventListener("click", () => {
    new PinForm(lock, message, opener, refresh).open();
  });
  box.append(opener, message);
  return box;
}
