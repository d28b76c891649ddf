// A form in which a lock gives an answer: the login page and the dialog that binds. Which lock, its PIN, the button, and what went wrong.

import { BusyButton } from "./busy-button.js";
import { Chooser } from "./chooser.js";
import { refusal, Refused } from "./data.js";
import { part } from "./dom.js";
import { Driver } from "./driver.js";
import { onPermissionChange } from "./permission.js";
import { Problem } from "./problem.js";
import { askWindow, openWindow } from "./window-mode.js";

/** @typedef {{ challenge: string, statement: string }} Asked what shall be signed */
/** @typedef {{ answer: Portal.Answer, text: string }} Given the answer, and the challenge that it answers */

function notYet() {
  return false;
}

export class LockForm {
  driver = new Driver();
  /** Whether what the refusal on show is about has changed. */
  #isOver = notYet;
  /** How often the button was pressed. */
  #attempts = 0;

  /**
   * @param {HTMLElement} root holds what Chooser looks for, and [data-problem]
   * @param {HTMLButtonElement} button
   * @param {(lock: Wire.LockInfo) => boolean} [isBound] as Chooser takes it
   */
  constructor(root, button, isBound) {
    this.button = button;
    this.busy = new BusyButton(button);
    this.chooser = new Chooser(root, this.driver, isBound);
    this.problem = new Problem(part(root, "[data-problem]", HTMLElement));
    this.chooser.pinField.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !button.disabled) button.click();
    });
    root.addEventListener("calock:drawn", () => {
      if (this.#isOver()) this.problem.clear();
    });
  }

  start() {
    void this.driver.start();
    void onPermissionChange(() => void this.driver.look());
  }

  /**
   * What the form does itself of what a refusal asks for.
   *
   * @param {() => void} throughWindow
   */
  acts(throughWindow) {
    return {
      again: () => {
        this.problem.clear();
        if (this.chooser.pinField.value) this.button.click();
        else this.chooser.focusPin();
      },
      pin: () => {
        this.chooser.focusPin();
      },
      clean: () => {
        this.chooser.cleanPin();
      },
      window: throughWindow,
      lock: () => {
        this.chooser.focusLocks();
      },
      allow: () => {
        this.problem.clear();
        void this.driver.look(true);
      },
    };
  }

  /**
   * @param {() => Promise<void>} work
   * @param {(refused: Refused) => void} show what the form says when it is refused
   * @returns {Promise<boolean>} whether it went well
   */
  async attempt(work, show) {
    const { chooser, problem } = this;
    this.#attempts += 1;
    const attempt = this.#attempts;
    const used = chooser.listed ? chooser.lock : null; // none while the driver does not answer, though its last list is shown
    this.#isOver = notYet;
    problem.clear();
    this.busy.show("busy");
    try {
      await work();
      return true;
    } catch (error) {
      this.busy.show("");
      if (!(error instanceof Refused)) throw error;
      const { lock, listed } = chooser;
      show(error);
      if (this.driver.state === "ready") await this.driver.refresh();
      if (attempt !== this.#attempts) return false; // the button was pressed again meanwhile
      this.#isOver = chooser.isOver(used ?? (listed ? lock : null), listed);
      const { shown } = error;
      if (this.#isOver()) problem.clear();
      else if (chooser.needsWindow && shown.action.does === "pin") show(new Refused({ ...shown, action: refusal("PIN_WINDOW_ONLY").action }));
      else problem.reveal();
      return false;
    }
  }

  /**
   * The PIN is that of the page's own field.
   *
   * @param {Wire.LockInfo} lock
   * @param {() => Promise<Asked>} ask
   * @returns {Promise<Given>}
   * @throws {Refused}
   */
  async throughPage(lock, ask) {
    const { onReader } = lock.pin;
    const { pin, asTyped } = this.chooser.takePin();
    const asked = await ask();
    this.busy.show(onReader ? "signing_reader" : "signing");
    return { answer: await this.driver.authenticate({ lock: lock.id, ...asked, pin, asTyped }, onReader), text: asked.challenge };
  }

  /**
   * The PIN is typed in the driver's own window.
   *
   * @param {() => Promise<Asked>} ask
   * @returns {Promise<Given>}
   * @throws {Refused}
   */
  async throughWindow(ask) {
    const opened = await openWindow(ask);
    this.busy.show("window_wait");
    return { answer: await askWindow(opened, this.chooser.lock?.id ?? "", this.driver.port), text: opened.challenge };
  }
}
