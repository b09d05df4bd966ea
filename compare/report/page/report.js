"use strict";
const root = document.documentElement;
const $ = (id) => document.getElementById(id);

// data is what charts are drawn of: {limit, managers, groups: [{name, points, endpoints}], runs}. It is packed.
async function unpack() {
  const bytes = Uint8Array.from(atob($("data").textContent.trim()), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

const colors = 12;

function start(data) {
  const color = (manager) => `var(--c${Math.max(data.managers.indexOf(manager.replace(/^guard\((.*)\)$/, "$1")), 0) % colors})`;
  for (const s of document.querySelectorAll(".swatch")) {
    s.style.setProperty("--swatch", color(s.dataset.manager));
    if (s.dataset.manager.startsWith("guard(")) s.dataset.guarded = "";
  }
  const drawScatters = () => {
    for (const box of document.querySelectorAll(".scatter")) scatter(box, data.groups[box.dataset.group].points, data.limit, color);
  };
  const explore = explorer(data, color);
  const draw = () => { drawScatters(); explore.draw(); };
  for (const b of document.querySelectorAll("button.name")) {
    b.addEventListener("click", () => explore.show(Number(b.dataset.group), b.dataset.manager));
  }
  for (const t of document.querySelectorAll("table.sortable")) sortable(t);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
  draw();
  root.dataset.ready = "";
}

// explorer is the picker of runs and their charts.
function explorer(data, color) {
  const f = $("picker").elements;
  const fill = (select, values, keep) => {
    select.replaceChildren(...values.map(([value, name]) => new Option(name, value)));
    if (values.some(([v]) => String(v) === String(keep))) select.value = keep;
  };
  const runsOf = (group, manager) => data.runs.filter((r) => r.group === group && r.manager === manager);
  const run = (manager) => runsOf(Number(f.group.value), manager).find((r) => String(r.seed) === f.seed.value);
  fill(f.group, data.groups.map((g, i) => [i, g.name]));
  const choose = () => {
    const g = Number(f.group.value);
    const managers = [...new Set(data.runs.filter((r) => r.group === g).map((r) => r.manager))];
    fill(f.first, managers.map((m) => [m, m]), f.first.value || data.reference);
    fill(f.second, [["", "none"], ...managers.map((m) => [m, m])], f.second.value);
    fill(f.seed, runsOf(g, f.first.value).map((r) => [r.seed, r.seed]), f.seed.value);
    const worst = data.groups[g].points.find((p) => p.manager === f.first.value)?.endpoint;
    const endpoints = (run(f.first.value)?.series?.endpoints ?? []).map((e) => [e.endpoint, e.endpoint]);
    fill(f.endpoint, endpoints, endpoints.some(([e]) => e === f.endpoint.value) ? f.endpoint.value : worst);
  };
  const draw = () => {
    choose();
    const chosen = [run(f.first.value), f.second.value && run(f.second.value)].filter(Boolean);
    $("facts").replaceChildren(facts(chosen, color));
    drawRuns($("charts"), chosen, f.endpoint.value, color);
    drawServices($("services"), $("each").open ? chosen : [], color);
  };
  $("picker").addEventListener("change", draw);
  $("each").addEventListener("toggle", draw);
  $("picker").addEventListener("submit", (e) => e.preventDefault());
  return {
    draw,
    show(group, manager) {
      f.group.value = group;
      choose();
      f.first.value = manager;
      f.endpoint.value = "";
      draw();
      $("runs").scrollIntoView();
    },
  };
}

// facts is a table of what runs came to.
function facts(runs, color) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const [i, h] of ["", "cores held", "used", "replicas", "in violation", "changes", "of replicas"].entries()) {
    const th = document.createElement("th");
    th.textContent = h;
    if (i === 0) th.className = "text";
    head.append(th);
  }
  const body = table.createTBody();
  for (const r of runs) {
    const row = body.insertRow();
    const name = row.insertCell();
    name.className = "text";
    const swatch = document.createElement("i");
    swatch.className = "swatch";
    swatch.style.setProperty("--swatch", color(r.manager));
    name.append(swatch, r.manager);
    if (r.failed) {
      const cell = row.insertCell();
      cell.colSpan = 6;
      cell.className = "text";
      cell.textContent = `failed: ${r.failed}`;
      continue;
    }
    for (const v of [brief(r.cores), brief(r.used), brief(r.replicas), r.violated, r.changes, r.scaling]) row.insertCell().textContent = v ?? "—";
  }
  return table;
}

