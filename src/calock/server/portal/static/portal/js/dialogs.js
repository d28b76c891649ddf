// Dialogs, drawers and the toast. <dialog> keeps the focus and gives it back.

import { all, around, maybe, part } from "./dom.js";

/** @param {HTMLDialogElement} dialog */
export function openDialog(dialog) {
  if (dialog.open) return;
  dialog.showModal();
  all(dialog, ".body :is(input, select, textarea):enabled", HTMLElement)
    .find((field) => field.offsetParent !== null)
    ?.focus(); // else Enter closes it: the first button is the one that does
}

/** @param {HTMLDialogElement} dialog */
export function closeDialog(dialog) {
  if (dialog.open) dialog.close();
}

// what a form in a dialog was refused for is shown where it was filled in
const opened = maybe(document, "dialog[data-open]", HTMLDialogElement);
if (opened) openDialog(opened);

let hiding = 0;

/**
 * Say something for a few seconds, also to a screen reader.
 *
 * @param {string} text
 */
export function toast(text) {
  const place = part(document, "[data-toast]", HTMLElement);
  part(place, "span", HTMLElement).textContent = text;
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    place.hidden = true;
  }, 6000);
}

document.addEventListener("click", (event) => {
  const opener = around(event, "[data-open-dialog]", HTMLElement);
  if (opener) openDialog(part(document, `#${opener.dataset.openDialog ?? ""}`, HTMLDialogElement));
  const closing = around(event, "[data-close]", HTMLElement)?.closest("dialog");
  if (closing) closeDialog(closing);
  if (event.target instanceof HTMLDialogElement && event.target.classList.contains("drawer")) closeDialog(event.target);
});
