// Which lock is meant, of which provider, and its PIN: shared by the login tab and the binding dialog.

import { providers } from "./api.js";
import { data, isAmong, refuse, Refused } from "./data.js";
import { all, element, maybe, part } from "./dom.js";
import { describe, whyNoLock } from "./driver-problems.js";
import { LockList, replace } from "./lock-list.js";
import { recall, remember } from "./memory.js";
import { drawPinFacts, drawStrip, lockCard } from "./panel.js";
import { hasOddCharacters, withoutOddCharacters } from "./pin-text.js";

/** @import { Driver } from "./driver.js" */

/** How long a typed PIN waits for its lock, in milliseconds: after a loose contact, or with its library started anew, it is back by then. */
const PIN_WAITS = 5000;

let groups = 0;

/**
 * What tells a lock from others also when it is plugged in again.
 *
 * @param {Wire.LockInfo} lock
 */
function markOf({ issuerKeyId, deviceSerial, notBefore }) {
  return [issuerKeyId, deviceSerial, notBefore].join(" ");
}

/**
 * One lock: its first certificate is the one to offer. Several: the one used last in this browser, or the only one that can be used;
 * else the person chooses.
 *
 * @param {Wire.LockInfo[]} locks
 * @param {(lock: Wire.LockInfo) => boolean} isBound the lock is not offered among others: it is chosen to be renewed only
 */
function offered(locks, isBound) {
  const usable = locks.filter((lock) => !lock.expired && !isBound(lock));
  const last = usable.filter((lock) => markOf(lock) === recall("calock.lock"));
  if (last.length === 1 && last[0]) return last[0].id;
  const devices = new Set(locks.map(({ device }) => device));
  const candidates = devices.size === 1 ? locks.slice(0, 1) : usable;
  return candidates.length === 1 && candidates[0] ? candidates[0].id : "";
}

export class Chooser {
  /** @type {Portal.Provider[]} */
  #providers = [];
  /** Handle of the chosen lock, empty for none. */
  #chosen = "";
  /** Mark of the chosen lock. */
  #mark = "";
  /** Mark of the lock that the person chose, not the page: when it comes back it is chosen again. */
  #wanted = "";
  /** Code of the chosen chip: a provider, or the issuer of a lock that none recognises. */
  #chip = "";
  /** The person has chosen a provider, so that no lock chooses it for them. */
  #touched = false;
  /** Code of the provider whose locks stand first; empty where there is no such choice. */
  #first = "";
  /** The providers are known, so that a lock of none of them is one that is not recognised. */
  #learned = false;
  /** They were told of odd characters in the PIN as it stands in the field. */
  #told = false;
  /** Of the moment when a PIN whose lock is gone is taken out of the field; 0 while none is. */
  #waiting = 0;
  #group;
  #root;
  #driver;
  #isBound;
  #select;
  #list;

