// Small tools around the DOM. Text only ever enters through textContent, so no name can become markup.
export const $ = (id) => document.getElementById(id);

export function el(tag, props, ...children) {
  const e = document.createElement(tag);
  return fill(e, props, children);
}

export function svg(tag, attrs, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const k in attrs) e.setAttribute(k, attrs[k]);
  e.append(...children);
  return e;
}

function fill(e, props, children) {
  for (const k in props) {
    if (k === "class") e.className = props[k];
    else if (k.includes("-") || k === "role") e.setAttribute(k, props[k]);
    else e[k] = props[k];
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

// text sets an element's text when it differs: an unchanged node costs no layout.
export function text(e, s) {
  if (e.lastText === s) return;
  e.lastText = s;
  e.textContent = s;
}

export function attr(e, name, v) {
  const key = "last_" + name;
  if (e[key] === v) return;
  e[key] = v;
  if (v === null) e.removeAttribute(name);
  else e.setAttribute(name, v);
}

// scale stretches a bar to a share of its track.
export function scale(e, share) {
  const s = Math.round(Math.min(Math.max(share, 0), 1) * 200) / 200;
  if (e.lastScale === s) return;
  e.lastScale = s;
  e.style.transform = `scaleX(${s})`;
}

// whenVisible calls draw when e is on screen, in a shown tab, and something has changed since it was drawn.
export function whenVisible(e, draw) {
  let visible = false, dirty = false, queued = false;
  const run = () => {
    queued = false;
    if (!visible || document.hidden || !dirty) return;
    dirty = false;
    draw();
  };
  const queue = () => {
    if (!queued && visible && !document.hidden) {
      queued = true;
      requestAnimationFrame(run);
    }
  };
  new IntersectionObserver((es) => {
    visible = es[es.length - 1].isIntersecting;
    queue();
  }, { rootMargin: "40px" }).observe(e);
  document.addEventListener("visibilitychange", queue);
  return () => {
    dirty = true;
    queue();
  };
}