function drawRuns(box, runs, endpoint, color) {
  box.replaceChildren();
  const kept = runs.filter((r) => r.series);
  if (kept.length === 0) {
    box.innerHTML = '<p class="none">Nothing over time is kept of this run.</p>';
    return;
  }
  const s = kept[0].series;
  const common = { step: s.step_s, length: s.step_s * s.cores.length, warmup: s.warmup_s };
  const of = (r) => r.series.endpoints.find((e) => e.endpoint === endpoint);
  const title = kept[0].objectives?.[endpoint];
  chart(box, { ...common, title: "cores held, and used (dashed)", unit: "cores", lines: kept.flatMap((r) => [
    { name: r.manager, color: color(r.manager), values: r.series.cores },
    { name: "used", color: color(r.manager), dash: true, values: r.series.cores_used }]) });
  chart(box, { ...common, title: `${endpoint}: latency at p${title?.percentile ?? "?"}, violations shaded`, unit: "ms", log: true, limit: title?.ms, late: of(kept[0])?.violated,
    lines: kept.map((r) => ({ name: r.manager, color: color(r.manager), values: of(r)?.latency_ms ?? [] })) });
  const most = s.services.slice(0, 8);
  const rest = s.cores.map((v, i) => v === null ? null : Math.max(v - most.reduce((a, sv) => a + (sv.cores[i] ?? 0), 0), 0));
  const shades = most.map((sv, i) => ({ name: sv.service, color: `var(--c${i % colors})`, values: sv.cores }));
  if (rest.some((v) => v > 0.01)) shades.push({ name: "others", color: "var(--line)", values: rest });
  chart(box, { ...common, title: `${kept[0].manager}: cores by service`, unit: "cores", stacked: true, lines: shades });
  chart(box, { ...common, title: "requests/s that ended", unit: "requests/s", lines: kept.map((r) => ({ name: r.manager, color: color(r.manager), values: r.series.rate })) });
}

// drawServices draws each service by itself: cores held, and used where the run tells.
function drawServices(box, runs, color) {
  box.replaceChildren();
  const kept = runs.filter((r) => r.series);
  const names = [...new Set(kept.flatMap((r) => r.series.services.map((s) => s.service)))];
  for (const name of names) {
    const lines = [], s = kept[0].series;
    for (const r of kept) {
      const of = r.series.services.find((sv) => sv.service === name);
      if (!of) continue;
      lines.push({ name: r.manager, color: color(r.manager), values: of.cores });
      if (of.cores_used) lines.push({ name: "used", color: color(r.manager), dash: true, values: of.cores_used });
    }
    chart(box, { title: name, unit: "cores", step: s.step_s, length: s.step_s * s.cores.length, warmup: s.warmup_s, height: 110, bare: true, lines });
  }
}

// sortable sorts a table by the column whose heading is pressed; what was not observed comes last.
function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((th, i) => th.firstElementChild.addEventListener("click", () => {
    const up = th.getAttribute("aria-sort") !== "ascending";
    for (const h of heads) h.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => row.cells[i].dataset.sort;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const d = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? d : -d;
    });
    table.tBodies[0].append(...rows);
  }));
}

{
  const order = ["light", "dark"];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = (t) => { root.dataset.theme = t; $("theme").textContent = `Theme: ${t}`; };
  show(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => show(dark.matches ? "dark" : "light"));
  $("theme").addEventListener("click", () => show(order[1 - order.indexOf(root.dataset.theme)]));
}
unpack().then(start, (e) => { $("charts").textContent = `The runs can't be shown here: ${e.message}`; });
