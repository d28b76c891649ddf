// The status page's list of installed driver packages, and the button that installs a newer one.

import { ask } from "./session.js";
import { element, explain, part, show } from "./shared.js";

/**
 * One row of a list, with something at its end.
 *
 * @param {string} text
 * @param {HTMLElement} [end]
 */
export function row(text, end) {
  const made = element("li", "row");
  made.append(element("span", "", text));
  if (end) {
    end.classList.add("end");
    made.append(end);
  }
  return made;
}

/**
 * @param {DriverPages.PackageView} found
 * @param {HTMLButtonElement} button
 * @param {(text: string) => void} trouble
 */
async function install(found, button, trouble) {
  button.disabled = true;
  try {
    await ask("/status/updates/install", { code: found.code });
    button.textContent = "正在下载并安装，完成后驱动会自动重新启动…";
  } catch (error) {
    button.disabled = false;
    trouble(explain(error));
  }
}

/**
 * @param {DriverPages.PackageView} found
 * @param {(text: string) => void} trouble
 */
function packageRow(found, trouble) {
  const name = `${found.title} ${found.version}`;
  if (found.problem) return row(name, element("span", "pill warn", "暂时无法检查更新"));
  if (!found.newer) return row(name, element("span", "pill good", "已是最新版本"));
  const button = element("button", "", `更新到 ${found.newer}`);
  button.type = "button";
  button.addEventListener("click", () => void install(found, button, trouble));
  return row(`${name}：有新版本 ${found.newer}（${(found.size / 1048576).toFixed(1)} MB）`, button);
}

/** @param {(text: string) => void} trouble says what went wrong */
export async function lookForUpdates(trouble) {
  const found = await ask("/status/updates", {}).catch(() => null); // the page says elsewhere that the driver does not answer
  if (!found) return;
  part("packages", HTMLElement).replaceChildren(...found.packages.map((each) => packageRow(each, trouble)));
  show("updates", found.packages.length > 0);
}
