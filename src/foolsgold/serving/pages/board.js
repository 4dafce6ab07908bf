// A Go position as SVG, and the game that led there, move by move.
import { element, svg } from "./dom.js";

const CELL = 20; // units of the drawing from line to line
const COLUMNS = "ABCDEFGHJKLMNOPQRSTUVWXYZ";
let boards = 0; // gradients are named once a page

const ICONS = {
  first: ["To the start", "M6 3v10M13 3 7.5 8 13 13"], back: ["One move back", "M10.5 3 5 8l5.5 5"],
  next: ["One move on", "M5.5 3 11 8l-5.5 5"], last: ["To the final position", "M3 3l5.5 5L3 13M10 3v10"],
};

function stars(size) {
  if (size < 7) return size % 2 ? [[(size - 1) / 2, (size - 1) / 2]] : [];
  const near = size < 13 ? 2 : 3, middle = (size - 1) / 2;
  const lines = [near, size - 1 - near, ...(size % 2 ? [middle] : [])];
  const points = lines.flatMap((x) => lines.map((y) => [x, y]));
  return size < 13 ? points.filter(([x, y]) => (x === middle) === (y === middle)) : points;
}

const took = (player, count) =>
  element("span", {}, element("i", { class: `dot ${player.toLowerCase()}` }), element("span", { class: "unseen" }, `${player} `), `took ${count}`);

