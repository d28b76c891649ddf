// What 环境检测 checks, in the order in which a login would meet it. Each check says what it found and at most one next step.

import { providers, serverTime } from "./api.js";
import { data, day, fill, refusal, say } from "./data.js";
import { part } from "./dom.js";
import { Driver } from "./driver.js";
import { describe, whyNoLock } from "./driver-problems.js";
import { loopbackPermission } from "./permission.js";

/**
 * @typedef {object} Result
 * @property {"good" | "bad" | "warn"} tone
 * @property {string} text
 * @property {Portal.Action} [action]
 * @property {string} [picture] address of a drawing that helps
 * @property {string} [code] reason, for the report
 * @property {boolean} [gesture] the browser asks only after a click; until then what needs this cannot be checked
 */

export const words = /** @type {Record<Portal.CheckWord, string>} */ (JSON.parse(part(document, "#check-words", HTMLScriptElement).text));
export const driver = new Driver();

/**
 * @param {Portal.CheckWord} name
 * @param {Portal.Facts} facts
 */
function tell(name, facts = {}) {
  return fill(words[name], facts);
}

/**
 * @param {string} text
 * @returns {Result}
 */
const good = (text) => ({ tone: "good", text });

/**
 * @param {string} text
 * @param {Portal.Action} [action]
 * @returns {Result}
 */
export const bad = (text, action) => ({ tone: "bad", text, action });

/**
 * @param {string} text
 * @param {Portal.Action} action
 * @returns {Result}
 */
const warn = (text, action) => ({ tone: "warn", text, action });

/**
 * @param {string} reason
 * @param {Portal.Facts} facts
 * @param {Portal.Action} [action] in place of the refusal's own
 * @returns {Result}
 */
function refused(reason, facts = {}, action = refusal(reason).action) {
  return { tone: "bad", text: refusal(reason, facts).message, action, picture: data.pictures[reason], code: reason };
}

/** @returns {Portal.Action} */
const download = () => ({ label: refusal("DRIVER_ABSENT").action.label, href: data.download, does: "" });
/** @returns {Portal.Action} */
const renew = () => ({ label: words.renew, href: words.renew_href, does: "" });

function undecided() {
  return driver.state === "searching" || driver.state === "asking";
}

/** Wait until the driver was found or not. */
async function findDriver() {
  while (undecided()) {
    await new Promise((resolve) => {
      driver.addEventListener("change", resolve, { once: true });
    });
  }
}

function browser() {
  const needed = ["fetch", "WebSocket", "HTMLDialogElement", "crypto"].every((name) => name in window);
  return needed && "timeout" in AbortSignal ? good(tell("browser_good")) : bad(say("old_browser"));
}

function secure() {
  if (window.isSecureContext) return good(tell("secure_good"));
  return bad(say("insecure"), { label: "https", href: location.href.replace(/^http:/, "https:"), does: "" });
}

/** @returns {Promise<Result>} */
async function permission() {
  const state = await loopbackPermission();
  if (state === "denied") return refused("DRIVER_PERMISSION_DENIED");
  if (state === "prompt" && driver.state === "gesture") {
    return { tone: "warn", text: tell("permission_click"), picture: data.pictures.DRIVER_PERMISSION_PROMPT, gesture: true };
  }
  return good(tell(state === "unknown" ? "permission_none" : "permission_good"));
}

async function installed() {
  await findDriver();
  if (driver.state === "ready" || driver.reason === "DRIVER_TOO_OLD") return good(tell("driver_good"));
  const missing = /^(DRIVER_ABSENT|DRIVER_OTHER_VENDOR|ORIGIN_NOT_ALLOWED)?$/.test(driver.reason);
  return refused(driver.reason || "DRIVER_ABSENT", driver.facts, missing ? download() : undefined);
}

function version() {
  if (driver.hello) return good(tell("version_good", { version: driver.hello.version }));
  return refused(driver.reason || "DRIVER_ABSENT", driver.facts);
}

