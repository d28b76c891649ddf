// A lock proves who somebody is: on the CA tab of the login page, where a session asks again (data-purpose="stepup"), and when a lost
// one is there again (data-binding).

import { call, challenge } from "./api.js";
import { BusyButton } from "./busy-button.js";
import { Chooser } from "./chooser.js";
import { data, refusal, Refused } from "./data.js";
import { maybe, part } from "./dom.js";
import { Driver } from "./driver.js";
import { putFirst } from "./failure-help.js";
import { onPermissionChange } from "./permission.js";
import { Problem } from "./problem.js";
import { webEidAnswer, webEidPresent } from "./web-eid.js";
import { askWindow, openWindow, windowOffered } from "./window-mode.js";

const root = part(document, "[data-ca-login]", HTMLElement);
const button = part(root, "[data-ca-submit]", HTMLButtonElement);
const webEidWay = part(root, "[data-web-eid-way]", HTMLElement);
const windowWay = part(root, "[data-window-way]", HTMLElement);
const cancel = part(root, "[data-ca-cancel]", HTMLButtonElement);
const busy = new BusyButton(button);
const driver = new Driver();
const chooser = new Chooser(root, driver);
const problem = new Problem(part(root, "[data-problem]", HTMLElement), () => chooser.situation);
const { binding } = root.dataset;
const proof = root.dataset.purpose === "stepup" ? "stepup" : "login";
const purpose = binding ? "resume" : proof;
const next = root.dataset.next ?? "";
let started = false;

async function start() {
  if (started || root.hidden) return;
  started = true;
  void driver.start();
  void onPermissionChange(() => void driver.look());
  if (data.webEid) webEidWay.hidden = !(await webEidPresent());
}

let cursorPut = false;

/** The cursor goes to the PIN once, when there is something to type it for and the cursor is nowhere else. */
function putCursor() {
  const { activeElement: at } = document;
  const idle = !at || at === document.body || (at.matches('[role="tab"]') && !at.matches(":focus-visible"));
  if (cursorPut || !idle || !chooser.lock) return;
  cursorPut = true;
  chooser.pinField.focus();
}

/** @param {Portal.Refusal} shown */
function waiting(shown) {
  problem.wait(shown);
}

/** The text to sign, and what its signature will say. */
function ask() {
  return challenge({ purpose, binding }, waiting);
}

/**
 * @param {Portal.Answer} answer
 * @param {string} text the challenge that it answers
 * @returns where to go
 */
async function prove({ token, device, driver: shown = null }, text) {
  if (purpose === "stepup") {
    await call("/api/step-up", { challenge: text, token }, waiting);
    return next;
  }
  if (binding) {
    await call(`/api/bindings/${binding}/resume`, { challenge: text, token }, waiting);
    return next;
  }
  const provider = device ? chooser.provider : "";
  return (await call("/api/login", { challenge: text, token, device, driver: shown, provider, next }, waiting)).next;
}

/**
 * @param {Portal.Answer} answer
 * @param {string} text the challenge that it answers
 */
async function enter(answer, text) {
  busy.show("verifying");
  const destination = await prove(answer, text);
  chooser.rememberLock();
  location.assign(destination);
}

/** What this page does itself of what a refusal asks for. */
const DOES = {
  again: () => {
    problem.clear();
    if (chooser.pinField.value) button.click();
    else chooser.pinField.focus();
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
  const password = maybe(document, "#password", HTMLInputElement);
  const does = password ? { ...DOES, password: () => { password.focus(); } } : DOES;
  problem.show(shown, does, chooser.lockProvider);
  if (reason.startsWith("PIN")) chooser.refusePin();
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
    busy.show("");
    if (!(error instanceof Refused)) throw error;
    await show(error);
  }
}

async function throughPage() {
  const lock = chooser.requireLock();
  const { onReader } = lock.pin;
  const { pin, asTyped } = chooser.takePin();
  const asked = await ask();
  busy.show(onReader ? "signing_reader" : "signing");
  cancel.hidden = false;
  try {
    await enter(await driver.authenticate({ lock: lock.id, ...asked, pin, asTyped }, onReader), asked.challenge);
  } finally {
    cancel.hidden = true;
  }
}

async function throughWindow() {
  const opened = await openWindow(ask);
  busy.show("window_wait");
  await enter(await askWindow(opened, chooser.lock?.id ?? "", driver.port), opened.challenge);
}

async function throughExtension() {
  const { challenge: text } = await ask();
  busy.show("signing");
  await enter(await webEidAnswer(text), text);
}

button.addEventListener("click", () => {
  void attempt(data.pinEntry === "window" || chooser.needsWindow ? throughWindow : throughPage);
});
cancel.addEventListener("click", () => {
  driver.cancel();
});
part(windowWay, "[data-window-login]", HTMLElement).addEventListener("click", () => void attempt(throughWindow));
part(webEidWay, "[data-web-eid-login]", HTMLElement).addEventListener("click", () => void attempt(throughExtension));
chooser.pinField.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !button.disabled) button.click();
});
part(root, "[data-pin-field]", HTMLElement).hidden = data.pinEntry === "window";

root.addEventListener("calock:drawn", () => {
  problem.follow();
  putCursor();
});

// the window needs no permission
driver.addEventListener("change", () => {
  windowWay.hidden = !windowOffered(driver);
  if (driver.state === "failed") putFirst(refusal(driver.reason).cause);
});

document.addEventListener("calock:tab", () => void start());
void start();
