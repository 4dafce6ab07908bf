// The administrator's page: how far each project is and whom to trust, counted anew every few seconds.
import { element, svg } from "./dom.js";
import { get, Offline, post, Refused, tokenFromAddress } from "./wire.js";

const EVERY = 5000; // milliseconds
const one = (selector) => document.querySelector(selector);
const shown = new Map(); // project id -> its parts on the page

const percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`);
const signed = (value) => value.toFixed(2).replace("-", "−");
const seconds = (value) => (value === null || value === undefined ? "–" : `${value < 10 ? value.toFixed(1) : Math.round(value)} s`);
const range = (share) => (share.n ? `${percent(share.low)} to ${percent(share.high)}, n = ${share.n.toLocaleString("en")}` : "nothing to count yet");

function trouble(words = "") {
  one("#trouble").textContent = words;
  one("#trouble").hidden = !words;
}

async function attempt(work) {
  try {
    await work();
    trouble();
  } catch (error) {
    if (error instanceof Offline) trouble("The server cannot be reached; the figures below may be old.");
    else if (error instanceof Refused) trouble(error.status === 401 ? "Open the administrator's link that was printed when the page was started." : error.message);
    else throw error;
  }
}

const tile = (title, figure, note, alarm = false, ...more) => {
  const parts = [element("dt", {}, title), element("dd", { class: "figure" }, figure), element("dd", { class: "note" }, note)];
  return element("div", { class: alarm ? "tile alarm" : "tile" }, ...parts, ...more);
};

function tiles(project) {
  const { left_chosen: left, agreement, alpha } = project;
  const biased = left.n > 0 && !(left.low <= 0.5 && 0.5 <= left.high);
  return [
    pace(project.hours),
    tile("Median time a pair", seconds(project.median_seconds), "of the median rater"),
    tile("Raters agree", percent(agreement.value), range(agreement)),
    tile("Krippendorff’s alpha", alpha ? signed(alpha.value) : "–", alpha ? `${signed(alpha.low)} to ${signed(alpha.high)}; 1 is full agreement, 0 is chance` : "wants pairs with two judgements"),
    tile("Left side chosen", percent(left.value), biased ? `${range(left)}: one side is favoured` : range(left), biased),
  ];
}

function pace(hours) {
  const most = Math.max(1, ...hours.map(({ count }) => count));
  const bars = hours.map(({ hour, count }, i) => {
    const height = count ? Math.max(2, (44 * count) / most) : 1;
    const bar = svg("rect", { class: count ? "" : "none", x: 10 * i + 1, y: 46 - height, width: 8, height, rx: 1 });
    bar.append(svg("title", {}, `${new Date(hour).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}: ${count}`));
    return bar;
  });
  const total = hours.reduce((sum, { count }) => sum + count, 0);
  const chart = element("dd", {}, svg("svg", { viewBox: `0 0 ${10 * hours.length} 46`, preserveAspectRatio: "none", role: "img", "aria-label": `Judgements by hour, at most ${most}` }, ...bars));
  return element("div", { class: "tile" }, element("dt", {}, "Last 24 hours"), element("dd", { class: "figure" }, total.toLocaleString("en")), chart);
}

const counted = (share) => {
  if (!share?.n) return element("td", {}, "–");
  return element("td", { title: range(share) }, `${Math.round(100 * share.value)} % `, element("span", { class: "n" }, `of ${share.n}`));
};

function rows(project) {
  return project.raters.flatMap((rater) => {
    const again = element("button", { type: "button", class: "quiet" }, "New link");
    again.addEventListener("click", () => attempt(() => invite(project.id, rater.rater)));
    const out = element("button", { type: "button", class: "quiet" }, "Lock out");
    out.addEventListener("click", () => askRevoke(project.id, rater.rater));
    const acts = rater.link === "has a link" ? [again, out] : [again];
    const row = element("tr", {}, element("th", { scope: "row" }, rater.rater), element("td", {}, String(rater.judged)), element("td", {}, String(rater.skipped)),
      element("td", {}, seconds(rater.median_seconds)), counted(rater.agreement), counted(rater.left_chosen), counted(rater.ties), counted(rater.checks_right),
      counted(rater.repeats_same), element("td", { class: "words" }, rater.link), element("td", { class: "acts" }, ...acts));
    if (!rater.flags.length) return [row];
    const flags = element("ul", { "aria-label": `Suspicious about ${rater.rater}` }, ...rater.flags.map((words) => element("li", {}, words)));
    return [row, element("tr", { class: "flags" }, element("td", { colspan: 11 }, flags))];
  });
}

const HEADINGS = ["Rater", "Judged", "Skipped", "Median time", "Agrees", "Left chosen", "Ties", "Checks right", "Repeats alike", "Link", ""];

function section(project) {
  const parts = {
    bar: element("progress", { max: 1, value: 0, "aria-label": "Pairs finished" }), told: element("p", { class: "small soft" }),
    tiles: element("dl", { class: "tiles" }), body: element("tbody"), rows: "",
  };
  const name = element("input", { type: "text", id: `name-${project.id}`, maxlength: 200, required: "", autocomplete: "off" });
  const form = element("form", {}, element("label", { for: name.id }, "Invite a rater"), name, element("button", {}, "Make a link"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      await invite(project.id, name.value);
      name.value = "";
    });
  });
  const file = (kind, words) => element("a", { class: "button", href: `/api/admin/projects/${project.id}/export/${kind}`, download: "" }, words);
  const head = element("thead", {}, element("tr", {}, ...HEADINGS.map((words) => element("th", { scope: "col", ...(words === "Link" ? { class: "words" } : {}) }, words))));
  one("#projects").append(element("section", { class: "project", "aria-labelledby": `title-${project.id}` },
    element("h1", { id: `title-${project.id}` }, project.name), element("div", { class: "bar" }, parts.bar, parts.told), parts.tiles,
    element("h2", {}, "Raters"), element("div", { class: "wide", tabindex: 0, role: "region", "aria-label": `Raters of ${project.name}` }, element("table", {}, head, parts.body)),
    element("div", { class: "tools" }, form, element("div", {}, element("span", { class: "soft" }, "Export"), file("preferences", "Preferences for training"), file("records", "All judgements"))),
  ));
  shown.set(project.id, parts);
  return parts;
}

function show(project) {
  const parts = shown.get(project.id) ?? section(project);
  parts.bar.max = Math.max(1, project.pairs);
  parts.bar.value = project.finished;
  parts.told.textContent = `${project.finished.toLocaleString("en")} of ${project.pairs.toLocaleString("en")} pairs finished · ${project.judged.toLocaleString("en")} ${project.judged === 1 ? "judgement" : "judgements"}`;
  parts.tiles.replaceChildren(...tiles(project));
  const told = JSON.stringify(project.raters);
  if (told !== parts.rows) { // else a button would lose its focus every few seconds
    parts.rows = told;
    const made = rows(project);
    parts.body.replaceChildren(...(made.length ? made : [element("tr", {}, element("td", { colspan: 11, class: "soft" }, "Nobody yet: invite somebody below."))]));
  }
}

async function refresh() {
  for (const project of await get("/api/admin/projects")) show(project);
  one("#fresh").textContent = `as of ${new Date().toLocaleTimeString()}`;
}

async function invite(project, rater) {
  const made = await post(`/api/admin/projects/${project}/invite`, { rater });
  one("#new-link-title").textContent = `Link for ${made.rater}`;
  one("#link").value = made.link;
  one("#copy").textContent = "Copy";
  one("#new-link").showModal();
  one("#link").select();
  await refresh();
}

let toRevoke = null;
function askRevoke(project, rater) {
  toRevoke = { project, rater };
  one("#sure-title").textContent = `Lock ${rater} out?`;
  one("#sure").showModal();
}
one("#sure-yes").addEventListener("click", () => attempt(async () => {
  one("#sure").close();
  await post(`/api/admin/projects/${toRevoke.project}/revoke`, { rater: toRevoke.rater });
  await refresh();
}));
one("#sure-no").addEventListener("click", () => one("#sure").close());
one("#link-close").addEventListener("click", () => one("#new-link").close());
one("#new-link").addEventListener("close", () => { one("#link").value = ""; });
one("#copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(one("#link").value);
  one("#copy").textContent = "Copied";
});

await attempt(async () => {
  const token = tokenFromAddress();
  if (token) await post("/api/admin/sign-in", { token });
  await refresh();
});
setInterval(() => { if (!document.hidden) attempt(refresh); }, EVERY);
