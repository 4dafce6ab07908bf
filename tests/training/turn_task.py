"""A world of several turns: two words of the right remainder by 4, one after the other, open it."""

from __future__ import annotations

from dataclasses import dataclass

from foolsgold.environments.problems import Problem
from foolsgold.environments.turns import Step

NEEDED = 2


@dataclass(frozen=True)
class Lock:
    remainder: int
    found: int = 0


class Locks:
    name = "locks"

    def start(self, problems):
        return [Lock(problem.columns["remainder"]) for problem in problems]

    def prompt(self, state):
        return f"w{4 + state.remainder} w{20 + state.found}"

    def step(self, states, actions):
        return [self._step(state, action) for state, action in zip(states, actions, strict=True)]

    def _step(self, state, action):
        words = action.split()
        right = bool(words) and int(words[0][1:]) % 4 == state.remainder
        found = state.found + right
        solved = found == NEEDED
        return Step(Lock(state.remainder, found), solved, solved, found / NEEDED, "click" if right else "nothing")


PROBLEMS = [Problem(f"w{4 + i}", "", {"remainder": i}, "lock", 1) for i in range(4)]
