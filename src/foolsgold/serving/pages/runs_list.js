import { $, STATES, ago, ask, el, keepAsking, number, signIn, state } from "./runs_common.js";

const PAGE = 50;
const wanted = { words: "", study: "", state: "", count: PAGE };
let drawn = "";

function latest(card) {
  if (card.state === "waiting") return ["people are to judge completions first"];
  if (!card.latest) return [card.state === "running" ? "no metrics yet" : "no metrics"];
  return [`step ${number(card.latest.step)}`, ...card.latest.values.flatMap(([name, value]) => [` · ${name} `, el("b", {}, number(value))])];
}

function row(card) {
  const found = card.sentence
    ? el("span", { class: `found ${card.tone}` }, el("b", {}, card.answer), ` ${card.sentence}`)
    : el("span", { class: "found soft" }, ...latest(card));
  const address = `/runs/${encodeURIComponent(card.name)}`;
  return el("a", { class: "card", href: card.state === "waiting" ? `${address}/label` : address },
    el("span", { class: "who" }, el("b", {}, card.study), el("span", { class: "soft small path" }, card.name)),
    state(card),
    found,
    el("span", { class: "soft small when", title: new Date(card.changed * 1000).toLocaleString() }, ago(card.changed)));
}

function draw(listing) {
  $("folder").textContent = listing.folder;
  const total = Object.values(listing.states).reduce((a, b) => a + b, 0);
  $("states").replaceChildren(...["", ...Object.keys(STATES)].filter((name) => !name || listing.states[name]).map((name) => {
    const chip = el("button", { type: "button", class: `chip is-${name || "all"}`, "aria-pressed": String(wanted.state === name) },
      name ? STATES[name] : "all", el("span", { class: "count" }, String(name ? listing.states[name] : total)));
    chip.addEventListener("click", () => change({ state: name }));
    return chip;
  }));
  const studies = Object.entries(listing.studies);
  if ($("study").options.length !== studies.length + 1) {
    $("study").replaceChildren(el("option", { value: "" }, "All studies"), ...studies.map(([name, count]) => el("option", { value: name }, `${name} (${count})`)));
    $("study").value = wanted.study;
  }
  $("runs").replaceChildren(...listing.cards.map(row));
  $("empty").hidden = listing.total > 0;
  $("empty").textContent = total ? "No run is like this." : "There is no run in this folder yet. Start one, such as foolsgold run alphago; it appears here by itself.";
  $("more").hidden = listing.cards.length >= listing.total || wanted.count >= 200;
  $("more").textContent = `Show more of ${listing.total.toLocaleString("en")}`;
}

async function look() {
  const query = new URLSearchParams(Object.entries(wanted).map(([name, value]) => [name, String(value)]));
  const listing = await ask(`/api/runs?${query}`);
  const now = JSON.stringify([listing, listing.cards.map((card) => ago(card.changed))]);
  if (now !== drawn) {
    const focus = document.activeElement?.getAttribute("href") ?? document.activeElement?.className;
    draw(listing);
    drawn = now;
    if (focus) [...document.querySelectorAll("a.card, .chip")].find((each) => (each.getAttribute("href") ?? each.className) === focus)?.focus();
  }
  return 3000;
}

function change(what) {
  Object.assign(wanted, { count: PAGE }, what);
  turn();
}

let turn = () => {};
await signIn().catch(() => {});
turn = keepAsking(look);
let typing = 0;
$("words").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => change({ words: $("words").value }), 200);
});
$("study").addEventListener("change", () => change({ study: $("study").value }));
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("more").addEventListener("click", () => change({ count: Math.min(200, wanted.count + PAGE) }));
