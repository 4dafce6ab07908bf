// A chart of some curves as SVG, drawn anew when they grow; read by pointer or arrow keys.

import { el, number } from "./runs_common.js";

const NS = "http://www.w3.org/2000/svg";
const EDGE = { left: 50, right: 14, top: 10, bottom: 30 };

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** Round places between `low` and `high`, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * unit).find((each) => each >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-6; at += 1) found.push(at * step);
  return found;
}

/** KL is drawn by its square root, in which over-optimization is near a parabola (Gao, Schulman and Hilton 2023). */
const SCALES = {
  step: { of: (x) => x, back: (x) => x },
  kl: { of: (x) => Math.sqrt(Math.max(x, 0)), back: (x) => x * x },
};

function short(value) {
  const size = Math.abs(value);
  if (size < 1e-12) return "0";
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (size >= unit * (unit > 1e3 ? 1 : 10)) return `${+(value / unit).toPrecision(3)}${letter}`.replace("-", "−");
  return String(size < 1e-3 ? value.toExponential(0) : +value.toPrecision(3)).replace("-", "−");
}

export class Chart {
  /** An empty chart; put `element` on the page. */
  constructor(title, role, height = 220) {
    this.height = height;
    this.title = title;
    this.lines = [];
    this.place = el("div", { class: "plot", tabindex: "0", role: "img" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.told = el("p", { class: "unseen", role: "status" });
    this.element = el("figure", { class: `chart ${role}` },
      el("figcaption", {}, el("h3", {}, title), role && role !== title ? el("span", { class: `role ${role}` }, role) : null),
      this.place, this.tip, this.told);
    this.place.addEventListener("pointermove", (event) => this.point(event.clientX - this.place.getBoundingClientRect().left));
    this.place.addEventListener("pointerleave", () => this.point(null));
    this.place.addEventListener("blur", () => this.point(null));
    this.place.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => { if (this.width !== this.place.clientWidth) this.draw(this.lines, this.axis); }).observe(this.place);
  }

  /** Draw `lines`, each {label, tone, x, y, low, high}; y may hold null, low and high may be null. */
  draw(lines, axis) {
    this.lines = lines.filter((line) => line.x.length);
    this.axis = axis;
    this.width = this.place.clientWidth;
    if (!this.width) return;
    const flat = (pick) => this.lines.flatMap(pick).filter((value) => value !== null && Number.isFinite(value));
    const { of, back } = SCALES[axis];
    const xs = flat((line) => line.x.map(of)), ys = flat((line) => [...line.y, ...(line.low ?? []), ...(line.high ?? [])]);
    this.place.setAttribute("aria-label", this.said());
    if (!ys.length) {
      this.place.replaceChildren(el("p", { class: "soft small nothing" }, "no numbers to draw"));
      this.scale = null;
      return;
    }
    const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
    const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
    let [x0, x1, y0, y1] = [least(xs), most(xs), least(ys), most(ys)];
    if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1];
    const pad = (y1 - y0 || Math.abs(y0) || 1) * 0.06;
    [y0, y1] = [y0 - pad, y1 + pad];
    const { left, right, top, bottom } = EDGE;
    const across = (x) => left + ((of(x) - x0) / (x1 - x0)) * (this.width - left - right);
    const down = (y) => top + ((y1 - y) / (y1 - y0)) * (this.height - top - bottom);
    this.scale = { across, down };
    const drawing = svg("svg", { width: this.width, height: this.height, viewBox: `0 0 ${this.width} ${this.height}`, "aria-hidden": "true" });
    for (const y of ticks(y0, y1, 4)) {
      drawing.append(svg("line", { class: "grid", x1: left, x2: this.width - right, y1: down(y), y2: down(y) }));
      drawing.append(svg("text", { class: "tick", x: left - 8, y: down(y) + 4, "text-anchor": "end" }, short(y)));
    }
    const round = ticks(x0, x1, Math.max(2, Math.floor(this.width / 95))).filter((x) => axis !== "step" || Number.isInteger(x));
    for (const x of round) drawing.append(svg("text", { class: "tick", x: across(back(x)), y: this.height - bottom + 18, "text-anchor": "middle" }, short(back(x))));
    drawing.append(svg("line", { class: "base", x1: left, x2: this.width - right, y1: this.height - bottom, y2: this.height - bottom }));
    for (const line of this.lines) drawing.append(...this.curve(line, across, down));
    this.cross = svg("g", { class: "cross" });
    drawing.append(this.cross);
    this.place.replaceChildren(drawing);
  }

