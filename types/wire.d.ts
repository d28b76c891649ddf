/**
 * What travels between a page and the driver: docs/protocol.md, sections 2 to 4, and the classes of `calock/wire/driver.py` under
 * their own names. `tests/agent/test_script_types.py` compares them. A field with `?` may be missing.
 */
declare namespace Wire {
  interface Hello {
    /** Always `calock`; another value is another vendor's driver. */
    driver: string;
    version: string;
    protocol: number;
    pinEntry: ("page" | "window")[];
    /** Code of the driver package this was installed from. */
    package: string;
  }

  /** State of a lock's PIN, read before any try; the numbers are null where the lock does not tell. */
  interface PinState {
    triesLeft: number | null;
    triesMax: number | null;
    locked: boolean;
    /** Still the one it was delivered with. */
    default: boolean;
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
    /** Masked to its last four characters. */
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

  /** A module that cannot be asked, or holds a lock that cannot be used. */
  interface ModuleProblem {
    module: string;
    reason: string;
  }

  interface LockList {
    locks: LockInfo[];
    problems: ModuleProblem[];
  }

  interface AuthenticateRequest {
    lock: string;
    challenge: string;
    pin: string;
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
  }

  interface ChangePinRequest {
    lock: string;
    oldPin: string;
    newPin: string;
    useLastTry?: boolean;
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
    answer?: AuthenticateReply;
    error?: DriverError;
  }

  /** Calls of platforms' pages. */
  interface Calls {
    "/v1/hello": { sent: Nothing; got: Hello };
    "/v1/locks": { sent: Nothing; got: LockList };
    "/v1/authenticate": { sent: AuthenticateRequest; got: AuthenticateReply };
    "/v1/pin/change": { sent: ChangePinRequest; got: PinChanged };
    "/v1/diagnosis": { sent: Nothing; got: Diagnosis };
  }

  /** `{}` */
  type Nothing = Record<string, never>;
}
