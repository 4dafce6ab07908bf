import { Chart } from "./runs_chart.js";
import { $, ago, ask, content, el, keepAsking, number, signIn, state } from "./runs_common.js";

const name = decodeURIComponent(location.pathname.split("/")[2]);
const base = `/api/runs/${encodeURIComponent(name)}`;
const TONES = 8; // colours that can be told apart; so many lines are shown until somebody asks for others
const curves = new Map();
const plots = new Map();
const seen = new Set(), shown = new Set(); // arms
let cursor = "", layout = [], axis = "step", card = null;
let about = "", listed = "", sources = [], place = { source: "", at: 0 };

// The run itself

function drawAbout(run) {
  card = run;
  document.title = `${run.name} · foolsgold`;
  $("run").hidden = false;
  $("name").textContent = run.name;
  $("about").replaceChildren(state(run), el("span", { class: "soft" }, run.study), el("span", { class: "soft path" }, run.folder));
  $("finding").hidden = !run.sentence;
  $("finding").className = `finding ${run.tone}`;
  $("answer").textContent = run.answer;
  $("sentence").textContent = run.sentence;
  $("claim").textContent = run.claim ? `The claim: ${run.claim}` : "";
  const address = `/runs/${encodeURIComponent(name)}`;
  $("links").replaceChildren(
    ...(run.report ? [el("a", { class: "button", href: `${address}/report`, target: "_blank", rel: "noopener" }, "Open the report")] : []),
    ...(run.queue ? [el("a", { class: "button", href: `${address}/label` }, run.state === "waiting" ? "Give labels" : "Labels")] : []));
  $("figures").hidden = !run.figures.length;
  $("rows").replaceChildren(...run.figures.map((figure) => el("tr", {},
    el("th", { scope: "row" }, figure.name, figure.note ? el("span", { class: "soft small note" }, figure.note) : null),
    el("td", {}, el("b", {}, figure.value)), el("td", {}, figure.interval), el("td", { class: "soft" }, figure.n))));
  $("command").textContent = run.command;
  $("command").hidden = !run.command;
  $("settings").replaceChildren(...run.settings.map((group) => el("table", {},
    el("caption", {}, group.title || "run"), el("tbody", {}, ...group.rows.map(([key, value]) => el("tr", {}, el("th", { scope: "row" }, key), el("td", {}, value)))))));
}

// Curves

function take(news) {
  if (news.whole) curves.clear();
  for (const [series, points] of Object.entries(news.curves)) {
    const known = curves.get(series) ?? { step: [], mean: [], low: null, high: null };
    for (const column of ["step", "mean", "low", "high"]) {
      known[column] = points[column] === null ? null : [...(known[column] ?? []).slice(0, points.first), ...points[column]];
    }
    curves.set(series, known);
  }
  if (news.charts) layout = news.charts;
  cursor = news.cursor;
}

const arms = () => [...new Set(layout.flatMap((chart) => chart.lines.map((line) => line.label)))];
const leadingArms = () => [...new Set(layout.filter((chart) => chart.leads).flatMap((chart) => chart.lines.map((line) => line.label)))];

/** All arms; new ones are shown while there are colours for them. */
function pick() {
  const all = arms();
  for (const arm of [...leadingArms(), ...all]) {
    if (!seen.has(arm) && shown.size < TONES) shown.add(arm);
    seen.add(arm);
  }
  return all;
}

function drawArms(all) {
  const place = $("arms");
  place.hidden = all.length < 2;
  place.classList.toggle("many", all.length > 24);
  if (place.dataset.arms !== JSON.stringify(all)) { // else buttons stay, and with them focus and scrolling
    place.dataset.arms = JSON.stringify(all);
    place.replaceChildren(...all.map((arm) => {
      const chip = el("button", { type: "button" }, el("i", {}), arm || "run");
      chip.addEventListener("click", () => {
        if (!shown.delete(arm)) shown.add(arm);
        drawCurves();
      });
      return chip;
    }));
  }
  all.forEach((arm, i) => {
    const chip = place.children[i];
    chip.className = `arm ${tone(arm, all)}`;
    chip.firstChild.className = `swatch ${tone(arm, all)}`;
    chip.setAttribute("aria-pressed", String(shown.has(arm)));
  });
}

/** Colours by what is shown, so that those on the page differ. */
function tone(arm, all) {
  const lit = all.filter((each) => shown.has(each));
  const place = lit.indexOf(arm);
  return place < 0 ? "off" : `c${place % TONES}${place >= TONES ? " dashed" : ""}`;
}

function against(line, kind) {
  const curve = curves.get(line.series);
  if (!curve) return null;
  if (kind === "step") return { x: curve.step, y: curve.mean, low: curve.low, high: curve.high };
  const kl = curves.get(line.kl);
  if (!kl) return null;
  const by = new Map(kl.step.map((step, i) => [step, kl.mean[i]]));
  const kept = curve.step.map((step, i) => [by.get(step), i]).filter(([x]) => x !== undefined && x !== null).sort((a, b) => a[0] - b[0]);
  const column = (values) => values && kept.map(([, i]) => values[i]);
  return { x: kept.map(([x]) => x), y: column(curve.mean), low: column(curve.low), high: column(curve.high) };
}

