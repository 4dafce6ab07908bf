// Plays every game on the page. The board drawn by the page is the final position; here only its stones change.
"use strict";
for (const root of document.querySelectorAll(".replay")) {
  const { size, steps } = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
  const all = (selector) => root.querySelectorAll(selector);
  const one = (selector) => root.querySelector(selector);
  const board = one("svg.board"), slider = one("input"), play = one('[data-do="play"]');
  const { id, cell, margin } = board.dataset;
  const end = steps.length - 1;
  const color = { 1: "black", 2: "white" };
  let at = end, timer = null;

  const piece = (look, kind, point) => {
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("class", look);
    use.setAttribute("href", `#${id}-${kind}`);
    use.setAttribute("x", +margin + cell * (point % size));
    use.setAttribute("y", +margin + cell * Math.floor(point / size));
    return use;
  };

  const show = (index) => {
    at = Math.max(0, Math.min(end, index));
    const step = steps[at], stones = [];
    for (let p = 0; p < size * size; p++) {
      const name = color[step.stones[p]];
      if (name) stones.push(piece("stone " + name, name, p));
    }
    board.querySelector(".stones").replaceChildren(...stones);
    const ringed = step.last >= 0 && color[step.stones[step.last]];
    board.querySelector(".marks").replaceChildren(...(ringed ? [piece("last", "last-" + ringed, step.last)] : []));
    board.setAttribute("aria-label", `Position after move ${step.move}: ${step.said}`);
    one(".said").textContent = step.said;
    one(".move").textContent = step.move;
    one(".caption").textContent = step.caption;
    all(".taken").forEach((place, i) => { place.textContent = step.taken[i]; });
    all(".value").forEach((place, i) => { place.textContent = step.values[i]; });
    one(".cursor")?.setAttribute("d", `M${at} 0V100`);
    slider.value = at;
    slider.setAttribute("aria-valuetext", `move ${step.move}: ${step.said}`);
  };

  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.setAttribute("aria-pressed", "false");
    one(".replay-words").setAttribute("aria-live", "polite");
  };
  const start = () => {
    if (at === end) show(0);
    timer = setInterval(() => { show(at + 1); if (at === end) stop(); }, 900);
    play.setAttribute("aria-pressed", "true");
    one(".replay-words").setAttribute("aria-live", "off"); // a voice cannot keep up with a game that plays itself
  };
  const go = {
    first: () => show(0), back: () => show(at - 1), next: () => show(at + 1), last: () => show(end),
    play: () => (timer ? stop() : start()),
  };
  const act = (name) => { if (name !== "play" && timer) stop(); go[name](); };

  all("[data-do]").forEach((button) => button.addEventListener("click", () => act(button.dataset.do)));
  slider.addEventListener("input", () => { if (timer) stop(); show(+slider.value); });
  const keys = { ArrowLeft: "back", ArrowRight: "next", Home: "first", End: "last", " ": "play" };
  root.addEventListener("keydown", (event) => {
    const name = keys[event.key];
    if (!name || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target === slider && name !== "play") return; // the slider has these keys already
    if (event.target.tagName === "BUTTON" && name === "play") return; // space presses the button
    event.preventDefault();
    act(name);
  });
  one(".plot-box svg")?.addEventListener("click", (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    if (timer) stop();
    show(Math.round((end * (event.clientX - box.left)) / box.width));
  });

  addEventListener("beforeprint", () => { if (at === 0) show(end); }); // an empty board tells a reader of paper nothing
  one(".controls").hidden = false;
  show(0);
}
