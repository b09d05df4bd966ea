// Layout of a call graph in layers, left to right by call depth (Sugiyama, Tagawa, Toda 1981): break cycles, layer by
// longest path, order to lessen crossings by barycentres, then place. Pure: no DOM. Done when the topology or the width
// changes, never for new numbers.

export const CARD_H = 40;
const LANE = 12; // height that an edge takes where it passes a layer
const COL_GAP = 28;
const CARD_MIN = 118, CARD_MAX = 210;

// layout places n nodes. edges are [from, to]; roots are entry nodes. It returns the width and height of the drawing, a
// card {x, y, w} for each node, and a path for each edge. rowGap lies between the cards of a layer.
export function layout(n, edges, roots, width, rowGap = 8) {
  const g = layers(n, edges, roots);
  const cols = Math.max(g.count, 1);
  const w = Math.max(CARD_MIN, Math.min(CARD_MAX, (width - 2 - (cols - 1) * COL_GAP) / cols));
  const gap = cols > 1 ? Math.max(COL_GAP, Math.min(150, (width - 2 - cols * w) / (cols - 1))) : COL_GAP;
  const items = order(build(g, edges), 12);
  const height = place(items, rowGap);
  const cards = [];
  const x = (layer) => 1 + layer * (w + gap);
  for (const layer of items) for (const it of layer) if (it.node >= 0) cards[it.node] = { x: x(it.layer), y: it.y, w, layer: it.layer, row: it.row };
  const paths = edges.map(([a, b], i) => path(g.chains[i], cards[a], cards[b], x, w, gap));
  return { width: Math.ceil(x(cols - 1) + w + 1), height: Math.ceil(height), cards, paths };
}

// layers gives each node its layer. Back edges, found depth first from the roots, count as forward ones the other way.
function layers(n, edges, roots) {
  const out = Array.from({ length: n }, () => []);
  edges.forEach(([a, b], i) => a !== b && out[a].push([b, i]));
  const state = new Uint8Array(n), back = new Set(), seq = [];
  const visit = (v) => {
    state[v] = 1;
    for (const [w, i] of out[v]) {
      if (state[w] === 1) back.add(i);
      else if (!state[w]) visit(w);
    }
    state[v] = 2;
    seq.push(v);
  };
  const called = new Set(edges.filter(([a, b]) => a !== b).map((e) => e[1]));
  const starts = [...roots, ...Array.from({ length: n }, (_, v) => v).sort((a, b) => called.has(a) - called.has(b))];
  for (const v of starts) if (!state[v]) visit(v);
  const depth = new Int32Array(n);
  for (const v of seq.toReversed()) for (const [w, i] of out[v]) if (!back.has(i)) depth[w] = Math.max(depth[w], depth[v] + 1);
  const lonely = [];
  for (let v = 0; v < n; v++) if (!out[v].length && !called.has(v) && (!edges.length || !roots.includes(v))) lonely.push(v);
  spread(lonely, depth, n);
  return { depth, count: n ? Math.max(...depth) + 1 : 0, order: seq.toReversed(), chains: [] };
}

// spread puts nodes that nothing calls where there is room: services that have not been called yet, or all of them
// where calls aren't observed.
function spread(lonely, depth, n) {
  if (!lonely.length) return;
  const cols = lonely.length === n ? Math.min(6, Math.ceil(Math.sqrt(n))) : Math.max(...depth) + 1;
  const fill = new Array(cols).fill(0);
  const is = new Set(lonely);
  for (let v = 0; v < n; v++) if (!is.has(v)) fill[depth[v]]++;
  for (const v of lonely) {
    const c = fill.indexOf(Math.min(...fill));
    depth[v] = c;
    fill[c]++;
  }
}

// build makes the items of each layer: a card for each node, a lane wherever an edge passes a layer.
function build(g, edges) {
  const items = Array.from({ length: g.count }, () => []);
  const of = [];
  const add = (layer, node) => {
    const it = { layer, node, h: node >= 0 ? CARD_H : LANE, y: 0, row: 0, ins: [], outs: [] };
    items[layer].push(it);
    return it;
  };
  for (const v of g.order) of[v] = add(g.depth[v], v);
  edges.forEach(([a, b], i) => {
    g.chains[i] = [];
    if (a === b) return;
    let [p, q] = g.depth[a] <= g.depth[b] ? [of[a], of[b]] : [of[b], of[a]];
    for (let l = p.layer + 1; l < q.layer; l++) {
      const lane = add(l, -1);
      g.chains[i].push(lane);
      join(p, lane);
      p = lane;
    }
    join(p, q);
    if (g.depth[a] > g.depth[b]) g.chains[i].reverse();
  });
  return items;
}