function drawCurves() {
  $("curves").hidden = !curves.size;
  if (!curves.size) return;
  const all = pick();
  drawArms(all);
  $("axis").hidden = !layout.some((chart) => chart.leads && chart.lines.some((line) => line.kl));
  const rest = layout.filter((chart) => !chart.leads);
  $("others").hidden = !rest.length;
  $("others").querySelector("summary").textContent = `${rest.length} more ${rest.length === 1 ? "metric" : "metrics"}`;
  for (const [metric, plot] of plots) if (!layout.some((chart) => chart.metric === metric)) { plot.element.remove(); plots.delete(metric); }
  for (const chart of layout) {
    if (!chart.leads && !$("others").open) continue;
    let plot = plots.get(chart.metric);
    const home = $(chart.leads ? "leading" : "rest");
    if (!plot) plots.set(chart.metric, (plot = new Chart(chart.metric, chart.role, chart.leads ? 240 : 150)));
    if (plot.element.parentNode !== home) home.append(plot.element);
    const lit = chart.lines.filter((line) => shown.has(line.label));
    const kind = axis === "kl" && chart.leads && lit.some((line) => line.kl) ? "kl" : "step";
    plot.element.hidden = !lit.length;
    plot.draw(lit.map((line) => ({ label: all.length > 1 ? line.label : "", tone: tone(line.label, all), ...against(line, kind) })).filter((line) => line.x), kind);
  }
  for (const chart of layout) if (plots.has(chart.metric)) $(chart.leads ? "leading" : "rest").append(plots.get(chart.metric).element);
}

$("others").addEventListener("toggle", drawCurves);
$("axis").addEventListener("click", (event) => {
  const wanted = event.target.dataset?.axis;
  if (!wanted) return;
  axis = wanted;
  for (const button of $("axis").children) button.setAttribute("aria-pressed", String(button.dataset.axis === axis));
  drawCurves();
});

// Samples

function drawSources(found) {
  const first = !sources.length;
  sources = found.sources;
  $("samples").hidden = !sources.length;
  if (!sources.length) return;
  $("source").replaceChildren(...sources.map((source) => el("option", { value: source.id }, source.id)));
  const main = arms()[0];
  if (!sources.some((source) => source.id === place.source)) place.source = (sources.find((source) => source.id === `arms/${main}`) ?? sources[0]).id;
  $("source").value = place.source;
  drawSteps(first);
}

function drawSteps(newest) {
  const source = sources.find((each) => each.id === place.source);
  $("at-label").hidden = source.kind === "rows";
  $("at-name").textContent = source.kind === "games" ? "iteration" : "step";
  $("at").replaceChildren(...source.at.map((at) => el("option", { value: String(at) }, String(at))));
  if (source.kind === "rows") place.at = newest ? 0 : place.at;
  else if (newest || !source.at.includes(place.at)) place.at = source.at.at(-1);
  $("at").value = String(place.at);
  if (newest) drawPage().catch(() => {});
}

async function drawPage() {
  if (!$("texts").childElementCount) $("texts").append(el("p", { class: "soft" }, "reading…"));
  const page = await ask(`${base}/samples/page?${new URLSearchParams({ source: place.source, at: String(place.at) })}`);
  $("texts").replaceChildren(...page.samples.map(sample));
  $("texts").classList.toggle("boards", $("texts").querySelectorAll(".board").length > 1);
  if (!page.samples.length) $("texts").append(el("p", { class: "soft" }, "nothing here"));
  const rows = $("at-label").hidden;
  $("first").hidden = !rows || !place.at;
  $("next").hidden = page.next === null;
  $("next").textContent = rows ? "Next ones" : `On to ${$("at-name").textContent} ${page.next}`;
  $("next").dataset.at = String(page.next);
}

export function sample(each) {
  const facts = Object.entries(each.facts).map(([key, value]) =>
    el("div", { class: key }, el("dt", {}, key), el("dd", {}, typeof value === "number" ? number(value) : String(value))));
  return el("article", { class: "sample" },
    each.prompt === null || each.prompt === undefined ? null : el("div", { class: "asked soft" }, content(each.prompt)),
    each.text === null || each.text === "" ? null : content(each.text),
    facts.length ? el("dl", { class: "facts" }, ...facts) : null);
}

$("source").addEventListener("change", () => { place = { source: $("source").value, at: 0 }; drawSteps(true); });
$("at").addEventListener("change", () => { place.at = Number($("at").value); drawPage().catch(() => {}); });
$("first").addEventListener("click", () => { place.at = 0; drawPage().catch(() => {}); });
$("next").addEventListener("click", async () => {
  place.at = Number($("next").dataset.at);
  $("at").value = String(place.at);
  await drawPage().catch(() => {});
  $("samples").scrollIntoView({ block: "start" });
});

// Again and again

let turns = 0;
async function look() {
  const news = await ask(`${base}/curves?cursor=${encodeURIComponent(cursor)}`);
  const grew = news.whole || Object.keys(news.curves).length > 0;
  take(news);
  const reading = news.read < news.size && news.size - news.read > 4096;
  $("reading").hidden = !reading && !news.broken && !news.left_out;
  $("reading").textContent = [
    reading ? `${Math.round((100 * news.read) / news.size)} % of ${number(news.size / 2 ** 20)} MB read` : "",
    news.broken ? `${news.broken} broken lines left out` : "",
    news.left_out ? `${news.left_out} metrics too many are not shown` : ""].filter(Boolean).join(" · ");
  if (turns % 3 === 0 && !reading) {
    const [run, found] = await Promise.all([ask(base), ask(`${base}/samples`)]);
    if (about !== JSON.stringify(run)) drawAbout(run);
    about = JSON.stringify(run);
    if (listed !== JSON.stringify(found)) drawSources(found);
    listed = JSON.stringify(found);
  }
  if (grew) drawCurves();
  if (card) $("live").textContent = card.state === "running" ? `written ${ago(card.changed)}` : `last written ${ago(card.changed)}`;
  if (!reading) turns += 1;
  return reading ? 0 : card?.state === "running" ? 2000 : 10000;
}

await signIn().catch(() => {});
keepAsking(look);
