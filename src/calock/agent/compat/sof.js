// SOF_* (GM/T 0020) for pages written for other CA middleware, over the driver's own API (docs/protocol.md).
//
//   import { connect } from "./sof.js";
//   const sof = await connect();                       // null: no driver that talks to this page
//   const list = await sof.SOF_GetUserList();          // "name||id&&&name||id&&&"
//   const answer = await sof.SOF_Authenticate(id, pin, challenge);   // in place of SOF_Login + SOF_SignData
//
// Every function returns a promise. What is refused returns its empty value; SOF_GetLastError() tells why. No PIN is kept.

const PORTS = [47113, 47114, 47115, 47116];
const CODE = {
  PIN_WRONG: 0x0b000426, PIN_LENGTH: 0x0b000426, PIN_MISSING: 0x0b000426, PIN_LAST_TRY: 0x0b000442, PIN_LOCKED: 0x0b000442,
  PIN_CANCELLED: 0x0b000447, LOCK_REMOVED: 0x0b000448, LOCK_UNKNOWN: 0x0b000310, LOCK_CHANGED: 0x0b000310,
  LOCK_SIGNATURE_WRONG: 0x0b000409, MODULE_FAILED: 0x0b000006, DRIVER_BUSY: 0x0b000101, TOO_MANY_ATTEMPTS: 0x0b000101,
  DRIVER_ABSENT: 0x0b001003, CHALLENGE_MALFORMED: 0x0b000201, REQUEST_MALFORMED: 0x0b000201, CERTIFICATE_UNPARSABLE: 0x0b000405,
};
const UNKNOWN = 0x0b000001, NOT_SUPPORTED = 0x0b000002, ALGORITHM = 0x0b000007, KEY_USAGE = 0x0b000009;
const INPUT = 0x0b000201, NO_CERTIFICATE = 0x0b000310, NOT_LOGGED_IN = 0x0b000438;

class Refused extends Error {
  constructor(reason) { super(reason); this.code = CODE[reason] ?? UNKNOWN; }
}

async function post(base, path, message) {
  let response;
  try {
    response = await fetch(base + path, {
      method: "POST", credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer",
      headers: { "Content-Type": "application/json", "X-Calock": "1" }, body: JSON.stringify(message),
    });
  } catch { throw new Refused("DRIVER_ABSENT"); }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(answer.error?.reason ?? "DRIVER_FAILED");
  return answer;
}

/** Find the driver; null when none answers. `numbering` is "gm" (GM/T 0006) or "xtx" for SOF_GetCertInfo. */
export async function connect({ ports = PORTS, numbering = "gm" } = {}) {
  for (const port of ports) {
    const base = `http://127.0.0.1:${port}`;
    const hello = await post(base, "/v1/hello", {}).catch(() => null);
    if (hello?.driver === "calock") return new Sof(base, hello.version, numbering).functions();
  }
  return null;
}

class Sof {
  #base; #version; #numbering; #error = 0; #method = 0x00020201; #certificates = new Map();