  /**
   * @param {HTMLElement} root holds [data-pin], and perhaps [data-device], [data-locks], [data-provider] or [data-chips], [data-pin-facts]
   * @param {Driver} driver
   * @param {(lock: Wire.LockInfo) => boolean} isBound where a lock is chosen to be bound: whether it is bound already
   */
  constructor(root, driver, isBound = () => false) {
    groups += 1;
    this.#group = `lock-${groups}`;
    this.#root = root;
    this.#driver = driver;
    this.#isBound = isBound;
    this.#select = maybe(root, "select[data-provider]", HTMLSelectElement);
    this.#first = this.#select?.value ?? "";
    const locks = this.#part("locks");
    this.#list = locks && new LockList(locks);
    this.pinField = part(root, "[data-pin]", HTMLInputElement);
    driver.addEventListener("change", () => {
      this.draw();
    });
    root.addEventListener("change", ({ target }) => {
      if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) this.#changed(target);
    });
    this.pinField.addEventListener("input", () => {
      this.pinField.removeAttribute("aria-invalid");
      this.#told = false;
      this.#waitForLock(true); // the rest of a PIN that is being typed would be a wrong one
    });
    window.addEventListener("pagehide", () => {
      this.clearPin();
    });
    void this.#learnProviders();
  }

  async #learnProviders() {
    this.#providers = await providers().catch(() => []); // without them locks are shown by their issuers
    this.#learned = this.#providers.length > 0;
    this.draw();
  }

  /** @param {string} name */
  #part(name) {
    return maybe(this.#root, `[data-${name}]`, HTMLElement);
  }

  /** @param {Wire.LockInfo | null} lock */
  #providerOf(lock) {
    return this.#providers.find(({ issuerKeyIds }) => lock && issuerKeyIds.includes(lock.issuerKeyId));
  }

  /**
   * What a chip stands for.
   *
   * @param {Wire.LockInfo} lock
   */
  #chipOf(lock) {
    return this.#providerOf(lock)?.code ?? lock.issuer;
  }

  get lock() {
    return this.#driver.locks.find(({ id }) => id === this.#chosen) ?? null;
  }

  /** The chosen lock's provider, if it is a recognised one. */
  get lockProvider() {
    return this.#providerOf(this.lock);
  }

  /** Marks of what there is to choose from; empty while the driver does not answer. */
  get listed() {
    return this.#driver.state === "ready" ? JSON.stringify(this.#driver.locks.map(markOf)) : "";
  }

  /**
   * What tells from now on whether a refusal has had its time. One about a lock stays until another lock is chosen, not only until
   * this one is away: after a loose contact, or when its library was started anew, it would be gone before it was read. One about no
   * lock goes when one is chosen, or the list is another.
   *
   * @param {Wire.LockInfo | null} refused
   * @param {string} listed when it was refused
   */
  isOver(refused, listed) {
    if (!refused) return () => this.listed !== "" && (this.lock !== null || this.listed !== listed);
    const about = [markOf(refused)];
    const plugged = this.#driver.locks.some((lock) => markOf(lock) === about[0]);
    if (!plugged && this.lock) about.push(markOf(this.lock)); // the page's choice, nobody else's
    return () => this.lock !== null && !about.includes(markOf(this.lock));
  }

  /** Nothing is chosen any more but what would be offered at first. */
  forget() {
    this.#chosen = "";
    this.#wanted = "";
    this.clearPin();
    this.draw();
  }

  /** The chosen lock has been used: it is the one to offer in this browser next time. */
  rememberLock() {
    if (this.lock) remember("calock.lock", markOf(this.lock));
  }

  /** Go to where a lock is chosen. */
  focusLocks() {
    (maybe(this.#root, "[data-locks] input", HTMLInputElement) ?? this.#select)?.focus();
  }

  /** Code of the provider to name to the server. */
  get provider() {
    return this.#select ? this.#select.value : (this.#providerOf(this.lock)?.code ?? "");
  }

  /** @param {HTMLInputElement | HTMLSelectElement} field */
  #changed(field) {
    if (field.name === this.#group) {
      this.pinField.removeAttribute("aria-invalid");
      this.#chosen = field.value;
      this.#wanted = this.lock ? markOf(this.lock) : "";
      this.#followProvider();
    } else if (field === this.#select) {
      this.#touched = true;
      this.#first = field.value;
      this.#preferProvider(field.value);
    } else if (field.name === `${this.#group}-chip`) {
      this.#preferProvider(field.value);
    } else {
      return;
    }
    this.draw();
  }

  /** @param {string} code */
  #preferProvider(code) {
    const matching = this.#driver.locks.filter((lock) => this.#chipOf(lock) === code);
    if (matching[0] && !matching.some(({ id }) => id === this.#chosen)) {
      this.#chosen = matching[0].id;
      this.#wanted = markOf(matching[0]);
    }
    this.#chip = code;
  }

  #followProvider() {
    const { lock } = this;
    const code = this.#providerOf(lock)?.code;
    if (this.#select && code !== undefined && [...this.#select.options].some(({ value }) => value === code)) this.#select.value = code;
    this.#chip = lock ? this.#chipOf(lock) : "";
  }

  draw() {
    const { locks } = this.#driver;
    const stays = this.#keepChosen(locks);
    if (!stays || !this.#touched) this.#followProvider();
    for (const strip of all(this.#root, "[data-device]", HTMLElement)) drawStrip(strip, this.#driver, this.lock !== null);
    this.#drawChips(locks);
    this.#drawLocks(locks);
    this.#drawFacts();
    this.#root.dispatchEvent(new CustomEvent("calock:drawn"));
  }

  /**
   * Keep to the chosen lock while it is there, and to the one that the person chose when it comes back under another handle. A PIN
   * that was typed for one lock is never used on another: while it stands in the field, no other lock is offered.
   *
   * @param {Wire.LockInfo[]} locks
   */
  #keepChosen(locks) {
    const before = this.#chosen;
    const marked = (/** @type {string} */ mark) => locks.filter((lock) => mark && markOf(lock) === mark);
    const wanted = marked(this.#wanted);
    const first = () => this.#named(locks) ?? offered(locks, this.#isBound);
    if (wanted.length === 1 && wanted[0]) this.#chosen = wanted[0].id;
    else if (!locks.some(({ id }) => id === before)) this.#chosen = this.#mark && this.pinField.value ? (marked(this.#mark)[0]?.id ?? "") : first();
    const mark = this.lock ? markOf(this.lock) : "";
    if (this.#mark && mark && mark !== this.#mark && this.#chosen !== before) this.clearPin();
    this.#mark = mark || this.#mark;
    this.#waitForLock();
    return this.#chosen === before && before !== "";
  }

  /**
   * A PIN does not stay in the field of a page whose lock is gone.
   *
   * @param {boolean} anew from now on, not since the lock went
   */
  #waitForLock(anew = false) {
    const gone = this.#mark !== "" && this.lock === null && this.pinField.value !== "";
    if (anew || !gone) {
      clearTimeout(this.#waiting);
      this.#waiting = 0;
    }
    if (gone) {
      this.#waiting ||= setTimeout(() => {
        this.clearPin();
        this.draw();
      }, PIN_WAITS);
    }
  }

  /**
   * Of the lock that the page is about (`data-names`), where it is about one.
   *
   * @param {Wire.LockInfo[]} locks
   */
  #named(locks) {
    return locks.find((lock) => isAmong(lock, this.#root.dataset.names ?? ""))?.id;
  }

  #drawFacts() {
    const { lock } = this;
    const place = this.#part("pin-facts");
    if (!place) return;
    const { windowOnly } = this.#driver;
    const shown = JSON.stringify([lock?.id, lock?.pin, lock?.expired, this.#learned, windowOnly, this.needsWindow]);
    if (place.dataset.shown !== shown) {
      drawPinFacts(place, lock, this.#providerOf(lock), { known: this.#learned, needsWindow: this.needsWindow });
      place.dataset.shown = shown;
    }
    const pin = lock?.pin;
    this.pinField.disabled = this.needsWindow || (pin !== undefined && (pin.locked || pin.onReader));
    if (this.pinField.disabled) this.clearPin();
  }

  /** Whether only the driver's own window may take this lock's PIN now, or show what the lock hides until then. */
  get needsWindow() {
    const { lock } = this;
    if (!lock) return this.#driver.state === "ready" && whyNoLock(this.#driver)?.reason === "LOCK_CERTIFICATE_HIDDEN";
    return !lock.pin.locked && (lock.pin.reserved || this.#driver.windowOnly);
  }

  /** @param {Wire.LockInfo[]} locks */
  #drawChips(locks) {
    const place = this.#part("chips");
    if (!place) return;
    const names = new Map(locks.map((lock) => [this.#chipOf(lock), this.#providerOf(lock)?.shortName ?? lock.issuer]));
    const chips = [...names].map(([code, name]) => {
      const radio = element("input", { type: "radio", name: `${this.#group}-chip`, value: code, checked: code === this.#chip });
      return element("label", { class: "chip" }, radio, element("span", {}, name));
    });
    replace(place, chips);
    part(this.#root, "[data-chips-empty]", HTMLElement).hidden = chips.length > 0;
  }

  /** @param {Wire.LockInfo[]} locks */
  #drawLocks(locks) {
    const place = this.#part("locks");
    if (!place) return;
    const shown = this.#part("chips") && this.#chip ? locks.filter((lock) => this.#chipOf(lock) === this.#chip) : locks;
    const empty = this.#part("locks-empty");
    part(this.#root, "[data-lock-field]", HTMLElement).hidden = empty ? this.#driver.state !== "ready" : shown.length === 0;
    if (empty) empty.hidden = locks.length > 0;
    const cards = this.#ordered(shown).map((lock) =>
      lockCard(lock, this.#group, { checked: lock.id === this.#chosen, bound: this.#isBound(lock), provider: this.#providerOf(lock) }),
    );
    this.#list?.draw(cards);
  }

  /**
   * Locks of the provider that the person chose stand first, expired ones last. Choosing a lock moves none: whoever goes
   * through them with the arrow keys would be led in circles.
   *
   * @param {Wire.LockInfo[]} locks
   */
  #ordered(locks) {
    const code = this.#first;
    if (!code) return locks;
    const rank = (/** @type {Wire.LockInfo} */ lock) => (this.#providerOf(lock)?.code === code ? 0 : 1) + (lock.expired ? 2 : 0);
    return [...locks].sort((left, right) => rank(left) - rank(right)); // a copy: toSorted is newer than the last browser of Windows 7
  }

  clearPin() {
    this.pinField.value = "";
    this.#told = false;
  }

  focusPin() {
    this.pinField.focus();
  }

  /** What was typed was refused: the field says so until something else is typed. */
  refusePin() {
    this.pinField.setAttribute("aria-invalid", "true");
    this.focusPin();
  }

  /** Take out of the PIN what came with it out of a message. */
  cleanPin() {
    this.pinField.value = withoutOddCharacters(this.pinField.value);
    this.focusPin();
  }

  /**
   * The lock to use.
   *
   * @throws {Refused} why there is none
   */
  requireLock() {
    const { state, reason, facts, locks } = this.#driver;
    if (state === "searching" && this.#driver.wasSeen) throw refuse("DRIVER_STOPPED");
    if (state === "gesture" || state === "asking" || state === "searching") throw refuse("DRIVER_PERMISSION_PROMPT");
    if (state === "failed") {
      const { shown } = refuse(reason, facts);
      const missing = ["DRIVER_ABSENT", "DRIVER_TOO_OLD", "DRIVER_OTHER_VENDOR", "ORIGIN_NOT_ALLOWED"].includes(reason);
      const href = missing ? data.download : shown.action.href;
      throw new Refused({ ...shown, action: { ...shown.action, href }, stay: true });
    }
    const problem = whyNoLock(this.#driver);
    if (problem) throw new Refused({ ...describe(problem), stay: true });
    if (locks.length === 0) throw refuse("LOCK_ABSENT");
    const { lock } = this;
    if (!lock) throw refuse("SEVERAL_LOCKS", { count: new Set(locks.map(({ device }) => device)).size });
    const provider = this.#providerOf(lock);
    if (lock.pin.locked) throw refuse("PIN_LOCKED", { provider: provider?.name, hotline: provider?.hotline });
    return lock;
  }

  /**
   * A PIN has been typed, and the person was told of what hardly belongs to one.
   *
   * @throws {Refused}
   */
  requirePin() {
    if (this.lock?.pin.onReader) return;
    const pin = this.pinField.value;
    if (!pin) {
      this.pinField.focus();
      throw refuse("PIN_MISSING");
    }
    if (hasOddCharacters(pin) && !this.#told) {
      this.#told = true; // a CA may allow such a PIN: the second click uses it as it is
      throw refuse("PIN_CHARACTERS");
    }
  }

  /**
   * PIN as typed, a string, empty where it is typed on the reader; the field is emptied at once.
   *
   * @throws {Refused}
   */
  takePin() {
    this.requirePin();
    const taken = { pin: this.pinField.value, asTyped: this.#told };
    this.clearPin();
    return taken;
  }
}
