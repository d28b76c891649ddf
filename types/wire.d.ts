/**
 * What travels between a page and the driver: docs/protocol.md, sections 2 to 4, and the classes of `calock/wire/driver.py` under
 * their own names. `tests/agent/test_script_types.py` compares them. A field with `?` may be missing.
 */
declare namespace Wire {
  interface HelloRequest {
    /** 16 to 128 of `A-Z a-z 0-9 - _`, which the driver signs. */
    nonce?: string;
  }

  /** A signature with the driver's key for this origin: docs/protocol.md, "The driver's key". */
  interface DriverProof {
    /** Base64 DER of the SubjectPublicKeyInfo. */
    key: string;
    port: number;
    version: string;
    /** Base64 of r‖s. */
    signature: string;
  }

  interface Hello {
    /** Always `calock`; another value is another vendor's driver. */
    driver: string;
    version: string;
    protocol: number;
    pinEntry: ("page" | "window")[];
    /** Code of the driver package this was installed from. */
    package: string;
    proof: DriverProof | null;
    /** Fields of `/v1/authenticate` that older drivers refuse; those say nothing here. */
    takes?: "statement"[];
  }

  /** State of a lock's PIN, read before any try; the numbers are null where the lock does not tell. */
  interface PinState {
    triesLeft: number | null;
    triesMax: number | null;
    locked: boolean;
    /** Still the one it was delivered with. */
    default: boolean;
    /** What is left is for the driver's own window. */
    reserved: boolean;
    /** The PIN is typed on the reader's own keys. */
    onReader: boolean;
  }

  /** One signing certificate in a lock that is plugged in. */
  interface LockInfo {
    /** Opaque, for this origin only, until the lock is pulled out. */
    id: string;
    /** The same for all certificates in one lock. */
    device: string;
    name: string;
    organisation: string;
    issuer: string;
    /** AuthorityKeyIdentifier, hex. */
    issuerKeyId: string;
    /** Masked to its last four characters; empty where the lock tells none of its own. */
    deviceSerial: string;
    algorithm: "SM2" | "RSA" | "EC";
    /** ISO 8601, UTC. */
    notBefore: string;
    notAfter: string;
    /** By this computer's clock: a mark, never a refusal. */
    expired: boolean;
    backend: "soft" | "pkcs11" | "skf";
    module: string;
    pin: PinState;
  }

  /** What is wrong with a module, a plugged-in lock or the driver's own start. */
  interface DriverProblem {
    /** File name of the vendor library; empty: the driver itself. */
    module: string;
    reason: string;
    /** Which lock, masked; for DRIVER_PORT_TAKEN the port. */
    label: string;
    /** LOCK_CERTIFICATE_HIDDEN: handle for `/v1/locks/reveal`, and the state of its PIN. */
    lock?: string;
    pin?: PinState | null;
  }

  interface LockList {
    locks: LockInfo[];
    problems: DriverProblem[];
    /** Two wrong PINs in a row came from this page: the next one is typed in the driver's window. */
    windowOnly: boolean;
  }

  interface AuthenticateRequest {
    lock: string;
    challenge: string;
    pin: string;
    /** The text whose digest the challenge carries. */
    statement?: string;
    /** The user was told of blanks or unusual characters in the PIN and meant them. */
    asTyped?: boolean;
    /** Counts in the driver's own pages only. */
    useLastTry?: boolean;
  }

  /** A Web eID 1.0 authentication token. */
  interface AuthToken {
    format: string;
    unverifiedCertificate: string;
    algorithm: string;
    signature: string;
    appVersion?: string | null;
    stapledOcsp?: string[];
  }

  interface ReportedDevice {
    serial: string;
    label: string;
    manufacturer: string;
  }

  interface AuthenticateReply {
    token: AuthToken;
    device: ReportedDevice;
    driver?: DriverProof | null;
  }

  interface ChangePinRequest {
    lock: string;
    oldPin: string;
    newPin: string;
    asTyped?: boolean;
    useLastTry?: boolean;
  }

  interface RevealRequest {
    lock: string;
    pin: string;
    asTyped?: boolean;
    useLastTry?: boolean;
  }

  interface Cancelled {
    cancelled: boolean;
  }

  interface PinChanged {
    pin: PinState;
  }

  interface ModuleState {
    module: string;
    backend: "soft" | "pkcs11" | "skf";
    state: "running" | "starting" | "failed";
    reason: string;
    locks: number;
    restarts: number;
  }

  interface Diagnosis {
    version: string;
    protocol: number;
    package: string;
    system: string;
    python: string;
    uptimeSeconds: number;
    modules: ModuleState[];
    reasons: Record<string, number>;
  }

  interface DriverError {
    reason: string;
    /** For support, in English. */
    detail?: string;
    /** Set after a PIN was tried. */
    triesLeft?: number | null;
  }

  interface ErrorReply {
    error: DriverError;
  }

  interface LocksEvent {
    event: "locks";
    revision: number;
  }

  /** Fields of the form that opens the driver's window. */
  interface WindowRequest {
    challenge: string;
    state: string;
    lock?: string;
  }

  /** What the driver's window posts to the page that opened it: one answer or one error. */
  interface WindowAnswer {
    type: string;
    state: string;
    /** In the window's first message, `calock-ready`. */
    takes?: "statement"[];
    answer?: AuthenticateReply;
    error?: DriverError;
  }

  /** Calls of platforms' pages. */
  interface Calls {
    "/v1/hello": { sent: HelloRequest; got: Hello };
    "/v1/locks": { sent: Nothing; got: LockList };
    "/v1/authenticate": { sent: AuthenticateRequest; got: AuthenticateReply };
    "/v1/pin/change": { sent: ChangePinRequest; got: PinChanged };
    "/v1/locks/reveal": { sent: RevealRequest; got: LockList };
    "/v1/cancel": { sent: Nothing; got: Cancelled };
    "/v1/diagnosis": { sent: Nothing; got: Diagnosis };
  }

  /** `{}` */
  type Nothing = Record<string, never>;
}
