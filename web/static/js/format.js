// Numbers as people read them, with units. What was not observed is "—", never 0.
export const NONE = "—";
const THIN = "\u202f";

const group = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

function fixed(v, digits) {
  return v >= 1000 ? group.format(v).replaceAll(",", THIN) : v.toFixed(digits);
}

export const absent = (v) => v === undefined || v === null;

// count: calls per second, requests in flight.
export function count(v) {
  if (absent(v)) return NONE;
  return fixed(v, v !== 0 && v < 9.95 ? 1 : 0);
}

// ms without its unit, for columns that name it.
export function msBare(v) {
  if (absent(v)) return NONE;
  if (v > 0 && v < 0.095) return v < 0.005 ? "<0.01" : v.toFixed(2);
  return fixed(v, v < 9.95 ? 1 : 0);
}

export function ms(v) {
  if (absent(v)) return NONE;
  if (v >= 9950) return `${(v / 1000).toFixed(1)}${THIN}s`;
  if (v >= 1000) return `${(v / 1000).toFixed(2)}${THIN}s`;
  return `${msBare(v)}${THIN}ms`;
}

export function cores(v) {
  if (absent(v)) return NONE;
  if (v > 0 && v < 0.005) return "<0.01";
  return fixed(v, Math.abs(v) < 9.95 ? 2 : 1);
}

export function percent(v, digits) {
  if (absent(v)) return NONE;
  const p = v * 100;
  return `${p.toFixed(digits ?? (Math.abs(p) < 9.95 && p !== 0 ? 1 : 0))}${THIN}%`;
}

export const whole = (v) => (absent(v) ? NONE : fixed(v, 0));

export function duration(s) {
  if (absent(s)) return NONE;
  s = Math.max(0, Math.round(s));
  if (s < 90) return `${s}${THIN}s`;
  if (s < 5400) return `${Math.round(s / 60)}${THIN}min`;
  return `${(s / 3600).toFixed(1)}${THIN}h`;
}

// recovering: an endpoint that is still counted as missed, though what is seen now is under its bound again.
export const recovering = (e, o) => e.status === "violated" && e.at_objective_ms < o.latency_ms && !e.errors_s;

const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
export const clock = (t) => clockFormat.format(t);

// allocation reads like "3 × 0.50 cores".
export function allocation(a) {
  return a ? `${a.replicas} × ${a.cpu.toFixed(2)} cores` : NONE;
}

// move says what differs between two allocations.
export function move(from, to) {
  if (!from) return allocation(to);
  const parts = [];
  if (from.replicas !== to.replicas) parts.push(`${from.replicas} → ${to.replicas} replicas`);
  if (Math.abs(from.cpu - to.cpu) >= 0.0005) parts.push(`${from.cpu.toFixed(2)} → ${to.cpu.toFixed(2)} cores${to.replicas > 1 ? " each" : ""}`);
  if ((from.memory ?? 0) !== (to.memory ?? 0)) parts.push(`${mib(from.memory)} → ${mib(to.memory)} each`);
  const names = new Set([...Object.keys(from.settings ?? {}), ...Object.keys(to.settings ?? {})]);
  for (const n of names) {
    const a = from.settings?.[n], b = to.settings?.[n];
    if (a !== b) parts.push(`${n} ${a ?? NONE} → ${b ?? NONE}`);
  }
  return parts.join(", ") || allocation(to);
}

const mib = (b) => (b ? `${Math.round(b / 1048576)}${THIN}MiB` : NONE);
