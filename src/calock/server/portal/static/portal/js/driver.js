// The CA driver on this computer: find it, ask it, follow what is plugged in. See docs/protocol.md.

import { data, refuse } from "./data.js";
import { isLoopbackPage, loopbackPermission } from "./permission.js";

const HELLO_LIMIT = 2500; // everything is decided within 3 s
const AGAIN = 2000; // how often an absent driver is looked for
const BACK_OFF = [250, 500, 1000, 2000];

const FROM_HTTPS = location.protocol === "https:" && window.isSecureContext;
const CHROMIUM = /Chrom(e|ium)\//.test(navigator.userAgent); // asks the user, but blocks nothing as mixed content
/** Safari lets no https page speak plain http to this computer; it does not say whether it blocked or nobody answered. */
const PLAIN_BLOCKED = FROM_HTTPS && !CHROMIUM && /AppleWebKit\//.test(navigator.userAgent);
/** Firefox with HTTPS-Only lets requests through and turns WebSockets into wss. */
const SOCKET_MAY_BE_BLOCKED = FROM_HTTPS && !CHROMIUM;

function address(port, scheme = "http") {
  return `${scheme}${data.tlsPorts?.includes(port) ? "s" : ""}://127.0.0.1:${port}`;
}

async function post(port, path, body, limit) {
  const options = {
    method: "POST",
    mode: "cors",
    credentials: "omit",
    cache: "no-store",
    referrerPolicy: "no-referrer",
    headers: { "Content-Type": "application/json", "X-Calock": "1" },
    body: JSON.stringify(body),
  };
  if (limit) options.signal = AbortSignal.timeout(limit);
  const response = await fetch(address(port) + path, options);
  return { status: response.status, body: await response.json() };
}

function older(version, required) {
  const [left, right] = [version, required].map((text) => text.split(/[.+-]/).slice(0, 3).map((part) => parseInt(part, 10) || 0));
  for (let index = 0; index < 3; index += 1) {
    if ((left[index] ?? 0) !== (right[index] ?? 0)) return (left[index] ?? 0) < (right[index] ?? 0);
  }
  return false;
}

/**
 * States: searching, gesture (a click must come first, the browser will ask), asking (the browser is asking), ready, failed.
 * Fires "change"; `reason` and `facts` say why it failed; `locks` and `problems` are the latest list.
 */
export class Driver extends EventTarget {
  state = "searching";
  reason = "";
  facts = {};
  hello = null;
  /** Of plain http, for the driver's window; 0 where only https works. */
  port = 0;
  locks = [];
  problems = [];
  #socket = null;
  #timer = 0;
  #failures = 0;
  #asked = 0;
  #drawn = 0;
  #search = 0;
  #at = 0;
  #socketBlocked = false;

