// The page: one store, fed by the stream, and parts that draw from it when they are seen.
import { $, attr, el, text } from "./dom.js";
import { duration } from "./format.js";
import { charts, loadCharts } from "./charts.js";
import { Controls } from "./controls.js";
import { Decisions } from "./decisions.js";
import { Graph } from "./graph.js";
import { Inspect } from "./inspect.js";
import { Objectives } from "./objectives.js";
import { session } from "./session.js";
import { connect } from "./stream.js";
import { Table } from "./table.js";
import { theme } from "./theme.js";
import { announce, verdict } from "./verdict.js";

const store = { app: { services: [], endpoints: [] }, now: {}, points: [], decisions: [], why: [], endpoint: 0, keep: 600, title: "", file: 0 };

const inspect = new Inspect(store, () => graph.select(graph.selected));
const graph = new Graph(store, (i) => inspect.show(i));
const objectives = new Objectives(store, pickEndpoint);
const decisions = new Decisions(store);
const table = new Table(store, (i) => {
  if (graph.selected !== i) graph.select(i);
  $("graph-h").scrollIntoView({ block: "start" });
});
const controls = new Controls(store);
const plots = charts(store);
const parts = [graph, inspect, objectives, decisions, table, ...plots];

theme(() => plots.forEach((c) => c.restyle()));
$("endpoint").addEventListener("change", (e) => pickEndpoint(Number(e.target.value)));
loadCharts().then(() => plots.forEach((c) => c.changed()));

function pickEndpoint(i) {
  store.endpoint = i;
  store.picked = true;
  $("endpoint").value = i;
  plots[0].now();
  if (document.activeElement !== $("endpoint")) $("c1-h").scrollIntoView({ block: "nearest" });
}

// onState starts over: at first, after a reconnection, and when the application is another.
function onState(state) {
  const same = store.instance === state.instance && store.app.name === state.app.name && store.app.generation === state.app.generation;
  Object.assign(store, { instance: state.instance, title: state.title, keep: state.keep_s, beside: state.beside ?? "", app: state.app, points: [], decisions: [], why: [], now: {} });
  store.file = state.app.services.reduce((s, a) => s + a.initial.replicas * a.initial.cpu, 0);
  if (!same) {
    store.endpoint = 0;
    store.picked = false;
    store.announced = null;
    if (graph.selected !== null && graph.selected !== undefined) graph.select(graph.selected);
    text($("title"), state.title);
    const n = state.app.services.length, over = `over the last ${duration(state.recent_s)}`;
    text($("graph-legend"), `${n} services · line width: calls/s · line colour: p99 near the tightest objective · bar: CPU utilisation · ${over}`);
    text($("svc-legend"), `${n} services, ${over}; — was not observed`);
    $("endpoint").replaceChildren(...state.app.endpoints.map((e, i) => el("option", { value: i, textContent: e.name })));
    $("c1").closest(".chart").hidden = !state.app.endpoints.length;
  }
  objectives.build();
  table.build();
  take(state.now);
}

// take adds an update to the store and draws what changed.
function take(u) {
  store.points = store.points.concat(u.points ?? []);
  const oldest = (store.points.at(-1)?.t ?? 0) - store.keep * 1000;
  while (store.points.length && store.points[0].t <= oldest) store.points.shift();
  for (const d of u.decisions ?? []) {
    const i = store.decisions.findIndex((x) => x.id === d.id);
    if (i >= 0) store.decisions[i] = d;
    else store.decisions.push(d);
  }
  if (store.decisions.length > 200) store.decisions.splice(0, store.decisions.length - 200);
  for (const w of u.why ?? []) store.why[w.service] = w;
  store.now = u;
  if (!store.picked && u.endpoints) {
    // Until a person picks one, the chart shows the endpoint that is worst off when the page opens.
    store.endpoint = worst(u.endpoints);
    $("endpoint").value = store.endpoint;
    store.picked = u.endpoints.some((e) => e.windows > 0);
  }
  verdict(store);
  announce(store);
  controls.draw();
  for (const p of parts) p.changed();
}

function worst(endpoints) {
  const of = (e, i) => (store.app.endpoints[i].objective && e.windows > 0 && e.at_objective_ms !== undefined ? e.at_objective_ms / store.app.endpoints[i].objective.latency_ms : -1);
  return endpoints.reduce((best, e, i) => (of(e, i) > of(endpoints[best], best) ? i : best), 0);
}

function onLink(state) {
  text($("link"), { live: "live", connecting: "connecting…", reconnecting: "reconnecting…" }[state]);
  attr($("link"), "data-state", state);
}

session();
const stream = connect({ onState, onUpdate: take, onLink });

// A server that is there but tells nothing is worth a word too.
setInterval(() => {
  const s = stream.quietFor();
  if ($("link").dataset.state !== "live") return;
  text($("link"), s > 5 ? `no update for ${duration(s)}` : "live");
}, 1000);
