// The call graphs page: which call graphs the requests of an endpoint take, their shares over time, and who makes the tail.
import { $, attr, el, scale, text } from "./dom.js";
import { absent, ms, percent, whole } from "./format.js";
import { session } from "./session.js";
import { palette, theme } from "./theme.js";

const SHOWN = 5; // call graphs with a colour of their own; the others share the last one
const EVERY = 5000; // ms between questions

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

let echarts = null, chart = null, view = null, chosen = null;

// children are a visit's steps: lists of the numbers of visits that go on side by side.
export function children(visits, parent) {
  const steps = [];
  visits.forEach((v, i) => {
    if (v.parent !== parent) return;
    (steps[v.step ?? 0] ??= []).push(i);
  });
  return steps.filter(Boolean);
}

// stacked are the shares over time of the first shapes, and of all the others together: [{name, data: [[t, share or null]]}].
export function stacked(times, requests, names) {
  const total = times.map((_, t) => requests.reduce((s, r) => s + r[t], 0));
  const line = (name, of) => ({ name, data: times.map((t, k) => [t, total[k] > 0 ? of(k) / total[k] : null]) });
  const shown = requests.slice(0, SHOWN).map((r, i) => line(names[i], (k) => r[k]));
  const rest = requests.slice(SHOWN);
  if (rest.length) shown.push(line(`${rest.length} others`, (k) => rest.reduce((s, r) => s + r[k], 0)));
  return shown;
}

function cell(id, big, sub, state) {
  const c = $(id);
  text(c.querySelector(".big"), big);
  text(c.querySelector(".sub"), sub);
  attr(c, "data-state", state ?? null);
}

function summary(e) {
  const top = e.shapes[0];
  cell("g-forms", whole(e.shapes.length), `of ${whole(e.requests)} requests; the most frequent is taken by ${percent(top.share)}, makes ${whole(top.calls - 1)} calls and visits ${whole(top.services)} services`);
  const late = !absent(e.objective_ms) && e.tail && e.tail.observed_ms > e.objective_ms;
  cell("g-latency", ms(e.p50_ms), `median; p99 ${ms(e.p99_ms)}${absent(e.objective_ms) ? "" : `; the objective is p${e.objective_percentile} under ${ms(e.objective_ms)}`}`, late ? "warn" : null);
  const t = e.tail;
  cell("g-tail", t ? t.services[0].service : "—", t ? `${percent(t.services[0].part)} of the ${ms(t.mean_ms)} that a request beyond p${t.percentile} takes` : (e.tail_why ?? ""));
  cell("g-pooled", percent(e.pooled_share), e.pooled_share > 0 ? "of these requests took other call graphs, and are counted with the nearest" : "every request took one of these");
}

function tail(e) {
  const t = e.tail;
  $("tail-none").hidden = !!t;
  text($("tail-none"), t ? "" : `Nobody knows: ${e.tail_why}.`);
  text($("tail-legend"), t ? `how long a request beyond p${t.percentile} waits for each service: in blue as long as any request does, in orange the rest; computed from own times, by which p${t.percentile} is ${ms(t.at_ms)}, observed ${ms(t.observed_ms)}` : "");
  const most = t ? Math.max(...t.services.map((s) => Math.max(s.own_ms, s.all_ms)), 1e-9) : 1;
  $("tail").replaceChildren(...(t ? t.services.filter((s) => s.own_ms > 0 || s.all_ms > 0) : []).map((s) => {
    const all = el("i", {}), usual = el("i", { class: "usual" });
    scale(all, s.own_ms / most);
    scale(usual, Math.min(s.all_ms, s.own_ms) / most);
    const bar = el("span", { class: "both" }, all, usual);
    return el("li", {}, el("span", { class: "name", textContent: s.service }), el("span", { class: "n", textContent: `${ms(s.own_ms)}, usually ${ms(s.all_ms)}` }), bar);
  }));
}

function visit(visits, i) {
  const v = visits[i];
  const line = el("div", { class: "line" });
  if ((v.times ?? 1) > 1) line.append(el("span", { class: "times", textContent: `${v.times}×` }));
  line.append(el("span", { class: "svc", textContent: v.service }), el("span", { class: "op", textContent: v.operation ?? "", title: v.operation ?? "" }),
    el("span", { class: "own", textContent: v.async ? "nobody waits" : ms(v.own_p50_ms) }));
  const steps = children(visits, i).map((s) => el("div", { class: "step" + (s.length > 1 ? " together" : "") }, ...s.map((c) => visit(visits, c))));
  return el("div", { class: "visit" + (v.async ? " async" : "") }, line, steps.length ? el("div", { class: "steps" }, ...steps) : null);
}

const colour = (p, i) => p.series[Math.min(i, SHOWN)];

function forms(e, p) {
  $("forms").replaceChildren(...e.shapes.map((s, i) => {
    const box = el("article", { class: "form" },
      el("h3", {}, el("span", { textContent: percent(s.share, s.share < 0.001 ? 2 : 1) }), el("code", { textContent: s.shape })),
      el("p", { class: "cost", textContent: `${whole(s.requests)} requests · p50 ${ms(s.p50_ms)}, p99 ${ms(s.p99_ms)} · ${whole(s.calls - 1)} calls, ${whole(s.services)} services` }),
      el("div", { class: "deep" }, visit(s.visits, 0)));
    box.style.borderTopColor = colour(p, i);
    return box;
  }));
}

