// The application graph: a card for each service, a line for each pair that calls. Built when the topology or the width
// changes; each second only attributes that differ are touched.
import { $, attr, scale, svg, text, whenVisible } from "./dom.js";
import { count, ms, percent } from "./format.js";
import { CARD_H, layout } from "./layout.js";

export class Graph {
  constructor(store, onSelect) {
    this.store = store;
    this.onSelect = onSelect;
    this.root = $("graph");
    this.box = $("graph-scroll");
    this.focus = 0;
    this.changed = whenVisible(this.box, () => this.draw());
    this.width = 0; // known from the observer: asking for it would force a layout
    new ResizeObserver((es) => {
      this.width = es[0].contentRect.width;
      this.changed();
    }).observe(this.box);
    this.root.addEventListener("click", (e) => this.pick(e.target.closest(".node")));
    this.root.addEventListener("keydown", (e) => this.key(e));
    this.root.addEventListener("pointerover", (e) => this.hint(e.target.closest(".edge")));
  }

  // width that the drawing may take; on a phone it is wider than the box, which scrolls.
  draw() {
    const { app, now } = this.store;
    $("graph-empty").hidden = !!now.services;
    if (!now.services || !this.width) return;
    const edges = now.edges ?? [];
    const signature = `${this.store.instance}/${app.generation}/${app.services.length}/${this.width}/` + edges.map((e) => `${e.from}>${e.to}`).join();
    if (signature !== this.signature) {
      this.signature = signature;
      this.build(app, edges);
    }
    this.update(app, now, edges);
  }

  build(app, edges) {
    const roots = [...new Set(app.endpoints.map((e) => e.entry))];
    const l = (this.plan = layout(app.services.length, edges.map((e) => [e.from, e.to]), roots, this.width, innerHeight > 1200 ? 16 : 8));
    this.tight = tightest(app, edges);
    const had = this.root.contains(document.activeElement);
    this.root.setAttribute("viewBox", `0 -1 ${l.width} ${l.height + 2}`);
    this.root.setAttribute("width", l.width);
    this.root.setAttribute("height", l.height + 2);
    this.lines = edges.map((e, i) => {
      const p = svg("path", { class: "edge", d: l.paths[i], "data-i": i }, svg("title", {}));
      return p;
    });
    this.cards = app.services.map((s, i) => this.card(s, i, l.cards[i]));
    this.root.replaceChildren(svg("g", { class: "edges" }, ...this.lines), svg("g", {}, ...this.cards.map((c) => c.g)));
    this.focus = Math.min(this.focus, Math.max(this.cards.length - 1, 0));
    this.cards[this.focus]?.g.setAttribute("tabindex", "0");
    if (had) this.cards[this.focus]?.g.focus();
    this.mark();
  }

  // measure tells how wide a name is in the font that it is drawn with.
  measure() {
    const css = getComputedStyle(this.root);
    const c = (this.canvas ??= document.createElement("canvas").getContext("2d"));
    c.font = `600 ${css.fontSize} ${css.fontFamily}`;
    return (s) => c.measureText(s).width;
  }

  card(s, i, at) {
    const title = svg("title", {});
    const name = svg("text", { class: "name", x: 9, y: 15 });
    const sub = svg("text", { class: "nums", x: 9, y: 29 });
    const reps = svg("text", { class: "reps", x: at.w - 9, y: 29 });
    const fill = svg("rect", { class: "fill", x: 0, y: 0, width: at.w - 18, height: 3, rx: 1.5 });
    name.textContent = middle(s.name, at.w - 18, this.measure());
    const g = svg("g", { class: "node", transform: `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)})`, tabindex: "-1", role: "button", "data-i": i }, title,
      svg("rect", { class: "box", width: at.w, height: CARD_H, rx: 5 }), name, sub, reps,
      svg("rect", { class: "track", x: 9, y: 33, width: at.w - 18, height: 3, rx: 1.5 }),
      svg("g", { transform: `translate(9 33)` }, fill));
    return { g, title, sub, reps, fill };
  }

