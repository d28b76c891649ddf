"use strict";
const request = document.body.dataset;
const $ = (id) => document.getElementById(id);
let locks = [];
let chosen = request.lock;
let finished = false;
let signing = false;
let asked = 0;
let drawn = 0;

function tell(message) {
  // exactly the origin the browser attested when the form was posted; nobody else can read it
  window.opener?.postMessage(message, request.origin);
}

function finish(message, text) {
  finished = true;
  tell(message);
  $("pin").value = "";
  $("form").hidden = true;
  $("doneText").textContent = text;
  $("done").hidden = false;
  setTimeout(() => window.close(), 300);
}

function fail(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

function current() {
  return locks.find((lock) => lock.id === chosen);
}

function choose(lock) {
  if (chosen !== lock?.id) $("useLast").checked = false; // a list that is only drawn again takes no tick away
  chosen = lock?.id ?? "";
  const pin = lock?.pin;
  $("tries").textContent = pin ? triesText(pin) + (pin.default ? " 这仍是初始 PIN 码，建议尽快修改。" : "") : "";
  $("tries").className = pin && (pin.locked || pin.triesLeft === 1) ? "small warned" : "soft small";
  $("last").hidden = !(pin && pin.triesLeft === 1 && !pin.locked);
  $("pin").disabled = $("ok").disabled = signing || !pin || pin.locked;
}

function card(lock) {
  const label = element("label", "lock");
  const radio = element("input");
  Object.assign(radio, { type: "radio", name: "lock", value: lock.id, checked: lock.id === chosen });
  radio.addEventListener("change", () => { fail(""); choose(lock); $("pin").focus(); });
  const text = element("span");
  text.append(
    element("b", "", lock.name + (lock.expired ? "(已过期)" : "")),
    element("span", "soft small", `${lock.issuer} · 锁号 ${lock.deviceSerial} · 有效期至 ${day(lock.notAfter)}`),
  );
  label.append(radio, text);
  if (lock.pin.locked) text.append(" ", element("span", "pill bad", "已锁定"));
  return label;
}

/** Draw the list anew; false when it could not be asked for, and the reason stands in the window. */
async function refresh() {
  if (finished) return true;
  const turn = ++asked;
  try {
    const found = (await call("/window/locks", { ticket: request.ticket })).locks;
    if (turn < drawn) return true; // an answer to a later question came first
    drawn = turn;
    locks = found;
  } catch (error) {
    $("looking").hidden = true;
    fail(sentence(error));
    choose(current());
    if (error.reason === "SESSION_ENDED") $("form").querySelectorAll("input, #ok").forEach((part) => { part.disabled = true; });
    return false;
  }
  choose(current() ?? locks.find((lock) => !lock.expired && !lock.pin.locked && lock.pin.triesLeft !== 1) ?? locks[0]);
  $("looking").hidden = true;
  $("locks").replaceChildren($("legend"), ...locks.map(card));
  $("locks").hidden = locks.length === 0;
  $("legend").textContent = locks.length > 1 ? `检测到 ${locks.length} 张证书，请选择` : "CA 锁";
  $("none").hidden = locks.length > 0;
  $("entry").hidden = locks.length === 0;
  return true;
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  fail("");
  const lock = current();
  if (!lock) return;
  const message = { ticket: request.ticket, lock: lock.id, pin: $("pin").value, useLastTry: $("useLast").checked };
  $("pin").value = "";
  $("useLast").checked = false; // a consent counts once
  signing = true;
  choose(lock);
  $("ok").textContent = "正在签名…";
  let failure = null;
  try {
    finish(await call("/window/sign", message), "已完成，请回到原页面。");
  } catch (error) {
    failure = error;
  }
  message.pin = "";
  signing = false;
  $("ok").textContent = "确定";
  if (!failure) return;
  // the sentence comes when the next PIN can be typed and sent, not before
  if (await refresh()) fail(sentence(failure));
  $("pin").focus();
});

async function cancel() {
  finished = true;
  const error = { reason: "PIN_CANCELLED", detail: "", triesLeft: null };
  tell({ type: "calock-answer", state: request.state, error });
  await call("/window/cancel", { ticket: request.ticket }).catch(() => {});
}

$("cancel").addEventListener("click", async () => { await cancel(); window.close(); });
window.addEventListener("pagehide", () => { if (!finished) cancel(); });
window.addEventListener("keydown", (event) => { if (event.key === "Escape") $("cancel").click(); });

if (window.opener) {
  tell({ type: "calock-ready", state: request.state });
  refresh().then(() => $("pin").focus());
  follow(refresh);
} else {
  $("form").hidden = true;
  $("doneText").textContent = "找不到打开本窗口的页面，请关闭本窗口，回到原页面重试。";
  $("done").hidden = false;
}
