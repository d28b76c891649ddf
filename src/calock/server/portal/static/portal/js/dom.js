// Parts of a page by selector, as the kind of element that its template promises; and new elements.

/**
 * The first part that `selector` names, null where this page has none.
 *
 * @template {Element} Kind
 * @param {ParentNode} place
 * @param {string} selector
 * @param {new () => Kind} kind
 */
export function maybe(place, selector, kind) {
  const found = place.querySelector(selector);
  return found instanceof kind ? found : null;
}

/**
 * The first part that `selector` names.
 *
 * @template {Element} Kind
 * @param {ParentNode} place
 * @param {string} selector
 * @param {new () => Kind} kind
 * @throws {Error} the template has none: a mistake in the page
 */
export function part(place, selector, kind) {
  const found = maybe(place, selector, kind);
  if (!found) throw new Error(`this page has no ${selector}`);
  return found;
}

/**
 * @template {Element} Kind
 * @param {ParentNode} place
 * @param {string} selector
 * @param {new () => Kind} kind
 */
export function all(place, selector, kind) {
  return [...place.querySelectorAll(selector)].flatMap((found) => (found instanceof kind ? [found] : []));
}

/**
 * The nearest part that `selector` names around the place where something happened.
 *
 * @template {Element} Kind
 * @param {Event} event
 * @param {string} selector
 * @param {new () => Kind} kind
 */
export function around(event, selector, kind) {
  const found = event.target instanceof Element ? event.target.closest(selector) : null;
  return found instanceof kind ? found : null;
}

/**
 * Whether something happened inside `place`.
 *
 * @param {Node} place
 * @param {EventTarget | null} target
 */
export function holds(place, target) {
  return target instanceof Node && place.contains(target);
}

/**
 * A new element. `true` sets an attribute without a value; false, null and undefined leave it out.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | null | undefined>} attributes
 * @param {...(Node | string | null)} children null leaves the child out
 */
export function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/**
 * Show these children. Where equal ones are shown already, those stay: nothing is taken away while it is pressed, and a screen reader
 * does not say it again.
 *
 * @param {Element} place
 * @param {Element[]} children
 */
export function redraw(place, children) {
  const shown = [...place.childNodes];
  const same = shown.length === children.length && children.every((child, index) => child.isEqualNode(shown[index] ?? null));
  const touched = all(place, "input", HTMLInputElement).some(({ checked, defaultChecked }) => checked !== defaultChecked);
  if (!same || touched) place.replaceChildren(...children);
}

/**
 * @param {string} label
 * @param {string} look its classes
 * @param {() => void} click
 */
export function actionButton(label, look, click) {
  const button = element("button", { class: look, type: "button" }, label);
  button.addEventListener("click", click);
  return button;
}

/**
 * Copy where the browser has a clipboard for this page and lets us.
 *
 * @param {string} text
 */
export async function copy(text) {
  if ("clipboard" in navigator) await navigator.clipboard.writeText(text).catch(() => undefined);
}
