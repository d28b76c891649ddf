// The CA list: bind a lock, end a binding, look at one; the list follows without a reload of the page.

import { call, challenge } from "./api.js";
import { Chooser } from "./chooser.js";
import { data, refuse, Refused, say } from "./data.js";
import { Driver } from "./driver.js";
import { closeDialog, openDialog, toast } from "./dialogs.js";
import { drawStrip, showProblem } from "./panel.js";
import { isLoopbackPage, onPermissionChange } from "./permission.js";
import { askWindow, openWindow } from "./window-mode.js";

const driver = new Driver();
const list = document.querySelector("[data-list]");
const strip = document.querySelector("main > section [data-device]");
driver.addEventListener("change", () => drawStrip(strip, driver));

async function reloadList() {
  const response = await fetch(location.href, { credentials: "same-origin" });
  if (!response.ok) return location.reload();
  if (response.redirected) return location.assign(response.url); // the login page, which says why this session is over
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.querySelector("[data-list]");
  return fresh ? list.replaceChildren(...fresh.childNodes) : location.reload();
}

// --- bind

const dialog = document.querySelector("[data-bind]");
const problem = dialog.querySelector("[data-problem]");
const button = dialog.querySelector("[data-bind-submit]");
const label = button.textContent;
const later = dialog.querySelector("[data-pin-later]");
const chooser = new Chooser(dialog, driver);

function busy(word) {
  button.disabled = Boolean(word);
  button.classList.toggle("busy", Boolean(word));
  button.textContent = word ? say(word) : label;
}

function step() {
  const order = ["driver", "lock", "pin", "done"];
  const now = driver.state !== "ready" ? 0 : driver.locks.length === 0 ? 1 : 2;
  for (const item of dialog.querySelectorAll("[data-step]")) {
    const position = order.indexOf(item.dataset.step);
    item.className = position < now ? "done" : position === now ? "now" : "";
    item.toggleAttribute("aria-current", position === now);
  }
}

// --- a fresh proof of oneself, asked for before the PIN so that no try of it is wasted

const stepUp = dialog.querySelector("[data-step-up]");
const stepUpField = stepUp.querySelector("input");
let freshUntil = performance.now() + Number(dialog.dataset.fresh) * 1000 - 15000;

function drawStepUp() {
  stepUp.hidden = performance.now() < freshUntil;
}

async function proveOneself() {
  drawStepUp();
  if (stepUp.hidden) return;
  if (!stepUpField) throw refuse("LOCK_PROOF_REQUIRED");
  const password = stepUpField.value;
  if (!password) {
    stepUpField.focus();
    throw new Refused({ reason: "STEP_UP_REQUIRED", message: say("password_missing"), action: { label: say("fill_in"), href: "" }, number: "" });
  }
  stepUpField.value = "";
  await call("/api/step-up", { password });
  freshUntil = performance.now() + 280000;
  drawStepUp();
}

function context() {
  return { member: dialog.querySelector("[data-member]").value, provider: chooser.provider };
}

async function bind(answer, text, aim) {
  busy("verifying");
  await call("/api/bindings", { challenge: text, token: answer.token, device: answer.device, ...aim });
  await reloadList();
  closeDialog(dialog);
  toast(dialog.dataset.done);
}

async function attempt(work) {
  showProblem(problem, null);
  busy("busy");
  try {
    await work();
    busy("");
  } catch (error) {
    busy("");
    if (!(error instanceof Refused)) throw error;
    if (error.reason === "STEP_UP_REQUIRED") freshUntil = 0;
    drawStepUp();
    const again = /^(STEP_UP|PIN_WRONG|PIN_MISSING|PIN_CANCELLED|NETWORK|DRIVER_BUSY|CHALLENGE)/.test(error.reason);
    showProblem(problem, { ...error.shown, again, stay: true }, () => {
      showProblem(problem, null);
      (stepUp.hidden || !stepUpField ? chooser.pinField : stepUpField).focus();
    });
    if (error.reason.startsWith("PIN") && !later?.hidden) chooser.pinField.focus({ preventScroll: true });
    problem.scrollIntoView({ block: "nearest" });
    if (driver.state === "ready") driver.refresh();
  }
}