  curve(line, across, down) {
    const at = (x, y) => `${across(x).toFixed(1)} ${down(y).toFixed(1)}`;
    const parts = [];
    let path = "", alone = true;
    line.y.forEach((y, i) => {
      if (y === null) { alone = true; return; }
      path += `${alone ? "M" : "L"}${at(line.x[i], y)}`;
      alone = false;
    });
    if (line.low) {
      const known = line.x.map((_, i) => i).filter((i) => line.low[i] !== null);
      const band = [...known.map((i) => at(line.x[i], line.high[i])), ...known.reverse().map((i) => at(line.x[i], line.low[i]))];
      if (band.length) parts.push(svg("path", { class: `band ${line.tone}`, d: `M${band.join("L")}Z` }));
    }
    parts.push(svg("path", { class: `line ${line.tone}`, d: path }));
    if (line.x.length <= 40) line.y.forEach((y, i) => {
      if (y !== null) parts.push(svg("circle", { class: `dot ${line.tone}`, cx: across(line.x[i]), cy: down(y), r: line.x.length === 1 ? 4 : 2.2 }));
    });
    return parts;
  }

  /** Show what the lines say at a place, in pixels from the left; null for nowhere. */
  point(left) {
    if (!this.scale || !this.lines.length) return;
    if (left === null) {
      this.tip.hidden = true;
      this.cross?.replaceChildren();
      this.at = undefined;
      return;
    }
    const near = this.lines.map((line) => line.x.reduce((best, x, i) => Math.abs(this.scale.across(x) - left) < Math.abs(this.scale.across(line.x[best]) - left) ? i : best, 0));
    const gap = (k) => Math.abs(this.scale.across(this.lines[k].x[near[k]]) - left);
    const nearest = near.map((_, k) => k).reduce((best, k) => (gap(k) < gap(best) ? k : best), 0);
    this.show(this.lines[nearest].x[near[nearest]], near);
  }

  show(x, near) {
    const pixel = this.scale.across(x);
    this.at = x;
    const shown = this.lines.map((line, k) => [line, near[k]]).filter(([line, i]) => line.y[i] !== null && Math.abs(this.scale.across(line.x[i]) - pixel) < 12);
    this.cross.replaceChildren(svg("line", { x1: pixel, x2: pixel, y1: EDGE.top, y2: this.height - EDGE.bottom }),
      ...shown.map(([line, i]) => svg("circle", { class: `dot ${line.tone}`, cx: this.scale.across(line.x[i]), cy: this.scale.down(line.y[i]), r: 4 })));
    this.tip.replaceChildren(el("p", { class: "soft" }, `${this.axis === "kl" ? "KL" : "step"} ${number(x)}`),
      ...shown.map(([line, i]) => el("p", {}, el("i", { class: `swatch ${line.tone}` }), line.label ? `${line.label} ` : "", el("b", {}, number(line.y[i])))));
    this.tip.hidden = false;
    const wide = this.tip.offsetWidth, beside = this.place.offsetLeft + pixel + 14;
    this.tip.style.left = `${beside + wide <= this.element.clientWidth ? beside : Math.max(0, beside - wide - 28)}px`;
  }

  key(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move || !this.scale || !this.lines.length) return;
    event.preventDefault();
    const places = [...new Set(this.lines.flatMap((line) => line.x))].sort((a, b) => a - b);
    const here = this.at === undefined ? (move > 0 ? -1 : places.length) : places.indexOf(this.at);
    const x = places[Math.min(Math.max(here + move, 0), places.length - 1)];
    this.point(this.scale.across(x));
    this.told.textContent = this.tip.innerText.replaceAll("\n", ", ");
  }

  said() {
    const ends = this.lines.map((line) => `${line.label || "line"} ${number(line.y.at(-1))}`);
    return `${this.title} against ${this.axis === "kl" ? "KL" : "step"}; last: ${ends.join(", ") || "nothing yet"}. Arrow keys read it point by point.`;
  }
}
