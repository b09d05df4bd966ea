// The first line of the page: is it all right, what does it cost, what was done last and why. Also the banners, and what
// a screen reader is told.
import { $, attr, el, text } from "./dom.js";
import { absent, cores, count, duration, ms, percent, recovering } from "./format.js";
import { describe } from "./decisions.js";

const MODES = {
  observe: "Foresail watches and decides nothing",
  recommend: "Foresail decides and changes nothing: see what it would do",
  auto: "Foresail decides and applies",
};

function cell(id, big, sub, state) {
  const c = $(id);
  text(c.querySelector(".big"), big);
  text(c.querySelector(".sub"), sub);
  attr(c, "data-state", state ?? null);
}

export function verdict(store) {
  const { app, now } = store;
  const mode = $("mode");
  mode.hidden = !now.mode;
  text(mode, now.mode ?? "");
  attr(mode, "data-mode", now.mode ?? null);
  attr(mode, "title", MODES[now.mode] ?? null);
  text($("manager"), now.manager ? `manager ${now.manager}` : "");
  document.body.classList.toggle("waiting", !now.services);
  const bad = objectives(app, now);
  costs(store);
  load(now);
  expected(now);
  lastChange(store);
  banners(store);
  document.title = `${bad ? "✕ " : ""}${store.title} · Foresail`;
  return bad;
}

// objectives says whether all is well, and which objective is nearest to its bound.
function objectives(app, now) {
  const judged = (now.endpoints ?? []).map((e, i) => ({ ...e, ...app.endpoints[i] })).filter((e) => e.objective);
  const bad = judged.filter((e) => e.status === "violated");
  const met = judged.filter((e) => e.status === "met").length;
  const seen = judged.filter((e) => e.windows > 0 && !absent(e.at_objective_ms));
  const ratio = (e) => e.at_objective_ms / e.objective.latency_ms;
  const worst = (bad.length ? bad : seen).toSorted((a, b) => ratio(b) - ratio(a))[0];
  const near = worst && !absent(worst.at_objective_ms) ? `${worst.name}: p${worst.objective.percentile} ${ms(worst.at_objective_ms)} of ${ms(worst.objective.latency_ms)}` : "";
  if (!now.at) cell("v-ok", "Waiting", "no snapshot has come yet", "wait");
  else if (now.stale) cell("v-ok", "No telemetry", `nothing observed for ${duration(now.silent_s)}; the charts hold what was seen before`, "warn");
  else if (!judged.length) cell("v-ok", "No objectives", "the application file states none", "wait");
  else if (bad.length && bad.every((e) => recovering(e, e.objective))) cell("v-ok", `${bad.length} of ${judged.length} recovering`, `${near} again; met after five good windows`, "warn");
  else if (bad.length) cell("v-ok", `${bad.length} of ${judged.length} missed`, near, "bad");
  else if (met === 0) cell("v-ok", "Not judged yet", "too few requests so far", "wait");
  else cell("v-ok", met === judged.length ? "All met" : "None missed", (met < judged.length ? `${met} of ${judged.length} have enough requests to judge · ` : "") + (near ? `nearest its bound: ${near}` : ""), "ok");
  return bad.length;
}

function costs(store) {
  const t = store.now.totals ?? {};
  if (absent(t.cores_allocated)) {
    cell("v-cores", "—", "allocation not observed");
    return;
  }
  const used = absent(t.cores_used) ? "use not observed" : `${cores(t.cores_used)} used (${percent(t.cores_used / t.cores_allocated, 0)})`;
  let saved = "";
  const mean = t.cores_allocated_mean ?? t.cores_allocated;
  if (!absent(t.cores_file) && t.cores_file > 0) {
    const d = t.cores_file - mean;
    saved = Math.abs(d) < 0.005 ? " · as the application file asks"
      : ` · on average ${cores(Math.abs(d))} ${d > 0 ? "fewer" : "more"} than the application file (${percent(Math.abs(d) / t.cores_file, 0)})`;
  }
  cell("v-cores", `${cores(t.cores_allocated)} allocated`, used + saved);
}

