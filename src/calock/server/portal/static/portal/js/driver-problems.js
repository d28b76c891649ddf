// What the driver found wrong besides what it lists, in people's words.

import { refusal, say } from "./data.js";

/** @import { Driver } from "./driver.js" */

/** About a plugged-in lock: nearer to the person than a vendor's library, of which there may be many without a lock. */
const ABOUT_A_LOCK = /^(?:LOCK|CERTIFICATE|KEY)/;

/**
 * @param {Wire.DriverProblem} problem
 * @returns {Portal.Refusal}
 */
export function describe({ reason, module, label }) {
  const shown = refusal(reason, { module, label });
  const named = ABOUT_A_LOCK.test(reason) && label !== "";
  return named ? { ...shown, message: say("problem_about", { text: shown.message, label }) } : shown;
}

/**
 * What the person should know of before a login: what is wrong with plugged-in locks, and with vendors' libraries where no lock
 * is seen. The check page tells all.
 *
 * @param {Driver} driver
 */
export function problemsOf({ locks, problems }) {
  const about = problems.filter(({ reason }) => ABOUT_A_LOCK.test(reason));
  const modules = problems.filter(({ reason }) => reason.startsWith("MODULE_"));
  return locks.length > 0 ? about : [...about, ...modules];
}

/**
 * Why no lock can be offered although one may be plugged in; undefined where none is.
 *
 * @param {Driver} driver
 */
export function whyNoLock(driver) {
  return driver.locks.length === 0 ? problemsOf(driver)[0] : undefined;
}