export class Goban {
  // content: see labelling_view.py; name: "left" or "right", for those who hear the page.
  constructor(content, name) {
    this.size = content.size;
    this.name = name;
    this.id = `goban-${++boards}`;
    this.margin = 27;
    this.positions = this.#played(content);
    this.at = this.end = this.positions.length - 1;
    this.stones = svg("g");
    this.marks = svg("g");
    this.picture = this.#empty();
    this.facts = element("p", { class: "go-facts" });
    this.words = element("pre");
    const inWords = element("details", { class: "board-words until-focus" }, element("summary", {}, "Board as text"), this.words);
    this.node = element("div", { class: "go" }, this.picture, this.facts, ...(this.end ? [this.#controls()] : []), inWords);
    this.show(this.end);
  }

  show(index) {
    this.at = Math.max(0, Math.min(this.end, index));
    const { stones, last, gone, color, black, white, pass } = this.positions[this.at];
    const pieces = [];
    for (let point = 0; point < stones.length; point++) {
      if (stones[point] !== ".") pieces.push(this.#stone(point, stones[point] === "X" ? "black" : "white"));
    }
    this.stones.replaceChildren(...pieces);
    const marks = gone.map((point) => {
      const [x, y] = this.#place(point);
      return svg("path", { class: "gone", d: `M${x - 3.5} ${y - 3.5}l7 7m0-7l-7 7` });
    });
    if (last !== null && stones[last] !== ".") {
      const [cx, cy] = this.#place(last);
      marks.push(svg("circle", { class: `last on-${stones[last] === "X" ? "black" : "white"}`, cx, cy, r: 4.6 }));
    }
    this.marks.replaceChildren(...marks);

    const player = { black: "Black", white: "White" }[color] ?? "";
    const move = pass ? `${player} passes` : last === null ? "" : `${player} ${this.#pointName(last)}`.trim();
    const facts = [];
    if (black !== null) facts.push(took("Black", black), took("White", white));
    if (this.end) facts.push(element("span", { class: "soft" }, this.at ? `Move ${this.at}: ${move}` : `Start of ${this.end} moves`));
    this.facts.replaceChildren(...facts);

    const count = (sign) => stones.split(sign).length - 1;
    const said = `${this.size} by ${this.size} Go board, ${count("X")} black and ${count("O")} white stones`;
    this.picture.setAttribute("aria-label", move ? `${said}, last move ${move}` : said);
    this.words.textContent = this.#asText(stones);
    if (this.slider) {
      this.slider.value = this.at;
      this.slider.setAttribute("aria-valuetext", this.at ? `move ${this.at}: ${move}` : "start");
    }
  }

  go(where) {
    this.show({ first: 0, back: this.at - 1, next: this.at + 1, last: this.end }[where]);
  }

  // The positions of the game, or the one position where no game is known.
  #played({ stones, taken, game }) {
    const final = { stones, last: null, gone: [], color: null, black: taken?.[0] ?? null, white: taken?.[1] ?? null, pass: false };
    if (!game) return [final];
    let position = { stones: game.stones, last: null, gone: [], color: null, black: 0, white: 0, pass: false };
    const positions = [position];
    for (const { color, at, taken: gone } of game.steps) {
      const next = [...position.stones];
      if (at !== null) next[at] = color === "black" ? "X" : "O";
      for (const point of gone) next[point] = ".";
      position = {
        stones: next.join(""), last: at, gone, color, pass: at === null,
        black: position.black + (color === "black" ? gone.length : 0), white: position.white + (color === "white" ? gone.length : 0),
      };
      positions.push(position);
    }
    return positions;
  }

  #controls() {
    const button = (where) => {
      const [label, path] = ICONS[where];
      const made = element("button", { type: "button", title: label, "aria-label": `${this.name}: ${label}` }, svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: path })));
      made.addEventListener("click", () => this.go(where));
      return made;
    };
    this.slider = element("input", { type: "range", min: 0, max: this.end, value: this.end, "aria-label": `${this.name}: move` });
    this.slider.addEventListener("input", () => this.show(+this.slider.value));
    return element("div", { class: "steps" }, button("first"), button("back"), this.slider, button("next"), button("last"));
  }

  #empty() {
    const { size, margin, id } = this, near = margin, far = margin + CELL * (size - 1), side = near + far;
    const stop = (offset, name) => svg("stop", { offset, class: name });
    const places = Array.from({ length: size }, (_, i) => near + CELL * i);
    const label = (x, y, words) => svg("text", { x, y }, words);
    return svg("svg", { viewBox: `0 0 ${side} ${side}`, role: "img" },
      svg("defs", {},
        svg("linearGradient", { id: `${id}-wood`, x2: 1, y2: 1 }, stop(0, "wood-a"), stop(1, "wood-b")),
        svg("radialGradient", { id: `${id}-black`, cx: 0.36, cy: 0.3, r: 0.72 }, stop(0, "black-a"), stop(0.45, "black-b"), stop(1, "black-c")),
        svg("radialGradient", { id: `${id}-white`, cx: 0.38, cy: 0.32, r: 0.78 }, stop(0, "white-a"), stop(0.6, "white-b"), stop(1, "white-c"))),
      svg("rect", { width: side, height: side, rx: 5, fill: `url(#${id}-wood)` }),
      svg("path", { class: "lines", d: places.map((p) => `M${near} ${p}H${far}M${p} ${near}V${far}`).join("") }),
      svg("g", { class: "star" }, ...stars(size).map(([x, y]) => svg("circle", { cx: near + CELL * x, cy: near + CELL * y, r: 2.1 }))),
      svg("g", { class: "coordinates", "aria-hidden": "true" }, ...places.flatMap((p, i) => [
        label(p, 11.5, COLUMNS[i]), label(p, side - 5.5, COLUMNS[i]), label(8.5, p + 3, size - i), label(side - 8.5, p + 3, size - i)])),
      this.stones, this.marks);
  }

  #stone(point, color) {
    const [cx, cy] = this.#place(point);
    return svg("g", {}, svg("circle", { class: "shadow", cx: cx + 0.7, cy: cy + 1.1, r: 9.5 }),
      svg("circle", { class: color === "white" ? "rim" : "", cx, cy, r: color === "white" ? 9.2 : 9.4, fill: `url(#${this.id}-${color})` }));
  }

  #place(point) {
    return [this.margin + CELL * (point % this.size), this.margin + CELL * Math.floor(point / this.size)];
  }

  #pointName(point) {
    return COLUMNS[point % this.size] + (this.size - Math.floor(point / this.size));
  }

  #asText(stones) {
    const rows = Array.from({ length: this.size }, (_, y) =>
      String(this.size - y).padStart(2) + " " + [...stones.slice(y * this.size, (y + 1) * this.size)].join(" "));
    return [...rows, "   " + [...COLUMNS.slice(0, this.size)].join(" "), "X is Black, O is White"].join("\n");
  }
}
