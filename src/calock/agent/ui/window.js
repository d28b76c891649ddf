// The driver's own window: which lock, its PIN, one answer to the page that opened it.

import { call, day, DriverRefusal, element, explain, follow, part, show } from "./shared.js";

const { origin = "", state = "", lock: preselected = "", ticket = "" } = document.body.dataset;
const form = part("form", HTMLFormElement);
const pinField = part("pin", HTMLInputElement);
const useLast = part("useLast", HTMLInputElement);
const ok = part("ok", HTMLButtonElement);
const legend = part("legend", HTMLElement);
// eslint-disable-next-line @typescript-eslint/no-unsafe-assignment, prefer-destructuring -- the description of browsers says any
const opener = /** @type {Window | null} */ (window.opener);
/** @type {Wire.LockInfo[]} */
let locks = [];
let chosen = preselected;
let finished = false;
let signing = false;
let asked = 0;
let drawn = 0;

/**
 * Exactly the origin that the browser attested when the form was posted; nobody else can read it.
 *
 * @param {Wire.WindowAnswer} message
 */
function tell(message) {
  opener?.postMessage(message, origin);
}

/** @param {string} text */
function conclude(text) {
  form.hidden = true;
  part("doneText", HTMLElement).textContent = text;
  show("done", true);
}

/**
 * @param {Wire.WindowAnswer} message
 * @param {string} text
 */
function finish(message, text) {
  finished = true;
  tell(message);
  pinField.value = "";
  conclude(text);
  setTimeout(() => {
    window.close();
  }, 300);
}

/** @param {string} text empty: nothing has failed */
function fail(text) {
  const place = part("error", HTMLElement);
  place.textContent = text;
  place.hidden = !text;
}

function current() {
  return locks.find((lock) => lock.id === chosen);
}

/** @param {Wire.PinState} pin */
function triesText(pin) {
  if (pin.locked) return "PIN 码已锁定，请联系 CA 机构解锁。";
  if (pin.triesLeft === null) return "";
  return pin.triesLeft === 1 ? "只剩最后 1 次机会。" : `还可尝试 ${pin.triesLeft} 次。`;
}

/** @param {Wire.LockInfo | undefined} lock */
function choose(lock) {
  if (chosen !== lock?.id) useLast.checked = false; // a list that is only drawn again takes no tick away
  chosen = lock?.id ?? "";
  const pin = lock?.pin;
  const last = pin?.triesLeft === 1;
  const tries = part("tries", HTMLElement);
  tries.textContent = pin ? triesText(pin) + (pin.default ? " 这仍是初始 PIN 码，建议尽快修改。" : "") : "";
  tries.className = pin?.locked || last ? "small warned" : "soft small";
  show("last", last && !pin.locked);
  const closed = signing || !pin || pin.locked;
  pinField.disabled = closed;
  ok.disabled = closed;
}

/** @param {Wire.LockInfo} lock */
function card(lock) {
  const label = element("label", "lock");
  const radio = element("input");
  Object.assign(radio, { type: "radio", name: "lock", value: lock.id, checked: lock.id === chosen });
  radio.addEventListener("change", () => {
    fail("");
    choose(lock);
    pinField.focus();
  });
  const text = element("span");
  text.append(
    element("b", "", lock.name + (lock.expired ? "(已过期)" : "")),
    element("span", "soft small", `${lock.issuer} · 锁号 ${lock.deviceSerial} · 有效期至 ${day(lock.notAfter)}`),
  );
  if (lock.pin.locked) text.append(" ", element("span", "pill bad", "已锁定"));
  label.append(radio, text);
  return label;
}

function drawLocks() {
  choose(current() ?? locks.find((lock) => !lock.expired && !lock.pin.locked && lock.pin.triesLeft !== 1) ?? locks[0]);
  legend.textContent = locks.length > 1 ? `检测到 ${locks.length} 张证书，请选择` : "CA 锁";
  part("locks", HTMLElement).replaceChildren(legend, ...locks.map(card));
  show("looking", false);
  show("locks", locks.length > 0);
  show("none", locks.length === 0);
  show("entry", locks.length > 0);
}

/** @param {unknown} error */
function showNoList(error) {
  show("looking", false);
  fail(explain(error));
  choose(current());
  if (!(error instanceof DriverRefusal) || error.reason !== "SESSION_ENDED") return;
  for (const field of form.querySelectorAll("input")) field.disabled = true;
  ok.disabled = true;
}

/** Draw the list anew; false when it could not be asked for, and the reason stands in the window. */
async function refresh() {
  if (finished) return true;
  asked += 1;
  const turn = asked;
  try {
    const found = await call("/window/locks", { ticket });
    if (turn < drawn) return true; // an answer to a later question came first
    drawn = turn;
    ({ locks } = found);
  } catch (error) {
    showNoList(error);
    return false;
  }
  drawLocks();
  return true;
}

/** @param {Wire.LockInfo} lock */
async function sign(lock) {
  const message = { ticket, lock: lock.id, pin: pinField.value, useLastTry: useLast.checked };
  pinField.value = "";
  useLast.checked = false; // a consent counts once
  signing = true;
  choose(lock);
  ok.textContent = "正在签名…";
  try {
    finish(await call("/window/sign", message), "已完成，请回到原页面。");
    return null;
  } catch (error) {
    return explain(error);
  } finally {
    message.pin = "";
    signing = false;
    ok.textContent = "确定";
  }
}

async function submit() {
  fail("");
  const lock = current();
  const failure = lock ? await sign(lock) : null;
  if (failure === null) return;
  // the sentence comes when the next PIN can be typed and sent, not before
  if (await refresh()) fail(failure);
  pinField.focus();
}

async function cancel() {
  finished = true;
  tell({ type: "calock-answer", state, error: { reason: "PIN_CANCELLED", detail: "", triesLeft: null } });
  await call("/window/cancel", { ticket }).catch(() => null); // the window closes either way
}

async function cancelAndClose() {
  await cancel();
  window.close();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void submit();
});
part("cancel", HTMLButtonElement).addEventListener("click", () => void cancelAndClose());
window.addEventListener("pagehide", () => {
  if (!finished) void cancel();
});
window.addEventListener("keydown", (event) => {
  if (event.key === "Escape") void cancelAndClose();
});

if (opener) {
  tell({ type: "calock-ready", state });
  follow(
    () => void refresh(),
    () => undefined,
  );
  await refresh();
  pinField.focus();
} else {
  conclude("找不到打开本窗口的页面，请关闭本窗口，回到原页面重试。");
}
