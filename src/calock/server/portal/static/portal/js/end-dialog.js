// The dialog that ends a binding: with a reason, and the password where the account has one.

import { call } from "./api.js";
import { reloadList } from "./binding-list.js";
import { Refused, refuseHere, say } from "./data.js";
import { closeDialog, openDialog, toast } from "./dialogs.js";
import { around, maybe, part } from "./dom.js";
import { showProblem } from "./panel.js";

const dialog = part(document, "[data-end-dialog]", HTMLDialogElement);
const problem = part(dialog, "[data-problem]", HTMLElement);
const chosen = part(dialog, "[data-end-reason]", HTMLSelectElement);
const other = part(dialog, "[data-end-other]", HTMLElement);
const text = part(other, "#end-text", HTMLTextAreaElement);
const password = maybe(dialog, "#end-password", HTMLInputElement);
const submit = part(dialog, "[data-end-submit]", HTMLButtonElement);
let binding = "";

document.addEventListener("click", (event) => {
  const row = around(event, "[data-end]", HTMLElement)?.dataset;
  if (!row) return;
  binding = row.end ?? "";
  part(dialog, "[data-end-what]", HTMLElement).textContent = `${row.subject ?? ""} · ${row.provider ?? ""} · ${row.holder ?? ""}`;
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
  showProblem(problem, refuseHere("REQUEST", word, "fill_in").shown, () => {
    field.focus();
  });
}

function takePassword() {
  const secret = password?.value ?? "";
  if (password) password.value = "";
  return secret;
}

/** @param {string} reason */
async function end(reason) {
  const secret = takePassword();
  submit.disabled = true;
  problem.replaceChildren();
  try {
    await call(`/api/bindings/${binding}/end`, { reason, password: secret });
    await reloadList();
    closeDialog(dialog);
    toast(say("ended"));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showProblem(problem, { ...error.shown, again: password !== null && error.reason.startsWith("STEP_UP") }, () => {
      password?.focus();
    });
  } finally {
    submit.disabled = false;
  }
}

part(dialog, "[data-end-form]", HTMLFormElement).addEventListener("submit", (event) => {
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
  problem.replaceChildren();
});
