// One problem with one action, which goes when what it was about has changed.

import { data, say } from "./data.js";
import { actionButton, element } from "./dom.js";
import { caLine, exclamation, pictureOf } from "./panel.js";

/** @import { Shown } from "./data.js" */
/** @typedef {Partial<Record<Portal.Action["does"], () => void>>} Does what this page does in place, by the action's `does` */

/** @param {string} href */
function andBack(href) {
  const [path = "", fragment] = href.split("#");
  const here = encodeURIComponent(location.pathname + location.search);
  return `${path}${path.includes("?") ? "&" : "?"}next=${here}${fragment ? `#${fragment}` : ""}`;
}

/**
 * @param {Shown} shown
 * @param {Does} does
 */
function next({ action: { label, href, does: what }, stay }, does) {
  const click = what === "reload" ? () => { location.reload(); } : does[what];
  if (click) return actionButton(label, "button", click);
  if (what === "return") return element("a", { class: "button", href: andBack(href) }, label);
  if (!href) return actionButton(label, "button", does.again ?? (() => undefined));
  return element("a", { class: "button", href, ...(stay ? { target: "_blank", rel: "opener" } : {}) }, label);
}

export class Problem {
  #place;
  #situation;
  /** The situation that is complained about; null while it may still be changing by itself. */
  #about = /** @type {string | null} */ (null);

  /**
   * @param {HTMLElement} place
   * @param {() => string} situation what the problem is about: with another lock it is another one; empty while that is not known
   */
  constructor(place, situation = () => "") {
    this.#place = place;
    this.#situation = situation;
  }

  clear() {
    this.#about = null;
    this.#place.replaceChildren();
  }

  /** The situation has come to rest after what went wrong. */
  settle() {
    if (this.#place.hasChildNodes()) this.#about = this.#situation();
  }

  /** Something may have changed: a problem that is no longer there is not shown. */
  follow() {
    const now = this.#situation();
    if (now && this.#about !== null && this.#about !== now) this.clear();
  }

  /**
   * @param {Shown} shown
   * @param {Does} does
   * @param {Portal.Provider} [provider] the CA of the lock in question
   */
  show(shown, does, provider) {
    const number = shown.number ? element("span", { class: "code" }, ` ${say("number", { number: shown.number })}`) : null;
    const told = provider?.hotline && shown.message.includes(provider.hotline);
    this.#draw("bad", shown, shown.ca && !told ? caLine(provider) : null, element("p", { class: "act" }, next(shown, does), number));
  }

  /**
   * A problem that the page waits out by itself.
   *
   * @param {Shown} shown
   */
  wait(shown) {
    this.#draw("warn", shown, element("p", { class: "act" }, say("trying_again")));
  }

  /**
   * @param {"bad" | "warn"} tone
   * @param {Shown} shown
   * @param {...(Node | null)} more
   */
  #draw(tone, { reason, message }, ...more) {
    const picture = data.pictures[reason] ? pictureOf(reason) : null;
    const parts = [exclamation(), element("p", {}, message), picture, ...more];
    this.#place.replaceChildren(element("div", { class: `alert ${tone}`, "data-reason": reason }, ...parts));
  }
}
