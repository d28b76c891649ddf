// Behaviour every page shares: tabs, popovers, copy buttons, showing a password.

import "./dialogs.js";

// --- tabs: one is selected by its hash, by click and by arrow keys
for (const box of document.querySelectorAll("[data-tabs]")) {
  const tabs = [...box.querySelectorAll('[role="tab"]')];
  const select = (tab, focus = false) => {
    for (const each of tabs) {
      const chosen = each === tab;
      each.setAttribute("aria-selected", String(chosen));
      each.tabIndex = chosen ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = !chosen;
    }
    if (focus) tab.focus();
    document.dispatchEvent(new CustomEvent("calock:tab"));
  };
  const byHash = () => {
    const tab = tabs.find((each) => `#${each.dataset.hash}` === location.hash);
    if (tab) select(tab);
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => {
      history.replaceState(null, "", `#${tab.dataset.hash}`);
      select(tab);
    });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      select(tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length], true);
    });
  }
  window.addEventListener("hashchange", byHash);
  byHash();
}

// --- popovers: by tap and key; with data-hover also by pointer and focus
for (const popover of document.querySelectorAll("[data-popover]")) {
  const button = popover.querySelector("[data-popover-button]");
  const panel = popover.querySelector(".panel");
  let pinned = false;
  let leaving = 0;
  const show = (visible) => {
    panel.hidden = !visible;
    button.setAttribute("aria-expanded", String(visible));
    if (!visible) pinned = false;
    else placeInside(panel);
  };
  button.addEventListener("click", () => {
    pinned = !pinned || panel.hidden;
    show(pinned);
  });
  if ("hover" in popover.dataset) {
    popover.addEventListener("pointerenter", (event) => {
      clearTimeout(leaving);
      if (event.pointerType === "mouse") show(true);
    });
    popover.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !pinned) leaving = setTimeout(() => show(false), 250);
    });
    button.addEventListener("focus", () => button.matches(":focus-visible") && show(true));
  }
  popover.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    show(false);
    button.focus();
  });
  document.addEventListener("click", (event) => !popover.contains(event.target) && !panel.hidden && show(false));
  popover.addEventListener("focusout", (event) => event.relatedTarget && !popover.contains(event.relatedTarget) && show(false));
}

/** Keep a panel inside the window on narrow screens. */
function placeInside(panel) {
  panel.classList.remove("from-left", "above");
  const box = panel.getBoundingClientRect();
  if (box.left < 8) panel.classList.add("from-left");
  if (box.bottom > innerHeight && box.top > box.height) panel.classList.add("above");
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard?.writeText(copy.dataset.copy).catch(() => undefined);
    copy.classList.add("copied");
  }
  const reveal = event.target.closest("[data-reveal]");
  if (reveal) {
    const field = document.getElementById(reveal.dataset.reveal);
    const visible = field.type === "password";
    field.type = visible ? "text" : "password";
    reveal.setAttribute("aria-pressed", String(visible));
  }
});