function throughPage() {
  return attempt(async () => {
    const lock = chooser.requireLock();
    if (later?.hidden) {
      later.hidden = false;
      chooser.pinField.focus();
      return;
    }
    chooser.requirePin();
    await proveOneself();
    const { pin, useLastTry } = chooser.takePin();
    const aim = context();
    const text = await challenge("bind", aim);
    busy("signing");
    await bind(await driver.authenticate({ lock: lock.id, challenge: text, pin, useLastTry }), text, aim);
  });
}

function throughWindow() {
  return attempt(async () => {
    const opened = openWindow();
    const aim = context();
    let text;
    try {
      await proveOneself();
      text = await challenge("bind", aim);
    } catch (error) {
      opened.popup.close();
      throw error;
    }
    busy("window_wait");
    await bind(await askWindow(opened, { challenge: text, lock: chooser.lock?.id, port: driver.port }), text, aim);
  });
}

button.addEventListener("click", data.pinEntry === "window" ? throughWindow : throughPage);
dialog.querySelector("[data-window-bind]").addEventListener("click", throughWindow);
chooser.pinField.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !button.disabled) button.click();
});
if (data.pinEntry === "window") dialog.querySelector("[data-pin-field]").hidden = true;
dialog.addEventListener("calock:drawn", step);
dialog.addEventListener("toggle", () => dialog.open && drawStepUp());
dialog.addEventListener("close", () => {
  chooser.clearPin();
  if (stepUpField) stepUpField.value = "";
  showProblem(problem, null);
  if (later) later.hidden = true;
});
driver.addEventListener("change", () => {
  const closed = /^DRIVER_(PERMISSION|CERTIFICATE)/.test(driver.reason) || driver.state === "gesture" || (driver.reason === "DRIVER_ABSENT" && !isLoopbackPage());
  const ready = driver.state === "ready" && driver.hello?.pinEntry.includes("window");
  dialog.querySelector("[data-window-way]").hidden = data.pinEntry !== "page-then-window" || !(closed || ready);
});

// --- end a binding

const ending = document.querySelector("[data-end-dialog]");
const endProblem = ending.querySelector("[data-problem]");
const reason = ending.querySelector("[data-end-reason]");
const other = ending.querySelector("[data-end-other]");
const password = ending.querySelector("#end-password");
let endingId = "";

document.addEventListener("click", (event) => {
  const end = event.target.closest("[data-end]");
  if (!end) return;
  endingId = end.dataset.end;
  ending.querySelector("[data-end-what]").textContent = `${end.dataset.subject} · ${end.dataset.provider} · ${end.dataset.holder}`;
  openDialog(ending);
});

reason.addEventListener("change", () => (other.hidden = reason.value !== "other"));

function local(word, field) {
  field.focus();
  showProblem(endProblem, { reason: "REQUEST", message: say(word), action: { label: say("fill_in"), href: "" }, number: "" }, () => field.focus());
}

ending.querySelector("[data-end-form]").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = ending.querySelector("#end-text");
  const why = reason.value === "other" ? text.value.trim() : reason.value;
  if (!why) return local("reason_missing", reason.value === "other" ? text : reason);
  if (password && !password.value) return local("password_missing", password);
  const submit = ending.querySelector("[data-end-submit]");
  submit.disabled = true;
  showProblem(endProblem, null);
  try {
    const secret = password?.value ?? "";
    if (password) password.value = "";
    await call(`/api/bindings/${endingId}/end`, { reason: why, password: secret });
    await reloadList();
    closeDialog(ending);
    toast(say("ended"));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showProblem(endProblem, { ...error.shown, again: Boolean(password) && error.reason.startsWith("STEP_UP") }, () => password?.focus());
  } finally {
    submit.disabled = false;
  }
  return undefined;
});
ending.addEventListener("close", () => {
  if (password) password.value = "";
  reason.value = "";
  other.hidden = true;
  showProblem(endProblem, null);
});

// --- details in a drawer

const drawer = document.getElementById("detail-drawer");
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-detail]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const response = await fetch(link.href, { credentials: "same-origin" }).catch(() => null);
  const page = response?.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
  const content = page?.querySelector("[data-detail-content]");
  if (!content) return location.assign(link.href);
  drawer.querySelector("[data-detail-body]").replaceChildren(...content.childNodes);
  openDialog(drawer);
});

driver.start();
onPermissionChange(() => driver.look());
