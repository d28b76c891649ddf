// The browser's permission to reach programs on this computer (Local Network Access, Chromium 142 and later).

const NAMES = /** @type {const} */ (["loopback-network", "local-network-access"]);

/** A page that itself comes from this computer is asked nothing, whatever the permission's state says. */
export function isLoopbackPage() {
  const host = location.hostname;
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** The permission under the name that this browser knows; null where it knows neither. */
async function permission() {
  for (const name of NAMES) {
    try {
      return await navigator.permissions.query({ name }); // one after the other: the second name is for older browsers
    } catch {
      // this browser does not know the name
    }
  }
  return null;
}

/** "unknown" where the browser has no such permission. */
export async function loopbackPermission() {
  const state = (await permission())?.state ?? "unknown";
  return state === "prompt" && isLoopbackPage() ? "granted" : state;
}

/**
 * Call back whenever the user decides differently.
 *
 * @param {() => void} callback
 */
export async function onPermissionChange(callback) {
  (await permission())?.addEventListener("change", callback);
}