function shares(e, over, p) {
  const lines = stacked(view.times, over.requests, e.shapes.map((s) => s.shape));
  $("shares-keys").replaceChildren(...lines.map((l, i) => {
    const sw = el("i", { class: "swatch" });
    sw.style.color = colour(p, i);
    const now = l.data[l.data.length - 1]?.[1];
    return el("span", { class: "key" }, sw, el("span", { textContent: l.name }), el("b", { textContent: percent(now) }));
  }));
  if (!echarts) return;
  chart ??= echarts.init($("shares"), null, { renderer: "canvas" });
  const font = { color: p.muted, fontSize: 11, fontFamily: "inherit" };
  const few = view.times.length < 3;
  chart.setOption({
    animation: false,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: 4, right: 12, top: 10, bottom: 2, containLabel: true },
    xAxis: { type: "time", minInterval: 60000, axisLine: { lineStyle: { color: p.line } }, axisTick: { show: false }, splitLine: { show: false }, axisLabel: { ...font, hideOverlap: true, formatter: (t) => clock.format(t) } },
    yAxis: { type: "value", min: 0, max: 1, interval: 0.25, axisLabel: { ...font, formatter: (v) => `${v * 100} %` }, axisLine: { show: false }, axisTick: { show: false }, splitLine: { lineStyle: { color: p.line, opacity: 0.7 } } },
    tooltip: { trigger: "axis", confine: true, backgroundColor: p.panel, borderColor: p.line, padding: 8, transitionDuration: 0, textStyle: { color: p.ink, fontSize: 12 }, formatter: tip },
    series: lines.map((l, i) => ({ type: few ? "bar" : "line", name: l.name, data: l.data, stack: "all", color: colour(p, i), symbol: "none", silent: true, barMaxWidth: 60, connectNulls: false,
      lineStyle: { width: 0 }, areaStyle: few ? undefined : { color: colour(p, i), opacity: 0.85 } })),
  }, { notMerge: true, silent: true });
}

function tip(items) {
  const box = el("div", { class: "tip" });
  if (!items.length) return box;
  box.append(el("div", { class: "muted", textContent: clock.format(items[0].value[0]) }));
  for (const it of items) {
    if (it.value[1] === null) continue;
    const sw = el("i", { class: "swatch" });
    sw.style.color = it.color;
    box.append(el("div", { class: "tip-row" }, sw, el("span", { textContent: it.seriesName }), el("b", { textContent: percent(it.value[1]) })));
  }
  return box;
}

// show draws the chosen endpoint; it stays chosen as long as it has requests.
function show() {
  if (!view) return;
  const names = view.endpoints.map((e) => e.endpoint);
  if (!names.includes(chosen)) chosen = names[0];
  const sig = names.join("\n");
  if ($("endpoint").sig !== sig) {
    $("endpoint").sig = sig;
    $("endpoint").replaceChildren(...names.map((n) => el("option", { value: n, textContent: n })));
  }
  $("endpoint").value = chosen;
  const i = names.indexOf(chosen), e = view.endpoints[i], p = palette();
  summary(e);
  tail(e);
  forms(e, p);
  shares(e, view.over[i], p);
}

async function look() {
  let a;
  try {
    const r = await fetch("/api/v1/callgraphs");
    if (r.status === 401) return location.replace("/login.html");
    a = await r.json();
    if (!r.ok) a = { state: "failed", text: a.error };
  } catch {
    a = { state: "failed", text: "the server doesn't answer" };
  }
  if (a.state === "failed" && view) { // what is shown stays
    text($("said"), `Out of date: ${a.text}`);
    return;
  }
  $("needs").hidden = a.state === "ready";
  $("found").hidden = a.state !== "ready";
  text($("needs-text"), a.state === "ready" ? "" : a.text);
  view = a.state === "ready" ? a.result : null;
  text($("said"), view ? `${clock.format(new Date(view.from))} to ${clock.format(new Date(view.to))}${view.notes?.length ? ` · ${view.notes.join(" · ")}` : ""}` : "");
  show();
}

theme(() => {
  chart?.dispose();
  chart = null;
  show();
});
session();
fetch("/api/v1/app").then((r) => (r.ok ? r.json() : {}), () => ({})).then((a) => {
  text($("title"), a.name ?? "");
  document.title = `Call graphs · ${a.name ?? ""} · Foresail`;
});
$("endpoint").addEventListener("change", () => {
  chosen = $("endpoint").value;
  show();
});
new ResizeObserver(() => chart?.resize()).observe($("shares"));
import("/vendor/echarts/echarts.esm.min.mjs").then((m) => {
  echarts = m;
  show();
});
(async () => {
  for (;;) {
    if (!document.hidden) await look();
    await new Promise((go) => setTimeout(go, EVERY));
  }
})();
