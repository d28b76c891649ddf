// Calls to the platform's own server. No PIN ever passes through here.

import { data, Refused, say } from "./data.js";

function csrf() {
  const match = document.cookie.match(/(?:^|;\s*)(?:__Host-csrf|csrftoken)=([^;]+)/);
  return match ? match[1] : (document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "");
}

const TRIES = 6;
const LONGEST = 10;

function send(path, body) {
  return fetch(path, {
    method: "POST",
    credentials: "same-origin",
    cache: "no-store",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrf() },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30000),
  }).catch(() => {
    throw new Refused({ reason: "NETWORK", message: say("network"), action: { label: say("try_again"), href: "" }, number: "" });
  });
}

/** Ask the server. While it says "not now, soon" nothing was done or spent: it is asked again, and `waiting` hears what to show. */
export async function call(path, body, waiting = () => {}) {
  for (let left = TRIES; ; left--) {
    const response = await send(path, body);
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const shown = answer.error ?? { ...data.refusals.SERVER_BUSY, reason: "SERVER_BUSY", number: "" };
    const seconds = response.status === 503 ? Number(response.headers.get("Retry-After")) : 0;
    if (!seconds || seconds > LONGEST || left === 1) throw new Refused(shown);
    waiting({ ...shown, waiting: true });
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

export const challenge = (purpose, context = {}, waiting) => call("/api/challenge", { purpose, ...context }, waiting).then((answer) => answer.challenge);

let known = null;

/** Providers with their issuing keys, fetched once. */
export function site() {
  known ??= fetch("/api/site", { credentials: "same-origin" })
    .then((response) => response.json())
    .catch(() => ({ providers: [] }));
  return known;
}
