// What both pages of the driver need: their parts, calls to the driver, its reasons in words, live changes.

const SENTENCES = new Map([
  ["PIN_MISSING", "请输入 PIN 码。"],
  ["PIN_LENGTH", "PIN 码长度不对，一般为 6 至 16 位。"],
  ["PIN_LOCKED", "CA 锁已被锁定，请联系 CA 机构解锁。"],
  ["PIN_LAST_TRY", "PIN 码只剩最后一次机会，请先确认再继续。"],
  ["LOCK_REMOVED", "CA 锁已被拔出，请重新插入。"],
  ["LOCK_UNKNOWN", "CA 锁列表已更新，请重新选择。"],
  ["LOCK_CHANGED", "CA 锁中的证书已变化，请重新选择。"],
  ["LOCK_SIGNATURE_WRONG", "CA 锁返回的签名与证书不符，请重新插拔后再试；仍不行请联系 CA 机构。"],
  ["MODULE_FAILED", "CA 锁的厂商组件不能使用（缺失、损坏或没有响应），驱动会自动重新启动它，请稍候再试。"],
  ["LOCK_WITHOUT_CERTIFICATE", "有一把 CA 锁中没有可用的签名证书，请联系 CA 机构。"],
  ["CERTIFICATE_UNPARSABLE", "有一把 CA 锁中的证书无法读取，请联系 CA 机构。"],
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
  if (reason !== "PIN_WRONG") return SENTENCES.get(reason) ?? `操作没有完成（${reason}），请重试。`;
  return triesLeft === null ? "PIN 码错误，请重新输入。" : `PIN 码错误，还可尝试 ${triesLeft} 次。`;
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
 * A moment's day as people write it: 2026-10-23.
 *
 * @param {string} iso
 */
export function day(iso) {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai" }).format(new Date(iso)); // wire.driver.TIME_ZONE; Swedish is written 2020-11-30
}