/**
 * @param {Wire.DriverProblem[]} problems
 * @param {"bad" | "warn"} tone
 * @returns {Result | null}
 */
function told(problems, tone) {
  const shown = problems.map(describe);
  const [first] = shown;
  if (!first) return null;
  const code = shown.map(({ reason }) => reason).join(" ");
  return { tone, text: shown.map(({ message }) => message).join("；"), action: first.action, code };
}

function modules() {
  return told(driver.problems.filter(({ reason }) => /^(MODULE|DRIVER)_/.test(reason)), "warn") ?? good(tell("module_good"));
}

function lock() {
  const problems = driver.problems.filter(({ reason }) => !/^(MODULE|DRIVER)_/.test(reason));
  const count = new Set(driver.locks.map(({ device }) => device)).size;
  if (count > 0) return told(problems, "warn") ?? good(tell("lock_good", { count }));
  const problem = whyNoLock(driver);
  return told(problems, "bad") ?? (problem && told([problem], "bad")) ?? refused("LOCK_ABSENT");
}

async function pin() {
  const locked = driver.locks.find((each) => each.pin.locked);
  if (locked) {
    const unlocker = (await providers()).find(({ issuerKeyIds }) => issuerKeyIds.includes(locked.issuerKeyId));
    return refused("PIN_LOCKED", { provider: unlocker?.name, hotline: unlocker?.hotline });
  }
  const tries = driver.locks.map((each) => each.pin.triesLeft).filter((left) => left !== null);
  return tries.length > 0 ? good(tell("pin_tries", { count: Math.min(...tries) })) : good(tell("pin_good"));
}

function certificate() {
  const [first] = driver.locks;
  const best = driver.locks.find(({ expired }) => !expired) ?? first;
  if (!best) return refused("LOCK_ABSENT"); // pulled out since
  const now = Date.now();
  const [from, until] = [Date.parse(best.notBefore), Date.parse(best.notAfter)];
  if (until < now) return bad(tell("certificate_expired", { day: day(best.notAfter) }), renew());
  if (from > now) return bad(tell("certificate_future", { day: day(best.notBefore) }));
  const days = Math.floor((until - now) / 86400000);
  return days <= 30 ? warn(tell("certificate_soon", { days }), renew()) : good(tell("certificate_good"));
}

async function provider() {
  const issuers = driver.locks.map(({ issuerKeyId }) => issuerKeyId);
  const recognised = (await providers()).filter(({ issuerKeyIds }) => issuers.some((issuer) => issuerKeyIds.includes(issuer)));
  if (recognised.length > 0) return good(tell("provider_good", { name: recognised.map(({ name }) => name).join("、") }));
  return bad(tell("provider_bad"), { label: words.see_list, href: `${words.list_href}#providers`, does: "" });
}

async function clock() {
  const { server, here } = await serverTime();
  if (Number.isNaN(server)) return good(tell("clock_good", { seconds: "-" }));
  const seconds = Math.round(Math.abs(here - server - 500) / 1000); // the header has whole seconds
  if (seconds <= 300) return good(tell("clock_good", { seconds }));
  /** @type {Portal.Action} */
  const action = { label: refusal("LOCK_ABSENT").action.label, href: `${words.clock_href}#F18`, does: "" };
  return bad(tell("clock_bad", { minutes: Math.round(seconds / 60) }), action);
}

/**
 * Under the names of `checks.py`.
 *
 * @type {Partial<Record<string, { run: () => Result | Promise<Result>, needs?: string }>>}
 */
export const CHECKS = {
  browser: { run: browser },
  secure: { run: secure },
  permission: { run: permission },
  driver: { run: installed, needs: "permission" },
  version: { run: version, needs: "driver" },
  module: { run: modules, needs: "version" },
  lock: { run: lock, needs: "version" },
  pin: { run: pin, needs: "lock" },
  certificate: { run: certificate, needs: "lock" },
  provider: { run: provider, needs: "lock" },
  clock: { run: clock },
};
