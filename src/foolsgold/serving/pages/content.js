// Prompts and candidates as elements. What models wrote becomes text nodes, nothing else.
import { Goban } from "./board.js";
import { element } from "./dom.js";

const text = (words) => element("div", { class: "text", dir: "auto" }, words);

function conversation({ turns }) {
  const known = ["user", "assistant", "system"];
  return element("ul", { class: "turns" }, ...turns.map(({ role, text: words }) =>
    element("li", { class: known.includes(role) ? role : "other" }, element("b", {}, role), text(words))));
}

const SIGNS = { "+": ["added", "added"], "-": ["removed", "removed"], "*": ["differs", "only here"], "@": ["heading", ""] };

function diff({ lines }) {
  return element("pre", { class: "diff", tabindex: "0" }, ...lines.map(([sign, words]) => {
    const [look, said] = SIGNS[sign] ?? ["", ""];
    const line = element("span", { class: look, "data-sign": sign === "@" ? "" : sign.replace("*", "≠") });
    if (said) line.append(element("i", { class: "unseen" }, said + ": "));
    line.append(words + "\n");
    return line;
  }));
}

// Returns {node, goban}: the element, and the board in it where there is one.
export function draw(content, name) {
  if (content.kind === "go") {
    const goban = new Goban(content, name);
    return { node: goban.node, goban };
  }
  const node = content.kind === "conversation" ? conversation(content) : content.kind === "diff" ? diff(content) : text(content.text);
  return { node, goban: null };
}

// Guidelines: paragraphs, "- " for lists.
export function prose(words) {
  return words.split(/\n\s*\n/).filter((part) => part.trim()).map((part) => {
    const lines = part.trim().split("\n");
    if (lines.every((line) => /^\s*[-*] /.test(line))) {
      return element("ul", {}, ...lines.map((line) => element("li", {}, line.replace(/^\s*[-*] /, ""))));
    }
    return element("p", { class: "text" }, part.trim());
  });
}
