// Close an open filter when something else is clicked or Escape is pressed, ask before what cannot be undone by one click, and
// show a field only when the box that needs it is ticked.

document.addEventListener("click", ({ target }) => {
  for (const open of document.querySelectorAll("details.filter[open]")) {
    if (!(target instanceof Node && open.contains(target))) open.removeAttribute("open");
  }
});

document.addEventListener("keydown", ({ key }) => {
  const open = key === "Escape" && document.querySelector("details.filter[open]");
  if (!open) return;
  open.removeAttribute("open");
  open.querySelector("summary")?.focus();
});

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button?.classList.contains("danger") && !window.confirm(`${button.textContent.trim()}？`)) event.preventDefault();
});

/** @param {HTMLInputElement} box */
function reveal(box) {
  const field = document.getElementById(box.dataset.reveals ?? "");
  const input = field?.querySelector("input");
  if (!field || !input) throw new Error(`nothing to show for ${box.name}`);
  const follow = () => {
    field.hidden = !box.checked;
    input.required = box.checked;
  };
  box.addEventListener("change", follow);
  follow();
}

for (const box of document.querySelectorAll("[data-reveals]")) {
  if (box instanceof HTMLInputElement) reveal(box);
}
