// The charts over time, drawn by Apache ECharts without animation, each only while it is on screen.
import { $, el, whenVisible } from "./dom.js";
import { absent, cores, count, ms, whole } from "./format.js";
import { palette } from "./theme.js";

// A chart is drawn anew when it has moved by STEP pixels, at most each two seconds and at least each four: in ten minutes on
// 600 pixels a second is one pixel, and drawing each would be most of what the page costs.
const STEP = 3;

let echarts = null;
export const loadCharts = async () => (echarts = await import("/vendor/echarts/echarts.esm.min.mjs"));

// A chart's lines are made anew from the points: {name, data, color, ...}; value says how a number reads.
class Chart {
  constructor(id, store, lines, value) {
    this.store = store;
    this.lines = lines;
    this.value = value;
    this.box = $(id);
    this.keys = $(id + "-keys");
    this.changed = whenVisible(this.box, () => this.draw());
    this.width = 0; // known from the observer: asking for it would force a layout
    this.drawn = -Infinity;
    this.every = 0;
    new ResizeObserver((es) => {
      this.width = es[0].contentRect.width;
      if (this.width) this.chart?.resize();
      this.now();
    }).observe(this.box);
  }

  // restyle starts over with the colours of the theme.
  restyle() {
    this.chart?.dispose();
    this.chart = null;
    this.shape = null;
    this.now();
  }

  // now draws without waiting for the next turn.
  now() {
    this.drawn = -Infinity;
    this.changed();
  }

  draw() {
    const points = this.store.points;
    if (!echarts || !points.length || !this.width || performance.now() - this.drawn < this.every) return;
    this.drawn = performance.now();
    const p = palette();
    const lines = this.lines(this.store, p);
    if (!this.chart) {
      this.chart = echarts.init(this.box, null, { renderer: "canvas" });
      this.chart.group = "time";
      echarts.connect("time");
    }
    const end = points[points.length - 1].t;
    const span = Math.min(Math.max(60, (end - points[0].t) / 1000), this.store.keep);
    this.every = Math.min(Math.max((STEP * span) / this.width, 2), 4) * 1000 - 100;
    const high = Math.max(...lines.map((l) => Math.max(l.atLeast ?? 0, top(l.data))));
    const option = this.frame(p, span, lines, nice(high * 1.03));
    // Lines that came or went need the option anew; otherwise only data is replaced.
    const shape = lines.map((l) => l.name).join("\n");
    this.chart.setOption(shape === this.shape ? { xAxis: option.xAxis, yAxis: option.yAxis, series: option.series } : option,
      { notMerge: shape !== this.shape, lazyUpdate: false, silent: true });
    this.shape = shape;
    this.legend(lines);
  }

  frame(p, span, lines, scale) {
    const font = { color: p.muted, fontSize: 11, fontFamily: "inherit" };
    const end = this.store.points[this.store.points.length - 1].t;
    const step = span <= 60 ? 15 : span <= 120 ? 30 : span <= 300 ? 60 : 120;
    const ticks = Array.from({ length: Math.floor(span / step) + 1 }, (_, i) => -i * step).reverse();
    return {
      animation: false,
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      grid: { left: 4, right: 12, top: 10, bottom: 2, containLabel: true },
      xAxis: { type: "value", min: -span, max: 0, axisLine: { lineStyle: { color: p.line } }, axisTick: { show: false },
        splitLine: { show: false }, axisLabel: { ...font, customValues: ticks, hideOverlap: true, formatter: ago, alignMaxLabel: "right", alignMinLabel: "left" },
        axisPointer: { show: true, lineStyle: { color: p.muted, type: "solid" }, label: { show: false } } },
      yAxis: { type: "value", min: 0, max: scale.max, interval: scale.step, axisLabel: { ...font, formatter: (v) => short(v) },
        axisLine: { show: false, onZero: false }, axisTick: { show: false }, splitLine: { lineStyle: { color: p.line, opacity: 0.7 } } },
      tooltip: { trigger: "axis", confine: true, backgroundColor: p.panel, borderColor: p.line, padding: 8, transitionDuration: 0,
        textStyle: { color: p.ink, fontSize: 12 }, formatter: (items) => this.tip(items, end) },
      series: lines.map((l) => ({
        type: l.marks ? "scatter" : "line", name: l.name, data: l.data, color: l.color, step: l.step ? "end" : false, showSymbol: false, silent: true,
        symbol: l.marks ? "rect" : "none", symbolSize: l.marks ? [3, 8] : 4, lineStyle: { width: l.width ?? 1.5, type: l.dash ?? "solid" }, connectNulls: false,
        areaStyle: l.area ? { color: l.color, opacity: 0.16 } : undefined, z: l.z ?? 2,
      })),
    };
  }

  tip(items, end) {
    const box = el("div", { class: "tip" });
    const list = Array.isArray(items) ? items : [items];
    if (!list.length) return box;
    box.append(el("div", { class: "muted", textContent: ago(list[0].value[0]) }));
    for (const it of list) {
      if (it.value[1] === null || it.seriesType === "scatter") continue;
      box.append(el("div", { class: "tip-row" }, swatch(it.color), el("span", { textContent: it.seriesName }), el("b", { textContent: this.value(it.value[1]) })));
    }
    return box;
  }

  // legend names each line with its newest value.
  legend(lines) {
    const sig = lines.map((l) => l.name + l.color).join();
    if (sig !== this.legendSig) {
      this.legendSig = sig;
      this.nums = lines.map(() => el("b", {}));
      this.keys.replaceChildren(...lines.map((l, i) => el("span", { class: "key", title: l.title ?? "" }, swatch(l.color, l.dash, l.marks), el("span", { textContent: l.name }), this.nums[i])));
    }
    lines.forEach((l, i) => {
      const s = l.marks ? "" : this.value(l.now);
      if (this.nums[i].textContent !== s) this.nums[i].textContent = s;
    });
  }
}

