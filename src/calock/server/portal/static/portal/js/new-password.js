// The rules of a new password, ticked as they are met while it is typed. The server decides; this only tells sooner.

import { part } from "./dom.js";

const box = part(document, "[data-new-password]", HTMLElement);
const chosen = part(box, "#new", HTMLInputElement);
const again = part(box, "#again", HTMLInputElement);

/** Names that the password must not contain, lower case: of the page's account, or as it is typed on the page of the code. */
function names() {
  const typed = document.querySelector("#username");
  const known = `${box.dataset.names ?? ""} ${typed instanceof HTMLInputElement ? typed.value : ""}`;
  return known.toLowerCase().split(" ").filter((name) => name.length > 1);
}

/**
 * @param {string} name
 * @param {boolean} met
 */
function tick(name, met) {
  part(box, `[data-rule="${name}"]`, HTMLElement).classList.toggle("met", met);
}

function judge() {
  const { value } = chosen;
  const lower = value.toLowerCase();
  tick("length", value.length >= chosen.minLength);
  tick("names", value !== "" && !names().some((name) => lower.includes(name)));
  tick("same", value !== "" && value === again.value);
}

document.addEventListener("input", judge);
