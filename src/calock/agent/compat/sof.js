// SOF_* (GM/T 0020) for pages written for other CA middleware, over the driver's own API (docs/protocol.md).
//
//   import { connect } from "./sof.js";
//   const sof = await connect();                       // null: no driver that talks to this page
//   const list = await sof.SOF_GetUserList();          // "name||id&&&name||id&&&"
//   const answer = await sof.SOF_Authenticate(id, pin, challenge);   // in place of SOF_Login + SOF_SignData
//
// Every function returns a promise. What is refused returns its empty value; SOF_GetLastError() tells why. No PIN is kept.

/** @typedef {"gm" | "xtx"} Numbering of certificate items: GM/T 0006, or XTX's own */
/** @typedef {{ tag: number, at: number, start: number, end: number }} Part one DER element: where it begins, and where its contents lie */
/** @typedef {Map<string, string>} Name object identifier → text */

const PORTS = Array.from({ length: 16 }, (_, index) => 47113 + index);
/** @type {Partial<Record<string, number>>} */
const CODE = {
  PIN_WRONG: 0x0b000426, PIN_LENGTH: 0x0b000426, PIN_MISSING: 0x0b000426, PIN_CHARACTERS: 0x0b000426, PIN_WINDOW_ONLY: 0x0b000442,
  PIN_LOCKED: 0x0b000442, LOCK_CERTIFICATE_HIDDEN: 0x0b000310, LOCKS_ALIKE: 0x0b000310, LOCK_WITHOUT_KEY: 0x0b000309,
  MODULE_MISSING: 0x0b000006, MODULE_ARCHITECTURE: 0x0b000006, MODULE_CRASHED: 0x0b000006, MODULE_NOT_ANSWERING: 0x0b000006,
  PIN_CANCELLED: 0x0b000447, LOCK_REMOVED: 0x0b000448, LOCK_UNKNOWN: 0x0b000310, LOCK_CHANGED: 0x0b000310,
  LOCK_SIGNATURE_WRONG: 0x0b000409, MODULE_FAILED: 0x0b000006, DRIVER_BUSY: 0x0b000101, TOO_MANY_ATTEMPTS: 0x0b000101,
  DRIVER_ABSENT: 0x0b001003, CHALLENGE_MALFORMED: 0x0b000201, REQUEST_MALFORMED: 0x0b000201, CERTIFICATE_UNPARSABLE: 0x0b000405,
};
const UNKNOWN = 0x0b000001;
const NOT_SUPPORTED = 0x0b000002;
const ALGORITHM = 0x0b000007;
const KEY_USAGE = 0x0b000009;
const INPUT = 0x0b000201;
const NO_CERTIFICATE = 0x0b000310;
const NOT_LOGGED_IN = 0x0b000438;
const SM3_SM2 = 0x00020201;
const SHA256_RSA = 0x00010004;

class Refused extends Error {
  /** @param {string | number} reason the driver's, or an error code of this interface */
  constructor(reason) {
    super(String(reason));
    this.code = typeof reason === "number" ? reason : (CODE[reason] ?? UNKNOWN);
  }
}

/**
 * @template {keyof Wire.Calls} Path
 * @param {string} base address of the driver
 * @param {Path} path
 * @param {Wire.Calls[Path]["sent"]} message
 * @throws {Refused}
 */
async function post(base, path, message) {
  const response = await fetch(base + path, {
    method: "POST", credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer",
    headers: { "Content-Type": "application/json", "X-Calock": "1" }, body: JSON.stringify(message),
  }).catch(() => null);
  if (!response) throw new Refused("DRIVER_ABSENT");
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return /** @type {Wire.Calls[Path]["got"]} */ (answer);
  throw new Refused(/** @type {Partial<Wire.ErrorReply> | null} */ (answer)?.error?.reason ?? "DRIVER_FAILED");
}