function swatch(color, dash, marks) {
  const s = el("i", { class: "swatch" + (dash ? " dashed" : "") + (marks ? " mark" : "") });
  s.style.color = color;
  return s;
}

const ago = (s) => (s > -0.5 ? "now" : s > -90 && s % 60 ? `−${Math.round(-s)} s` : s % 60 ? `−${Math.floor(-s / 60)} min ${Math.round(-s % 60)} s` : `−${-s / 60} min`);
const short = (v) => (v >= 10000 ? `${v / 1000}k` : String(Math.round(v * 100) / 100));

// nice is a scale up to v in at most four steps that read well.
function nice(v) {
  if (!(v > 0)) return { max: 1, step: 0.5 };
  const m = 10 ** Math.floor(Math.log10(v / 4));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * m).find((s) => s * 4 >= v * (1 - 1e-9));
  return { max: step * Math.ceil(v / step - 1e-9), step };
}

function top(data) {
  let m = 0;
  for (const d of data) if (d[1] > m) m = d[1];
  return m;
}

// series takes one value of each point; a second that was not observed is a gap.
function series(store, get) {
  const end = store.points[store.points.length - 1].t;
  return store.points.map((p) => {
    const v = get(p);
    return [(p.t - end) / 1000, absent(v) ? null : v];
  });
}

const newest = (data) => (data.length ? data[data.length - 1][1] : null);

// busiest are the endpoints that get a line of their own: all of a few, else the five with most requests. They are
// chosen twice, at first and from ten seconds on, so that lines don't change their colours.
function busiest(s) {
  const n = s.app.endpoints.length, phase = s.points.length >= 10;
  if (n <= 6) return Array.from({ length: n }, (_, i) => i);
  if (s.busy?.app !== s.app || s.busy.phase !== phase) {
    const total = (i) => s.points.reduce((t, pt) => t + (pt.endpoints?.[i]?.r ?? 0), 0);
    const order = s.app.endpoints.map((_, i) => [total(i), i]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    s.busy = { app: s.app, phase, list: order.slice(0, 5).map((x) => x[1]) };
  }
  return s.busy.list;
}

export function charts(store) {
  const line = (name, get, more) => {
    const data = series(store, get);
    return { name, data, now: newest(data), ...more };
  };
  const latency = (s, p) => {
    const i = s.endpoint, o = s.app.endpoints[i]?.objective;
    const at = (k) => (pt) => pt.endpoints?.[i]?.[k];
    const lines = [line("p50", at("p50"), { color: p.blue3 }), line("p95", at("p95"), { color: p.blue2 }), line("p99", at("p99"), { color: p.blue, width: 2 })];
    if (s.beside) lines.push(line(`p99 ${s.beside}`, (pt) => pt.beside?.endpoints?.[i]?.p99, { color: p.series[4], width: 2, z: 1, title: "The same requests and faults in a second simulation" }));
    if (o) {
      const from = s.points[0].t, end = s.points[s.points.length - 1].t;
      lines.push({ name: `objective, p${o.percentile}`, data: [[Math.min((from - end) / 1000, -60), o.latency_ms], [0, o.latency_ms]], now: o.latency_ms, color: p.warn, dash: "dashed", atLeast: o.latency_ms, z: 1 });
      const bad = s.points.filter((pt) => pt.endpoints?.[i]?.v).map((pt) => [(pt.t - end) / 1000, 0]);
      lines.push({ name: "missed windows", data: bad, color: p.bad, marks: true, title: "Windows in which the objective was missed" });
      const worse = s.points.filter((pt) => pt.beside?.endpoints?.[i]?.v).map((pt) => [(pt.t - end) / 1000, o.latency_ms]);
      if (s.beside) lines.push({ name: `missed ${s.beside}`, data: worse, color: p.series[4], marks: true, title: "Windows in which the objective was missed in the second simulation" });
    }
    return lines;
  };
  const cpu = (s, p) => [
    line("allocated", (pt) => pt.cores_allocated, { color: p.blue, step: true, width: 2 }),
    ...(s.beside ? [line(`allocated ${s.beside}`, (pt) => pt.beside?.cores_allocated, { color: p.series[4], step: true, z: 1 })] : []),
    line("used", (pt) => pt.cores_used, { color: p.ok, area: true }),
    { name: "application file", data: [[-s.keep, s.file], [0, s.file]], now: s.file, color: p.muted, dash: "dotted", z: 1, title: "What the application file asks for" },
  ];
  const replicas = (s, p) => [line("ready", (pt) => pt.ready, { color: p.blue, step: true, area: true, width: 2 })];
  const load = (s, p) => {
    const shown = busiest(s), lines = shown.map((i, k) => line(s.app.endpoints[i].name, (pt) => pt.endpoints?.[i]?.r, { color: p.series[k] }));
    const rest = s.app.endpoints.map((_, i) => i).filter((i) => !shown.includes(i));
    const sum = (pt) => rest.reduce((t, i) => (absent(pt.endpoints?.[i]?.r) ? t : (t ?? 0) + pt.endpoints[i].r), null);
    if (rest.length) lines.push(line(`${rest.length} others`, sum, { color: p.series[5], title: rest.map((i) => s.app.endpoints[i].name).join(", ") }));
    return lines;
  };
  return [new Chart("c1", store, latency, ms), new Chart("c2", store, cpu, (v) => cores(v)), new Chart("c3", store, replicas, whole), new Chart("c4", store, load, count)];
}
