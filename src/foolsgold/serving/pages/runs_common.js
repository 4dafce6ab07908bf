// What the pages of runs share: elements from plain data, requests, words for times and numbers.
// Everything that comes from a run is put on the page as text; no string is ever read as HTML.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** What the server answers to `path`; with `body`, what it answers to a change. */
export async function ask(path, body) {
  const options = body === undefined
    ? {}
    : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. This page tries again by itself.");
  }
  if (answer.status === 204) return null;
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(found.error || `The server said ${answer.status}.`), { status: answer.status });
  return found;
}

/** Exchange the token of the link, if it has one, for a cookie; the address forgets it. */
export async function signIn() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  await ask("/api/sign-in", { token });
}

export function trouble(problem) {
  const place = $("trouble");
  place.hidden = !problem;
  if (problem && place.textContent !== problem.message) place.textContent = problem.message;
}

/** Call `work` again and again, `work` saying after how many ms, and not while nobody looks. */
export function keepAsking(work) {
  let timer = 0, busy = false;
  async function turn() {
    clearTimeout(timer);
    if (busy || document.hidden) return;
    busy = true;
    let wait = 5000;
    try {
      wait = await work();
      trouble(null);
    } catch (problem) {
      trouble(problem);
    }
    busy = false;
    timer = setTimeout(turn, wait);
  }
  document.addEventListener("visibilitychange", turn);
  turn();
  return turn;
}

export function ago(seconds) {
  const past = Math.max(0, Date.now() / 1000 - seconds);
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (past >= size) {
      const count = Math.floor(past / size);
      return `${count} ${unit}${count > 1 ? "s" : ""} ago`;
    }
  }
  return past < 10 ? "just now" : `${Math.floor(past)} s ago`;
}

/** A number with about four significant digits. */
export function number(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-4)) return value.toExponential(2).replace("-", "−").replace("e+", "e");
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4;
  return value.toLocaleString("en", { maximumFractionDigits: Number.isInteger(value) ? 0 : digits }).replace("-", "−");
}

export const STATES = {
  running: "at work",
  waiting: "waits for labels",
  quiet: "quiet",
  finished: "finished",
};

export function state(card) {
  return el("span", { class: `state ${card.state}` }, STATES[card.state]);
}

const BOARD = /^[.XO]{5,19}(\/[.XO]{5,19}){4,18}( -?\d+--?\d+)?$/;

/** Text, messages or a Go board, as nodes. */
export function content(given) {
  if (Array.isArray(given)) {
    return el("div", { class: "turns" }, ...given.map((turn) => el("div", { class: "turn" },
      el("p", { class: "label" }, String(turn?.role ?? "")),
      content(typeof turn?.content === "string" ? turn.content : JSON.stringify(turn?.content ?? turn)))));
  }
  const text = typeof given === "string" ? given : JSON.stringify(given);
  if (BOARD.test(text)) {
    const taken = text.split(" ")[1];
    return el("figure", { class: "board" },
      el("img", { src: `/board.svg?position=${encodeURIComponent(text)}`, alt: described(text), loading: "lazy" }),
      taken ? el("figcaption", { class: "soft small" }, `prisoners of Black and White: ${taken.replace(/(\d)-/, "$1 and ")}`) : null);
  }
  return el("div", { class: "text" }, text);
}

function described(board) {
  const count = (sign) => board.split(" ")[0].split(sign).length - 1;
  return `Go board: ${count("X")} black and ${count("O")} white stones`;
}
