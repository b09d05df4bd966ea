"use strict";
// Charts in SVG, drawn by hand: a page without requests has no library, and two kinds of chart need none.
const NS = "http://www.w3.org/2000/svg";

function node(name, attributes, parent, text) {
  const n = document.createElementNS(NS, name);
  for (const [k, v] of Object.entries(attributes ?? {})) n.setAttribute(k, v);
  if (text !== undefined) n.textContent = text;
  parent?.append(n);
  return n;
}

// Ticks: 1-2-5 steps on an even scale, 1-2-5 or powers of ten on one of logarithms.
function evenTicks(low, high, n) {
  const raw = (high - low) / Math.max(n, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((f) => f * power >= raw) * power;
  const out = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) out.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return out;
}

function logTicks(low, high, n) {
  for (const factors of [[1, 2, 5], [1, 3], [1]]) {
    const out = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      for (const f of factors) {
        const v = f * 10 ** e;
        if (v >= low * 0.999 && v <= high * 1.001) out.push(v);
      }
    }
    if (out.length <= n + 1 || factors.length === 1) return out;
  }
}

const plain = (v) => String(Number(v.toPrecision(6)));

// brief is a number for people: three digits.
function brief(v) {
  if (v === null || v === undefined || Number.isNaN(v)) return "—";
  const a = Math.abs(v);
  if (a >= 100) return v.toFixed(0);
  return a >= 10 ? v.toFixed(1) : v.toFixed(2);
}

