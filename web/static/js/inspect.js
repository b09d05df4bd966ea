// One service in detail, under the graph: what it has and why, who calls it and whom it calls.
import { $, el, whenVisible } from "./dom.js";
import { allocation, clock, cores, count, ms, percent } from "./format.js";
import { extras } from "./decisions.js";

export class Inspect {
  constructor(store, onClose) {
    this.store = store;
    this.onClose = onClose;
    this.box = $("inspect");
    this.service = null;
    this.changed = whenVisible(this.box, () => this.draw());
  }

  show(service) {
    this.service = service;
    this.key = null;
    this.changed();
  }

  draw() {
    const { app, now, why } = this.store;
    const i = this.service;
    if (i === null || !app.services[i]) {
      if (this.key === "none") return;
      this.key = "none";
      this.box.replaceChildren(el("p", { class: "muted small", textContent: "Select a service to see why it has what it has, who calls it and whom it calls." }));
      return;
    }
    const s = now.services?.[i] ?? {};
    const calls = (dir, other) => (now.edges ?? []).filter((e) => e[dir] === i).toSorted((a, b) => (b.calls_s ?? 0) - (a.calls_s ?? 0)).slice(0, 8)
      .map((e) => `${app.services[e[other]].name}\t${count(e.calls_s)}/s\tp99 ${ms(e.p99_ms)}`);
    const callers = calls("to", "from"), callees = calls("from", "to");
    const facts = [["allocated", allocation(s.allocation)], ["pending", s.pending ? allocation(s.pending) : null], ["used", `${cores(s.cores_used)} cores, ${percent(s.utilisation, 0)}`],
      ["throttled", percent(s.throttled)], ["in flight", count(s.in_flight)], ["failed", s.errors_s === undefined ? "—" : `${count(s.errors_s)}/s`]].filter((f) => f[1] !== null);
    const w = why[i];
    const key = JSON.stringify([i, callers, callees, facts, w]);
    if (key === this.key) return;
    this.key = key;
    this.render(app.services[i], facts, w, callers, callees);
  }

  // render keeps the focus and what is open, since it comes once a second.
  render(service, facts, w, callers, callees) {
    const open = this.box.querySelector("details")?.open, focused = this.box.contains(document.activeElement) ? document.activeElement.tagName : "";
    const close = el("button", { type: "button", class: "quiet", textContent: "Close", "aria-label": `Close details of ${service.name}` });
    close.addEventListener("click", () => this.onClose());
    const b = service.bounds;
    const list = (head, rows) => el("div", {}, el("h4", { textContent: head }), rows.length ? el("ul", { class: "calls" }, ...rows.map((r) => el("li", {}, ...r.split("\t").map((c) => el("span", { textContent: c }))))) : el("p", { class: "muted small", textContent: "none seen" }));
    this.box.replaceChildren(
      el("div", { class: "head" }, el("h3", { textContent: service.name }), el("p", { class: "legend", textContent: `may have ${b.min_replicas} to ${Math.max(b.max_replicas, b.min_replicas)} replicas of ${b.min_cpu.toFixed(2)} to ${Math.max(b.max_cpu, b.min_cpu).toFixed(2)} cores` }), close),
      el("div", { class: "cols" },
        el("dl", { class: "facts" }, ...facts.flatMap(([k, v]) => [el("dt", { textContent: k }), el("dd", { textContent: v })])),
        el("div", {}, el("h4", { textContent: w ? `Why, at ${clock(w.at)}` : "Why" }), el("p", { class: "why", textContent: w ? w.reason.text : "No decision has named this service yet: it has what the application file asks for, or what it had." }), ...(w ? extras(w.reason) : [])),
        list("Called by", callers), list("Calls", callees)));
    const details = this.box.querySelector("details");
    if (details && open) details.open = true;
    if (focused === "BUTTON") close.focus();
    else if (focused === "SUMMARY") details?.querySelector("summary").focus();
  }
}
