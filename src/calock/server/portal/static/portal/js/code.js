// The link that hands a one-time code over carries it behind "#": browsers send that part nowhere. It is taken out of the address
// at once, so that it stays neither in the history nor on the screen.
const field = document.getElementById("code");
const code = decodeURIComponent(location.hash.slice(1));
if (field instanceof HTMLInputElement && code) {
  field.value = code.slice(0, 64);
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("new")?.focus();
}
