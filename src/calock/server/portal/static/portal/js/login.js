// A lock proves who somebody is: on the CA tab of the login page, and where a session asks again (data-purpose="stepup").

import { call, challenge } from "./api.js";
import { BusyButton } from "./busy-button.js";
import { Chooser } from "./chooser.js";
import { data, Refused } from "./data.js";
import { part } from "./dom.js";
import { Driver } from "./driver.js";
import { showProblem, showWaiting } from "./panel.js";
import { onPermissionChange } from "./permission.js";
import { webEidAnswer, webEidPresent } from "./web-eid.js";
import { askWindow, openWindow, windowOffered } from "./window-mode.js";

const root = part(document, "[data-ca-login]", HTMLElement);
const problem = part(root, "[data-problem]", HTMLElement);
const button = part(root, "[data-ca-submit]", HTMLButtonElement);
const webEidWay = part(root, "[data-web-eid-way]", HTMLElement);
const windowWay = part(root, "[data-window-way]", HTMLElement);
const busy = new BusyButton(button);
const driver = new Driver();
const chooser = new Chooser(root, driver);
const purpose = root.dataset.purpose === "stepup" ? "stepup" : "login";
const next = root.dataset.next ?? "";
let started = false;

async function start() {
  if (started || root.hidden) return;
  started = true;
  void driver.start();
  void onPermissionChange(() => void driver.look());
  if (data.webEid) webEidWay.hidden = !(await webEidPresent());
}

/** @param {Portal.Refusal} shown */
function waiting(shown) {
  showWaiting(problem, shown);
}

/** The text to sign. */
function ask() {
  return challenge({ purpose }, waiting);
}

/**
 * @param {Portal.Answer} answer
 * @param {string} text the challenge that it answers
 * @returns where to go
 */
async function prove({ token, device }, text) {
  if (purpose === "stepup") {
    await call("/api/step-up", { challenge: text, token }, waiting);
    return next;
  }
  const provider = device ? chooser.provider : "";
  return (await call("/api/login", { challenge: text, token, device, provider, next }, waiting)).next;
}

/**
 * @param {Portal.Answer} answer
 * @param {string} text the challenge that it answers
 */
async function enter(answer, text) {
  busy.show("verifying");
  location.assign(await prove(answer, text));
}

/** @param {() => Promise<void>} work */
async function attempt(work) {
  problem.replaceChildren();
  busy.show("busy");
  try {
    await work();
  } catch (error) {
    busy.show("");
    if (!(error instanceof Refused)) throw error;
    const again = /^(PIN_WRONG|PIN_MISSING|PIN_CANCELLED|NETWORK|DRIVER_BUSY|CHALLENGE)/.test(error.reason);
    showProblem(problem, { ...error.shown, again }, () => {
      problem.replaceChildren();
      if (chooser.pinField.value) button.click();
      else chooser.pinField.focus();
    });
    if (driver.state === "ready") void driver.refresh();
    if (error.reason.startsWith("PIN")) chooser.pinField.focus();
  }
}

async function throughPage() {
  const lock = chooser.requireLock();
  const { pin, useLastTry } = chooser.takePin();
  const text = await ask();
  busy.show("signing");
  await enter(await driver.authenticate({ lock: lock.id, challenge: text, pin, useLastTry }), text);
}

async function throughWindow() {
  const opened = await openWindow(ask);
  busy.show("window_wait");
  await enter(await askWindow(opened, chooser.lock?.id ?? "", driver.port), opened.challenge);
}

async function throughExtension() {
  const text = await ask();
  busy.show("signing");
  await enter(await webEidAnswer(text), text);
}

button.addEventListener("click", () => void attempt(data.pinEntry === "window" ? throughWindow : throughPage));
part(windowWay, "[data-window-login]", HTMLElement).addEventListener("click", () => void attempt(throughWindow));
part(webEidWay, "[data-web-eid-login]", HTMLElement).addEventListener("click", () => void attempt(throughExtension));
chooser.pinField.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !button.disabled) button.click();
});
part(root, "[data-pin-field]", HTMLElement).hidden = data.pinEntry === "window";

// the window needs no permission
driver.addEventListener("change", () => {
  windowWay.hidden = !windowOffered(driver);
});

document.addEventListener("calock:tab", () => void start());
void start();
