"use strict";
const $ = (id) => document.getElementById(id);
const KEY = "calock.session";
let session = sessionStorage.getItem(KEY) ?? "";
let editing = ""; // handle of the lock whose PIN is being changed: its card is not redrawn meanwhile

const call2 = (path, message) => call(path, message, { "X-Calock-Session": session });

function show(state, kind) {
  $("state").textContent = state;
  $("state").className = `pill ${kind}`;
}

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

function pair(list, term, value) {
  list.append(element("dt", "", term), element("dd", "", value || "—"));
}

function tags(lock) {
  const found = [];
  if (!lock.expired && new Date(lock.notAfter) - Date.now() < 30 * 86400e3) found.push(element("span", "pill warn", "即将过期"));
  if (lock.pin.locked) found.push(element("span", "pill bad", "PIN 码已锁定"));
  else if (lock.pin.triesLeft === 1) found.push(element("span", "pill bad", "PIN 码只剩 1 次"));
  if (lock.pin.default) found.push(element("span", "pill warn", "初始 PIN 码，请修改"));
  if (!found.length && !lock.expired) found.push(element("span", "pill good", "可用"));
  return found;
}

function certificate(entry) {
  const lock = entry.info;
  const part = element("div");
  const head = element("div", "head");
  const title = element("h3", "", lock.name);
  if (lock.expired) title.append(element("span", "warned", "(已过期)"));
  head.append(title, ...tags(lock));
  const list = element("dl");
  pair(list, "单位", lock.organisation);
  pair(list, "颁发机构", lock.issuer);
  pair(list, "有效期", `${day(lock.notBefore)} 至 ${day(lock.notAfter)}`);
  pair(list, "CA锁ID", entry.serial);
  pair(list, "PIN 码", lock.pin.locked ? "已锁定" : lock.pin.triesLeft === null ? "可用" : `还可尝试 ${lock.pin.triesLeft} 次（共 ${lock.pin.triesMax} 次）`);
  pair(list, "算法", lock.algorithm === "SM2" ? "国密 SM2" : lock.algorithm === "EC" ? "ECDSA" : "RSA");
  part.append(head, list);
  return part;
}

function field(form, id, text) {
  const box = element("div");
  const label = element("label", "", text);
  const input = element("input");
  label.htmlFor = input.id = id;
  Object.assign(input, { type: "password", autocomplete: "off", maxLength: 32, required: true });
  box.append(label, input);
  form.append(box);
  return input;
}

function changePin(lock) {
  const box = element("div", "change");
  const open = element("button", "quiet", "修改 PIN 码");
  open.type = "button";
  open.disabled = lock.pin.locked;
  const message = element("p", "note", "");
  message.setAttribute("role", "status");
  message.hidden = true;
  open.addEventListener("click", () => {
    editing = lock.id;
    open.hidden = true;
    box.append(pinForm(lock, message, box));
    box.querySelector("input").focus();
  });
  box.append(open, message);
  return box;
}

function pinForm(lock, message, box) {
  const form = element("form");
  const old = field(form, "oldPin", "原 PIN 码");
  const fresh = field(form, "newPin", "新 PIN 码（6 至 16 位）");
  const again = field(form, "againPin", "再输一次新 PIN 码");
  let last = null;
  if (lock.pin.triesLeft === 1) {
    const label = element("label", "wide small");
    last = element("input");
    last.type = "checkbox";
    label.append(last, " 我确认使用最后一次机会。再输错一次，CA 锁将被锁定。");
    form.append(label);
  }
  const actions = element("div", "actions wide");
  const ok = element("button", "main", "确定修改");
  const no = element("button", "", "取消");
  no.type = "button";
  actions.append(ok, no);
  form.append(actions);
  const say = (text, kind) => { message.textContent = text; message.className = `note ${kind}`; message.hidden = false; };
  const end = () => { editing = ""; form.remove(); box.querySelector("button").hidden = false; };
  no.addEventListener("click", () => { message.hidden = true; end(); refresh(); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (fresh.value !== again.value) return say("两次输入的新 PIN 码不一致。", "bad");
    const request = { lock: lock.id, oldPin: old.value, newPin: fresh.value, useLastTry: last?.checked ?? false };
    old.value = fresh.value = again.value = "";
    ok.disabled = true;
    try {
      await call2("/status/pin", request);
      say("PIN 码已修改。", "good");
      end();
      const read = (editing = `read ${lock.id}`); // the change is an event too: it must not wipe the sentence away at once
      setTimeout(() => {
        if (editing === read) editing = "";
        refresh();
      }, 2500);
    } catch (error) {
      say(sentence(error), "bad");
      old.focus();
    } finally {
      ok.disabled = false;
      request.oldPin = request.newPin = "";
    }
  });
  return form;
}

