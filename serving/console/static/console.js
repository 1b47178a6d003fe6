// Keys of the console: an element with `data-key` is pressed by its key, j and k walk along rows with `data-row`.
"use strict";

const TYPING = "input, textarea, select, [contenteditable]";

function rows() {
  return [...document.querySelectorAll("tr[data-row] a")];
}

function walk(step) {
  const found = rows();
  if (found.length === 0) return;
  const at = found.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : found.length - 1) : Math.min(found.length - 1, Math.max(0, at + step));
  found[next].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const help = document.getElementById("help");
  if (event.target.matches(TYPING)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (help.open) return;
  if (event.key === "?") help.showModal();
  else if (event.key === "j") walk(1);
  else if (event.key === "k") walk(-1);
  else if (event.key === "q") window.location.assign("/console/queue");
  else {
    const wanted = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === event.key);
    if (!wanted) return;
    if (wanted.matches(TYPING)) wanted.focus();
    else wanted.click();
  }
  event.preventDefault();
});

// A verdict is sent once, however often its key is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.method === "dialog") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => document.querySelectorAll("form").forEach((each) => delete each.dataset.sent));
