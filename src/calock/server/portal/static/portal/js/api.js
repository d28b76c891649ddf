// Calls to the platform's own server. No PIN ever passes through here.

import { data, Refused, refuseHere } from "./data.js";
import { maybe } from "./dom.js";

/** @import { Shown } from "./data.js" */

const TRIES = 6; // of one call
const LONGEST = 10; // seconds to wait for the next

function csrf() {
  const cookie = /(?:^|;\s*)(?:__Host-csrf|csrftoken)=([^;]+)/.exec(document.cookie);
  return cookie?.[1] ?? maybe(document, "[name=csrfmiddlewaretoken]", HTMLInputElement)?.value ?? "";
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @throws {Refused} NETWORK
 */
async function ask(path, options) {
  try {
    return await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw refuseHere("NETWORK", "network", "try_again");
  }
}

/**
 * What a call was answered with.
 *
 * @param {Response} response
 * @returns {Promise<unknown>}
 * @throws {Refused} as the server says; SERVER_BUSY when it says nothing that can be read
 */
async function read(response) {
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  const { error } = /** @type {{ error?: Portal.Refusal }} */ (answer ?? {});
  throw new Refused(error ?? { ...data.refusals.SERVER_BUSY, reason: "SERVER_BUSY", number: "" });
}

/**
 * How soon the server wants to be asked again, in milliseconds; 0 where it does not, or not soon enough to wait for.
 *
 * @param {Response} response
 */
function soon({ status, headers }) {
  const seconds = status === 503 ? Number(headers.get("Retry-After")) : 0;
  return seconds > 0 && seconds <= LONGEST ? seconds * 1000 : 0;
}

/**
 * One call. While the server says "not now, soon" it has done and spent nothing, and is asked again.
 *
 * @template {keyof Portal.Calls} Path
 * @param {Path} path
 * @param {Portal.Calls[Path]["sent"]} body
 * @param {(shown: Shown) => void} waiting hears what to show meanwhile
 * @throws {Refused}
 */
export async function call(path, body, waiting = () => undefined) {
  for (let left = TRIES; ; left -= 1) {
    const response = await ask(path, {
      method: "POST",
      cache: "no-store",
      headers: { "Content-Type": "application/json", "X-CSRFToken": csrf() },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(30000),
    });
    const pause = soon(response);
    try {
      return /** @type {Portal.Calls[Path]["got"]} */ (await read(response));
    } catch (error) {
      if (!(error instanceof Refused) || !pause || left === 1) throw error;
      waiting(error.shown);
    }
    await new Promise((resolve) => {
      setTimeout(resolve, pause);
    });
  }
}

/**
 * The text to sign, and what its signature will say.
 *
 * @param {Portal.ChallengeRequest} request
 * @param {(shown: Shown) => void} [waiting] as of `call`
 * @throws {Refused}
 */
export async function challenge(request, waiting) {
  const { challenge: text, statement } = await call("/api/challenge", request, waiting);
  return { challenge: text, statement };
}

async function askProviders() {
  return /** @type {Portal.Site} */ (await read(await ask("/api/site", {}))).providers;
}

/** @type {Promise<Portal.Provider[]> | null} */
let known = null;

/**
 * Providers with their issuing keys, fetched once.
 *
 * @throws {Refused} and they are asked for again the next time
 */
export async function providers() {
  known ??= askProviders();
  try {
    return await known;
  } catch (error) {
    known = null;
    throw error;
  }
}

/**
 * The server's clock and how long it took to ask, in milliseconds.
 *
 * @throws {Refused}
 */
export async function serverTime() {
  const before = Date.now();
  const response = await ask("/api/site", { cache: "no-store" });
  return { server: Date.parse(response.headers.get("Date") ?? ""), here: (before + Date.now()) / 2 };
}