function load(now) {
  const t = now.totals ?? {};
  if (absent(t.requests_s)) {
    cell("v-load", "—", "requests not observed");
    return;
  }
  const errors = (now.endpoints ?? []).reduce((s, e) => s + (e.errors_s ?? 0), 0);
  const reps = absent(t.ready) ? "" : ` · ${t.ready} replicas ready${!absent(t.wanted) && t.wanted !== t.ready ? ` of ${t.wanted}` : ""}`;
  cell("v-load", `${count(t.requests_s)} requests/s`, (errors > 0 ? `${count(errors)} failed/s` : "none failed") + reps);
}

// expected is what a manager that predicts latency expects, and how far it is to be believed.
function expected(now) {
  const o = now.outlook;
  $("v-next").hidden = !o;
  $("v-next").closest(".verdict").classList.toggle("foresees", Boolean(o));
  if (!o) return;
  const trust = o.scored ? `${o.trusted ? "" : "not trusted: "}${o.missed} of ${o.scored} missed` : "not tried yet";
  attr($("v-next"), "title", `What the manager's model predicts of all requests under what was decided.${absent(o.limit_ms) ? "" : ` It counts as safe under ${ms(o.limit_ms)}.`} ` +
    `Missed are the newest predictions that called safe what then was in violation.${o.trusted ? "" : " Too many were: nothing is lowered until it has been right for a while."}`);
  if (absent(o.latency_ms)) return cell("v-next", "Not asked", trust, o.trusted ? "wait" : "warn");
  const risk = o.violation < 0.001 ? "under 0.1 %" : percent(o.violation);
  cell("v-next", `p${o.percentile} ${ms(o.latency_ms)}`, `violation ${risk} · ${trust}`, !o.trusted ? "warn" : o.latency_ms < o.limit_ms ? null : "bad");
}

function lastChange(store) {
  const { now } = store;
  const d = store.decisions.findLast((x) => x.changes.length || x.error);
  $("v-act").querySelector("h2").textContent = now.mode === "recommend" ? "Last recommendation" : "Last change";
  if (!d) {
    if (now.mode === "observe") return cell("v-act", "Observing only", "nothing is decided in this mode");
    const when = now.decided_at && now.at ? `decided ${now.decided} times, last ${duration((now.at - now.decided_at) / 1000)} ago: keep what is` : "no decision yet";
    return cell("v-act", "None", when);
  }
  const { head, why } = describe(d, store.app);
  const s = (now.at - (d.last ?? d.at)) / 1000;
  const ago = !now.at ? "" : s < 1.5 ? "Just now. " : `${duration(s)} ago. `;
  cell("v-act", head, ago + why, d.error ? "warn" : null);
}

// banners are what a person must know before believing the rest.
function banners(store) {
  const { now } = store;
  const want = [];
  if (now.fallback) want.push(["warn", "Fallback", now.fallback]);
  if (now.error) want.push(["bad", "The newest decision failed", now.error]);
  if (now.stale) want.push(["warn", "Telemetry is silent", `Nothing has been observed for ${duration(now.silent_s)}.`]);
  const key = JSON.stringify(want);
  if (key === store.bannerKey) return;
  store.bannerKey = key;
  $("banners").replaceChildren(...want.map(([kind, head, body]) => el("p", { class: `banner ${kind}` }, el("strong", { textContent: head }), el("span", { textContent: body }))));
}

// announce tells a screen reader what changed for better or worse; nothing when all is as it was.
export function announce(store) {
  const { app, now } = store;
  const missed = (now.endpoints ?? []).map((e, i) => (e.status === "violated" ? app.endpoints[i].name : null)).filter(Boolean);
  const state = { missed, fallback: now.fallback ?? "", stale: !!now.stale };
  const before = store.announced;
  store.announced = state;
  if (!before) return;
  const say = [];
  for (const n of missed) if (!before.missed.includes(n)) say.push(`Objective of ${n} is missed.`);
  for (const n of before.missed) if (!missed.includes(n)) say.push(`Objective of ${n} is met again.`);
  if (state.fallback && !before.fallback) say.push(`Fallback: ${state.fallback}`);
  if (!state.fallback && before.fallback) say.push("Fallback ended.");
  if (state.stale && !before.stale) say.push("Telemetry is silent.");
  if (say.length) $("say").textContent = say.join(" ");
}
