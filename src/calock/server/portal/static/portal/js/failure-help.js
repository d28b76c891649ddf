// 可能失败原因 beside the CA login: the cause at hand stands first.

import { all, maybe } from "./dom.js";

/** @param {string} code of the catalogue of failures, `F13`; empty for none of them */
export function putFirst(code) {
  const list = maybe(document, "[data-causes]", HTMLElement);
  if (!list) return;
  for (const item of all(list, "[data-cause]", HTMLElement)) {
    const now = item.dataset.cause === code;
    item.classList.toggle("now", now);
    if (now) list.prepend(item);
  }
  const whole = maybe(document, "[data-all-causes]", HTMLAnchorElement);
  if (whole) whole.hash = code;
}