function join(p, q) {
  p.outs.push(q);
  q.ins.push(p);
}

// order sweeps barycentres to and fro and keeps the order with the fewest crossings.
function order(items, sweeps) {
  const number = () => items.forEach((l) => l.forEach((it, i) => (it.row = i)));
  number();
  let best = items.map((l) => l.slice()), fewest = crossings(items);
  for (let s = 0; s < sweeps && fewest > 0; s++) {
    const down = s % 2 === 0;
    const seq = down ? items.slice(1) : items.slice(0, -1).toReversed();
    for (const layer of seq) {
      for (const it of layer) {
        const near = down ? it.ins : it.outs;
        it.key = near.length ? near.reduce((t, o) => t + o.row, 0) / near.length : it.row;
      }
      layer.sort((a, b) => a.key - b.key || a.row - b.row);
      layer.forEach((it, i) => (it.row = i));
    }
    const c = crossings(items);
    if (c < fewest) {
      fewest = c;
      best = items.map((l) => l.slice());
    }
  }
  best.forEach((l, i) => (items[i] = l));
  number();
  return items;
}

function crossings(items) {
  let c = 0;
  for (const layer of items) {
    const ends = layer.flatMap((it) => it.outs.map((o) => [it.row, o.row]));
    for (let i = 0; i < ends.length; i++)
      for (let j = i + 1; j < ends.length; j++) if ((ends[i][0] - ends[j][0]) * (ends[i][1] - ends[j][1]) < 0) c++;
  }
  return c;
}

// place gives each item its y: packed and centred first, then pulled towards its neighbours, order and gaps kept.
function place(items, rowGap) {
  const tall = (l) => l.reduce((t, it) => t + it.h + rowGap, -rowGap);
  const height = Math.max(CARD_H, ...items.map(tall));
  for (const l of items) {
    let y = (height - tall(l)) / 2;
    for (const it of l) {
      it.y = y;
      y += it.h + rowGap;
    }
  }
  for (let s = 0; s < 16; s++) {
    for (const l of s % 2 ? items.toReversed() : items) {
      const want = l.map((it) => {
        const near = [...it.ins, ...it.outs];
        return near.length ? near.reduce((t, o) => t + o.y + o.h / 2, 0) / near.length - it.h / 2 : it.y;
      });
      settle(l, want, height, rowGap);
    }
  }
  return height;
}

function settle(l, want, height, rowGap) {
  let floor = 0;
  l.forEach((it, i) => {
    it.y = Math.max((it.y + want[i]) / 2, floor);
    floor = it.y + it.h + rowGap;
  });
  let ceil = height;
  for (const it of l.toReversed()) {
    it.y = Math.min(it.y, ceil - it.h);
    ceil = it.y - rowGap;
  }
}

// path runs from card to card through its lanes, level across each of them.
function path(chain, a, b, x, w, gap) {
  const f = (v) => Math.round(v * 10) / 10;
  const forward = a.layer < b.layer;
  let px = forward ? a.x + w : a.x, py = a.y + CARD_H / 2, d = `M${f(px)} ${f(py)}`;
  const curve = (qx, qy) => {
    const bend = gap / 2 * (qx >= px ? 1 : -1);
    d += `C${f(px + bend)} ${f(py)} ${f(qx - bend)} ${f(qy)} ${f(qx)} ${f(qy)}`;
    [px, py] = [qx, qy];
  };
  if (a.layer === b.layer) { // one calls itself, or a cycle within a layer
    d = `M${f(a.x + w)} ${f(py)}C${f(a.x + w + gap)} ${f(py)} ${f(b.x + w + gap)} ${f(b.y + CARD_H / 2 + 8)} ${f(b.x + w)} ${f(b.y + CARD_H / 2 + 8)}`;
    return d;
  }
  for (const lane of chain) {
    const y = lane.y + LANE / 2, left = x(lane.layer), right = left + w;
    curve(forward ? left : right, y);
    d += `H${f(forward ? right : left)}`;
    px = forward ? right : left;
  }
  curve(forward ? b.x : b.x + w, b.y + CARD_H / 2);
  return d;
}
