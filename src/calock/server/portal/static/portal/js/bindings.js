// The page of bindings: the device strip, and the dialog that binds a lock.

import "./detail-drawer.js";
import "./end-dialog.js";
import { call, challenge } from "./api.js";
import { reloadList } from "./binding-list.js";
import { BindingQuestion } from "./binding-question.js";
import { BusyButton } from "./busy-button.js";
import { Chooser } from "./chooser.js";
import { data, isAmong, Refused } from "./data.js";
import { closeDialog, openDialog, toast } from "./dialogs.js";
import { all, maybe, part } from "./dom.js";
import { Driver } from "./driver.js";
import { drawStrip } from "./panel.js";
import { onPermissionChange } from "./permission.js";
import { Problem } from "./problem.js";
import { StepUp } from "./step-up.js";
import { askWindow, openWindow, windowOffered } from "./window-mode.js";

const driver = new Driver();
const strip = part(document, "main > section [data-device]", HTMLElement);
const dialog = part(document, "[data-bind]", HTMLDialogElement);
const button = part(dialog, "[data-bind-submit]", HTMLButtonElement);
const windowWay = part(dialog, "[data-window-way]", HTMLElement);
const member = part(dialog, "[data-member]", HTMLSelectElement);
/** Where a site asks for the PIN in a step of its own. */
const later = maybe(dialog, "[data-pin-later]", HTMLElement);
const busy = new BusyButton(button);
const chooser = new Chooser(dialog, driver, (lock) =>
  all(document, "[data-bound]", HTMLElement).some(({ dataset }) => isAmong(lock, dataset.bound ?? "")),
);
const stepUp = new StepUp(dialog);
const question = new BindingQuestion(dialog);
const problem = new Problem(part(dialog, "[data-problem]", HTMLElement), () => chooser.situation);

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

/** What this dialog does itself of what a refusal asks for. */
const DOES = {
  again: () => {
    problem.clear();
    if (question.asked) question.focus();
    else if (chooser.pinField.value) button.click();
    else chooser.focusPin();
  },
  pin: () => {
    chooser.focusPin();
  },
  clean: () => {
    chooser.cleanPin();
  },
  window: () => void attempt(throughWindow),
  lock: () => {
    chooser.focusLocks();
  },
  allow: () => {
    problem.clear();
    void driver.look(true);
  },
};

/** @param {Refused} refused */
async function show({ reason, shown }) {
  const { lock } = chooser;
  if (reason !== "REQUEST") question.clear();
  drawSteps();
  if (reason === "STEP_UP_REQUIRED") stepUp.expire();
  stepUp.draw();
  problem.show({ ...shown, stay: true }, stepUp.field ? { ...DOES, password: goToPassword } : DOES, chooser.lockProvider);
  if (reason.startsWith("PIN") && !later?.hidden) chooser.refusePin();
  if (driver.state === "ready") await driver.refresh();
  if (chooser.hasLeft(lock)) problem.clear();
  else problem.settle();
}

/** @param {() => Promise<void>} work */
async function attempt(work) {
  problem.clear();
  busy.show("busy");
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    await show(error);
  } finally {
    busy.show("");
  }
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
  const { onReader } = lock.pin;
  const { pin, asTyped } = chooser.takePin();
  const aimed = aim();
  const asked = await challenge({ purpose: "bind", ...aimed });
  busy.show(onReader ? "signing_reader" : "signing");
  await bind(await driver.authenticate({ lock: lock.id, ...asked, pin, asTyped }, onReader), asked.challenge, aimed);
}

async function throughWindow() {
  const aimed = aim();
  const opened = await openWindow(async () => {
    await stepUp.prove();
    return challenge({ purpose: "bind", ...aimed });
  });
  busy.show("window_wait");
  await bind(await askWindow(opened, chooser.lock?.id ?? "", driver.port), opened.challenge, aimed);
}

button.addEventListener("click", () => {
  if (question.asked) void attempt(() => send(question.answered()));
  else void attempt(data.pinEntry === "window" || chooser.needsWindow ? throughWindow : throughPage);
});
part(windowWay, "[data-window-bind]", HTMLElement).addEventListener("click", () => void attempt(throughWindow));
chooser.pinField.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !button.disabled) button.click();
});
if (data.pinEntry === "window") part(dialog, "[data-pin-field]", HTMLElement).hidden = true;
dialog.addEventListener("calock:drawn", () => {
  drawSteps();
  problem.follow();
});
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

void driver.start();
void onPermissionChange(() => void driver.look());
