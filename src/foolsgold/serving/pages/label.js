// The labelling page: shows one pair after the other and hands in answers. Nothing counts before the server says so.
import { draw, prose } from "./content.js";
import { Offline, pause, post, Refused, tokenFromAddress } from "./wire.js";

const SETTLE = 250; // milliseconds in which a new pair takes no answer: a key pressed twice must not judge what nobody saw
const AGAIN = 20000; // milliseconds until a page that has nothing left asks for more
const SAID = { left: "left is better", right: "right is better", tie: "tie", both_bad: "both bad", skipped: "skipped" };

const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const project = location.pathname.split("/")[2];
const api = (action) => `/api/label/${project}/${action}`;

let place = null; // the pair on show
let gobans = []; // its boards, where it has any
let asksStrength = false;
let busy = true;
let answered = false; // something since the page was opened
let waiting = null; // the side whose strength is asked for
let clock = null; // seconds that this pair was in view

class Clock {
  #seen = 0;
  #since = document.hidden ? null : performance.now();
  turn() {
    if (document.hidden && this.#since !== null) {
      this.#seen += performance.now() - this.#since;
      this.#since = null;
    } else if (!document.hidden && this.#since === null) this.#since = performance.now();
  }
  get milliseconds() {
    return this.#seen + (this.#since === null ? 0 : performance.now() - this.#since);
  }
}
document.addEventListener("visibilitychange", () => clock?.turn());

// What went wrong, or nothing.
function trouble(words = "") {
  one("#trouble").textContent = words;
  one("#trouble").hidden = !words;
}

function say(words) {
  one("#said").textContent = words;
}

function minutes(seconds) {
  return seconds < 60 ? `${Math.round(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function tell(progress) {
  const { done, left, today, median_seconds: median, session_done: now, session_seconds: spent } = progress;
  one("#bar").max = Math.max(1, done + left);
  one("#bar").value = done;
  const parts = [`${done} done`, `${left} left`];
  if (now) parts.push(`session: ${now} in ${minutes(spent)}`);
  if (median !== null) parts.push(`${median < 10 ? median.toFixed(1) : Math.round(median)} s each`);
  one("#told").textContent = parts.join(" · ");
  one("#told").title = `${today} today`;
  one("#undo").disabled = one("#undo-last").disabled = !now && !answered;
}

function fill(id, content) {
  const { node, goban } = draw(content, id);
  one(`#${id} .content`).replaceChildren(node);
  return goban;
}

function show({ place: next, progress, project: told, rater }) {
  if (told) {
    one("#project").textContent = told.name;
    document.title = `${told.name} · foolsgold`;
    asksStrength = told.asks_strength;
    one("#guidelines-text").replaceChildren(...prose(told.guidelines));
    one("#guidelines").hidden = !told.guidelines.trim();
  }
  if (rater) one("#rater").textContent = rater;
  place = next;
  waiting = null;
  tell(progress);
  one("#task").hidden = one("#dock").hidden = !place;
  one("#finished").hidden = Boolean(place);
  all(".chosen, .pressed").forEach((each) => each.classList.remove("chosen", "pressed"));
  askStrength(null);
  if (!place) {
    one("#finished").focus();
    say("Nothing left to compare. Thank you.");
    return;
  }
  one("#prompt").replaceChildren(draw(place.prompt, "prompt").node);
  gobans = [fill("left", place.left), fill("right", place.right)].filter(Boolean);
  const small = gobans.length === 2 && gobans.every((goban) => goban.size <= 9);
  one("#candidates").classList.toggle("small-boards", small);
  all(".for-games").forEach((row) => { row.hidden = !gobans.some((goban) => goban.end); });
  clock = new Clock();
  scrollTo(0, 0);
  one("#asked-title").focus({ preventScroll: true });
}

// Hands `body` in until the server has taken it. The same place handed in twice counts once, so trying again is safe.
async function handIn(body) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
    try {
      return await post(api("judge"), body);
    } catch (error) {
      if (!(error instanceof Offline)) throw error;
      if (wait > 500) trouble("Not saved yet: the server cannot be reached. Keep this page open; trying again.");
      await pause(wait);
    }
  }
}

async function answer(choice, strength = null) {
  if (busy || !place || clock.milliseconds < SETTLE) return;
  if (asksStrength && (choice === "left" || choice === "right") && waiting === null) {
    askStrength(choice);
    return;
  }
  const seconds = clock.milliseconds / 1000;
  one(`#${choice}`)?.classList.add("chosen");
  one(`[data-answer="${choice}"]`).classList.add("pressed");
  await busyWith(async () => {
    const next = await handIn({ place: place.id, answer: choice, strength, seconds });
    trouble();
    answered = true;
    show(next);
    one("#undo").title = `Take back: ${SAID[choice]}`;
    say(`Saved: ${SAID[choice]}. ${place ? `Next: ${one("#prompt").textContent}` : "Nothing left to compare. Thank you."}`);
  });
}

