import { $, ask, content, el, signIn, trouble } from "./runs_common.js";

const name = decodeURIComponent(location.pathname.split("/")[2]);
const base = `/api/runs/${encodeURIComponent(name)}/queue`;
let queue = null, request = null, rater = "", since = 0, busy = false, start = 0;

async function refresh() {
  queue = await ask(`${base}?start=${start}`);
  $("work").hidden = false;
  $("bar").max = Math.max(1, queue.asked);
  $("bar").value = queue.judged;
  const people = Object.entries(queue.raters).map(([who, count]) => `${who} ${count}`).join(", ");
  $("told").textContent = `${queue.judged} of ${queue.asked} judged${people ? ` (${people})` : ""}`;
  $("guidelines").hidden = !queue.guidelines;
  $("guidelines-text").textContent = queue.guidelines;
  const may = queue.may_label && queue.fits;
  $("reader").hidden = may;
  $("reader").textContent = queue.may_label
    ? `This audit is judged from ${queue.scale.low} to ${queue.scale.high}; serve with --scale ${queue.scale.low}:${queue.scale.high} to go on.`
    : "You may read. To give labels, open the link with the token that foolsgold serve printed.";
  $("hand").hidden = !queue.may_label || !queue.judged;
  $("hand-text").textContent = queue.labels
    ? "All labels there are have been written. Go on with the audit by:"
    : `${queue.judged} of ${queue.asked} completions have a label. The audit can go on with these, with wider intervals for every one that is missing.`;
  $("write").hidden = queue.labels;
  $("command").hidden = !queue.labels;
  $("command").textContent = queue.command;
  $("asked").hidden = may;
  if (!may) drawAsked();
  return may;
}

function drawAsked() {
  $("requests").replaceChildren(...queue.requests.map((each) => el("article", { class: "sample" },
    el("div", { class: "asked soft" }, content(each.prompt)), content(each.completion))));
  $("more").hidden = start + 20 >= queue.asked;
}

function drawScale() {
  const { low, high } = queue.scale, few = high - low <= 10;
  const values = few ? Array.from({ length: high - low + 1 }, (_, i) => low + i) : [];
  $("scale").replaceChildren(...(few
    ? values.map((value) => {
      const button = el("button", { type: "button", class: "gold-button" }, String(value));
      button.addEventListener("click", () => judge(value));
      return button;
    })
    : [el("input", { type: "number", id: "gold", min: String(low), max: String(high), step: "1", required: true, "aria-label": `Gold from ${low} to ${high}`, inputmode: "numeric" }), el("button", { class: "main" }, "Give")]));
  $("ends").textContent = `${low} is worst, ${high} is best${few && low >= 0 && high <= 9 ? "; number keys answer" : ""}`;
}

function draw() {
  $("task").hidden = $("dock").hidden = request === null;
  $("over").hidden = request !== null;
  $("hand").open = request === null;
  if (request === null) {
    const left = queue.asked - queue.judged;
    $("over-title").textContent = left ? "Nothing free just now" : "All are judged";
    $("over-text").textContent = left ? "Others look at what is left. Load this page again in a while." : "Thank you.";
    return;
  }
  $("prompt").replaceChildren(content(request.prompt));
  $("completion").replaceChildren(content(request.completion));
  const field = $("gold");
  if (field) { field.value = request.gold ?? ""; field.focus(); }
  for (const button of $("scale").querySelectorAll(".gold-button")) button.setAttribute("aria-pressed", String(Number(button.textContent) === request.gold));
  since = performance.now();
  scrollTo(0, 0);
}

async function doing(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
    trouble(null);
  } catch (problem) {
    trouble(problem);
  }
  busy = false;
}

const next = async () => {
  request = (await ask(`${base}/next`, { rater })).request;
  await refresh();
  draw();
};

const judge = (gold) => doing(async () => {
  if (request === null) return;
  await ask(`${base}/judge`, { rater, id: request.id, gold, seconds: Math.min(86400, (performance.now() - since) / 1000) });
  $("said").textContent = `${gold} kept`;
  await next();
});

const undo = () => doing(async () => {
  const found = (await ask(`${base}/undo`, { rater })).request;
  if (found === null) { $("said").textContent = "nothing to undo"; return; }
  request = found;
  await refresh();
  draw();
  $("said").textContent = "taken back; judge it again";
});

async function begin(who) {
  rater = who;
  localStorage.setItem("foolsgold rater", rater);
  $("who").textContent = rater;
  $("enter").hidden = true;
  drawScale();
  await next();
}

$("back").href = `/runs/${encodeURIComponent(name)}`;
$("enter").addEventListener("submit", (event) => { event.preventDefault(); doing(() => begin($("rater").value.trim())); });
$("scale").addEventListener("submit", (event) => { event.preventDefault(); judge(Number($("gold").value)); });
$("undo").addEventListener("click", undo);
$("write").addEventListener("click", () => doing(async () => { await ask(`${base}/labels`, {}); await refresh(); }));
$("more").addEventListener("click", () => doing(async () => { start += 20; await refresh(); $("asked").scrollIntoView(); }));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea") || $("dock").hidden) return;
  if (event.key === "u" || event.key === "U") { event.preventDefault(); undo(); }
  const value = /^\d$/.test(event.key) ? Number(event.key) : null;
  if (value !== null && queue.scale.high <= 9 && value >= queue.scale.low && value <= queue.scale.high) { event.preventDefault(); judge(value); }
});

await doing(async () => {
  await signIn();
  if (await refresh()) {
    $("rater").value = localStorage.getItem("foolsgold rater") ?? "";
    $("enter").hidden = false;
    $("rater").focus();
  }
});
if (!queue) await refresh().catch(trouble); // where the link is not valid, whose notice stays: reading needs none
