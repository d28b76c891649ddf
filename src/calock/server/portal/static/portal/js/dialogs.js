// Dialogs, drawers and the toast. <dialog> keeps the focus and gives it back.

export function openDialog(dialog) {
  if (!dialog.open) dialog.showModal();
}

export function closeDialog(dialog) {
  if (dialog.open) dialog.close();
}

// what a form in a dialog was refused for is shown where it was filled in
const opened = document.querySelector("dialog[data-open]");
if (opened) openDialog(opened);

let hiding = 0;

/** Say something for a few seconds, also to a screen reader. */
export function toast(text) {
  const place = document.querySelector("[data-toast]");
  place.querySelector("span").textContent = text;
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (place.hidden = true), 6000);
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open-dialog]");
  if (opener) openDialog(document.getElementById(opener.dataset.openDialog));
  const closer = event.target.closest("[data-close]");
  if (closer) closeDialog(closer.closest("dialog"));
  if (event.target instanceof HTMLDialogElement && event.target.classList.contains("drawer")) closeDialog(event.target);
});