function drawLocks(view) {
  const devices = new Map();
  for (const entry of view.locks) devices.set(entry.info.device, [...(devices.get(entry.info.device) ?? []), entry]);
  const cards = [...devices.values()].map(([first, ...others]) => {
    const card = element("article", "card");
    card.append(certificate(first));
    for (const other of others) {
      const old = certificate(other);
      old.className = "old";
      card.append(old);
    }
    card.append(changePin(first.info));
    return card;
  });
  for (const problem of view.problems) cards.push(element("p", "card note bad", `${problem.module}：${sentence(problem)}`));
  if (!cards.length) {
    const empty = element("div", "card empty");
    empty.append(element("p", "", "未检测到 CA 锁"), element("p", "soft small", "请将 CA 锁插入电脑，插入后这里会自动显示。"));
    cards.push(empty);
  }
  $("locks").replaceChildren(...cards);
}

function rows(list, items, empty) {
  list.replaceChildren(...(items.length ? items : [element("li", "soft", empty)]));
}

function row(text, tag) {
  const made = element("li", "row");
  made.append(element("span", "", text));
  if (tag) { tag.classList.add("end"); made.append(tag); }
  return made;
}

const STATES = { running: ["good", "正常"], starting: ["plain", "正在启动"], failed: ["bad", "不能使用，正在重试"] };
const KINDS = { soft: "练习锁", pkcs11: "PKCS#11", skf: "国密 SKF" };

function draw(view) {
  if (!editing) drawLocks(view);
  rows($("sites"), view.origins.map((origin) => row(origin)), "还没有允许任何网站。");
  rows($("modules"), view.diagnosis.modules.map((module) => {
    const [kind, text] = STATES[module.state];
    return row(`${module.module}（${KINDS[module.backend]}）`, element("span", `pill ${kind}`, text));
  }), "没有配置任何 CA 锁组件。");
  $("diagnosis").textContent = JSON.stringify(view.diagnosis, null, 1);
  for (const id of ["content", "rest", "support"]) $(id).hidden = false;
  $("secure").hidden = !view.tls;
  show("检测完成", "good");
}

let asked = 0;
let drawn = 0;

async function refresh() {
  const turn = ++asked;
  try {
    const view = await call2("/status/view", {});
    if (turn < drawn) return; // an answer to a later question came first
    drawn = turn;
    draw(view);
    trouble("");
  } catch (error) {
    if (error.reason === "SESSION_ENDED") {
      sessionStorage.removeItem(KEY);
      show("请重新打开", "warn");
      trouble("本页面已失效，请从电脑的程序菜单重新打开“CA 驱动”。");
      for (const id of ["content", "rest", "support"]) $(id).hidden = true;
    } else {
      show("驱动没有响应", "bad");
    }
  }
}

function updateRow(found) {
  if (found.problem) return row(`${found.title} ${found.version}`, element("span", "pill warn", "暂时无法检查更新"));
  if (!found.newer) return row(`${found.title} ${found.version}`, element("span", "pill good", "已是最新版本"));
  const made = element("li", "row");
  const text = element("span", "", `${found.title} ${found.version}：有新版本 ${found.newer}（${(found.size / 1048576).toFixed(1)} MB）`);
  const install = element("button", "end", `更新到 ${found.newer}`);
  install.type = "button";
  install.addEventListener("click", async () => {
    install.disabled = true;
    try {
      await call2("/status/updates/install", { code: found.code });
      install.textContent = "正在下载并安装，完成后驱动会自动重新启动…";
    } catch (error) {
      install.disabled = false;
      trouble(sentence(error));
    }
  });
  made.append(text, install);
  return made;
}

async function lookForUpdates() {
  try {
    const { packages } = await call2("/status/updates", {});
    rows($("packages"), packages.map(updateRow), "");
    $("updates").hidden = !packages.length;
  } catch { /* the page says elsewhere that the driver does not answer */ }
}

$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("diagnosis").textContent);
  $("copied").textContent = "已复制。";
});

// typed in by somebody who has just accepted the certificate in this browser, as /certificate tells him
function accepted() {
  show("证书已生效", "good");
  $("accepted").hidden = false;
}

async function start() {
  const code = location.hash.slice(1);
  if (code) {
    history.replaceState(null, "", "/");
    try {
      session = (await call("/status/session", { code })).session;
      sessionStorage.setItem(KEY, session);
    } catch { /* an old code: the session kept by this tab may still do */ }
  }
  if (!session && location.protocol === "https:") return accepted();
  await refresh();
  lookForUpdates();
  follow(refresh, () => show("驱动已停止，正在重新连接…", "warn"));
}

start();
