// The list of bindings, which follows what was done without a reload of the page.

import { maybe, part } from "./dom.js";

const list = part(document, "[data-list]", HTMLElement);

/**
 * Another page of ours; null where it did not arrive whole.
 *
 * @param {Response | null} response
 */
export async function pageOf(response) {
  const text = response?.ok ? await response.text().catch(() => null) : null;
  return text === null ? null : new DOMParser().parseFromString(text, "text/html");
}

/**
 * Draw the list anew; where that does not work, the page is loaded anew, or the one that says why this session is over. Of a page
 * that is being left nothing goes on: its dialog stays busy until the next page is there.
 */
export async function reloadList() {
  const response = await fetch(location.href, { credentials: "same-origin" }).catch(() => null);
  const page = await pageOf(response);
  const fresh = page && !response?.redirected ? maybe(page, "[data-list]", HTMLElement) : null;
  if (fresh) {
    list.replaceChildren(...fresh.childNodes);
    return;
  }
  await new Promise(() => {
    if (page && response?.redirected) location.assign(response.url);
    else location.reload();
  });
}
