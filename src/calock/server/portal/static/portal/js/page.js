// Behaviour every page shares: tabs, popovers, copy and print buttons, showing a password.

import "./dialogs.js";
import { all, around, copy, holds, part } from "./dom.js";
import { recall, remember } from "./memory.js";

// --- tabs: one is selected by its hash, by click and by arrow keys

/**
 * @param {HTMLElement[]} tabs
 * @param {HTMLElement} chosen
 */
function select(tabs, chosen) {
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.tabIndex = tab === chosen ? 0 : -1;
    part(document, `#${tab.getAttribute("aria-controls") ?? ""}`, HTMLElement).hidden = tab !== chosen;
  }
  document.dispatchEvent(new CustomEvent("calock:tab"));
}

const STEPS = new Map([
  ["ArrowRight", 1],
  ["ArrowLeft", -1],
]);

/** @param {HTMLElement} box */
function makeTabs(box) {
  const tabs = all(box, '[role="tab"]', HTMLElement);
  const byHash = () => {
    const tab = tabs.find((each) => `#${each.dataset.hash ?? ""}` === location.hash);
    if (tab) select(tabs, tab);
  };
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => {
      remember("calock.tab", tab.dataset.hash ?? "");
      history.replaceState(null, "", `#${tab.dataset.hash ?? ""}`);
      select(tabs, tab);
    });
    tab.addEventListener("keydown", (event) => {
      const step = STEPS.get(event.key);
      const next = step === undefined ? undefined : tabs.at((index + step) % tabs.length);
      if (!next) return;
      event.preventDefault();
      select(tabs, next);
      next.focus();
    });
  });
  window.addEventListener("hashchange", byHash);
  const last = tabs.find(({ dataset }) => dataset.hash === recall("calock.tab"));
  if (last && !location.hash && !("stay" in box.dataset)) select(tabs, last);
  byHash();
}

// --- popovers: by tap and key; with data-hover also by pointer and focus

/**
 * Keep a panel inside the window: beside its button on narrow screens, above it where that has more room.
 *
 * @param {HTMLElement} panel
 * @param {HTMLElement} button
 */
function placeInside(panel, button) {
  panel.classList.remove("from-left", "above");
  const box = panel.getBoundingClientRect();
  if (box.left < 8) panel.classList.add("from-left");
  const above = button.getBoundingClientRect().top;
  panel.style.setProperty("--room", `${String(Math.round(Math.max(above, innerHeight - box.top) - 16))}px`);
  if (box.bottom > innerHeight && above > innerHeight - box.top) panel.classList.add("above");
}

/** @param {HTMLElement} popover */
function makePopover(popover) {
  const button = part(popover, "[data-popover-button]", HTMLElement);
  const panel = part(popover, ".panel", HTMLElement);
  let pinned = false;
  const show = (/** @type {boolean} */ visible) => {
    panel.hidden = !visible;
    button.setAttribute("aria-expanded", String(visible));
    if (visible) placeInside(panel, button);
    else pinned = false;
  };
  button.addEventListener("click", () => {
    pinned = !pinned || Boolean(panel.hidden);
    show(pinned);
  });
  if ("hover" in popover.dataset) {
    showOnHover(popover, button, (visible) => {
      if (visible || !pinned) show(visible);
    });
  }
  popover.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    show(false);
    button.focus();
  });
  document.addEventListener("click", (event) => {
    if (!holds(popover, event.target) && !panel.hidden) show(false);
  });
  popover.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !holds(popover, event.relatedTarget)) show(false);
  });
}

/**
 * @param {HTMLElement} popover
 * @param {HTMLElement} button
 * @param {(visible: boolean) => void} show
 */
function showOnHover(popover, button, show) {
  let leaving = 0;
  popover.addEventListener("pointerenter", (event) => {
    clearTimeout(leaving);
    if (event.pointerType === "mouse") show(true);
  });
  popover.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "mouse") return;
    leaving = setTimeout(() => {
      show(false);
    }, 250);
  });
  button.addEventListener("focus", () => {
    if (button.matches(":focus-visible")) show(true);
  });
}

// --- on a phone a row of links is wider than the window: the current one is in sight

for (const current of all(document, "nav [aria-current=page]", HTMLElement)) {
  for (let row = current.parentElement; row !== null && row !== document.body; row = row.parentElement) {
    if (row.scrollWidth <= row.clientWidth) continue;
    const [inner, outer] = [current.getBoundingClientRect(), row.getBoundingClientRect()];
    row.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
  }
}

all(document, "[data-tabs]", HTMLElement).forEach(makeTabs);
all(document, "[data-popover]", HTMLElement).forEach(makePopover);

// --- copy buttons, showing a password

/** @param {HTMLElement} button */
async function copyFrom(button) {
  await copy(button.dataset.copy ?? "");
  button.classList.add("copied");
}

/** @param {HTMLElement} button */
function reveal(button) {
  const field = part(document, `#${button.dataset.reveal ?? ""}`, HTMLInputElement);
  const visible = field.type === "password";
  field.type = visible ? "text" : "password";
  button.setAttribute("aria-pressed", String(visible));
}

document.addEventListener("click", (event) => {
  if (around(event, "[data-print]", HTMLElement)) print();
  const copying = around(event, "[data-copy]", HTMLElement);
  if (copying) void copyFrom(copying);
  const revealing = around(event, "[data-reveal]", HTMLElement);
  if (revealing) reveal(revealing);
});
