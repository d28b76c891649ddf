// Calls to the platform's own server. No PIN ever passes through here.

import { data, Refused, say } from "./data.js";

function csrf() {
  const match = document.cookie.match(/(?:^|;\s*)(?:__Host-csrf|csrftoken)=([^;]+)/);
  return match ? match[1] : (document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "");
}

export async function call(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      credentials: "same-origin",
      cache: "no-store",
      headers: { "Content-Type": "application/json", "X-CSRFToken": csrf() },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(30000),
    });
  } catch {
    throw new Refused({ reason: "NETWORK", message: say("network"), action: { label: say("try_again"), href: "" }, number: "" });
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const shown = answer.error ?? { ...data.refusals.SERVER_BUSY, reason: "SERVER_BUSY", number: "" };
  throw new Refused(shown);
}

export const challenge = (purpose, context = {}) => call("/api/challenge", { purpose, ...context }).then((answer) => answer.challenge);

let known = null;

/** Providers with their issuing keys, fetched once. */
export function site() {
  known ??= fetch("/api/site", { credentials: "same-origin" })
    .then((response) => response.json())
    .catch(() => ({ providers: [] }));
  return known;
}
