// The status page's cards: a lock each, with all its certificates.

import { changePin } from "./pin-form.js";
import { day, element, part, problemText } from "./shared.js";

const SOON = 30 * 86400e3; // milliseconds before the end
const ALGORITHMS = { SM2: "国密 SM2", EC: "ECDSA", RSA: "RSA" };

/**
 * @param {HTMLElement} list
 * @param {string} term
 * @param {string} value
 */
function pair(list, term, value) {
  list.append(element("dt", "", term), element("dd", "", value || "—"));
}

/** @param {Wire.LockInfo} lock */
function tags(lock) {
  const found = [];
  if (!lock.expired && Date.parse(lock.notAfter) - Date.now() < SOON) found.push(element("span", "pill warn", "即将过期"));
  if (lock.pin.locked) found.push(element("span", "pill bad", "PIN 码已锁定"));
  else if (lock.pin.reserved) found.push(element("span", "pill bad", `PIN 码只剩 ${lock.pin.triesLeft ?? "最后几"} 次`));
  if (lock.pin.default) found.push(element("span", "pill warn", "初始 PIN 码，请修改"));
  if (found.length === 0 && !lock.expired) found.push(element("span", "pill good", "可用"));
  return found;
}

/** @param {Wire.PinState} pin */
function pinText({ locked, triesLeft, triesMax }) {
  if (locked) return "已锁定";
  return triesLeft === null ? "可用" : `还可尝试 ${triesLeft} 次（共 ${triesMax ?? "—"} 次）`;
}

/** @param {DriverPages.OwnLock} entry */
function certificate({ info: lock, serial }) {
  const place = element("div");
  const head = element("div", "head");
  const title = element("h3", "", lock.name);
  if (lock.expired) title.append(element("span", "warned", "(已过期)"));
  head.append(title, ...tags(lock));
  const list = element("dl");
  pair(list, "单位", lock.organisation);
  pair(list, "颁发机构", lock.issuer);
  pair(list, "有效期", `${day(lock.notBefore)} 至 ${day(lock.notAfter)}`);
  pair(list, "CA锁ID", serial);
  pair(list, "PIN 码", pinText(lock.pin));
  pair(list, "算法", ALGORITHMS[lock.algorithm]);
  place.append(head, list);
  return place;
}

/**
 * @param {DriverPages.OwnLock[]} entries certificates of one lock, the one to offer first
 * @param {() => void} refresh
 */
function card(entries, refresh) {
  const made = element("article", "card");
  entries.forEach((entry, index) => {
    const shown = certificate(entry);
    if (index > 0) shown.className = "old";
    made.append(shown);
  });
  const [first] = entries;
  if (first) made.append(changePin(first.info, refresh));
  return made;
}

function noLock() {
  const empty = element("div", "card empty");
  empty.append(element("p", "", "未检测到 CA 锁"), element("p", "soft small", "请将 CA 锁插入电脑，插入后这里会自动显示。"));
  return empty;
}

let drawn = "";

/**
 * Draw the cards where they say something new; otherwise the keyboard's place in them would be lost for nothing.
 *
 * @param {DriverPages.View} view
 * @param {() => void} refresh called when the cards may be drawn anew
 */
export function drawLocks(view, refresh) {
  const now = JSON.stringify([view.locks, view.problems]);
  if (now === drawn) return;
  drawn = now;
  const devices = new Set(view.locks.map(({ info }) => info.device));
  const locks = [...devices].map((device) => view.locks.filter(({ info }) => info.device === device));
  const problems = view.problems.map((problem) => {
    const calm = ["DRIVER_PORT_TAKEN", "LOCK_LIST_CUT", "LOCK_CERTIFICATE_HIDDEN"].includes(problem.reason);
    return element("p", `card note ${calm ? "warn" : "bad"}`, problemText(problem));
  });
  const cards = [...locks.map((entries) => card(entries, refresh)), ...problems];
  part("locks", HTMLElement).replaceChildren(...(cards.length > 0 ? cards : [noLock()]));
}