/** Find the driver; null when none answers, and when several programs say to be it: one of them waits for a PIN. */
export async function connect({ ports = PORTS, numbering = /** @type {Numbering} */ ("gm") } = {}) {
  const bases = ports.map((port) => `http://127.0.0.1:${port}`);
  const hellos = await Promise.all(bases.map((base) => post(base, "/v1/hello", {}).catch(() => null)));
  const found = bases.flatMap((base, index) => {
    const hello = hellos[index];
    return hello?.driver === "calock" ? [new Sof(base, hello.version, numbering)] : [];
  });
  return found.length === 1 && found[0] ? found[0].functions() : null;
}

// What pages pass comes unchecked; a function that needs a text says so with `text`.

/**
 * @param {unknown} parameter
 * @throws {Refused} it is no text: a PIN that is a number has already lost its leading zeros
 */
function text(parameter) {
  if (typeof parameter !== "string") throw new Refused("REQUEST_MALFORMED");
  return parameter;
}

class Sof {
  #base;
  #version;
  /** @type {Numbering} */
  #numbering;
  #error = 0;
  #method = SM3_SM2;
  /** @type {Map<unknown, string>} */
  #certificates = new Map();

  /**
   * @param {string} base
   * @param {string} version
   * @param {Numbering} numbering
   */
  constructor(base, version, numbering) {
    this.#base = base;
    this.#version = version;
    this.#numbering = numbering;
  }

