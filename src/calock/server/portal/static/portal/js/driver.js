// The CA driver on this computer: find it, ask it, follow what is plugged in. See docs/protocol.md.

import { data, refuse, Refused } from "./data.js";
import { accept, isAnotherDriver, provenKey, randomText } from "./driver-proof.js";
import { address, PLAIN_BLOCKED, post, SOCKET_MAY_BE_BLOCKED, takenPorts } from "./loopback.js";
import { loopbackPermission } from "./permission.js";

/** @import { Reply } from "./loopback.js" */
/**
 * `gesture`: a click must come first, the browser will ask; `asking`: it is asking.
 *
 * @typedef {"searching" | "gesture" | "asking" | "ready" | "failed"} State
 */
/** @typedef {Reply & { hello: Wire.Hello, nonce: string }} Answering something that says to be our driver */
/** @typedef {{ ours: Answering[], replies: Reply[], timedOut: boolean }} Found who answered `hello` */

const HELLO_LIMIT = 2500; // everything is decided within 3 s
const AGAIN = 2000; // how often an absent driver is looked for
const BACK_OFF = 250; // doubled with each failure of the event socket, at most AGAIN

/**
 * Whether `version` is older than `required`, by their first three numbers.
 *
 * @param {string} version
 * @param {string} required
 */
function older(version, required) {
  const numbers = (/** @type {string} */ text) => text.split(/[.+-]/).map((word) => parseInt(word, 10) || 0);
  const [left, right] = [numbers(version), numbers(required)];
  const differing = [0, 1, 2].find((index) => (left[index] ?? 0) !== (right[index] ?? 0));
  return differing !== undefined && (left[differing] ?? 0) < (right[differing] ?? 0);
}

/**
 * What a driver's answer is, if it is one.
 *
 * @param {Reply} reply
 * @param {string} nonce
 * @returns {Answering[]}
 */
function helloOf(reply, nonce) {
  const hello = /** @type {Wire.Hello | null} */ (reply.body);
  return hello?.driver === "calock" && typeof hello.version === "string" ? [{ ...reply, hello, nonce }] : [];
}

/** @param {unknown} failure */
function isTimeout(failure) {
  return failure instanceof DOMException && failure.name === "TimeoutError";
}

/**
 * The reason that a driver's refusal names.
 *
 * @param {Reply} reply
 */
function errorOf(reply) {
  return /** @type {Partial<Wire.ErrorReply> | null} */ (reply.body)?.error;
}

/** Fires "change"; `reason` and `facts` say why it failed; `locks` and `problems` are the latest list. */
export class Driver extends EventTarget {
  /** @type {State} */
  state = "searching";
  reason = "";
  /** @type {Portal.Facts} */
  facts = {};
  /** @type {Wire.Hello | null} */
  hello = null;
  /** Of plain http, for the driver's window; 0 where only https works. */
  port = 0;
  /** @type {Wire.LockInfo[]} */
  locks = [];
  /** @type {Wire.DriverProblem[]} */
  problems = [];
  /** Two wrong PINs in a row came from here: the next is typed in the driver's window. */
  windowOnly = false;
  /** Key of a driver that is another one than before. */
  #otherKey = "";
  /** @type {AbortController | null} */
  #operation = null;
  /** @type {WebSocket | null} */
  #socket = null;
  #timer = 0;
  #failures = 0;
  #asked = 0;
  #drawn = 0;
  #search = 0;
  /** The search after which a list was broken off first; 0 when the last one came whole. */
  #brokenOff = 0;
  #at = 0;
  #socketBlocked = false;

