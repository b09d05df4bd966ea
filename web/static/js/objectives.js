// Objectives: for each endpoint whether it is met, how near its bound it is, and what is left of its error budget.
import { $, attr, el, scale, text, whenVisible } from "./dom.js";
import { absent, count, duration, ms, msBare, percent, recovering } from "./format.js";

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
    this.statuses = "";
    this.list.replaceChildren(...this.rows.map((r) => r.li));
  }

  row(e, i) {
    const r = { sign: el("span", { class: "sign", "aria-hidden": "true" }), word: el("span", { class: "word" }), now: el("span", { class: "now" }),
      fill: el("i", { class: "fill" }), budget: el("span", { class: "budget" }), rate: el("span", {}) };
    const name = el("button", { type: "button", class: "name", textContent: e.name, title: "Show this endpoint's latency below" });
    name.addEventListener("click", () => this.onPick(i));
    r.li = el("li", {}, el("div", { class: "row" }, r.sign, name, r.word, r.now), el("div", { class: "bar", hidden: !e.objective }, r.fill),
      el("div", { class: "row small" }, r.rate, r.budget));
    return r;
  }

  // sort puts what is missed first, then what is nearest its bound; anew only when a status changes, so that nothing
  // jumps each second.
  sort() {
    const { app, now } = this.store;
    const status = (now.endpoints ?? []).map((e) => e.status);
    if (status.join() === this.statuses) return;
    this.statuses = status.join();
    const rank = { violated: 0, met: 1, waiting: 2, none: 3 };
    const ratio = (i) => (now.endpoints[i].at_objective_ms ?? 0) / (app.endpoints[i].objective?.latency_ms ?? Infinity);
    const order = status.map((_, i) => i).sort((a, b) => rank[status[a]] - rank[status[b]] || ratio(b) - ratio(a));
    order.forEach((i, k) => {
      const li = this.rows[i].li;
      if (this.list.children[k] === li) return;
      const focus = li.contains(document.activeElement) ? document.activeElement : null;
      this.list.insertBefore(li, this.list.children[k]);
      focus?.focus();
    });
  }

  draw() {
    const { app, now } = this.store;
    this.sort();
    this.rows.forEach((r, i) => {
      const o = app.endpoints[i].objective;
      const e = now.endpoints?.[i] ?? {};
      const status = !o ? "none" : now.stale ? "silent" : e.status ?? "waiting";
      attr(r.li, "data-status", status);
      text(r.sign, SIGN[status]);
      text(r.word, WORD[status]);
      r.word.classList.toggle("sr", status !== "none" && status !== "silent");
      attr(r.sign, "title", WORD[status]);
      text(r.now, o ? `p${o.percentile} ${e.at_objective_ms < 1000 ? msBare(e.at_objective_ms) : ms(e.at_objective_ms)} of ${ms(o.latency_ms)}` : `p99 ${ms(e.p99_ms)}`);
      const failed = e.errors_s ? `, ${count(e.errors_s)} failed/s` : "";
      const missed = status === "violated" && e.violated_since;
      text(r.rate, missed ? `${recovering(e, o) ? "recovering, missed" : "missed"} for ${duration((now.at - e.violated_since) / 1000)}${failed}` : `${count(e.requests_s)} requests/s${failed}`);
      if (o) scale(r.fill, absent(e.at_objective_ms) ? 0 : e.at_objective_ms / o.latency_ms);
      text(r.budget, budget(e));
      attr(r.budget, "title", e.windows ? `${e.violated} of ${e.windows} windows missed the objective, in ${e.episodes} ${e.episodes === 1 ? "episode" : "episodes"}` : null);
      attr(r.budget, "data-low", !absent(e.budget_left) && e.budget_left <= 0 ? "1" : null);
    });
  }
}

function budget(e) {
  if (e.status === "waiting") return "too few requests to judge yet";
  if (absent(e.budget_left)) return "";
  if (e.violated === 0) return "no window missed";
  if (e.budget_left >= 0) return `${percent(e.violation_share)} missed, budget ${percent(e.budget_left, 0)} left`;
  return `${percent(e.violation_share)} missed, budget used ${(1 - e.budget_left).toFixed(e.budget_left < -9 ? 0 : 1)}×`;
}