  /**
   * A function as pages call it: never rejects, and leaves its error for SOF_GetLastError.
   *
   * @template Value
   * @param {Value} empty what a refusal returns
   * @param {(...parameters: unknown[]) => Value | Promise<Value>} run
   */
  #call(empty, run) {
    return async (/** @type {unknown[]} */ ...parameters) => {
      try {
        this.#error = 0;
        return await run(...parameters);
      } catch (problem) {
        this.#error = problem instanceof Refused ? problem.code : UNKNOWN;
        return empty;
      }
    };
  }

  functions() {
    return Object.freeze({
      ...this.#refused(["SignData", "SignFile", "SignMessage", "SignMessageDetach", "SignDataXML", "SignHashData"], "", KEY_USAGE),
      ...this.#refused(["EncryptData", "DecryptData", "ExportExchangeUserCert", "GetInfoFromSignedMessage", "GetXMLSignatureInfo",
        "PubKeyEncrypt", "PriKeyDecrypt", "GetCertEntity"], "", NOT_SUPPORTED),
      ...this.#refused(["EncryptFile", "DecryptFile", "VerifySignedData", "VerifySignedFile", "VerifySignedMessage",
        "VerifySignedDataXML"], false, NOT_SUPPORTED),
      SOF_GetVersion: this.#call("", () => `calock ${this.#version}`),
      SOF_GetUserList: this.#call("", () => this.#userList()),
      SOF_ExportUserCert: this.#call("", (id) => this.#certificate(id)),
      SOF_Login: this.#call(false, (id, pin) => this.#login(text(id), text(pin))),
      SOF_Authenticate: this.#call("", (id, pin, challenge) => this.#authenticate(text(id), text(pin), text(challenge))),
      SOF_GetPinRetryCount: this.#call(-1, async (id) => (await this.#lock(id)).pin.triesLeft ?? -1),
      SOF_ChangePassWd: this.#call(false, (id, before, after) => this.#changePin(text(id), text(before), text(after))),
      SOF_GetDeviceInfo: this.#call("", (id, type) => this.#deviceInfo(id, Number(type))),
      SOF_GetCertInfo: this.#call("", (certificate, type) => this.#certInfo(certificate, Number(type))),
      SOF_GetCertInfoByOid: this.#call("", (certificate, oid) => certificateOf(certificate).byOid(String(oid))),
      SOF_ValidateCert: this.#call(-6, (certificate) => validate(certificateOf(certificate))),
      SOF_SetSignMethod: this.#call(INPUT, (method) => this.#setMethod(Number(method))),
      SOF_GetSignMethod: this.#call(0, () => this.#method),
      SOF_GenRandom: this.#call("", (length) => random(Number(length))),
      SOF_GetLastError: () => Promise.resolve(this.#error),
    });
  }

  /**
   * Functions that this driver does not have.
   *
   * @template Value
   * @param {string[]} names without SOF_
   * @param {Value} empty
   * @param {number} code
   */
  #refused(names, empty, code) {
    const refuse = this.#call(empty, () => {
      throw new Refused(code);
    });
    return Object.fromEntries(names.map((name) => [`SOF_${name}`, refuse]));
  }

  async #locks() {
    return (await post(this.#base, "/v1/locks", {})).locks;
  }

  /** @param {unknown} id */
  async #lock(id) {
    const lock = (await this.#locks()).find((one) => one.id === id);
    if (!lock) throw new Refused("LOCK_UNKNOWN");
    return lock;
  }

  async #userList() {
    const locks = await this.#locks();
    if (locks.length === 0) this.#error = NO_CERTIFICATE;
    const plain = (/** @type {string} */ name) => name.replaceAll("|", "｜").replaceAll(/&{3,}/gu, "＆");
    return locks.map((one) => `${plain(one.name)}${one.expired ? "(已过期)" : ""}||${one.id}&&&`).join("");
  }

  /** @type {(lock: string, pin: string, challenge: string) => Promise<string>} */
  async #authenticate(lock, pin, challenge) {
    const answer = await post(this.#base, "/v1/authenticate", { lock, pin, challenge });
    this.#certificates.set(lock, answer.token.unverifiedCertificate);
    return JSON.stringify(answer);
  }

  /** @type {(lock: string, pin: string) => Promise<boolean>} */
  async #login(lock, pin) {
    const nobodys = `c0.pin.${random(48).replaceAll("+", "-").replaceAll("/", "_")}`;
    return Boolean(await this.#authenticate(lock, pin, nobodys)); // the signature goes nowhere
  }

  /** @type {(lock: string, oldPin: string, newPin: string) => Promise<boolean>} */
  async #changePin(lock, oldPin, newPin) {
    await post(this.#base, "/v1/pin/change", { lock, oldPin, newPin });
    return true;
  }

  /** @param {unknown} id */
  #certificate(id) {
    const found = this.#certificates.get(id); // the driver gives a certificate only together with an answer
    if (!found) throw new Refused(NOT_LOGGED_IN);
    return found;
  }

  /** @type {(id: unknown, type: number) => Promise<string>} */
  async #deviceInfo(id, type) {
    const lock = await this.#lock(id);
    if (type === 0x208) return lock.deviceSerial;
    if (type === 7) return lock.backend === "soft" ? "SOFT" : "HARD";
    throw new Refused(NOT_SUPPORTED);
  }

  /** @param {number} method */
  #setMethod(method) {
    if (method !== SM3_SM2 && method !== SHA256_RSA) {
      this.#error = ALGORITHM;
      return ALGORITHM;
    }
    this.#method = method;
    return 0;
  }

  /** @type {(certificate: unknown, type: number) => string} */
  #certInfo(certificate, type) {
    const value = certificateOf(certificate).item(type, this.#numbering);
    if (value === undefined) throw new Refused(NOT_SUPPORTED);
    return value;
  }
}

