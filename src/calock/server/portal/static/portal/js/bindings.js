// The page of bindings: the device strip, and the dialog that binds a lock.

import "./detail-drawer.js";
import "./end-dialog.js";
import { call, challenge } from "./api.js";
import { reloadList } from "./binding-list.js";
import { BindingQuestion } from "./binding-question.js";
import { data, isAmong } from "./data.js";
import { closeDialog, openDialog, toast } from "./dialogs.js";
import { all, maybe, part } from "./dom.js";
import { LockForm } from "./lock-form.js";
import { drawStrip } from "./panel.js";
import { StepUp } from "./step-up.js";
import { windowOffered } from "./window-mode.js";

/** @import { Refused } from "./data.js" */

const strip = part(document, "main > section [data-device]", HTMLElement);
const dialog = part(document, "[data-bind]", HTMLDialogElement);
const button = part(dialog, "[data-bind-submit]", HTMLButtonElement);
const windowWay = part(dialog, "[data-window-way]", HTMLElement);
const member = part(dialog, "[data-member]", HTMLSelectElement);
/** Where a site asks for the PIN in a step of its own. */
const later = maybe(dialog, "[data-pin-later]", HTMLElement);
const form = new LockForm(dialog, button, (lock) =>
  all(document, "[data-bound]", HTMLElement).some(({ dataset }) => isAmong(lock, dataset.bound ?? "")),
);
const { busy, chooser, driver, problem } = form;
const stepUp = new StepUp(dialog);
const question = new BindingQuestion(dialog);

driver.addEventListener("change", () => {
  drawStrip(strip, driver);
  windowWay.hidden = !windowOffered(driver);
});

function drawSteps() {
  const order = ["driver", "lock", "pin", "done"];
  const plugged = driver.locks.length === 0 ? "lock" : "pin";
  const now = order.indexOf(driver.state === "ready" || question.asked ? plugged : "driver");
  part(dialog, "[data-pin-step]", HTMLElement).hidden = question.asked;
  part(dialog, "[data-question-step]", HTMLElement).hidden = !question.asked;
  for (const item of all(dialog, "[data-step]", HTMLElement)) {
    const position = order.indexOf(item.dataset.step ?? "");
    item.classList.toggle("done", position < now);
    item.classList.toggle("now", position === now);
    if (position === now) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
}

function aim() {
  return { member: member.value, provider: chooser.provider };
}

/**
 * @param {Portal.Answer} answer
 * @param {string} text the challenge that it answers
 * @param {ReturnType<typeof aim>} aimed what the challenge is for
 */
async function bind({ token, device, driver: proof = null }, text, aimed) {
  await send({ challenge: text, token, device, driver: proof, ...aimed });
}

/** @param {Portal.BindRequest} answer */
async function send(answer) {
  busy.show("verifying");
  const got = await call("/api/bindings", answer);
  if (got.question) {
    question.ask(got.question, answer);
    drawSteps();
    return;
  }
  chooser.rememberLock();
  await reloadList();
  closeDialog(dialog);
  toast(dialog.dataset.done ?? "");
}

function goToPassword() {
  (stepUp.asked ? stepUp.field : null)?.focus();
}

/** @param {Refused} refused */
function show({ reason, shown }) {
  if (reason !== "REQUEST") question.clear();
  drawSteps();
  if (reason === "STEP_UP_REQUIRED") stepUp.expire();
  stepUp.draw();
  const acts = form.acts(() => void attempt(throughWindow));
  const again = () => {
    if (question.asked) {
      problem.clear();
      question.focus();
    } else acts.again();
  };
  const own = stepUp.field ? { ...acts, again, password: goToPassword } : { ...acts, again };
  problem.show({ ...shown, stay: true }, own, chooser.lockProvider);
  if (reason.startsWith("PIN") && !later?.hidden) chooser.refusePin();
}

/** @param {() => Promise<void>} work */
async function attempt(work) {
  if (await form.attempt(work, show)) busy.show("");
}

async function throughPage() {
  const lock = chooser.requireLock();
  if (later?.hidden) {
    later.hidden = false;
    chooser.pinField.focus();
    return;
  }
  chooser.requirePin();
  await stepUp.prove();
  const aimed = aim();
  const { answer, text } = await form.throughPage(lock, () => challenge({ purpose: "bind", ...aimed }));
  await bind(answer, text, aimed);
}

async function throughWindow() {
  const aimed = aim();
  const { answer, text } = await form.throughWindow(async () => {
    await stepUp.prove();
    return challenge({ purpose: "bind", ...aimed });
  });
  await bind(answer, text, aimed);
}

button.addEventListener("click", () => {
  if (question.asked) void attempt(() => send(question.answered()));
  else void attempt(data.pinEntry === "window" || chooser.needsWindow ? throughWindow : throughPage);
});
part(windowWay, "[data-window-bind]", HTMLElement).addEventListener("click", () => void attempt(throughWindow));
if (data.pinEntry === "window") part(dialog, "[data-pin-field]", HTMLElement).hidden = true;
dialog.addEventListener("calock:drawn", drawSteps);
dialog.addEventListener("toggle", () => {
  if (dialog.open) stepUp.draw();
});
dialog.addEventListener("close", () => {
  driver.cancel();
  chooser.forget();
  stepUp.clear();
  problem.clear();
  question.clear();
  drawSteps();
  if (later) later.hidden = true;
});

if (new URLSearchParams(location.search).has("bind")) openDialog(dialog); // who came to bind a lock is there

form.start();
