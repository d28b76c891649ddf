// Which lock is meant, of which provider, and its PIN: shared by the login tab and the binding dialog.

import { site } from "./api.js";
import { data, refuse, Refused, say } from "./data.js";
import { drawPinFacts, drawStrip, element, lockCard } from "./panel.js";

let groups = 0;

export class Chooser {
  /** `root` holds [data-device], [data-locks], [data-provider] or [data-chips], [data-pin], [data-pin-facts]; any may be missing. */
  constructor(root, driver) {
    Object.assign(this, { root, driver, providers: [], chosen: "", touched: false, group: `lock-${(groups += 1)}` });
    this.part = (name) => root.querySelector(`[data-${name}]`);
    this.select = root.querySelector("select[data-provider]");
    driver.addEventListener("change", () => this.draw());
    root.addEventListener("change", (event) => this.#changed(event));
    window.addEventListener("pagehide", () => this.clearPin());
    site().then(({ providers }) => {
      this.providers = providers;
      this.draw();
    });
  }

  providerOf(lock) {
    return this.providers.find(({ issuerKeyIds }) => lock && issuerKeyIds.includes(lock.issuerKeyId));
  }

  get lock() {
    return this.driver.locks.find(({ id }) => id === this.chosen) ?? null;
  }

  /** Code of the provider to name to the server. */
  get provider() {
    return this.select ? this.select.value : (this.providerOf(this.lock)?.code ?? "");
  }

  get pinField() {
    return this.part("pin");
  }

  #changed(event) {
    if (event.target.name === this.group) {
      this.chosen = event.target.value;
      this.#followProvider();
    } else if (event.target === this.select) {
      this.touched = true;
      this.#preferProvider(this.select.value);
    } else if (event.target.name === `${this.group}-chip`) {
      this.#preferProvider(event.target.value);
    } else {
      return;
    }
    this.draw();
  }

  #preferProvider(code) {
    const matching = this.driver.locks.filter((lock) => (this.providerOf(lock)?.code ?? lock.issuer) === code);
    if (matching.length > 0 && !matching.some(({ id }) => id === this.chosen)) this.chosen = matching[0].id;
    this.chip = code;
  }

  #followProvider() {
    const provider = this.providerOf(this.lock);
    if (this.select && provider && [...this.select.options].some(({ value }) => value === provider.code)) this.select.value = provider.code;
    this.chip = provider?.code ?? this.lock?.issuer ?? "";
  }

  draw() {
    const { locks } = this.driver;
    if (!locks.some(({ id }) => id === this.chosen)) {
      // several locks: the person chooses; one lock: its first certificate is the one to offer
      const devices = new Set(locks.map(({ device }) => device));
      const usable = locks.filter(({ expired }) => !expired);
      this.chosen = devices.size === 1 ? locks[0].id : usable.length === 1 ? usable[0].id : "";
      this.#followProvider();
    } else if (!this.touched) {
      this.#followProvider();
    }
    for (const strip of this.root.querySelectorAll("[data-device]")) drawStrip(strip, this.driver);
    this.#drawChips(locks);
    this.#drawLocks(locks);
    const facts = this.part("pin-facts");
    if (facts) this.#drawFacts(facts);
    this.root.dispatchEvent(new CustomEvent("calock:drawn"));
  }

  #drawFacts(place) {
    const lock = this.lock;
    const shown = lock ? JSON.stringify([lock.id, lock.pin]) : "";
    if (place.dataset.shown !== shown) {
      drawPinFacts(place, lock, this.providerOf(lock));
      place.dataset.shown = shown;
    }
    if (this.pinField) this.pinField.disabled = Boolean(lock?.pin.locked);
  }

  #drawChips(locks) {
    const place = this.part("chips");
    if (!place) return;
    const drivers = new Map();
    for (const lock of locks) {
      const provider = this.providerOf(lock);
      drivers.set(provider?.code ?? lock.issuer, provider?.shortName ?? lock.issuer);
    }
    const chips = [...drivers].map(([code, name]) =>
      element("label", { class: "chip" }, element("input", { type: "radio", name: `${this.group}-chip`, value: code, checked: code === this.chip }), element("span", {}, name)),
    );
    this.#replace(place, chips);
    this.part("chips-empty").hidden = chips.length > 0;
  }

  #drawLocks(locks) {
    const place = this.part("locks");
    if (!place) return;
    const field = this.part("lock-field");
    const always = Boolean(this.part("locks-empty"));
    const narrowed = this.part("chips") && this.chip ? locks.filter((lock) => (this.providerOf(lock)?.code ?? lock.issuer) === this.chip) : locks;
    field.hidden = always ? this.driver.state !== "ready" : narrowed.length < 2;
    if (always) this.part("locks-empty").hidden = locks.length > 0;
    const code = this.select?.value;
    const ordered = code ? narrowed.toSorted((left, right) => this.#stranger(left, code) - this.#stranger(right, code)) : narrowed;
    place.classList.toggle("many", ordered.length > 3);
    this.#replace(place, ordered.map((lock) => lockCard(lock, this.group, lock.id === this.chosen, this.providerOf(lock))));
  }

  /** Locks of the chosen driver stand first, expired ones last. */
  #stranger(lock, code) {
    return (this.providerOf(lock)?.code === code ? 0 : 1) + (lock.expired ? 2 : 0);
  }

  /** Redraw without taking the focus away from whoever moves through the choices with the keyboard. */
  #replace(place, children) {
    const { scrollTop } = place;
    const focused = place.contains(document.activeElement) ? document.activeElement.value : null;
    place.replaceChildren(...children);
    if (focused !== null) place.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    place.scrollTop = scrollTop;
  }

  clearPin() {
    if (this.pinField) this.pinField.value = "";
  }

  /** The lock to use, or why there is none. */
  requireLock() {
    const { driver } = this;
    if (driver.state === "gesture" || driver.state === "asking" || driver.state === "searching") throw refuse("DRIVER_PERMISSION_PROMPT");
    if (driver.state === "failed") {
      const problem = refuse(driver.reason, driver.facts);
      problem.shown = { ...problem.shown, action: { ...problem.shown.action, href: driver.reason.startsWith("DRIVER_PERMISSION") ? problem.shown.action.href : data.download }, stay: true };
      throw problem;
    }
    if (driver.locks.length === 0) throw refuse("LOCK_ABSENT");
    const lock = this.lock;
    if (!lock) throw refuse("SEVERAL_LOCKS", { count: new Set(driver.locks.map(({ device }) => device)).size });
    const provider = this.providerOf(lock);
    if (lock.pin.locked) throw refuse("PIN_LOCKED", { provider: provider?.name, hotline: provider?.hotline });
    return lock;
  }

  /** A PIN has been typed, and the last try is agreed to where it is the last. */
  requirePin() {
    if (!this.pinField.value) {
      this.pinField.focus();
      throw refuse("PIN_MISSING");
    }
    const agreement = this.root.querySelector("[data-last-try]");
    if (agreement && !agreement.checked) {
      agreement.focus();
      throw new Refused({ ...refuse("PIN_LAST_TRY").shown, message: say("last_try") });
    }
    return Boolean(agreement?.checked);
  }

  /** PIN as typed, a string, and whether its last try may be used; the field is emptied at once. */
  takePin() {
    const useLastTry = this.requirePin();
    const pin = this.pinField.value;
    this.clearPin();
    return { pin, useLastTry };
  }
}
