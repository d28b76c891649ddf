// The status page: what the driver sees, for the user who owns it.

import { drawLocks } from "./lock-cards.js";
import { isEditing } from "./pin-form.js";
import { ask, forget, isOpen, open } from "./session.js";
import { DriverRefusal, element, follow, part, show } from "./shared.js";
import { lookForUpdates, row } from "./updates.js";

const PARTS = ["content", "rest", "support"];
const STATES = /** @type {const} */ ({ running: ["good", "正常"], starting: ["plain", "正在启动"], failed: ["bad", "不能使用，正在重试"] });
const KINDS = { soft: "练习锁", pkcs11: "PKCS#11", skf: "国密 SKF" };
let asked = 0;
let drawn = 0;

/**
 * @param {string} text
 * @param {"good" | "warn" | "bad"} kind
 */
function tell(text, kind) {
  const place = part("state", HTMLElement);
  place.textContent = text;
  place.className = `pill ${kind}`;
}

/** @param {string} text empty: nothing is wrong */
function trouble(text) {
  const place = part("trouble", HTMLElement);
  place.textContent = text;
  place.hidden = !text;
}

/**
 * @param {string} list its id
 * @param {HTMLElement[]} items
 * @param {string} empty what stands there when there are none
 */
function fill(list, items, empty) {
  part(list, HTMLElement).replaceChildren(...(items.length > 0 ? items : [element("li", "soft", empty)]));
}

/** @param {Wire.ModuleState} module */
function moduleRow({ module, backend, state }) {
  const [kind, text] = STATES[state];
  return row(`${module}（${KINDS[backend]}）`, element("span", `pill ${kind}`, text));
}

/** @param {DriverPages.View} view */
function draw(view) {
  if (!isEditing()) drawLocks(view, () => void refresh());
  const sites = view.origins.map((origin) => row(origin));
  fill("sites", sites, "还没有允许任何网站。");
  fill("modules", view.diagnosis.modules.map(moduleRow), "没有配置任何 CA 锁组件。");
  part("diagnosis", HTMLElement).textContent = JSON.stringify(view.diagnosis, null, 1);
  for (const id of PARTS) show(id, true);
  show("secure", view.tls);
  tell("检测完成", "good");
  trouble("");
}

function sessionEnded() {
  forget();
  tell("请重新打开", "warn");
  trouble("本页面已失效，请从电脑的程序菜单重新打开“CA 驱动”。");
  for (const id of PARTS) show(id, false);
}

async function refresh() {
  asked += 1;
  const turn = asked;
  try {
    const view = await ask("/status/view", {});
    if (turn < drawn) return; // an answer to a later question came first
    drawn = turn;
    draw(view);
  } catch (error) {
    if (error instanceof DriverRefusal && error.reason === "SESSION_ENDED") sessionEnded();
    else tell("驱动没有响应", "bad");
  }
}

async function copyDiagnosis() {
  await navigator.clipboard.writeText(part("diagnosis", HTMLElement).textContent);
  part("copied", HTMLElement).textContent = "已复制。";
}

/** Typed in by somebody who has just accepted the certificate in this browser, as /certificate tells them. */
function accepted() {
  tell("证书已生效", "good");
  show("accepted", true);
}

/** Take the code out of the address, and a session for it. */
async function openSession() {
  const code = location.hash.slice(1);
  if (!code) return;
  history.replaceState(null, "", "/");
  await open(code).catch(() => null); // an old code: the session kept by this tab may still do
}

async function start() {
  await openSession();
  if (!isOpen() && location.protocol === "https:") {
    accepted();
    return;
  }
  await refresh();
  void lookForUpdates(trouble);
  follow(
    () => void refresh(),
    () => {
      tell("驱动已停止，正在重新连接…", "warn");
    },
  );
}

part("copy", HTMLButtonElement).addEventListener("click", () => void copyDiagnosis());
await start();
