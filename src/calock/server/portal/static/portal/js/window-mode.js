// The PIN in the driver's own window: a top-level pop-up at 127.0.0.1, reached by a form, answering by postMessage.

import { data, refuse, refuseHere } from "./data.js";
import { element } from "./dom.js";
import { randomText } from "./driver-proof.js";
import { isLoopbackPage } from "./permission.js";

/** @import { Refused } from "./data.js" */
/** @import { Driver } from "./driver.js" */
/** @typedef {{ popup: Window, name: string, challenge: string, statement: string }} Opened the empty window, and what it shall have signed */

const SILENCE = 3000;
const SILENCE_FURTHER = 1000; // most people's driver has the first port: sixteen long waits would not help

/**
 * Whether to offer the window beside the page's own PIN field: where that way is closed, or may be, or simply both are there.
 *
 * @param {Driver} driver
 */
export function windowOffered(driver) {
  if (data.pinEntry !== "page-then-window") return false;
  if (driver.state === "ready") return driver.hello?.pinEntry.includes("window") ?? false;
  if (driver.state === "gesture" || /^DRIVER_(PERMISSION|CERTIFICATE)/.test(driver.reason)) return true;
  return driver.reason === "DRIVER_ABSENT" && !isLoopbackPage();
}

/**
 * @param {number} port
 * @param {string} name of the window
 * @param {Record<string, string>} fields Wire.WindowRequest
 */
function postForm(port, name, fields) {
  const inputs = Object.entries(fields).map(([key, value]) => element("input", { type: "hidden", name: key, value }));
  const action = `http://127.0.0.1:${port}/window/authenticate`;
  const form = element("form", { method: "post", target: name, action, hidden: true }, ...inputs);
  document.body.append(form);
  form.submit();
  form.remove();
}

/**
 * Open the empty window at once, since only inside the click does the browser allow it, and get its challenge.
 *
 * @param {() => Promise<{ challenge: string, statement: string }>} challenge where it fails, the window is closed again
 * @returns {Promise<Opened>}
 * @throws {Refused}
 */
export async function openWindow(challenge) {
  const name = `calock-${Date.now()}`;
  const popup = window.open("", name, "popup,width=480,height=640");
  if (!popup) throw refuseHere("DRIVER_FAILED", "window_blocked", "retry");
  try {
    return { popup, name, ...(await challenge()) };
  } catch (error) {
    popup.close();
    throw error;
  }
}

/**
 * Send the challenge into the window and wait for its one answer.
 *
 * @param {Opened} opened
 * @param {string} lock empty: it is chosen in the window
 * @param {number} port where the driver listens, 0 when that is not known
 * @returns {Promise<Wire.AuthenticateReply>}
 * @throws {Refused}
 */
export function askWindow({ popup, name, challenge, statement }, lock, port) {
  const state = randomText();
  const ports = port ? [port] : [...data.ports];
  return new Promise((resolve, reject) => {
    let current = 0;
    let ready = false;
    let silence = 0;
    const end = () => {
      clearInterval(watch);
      clearTimeout(silence);
      window.removeEventListener("message", hear);
    };
    const fail = (/** @type {Refused} */ error) => {
      end();
      if (!popup.closed && !ready) popup.close();
      reject(error);
    };
    const hear = (/** @type {MessageEvent<Wire.WindowAnswer | null>} */ { source, origin, data: message }) => {
      if (source !== popup || origin !== `http://127.0.0.1:${current}` || message?.state !== state) return;
      if (message.type === "calock-ready") {
        ready = true;
        clearTimeout(silence);
        if (message.takes?.includes("statement")) popup.postMessage({ type: "calock-statement", state, statement }, origin);
      } else if (message.type === "calock-answer" && message.answer) {
        end();
        resolve(message.answer);
      } else if (message.type === "calock-answer") {
        fail(refuse(message.error?.reason ?? "DRIVER_FAILED", { tries_left: message.error?.triesLeft }));
      }
    };
    /** Post the form to the next port; to the one after it when no window has spoken by then. */
    const knock = () => {
      const next = ports.shift();
      if (next === undefined) {
        fail(refuseHere("DRIVER_FAILED", "window_silent", "retry"));
        return;
      }
      current = next;
      postForm(current, name, lock ? { challenge, state, lock } : { challenge, state });
      silence = setTimeout(knock, port || current === data.ports[0] ? SILENCE : SILENCE_FURTHER);
    };
    const watch = setInterval(() => {
      if (popup.closed) fail(refuse("PIN_CANCELLED"));
    }, 400);
    window.addEventListener("message", hear);
    knock();
  });
}
