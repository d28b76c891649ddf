// What this browser keeps for its user's next visit. A browser that keeps nothing is no fault.

/** @typedef {"calock.tab" | "calock.lock"} Name */

/** @param {Name} name */
export function recall(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

/**
 * @param {Name} name
 * @param {string} value
 */
export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // it is chosen anew next time
  }
}