async function undo() {
  if (busy) return;
  await busyWith(async () => {
    const before = await post(api("undo"));
    trouble();
    answered &&= before.undone;
    show(before);
    say(before.undone ? "Taken back. Judge this pair again." : "There is nothing to take back in this session.");
  });
}

function askStrength(side) {
  waiting = side;
  one("#strengths").hidden = !side;
  one("#answers").hidden = Boolean(side);
  all("article").forEach((article) => article.classList.toggle("chosen", article.id === side));
  if (!side) return;
  one("#strengths-title").textContent = `How much better is ${side}?`;
  say(one("#strengths-title").textContent);
  one('[data-strength="1"]').focus();
}

async function busyWith(work) {
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    await explain(error);
  } finally {
    one("#loading").hidden = true;
    busy = false;
    document.body.removeAttribute("aria-busy");
  }
}

async function explain(error) {
  if (error instanceof Refused && error.status === 409) { // the place is no longer ours: it waited too long
    show(await post(api("open")));
    trouble(`That answer was not taken: ${error.message}. Here is where you are now.`);
  } else if (error instanceof Refused && error.status === 401) {
    one("#task").hidden = one("#dock").hidden = one("#finished").hidden = true;
    trouble(`You are not signed in: ${error.message}.`);
  } else if (error instanceof Offline) trouble("The server cannot be reached. Reload this page to try again.");
  else if (error instanceof Refused) trouble(`Refused: ${error.message}.`);
  else throw error;
}

const setting = {
  get: (name, otherwise) => { try { return localStorage.getItem(name) ?? otherwise; } catch { return otherwise; } },
  set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* private mode: not remembered */ } },
};

function turnGuidelines() {
  one("#guidelines").open = !one("#guidelines").open;
}

const STRENGTH_KEYS = { 1: 1, 2: 2, 3: 3, Enter: null };
const KEYS = {
  1: () => answer("left"), 2: () => answer("right"), 3: () => answer("tie"), 4: () => answer("both_bad"),
  s: () => answer("skipped"), u: undo, g: turnGuidelines, "?": () => one("#keys").showModal(),
  ArrowLeft: () => step("back"), ArrowRight: () => step("next"), ArrowUp: () => step("first"), ArrowDown: () => step("last"),
};

// False where there is no game to step through: the arrow keys then scroll as ever.
function step(where) {
  const games = gobans.filter((goban) => goban.end);
  games.forEach((goban) => goban.go(where));
  return games.length > 0;
}

addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat && !key.startsWith("Arrow")) return;
  if (one("#keys").open || !one("#keys-on").checked || (target.type === "range" && key.startsWith("Arrow"))) return;
  if (waiting !== null && key === "Escape") askStrength(null);
  else if (waiting !== null && key in STRENGTH_KEYS) {
    if (key === "Enter" && target.closest?.("button")) return; // Enter presses the button that has the focus
    answer(waiting, STRENGTH_KEYS[key]);
  } else {
    const act = KEYS[key.length === 1 ? key.toLowerCase() : key];
    if (!act || (key.startsWith("Arrow") && event.shiftKey)) return;
    if (act() === false) return;
  }
  event.preventDefault();
});

all("[data-answer]").forEach((button) => button.addEventListener("click", () => answer(button.dataset.answer)));
all("[data-strength]").forEach((button) =>
  button.addEventListener("click", () => answer(waiting, button.dataset.strength ? +button.dataset.strength : null)));
one("#back").addEventListener("click", () => askStrength(null));
one("#undo").addEventListener("click", undo);
one("#undo-last").addEventListener("click", undo);
one("#help").addEventListener("click", () => one("#keys").showModal());
one("#keys-close").addEventListener("click", () => one("#keys").close());
one("#keys-on").addEventListener("change", () => setting.set("keys", one("#keys-on").checked ? "on" : "off"));
one("#guidelines").addEventListener("toggle", () => setting.set("guidelines", one("#guidelines").open ? "open" : "shut"));
one("#leave").addEventListener("click", async () => {
  await post(api("sign-out"));
  location.reload();
});

one("#keys-on").checked = setting.get("keys", "on") === "on";
one("#guidelines").open = setting.get("guidelines", matchMedia("(max-width: 44rem)").matches ? "shut" : "open") === "open";
await busyWith(async () => {
  const token = tokenFromAddress();
  if (token) await post(api("sign-in"), { token });
  show(await post(api("open")));
});
setInterval(() => {
  if (busy || one("#finished").hidden) return;
  busyWith(async () => {
    const found = await post(api("open"));
    if (found.place) show(found);
  });
}, AGAIN);
