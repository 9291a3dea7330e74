"use strict";
// The token leaves the address bar at once, so that it is in no history and in no picture of the screen.
const token = new URLSearchParams(location.search).get("token");
history.replaceState(null, "", location.pathname);
const form = document.querySelector("form");
const state = document.querySelector("[role=status]");
const button = form.querySelector("button");
const byCode = form.querySelector("fieldset");
if (token) byCode.remove();
form.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  button.disabled = true;
  state.className = "";
  state.textContent = "One moment…";
  const body = Object.fromEntries(new FormData(form));
  if (token) body.token = token;
  try {
    // Relative, because the gateway may be behind a path of its own.
    const response = await fetch(form.dataset.call, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (response.ok) {
      form.hidden = true;
      state.textContent = answer.email ? `${answer.email} is confirmed. You can close this page.` : "Your new password is set. Sign in with it.";
      return;
    }
    state.textContent = answer.detail || "That did not work. Please try again.";
  } catch {
    state.textContent = "There was no answer. Please try again.";
  }
  state.className = "failed";
  button.disabled = false;
});
