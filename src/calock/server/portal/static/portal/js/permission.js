// The browser's permission to reach programs on this computer (Local Network Access, Chromium 142 and later).

const NAMES = ["loopback-network", "local-network-access"];

/** A page that itself comes from this computer is asked nothing, whatever the permission's state says. */
export function isLoopbackPage() {
  const host = location.hostname;
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** "granted", "denied", "prompt", or "unknown" where the browser has no such permission. */
export async function loopbackPermission() {
  for (const name of NAMES) {
    try {
      const { state } = await navigator.permissions.query({ name });
      return state === "prompt" && isLoopbackPage() ? "granted" : state;
    } catch {
      // this browser does not know the name
    }
  }
  return "unknown";
}

/** Call back whenever the user decides differently. */
export async function onPermissionChange(callback) {
  for (const name of NAMES) {
    try {
      (await navigator.permissions.query({ name })).addEventListener("change", callback);
      return;
    } catch {
      // next name
    }
  }
}
