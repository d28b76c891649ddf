// One problem with one action.

import { data, say } from "./data.js";
import { actionButton, element } from "./dom.js";
import { putFirst } from "./failure-help.js";
import { caLine, exclamation, pictureOf } from "./panel.js";

/** @import { Shown } from "./data.js" */
/** @typedef {Partial<Record<Portal.Action["does"], () => void>>} Does what this page does in place, by the action's `does` */

/**
 * @param {string} href
 * @param {string} name
 * @param {string} value
 */
function withQuery(href, name, value) {
  const [path = "", fragment] = href.split("#");
  return `${path}${path.includes("?") ? "&" : "?"}${name}=${encodeURIComponent(value)}${fragment ? `#${fragment}` : ""}`;
}

/** @param {string} href */
function andBack(href) {
  return withQuery(href, "next", location.pathname + location.search);
}

/**
 * A page of help that knows whose lock it is about names that CA first.
 *
 * @param {string} href
 * @param {string | undefined} code
 */
function about(href, code) {
  return code && href.startsWith("/") ? withQuery(href, "ca", code) : href;
}

/**
 * @param {Shown} shown
 * @param {Does} does
 * @param {Portal.Provider | undefined} provider
 */
function next({ action: { label, href, does: what }, ca, stay }, does, provider) {
  const click = what === "reload" ? () => { location.reload(); } : does[what];
  if (click) return actionButton(label, "button", click);
  if (what === "return") return element("a", { class: "button", href: andBack(href) }, label);
  if (!href) return actionButton(label, "button", does.again ?? (() => undefined));
  const link = about(href, ca ? provider?.code : "");
  return element("a", { class: "button", href: link, ...(stay ? { target: "_blank", rel: "opener" } : {}) }, label);
}

export class Problem {
  #place;

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
  }

  clear() {
    this.#place.replaceChildren();
  }

  /** Bring it into sight: on a small screen it stands below the button that was pressed, and what is drawn above it moves it. */
  reveal() {
    this.#place.firstElementChild?.scrollIntoView({ block: "nearest" });
  }

  /**
   * @param {Shown} shown
   * @param {Does} does
   * @param {Portal.Provider} [provider] the CA of the lock in question
   */
  show(shown, does, provider) {
    const codes = [shown.cause, shown.number ? say("number", { number: shown.number }) : ""].filter(Boolean).join(" · ");
    const told = provider?.hotline && shown.message.includes(provider.hotline);
    const act = element("p", { class: "act" }, next(shown, does, provider), codes ? element("span", { class: "code" }, codes) : null);
    this.#draw("bad", shown, shown.ca && !told ? caLine(provider) : null, act);
    putFirst(shown.cause);
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
    const alert = element("div", { class: `alert ${tone}`, "data-reason": reason }, ...parts);
    this.#place.replaceChildren(alert);
    this.reveal();
  }
}
