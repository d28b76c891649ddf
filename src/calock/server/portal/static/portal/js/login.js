// A lock proves who somebody is: on the CA tab of the login page, and where a session asks again (data-purpose="stepup").

import { call, challenge } from "./api.js";
import { Chooser } from "./chooser.js";
import { data, Refused, say } from "./data.js";
import { Driver } from "./driver.js";
import { showProblem } from "./panel.js";
import { isLoopbackPage, onPermissionChange } from "./permission.js";
import { webEidAnswer, webEidPresent } from "./web-eid.js";
import { askWindow, openWindow } from "./window-mode.js";

const root = document.querySelector("[data-ca-login]");
const problem = root.querySelector("[data-problem]");
const button = root.querySelector("[data-ca-submit]");
const label = button.textContent;
const driver = new Driver();
const chooser = new Chooser(root, driver);
const purpose = root.dataset.purpose ?? "login";
let started = false;

function start() {
  if (started || root.hidden) return;
  started = true;
  driver.start();
  onPermissionChange(() => driver.look());
  if (data.webEid) webEidPresent().then((present) => (root.querySelector("[data-web-eid-way]").hidden = !present));
}

function busy(word) {
  button.disabled = Boolean(word);
  button.classList.toggle("busy", Boolean(word));
  button.textContent = word ? say(word) : label;
}

const waiting = (shown) => showProblem(problem, shown);

async function enter(answer, text) {
  busy("verifying");
  if (purpose === "stepup") {
    await call("/api/step-up", { challenge: text, token: answer.token }, waiting);
    location.assign(root.dataset.next);
    return;
  }
  const provider = answer.device ? chooser.provider : "";
  const sent = { challenge: text, token: answer.token, device: answer.device, provider, next: root.dataset.next };
  const { next } = await call("/api/login", sent, waiting);
  location.assign(next);
}

async function attempt(work) {
  showProblem(problem, null);
  busy("busy");
  try {
    await work();
  } catch (error) {
    busy("");
    if (!(error instanceof Refused)) throw error;
    const again = ["PIN_WRONG", "PIN_MISSING", "PIN_CANCELLED", "NETWORK", "DRIVER_BUSY"].includes(error.reason) || error.reason.startsWith("CHALLENGE");
    showProblem(problem, { ...error.shown, again }, () => {
      showProblem(problem, null);
      if (!chooser.pinField.value) chooser.pinField.focus();
      else button.click();
    });
    driver.state === "ready" && driver.refresh();
    if (error.reason.startsWith("PIN")) chooser.pinField.focus();
  }
}

function throughPage() {
  return attempt(async () => {
    const lock = chooser.requireLock();
    const { pin, useLastTry } = chooser.takePin();
    const text = await challenge(purpose, {}, waiting);
    busy("signing");
    await enter(await driver.authenticate({ lock: lock.id, challenge: text, pin, useLastTry }), text);
  });
}

function throughWindow() {
  return attempt(async () => {
    const opened = openWindow();
    let text;
    try {
      text = await challenge(purpose, {}, waiting);
    } catch (error) {
      opened.popup.close();
      throw error;
    }
    busy("window_wait");
    await enter(await askWindow(opened, { challenge: text, lock: chooser.lock?.id, port: driver.port }), text);
  });
}

function throughExtension() {
  return attempt(async () => {
    const text = await challenge(purpose, {}, waiting);
    busy("signing");
    await enter(await webEidAnswer(text), text);
  });
}

button.addEventListener("click", data.pinEntry === "window" ? throughWindow : throughPage);
root.querySelector("[data-window-login]").addEventListener("click", throughWindow);
root.querySelector("[data-web-eid-login]").addEventListener("click", throughExtension);
chooser.pinField.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !button.disabled) button.click();
});
root.querySelector("[data-pin-field]").hidden = data.pinEntry === "window";

// the window needs no permission: offer it where the page's own way is closed, or may be
driver.addEventListener("change", () => {
  const closed = /^DRIVER_(PERMISSION|CERTIFICATE)/.test(driver.reason) || driver.state === "gesture" || (driver.reason === "DRIVER_ABSENT" && !isLoopbackPage());
  const offered = data.pinEntry === "page-then-window" && (closed || (driver.state === "ready" && driver.hello?.pinEntry.includes("window")));
  root.querySelector("[data-window-way]").hidden = !offered;
});

document.addEventListener("calock:tab", start);
start();
