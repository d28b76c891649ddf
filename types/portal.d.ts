/**
 * What travels between a page of the platform and its own server: docs/protocol.md, section 7, and `calock/server`.
 * `tests/server/pages/test_script_types.py` compares it with what the server says and takes.
 */
declare namespace Portal {
  /** The one next action of a refusal; `href` is empty where the page itself does it. */
  interface Action {
    label: string;
    href: string;
    /** What the page at hand does instead of following `href`, where it can: see `refusal_texts.py`. */
    does: "" | "again" | "pin" | "clean" | "window" | "lock" | "password" | "reason" | "allow" | "reload" | "return";
  }

  /** A refusal in people's words, as `refusals.describe` writes it and pages show it. */
  interface Refusal {
    reason: string;
    message: string;
    action: Action;
    /** Only the CA that issued the lock can mend it. */
    ca: boolean;
    /** Code of its cause in the catalogue of failures, `F13`; empty where it is none of them. */
    cause: string;
    /** Number of the audit row, empty when there is none. */
    number: string;
  }

  /** A refusal before its `{facts}` are filled in; `plain` is for when one of them is not known. */
  interface RefusalText {
    message: string;
    plain: string;
    action: Action;
    ca: boolean;
    cause: string;
  }

  type Facts = Record<string, string | number | null | undefined>;

  type PinEntry = "page" | "window" | "page-then-window";

  /** Sentences of `driver_page.py`. */
  type Word =
    | "searching"
    | "asking"
    | "gesture"
    | "start"
    | "retry"
    | "ready_one"
    | "ready_many"
    | "ready_none"
    | "ready_expired"
    | "ready_several"
    | "expired_lock"
    | "lock_ca"
    | "expired"
    | "until"
    | "serial"
    | "tries"
    | "default_pin"
    | "reserved"
    | "reserved_unknown"
    | "window_only"
    | "hidden_lock"
    | "on_reader"
    | "problem_about"
    | "start_windows"
    | "start_macos"
    | "start_linux"
    | "driver_accept"
    | "locked"
    | "locked_plain"
    | "busy"
    | "signing"
    | "signing_reader"
    | "verifying"
    | "network"
    | "try_again"
    | "trying_again"
    | "window_wait"
    | "window_blocked"
    | "window_silent"
    | "number"
    | "password_missing"
    | "choice_renew"
    | "choice_renew_effect"
    | "choice_replace"
    | "choice_replace_lost"
    | "choice_replace_effect"
    | "choice_another"
    | "choice_another_effect"
    | "choice_missing"
    | "other_locks"
    | "bound_lock"
    | "bound_on"
    | "reason_missing"
    | "picture"
    | "cancelled"
    | "extension_failed"
    | "fill_in"
    | "ended"
    | "insecure"
    | "old_browser";

  /** What `driver_page.py` puts into a page that talks to the driver. */
  interface PageData {
    protocol: number;
    ports: number[];
    tlsPorts: number[];
    minVersion: string;
    pinEntry: PinEntry;
    webEid: boolean;
    /** Whose days are shown. */
    timeZone: string;
    /** Address of the page that offers the driver. */
    download: string;
    /** Milliseconds after which a call of the driver counts as not answered: above the driver's own limits. */
    limits: { operation: number; reader: number; list: number };
    words: Record<Word, string>;
    /** By reason. */
    refusals: Record<"DRIVER_FAILED" | "SERVER_BUSY", RefusalText> & Partial<Record<string, RefusalText>>;
    /** Drawings that help, by reason. */
    pictures: Record<"DRIVER_PERMISSION_PROMPT" | "DRIVER_PERMISSION_DENIED", string> & Partial<Record<string, string>>;
  }

  /** Sentences and addresses of the check page: `checks.py` and `views/public.py`. */
  type CheckWord =
    | "browser_good"
    | "secure_good"
    | "permission_good"
    | "permission_none"
    | "permission_click"
    | "driver_good"
    | "version_good"
    | "module_good"
    | "lock_good"
    | "pin_good"
    | "pin_tries"
    | "certificate_good"
    | "certificate_soon"
    | "certificate_expired"
    | "certificate_future"
    | "provider_good"
    | "provider_bad"
    | "clock_good"
    | "clock_bad"
    | "waiting"
    | "running"
    | "all_good"
    | "some_bad"
    | "some_warn"
    | "checked_at_login"
    | "to_login"
    | "login_href"
    | "renew"
    | "renew_href"
    | "see_list"
    | "list_href"
    | "clock_href"
    | "report_title";

  interface Provider {
    code: string;
    name: string;
    shortName: string;
    /** Subject key identifiers of its issuing CAs, hex. */
    issuerKeyIds: string[];
    hotline: string;
    unlockUrl: string;
    renewUrl: string;
  }

  interface Site {
    code: string;
    providers: Provider[];
    pinEntry: PinEntry;
    driver: { minVersion: string };
  }

  interface ChallengeRequest {
    purpose: "login" | "bind" | "unbind" | "stepup" | "resume";
    /** Whose account, when binding. */
    member?: string;
    provider?: string;
    /** Which binding, when ending or resuming it. */
    binding?: string;
  }

  /** A signed answer; `device` is null where it comes from a browser extension. */
  interface Answer {
    token: Wire.AuthToken;
    device: Wire.ReportedDevice | null;
    driver?: Wire.DriverProof | null;
  }

  interface LoginRequest extends Answer {
    challenge: string;
    /** Code of the provider that was chosen, empty for none. */
    provider: string;
    /** Path to go to afterwards. */
    next: string;
  }

  interface BindRequest extends Answer {
    challenge: string;
    member: string;
    provider: string;
    /** What was chosen when the server asked. */
    choice?: { act: Act; binding?: string };
  }

  /** What a lock with a new key is: a bound lock with a new certificate, one that takes its place, or one more. */
  type Act = "renew" | "replace" | "another";

  /** A bound lock that the new one may come after, and what may be chosen about it. */
  interface Candidate {
    binding: string;
    lockId: string;
    certificate: string;
    boundAt: string;
    notAfter: string | null;
    act: Act;
    /** What its people call it; often empty. */
    label: string;
    /** It is reported lost. */
    lost: boolean;
  }

  interface Question {
    candidates: Candidate[];
  }

  /** Either the password, or the lock's answer to a challenge. */
  interface StepUpRequest {
    password?: string;
    challenge?: string;
    token?: Wire.AuthToken;
  }

  interface EndRequest extends StepUpRequest {
    reason: string;
  }

  /** Calls of the pages: what is sent, and what of the answer they read. */
  interface Calls {
    "/api/challenge": { sent: ChallengeRequest; got: { challenge: string; statement: string } };
    "/api/login": { sent: LoginRequest; got: { next: string } };
    "/api/bindings": { sent: BindRequest; got: { message?: string; question?: Question } };
    [end: `/api/bindings/${string}/end`]: { sent: EndRequest; got: { message: string } };
    [resume: `/api/bindings/${string}/resume`]: { sent: StepUpRequest; got: { message: string } };
    "/api/step-up": { sent: StepUpRequest; got: { message: string } };
  }
}
