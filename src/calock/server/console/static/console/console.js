// Close an open filter when something else is clicked, and ask before what cannot be undone by one click.
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.filter[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button?.classList.contains("danger") && !window.confirm(`${button.textContent.trim()}？`)) event.preventDefault();
});
