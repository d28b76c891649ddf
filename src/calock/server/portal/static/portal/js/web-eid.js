// The Web eID browser extension, where one is installed: the same challenge, the same answer.

import { refuseHere } from "./data.js";

/** @typedef {Partial<Wire.AuthToken> & { action?: string, error?: { code?: string } }} Message what the extension posts into the page */

const VERSION = "2.0.0";
const ACKNOWLEDGED = 1000;
const USER = 120000;

/** The extension said no, said nothing, or is not there. */
class ExtensionError extends Error {
  /** @param {string} code its own, empty when it said nothing */
  constructor(code) {
    super(code || "no answer");
    this.code = code;
  }
}

/**
 * @param {string} action
 * @param {object} extra
 * @param {number} limit milliseconds, once the extension has said that it heard
 * @returns {Promise<Message>}
 * @throws {ExtensionError}
 */
function send(action, extra, limit) {
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      done();
      reject(new ExtensionError(""));
    };
    let timer = setTimeout(giveUp, ACKNOWLEDGED);
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener("message", receive);
    };
    const receive = (/** @type {MessageEvent<Message | null>} */ event) => {
      if (event.source !== window || event.origin !== location.origin) return;
      const message = event.data ?? {};
      if (message.action === `${action}-ack`) {
        clearTimeout(timer);
        timer = setTimeout(giveUp, limit);
      } else if (message.action === `${action}-success`) {
        done();
        resolve(message);
      } else if (message.action === `${action}-failure`) {
        done();
        reject(new ExtensionError(message.error?.code ?? ""));
      }
    };
    window.addEventListener("message", receive);
    window.postMessage({ action, libraryVersion: VERSION, ...extra }, location.origin);
  });
}

/** Whether the extension answers. */
export async function webEidPresent() {
  try {
    await send("web-eid:status", {}, 5000);
    return true;
  } catch {
    return false;
  }
}

/**
 * One answer to a challenge.
 *
 * @param {string} challenge
 * @returns {Promise<Portal.Answer>}
 * @throws {import("./data.js").Refused}
 */
export async function webEidAnswer(challenge) {
  try {
    const { lang } = document.documentElement;
    const message = await send("web-eid:authenticate", { challengeNonce: challenge, options: { lang } }, USER);
    const { unverifiedCertificate = "", algorithm = "", signature = "", format = "", appVersion } = message;
    return { token: { unverifiedCertificate, algorithm, signature, format, appVersion }, device: null };
  } catch (error) {
    const cancelled = error instanceof ExtensionError && error.code === "ERR_WEBEID_USER_CANCELLED";
    throw cancelled ? refuseHere("PIN_CANCELLED", "cancelled", "try_again") : refuseHere("DRIVER_FAILED", "extension_failed", "try_again");
  }
}