function clock(s) {
  const t = Math.round(s), h = Math.floor(t / 3600), m = Math.floor((t % 3600) / 60), two = (v) => String(v).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(t % 60)}` : `${m}:${two(t % 60)}`;
}

function timeTicks(length, n) {
  const step = [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400].find((s) => length / s <= n) ?? 172800;
  const out = [];
  for (let v = 0; v <= length; v += step) out.push(v);
  return out;
}

// scatter draws managers by the cores they hold and the share of windows in violation, in percent.
function scatter(box, points, limit, color) {
  const width = Math.max(box.clientWidth, 240), height = 240, left = 40, right = 12, top = 10, bottom = 34;
  const shown = points.filter((p) => p.cores !== undefined && p.violations !== undefined);
  if (shown.length === 0) {
    box.innerHTML = '<p class="none">No run of these ended well.</p>';
    return;
  }
  const low = Math.min(...shown.map((p) => Math.max(p.cores - (p.coresCI ?? 0), p.cores / 2))), high = Math.max(...shown.map((p) => p.cores + (p.coresCI ?? 0)));
  const a = Math.log(low * 0.85), b = Math.log(high * 1.15);
  const x = (v) => left + (Math.log(Math.max(v, low * 0.85)) - a) / (b - a) * (width - left - right);
  const most = Math.min(Math.max(...shown.map((p) => p.violations + (p.violationsCI ?? 0)), limit * 4, 4), 100);
  const y = (v) => height - bottom - Math.sqrt(Math.max(Math.min(v, most), 0) / most) * (height - top - bottom);
  const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
  for (const v of [0, 1, 2, 5, 10, 25, 50, 100].filter((v) => v <= most)) {
    node("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), class: "grid" }, svg);
    if (v !== 1 && v !== 5 || most < 30) node("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, svg, v + " %");
  }
  for (const v of logTicks(low * 0.85, high * 1.15, Math.floor(width / 60))) {
    node("line", { x1: x(v), x2: x(v), y1: top, y2: height - bottom, class: "grid" }, svg);
    node("text", { x: x(v), y: height - bottom + 15, "text-anchor": "middle" }, svg, plain(v));
  }
  node("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, svg, "cores held");
  node("line", { x1: left, x2: width - right, y1: y(limit), y2: y(limit), class: "limit" }, svg);
  for (const p of shown) {
    const g = node("g", { stroke: color(p.manager), fill: color(p.manager) }, svg);
    node("title", {}, g, `${p.manager}: ${brief(p.cores)} cores, ${brief(p.violations)} % in violation`);
    if (p.coresCI) node("line", { x1: x(p.cores - p.coresCI), x2: x(p.cores + p.coresCI), y1: y(p.violations), y2: y(p.violations), "stroke-width": 1.5 }, g);
    if (p.violationsCI) node("line", { x1: x(p.cores), x2: x(p.cores), y1: y(p.violations - p.violationsCI), y2: y(p.violations + p.violationsCI), "stroke-width": 1.5 }, g);
    if (p.guarded) node("rect", { x: x(p.cores) - 5, y: y(p.violations) - 5, width: 10, height: 10, rx: 1.5 }, g);
    else node("circle", { cx: x(p.cores), cy: y(p.violations), r: 5.5 }, g);
  }
  box.replaceChildren(svg);
}

// chart draws lines, or areas on top of each other, over time:
// {title, unit, step, length, warmup, log, limit, stacked, height, bare (no keys), lines: [{name, color, dash, values}], late: [[from, to]]}.
function chart(box, c) {
  const figure = document.createElement("figure");
  figure.className = "chart";
  const caption = document.createElement("figcaption");
  const readout = document.createElement("span");
  readout.className = "readout";
  caption.append(readout, c.title);
  if (c.lines.length > 1 && !c.bare) {
    for (const l of c.lines) {
      const key = document.createElement("span");
      key.className = c.stacked ? "key area" : "key";
      key.style.background = l.dash ? `repeating-linear-gradient(90deg, ${l.color} 0 4px, transparent 4px 7px)` : l.color;
      caption.append(key, l.name);
    }
  }
  figure.append(caption);
  box.append(figure);
  const values = c.lines.flatMap((l) => l.values).filter((v) => v !== null && (!c.log || v > 0));
  if (values.length === 0) {
    figure.insertAdjacentHTML("beforeend", '<p class="none">Nothing was observed.</p>');
    return;
  }
  let drawn = c.lines;
  if (c.stacked) {
    const sum = new Array(c.lines[0].values.length).fill(0);
    drawn = c.lines.map((l) => {
      const base = sum.slice();
      l.values.forEach((v, i) => { sum[i] += v ?? 0; });
      return { ...l, base, values: sum.slice() };
    });
    values.push(...sum);
  }
  const width = Math.max(figure.clientWidth, 240), height = c.height ?? 190, left = 44, right = 10, top = 8, bottom = 22;
  const max = values.reduce((a, v) => Math.max(a, v), c.limit ?? 0), min = values.reduce((a, v) => Math.min(a, v), Infinity);
  const low = c.log ? Math.min(min, (c.limit ?? min)) * 0.8 : 0, high = c.log ? max * 1.3 : max * 1.08 || 1;
  const scale = c.log ? Math.log : (v) => v;
  const x = (s) => left + s / c.length * (width - left - right);
  const y = (v) => height - bottom - (scale(Math.max(v, low)) - scale(low || (c.log ? 1e-9 : 0))) / (scale(high) - scale(low || (c.log ? 1e-9 : 0))) * (height - top - bottom);
  const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
  if (c.warmup > 0) {
    node("rect", { x: left, y: top, width: x(c.warmup) - left, height: height - top - bottom, class: "warm" }, svg);
    if (x(c.warmup) - left > 56) node("text", { x: left + 5, y: top + 13 }, svg, "warm-up");
  }
  for (const [from, to] of c.late ?? []) {
    node("rect", { x: x(from), y: top, width: Math.max(x(Math.min(to, c.length)) - x(from), 1), height: height - top - bottom, class: "late" }, svg);
  }
  for (const v of c.log ? logTicks(low, high, 5) : evenTicks(0, high, height < 150 ? 2 : 4)) {
    node("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), class: "grid" }, svg);
    node("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, svg, plain(v));
  }
  for (const s of timeTicks(c.length, Math.max(Math.floor(width / 80), 2))) {
    node("text", { x: x(s), y: height - 6, "text-anchor": s === 0 ? "start" : x(s) > width - 24 ? "end" : "middle" }, svg, clock(s));
  }
  node("line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, class: "axis" }, svg);
  for (const l of c.stacked ? drawn.toReversed() : drawn) node("path", path(l, c, x, y), svg);
  if (c.limit) {
    node("line", { x1: left, x2: width - right, y1: y(c.limit), y2: y(c.limit), class: "limit" }, svg);
    node("text", { x: width - right, y: y(c.limit) - 4, "text-anchor": "end", style: "fill: var(--bad)" }, svg, `objective ${plain(c.limit)} ${c.unit}`);
  }
  const cursor = node("line", { y1: top, y2: height - bottom, class: "cursor", visibility: "hidden" }, svg);
  svg.addEventListener("pointermove", (e) => {
    const at = svg.getBoundingClientRect();
    const s = ((e.clientX - at.left) / at.width * width - left) / (width - left - right) * c.length;
    const i = Math.min(Math.max(Math.floor(s / c.step), 0), c.lines[0].values.length - 1);
    cursor.setAttribute("x1", x((i + 0.5) * c.step));
    cursor.setAttribute("x2", x((i + 0.5) * c.step));
    cursor.setAttribute("visibility", "visible");
    readout.textContent = `${clock((i + 0.5) * c.step)}  ${c.lines.map((l) => brief(l.values[i])).join(" · ")} ${c.unit}`;
  });
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    readout.textContent = "";
  });
  figure.append(svg);
}

// path is a line with gaps where nothing was observed, or an area.
function path(l, c, x, y) {
  const points = l.values.map((v, i) => v === null || c.log && v <= 0 ? null : [x((i + 0.5) * c.step), y(v)]);
  let d = "", open = false;
  points.forEach((p, i) => {
    if (p) d += `${open ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`;
    if (p && !open && !points[i + 1]) d += "h0.1"; // alone between two gaps
    open = Boolean(p);
  });
  if (!c.stacked) return { d, fill: "none", stroke: l.color, "stroke-width": 1.6, "stroke-linejoin": "round", "stroke-linecap": "round", ...(l.dash ? { "stroke-dasharray": "4 3" } : {}) };
  for (let i = l.base.length - 1; i >= 0; i--) d += `L${x((i + 0.5) * c.step).toFixed(1)} ${y(l.base[i]).toFixed(1)}`;
  return { d: d + "Z", fill: l.color, stroke: "none" };
}
