// Details of a binding in a drawer; its link opens the same as a page.

import { pageOf } from "./binding-list.js";
import { openDialog } from "./dialogs.js";
import { around, maybe, part } from "./dom.js";

const drawer = part(document, "#detail-drawer", HTMLDialogElement);

/** @param {string} address of the page with the details */
async function show(address) {
  const response = await fetch(address, { credentials: "same-origin" }).catch(() => null);
  const page = await pageOf(response);
  const content = page && maybe(page, "[data-detail-content]", HTMLElement);
  if (content) {
    part(drawer, "[data-detail-body]", HTMLElement).replaceChildren(...content.childNodes);
    openDialog(drawer);
  } else {
    location.assign(address);
  }
}

document.addEventListener("click", (event) => {
  const link = around(event, "a[data-detail]", HTMLAnchorElement);
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  void show(link.href);
});
