"""What the labelling page is told of a place: two candidates as plain data that it draws, and nothing that gives away
who wrote them, which answer is known, or on which side they were stored.

Contents by kind:
  {"kind": "text", "text": …}
  {"kind": "conversation", "turns": [{"role": …, "text": …}]}
  {"kind": "diff", "lines": [[sign, text]]}, sign one of "+", "-", " ", "@" (heading) and "*" (the other lacks it)
  {"kind": "go", "size": N, "stones": "..XO…" of N * N points, "taken": [by Black, by White] or null,
   "game": null or {"stones": before the first move, "steps": [{"color", "at": action, "taken": [actions]}]}}; to pass
   is null
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import Any

import numpy as np

from foolsgold.environments.go.rules import BLACK, EMPTY
from foolsgold.environments.go.sgf import read_game, replay
from foolsgold.errors import UserError
from foolsgold.labels.exchange.rows import content_of
from foolsgold.labels.labelling import Display, Place
from foolsgold.policies.messages import plain

_BOARD = re.compile(r"([.XO]+(?:/[.XO]+)+)(?: (\d{1,4})-(\d{1,4}))?")
_SIGNS = np.array([".", "X", "O"])
_UNIFIED = re.compile(r"^(?:@@ |diff --git |--- )", re.MULTILINE)

Content = dict[str, Any]


def view(place: Place) -> dict[str, Any]:
    """The place as the page draws it: id, display, prompt, left and right."""
    left, right, base = place.left, place.right, place.details.get("base")
    if place.display == "go":
        moves = [place.details.get(name) for name in ("moves_a", "moves_b")]
        shown = [_go(text, sgf) for text, sgf in zip((left, right), moves[:: -1 if place.swapped else 1], strict=True)]
    elif place.display == "diff":
        shown = [_diff(left, right, base), _diff(right, left, base)]
    else:
        shown = [_words(text, "assistant", place.display) for text in (left, right)]
    prompt = _words(place.prompt, "user", place.display)
    return {"id": place.id, "display": place.display, "prompt": prompt, "left": shown[0], "right": shown[1]}


def _words(stored: str, speaker: str, display: Display) -> Content:
    content = content_of(stored)
    if isinstance(content, str):
        if display != "conversation":
            return {"kind": "text", "text": content}
        content = [{"role": speaker, "content": content}]
    return {"kind": "conversation", "turns": [{"role": turn["role"], "text": plain([turn])} for turn in content]}


def _diff(text: str, other: str, base: object) -> Content:
    """A unified diff as it is; else the text beside what it was made from; else beside the other candidate."""
    if _UNIFIED.search(text):
        return {"kind": "diff", "lines": [_unified(line) for line in text.splitlines()]}
    if isinstance(base, str):
        return {"kind": "diff", "lines": _changes(base, text)}
    own = [("*" if sign == "+" else sign, line) for sign, line in _changes(other, text) if sign != "-"]
    return {"kind": "diff", "lines": own}


def _changes(before: str, after: str) -> list[tuple[str, str]]:
    """The lines of both, each with "-", "+" or " "."""
    old, new = before.splitlines(), after.splitlines()
    lines = []
    for _, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        kept = old[i:j] == new[k:m]
        lines += [(" " if kept else "-", line) for line in old[i:j]]
        lines += [("+", line) for line in new[k:m] if not kept]
    return lines


def _unified(line: str) -> tuple[str, str]:
    if line.startswith(("@@", "diff ", "index ", "--- ", "+++ ")):
        return "@", line
    return (line[0], line[1:]) if line[:1] in ("+", "-", " ") else (" ", line)


def _go(text: str, sgf: object) -> Content:
    """A board, with the moves of the game record that led there if it did; as plain text where it is no board."""
    board = _BOARD.fullmatch(text.strip())
    rows = board[1].split("/") if board else []
    if board is None or {len(row) for row in rows} != {len(rows)} or len(rows) > 25:
        return {"kind": "text", "text": text}
    stones = "".join(rows)
    game = _game(sgf) if isinstance(sgf, str) else None
    if game is not None and game["end"] != stones:
        game = None  # a record that leads somewhere else would mislead
    return {
        "kind": "go",
        "size": len(rows),
        "stones": stones,
        "taken": [int(board[2]), int(board[3])] if board[2] else None,
        "game": game and {"stones": game["start"], "steps": game["steps"]},
    }


@functools.lru_cache(512)
def _game(sgf: str) -> dict[str, Any] | None:
    """The record move by move, None where it cannot be replayed."""
    try:
        record = read_game(sgf)
        grids = [board.grid.ravel() for board in replay(record)]
    except UserError:
        return None
    steps = []
    for (color, action), before, after in zip(record.moves, grids[:-1], grids[1:], strict=True):
        gone = np.flatnonzero((before != EMPTY) & (after == EMPTY))
        point = None if action == record.size**2 else action
        steps.append({"color": "black" if color == BLACK else "white", "at": point, "taken": gone.tolist()})
    return {"start": _stones(grids[0]), "end": _stones(grids[-1]), "steps": steps}


def warm_up() -> None:
    """Load the compiled rules of Go, so that the first rater need not wait for them."""
    _game("(;GM[1]SZ[5];B[aa])")


def _stones(grid: np.ndarray) -> str:
    return "".join(_SIGNS[grid])
