// What both pages of the driver need: their parts, calls to the driver, its reasons in words, live changes.

const SENTENCES = new Map([
  ["PIN_MISSING", "请输入 PIN 码。"],
  ["PIN_LENGTH", "PIN 码长度不对，一般为 6 至 16 位。"],
  ["PIN_LOCKED", "CA 锁已被锁定，请联系 CA 机构解锁。"],
  ["PIN_CHARACTERS", "PIN 码前后有空格，或含全角字符，没有提交，不扣次数。确实如此的，请再点一次按钮。"],
  ["PIN_LAST_TRY", "PIN 码只剩最后的机会，请先勾选确认再继续。"],
  ["PIN_CANCELLED", "已在读卡器上取消输入。"],
  ["OPERATION_CANCELLED", "操作已取消。"],
  ["LOCK_REMOVED", "CA 锁已被拔出，请重新插入。"],
  ["LOCK_UNKNOWN", "CA 锁列表已更新，请重新选择。"],
  ["LOCK_CHANGED", "CA 锁中的证书已变化，请重新选择。"],
  ["LOCK_SIGNATURE_WRONG", "CA 锁返回的签名与证书不符，请重新插拔后再试；仍不行请联系 CA 机构。"],
  ["MODULE_FAILED", "CA 锁的厂商组件不能使用（损坏，或缺少它需要的文件），请重新安装该厂商的驱动。"],
  ["MODULE_MISSING", "没有找到 CA 锁的厂商组件，请安装该厂商的驱动。"],
  ["MODULE_ARCHITECTURE", "CA 锁的厂商组件与这台电脑的系统不匹配，请安装适合本系统的版本。"],
  ["MODULE_CRASHED", "CA 锁的厂商组件意外退出，驱动正在重新启动它，请稍候再试。"],
  ["MODULE_NOT_ANSWERING", "CA 锁的厂商组件没有响应，驱动正在重新启动它，请重新插拔 CA 锁后再试。"],
  ["LOCK_WITHOUT_CERTIFICATE", "CA 锁中没有可用的签名证书，请联系 CA 机构。"],
  ["LOCK_WITHOUT_KEY", "CA 锁中有证书，但没有与它配套的密钥，请联系 CA 机构。"],
  ["LOCK_CERTIFICATE_HIDDEN", "这把 CA 锁要先输入 PIN 码才显示证书（也可能还没有证书）。"],
  ["LOCK_LIST_CUT", "CA 锁中的证书太多，只列出了最新的一部分。"],
  ["LOCKS_ALIKE", "插入的几把 CA 锁无法区分，请只保留要使用的一把。"],
  ["DRIVER_PORT_TAKEN", "本机的驱动端口由另一个程序占用，本驱动改用了其他端口。如果这台电脑不是多人共用，请检查该程序。"],
  ["DRIVER_BUSY", "另一个页面正在使用 CA 锁，请稍候再试。"],
  ["TOO_MANY_ATTEMPTS", "操作太频繁，请一分钟后再试。"],
  ["SESSION_ENDED", "本窗口已过期，请回到原页面重新操作。"],
  ["CHALLENGE_MALFORMED", "网站的请求格式不对，请回到原页面重试。"],
]);

/** The driver refused a call, or did not answer it. */
export class DriverRefusal extends Error {
  /** @param {Wire.DriverError} error */
  constructor({ reason, triesLeft = null }) {
    super(reason);
    this.reason = reason;
    this.triesLeft = triesLeft;
  }
}

/**
 * The part of the page with this id.
 *
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 */
export function part(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`this page has no ${id}`);
  return found;
}

/**
 * @param {string} id
 * @param {boolean} shown
 */
export function show(id, shown) {
  part(id, HTMLElement).hidden = !shown;
}

/**
 * What went wrong, for the person before the screen.
 *
 * @param {string} reason
 * @param {number | null} triesLeft
 */
export function sentence(reason, triesLeft = null) {
  if (/^(?:CERTIFICATE|KEY)_/.test(reason)) return "CA 锁中的证书无法读取，请联系 CA 机构。";
  if (reason !== "PIN_WRONG") return SENTENCES.get(reason) ?? `操作没有完成（${reason}），请重试。`;
  return triesLeft === null ? "PIN 码错误，请重新输入。" : `PIN 码错误，还可尝试 ${triesLeft} 次。`;
}

/**
 * What is wrong with a module, a plugged-in lock or the driver's start, and where.
 *
 * @param {Wire.DriverProblem} problem
 */
export function problemText({ module, label, reason }) {
  const where = [module, label].filter(Boolean).join("，");
  return where ? `${where}：${sentence(reason)}` : sentence(reason);
}

/**
 * Whether a PIN has blanks around it or characters that came with it out of a message, such as full-width digits.
 *
 * @param {string} pin
 */
export function hasOddCharacters(pin) {
  return pin !== "" && !/^[!-~](?:[ -~]*[!-~])?$/.test(pin);
}

/**
 * The same for whatever a call threw.
 *
 * @param {unknown} error
 */
export function explain(error) {
  return error instanceof DriverRefusal ? sentence(error.reason, error.triesLeft) : sentence("DRIVER_FAILED");
}

/**
 * One call of the driver's own pages.
 *
 * @template {keyof DriverPages.Calls} Path
 * @param {Path} path
 * @param {DriverPages.Calls[Path]["sent"]} message
 * @param {Record<string, string>} headers
 * @throws {DriverRefusal}
 */
export async function call(path, message, headers = {}) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Calock": "1", ...headers },
    body: JSON.stringify(message),
    keepalive: path.endsWith("/cancel"),
  }).catch(() => null);
  if (!response) throw new DriverRefusal({ reason: "DRIVER_ABSENT" });
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return /** @type {DriverPages.Calls[Path]["got"]} */ (answer);
  const { error } = /** @type {Partial<Wire.ErrorReply>} */ (answer ?? {});
  throw new DriverRefusal(error ?? { reason: "DRIVER_FAILED" });
}

/**
 * Hear of changes, and connect again whenever the connection is lost.
 *
 * @param {() => void} changed
 * @param {() => void} lost
 */
export function follow(changed, lost) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/events`, "calock.v1");
  socket.addEventListener("message", changed);
  socket.addEventListener("close", () => {
    lost();
    setTimeout(() => {
      follow(changed, lost);
    }, 1500);
  });
}

/**
 * A new element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} name
 * @param {string} look its class
 * @param {string} text
 */
export function element(name, look = "", text = "") {
  const made = document.createElement(name);
  if (look) made.className = look;
  if (text) made.textContent = text;
  return made;
}

/**
 * A moment's day in China, where certificates and laws count it, as people write it: 2026-10-23.
 *
 * @param {string} iso
 */
export function day(iso) {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai" }).format(new Date(iso)); // wire.driver.TIME_ZONE; Swedish is written 2020-11-30
}
