// The list of bindings, which follows what was done without a reload of the page.

import { maybe, part } from "./dom.js";

const list = part(document, "[data-list]", HTMLElement);

/**
 * Another page of ours.
 *
 * @param {Response} response
 */
export async function pageOf(response) {
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/** Draw the list anew; where that does not work, the page is loaded anew, or the one that says why this session is over. */
export async function reloadList() {
  const response = await fetch(location.href, { credentials: "same-origin" }).catch(() => null);
  if (response?.ok && response.redirected) {
    location.assign(response.url);
    return;
  }
  const fresh = response?.ok ? maybe(await pageOf(response), "[data-list]", HTMLElement) : null;
  if (fresh) list.replaceChildren(...fresh.childNodes);
  else location.reload();
}
