// Changing a lock's PIN, in the lock's card.

import { ask } from "./session.js";
import { element, explain, hasOddCharacters, sentence } from "./shared.js";

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
 * The box that must be ticked before the last two tries are used.
 *
 * @param {HTMLElement} form
 */
function lastTryBox(form) {
  const label = element("label", "wide small");
  const box = element("input");
  box.type = "checkbox";
  label.append(box, " 我确认使用最后的机会。再输错，CA 锁可能被锁定。");
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
  /** They were told of odd characters in the PINs as they stand in the fields. */
  #told = false;

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
    this.#last = lock.pin.reserved ? lastTryBox(this.#form) : null;
    if (lock.pin.onReader) this.#askOnReader();
    this.#form.append(this.#actions());
    this.#form.addEventListener("input", () => {
      this.#told = false;
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
  }

  /** The reader asks for the old PIN and for the new one. */
  #askOnReader() {
    for (const input of [this.#old, this.#fresh, this.#again]) {
      input.required = false;
      input.closest("div")?.remove();
    }
    this.#form.append(element("p", "wide", "请点“确定修改”，再按读卡器的提示输入原 PIN 码和新 PIN 码。"));
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
    if (hasOddCharacters(this.#fresh.value)) {
      this.#say("新 PIN 码不能有前后空格或全角字符。", "bad");
      return;
    }
    if (hasOddCharacters(this.#old.value) && !this.#told) {
      this.#told = true;
      this.#say(sentence("PIN_CHARACTERS"), "bad");
      return;
    }
    const useLastTry = this.#last?.checked ?? false;
    const request = { lock: this.lock.id, oldPin: this.#old.value, newPin: this.#fresh.value, asTyped: this.#told, useLastTry };
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
