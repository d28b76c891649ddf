// The PIN in the driver's own window: a top-level pop-up at 127.0.0.1, reached by a form, answering by postMessage.

import { data, refuse, Refused, say } from "./data.js";

const SILENCE = 3000;

function randomState() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

function postForm(port, name, fields) {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", target: name, action: `http://127.0.0.1:${port}/window/authenticate`, hidden: true });
  for (const [key, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name: key, value });
    form.append(input);
  }
  document.body.append(form);
  form.submit();
  form.remove();
}

function trouble(word, label = "retry") {
  return new Refused({ reason: "DRIVER_FAILED", message: say(word), action: { label: say(label), href: "" }, number: "" });
}

/** Open the empty window at once: only inside the click does the browser allow it. */
export function openWindow() {
  const name = `calock-${Date.now()}`;
  const popup = window.open("", name, "popup,width=480,height=640");
  if (!popup) throw trouble("window_blocked");
  return { popup, name };
}

/** Send the challenge into the window and wait for its one answer. */
export function askWindow({ popup, name }, { challenge, lock = "", port = 0 }) {
  const state = randomState();
  const ports = port ? [port] : [...data.ports];
  return new Promise((resolve, reject) => {
    let current = ports.shift();
    let ready = false;
    let silence = 0;
    const watch = setInterval(() => popup.closed && finish(reject, refuse("PIN_CANCELLED")), 400);
    const finish = (settle, value) => {
      clearInterval(watch);
      clearTimeout(silence);
      window.removeEventListener("message", onMessage);
      if (settle === reject && !popup.closed && !ready) popup.close();
      settle(value);
    };
    const onMessage = (event) => {
      if (event.source !== popup || event.origin !== `http://127.0.0.1:${current}` || event.data?.state !== state) return;
      if (event.data.type === "calock-ready") {
        ready = true;
        clearTimeout(silence);
      } else if (event.data.type === "calock-answer") {
        const { answer, error } = event.data;
        if (answer) finish(resolve, answer);
        else finish(reject, refuse(error?.reason ?? "DRIVER_FAILED", { tries_left: error?.triesLeft ?? undefined }));
      }
    };
    const knock = () => {
      postForm(current, name, lock ? { challenge, state, lock } : { challenge, state });
      silence = setTimeout(() => {
        if (ports.length === 0) return finish(reject, trouble("window_silent"));
        current = ports.shift();
        return knock();
      }, SILENCE);
    };
    window.addEventListener("message", onMessage);
    knock();
  });
}
