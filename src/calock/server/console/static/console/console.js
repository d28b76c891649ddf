// Close an open filter when something else is clicked, ask before what cannot be undone by one click, and show a field only when
// the box that needs it is ticked.
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.filter[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button?.classList.contains("danger") && !window.confirm(`${button.textContent.trim()}？`)) event.preventDefault();
});

for (const box of document.querySelectorAll("[data-reveals]")) {
  const field = document.getElementById(box.dataset.reveals);
  const follow = () => {
    field.hidden = !box.checked;
    field.querySelector("input").required = box.checked;
  };
  box.addEventListener("change", follow);
  follow();
}
