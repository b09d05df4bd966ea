// The demo's controls: they shift the load of the simulated application.
import { $, el, text } from "./dom.js";
import { count, duration, percent } from "./format.js";

export class Controls {
  constructor(store) {
    this.store = store;
    this.level = $("level");
    this.touched = -Infinity;
    this.level.addEventListener("input", () => this.later({ level: Number(this.level.value) }));
    $("spike").addEventListener("click", () => this.post({ spike: true }));
    $("shape").addEventListener("change", (e) => this.post({ shape: e.target.value }));
  }

  // later waits for the slider to rest a moment; touched keeps the server's answer from moving it under the hand.
  later(change) {
    this.touched = performance.now();
    this.output();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.post(change), 150);
  }

  async post(change) {
    const said = $("controls-said");
    try {
      const r = await fetch("/api/v1/load", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(change) });
      const body = await r.json();
      said.textContent = r.ok ? "" : `Not changed: ${body.error}`;
      if (r.ok) {
        this.store.now.load = body;
        this.draw();
      }
    } catch {
      said.textContent = "Not changed: the server doesn't answer.";
    }
  }

  output() {
    text($("level-out"), `×${Number(this.level.value).toFixed(2)}`);
  }

  draw() {
    const l = this.store.now.load;
    $("controls").hidden = !l;
    if (!l) return;
    this.level.max = l.max_level;
    if (performance.now() - this.touched > 2000) this.level.value = l.level;
    this.output();
    const spike = $("spike");
    spike.hidden = !l.spike;
    const on = l.spike_now > 0;
    text(spike, on ? `Spike: ${duration(l.spike_now)} left` : `Spike ×${l.spike} for ${duration(l.spike_s)}`);
    spike.classList.toggle("on", on);
    this.shapes(l);
    this.mix(l);
    if (!$("controls-said").textContent.startsWith("Not")) text($("controls-said"), `${count(l.requests_s)} requests/s sent`);
  }

  shapes(l) {
    const names = l.shapes ?? [];
    $("shape-l").hidden = names.length < 2;
    const select = $("shape");
    if (select.dataset.names !== names.join("\n")) {
      select.dataset.names = names.join("\n");
      select.replaceChildren(...names.map((n) => el("option", { value: n, textContent: n })));
    }
    if (document.activeElement !== select && select.value !== l.shape) select.value = l.shape;
  }

  mix(l) {
    const mix = l.mix ?? [], { app } = this.store;
    $("mix").hidden = mix.length < 2;
    if (this.sliders?.length !== mix.length || this.mixApp !== app) {
      this.mixApp = app;
      this.sliders = mix.map((_, i) => {
        const range = el("input", { type: "range", min: "0", max: "100", step: "1" });
        const out = el("output", {});
        range.addEventListener("input", () => this.later({ mix: this.sliders.map((s) => Number(s.range.value)) }));
        return { range, out, label: el("label", {}, el("span", { textContent: app.endpoints[i]?.name ?? `endpoint ${i}` }), range, out) };
      });
      $("mix-list").replaceChildren(...this.sliders.map((s) => s.label));
    }
    mix.forEach((v, i) => {
      if (performance.now() - this.touched > 2000) this.sliders[i].range.value = Math.round(v * 100);
      text(this.sliders[i].out, percent(v, 0));
    });
  }
}
