// The table of services. It is sorted when a person asks, and anew every ten seconds unless they are in it: rows that
// jump each second can't be read.
import { $, attr, el, scale, text, whenVisible } from "./dom.js";
import { absent, allocation, cores, count, msBare, percent, whole } from "./format.js";

const want = (s) => (s.pending ?? s.allocation)?.replicas;

const COLUMNS = [
  { key: "name", head: "service", get: (s, a) => a.name, show: (s, a) => a.name, left: true },
  { key: "util", head: "utilisation", title: "CPU used over CPU allocated", get: (s) => s.utilisation, show: (s) => percent(s.utilisation, 0), bar: true },
  { key: "calls", head: "calls/s", get: (s) => s.calls_s, show: (s) => count(s.calls_s) },
  { key: "p50", head: "p50 ms", title: "Half of the calls were answered faster", get: (s) => s.p50_ms, show: (s) => msBare(s.p50_ms) },
  { key: "p99", head: "p99 ms", title: "99 % of the calls were answered faster", get: (s) => s.p99_ms, show: (s) => msBare(s.p99_ms) },
  { key: "flight", head: "in flight", title: "Requests accepted and not answered, on average", get: (s) => s.in_flight, show: (s) => count(s.in_flight) },
  { key: "failed", head: "failed/s", get: (s) => s.errors_s, show: (s) => count(s.errors_s), zero: (s) => s.errors_s === 0, alarm: (s) => s.errors_s > 0 },
  { key: "used", head: "cores used", get: (s) => s.cores_used, show: (s) => cores(s.cores_used) },
  { key: "alloc", head: "allocated", title: "Cores allocated, over all replicas", get: (s) => s.cores_allocated, show: (s) => cores(s.cores_allocated) },
  { key: "throttled", head: "throttled", title: "Share of replica time spent waiting because the CPU limit was used up", get: (s) => s.throttled, show: (s) => percent(s.throttled), zero: (s) => s.throttled === 0, alarm: (s) => s.throttled > 0.05 },
  { key: "ready", head: "replicas", title: "Ready of wanted", get: (s) => s.ready, show: (s) => (absent(s.ready) ? "—" : absent(want(s)) ? whole(s.ready) : `${s.ready} of ${want(s)}`), alarm: (s) => !absent(want(s)) && s.ready < want(s) },
  { key: "pending", head: "pending", title: "Asked for and not yet in effect", get: (s) => s.pending?.replicas, show: (s) => (s.pending ? allocation(s.pending) : "") },
];

export class Table {
  constructor(store, onSelect) {
    this.store = store;
    this.table = $("services");
    this.by = COLUMNS[1];
    this.down = true;
    this.sortedAt = 0;
    this.head();
    this.changed = whenVisible(this.table, () => this.draw());
    this.table.tBodies[0].addEventListener("click", (e) => {
      const b = e.target.closest("button");
      if (b) onSelect(Number(b.dataset.i));
    });
  }

  head() {
    this.heads = COLUMNS.map((c) => {
      const b = el("button", { type: "button", title: c.title ?? "", textContent: c.head });
      b.addEventListener("click", () => this.sortBy(c));
      return el("th", { scope: "col", class: c.left ? "left" : "" }, b);
    });
    this.table.tHead.rows[0].replaceChildren(...this.heads);
    this.mark();
  }

  sortBy(c) {
    this.down = this.by === c ? !this.down : !c.left;
    this.by = c;
    this.mark();
    this.sort();
  }

  mark() {
    COLUMNS.forEach((c, i) => attr(this.heads[i], "aria-sort", c === this.by ? (this.down ? "descending" : "ascending") : null));
  }

  build() {
    this.rows = this.store.app.services.map((a, i) => {
      const cells = COLUMNS.map((c) => {
        const num = el("span", {});
        if (c.left) return { num: el("button", { type: "button", class: "name", "data-i": String(i), title: "Show this service in the graph" }) };
        if (!c.bar) return { num };
        const fill = el("i", { class: "fill" });
        return { num, fill, bar: el("span", { class: "bar" }, fill) };
      });
      const tr = el("tr", {}, ...cells.map((c, k) => el(COLUMNS[k].left ? "th" : "td", COLUMNS[k].left ? { scope: "row", class: "left" } : {}, c.bar ?? null, c.num)));
      return { tr, cells, i };
    });
    this.table.tBodies[0].replaceChildren(...this.rows.map((r) => r.tr));
    this.sortedAt = -Infinity;
  }

  draw() {
    const { app, now } = this.store;
    for (const r of this.rows) {
      const s = now.services?.[r.i] ?? {};
      COLUMNS.forEach((c, k) => {
        const cell = r.cells[k];
        text(cell.num, c.show(s, app.services[r.i]));
        if (c.alarm) attr(cell.num, "class", c.alarm(s) ? "alarm" : c.zero?.(s) ? "zero" : null);
        if (cell.fill) {
          scale(cell.fill, s.utilisation ?? 0);
          attr(cell.fill, "data-heat", absent(s.utilisation) ? null : s.utilisation >= 0.8 ? "2" : s.utilisation >= 0.6 ? "1" : "0");
        }
      });
    }
    const busy = this.table.matches(":hover") || this.table.contains(document.activeElement);
    if (now.services && !busy && performance.now() - this.sortedAt > 10000) this.sort();
  }

  sort() {
    this.sortedAt = performance.now();
    const { app, now } = this.store;
    const val = (r) => this.by.get(now.services?.[r.i] ?? {}, app.services[r.i]);
    const sign = this.down ? -1 : 1;
    // What was not observed comes last, whichever the direction.
    const cmp = (a, b) => {
      const x = val(a), y = val(b);
      if (absent(x) || absent(y)) return absent(x) - absent(y) || a.i - b.i;
      return (typeof x === "string" ? x.localeCompare(y) : x - y) * sign || a.i - b.i;
    };
    const order = this.rows.toSorted(cmp);
    const body = this.table.tBodies[0];
    order.forEach((r, k) => {
      if (body.rows[k] !== r.tr) {
        const focus = r.tr.contains(document.activeElement) ? document.activeElement : null;
        body.insertBefore(r.tr, body.rows[k]);
        focus?.focus();
      }
    });
  }
}
