"use strict";
// What both pages of the driver need: calls to the driver, its reasons in words, live changes.

const SENTENCES = {
  PIN_MISSING: "请输入 PIN 码。",
  PIN_LENGTH: "PIN 码长度不对，一般为 6 至 16 位。",
  PIN_LOCKED: "CA 锁已被锁定，请联系 CA 机构解锁。",
  PIN_LAST_TRY: "PIN 码只剩最后一次机会，请先确认再继续。",
  LOCK_REMOVED: "CA 锁已被拔出，请重新插入。",
  LOCK_UNKNOWN: "CA 锁列表已更新，请重新选择。",
  LOCK_CHANGED: "CA 锁中的证书已变化，请重新选择。",
  LOCK_SIGNATURE_WRONG: "CA 锁返回的签名与证书不符，请重新插拔后再试；仍不行请联系 CA 机构。",
  MODULE_FAILED: "CA 锁的厂商组件不能使用（缺失、损坏或没有响应），驱动会自动重新启动它，请稍候再试。",
  LOCK_WITHOUT_CERTIFICATE: "有一把 CA 锁中没有可用的签名证书，请联系 CA 机构。",
  CERTIFICATE_UNPARSABLE: "有一把 CA 锁中的证书无法读取，请联系 CA 机构。",
  DRIVER_BUSY: "另一个页面正在使用 CA 锁，请稍候再试。",
  TOO_MANY_ATTEMPTS: "操作太频繁，请一分钟后再试。",
  SESSION_ENDED: "本窗口已过期，请回到原页面重新操作。",
  CHALLENGE_MALFORMED: "网站的请求格式不对，请回到原页面重试。",
};

function sentence(error) {
  if (error.reason === "PIN_WRONG") {
    return error.triesLeft === null ? "PIN 码错误，请重新输入。" : `PIN 码错误，还可尝试 ${error.triesLeft} 次。`;
  }
  return SENTENCES[error.reason] || `操作没有完成（${error.reason}），请重试。`;
}

async function call(path, message, headers = {}) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Calock": "1", ...headers },
      body: JSON.stringify(message),
      keepalive: path.endsWith("/cancel"),
    });
  } catch {
    throw { reason: "DRIVER_ABSENT", triesLeft: null };
  }
  const answer = await response.json().catch(() => ({ error: { reason: "DRIVER_FAILED", triesLeft: null } }));
  if (answer.error && !response.ok) throw answer.error;
  return answer;
}

function follow(changed, lost) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/events`, "calock.v1");
  socket.onmessage = () => changed();
  socket.onclose = () => {
    lost?.();
    setTimeout(() => follow(changed, lost), 1500);
  };
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function day(iso) {
  return new Date(iso).toLocaleDateString("zh-CN", { year: "numeric", month: "2-digit", day: "2-digit" }).replaceAll("/", "-");
}

function triesText(pin) {
  if (pin.locked) return "PIN 码已锁定，请联系 CA 机构解锁。";
  if (pin.triesLeft === null) return "";
  return pin.triesLeft === 1 ? "只剩最后 1 次机会。" : `还可尝试 ${pin.triesLeft} 次。`;
}