  constructor(base, version, numbering) { this.#base = base; this.#version = version; this.#numbering = numbering; }

  functions() {
    const call = (empty, run) => async (...parameters) => {
      try {
        this.#error = 0;
        return await run(...parameters);
      } catch (problem) {
        this.#error = problem.code ?? UNKNOWN;
        return empty;
      }
    };
    const refuse = (empty, code) => async () => { this.#error = code; return empty; };
    const found = {
      SOF_GetVersion: call("", async () => `calock ${this.#version}`),
      SOF_GetUserList: call("", () => this.#userList()),
      SOF_ExportUserCert: call("", async (id) => this.#certificate(id)),
      SOF_Login: call(false, (id, pin) => this.#login(id, pin)),
      SOF_Authenticate: call("", (id, pin, challenge) => this.#authenticate(id, pin, challenge)),
      SOF_GetPinRetryCount: call(-1, async (id) => (await this.#lock(id)).pin.triesLeft ?? -1),
      SOF_ChangePassWd: call(false, (id, before, after) => this.#changePin(id, before, after)),
      SOF_GetDeviceInfo: call("", (id, type) => this.#deviceInfo(id, Number(type))),
      SOF_GetCertInfo: call("", async (text, type) => this.#certInfo(text, Number(type))),
      SOF_GetCertInfoByOid: call("", async (text, oid) => certificateOf(text).byOid(oid)),
      SOF_ValidateCert: call(-6, async (text) => validate(certificateOf(text))),
      SOF_SetSignMethod: call(INPUT, async (method) => this.#setMethod(Number(method))),
      SOF_GetSignMethod: call(0, async () => this.#method),
      SOF_GenRandom: call("", async (length) => random(Number(length))),
      SOF_GetLastError: async () => this.#error,
    };
    for (const name of ["SignData", "SignFile", "SignMessage", "SignMessageDetach", "SignDataXML", "SignHashData"])
      found[`SOF_${name}`] = refuse("", KEY_USAGE);
    for (const name of ["EncryptData", "DecryptData", "ExportExchangeUserCert", "GetInfoFromSignedMessage", "GetXMLSignatureInfo",
      "PubKeyEncrypt", "PriKeyDecrypt", "GetCertEntity"]) found[`SOF_${name}`] = refuse("", NOT_SUPPORTED);
    for (const name of ["EncryptFile", "DecryptFile", "VerifySignedData", "VerifySignedFile", "VerifySignedMessage",
      "VerifySignedDataXML"]) found[`SOF_${name}`] = refuse(false, NOT_SUPPORTED);
    return Object.freeze(found);
  }

  async #locks() { return (await post(this.#base, "/v1/locks", {})).locks; }

  async #lock(id) {
    const lock = (await this.#locks()).find((one) => one.id === id);
    if (!lock) throw new Refused("LOCK_UNKNOWN");
    return lock;
  }

  async #userList() {
    const locks = await this.#locks();
    if (!locks.length) this.#error = NO_CERTIFICATE;
    const plain = (name) => name.replaceAll("||", "|").replaceAll("&&&", "&");
    return locks.map((one) => `${plain(one.name)}${one.expired ? "(已过期)" : ""}||${one.id}&&&`).join("");
  }

  async #authenticate(lock, pin, challenge) {
    // a PIN that is a number has already lost its leading zeros
    if (typeof pin !== "string" || typeof challenge !== "string") throw new Refused("REQUEST_MALFORMED");
    const answer = await post(this.#base, "/v1/authenticate", { lock, pin, challenge });
    this.#certificates.set(lock, answer.token.unverifiedCertificate);
    return JSON.stringify(answer);
  }

  async #login(lock, pin) {
    const nobodys = "c0.pin." + random(48).replaceAll("+", "-").replaceAll("/", "_");
    return Boolean(await this.#authenticate(lock, pin, nobodys)); // the signature goes nowhere
  }

  async #changePin(lock, oldPin, newPin) {
    if (typeof oldPin !== "string" || typeof newPin !== "string") throw new Refused("REQUEST_MALFORMED");
    await post(this.#base, "/v1/pin/change", { lock, oldPin, newPin });
    return true;
  }

  #certificate(id) {
    const found = this.#certificates.get(id); // the driver gives a certificate only together with an answer
    if (!found) throw Object.assign(new Error("not logged in"), { code: NOT_LOGGED_IN });
    return found;
  }

  async #deviceInfo(id, type) {
    const lock = await this.#lock(id);
    const known = { 0x208: lock.deviceSerial, 7: lock.backend === "soft" ? "SOFT" : "HARD" };
    if (!(type in known)) this.#error = NOT_SUPPORTED;
    return known[type] ?? "";
  }

  #setMethod(method) {
    if (method !== 0x00020201 && method !== 0x00010004) { this.#error = ALGORITHM; return ALGORITHM; }
    this.#method = method;
    return 0;
  }

  #certInfo(text, type) {
    const value = certificateOf(text).item(type, this.#numbering);
    if (value === undefined) this.#error = NOT_SUPPORTED;
    return value ?? "";
  }
}

function random(length) {
  if (!(Number.isInteger(length) && length > 0 && length <= 1024)) throw new Refused("REQUEST_MALFORMED");
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(length))));
}

/** Dates by this computer's clock only: 0, -2 expired, -5 not yet valid. Trust and revocation are the platform's verdict. */
function validate(certificate) {
  const now = new Date();
  if (certificate.notAfter < now) return -2;
  return certificate.notBefore > now ? -5 : 0;
}

// --- a reader for the few parts of a certificate that pages show

const OIDS = { C: "2.5.4.6", O: "2.5.4.10", OU: "2.5.4.11", ST: "2.5.4.8", CN: "2.5.4.3", L: "2.5.4.7", E: "1.2.840.113549.1.9.1" };
const XTX_NAMES = ["C", "O", "OU", "ST", "CN", "L", "E"];

function certificateOf(text) {
  try {
    return new CertificateReader(Uint8Array.from(atob(text.replace(/\s/g, "")), (c) => c.charCodeAt(0)));
  } catch { throw new Refused("CERTIFICATE_UNPARSABLE"); }
}

function element(bytes, at, end) {
  let length = bytes[at + 1], start = at + 2;
  if (length & 0x80) {
    const count = length & 0x7f;
    if (count === 0 || count > 3) throw new RangeError("length");
    length = 0;
    for (let index = 0; index < count; index++) length = length * 256 + bytes[start++];
  }
  if (!(start + length <= end)) throw new RangeError("beyond the end");
  return { tag: bytes[at], at, start, end: start + length };
}

function children(bytes, parent) {
  const found = [];
  for (let at = parent.start; at < parent.end;) {
    const child = element(bytes, at, parent.end);
    found.push(child);
    at = child.end;
  }
  return found;
}

function oidOf(bytes, { start, end }) {
  const parts = [];
  for (let at = start, value = 0; at < end; at++) {
    value = value * 128 + (bytes[at] & 0x7f);
    if (bytes[at] & 0x80) continue;
    if (parts.length) parts.push(value); else { const first = Math.min(2, Math.floor(value / 40)); parts.push(first, value - 40 * first); }
    value = 0;
  }
  return parts.join(".");
}

function textOf(bytes, { tag, start, end }) {
  const part = bytes.subarray(start, end);
  if (tag === 0x1e) return new TextDecoder("utf-16be").decode(part);
  return [0x0c, 0x12, 0x13, 0x14, 0x16, 0x1a].includes(tag) ? new TextDecoder(tag === 0x14 ? "latin1" : "utf-8").decode(part) : "";
}

function timeOf(bytes, part) {
  const text = new TextDecoder().decode(bytes.subarray(part.start, part.end));
  const full = part.tag === 0x17 ? (Number(text.slice(0, 2)) < 50 ? "20" : "19") + text : text;
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full);
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second));
}

class CertificateReader {
  constructor(bytes) {
    const tbs = children(bytes, element(bytes, 0, bytes.length))[0];
    const fields = children(bytes, tbs);
    if (fields[0].tag === 0xa0) this.version = `V${bytes[fields.shift().end - 1] + 1}`; else this.version = "V1";
    const [serial, , issuer, validity, subject, key] = fields;
    const hex = (part) => [...bytes.subarray(part.start, part.end)].map((b) => b.toString(16).padStart(2, "0")).join("");
    this.serial = hex(serial).replace(/^(00)+(?=..)/, "").toUpperCase();
    this.issuer = this.#name(bytes, issuer);
    this.subject = this.#name(bytes, subject);
    [this.notBefore, this.notAfter] = children(bytes, validity).map((part) => timeOf(bytes, part));
    this.key = btoa(String.fromCharCode(...bytes.subarray(key.at, key.end)));
    this.extensions = new Map();
    const wrapped = fields.find((part) => part.tag === 0xa3);
    for (const extension of wrapped ? children(bytes, children(bytes, wrapped)[0]) : []) {
      const parts = children(bytes, extension);
      this.extensions.set(oidOf(bytes, parts[0]), bytes.subarray(parts.at(-1).start, parts.at(-1).end));
    }
  }

  #name(bytes, name) {
    const found = new Map();
    for (const set of children(bytes, name))
      for (const pair of children(bytes, set)) {
        const [oid, value] = children(bytes, pair);
        found.set(oidOf(bytes, oid), textOf(bytes, value));
      }
    return found;
  }

  item(number, numbering) {
    const text = (date) => date.toISOString().replace(/[-:T]|\.\d+Z/g, "");
    const dn = (name) => [...name].map(([oid, value]) => `${Object.keys(OIDS).find((k) => OIDS[k] === oid) ?? oid}=${value}`).join(", ");
    const of = (name, short) => name.get(OIDS[short]) ?? "";
    const table = numbering === "xtx"
      ? { 1: this.version, 2: this.serial, 11: text(this.notBefore), 12: text(this.notAfter), 20: this.key, 33: dn(this.subject), 34: dn(this.issuer) }
      : {
        1: this.version, 2: this.serial, 5: dn(this.issuer), 6: `${text(this.notBefore)}Z-${text(this.notAfter)}Z`, 7: dn(this.subject), 8: this.key,
        0x21: of(this.issuer, "CN"), 0x22: of(this.issuer, "O"), 0x23: of(this.issuer, "OU"), 0x31: of(this.subject, "CN"),
        0x32: of(this.subject, "O"), 0x33: of(this.subject, "OU"), 0x34: of(this.subject, "E"),
        0x35: `${text(this.notBefore)}Z`, 0x36: `${text(this.notAfter)}Z`,
      };
    if (numbering === "xtx") XTX_NAMES.forEach((short, index) => {
      table[4 + index] = of(this.issuer, short);
      table[13 + index] = of(this.subject, short);
    });
    return table[number];
  }

  byOid(oid) {
    const value = this.extensions.get(oid);
    if (!value) return this.subject.get(oid) ?? "";
    try {
      let part = element(value, 0, value.length);
      while (part.tag & 0x20 || part.tag === 0x04) part = element(value, part.start, part.end);
      const text = textOf(value, part);
      if (text) return text;
    } catch { /* some CAs put the bare text there */ }
    const bare = new TextDecoder().decode(value);
    return /^[\x20-\x7e]*$/.test(bare) ? bare : "";
  }
}
