/**
 * What the driver's own two pages ask it: `calock/agent/status.py`, `update_page.py` and `window.py`.
 * `tests/agent/test_script_types.py` compares it with them.
 */
declare namespace DriverPages {
  /** One certificate as its owner sees it. */
  interface OwnLock {
    info: Wire.LockInfo;
    serial: string;
    label: string;
    manufacturer: string;
  }

  /** Everything the status page shows. */
  interface View {
    version: string;
    package: string;
    port: number;
    tls: boolean;
    origins: string[];
    locks: OwnLock[];
    problems: Wire.DriverProblem[];
    diagnosis: Wire.Diagnosis;
  }

  /** One installed driver package; `newer` is empty where there is nothing newer, or nobody could be asked. */
  interface PackageView {
    code: string;
    title: string;
    version: string;
    newer: string;
    changes: string;
    size: number;
    problem: string;
  }

  /** A PIN typed in the window. */
  interface WindowPin {
    ticket: string;
    lock: string;
    pin: string;
    asTyped: boolean;
    useLastTry: boolean;
  }

  interface Calls {
    "/status/session": { sent: { code: string }; got: { session: string } };
    "/status/view": { sent: Wire.Nothing; got: View };
    "/status/pin": { sent: Wire.ChangePinRequest; got: Wire.PinChanged };
    "/status/updates": { sent: Wire.Nothing; got: { packages: PackageView[] } };
    "/status/updates/install": { sent: { code: string }; got: { started: boolean } };
    "/window/locks": { sent: { ticket: string }; got: Wire.LockList };
    "/window/statement": { sent: { ticket: string; statement: string }; got: { text: string } };
    "/window/sign": { sent: WindowPin; got: Wire.WindowAnswer };
    "/window/reveal": { sent: WindowPin; got: Wire.LockList };
    "/window/cancel": { sent: { ticket: string }; got: Wire.WindowAnswer };
  }
}