  update(app, now, edges) {
    this.cards.forEach((c, i) => {
      const s = now.services[i] ?? {};
      text(c.sub, `${count(s.calls_s)}/s · ${ms(s.p99_ms)}`);
      const want = (s.pending ?? s.allocation)?.replicas;
      text(c.reps, s.ready === undefined ? "" : want !== undefined && want !== s.ready ? `${s.ready}→${want}` : `×${s.ready}`);
      scale(c.fill, s.utilisation ?? 0);
      attr(c.g, "data-heat", s.utilisation === undefined ? null : heat(s.utilisation));
      const label = `${app.services[i].name}: ${count(s.calls_s)} calls per second, p99 ${ms(s.p99_ms)}, utilisation ${percent(s.utilisation, 0)}`;
      attr(c.g, "aria-label", label);
      text(c.title, app.services[i].name);
    });
    edges.forEach((e, i) => {
      const p = this.lines[i];
      // Width by the logarithm, in quarters of a pixel, so that a small change moves nothing.
      attr(p, "stroke-width", String(e.calls_s ? Math.round((0.8 + 1.25 * Math.log10(1 + e.calls_s)) * 4) / 4 : 0.5));
      attr(p, "data-slow", e.p99_ms === undefined ? null : e.p99_ms >= this.tight[e.from] * 0.8 ? "2" : e.p99_ms >= this.tight[e.from] * 0.5 ? "1" : "0");
    });
  }

  // hint fills an edge's tooltip when the pointer gets there.
  hint(p) {
    if (!p) return;
    const e = this.store.now.edges[p.dataset.i], names = this.store.app.services;
    text(p.firstChild, `${names[e.from].name} → ${names[e.to].name}: ${count(e.calls_s)} calls/s, p99 ${ms(e.p99_ms)}`);
  }

  pick(node) {
    this.select(node ? Number(node.dataset.i) : null);
  }

  select(i) {
    this.selected = this.selected === i ? null : i;
    if (this.selected !== null && this.cards) this.move(i, false); // it may not have been drawn yet
    this.mark();
    this.onSelect(this.selected);
  }

  // mark shows the selected service with its callers and callees.
  mark() {
    const sel = this.selected;
    this.root.classList.toggle("picked", sel !== null && sel !== undefined);
    const near = new Set([sel]);
    (this.store.now.edges ?? []).forEach((e, i) => {
      const on = e.from === sel || e.to === sel;
      this.lines?.[i]?.classList.toggle("on", on);
      if (on) near.add(e.from).add(e.to);
    });
    this.cards?.forEach((c, i) => {
      c.g.classList.toggle("on", near.has(i));
      c.g.setAttribute("aria-pressed", String(i === sel));
    });
  }

  key(e) {
    if (e.key === "Enter" || e.key === " ") {
      e.preventDefault();
      return this.select(this.focus);
    }
    if (e.key === "Escape" && this.selected !== null) return this.select(this.selected);
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key] ?? [];
    if (dx === undefined) return;
    e.preventDefault();
    const to = this.nearest(dx, dy);
    if (to >= 0) this.move(to, true);
  }

  // nearest is the card that lies nearest in a direction; -1: none.
  nearest(dx, dy) {
    const at = this.plan.cards[this.focus];
    let best = -1, least = Infinity;
    this.plan.cards.forEach((c, i) => {
      const layers = (c.layer - at.layer) * dx, rows = (c.y - at.y) * dy;
      if (dx ? layers <= 0 : c.layer !== at.layer || rows <= 0) return;
      const d = dx ? layers * 10000 + Math.abs(c.y - at.y) : rows;
      if (d < least) [best, least] = [i, d];
    });
    return best;
  }

  move(to, focus) {
    this.cards[this.focus].g.setAttribute("tabindex", "-1");
    this.focus = to;
    this.cards[to].g.setAttribute("tabindex", "0");
    if (focus) this.cards[to].g.focus();
  }
}

// tightest is, for each service, the tightest objective among the endpoints whose requests can get there.
function tightest(app, edges) {
  const out = app.services.map(() => Infinity);
  for (const e of app.endpoints) {
    if (!e.objective) continue;
    const seen = new Set([e.entry]);
    for (const v of seen) {
      out[v] = Math.min(out[v], e.objective.latency_ms);
      for (const c of edges) if (c.from === v) seen.add(c.to);
    }
  }
  return out;
}

const heat = (u) => (u >= 0.8 ? "2" : u >= 0.6 ? "1" : "0");

// middle shortens a name to a width, in its middle: families of names differ at both ends.
function middle(s, width, measure) {
  let cut = s;
  for (let n = s.length - 1; measure(cut) > width && n > 4; n--) {
    const head = Math.ceil(n * 0.5);
    cut = s.slice(0, head) + "…" + s.slice(s.length - (n - head));
  }
  return cut;
}
