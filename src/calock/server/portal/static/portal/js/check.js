// The page 环境检测: goes through the checks, says what came out, and writes the report for support.

import { bad, CHECKS, driver, words } from "./checks.js";
import { Refused, say } from "./data.js";
import { actionButton, all, copy, element, maybe, part } from "./dom.js";
import { picture } from "./panel.js";
import { onPermissionChange } from "./permission.js";

/** @import { Result } from "./checks.js" */

const MARKS = { good: "✓", bad: "!", warn: "!" };
const report = part(document, "[data-report]", HTMLTextAreaElement);
let running = 0;
let last = "";

/**
 * @param {HTMLElement} item
 * @param {string} look its class
 * @param {string} text
 */
function write(item, look, text) {
  item.className = look;
  part(item, "[data-say]", HTMLElement).textContent = text;
  item.querySelector(":scope > .button")?.remove();
}

/**
 * @param {HTMLElement} item
 * @param {Result} result
 */
function show(item, result) {
  write(item, result.tone, result.text);
  part(item, ".mark", HTMLElement).textContent = MARKS[result.tone];
  if (result.picture) part(item, "[data-say]", HTMLElement).append(picture(result.picture));
  if (result.action) item.append(element("a", { class: "button", href: result.action.href }, result.action.label));
  if (result.gesture) item.append(actionButton(say("start"), "button primary", () => void lookAndRun(true)));
}

/**
 * @param {() => Result | Promise<Result>} check
 * @throws what is no refusal: a mistake of ours
 */
async function resultOf(check) {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return bad(error.message);
  }
}

/** Go through the checks, unless they are started again meanwhile. */
async function run() {
  running += 1;
  const turn = running;
  const lines = [];
  const failed = new Set();
  for (const item of all(document, "[data-check]", HTMLElement)) {
    const name = item.dataset.check ?? "";
    const check = CHECKS[name];
    if (!check || failed.has(check.needs)) {
      failed.add(name);
      write(item, "wait", words.waiting);
      continue;
    }
    write(item, item.className, words.running);
    const result = await resultOf(check.run); // one after the other: later ones need what earlier ones found
    if (turn !== running) return;
    show(item, result);
    lines.push(`${name} ${result.tone} ${result.code ?? ""}`.trim());
    if (result.tone === "bad" || result.gesture) failed.add(name);
  }
  const passed = lines.some((line) => line.includes(" warn")) ? "warn" : "good";
  await finish(failed.size > 0 ? "bad" : passed, lines);
}

/**
 * The verdict over all: what to do with this computer now.
 *
 * @param {Result["tone"]} tone
 */
function conclude(tone) {
  const text = { good: words.all_good, warn: words.some_warn, bad: words.some_bad }[tone];
  const wrong = maybe(document, "[data-check].bad", HTMLElement);
  const first = wrong?.querySelector(":scope > .button")?.cloneNode(true);
  const login = element("a", { class: "button primary", href: `${words.login_href}#ca` }, words.to_login);
  const told = wrong ? part(wrong, "[data-say]", HTMLElement).innerText : words.checked_at_login;
  const act = tone === "bad" ? (first ?? null) : login;
  const mark = element("span", { class: "icon", "aria-hidden": "true" }, MARKS[tone]);
  const verdict = element("div", { class: `alert ${tone}` }, mark, element("p", {}, element("b", {}, text)), element("p", {}, told), element("p", { class: "act" }, act));
  part(document, "[data-check-status]", HTMLElement).replaceChildren(verdict);
}

/**
 * @param {Result["tone"]} tone
 * @param {string[]} checked a line for each check
 */
async function finish(tone, checked) {
  conclude(tone);
  const diagnosis = driver.state === "ready" ? await driver.diagnosis().catch(() => null) : null;
  report.value = [
    `${words.report_title} ${new Date().toISOString()}`,
    `page ${location.origin} secure=${window.isSecureContext}`,
    `browser ${navigator.userAgent}`,
    `languages ${navigator.languages.join(",")} screen ${screen.width}x${screen.height}`,
    ...checked,
    diagnosis ? `driver ${JSON.stringify(diagnosis)}` : "driver -",
  ].join("\n");
  part(document, "[data-report-card]", HTMLElement).hidden = false;
}

/** @param {boolean} clicked */
async function lookAndRun(clicked) {
  await driver.look(clicked);
  await run();
}

/** @param {HTMLElement} copier */
async function copyReport(copier) {
  report.select();
  await copy(report.value);
  copier.classList.add("copied");
}

part(document, "[data-check-start]", HTMLElement).addEventListener("click", () => void lookAndRun(true));
const copier = part(document, "[data-copy-report]", HTMLElement);
copier.addEventListener("click", () => void copyReport(copier));
driver.addEventListener("change", () => {
  const now = JSON.stringify([driver.state, driver.reason, driver.locks]);
  if (now === last || !["ready", "failed"].includes(driver.state)) return;
  last = now;
  void run();
});
void onPermissionChange(() => void lookAndRun(false));
await driver.start();
await run();
