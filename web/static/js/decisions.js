// Decisions with their reasons, newest first.
import { $, el, text, whenVisible } from "./dom.js";
import { clock, ms, move } from "./format.js";

const SHOWN = 60, CHANGES = 3;

const name = (app, id) => app.services[id]?.name ?? `service ${id}`;

// describe puts a decision into a heading and a sentence.
export function describe(d, app) {
  const would = d.mode === "recommend" ? "would set " : "";
  const c = d.changes[0];
  if (c) {
    const more = d.changes.length - 1 + (d.more ?? 0);
    return { head: `${would}${name(app, c.service)} ${move(c.from, c.to)}${more ? ` and ${more} more` : ""}`, why: d.error ? `Failed: ${d.error}` : c.reason.text };
  }
  if (d.error) return { head: "Decision failed", why: d.error };
  if (d.alarms) return { head: `Danger at ${d.alarms.map((a) => name(app, a.service)).join(", ")}`, why: d.alarms[0].text };
  if (d.fallback) return { head: "Fallback began", why: d.fallback };
  if (d.fallback_ended) return { head: "Fallback ended", why: `It was: ${d.fallback_ended}` };
  return { head: "Note", why: d.note ?? "" };
}

export class Decisions {
  constructor(store) {
    this.store = store;
    this.list = $("decisions");
    this.items = new Map();
    this.changed = whenVisible(this.list, () => this.draw());
  }

  draw() {
    const { app, now, decisions } = this.store;
    const shown = decisions.slice(-SHOWN).toReversed();
    const used = new Map();
    for (const d of shown) {
      const key = `${this.store.instance}/${app.generation}/${d.id}/${d.repeated ?? 0}`;
      let li = this.items.get(key);
      if (!li) {
        li = item(d, app);
        li.decision = d.id;
        this.reopen(li);
      }
      used.set(key, li);
    }
    if ([...used.keys()].join() !== [...this.items.keys()].join()) {
      this.keep(used);
      this.items = used;
    }
    const empty = this.list.querySelector(".empty");
    const none = now.mode === "observe" ? "Nothing is decided in this mode." : !now.decided ? "No decision yet. Each one that tells something appears here with its reason." : "No change has been needed yet. Each one appears here with its reason.";
    if (!shown.length && !empty) this.list.append(el("li", { class: "empty", textContent: none }));
    else if (!shown.length) text(empty, none);
    else if (shown.length) empty?.remove();
    text($("dec-count"), now.decided ? `${now.decided} decisions, ${decisions.length} with something to tell` : "");
  }

  // reopen keeps open what a person opened in a decision that comes again with a new count.
  reopen(li) {
    const old = [...this.items.values()].find((o) => o.decision === li.decision)?.querySelectorAll("details") ?? [];
    li.querySelectorAll("details").forEach((d, i) => (d.open = old[i]?.open ?? false));
  }

  // keep puts the items in order and touches only those that came or went, so that focus and open details stay.
  keep(used) {
    const want = new Set(used.values());
    for (const e of [...this.list.children]) if (!want.has(e)) e.remove();
    let at = this.list.firstChild;
    for (const e of want) {
      if (e === at) at = at.nextSibling;
      else this.list.insertBefore(e, at);
    }
  }
}

function item(d, app) {
  const { head, why } = describe(d, app);
  const li = el("li", { class: d.error ? "bad" : d.fallback || d.alarms ? "warn" : d.mode === "recommend" ? "would" : "" });
  const meta = [];
  if (d.repeated) meta.push(`decided again ${d.repeated}×, last ${clock(d.last)}`);
  if (d.mode === "auto" && d.changes.length && !d.applied) meta.push("not applied");
  if (d.took_ms !== undefined) meta.push(`took ${ms(d.took_ms)}`);
  li.append(el("time", { textContent: clock(d.at), dateTime: new Date(d.at).toISOString(), title: new Date(d.at).toISOString() + (meta.length ? "; " + meta.join(", ") : "") }));
  const body = el("div", {});
  const noted = !d.changes.length && head === "Note";
  if (!d.changes.length && !noted) body.append(el("p", { class: "what", textContent: head }), el("p", { class: "why", textContent: why }));
  if (d.changes.length) for (const a of d.alarms ?? []) body.append(el("p", { class: "what", textContent: `Danger at ${name(app, a.service)}` }), el("p", { class: "why", textContent: a.text }));
  for (const c of d.changes.slice(0, CHANGES)) body.append(change(c, d, app));
  const rest = d.changes.slice(CHANGES);
  if (rest.length) {
    const more = el("details", {}, el("summary", { textContent: `${rest.length + (d.more ?? 0)} more` }));
    more.addEventListener("toggle", () => more.childElementCount === 1 && more.append(...rest.map((c) => change(c, d, app)), ...(d.more ? [el("p", { class: "muted", textContent: `and ${d.more} smaller ones` })] : [])));
    body.append(more);
  }
  const notes = [];
  if (d.changes.length && d.fallback) notes.push(`Fallback: ${d.fallback}`);
  if (d.changes.length && d.fallback_ended) notes.push(`Fallback ended: ${d.fallback_ended}`);
  if (d.changes.length && d.error) notes.push(`Failed: ${d.error}`);
  if (d.held) notes.push(`${d.held} ${d.held === 1 ? "service" : "services"} weighed and kept.`);
  if (d.repeated && !noted) notes.push(`Decided again ${d.repeated}×, last at ${clock(d.last)}.`);
  if (d.mode === "auto" && d.changes.length && !d.applied && !d.error) notes.push("Not applied.");
  if (d.note) body.append(note(d.note, noted ? "Nothing changed: " : ""));
  if (notes.length) body.append(el("p", { class: "muted small", textContent: notes.join(" ") }));
  li.append(body);
  return li;
}

// note is what the manager adds. A guard writes a clause for each service that it kept back: a long one folds.
function note(s, head) {
  const clauses = s.split("; ");
  if (clauses.length === 1 && s.length < 140) return el("p", { class: "why", textContent: head + s });
  return el("details", { class: "considered" }, el("summary", { textContent: head ? `${head}${clauses.length} ${clauses.length === 1 ? "note" : "notes"}` : `Notes (${clauses.length})` }), el("ul", {}, ...clauses.map((c) => el("li", { textContent: c }))));
}

function change(c, d, app) {
  const up = c.from && c.to.replicas * c.to.cpu > c.from.replicas * c.from.cpu;
  const down = c.from && c.to.replicas * c.to.cpu < c.from.replicas * c.from.cpu;
  const p = el("div", { class: "change" }, el("p", { class: "what" },
    el("span", { class: "arrow " + (up ? "up" : down ? "down" : ""), textContent: up ? "▲" : down ? "▼" : "•", title: up ? "more" : down ? "less" : "" }),
    el("b", { textContent: (d.mode === "recommend" ? "would set " : "") + name(app, c.service) }), el("span", { textContent: " " + move(c.from, c.to) })));
  p.append(el("p", { class: "why", textContent: c.reason.text }), ...extras(c.reason));
  return p;
}

// extras are the bound that was binding and what else was weighed.
export function extras(reason) {
  const out = [];
  if (reason.bound) out.push(el("p", { class: "bound", textContent: `Bound: ${reason.bound}`, title: "The limit that decided how far this goes" }));
  if (reason.considered?.length) {
    out.push(el("details", { class: "considered" }, el("summary", { textContent: `Considered (${reason.considered.length})` }), el("ul", {}, ...reason.considered.map((s) => el("li", { textContent: s })))));
  }
  return out;
}

