// 环境检测: the checks in the order in which a login would meet them. Each says what it found and at most one next step.

import { site } from "./api.js";
import { data, refusal, say } from "./data.js";
import { Driver } from "./driver.js";
import { element } from "./panel.js";
import { loopbackPermission, onPermissionChange } from "./permission.js";

const words = JSON.parse(document.getElementById("check-words").textContent);
const driver = new Driver();
const report = [];
let running = 0;

function tell(name, facts = {}) {
  return words[name].replace(/\{(\w+)\}/g, (whole, key) => facts[key] ?? whole);
}

const good = (text) => ({ tone: "good", text });
const bad = (text, action, picture) => ({ tone: "bad", text, action, picture });
const warn = (text, action) => ({ tone: "warn", text, action });

function refused(reason, facts, action) {
  const shown = refusal(reason, facts);
  return { ...bad(shown.message, action ?? shown.action, data.pictures[reason]), code: reason };
}

const download = () => ({ label: refusal("DRIVER_ABSENT").action.label, href: data.download });

async function findDriver() {
  if (driver.state === "searching" || driver.state === "asking") {
    await new Promise((resolve) => {
      const settled = () => {
        if (driver.state === "searching" || driver.state === "asking") return;
        driver.removeEventListener("change", settled);
        resolve();
      };
      driver.addEventListener("change", settled);
    });
  }
}

const CHECKS = {
  browser: () =>
    window.fetch && window.WebSocket && window.HTMLDialogElement && window.crypto?.getRandomValues && AbortSignal.timeout
      ? good(tell("browser_good"))
      : bad(say("old_browser")),
  secure: () => (window.isSecureContext ? good(tell("secure_good")) : bad(say("insecure"), { label: "https", href: location.href.replace(/^http:/, "https:") })),
  permission: async () => {
    const state = await loopbackPermission();
    if (state === "denied") return refused("DRIVER_PERMISSION_DENIED");
    if (state === "prompt" && driver.state === "gesture")
      return { tone: "warn", text: tell("permission_click"), action: { label: say("start"), click: () => driver.look(true).then(run) }, picture: data.pictures.DRIVER_PERMISSION_PROMPT, stop: true };
    return good(tell(state === "unknown" ? "permission_none" : "permission_good"));
  },
  driver: async () => {
    await findDriver();
    if (driver.state === "ready" || driver.reason === "DRIVER_TOO_OLD") return good(tell("driver_good"));
    return refused(driver.reason || "DRIVER_ABSENT", driver.facts, /^DRIVER_(PERMISSION|CERTIFICATE)/.test(driver.reason) ? undefined : download());
  },
  version: () => (driver.reason === "DRIVER_TOO_OLD" ? refused("DRIVER_TOO_OLD", driver.facts, download()) : good(tell("version_good", { version: driver.hello.version }))),
  module: () => (driver.problems.length === 0 ? good(tell("module_good")) : warn(say("problem", { module: driver.problems[0].module }), refusal("MODULE_FAILED").action)),
  lock: () => {
    const count = new Set(driver.locks.map(({ device }) => device)).size;
    return count > 0 ? good(tell("lock_good", { count })) : refused("LOCK_ABSENT");
  },
  pin: async () => {
    const { providers } = await site();
    const locked = driver.locks.find((lock) => lock.pin.locked);
    if (locked) {
      const provider = providers.find(({ issuerKeyIds }) => issuerKeyIds.includes(locked.issuerKeyId));
      return refused("PIN_LOCKED", { provider: provider?.name, hotline: provider?.hotline });
    }
    const tries = driver.locks.map((lock) => lock.pin.triesLeft).filter((left) => left !== null);
    return tries.length > 0 ? good(tell("pin_tries", { count: Math.min(...tries) })) : good(tell("pin_good"));
  },
  certificate: () => {
    const now = Date.now();
    const lock = driver.locks.find(({ expired }) => !expired) ?? driver.locks[0];
    const [from, until] = [Date.parse(lock.notBefore), Date.parse(lock.notAfter)];
    if (until < now) return bad(tell("certificate_expired", { day: lock.notAfter.slice(0, 10) }), { label: words.renew, href: words.renew_href });
    if (from > now) return bad(tell("certificate_future", { day: lock.notBefore.slice(0, 10) }));
    const days = Math.floor((until - now) / 86400000);
    return days <= 30 ? warn(tell("certificate_soon", { days }), { label: words.renew, href: words.renew_href }) : good(tell("certificate_good"));
  },
  provider: async () => {
    const { providers } = await site();
    const names = providers.filter(({ issuerKeyIds }) => driver.locks.some((lock) => issuerKeyIds.includes(lock.issuerKeyId))).map(({ name }) => name);
    return names.length > 0 ? good(tell("provider_good", { name: names.join("、") })) : bad(tell("provider_bad"), { label: words.see_list, href: `${words.list_href}#providers` });
  },
  clock: async () => {
    const before = Date.now();
    const response = await fetch("/api/site", { cache: "no-store", credentials: "same-origin" });
    const server = Date.parse(response.headers.get("Date") ?? "");
    if (Number.isNaN(server)) return good(tell("clock_good", { seconds: "-" }));
    const seconds = Math.round(Math.abs((before + Date.now()) / 2 - server - 500) / 1000);
    return seconds <= 300 ? good(tell("clock_good", { seconds })) : bad(tell("clock_bad", { minutes: Math.round(seconds / 60) }), { label: refusal("LOCK_ABSENT").action.label, href: `${words.clock_href}#F18` });
  },
};
// what cannot be known without these
const NEEDS = { driver: "permission", version: "driver", module: "version", lock: "version", pin: "lock", certificate: "lock", provider: "lock" };
const MARKS = { good: "✓", bad: "!", warn: "!" };

