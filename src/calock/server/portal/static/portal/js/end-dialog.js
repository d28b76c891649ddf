// The dialog that ends a binding: with a reason, and the password where the account has one.

import { call } from "./api.js";
import { reloadList } from "./binding-list.js";
import { Refused, refuseHere, say } from "./data.js";
import { closeDialog, openDialog, toast } from "./dialogs.js";
import { around, maybe, part } from "./dom.js";
import { Problem } from "./problem.js";

const dialog = part(document, "[data-end-dialog]", HTMLDialogElement);
const problem = new Problem(part(dialog, "[data-problem]", HTMLElement));
const chosen = part(dialog, "[data-end-reason]", HTMLSelectElement);
const other = part(dialog, "[data-end-other]", HTMLElement);
const text = part(other, "#end-text", HTMLTextAreaElement);
const password = maybe(dialog, "#end-password", HTMLInputElement);
const form = part(dialog, "[data-end-form]", HTMLFormElement);
const submit = part(dialog, "[data-end-submit]", HTMLButtonElement);
let binding = "";

document.addEventListener("click", (event) => {
  const row = around(event, "[data-end]", HTMLElement)?.dataset;
  if (!row) return;
  binding = row.end ?? "";
  part(dialog, "[data-end-what]", HTMLElement).textContent = row.what ?? "";
  openDialog(dialog);
});

chosen.addEventListener("change", () => {
  other.hidden = chosen.value !== "other";
});

/**
 * @param {Portal.Word} word
 * @param {HTMLElement} field
 */
function ask(word, field) {
  field.focus();
  problem.show(refuseHere("REQUEST", word, "fill_in").shown, {
    again: () => {
      field.focus();
    },
  });
}

function goToPassword() {
  password?.focus();
}

/** What this dialog does itself of what a refusal asks for. */
const DOES = {
  again: () => {
    form.requestSubmit();
  },
  reason: () => {
    (chosen.value === "other" ? text : chosen).focus();
  },
};

function takePassword() {
  const secret = password?.value ?? "";
  if (password) password.value = "";
  return secret;
}

/** @param {string} reason */
async function end(reason) {
  const secret = takePassword();
  submit.disabled = true;
  problem.clear();
  try {
    await call(`/api/bindings/${binding}/end`, { reason, password: secret });
    await reloadList();
    closeDialog(dialog);
    part(document, "[data-list]", HTMLElement).focus(); // the button that opened the dialog is gone
    toast(say("ended"));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problem.show({ ...error.shown, stay: true }, password ? { ...DOES, password: goToPassword } : DOES);
    if (error.reason === "STEP_UP_FAILED") goToPassword(); // on a phone the problem would push the field out of sight
  } finally {
    submit.disabled = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const own = chosen.value === "other";
  const reason = own ? text.value.trim() : chosen.value;
  if (!reason) ask("reason_missing", own ? text : chosen);
  else if (password?.value === "") ask("password_missing", password);
  else void end(reason);
});
dialog.addEventListener("close", () => {
  takePassword();
  chosen.value = "";
  other.hidden = true;
  problem.clear();
});
