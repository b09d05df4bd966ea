// The login: a token becomes a cookie that no script can read. The token is sent once and kept nowhere.
const said = document.getElementById("said"), token = document.getElementById("token");

// Who follows a link from another site comes here though logged in: the cookie is sent only from this site's own pages.
fetch("/api/v1/session").then((r) => r.ok && location.replace("/"), () => {});

document.getElementById("login").addEventListener("submit", async (e) => {
  e.preventDefault();
  said.textContent = "";
  try {
    const r = await fetch("/api/v1/login", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: token.value.trim() }) });
    if (r.ok) {
      location.replace("/");
      return;
    }
    said.textContent = `Not logged in: ${(await r.json()).error}`;
  } catch {
    said.textContent = "Not logged in: the server doesn't answer.";
  }
  token.select();
});