  start() {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.state === "failed") void this.look();
    });
    return this.look();
  }

  /**
   * @param {State} state
   * @param {string} reason
   * @param {Portal.Facts} facts
   */
  #become(state, reason = "", facts = {}) {
    const changed = state !== this.state || reason !== this.reason;
    Object.assign(this, { state, reason, facts });
    if (changed || state === "ready") this.dispatchEvent(new Event("change"));
  }

  /** @param {number} delay milliseconds */
  #later(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (document.hidden) this.#later(delay);
      else void this.look();
    }, delay);
  }

  /** Whether it answered this page before: then it is installed, and the browser lets it. */
  get wasSeen() {
    return this.#at > 0;
  }

  /**
   * Look for the driver.
   *
   * @param {boolean} clicked the user has asked for it, so the browser may ask them
   */
  async look(clicked = false) {
    this.#search += 1;
    const search = this.#search;
    clearTimeout(this.#timer);
    const permission = await loopbackPermission();
    if (search !== this.#search) return;
    if (permission === "denied") this.#become("failed", "DRIVER_PERMISSION_DENIED");
    else if (permission === "prompt" && !clicked) this.#become("gesture");
    else await this.#find(search, permission, clicked);
  }

  /**
   * @param {number} search the number of this search; a later one makes it void
   * @param {Awaited<ReturnType<typeof loopbackPermission>>} permission
   * @param {boolean} clicked
   */
  async #find(search, permission, clicked) {
    const prompt = permission === "prompt";
    if (this.state !== "failed" || clicked) this.#become("searching");
    const asking = setTimeout(() => {
      if (prompt && search === this.#search) this.#become("asking");
    }, 400); // a browser that asks does not answer before
    const found = await this.#ask(prompt ? 60000 : HELLO_LIMIT);
    clearTimeout(asking);
    if (search !== this.#search) return;
    const [ours, ...others] = found.ours;
    if (others.length > 0) this.#failForNow("DRIVER_SEVERAL", { count: found.ours.length });
    else if (ours) await this.#take(ours);
    else await this.#explain(found, prompt);
  }

  /** @param {number} limit milliseconds */
  async #ask(limit) {
    const start = performance.now();
    const plain = await Driver.#askAt(data.ports, limit);
    const found = plain.ours.length > 0;
    if (!SOCKET_MAY_BE_BLOCKED || (found && !this.#socketBlocked)) return plain;
    const secure = await Driver.#askAt(data.tlsPorts, Math.max(500, limit - (performance.now() - start)));
    return secure.ours.length > 0 || (!found && plain.replies.length === 0) ? secure : plain;
  }

  /**
   * @param {number[]} ports
   * @param {number} limit milliseconds
   * @returns {Promise<Found>}
   */
  static async #askAt(ports, limit) {
    const nonce = randomText();
    const signal = AbortSignal.timeout(limit);
    const results = await Promise.allSettled(ports.map((port) => post(port, "/v1/hello", { nonce }, signal)));
    const replies = results.filter((result) => result.status === "fulfilled").map((result) => result.value);
    const failures = results.filter((result) => result.status === "rejected").map((result) => /** @type {unknown} */ (result.reason));
    const ours = replies.flatMap((reply) => helloOf(reply, nonce));
    return { ours, replies, timedOut: failures.some(isTimeout) };
  }

  /**
   * Why no program said to be our driver.
   *
   * @param {Found} found
   * @param {boolean} prompted the browser was going to ask when the search began
   */
  async #explain({ replies, timedOut }, prompted) {
    const now = await loopbackPermission();
    const refused = replies.map(errorOf).find((error) => error?.reason);
    if (now === "denied") {
      this.#become("failed", "DRIVER_PERMISSION_DENIED");
    } else if (now === "prompt" && timedOut) {
      this.#become("failed", "DRIVER_PERMISSION_PROMPT");
    } else if (refused) {
      this.#fail(refused.reason);
    } else {
      this.#fail(timedOut ? "DRIVER_NOT_ANSWERING" : await this.#whyNone(replies));
      if (now !== "prompt" || !prompted) this.#later(AGAIN);
    }
  }

  /** @param {Reply[]} replies of programs that are not ours */
  async #whyNone(replies) {
    const taken = await takenPorts();
    if (data.ports.length > 1 && taken.length === data.ports.length) return "DRIVER_PORTS_TAKEN";
    if (taken.length > 0 || replies.length > 0) return "DRIVER_OTHER_VENDOR";
    if (this.wasSeen) return "DRIVER_STOPPED";
    return PLAIN_BLOCKED ? "DRIVER_CERTIFICATE" : "DRIVER_ABSENT";
  }

  /** @param {Answering} answering */
  async #take({ port, hello, nonce }) {
    if (hello.protocol !== data.protocol || older(hello.version, data.minVersion)) {
      this.#failForNow("DRIVER_TOO_OLD", { version: hello.version, required: data.minVersion });
      return;
    }
    const key = await provenKey(hello.proof, port, nonce);
    if (!key || isAnotherDriver(key)) {
      this.#otherKey = key;
      this.#failForNow(key ? "DRIVER_CHANGED" : "DRIVER_KEY_INVALID");
      return;
    }
    this.#at = port;
    this.hello = hello;
    this.port = data.ports.includes(port) ? port : 0;
    this.#listen();
    await this.refresh();
  }

  /** The user says that the driver which is there now is theirs. */
  accept() {
    accept(this.#otherKey);
    return this.look(true);
  }

  /**
   * Fail, and look again: the user may put it right meanwhile.
   *
   * @param {string} reason
   * @param {Portal.Facts} facts
   */
  #failForNow(reason, facts = {}) {
    this.#fail(reason, facts);
    this.#later(AGAIN);
  }

  /**
   * @param {string} reason
   * @param {Portal.Facts} facts
   */
  #fail(reason, facts = {}) {
    Object.assign(this, { hello: null, locks: [], problems: [] });
    this.#become("failed", reason, facts);
  }

  #listen() {
    this.#socket?.close();
    const socket = new WebSocket(`${address(this.#at, "ws")}/v1/events`, "calock.v1");
    let opened = false;
    this.#socket = socket;
    socket.addEventListener("message", () => {
      opened = true;
      this.#failures = 0;
      if (this.#socket === socket) void this.refresh();
    });
    socket.addEventListener("close", () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#socketBlocked ||= !opened; // then https is tried too, where the browser may be the reason
      this.#later(Math.min(BACK_OFF * 2 ** this.#failures, AGAIN));
      this.#failures += 1;
    });
  }

  /** Ask for the list of locks again. */
  async refresh() {
    this.#asked += 1;
    const turn = this.#asked;
    try {
      const { locks, problems, windowOnly } = await this.call("/v1/locks", {}, AbortSignal.timeout(data.limits.list));
      if (!Array.isArray(locks) || !Array.isArray(problems)) throw refuse("DRIVER_FAILED");
      if (turn < this.#drawn) return; // an answer to a later question came first
      this.#drawn = turn;
      this.#brokenOff = 0;
      Object.assign(this, { locks, problems, windowOnly });
      this.#become("ready");
    } catch (error) {
      if (turn < this.#drawn) return;
      const reason = error instanceof Refused ? error.reason : "DRIVER_FAILED";
      if (reason === "DRIVER_STOPPED") this.#lookWhy();
      else this.#failForNow(reason);
    }
  }

  /** The list was broken off: by a driver that ended, or by one that answers `hello` and does so each time. */
  #lookWhy() {
    this.#brokenOff ||= this.#search;
    if (this.#brokenOff === this.#search) this.#later(0);
    else this.#failForNow("DRIVER_FAILED");
  }

  /**
   * One call.
   *
   * @template {keyof Wire.Calls} Path
   * @param {Path} path
   * @param {Wire.Calls[Path]["sent"]} body
   * @param {AbortSignal} signal
   * @throws {Refused} with the driver's reason; DRIVER_NOT_ANSWERING, OPERATION_CANCELLED as the signal says
   */
  async call(path, body, signal) {
    /** @type {Reply} */
    let reply;
    try {
      reply = await post(this.#at, path, body, signal);
    } catch (error) {
      if (isTimeout(error)) throw refuse("DRIVER_NOT_ANSWERING");
      throw refuse(signal.aborted ? "OPERATION_CANCELLED" : "DRIVER_STOPPED");
    }
    if (reply.status >= 200 && reply.status < 300) return /** @type {Wire.Calls[Path]["got"]} */ (reply.body);
    const error = errorOf(reply);
    throw refuse(error?.reason ?? "DRIVER_FAILED", { tries_left: error?.triesLeft });
  }

  /**
   * Ask for one signature. The PIN goes to 127.0.0.1 and nowhere else.
   *
   * @param {Wire.AuthenticateRequest} asked
   * @param {boolean} onReader the PIN is typed there meanwhile
   */
  async authenticate(asked, onReader) {
    const operation = new AbortController();
    this.#operation = operation;
    const limit = setTimeout(
      () => {
        operation.abort(new DOMException("no answer in time", "TimeoutError"));
      },
      onReader ? data.limits.reader : data.limits.operation,
    );
    try {
      const { statement, ...plain } = asked; // a driver of before refuses a field that it does not know
      const takes = this.hello?.takes?.includes("statement") ?? false;
      return await this.call("/v1/authenticate", takes ? { ...plain, statement } : plain, operation.signal);
    } finally {
      clearTimeout(limit);
      this.#operation = null;
    }
  }

  /** End the signature that is being made: the driver ends it when the request is closed. */
  cancel() {
    this.#operation?.abort();
  }

  diagnosis() {
    return this.call("/v1/diagnosis", {}, AbortSignal.timeout(HELLO_LIMIT));
  }
}
