// A lock proves who somebody is: on the CA tab of the login page, where a session asks again (data-purpose="stepup"), and when a lost
// one is there again (data-binding).

import { call, challenge } from "./api.js";
import { data, refusal } from "./data.js";
import { maybe, part } from "./dom.js";
import { putFirst } from "./failure-help.js";
import { LockForm } from "./lock-form.js";
import { webEidAnswer, webEidPresent } from "./web-eid.js";
import { windowOffered } from "./window-mode.js";

/** @import { Refused } from "./data.js" */

const root = part(document, "[data-ca-login]", HTMLElement);
const button = part(root, "[data-ca-submit]", HTMLButtonElement);
const webEidWay = part(root, "[data-web-eid-way]", HTMLElement);
const windowWay = part(root, "[data-window-way]", HTMLElement);
const cancel = part(root, "[data-ca-cancel]", HTMLButtonElement);
const form = new LockForm(root, button);
const { busy, chooser, driver, problem } = form;
const { binding } = root.dataset;
const proof = root.dataset.purpose === "stepup" ? "stepup" : "login";
const purpose = binding ? "resume" : proof;
const next = root.dataset.next ?? "";
let started = false;

async function start() {
  if (started || root.hidden) return;
  started = true;
  form.start();
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

/** @param {Refused} refused */
function show({ reason, shown }) {
  const password = maybe(document, "#password", HTMLInputElement);
  const acts = form.acts(() => void attempt(throughWindow));
  problem.show(shown, password ? { ...acts, password: () => { password.focus(); } } : acts, chooser.lockProvider);
  if (reason.startsWith("PIN")) chooser.refusePin();
}

/** @param {() => Promise<void>} work */
async function attempt(work) {
  await form.attempt(work, show);
}

async function throughPage() {
  const { answer, text } = await form
    .throughPage(chooser.requireLock(), async () => {
      const asked = await ask();
      cancel.hidden = false; // from here on there is something to cancel, until the lock has answered
      return asked;
    })
    .finally(() => {
      cancel.hidden = true;
    });
  await enter(answer, text);
}

async function throughWindow() {
  const { answer, text } = await form.throughWindow(ask);
  await enter(answer, text);
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
part(root, "[data-pin-field]", HTMLElement).hidden = data.pinEntry === "window";

root.addEventListener("calock:drawn", putCursor);

// the window needs no permission
driver.addEventListener("change", () => {
  windowWay.hidden = !windowOffered(driver);
  if (driver.state === "failed") putFirst(refusal(driver.reason).cause);
});

document.addEventListener("calock:tab", () => void start());
void start();
