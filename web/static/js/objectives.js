// Objectives: for each endpoint whether it is met, how near its bound it is, and what is left of its error budget.
import { $, attr, el, scale, text, whenVisible } from "./dom.js";
import { absent, count, duration, ms, percent } from "./format.js";

const WORD = { met: "met", violated: "missed", waiting: "not judged yet", silent: "not judged: no telemetry", none: "no objective" };
const SIGN = { met: "✓", violated: "✕", waiting: "…", silent: "?", none: "–" };

export class Objectives {
  constructor(store, onPick) {
    this.store = store;
    this.onPick = onPick;
    this.list = $("objectives");
    this.changed = whenVisible(this.list, () => this.draw());
  }

  build() {
    this.rows = this.store.app.endpoints.map((e, i) => this.row(e, i));
    this.list.replaceChildren(...this.rows.map((r) => r.li));
  }

  row(e, i) {
    const r = { sign: el("span", { class: "sign", "aria-hidden": "true" }), word: el("span", { class: "word" }), now: el("span", { class: "now" }),
      fill: el("i", { class: "fill" }), budget: el("span", { class: "budget" }), rate: el("span", {}), share: el("span", {}) };
    const name = el("button", { type: "button", class: "name", textContent: e.name, title: "Show this endpoint's latency below" });
    name.addEventListener("click", () => this.onPick(i));
    r.li = el("li", {}, el("div", { class: "row" }, r.sign, name, r.word), el("div", { class: "bar", hidden: !e.objective }, r.fill),
      el("div", { class: "row small" }, r.now, r.budget), el("div", { class: "row small" }, r.rate, r.share));
    return r;
  }

  draw() {
    const { app, now } = this.store;
    this.rows.forEach((r, i) => {
      const o = app.endpoints[i].objective;
      const e = now.endpoints?.[i] ?? {};
      const status = !o ? "none" : now.stale ? "silent" : e.status ?? "waiting";
      attr(r.li, "data-status", status);
      text(r.sign, SIGN[status]);
      text(r.word, status === "violated" && e.violated_since ? `missed for ${duration((now.at - e.violated_since) / 1000)}` : WORD[status]);
      text(r.now, o ? `p${o.percentile} ${ms(e.at_objective_ms)} of ${ms(o.latency_ms)}` : `p99 ${ms(e.p99_ms)}`);
      text(r.rate, `${count(e.requests_s)} requests/s${e.errors_s ? `, ${count(e.errors_s)} failed/s` : ""}`);
      if (o) scale(r.fill, absent(e.at_objective_ms) ? 0 : e.at_objective_ms / o.latency_ms);
      text(r.budget, budget(e));
      text(r.share, absent(e.violation_share) ? "" : `${percent(e.violation_share)} of windows missed`);
      attr(r.share, "title", e.windows ? `${e.violated} of ${e.windows} windows missed the objective, in ${e.episodes} ${e.episodes === 1 ? "episode" : "episodes"}` : null);
      attr(r.budget, "data-low", !absent(e.budget_left) && e.budget_left <= 0 ? "1" : null);
    });
  }
}

function budget(e) {
  if (absent(e.budget_left)) return "";
  if (e.budget_left >= 0) return `budget ${percent(e.budget_left, 0)} left`;
  return `budget used ${(1 - e.budget_left).toFixed(1)}×`;
}
