// The driver's own window: which lock, its PIN, one answer to the page that opened it.

import { call, day, DriverRefusal, element, explain, follow, hasOddCharacters, part, problemText, sentence, show } from "./shared.js";

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
/** Locks that show their certificate only after a PIN. @type {Wire.DriverProblem[]} */
let hidden = [];
/** What else the person should know. @type {Wire.DriverProblem[]} */
let wrong = [];
/** They were told of odd characters in the PIN as it stands in the field. */
let told = false;
let chosen = preselected;
let finished = false;
let signing = false;
let asked = 0;
let drawn = 0;

/**
 * Exactly the origin that the browser attested when the form was posted; no other page can read it.
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

/** What can be chosen: a lock, or one that shows its certificate only after a PIN. */
function choices() {
  return [...locks, ...hidden.flatMap(({ lock, pin, label }) => (lock && pin ? [{ id: lock, pin, label }] : []))];
}

function current() {
  return choices().find(({ id }) => id === chosen);
}

/** @param {Wire.PinState} pin */
function triesText(pin) {
  if (pin.locked) return "PIN 码已锁定，请联系 CA 机构解锁。";
  if (pin.triesLeft === null) return pin.reserved ? "这把锁输错过 PIN 码，又不告知剩余次数。" : "";
  return pin.reserved ? `只剩最后 ${pin.triesLeft} 次机会。` : `还可尝试 ${pin.triesLeft} 次。`;
}

/** @param {{ id: string, pin: Wire.PinState } | undefined} choice */
function choose(choice) {
  if (chosen !== choice?.id) useLast.checked = false; // a list that is only drawn again takes no tick away
  chosen = choice?.id ?? "";
  const pin = choice?.pin;
  const reserved = pin?.reserved ?? false;
  const tries = part("tries", HTMLElement);
  tries.textContent = pin ? triesText(pin) + (pin.default ? " 这仍是初始 PIN 码，建议尽快修改。" : "") : "";
  tries.className = pin?.locked || reserved ? "small warned" : "soft small";
  show("last", reserved && pin?.locked === false);
  show("typed", pin?.onReader !== true);
  show("onReader", pin?.onReader === true);
  const closed = signing || !pin || pin.locked;
  pinField.disabled = closed;
  ok.disabled = closed;
}

/**
 * @param {{ id: string, pin: Wire.PinState }} choice
 * @param {string} name
 * @param {HTMLElement} more what tells it from others
 */
function card(choice, name, more) {
  const label = element("label", "lock");
  const radio = element("input");
  Object.assign(radio, { type: "radio", name: "lock", value: choice.id, checked: choice.id === chosen });
  radio.addEventListener("change", () => {
    fail("");
    choose(choice);
    pinField.focus();
  });
  const text = element("span");
  text.append(element("b", "", name), more);
  if (choice.pin.locked) text.append(" ", element("span", "pill bad", "已锁定"));
  label.append(radio, text);
  return label;
}

/** @param {Wire.LockInfo} lock */
function lockCard(lock) {
  const serial = lock.deviceSerial ? `锁号 ${lock.deviceSerial} · ` : "";
  const more = element("span", "soft small", `${lock.issuer} · ${serial}`);
  more.append(element("span", "whole", `有效期至 ${day(lock.notAfter)}`));
  return card(lock, lock.name + (lock.expired ? "(已过期)" : ""), more);
}

function drawLocks() {
  const all = choices();
  choose(current() ?? locks.find(({ expired, pin }) => !expired && !pin.locked && !pin.reserved) ?? all[0]);
  legend.textContent = all.length > 1 ? `检测到 ${all.length} 张证书，请选择` : "CA 锁";
  const names = new Map(locks.map((lock) => [lock.id, lock]));
  const cards = all.map((choice) => {
    const lock = names.get(choice.id);
    if (lock) return lockCard(lock);
    const label = "label" in choice ? choice.label : "";
    return card(choice, `CA 锁 ${label}`.trim(), element("span", "soft small", "输入 PIN 码后显示证书"));
  });
  part("locks", HTMLElement).replaceChildren(legend, ...cards);
  show("looking", false);
  show("locks", all.length > 0);
  show("none", all.length === 0 && wrong.length === 0);
  show("entry", all.length > 0);
  part("problems", HTMLElement).replaceChildren(...wrong.map((problem) => element("p", "note warn small", problemText(problem))));
}

/** @param {Wire.LockList} found */
function take(found) {
  ({ locks } = found);
  hidden = found.problems.filter(({ reason }) => reason === "LOCK_CERTIFICATE_HIDDEN");
  const others = found.problems.filter(({ reason }) => reason !== "LOCK_CERTIFICATE_HIDDEN");
  wrong = locks.length > 0 ? others.filter(({ module }) => module === "") : others; // a lock that works needs no word of others
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
    take(found);
  } catch (error) {
    showNoList(error);
    return false;
  }
  drawLocks();
  return true;
}

/**
 * Have the lock sign, or show what it hides.
 *
 * @param {{ id: string, pin: Wire.PinState }} choice
 * @returns {Promise<string | null>} what went wrong
 */
async function send(choice) {
  const message = { ticket, lock: choice.id, pin: pinField.value, asTyped: told, useLastTry: useLast.checked };
  pinField.value = "";
  useLast.checked = false; // a consent counts once
  told = false;
  signing = true;
  choose(choice);
  ok.textContent = choice.pin.onReader ? "请在读卡器上输入…" : "正在签名…";
  try {
    if (locks.some(({ id }) => id === choice.id)) {
      finish(await call("/window/sign", message), "已完成，请回到原页面。");
      return null;
    }
    take(await call("/window/reveal", message));
    return locks.length > 0 ? "已显示证书，请再输入一次 PIN 码完成操作。" : "这把 CA 锁中没有可用的签名证书，请联系 CA 机构。";
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
  const choice = current();
  if (!choice) return;
  if (hasOddCharacters(pinField.value) && !choice.pin.onReader && !told) {
    told = true;
    fail(sentence("PIN_CHARACTERS"));
    return;
  }
  const failure = await send(choice);
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
pinField.addEventListener("input", () => {
  told = false;
});
part("cancel", HTMLButtonElement).addEventListener("click", () => void cancelAndClose());
window.addEventListener("pagehide", () => {
  if (!finished) void cancel();
});
window.addEventListener("keydown", (event) => {
  if (event.key === "Escape") void cancelAndClose();
});

/**
 * What the page says that is signed: compared with the challenge by the driver, and shown in its words.
 *
 * @param {MessageEvent<{ type?: string, state?: string, statement?: string } | null>} event
 */
async function hearStatement({ source, origin: from, data: message }) {
  if (source !== opener || from !== origin || message?.type !== "calock-statement" || message.state !== state) return;
  try {
    part("purpose", HTMLElement).textContent = (await call("/window/statement", { ticket, statement: message.statement ?? "" })).text;
  } catch (error) {
    finished = true;
    tell({ type: "calock-answer", state, error: { reason: "CHALLENGE_MALFORMED", detail: "", triesLeft: null } });
    conclude(explain(error));
  }
}

if (opener) {
  window.addEventListener("message", (/** @type {Parameters<typeof hearStatement>[0]} */ event) => void hearStatement(event));
  tell({ type: "calock-ready", state, takes: ["statement"] });
  follow(
    () => void refresh(),
    () => undefined,
  );
  await refresh();
  pinField.focus();
} else {
  conclude("找不到打开本窗口的页面，请关闭本窗口，回到原页面重试。");
}
