// Runs before the first paint, so that a remembered theme doesn't flash.
try {
  const t = localStorage.getItem("foresail-theme");
  if (t === "light" || t === "dark") document.documentElement.dataset.theme = t;
} catch { /* storage is off: the system's theme it is */ }
