// Programs on this computer: how to reach them, and what each kind of browser lets a page do.

import { data } from "./data.js";

/** @typedef {{ port: number, status: number, body: unknown }} Reply of whatever listens there */

const FROM_HTTPS = location.protocol === "https:" && window.isSecureContext;
const CHROMIUM = /Chrom(e|ium)\//.test(navigator.userAgent); // asks the user, but blocks nothing as mixed content
/** Safari lets no https page speak plain http to this computer; it does not say whether it blocked or there was no answer. */
export const PLAIN_BLOCKED = FROM_HTTPS && !CHROMIUM && navigator.userAgent.includes("AppleWebKit/");
/** Firefox with HTTPS-Only lets requests through and turns WebSockets into wss. */
export const SOCKET_MAY_BE_BLOCKED = FROM_HTTPS && !CHROMIUM;

/**
 * @param {number} port
 * @param {"http" | "ws"} scheme
 */
export function address(port, scheme = "http") {
  return `${scheme}${data.tlsPorts.includes(port) ? "s" : ""}://127.0.0.1:${port}`;
}

/**
 * One call of the driver's.
 *
 * @template {keyof Wire.Calls} Path
 * @param {number} port
 * @param {Path} path
 * @param {Wire.Calls[Path]["sent"]} body
 * @param {AbortSignal} signal
 * @returns {Promise<Reply>}
 */
export async function post(port, path, body, signal) {
  const response = await fetch(address(port) + path, {
    method: "POST",
    mode: "cors",
    credentials: "omit",
    cache: "no-store",
    referrerPolicy: "no-referrer",
    headers: { "Content-Type": "application/json", "X-Calock": "1" },
    body: JSON.stringify(body),
    signal,
  });
  return { port, status: response.status, body: await response.json() };
}

/** The driver's ports on which something listens, even what lets no page read its answer. */
export async function takenPorts() {
  const probes = data.ports.map((port) =>
    fetch(`${address(port)}/`, { mode: "no-cors", credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(400) }),
  );
  const results = await Promise.allSettled(probes);
  return data.ports.filter((_, index) => results[index]?.status === "fulfilled");
}