  start() {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.state === "failed") this.look();
    });
    return this.look();
  }

  #become(state, reason = "", facts = {}) {
    const changed = state !== this.state || reason !== this.reason;
    Object.assign(this, { state, reason, facts });
    if (changed || state === "ready") this.dispatchEvent(new Event("change"));
  }

  #later(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (document.hidden ? this.#later(delay) : this.look()), delay);
  }

  /** Look for the driver. `clicked`: the user has asked for it, so the browser may ask him. */
  async look(clicked = false) {
    const search = (this.#search += 1);
    clearTimeout(this.#timer);
    const permission = await loopbackPermission();
    if (search !== this.#search) return;
    if (permission === "denied") return this.#become("failed", "DRIVER_PERMISSION_DENIED");
    if (permission === "prompt" && !clicked) return this.#become("gesture");
    if (this.state !== "failed" || clicked) this.#become("searching");
    const asking = permission === "prompt" ? setTimeout(() => search === this.#search && this.#become("asking"), 400) : 0;
    const found = await this.#ask(permission === "prompt" ? 60000 : HELLO_LIMIT);
    clearTimeout(asking);
    if (search !== this.#search) return;
    await this.#judge(found, permission);
  }

  async #ask(limit) {
    const start = performance.now();
    const plain = await this.#askAt(data.ports, limit);
    if (!SOCKET_MAY_BE_BLOCKED || (plain.ours && !this.#socketBlocked)) return plain;
    const secure = await this.#askAt(data.tlsPorts, Math.max(500, limit - (performance.now() - start)));
    return secure.ours || (!plain.ours && plain.answers.length === 0) ? secure : plain;
  }

  async #askAt(ports, limit) {
    const asked = ports.map((port) => post(port, "/v1/hello", {}, limit).then((answer) => ({ port, answer })));
    const results = await Promise.allSettled(asked);
    const answers = results.filter((result) => result.status === "fulfilled").map((result) => result.value);
    const ours = answers.find(({ answer }) => answer.body?.driver === "calock");
    return { ours, answers, timedOut: results.some((result) => result.reason?.name === "TimeoutError") };
  }

  async #judge({ ours, answers, timedOut }, before) {
    if (!ours) {
      const now = await loopbackPermission();
      if (now === "denied") return this.#become("failed", "DRIVER_PERMISSION_DENIED");
      if (now === "prompt" && timedOut) return this.#become("failed", "DRIVER_PERMISSION_PROMPT");
      const refused = answers.find(({ answer }) => answer.body?.error?.reason);
      if (refused) return this.#fail(refused.answer.body.error.reason);
      const someone = answers.length > 0 || (await this.#somebodyElse());
      this.#fail(someone ? "DRIVER_OTHER_VENDOR" : PLAIN_BLOCKED ? "DRIVER_CERTIFICATE" : "DRIVER_ABSENT");
      if (now !== "prompt" || before !== "prompt") this.#later(AGAIN);
      return undefined;
    }
    const hello = ours.answer.body;
    if (hello.protocol !== data.protocol || older(hello.version, data.minVersion)) {
      this.#fail("DRIVER_TOO_OLD", { version: hello.version, required: data.minVersion });
      return this.#later(AGAIN);
    }
    this.#at = ours.port;
    Object.assign(this, { hello, port: data.ports.includes(ours.port) ? ours.port : 0 });
    this.#listen();
    return this.refresh();
  }

  #fail(reason, facts = {}) {
    Object.assign(this, { hello: null, locks: [], problems: [] });
    this.#become("failed", reason, facts);
  }

  /** Whether something that is not our driver, or does not know this site, listens on our ports. */
  async #somebodyElse() {
    const probes = data.ports.map((port) =>
      fetch(`${address(port)}/`, { mode: "no-cors", credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(400) }),
    );
    return (await Promise.allSettled(probes)).some((result) => result.status === "fulfilled");
  }

  #listen() {
    this.#socket?.close();
    const socket = new WebSocket(`${address(this.#at, "ws")}/v1/events`, "calock.v1");
    let opened = false;
    this.#socket = socket;
    socket.addEventListener("message", () => {
      opened = true;
      this.#failures = 0;
      if (this.#socket === socket) this.refresh();
    });
    socket.addEventListener("close", () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#socketBlocked ||= !opened; // then https is tried too, where the browser may be the reason
      this.#later(BACK_OFF[Math.min(this.#failures, BACK_OFF.length - 1)]);
      this.#failures += 1;
    });
  }

  /** Ask for the list of locks again. */
  async refresh() {
    const turn = ++this.#asked;
    try {
      const { locks, problems } = await this.call("/v1/locks", {}, 35000);
      if (turn < this.#drawn) return; // an answer to a later question came first
      this.#drawn = turn;
      Object.assign(this, { locks, problems });
      this.#become("ready");
    } catch (error) {
      if (error.reason === "DRIVER_ABSENT") {
        this.#later(0);
      } else {
        this.#fail(error.reason, error.facts);
      }
    }
  }

  /** One call. Throws Refused with the driver's reason. */
  async call(path, body, limit = 0) {
    let answer;
    try {
      answer = await post(this.#at, path, body, limit);
    } catch {
      throw refuse("DRIVER_ABSENT");
    }
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    const error = answer.body?.error ?? {};
    throw refuse(error.reason ?? "DRIVER_FAILED", error.triesLeft === null ? {} : { tries_left: error.triesLeft });
  }

  /** Ask for one signature. The PIN goes to 127.0.0.1 and nowhere else. */
  authenticate({ lock, challenge, pin, useLastTry }) {
    return this.call("/v1/authenticate", { lock, challenge, pin, useLastTry });
  }

  diagnosis() {
    return this.call("/v1/diagnosis", {}, HELLO_LIMIT);
  }

  get reachable() {
    return this.state === "ready" || isLoopbackPage();
  }
}
