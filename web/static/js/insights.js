// The insights page: where violations began over hours and days, what in the design invites them, and what to change.
import { $, attr, el, scale, text } from "./dom.js";
import { count, duration, percent, whole } from "./format.js";
import { session } from "./session.js";
import { theme } from "./theme.js";

const WORDS = { hotspot: "where it began", chatty: "chatty pair", cycle: "synchronous cycle", blocking: "blocking", "fan-out": "fan-out", timeout: "missing timeout", retries: "retries amplify" };
const SHOWN = 6; // of each list of culprits

const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const when = (a, b) => `${day.format(new Date(a))} to ${day.format(new Date(b))}`;

// title says in words what an insight is about; HTML is never made of names.
export function title(r) {
  const op = r.operation ? `${r.service}, ${r.operation}` : r.service;
  switch (r.kind) {
    case "hotspot": return `${op || "no single service"}${r.from ? `, called by ${r.from}` : ""}${r.endpoint ? ` · ${r.endpoint}` : ""}`;
    case "cycle": return (r.ring ?? []).join(" → ");
    case "fan-out": return op;
    case "timeout": return `${op} → ${r.callee}${r.endpoint ? ` · ${r.endpoint}` : ""}`;
  }
  return r.callee ? `${op} → ${r.callee}` : op;
}

// fact reads an evidence's unit from its name.
export function fact(name, v) {
  const cut = (end) => name.slice(0, -end.length).replaceAll("_", " ");
  if (name.endsWith("_share")) return [cut("_share"), percent(v)];
  if (name.endsWith("_ms")) return [cut("_ms"), `${count(v)}\u202fms`];
  if (name.endsWith("_per_s")) return [cut("_per_s"), `${count(v)} /s`];
  return [name.replaceAll("_", " "), v >= 100 ? whole(v) : String(Math.round(v * 100) / 100)];
}

const sum = (rows, of) => rows.reduce((s, r) => s + of(r), 0);

function cell(id, big, sub, state) {
  const c = $(id);
  text(c.querySelector(".big"), big);
  text(c.querySelector(".sub"), sub);
  attr(c, "data-state", state ?? null);
}

function summary(rows, d) {
  const windows = sum(d.endpoints, (e) => e.windows), violated = sum(d.endpoints, (e) => e.violated), episodes = sum(d.endpoints, (e) => e.episodes);
  cell("i-violated", whole(violated), windows ? `of ${whole(windows)} judged, ${percent(violated / windows)}, in ${whole(episodes)} episodes of endpoints` : "none was judged: too few requests, or no objective", violated ? "bad" : windows ? "ok" : null);
  const top = tally(rows, (r) => r.service)[0];
  cell("i-where", top ? top.name : "—", top ? `${whole(top.windows)} violated windows in ${whole(top.episodes)} episodes` : "no culprit was found");
  const design = rows.filter((r) => r.kind !== "hotspot");
  cell("i-design", `${design.length || "nothing"} found`, design.length ? [...new Set(design.map((r) => WORDS[r.kind] ?? r.kind))].join(", ") : "no pattern that took part in enough violations", design.length ? "warn" : "ok");
  cell("i-seen", duration(d.observed_s), `${when(d.from, d.to)}; calm ${duration(d.calm_s)}; ${whole(d.sampled_traces)} sampled traces`);
}

// tally adds up the violated windows of hotspots by a name.
function tally(rows, of) {
  const by = new Map();
  for (const r of rows.filter((r) => r.kind === "hotspot")) {
    const name = of(r);
    if (!name) continue;
    const t = by.get(name) ?? { name, windows: 0, episodes: 0 };
    t.windows += r.windows;
    t.episodes += r.episodes;
    by.set(name, t);
  }
  return [...by.values()].sort((a, b) => b.windows - a.windows || a.name.localeCompare(b.name));
}