function show(item, result) {
  item.className = result.tone;
  item.querySelector(".mark").textContent = MARKS[result.tone];
  const { action } = result;
  const button = !action
    ? ""
    : action.click
      ? element("button", { class: "button primary", type: "button", onclick: action.click }, action.label)
      : element("a", { class: "button", href: action.href }, action.label);
  const picture = result.picture ? element("img", { src: result.picture, alt: say("picture"), width: 360, height: 190 }) : "";
  item.querySelector("[data-say]").replaceChildren(result.text, picture);
  item.querySelector(":scope > .button")?.remove();
  if (button) item.append(button);
}

async function run() {
  const turn = (running += 1);
  report.length = 0;
  const failed = new Set();
  const items = [...document.querySelectorAll("[data-check]")];
  for (const item of items) {
    const name = item.dataset.check;
    item.querySelector(":scope > .button")?.remove();
    if (failed.has(NEEDS[name])) {
      failed.add(name);
      item.className = "wait";
      item.querySelector("[data-say]").textContent = words.waiting;
      continue;
    }
    item.querySelector("[data-say]").textContent = words.running;
    const result = await CHECKS[name]();
    if (turn !== running) return;
    show(item, result);
    report.push([name, result.tone, result.code ?? ""]);
    if (result.tone === "bad" || result.stop) failed.add(name);
  }
  finish([...failed].length === 0);
}

async function finish(fine) {
  document.querySelector("[data-check-status]").textContent = fine ? words.all_good : words.some_bad;
  const diagnosis = driver.state === "ready" ? await driver.diagnosis().catch(() => null) : null;
  const lines = [
    `${words.report_title} ${new Date().toISOString()}`,
    `page ${location.origin} secure=${window.isSecureContext}`,
    `browser ${navigator.userAgent}`,
    `languages ${navigator.languages.join(",")} screen ${screen.width}x${screen.height}`,
    ...report.map((line) => line.join(" ").trim()),
    diagnosis ? `driver ${JSON.stringify(diagnosis)}` : "driver -",
  ];
  document.querySelector("[data-report]").value = lines.join("\n");
  document.querySelector("[data-report-card]").hidden = false;
}

document.querySelector("[data-check-start]").addEventListener("click", () => driver.look(true).then(run));
document.querySelector("[data-copy-report]").addEventListener("click", async (event) => {
  const text = document.querySelector("[data-report]");
  text.select();
  await navigator.clipboard?.writeText(text.value).catch(() => undefined);
  event.currentTarget?.classList.add("copied");
});
let last = "";
driver.addEventListener("change", () => {
  const now = JSON.stringify([driver.state, driver.reason, driver.locks]);
  if (now !== last && ["ready", "failed"].includes(driver.state)) {
    last = now;
    run();
  }
});
onPermissionChange(() => driver.look().then(run));
driver.start().then(run);
