// Who is logged in. Where the server asks for no token there is nothing to show.
import { $, text } from "./dom.js";

// session shows who is logged in, and a way out.
export async function session() {
  const s = await ask();
  if (!s?.tokens) return;
  text($("who"), `${s.name} (${s.role})`);
  $("logout").hidden = false;
  $("logout").addEventListener("click", async () => {
    await fetch("/api/v1/logout", { method: "POST" });
    location.replace("/login.html");
  });
}

// ask is the session, or nothing when the server doesn't answer; who has none is sent to log in.
export async function ask() {
  try {
    const r = await fetch("/api/v1/session");
    if (r.status === 401) location.replace("/login.html");
    return r.ok ? await r.json() : null;
  } catch {
    return null;
  }
}
