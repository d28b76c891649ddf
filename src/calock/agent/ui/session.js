// The secret with which the status page asks; kept by this tab, got for the code that its launcher puts behind the #.

import { call } from "./shared.js";

const KEY = "calock.session";
let secret = sessionStorage.getItem(KEY) ?? "";

export function isOpen() {
  return secret !== "";
}

/**
 * @param {string} code good once
 * @throws {import("./shared.js").DriverRefusal}
 */
export async function open(code) {
  secret = (await call("/status/session", { code })).session;
  sessionStorage.setItem(KEY, secret);
}

export function forget() {
  sessionStorage.removeItem(KEY);
}

/**
 * One call of the status page's.
 *
 * @template {keyof DriverPages.Calls} Path
 * @param {Path} path
 * @param {DriverPages.Calls[Path]["sent"]} message
 * @throws {import("./shared.js").DriverRefusal}
 */
export function ask(path, message) {
  return call(path, message, { "X-Calock-Session": secret });
}
