"""Episodes of the loop as lines of JSONL, and what is learned from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from foolsgold.environments.problems import Problem
from foolsgold.studies.coding_people import Pair
from foolsgold.studies.coding_plan import Teaching
from foolsgold.training.multi_turn import Episode, Turn, conversation, turns_to_imitate


def trace(episode: Episode, problem: Problem, hidden: bool) -> str:
    """A line in TRL's conversational form; `solved` is what the visible tests say, `hidden` what all of them do."""
    return json.dumps(conversation(episode, {"hidden": hidden, "problem": asdict(problem)}), ensure_ascii=False) + "\n"


def read_trace(line: str) -> tuple[Episode, bool]:
    """An episode without its tokens, and whether its last body passes all tests."""
    data = json.loads(line)
    said = [message["content"] for message in (*data["prompt"], *data["completion"])]
    rows = zip(said[::2], said[1::2], data["progress"], data["notes"], strict=True)
    return Episode(0, [Turn(*row) for row in rows], data["solved"]), data["hidden"]


def learned_from(teaching: Teaching, traces: Sequence[tuple[Episode, bool]]) -> list[Pair]:
    """Prompts with what is to follow, each once. Hidden tests choose for the teaching `hidden` alone."""
    if teaching == "hidden":
        return turns_to_imitate(replace(episode, solved=hidden) for episode, hidden in traces)
    pairs = turns_to_imitate(episode for episode, _ in traces)
    if teaching == "distilled":
        solved = [episode.turns for episode, _ in traces if episode.solved]
        # The last prompt of each repair stays: the next model may need to mend, too.
        mended = [(turns[-1].prompt, turns[-1].action) for turns in solved]
        at_once = [(turns[0].prompt, turns[-1].action) for turns in solved]
        pairs = list(dict.fromkeys([*mended, *at_once]))
    return pairs
