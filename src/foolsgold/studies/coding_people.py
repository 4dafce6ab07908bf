"""What the policy of the study `coding` imitates at first: people who write functions, mend them, and write tests.

What they read when they mend was really run.
"""

from __future__ import annotations

from random import Random

from foolsgold.environments.code_tasks.functions import Function
from foolsgold.environments.code_tasks.programmers import programmers
from foolsgold.environments.code_tasks.world import PROGRAMMERS, CodeTasks
from foolsgold.environments.problems import Problem
from foolsgold.rewards.verifiers.coding_loop import (
    MOST_TESTS,
    CodingLoop,
    Ran,
    head,
    hidden_checks,
    repair_prompt,
    tests_prompt,
)

Pair = tuple[str, str]
"""A prompt and what is to follow."""

Failures = dict[str, list[str]]
"""Lines that tell what went wrong, by the heads of functions."""

MENDED = 0.75
"""Share of repairs that are right for sure; the others are what somebody else would have written at first."""
BELIEVED = 0.3
"""Share of tests whose author expects what their own wrong function returns."""


def first_attempts(world: CodeTasks, n: int, seed: int) -> list[Pair]:
    """Problems as people answer them; about half of it is wrong."""
    return [(problem.prompt, body) for problem, body in world.demonstrations(n, seed)]


def repairs_and_tests(loop: CodingLoop, world: CodeTasks, n: int, seed: int) -> tuple[list[Pair], list[Pair], Failures]:
    """What people make of failures, and tests that they write, from `n` first attempts that are all run.

    Returns: (repairs of the attempts that fail a visible test; tests for each problem; failures that were read).

    Raises:
      VerifierFailure: the sandbox failed.
    """
    shown = world.demonstrations(n, seed)
    rng, people = Random(f"repairs {seed}"), programmers(PROGRAMMERS, 0)
    ran = loop.run([(problem, body, hidden_checks(problem)) for problem, body in shown])
    states = loop.start([problem for problem, _ in shown])
    steps = loop.step(states, [body for _, body in shown])
    repairs, tests, lines = list[Pair](), list[Pair](), Failures()
    for (problem, _), returned, step in zip(shown, ran, steps, strict=True):
        tests.append((tests_prompt(problem), _tests(problem, returned, rng)))
        if step.solved:
            continue
        lines.setdefault(head(problem), []).append(step.state.failure)
        person = people[int(rng.random() * len(people))]
        mended = rng.random() < MENDED
        fixed = problem.answer if mended else person.write(Function(*problem.family.split("/")), rng)
        repairs.append((repair_prompt(problem, step.state.attempt, step.state.failure), fixed))
    return repairs, tests, lines


def _tests(problem: Problem, ran: Ran | str, rng: Random) -> str:
    """Short calls; some authors expect what their own function returns, right or wrong."""
    checks = sorted(hidden_checks(problem), key=lambda each: len(repr(each.arguments)))[: 2 * MOST_TESTS]
    believed = rng.random() < BELIEVED
    lines = []
    for check in rng.sample(checks, min(MOST_TESTS, len(checks))):
        returned = None if isinstance(ran, str) else ran[repr(check)]
        own = believed and returned is not None and not returned.raised and not returned.timeout
        expected = returned.value if own and returned is not None else check.expected
        lines.append(
            f"assert {problem.columns['entry_point']}({', '.join(map(repr, check.arguments))}) == {expected!r}"
        )
    return "\n".join(lines)
