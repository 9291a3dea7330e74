// The token leaves the address bar, so that it is not copied from there, and nothing but the button uses it.
const token = new URLSearchParams(location.search).get("token");
history.replaceState(null, "", location.pathname);
const form = document.querySelector("form");
const button = form.querySelector("button");
const state = document.querySelector("[role=status]");
if (token) document.querySelector("#token").remove();

// Relative, because the gateway may be behind a path of its own.
const call = async (path, body, bearer) => {
  const headers = { "Content-Type": "application/json", ...(bearer && { Authorization: `Bearer ${bearer}` }) };
  const response = await fetch(`../api/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail || "That did not work. Please try again.");
  return answer;
};

form.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  button.disabled = true;
  state.className = "";
  state.textContent = "One moment…";
  const { email, password, totp, token: typed } = Object.fromEntries(new FormData(form));
  let session;
  try {
    session = await call("users/login", { email, password, ...(totp && { totp }) });
    const joined = await call("organiser/team/accept", { token: token || typed }, session.token);
    form.hidden = true;
    state.textContent = `You are on the team of ${joined.e_name}, as ${joined.role}. You can close this page.`;
  } catch (error) {
    state.textContent = error instanceof TypeError ? "There was no answer. Please try again." : error.message;
    state.className = "failed";
    button.disabled = false;
  }
  // The page keeps nobody signed in.
  if (session) await call("users/logout", {}, session.token).catch(() => {});
});