/** @param {number} length bytes */
function random(length) {
  if (!(Number.isInteger(length) && length > 0 && length <= 1024)) throw new Refused("REQUEST_MALFORMED");
  return base64(crypto.getRandomValues(new Uint8Array(length)));
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

/**
 * Dates by this computer's clock only: 0, -2 expired, -5 not yet valid. Trust and revocation are the platform's verdict.
 * @type {(certificate: CertificateReader) => number}
 */
function validate(certificate) {
  const now = new Date();
  if (certificate.notAfter < now) return -2;
  return certificate.notBefore > now ? -5 : 0;
}

// --- a reader for the few parts of a certificate that pages show

const OIDS = { C: "2.5.4.6", O: "2.5.4.10", OU: "2.5.4.11", ST: "2.5.4.8", CN: "2.5.4.3", L: "2.5.4.7", E: "1.2.840.113549.1.9.1" };
const XTX_NAMES = /** @type {const} */ (["C", "O", "OU", "ST", "CN", "L", "E"]);

/** @param {unknown} certificate Base64 of its DER */
function certificateOf(certificate) {
  try {
    return new CertificateReader(Uint8Array.from(atob(text(certificate).replace(/\s/g, "")), (octet) => octet.charCodeAt(0)));
  } catch {
    throw new Refused("CERTIFICATE_UNPARSABLE");
  }
}

/**
 * @template Kind
 * @param {Kind | undefined} found
 * @throws {RangeError} the certificate has no such part
 */
function there(found) {
  if (found === undefined) throw new RangeError("a part is missing");
  return found;
}

/** The part that begins at `at`, inside one that ends at `end`. @type {(bytes: Uint8Array, at: number, end: number) => Part} */
function partAt(bytes, at, end) {
  let length = there(bytes[at + 1]);
  let start = at + 2;
  if (length & 0x80) {
    const count = length & 0x7f;
    if (count === 0 || count > 3) throw new RangeError("length");
    length = bytes.subarray(start, start + count).reduce((sum, digit) => sum * 256 + digit, 0);
    start += count;
  }
  if (start + length > end) throw new RangeError("beyond the end");
  return { tag: there(bytes[at]), at, start, end: start + length };
}

/** @type {(bytes: Uint8Array, parent: Part) => Part[]} */
function children(bytes, parent) {
  /** @type {Part[]} */
  const found = [];
  for (let at = parent.start; at < parent.end; at = there(found.at(-1)).end) found.push(partAt(bytes, at, parent.end));
  return found;
}

/** @type {(bytes: Uint8Array, part: Part) => string} */
function oidOf(bytes, { start, end }) {
  const numbers = [];
  let value = 0;
  for (const digit of bytes.subarray(start, end)) {
    value = value * 128 + (digit & 0x7f);
    if (digit & 0x80) continue;
    const first = Math.min(2, Math.floor(value / 40)); // the first two numbers travel as one
    numbers.push(...(numbers.length > 0 ? [value] : [first, value - 40 * first]));
    value = 0;
  }
  return numbers.join(".");
}

/** Empty for what is no string. @type {(bytes: Uint8Array, part: Part) => string} */
function textOf(bytes, { tag, start, end }) {
  const octets = bytes.subarray(start, end);
  if (tag === 0x1e) return new TextDecoder("utf-16be").decode(octets);
  return [0x0c, 0x12, 0x13, 0x14, 0x16, 0x1a].includes(tag) ? new TextDecoder(tag === 0x14 ? "latin1" : "utf-8").decode(octets) : "";
}

/** UTCTime, whose years are 1950 to 2049, or GeneralizedTime. @type {(bytes: Uint8Array, part: Part) => Date} */
function timeOf(bytes, { tag, start, end }) {
  const written = new TextDecoder().decode(bytes.subarray(start, end));
  const century = Number(written.slice(0, 2)) < 50 ? "20" : "19";
  const whole = tag === 0x17 ? century + written : written;
  const iso = whole.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");
  const found = new Date(iso);
  if (iso === whole || Number.isNaN(found.getTime())) throw new RangeError("time");
  return found;
}

/** @type {(bytes: Uint8Array, name: Part) => Name} */
function nameOf(bytes, name) {
  const pairs = children(bytes, name).flatMap((set) => children(bytes, set)).map((pair) => children(bytes, pair));
  return new Map(pairs.map(([oid, value]) => [oidOf(bytes, there(oid)), textOf(bytes, there(value))]));
}

/** Object identifier → the value's octets. @type {(bytes: Uint8Array, wrapped: Part | undefined) => Map<string, Uint8Array>} */
function extensionsOf(bytes, wrapped) {
  const extensions = wrapped ? children(bytes, there(children(bytes, wrapped)[0])) : [];
  return new Map(extensions.map((extension) => {
    const parts = children(bytes, extension);
    const value = there(parts.at(-1));
    return [oidOf(bytes, there(parts[0])), bytes.subarray(value.start, value.end)];
  }));
}

/** @param {Name} name */
function nameText(name) {
  const short = new Map(Object.entries(OIDS).map(([key, oid]) => [oid, key]));
  return [...name].map(([oid, value]) => `${short.get(oid) ?? oid}=${value}`).join(", ");
}

/** @param {Date} date */
function digits(date) {
  return date.toISOString().replace(/[-:T]|\.\d+Z/g, "");
}

class CertificateReader {
  /**
   * @param {Uint8Array} bytes DER
   * @throws {RangeError}
   */
  constructor(bytes) {
    const tbs = there(children(bytes, partAt(bytes, 0, bytes.length))[0]);
    const fields = children(bytes, tbs);
    const versioned = fields[0]?.tag === 0xa0 ? fields.shift() : undefined;
    this.version = `V${versioned ? there(bytes[versioned.end - 1]) + 1 : 1}`;
    const [serial, , issuer, validity, subject, key] = fields;
    const hex = [...bytes.subarray(there(serial).start, there(serial).end)].map((digit) => digit.toString(16).padStart(2, "0")).join("");
    this.serial = hex.replace(/^(00)+(?=..)/, "").toUpperCase();
    this.issuer = nameOf(bytes, there(issuer));
    this.subject = nameOf(bytes, there(subject));
    const [notBefore, notAfter] = children(bytes, there(validity)).map((part) => timeOf(bytes, part));
    this.notBefore = there(notBefore);
    this.notAfter = there(notAfter);
    this.key = base64(bytes.subarray(there(key).at, there(key).end));
    this.extensions = extensionsOf(bytes, fields.find((part) => part.tag === 0xa3));
  }

  /**
   * One item as text; undefined for a number that the numbering does not have.
   *
   * @param {number} number
   * @param {Numbering} numbering
   * @returns {string | undefined}
   */
  item(number, numbering) {
    return (numbering === "xtx" ? this.#xtx() : this.#gm())[number];
  }

  /** @returns {Partial<Record<number, string>>} */
  #xtx() {
    /** @type {(first: number, name: Name) => [number, string][]} */
    const names = (first, name) => XTX_NAMES.map((short, index) => [first + index, name.get(OIDS[short]) ?? ""]);
    return {
      ...Object.fromEntries([...names(4, this.issuer), ...names(13, this.subject)]),
      1: this.version, 2: this.serial, 11: digits(this.notBefore), 12: digits(this.notAfter), 20: this.key,
      33: nameText(this.subject), 34: nameText(this.issuer),
    };
  }

  /** @returns {Partial<Record<number, string>>} */
  #gm() {
    const of = (/** @type {Name} */ name, /** @type {keyof typeof OIDS} */ short) => name.get(OIDS[short]) ?? "";
    const [from, until] = [`${digits(this.notBefore)}Z`, `${digits(this.notAfter)}Z`];
    return {
      1: this.version, 2: this.serial, 5: nameText(this.issuer), 6: `${from}-${until}`, 7: nameText(this.subject), 8: this.key,
      0x21: of(this.issuer, "CN"), 0x22: of(this.issuer, "O"), 0x23: of(this.issuer, "OU"), 0x31: of(this.subject, "CN"),
      0x32: of(this.subject, "O"), 0x33: of(this.subject, "OU"), 0x34: of(this.subject, "E"), 0x35: from, 0x36: until,
    };
  }

  /** Text of an extension or of an attribute of the subject. @type {(oid: string) => string} */
  byOid(oid) {
    const value = this.extensions.get(oid);
    if (!value) return this.subject.get(oid) ?? "";
    const bare = new TextDecoder().decode(value); // some CAs put the bare text there
    return textInside(value) || (/^[\x20-\x7e]*$/.test(bare) ? bare : "");
  }
}

/** Text of the first string inside an extension's value; empty when that is no DER or no text. @type {(value: Uint8Array) => string} */
function textInside(value) {
  try {
    let part = partAt(value, 0, value.length);
    while (part.tag & 0x20 || part.tag === 0x04) part = partAt(value, part.start, part.end);
    return textOf(value, part);
  } catch {
    return "";
  }
}