function list(heading, items, none) {
  const most = Math.max(...items.map((t) => t.windows), 1);
  const li = items.slice(0, SHOWN).map((t) => {
    const fill = el("span", { class: "fill" });
    scale(fill, t.windows / most);
    return el("li", {}, el("span", { class: "name", textContent: t.name }), el("span", { class: "n", textContent: `${whole(t.windows)} in ${whole(t.episodes)}` }), el("span", { class: "bar" }, fill));
  });
  if (items.length > SHOWN) li.push(el("li", { class: "muted", textContent: `and ${items.length - SHOWN} more` }));
  if (!items.length) li.push(el("li", { class: "muted", textContent: none }));
  return el("div", {}, el("h4", { textContent: heading }), el("ul", {}, ...li));
}

function pattern(r) {
  const what = el("div", {},
    el("h3", {}, el("span", { class: "kind", textContent: WORDS[r.kind] ?? r.kind }), el("span", { textContent: title(r) })),
    el("p", { class: "cost", textContent: `${whole(r.windows)} violated windows, ${whole(r.episodes)} episodes${r.resource ? ` · ${r.resource}` : ""} · ${when(r.first, r.last)}` }),
    el("p", { class: "change", textContent: r.change }),
    ...(r.notes ?? []).map((n) => el("p", { class: "note", textContent: n })));
  if (r.trace) what.append(el("p", { class: "trace" }, el("span", { class: "muted", textContent: "example trace " }), el("code", { textContent: r.trace })));
  const facts = el("dl", { class: "facts" });
  for (const [name, v] of Object.entries(r.evidence ?? {})) {
    const [k, shown] = fact(name, v);
    facts.append(el("dt", { textContent: k }), el("dd", { textContent: shown }));
  }
  facts.append(el("dt", { textContent: "requests or calls behind it" }), el("dd", { textContent: whole(r.requests) }));
  return el("li", {}, what, facts);
}

function show(result) {
  const rows = result.rows ?? [], d = result.detail;
  summary(rows, d);
  $("tally").replaceChildren(
    list("Service", tally(rows, (r) => r.service), "no culprit was found"),
    list("Edge", tally(rows, (r) => (r.from ? `${r.from} → ${r.service}` : "")), "no calls between services were to blame"),
    list("Endpoint", d.endpoints.filter((e) => e.violated).map((e) => ({ name: e.endpoint, windows: e.violated, episodes: e.episodes })).sort((a, b) => b.windows - a.windows), "no objective was missed"),
    list("Resource", tally(rows, (r) => r.resource || (r.service ? "not told by counters" : "")), "no resource was to blame"));
  $("patterns").replaceChildren(...rows.map(pattern));
  if (!rows.length) $("patterns").append(el("li", { class: "muted", textContent: "Nothing took part in enough violations, so there is nothing to change." }));
  $("missing").hidden = !d.missing?.length;
  $("missing-list").replaceChildren(...(d.missing ?? []).map((m) => el("li", { textContent: m })));
}

let asked = 0; // an answer to an earlier question is dropped

async function ask() {
  const mine = ++asked, since = $("since").value;
  text($("said"), "looking…");
  for (;;) {
    let a;
    try {
      const r = await fetch(`/api/v1/insights${since ? `?since=${since}` : ""}`);
      if (r.status === 401) return location.replace("/login.html");
      a = await r.json();
      if (!r.ok) a = { state: "failed", text: a.error };
    } catch {
      a = { state: "failed", text: "the server doesn't answer" };
    }
    if (mine !== asked) return;
    $("needs").hidden = a.state !== "needs";
    $("found").hidden = a.state !== "ready";
    if (a.state === "ready") {
      show(a.result);
      text($("said"), `found ${day.format(new Date(a.at))}`);
      return;
    }
    text($("needs-text"), a.state === "needs" ? a.text : "");
    text($("said"), a.state === "working" ? `looking… ${a.text ?? ""}` : a.state === "failed" ? `Failed: ${a.text}` : "");
    if (a.state !== "working") return;
    await new Promise((go) => setTimeout(go, 1000));
  }
}

theme(() => {});
session();
fetch("/api/v1/app").then((r) => (r.ok ? r.json() : {}), () => ({})).then((a) => {
  text($("title"), a.name ?? "");
  document.title = `Insights · ${a.name ?? ""} · Foresail`;
});
$("since").addEventListener("change", ask);
$("again").addEventListener("click", ask);
ask();
