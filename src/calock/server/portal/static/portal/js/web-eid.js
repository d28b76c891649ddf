// The Web eID browser extension, where one is installed: the same challenge, the same answer.

import { Refused, say } from "./data.js";

const VERSION = "2.0.0";
const ACKNOWLEDGED = 1000;
const USER = 120000;

function send(action, extra, limit) {
  return new Promise((resolve, reject) => {
    let timer = setTimeout(() => finish(reject, new Error("no extension")), ACKNOWLEDGED);
    const finish = (settle, value) => {
      clearTimeout(timer);
      window.removeEventListener("message", receive);
      settle(value);
    };
    const receive = (event) => {
      if (event.source !== window || event.origin !== location.origin) return;
      const message = event.data ?? {};
      if (message.action === `${action}-ack`) {
        clearTimeout(timer);
        timer = setTimeout(() => finish(reject, new Error("no answer")), limit);
      } else if (message.action === `${action}-success`) {
        finish(resolve, message);
      } else if (message.action === `${action}-failure`) {
        finish(reject, message.error ?? new Error("failed"));
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

/** One answer to a challenge: {token, device: null}. */
export async function webEidAnswer(challenge) {
  try {
    const message = await send("web-eid:authenticate", { challengeNonce: challenge, options: { lang: document.documentElement.lang } }, USER);
    const { unverifiedCertificate, algorithm, signature, format, appVersion } = message;
    return { token: { unverifiedCertificate, algorithm, signature, format, appVersion }, device: null };
  } catch (error) {
    const cancelled = error?.code === "ERR_WEBEID_USER_CANCELLED";
    const message = cancelled ? say("cancelled") : say("extension_failed");
    throw new Refused({ reason: cancelled ? "PIN_CANCELLED" : "DRIVER_FAILED", message, action: { label: say("try_again"), href: "" }, number: "" });
  }
}
