// Whether the program that answers is the driver that it was before: docs/protocol.md, "The driver's key".

const REMEMBERED = "calock.driver";
const KEY = { name: "ECDSA", namedCurve: "P-256" };

/** Text that cannot be guessed: what the driver shall sign, or answer with. */
export function randomText() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

/** @param {string} text base64 */
function decoded(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/**
 * The key that signed the answer to `hello`; empty when the signature does not hold.
 *
 * @param {Wire.DriverProof | null} proof
 * @param {number} port at which it was asked
 * @param {string} nonce
 */
export async function provenKey(proof, port, nonce) {
  if (proof?.port !== port) return "";
  const text = ["calock-driver-1", "hello", location.origin, proof.port, proof.version, nonce].join("\n");
  try {
    const key = await crypto.subtle.importKey("spki", decoded(proof.key), KEY, false, ["verify"]);
    const signature = decoded(proof.signature);
    const holds = await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, new TextEncoder().encode(text));
    return holds ? proof.key : "";
  } catch {
    return ""; // no key, or no signature
  }
}

/**
 * Whether this browser last saw another driver here. The first one is remembered: a browser belongs to one user of a computer.
 *
 * @param {string} key
 */
export function isAnotherDriver(key) {
  try {
    const before = localStorage.getItem(REMEMBERED);
    if (before === null) localStorage.setItem(REMEMBERED, key);
    return before !== null && before !== key;
  } catch {
    return false; // this browser remembers nothing
  }
}

/** @param {string} key what the user says is their driver now */
export function accept(key) {
  localStorage.setItem(REMEMBERED, key);
}
