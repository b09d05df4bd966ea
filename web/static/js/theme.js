// The theme: the system's, light or dark, remembered.
import { $ } from "./dom.js";

const KEY = "foresail-theme";
const ORDER = ["system", "light", "dark"];

export function theme(onChange) {
  const button = $("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let now = document.documentElement.dataset.theme ?? "system";
  const show = () => {
    if (now === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = now;
    button.textContent = `Theme: ${now}`;
  };
  button.addEventListener("click", () => {
    now = ORDER[(ORDER.indexOf(now) + 1) % ORDER.length];
    try {
      if (now === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, now);
    } catch { /* storage is off: the choice lasts as long as the page */ }
    show();
    onChange();
  });
  dark.addEventListener("change", () => now === "system" && onChange());
  show();
}

// palette is the colours of the theme in effect, for what is drawn on a canvas.
export function palette() {
  const css = getComputedStyle(document.documentElement);
  const get = (n) => css.getPropertyValue(n).trim();
  return { ink: get("--ink"), muted: get("--muted"), line: get("--line"), panel: get("--panel"), blue: get("--blue"), blue2: get("--blue2"),
    blue3: get("--blue3"), ok: get("--ok"), warn: get("--warn"), bad: get("--bad"), fill: get("--fill"),
    series: ["--s0", "--s1", "--s2", "--s3", "--s4", "--s5"].map(get) };
}
