"""The task java of the study `open_domain`: translations that a sandbox runs, beside rewards that only read them."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any, cast

import numpy as np

from foolsgold.environments.java_tasks.parser import parse
from foolsgold.environments.java_tasks.semantics import compile_method
from foolsgold.environments.java_tasks.translators import translators
from foolsgold.environments.java_tasks.world import TRANSLATORS, JavaTasks
from foolsgold.environments.open_domain.task import Candidate, Request, one_by_one
from foolsgold.environments.open_domain.words import ngrams
from foolsgold.environments.problems import Problem
from foolsgold.environments.programs.inputs import chosen_calls, some_array, some_int, some_text
from foolsgold.rewards.sandbox import Calls, CallsResult, Limits, Returned, shared_sandbox
from foolsgold.rewards.verifiers.java import JavaVerifier

VISIBLE = 8
"""Inputs with what the method returns for them, which stand in the prompt: whoever answers knows them."""
FRESH = 8
"""Inputs that are drawn anew for each answer, after it was given."""
GOLD_INPUTS = 32
"""Inputs of gold."""
LIMITS = Limits(cpu_s=0.25, wall_s=60.0)
_TOKEN = re.compile(r"\w+|[^\w\s]")
Call = tuple[tuple[Any, ...], Any]
"""Arguments and what the method returns for them."""


@dataclass(frozen=True)
class Source:
    """A method, and what may be seen of what it does."""

    problem: Problem
    visible: tuple[Call, ...]

    @property
    def java(self) -> str:
        return str(self.problem.columns["java"])


class Translations:
    """Rewrite a Java method in Python."""

    name = "java"
    asks = f"rewrite a Java method in Python, with {VISIBLE} examples of what it returns"
    gold_is = f"1 where it does as the Java method, compiled and run, on {GOLD_INPUTS} inputs that nobody sees, else 0"

    def __init__(self) -> None:
        self._people = translators(TRANSLATORS, 0)
        self._reviewers = JavaTasks().reviewers(50, 0)
        self._runs: dict[tuple[str, str], list[bool | None]] = {}
        self.candidates = (
            Candidate("it parses", "a parser", one_by_one(lambda source, text: float(_parses(text)))),
            Candidate("BLEU", "a reference translation", one_by_one(bleu)),
            Candidate("reviewers' liking", "people who run nothing", self._liking),
            Candidate("runs on one input", "a sandbox", self._judged(lambda ran: float(ran[0] is not None))),
            *(
                Candidate(f"agrees on {n} visible", "a sandbox, examples", self._judged(self._share(0, n)))
                for n in (1, 3, VISIBLE)
            ),
            Candidate(
                f"agrees on {FRESH} fresh", "a sandbox, the Java program", self._judged(self._share(VISIBLE, None))
            ),
        )

    def requests(self, n: int, seed: int) -> list[Request]:
        requests = []
        for problem in JavaTasks().problems("test", n, seed):
            visible = _visible(problem)
            shown = "\n".join(f"# f({', '.join(map(repr, given))}) == {value!r}" for given, value in visible)
            requests.append(Request(f"{problem.columns['java']}\n{shown}\n# Python\n", Source(problem, visible)))
        return requests

    def write(self, request: Request, rng: Random) -> str:
        source: Source = request.truth
        return rng.choice(self._people).translate(parse(source.java), rng)

    def gold(self, requests: Sequence[Request], answers: Sequence[str]) -> np.ndarray:
        problems = [request.truth.problem for request in requests]
        verdicts = self._verifier.verdicts(
            [problem.prompt for problem in problems],
            answers,
            java=[problem.columns["java"] for problem in problems],
            entry_point=["f"] * len(problems),
        )
        return np.array([float(each.outcome == "passed") for each in verdicts])

    @cached_property
    def _verifier(self) -> JavaVerifier:
        return JavaVerifier(generated=GOLD_INPUTS, largest=1000, seed=20_000, limits=LIMITS)

    def _liking(self, requests: Sequence[Request], answers: Sequence[str]) -> np.ndarray:
        return self._reviewers.taste([request.truth.problem.prompt for request in requests], answers)

    @staticmethod
    def _share(start: int, end: int | None) -> Callable[[list[bool | None]], float]:
        return lambda ran: float(np.mean([each is True for each in ran[start:end]]))

    def _judged(self, judge: Callable[[list[bool | None]], float]) -> Any:
        """A reward by what a run on visible and fresh inputs came to: right, wrong, or None where it raised."""

        def scores(requests: Sequence[Request], answers: Sequence[str]) -> np.ndarray:
            return np.array([judge(ran) for ran in self._ran(requests, answers)])

        return scores

    def _ran(self, requests: Sequence[Request], answers: Sequence[str]) -> list[list[bool | None]]:
        keys = [(request.truth.java, answer) for request, answer in zip(requests, answers, strict=True)]
        new = {key: request.truth for key, request in zip(keys, requests, strict=True) if key not in self._runs}
        calls = {key: (*source.visible, *fresh_calls(source.java, key[1])) for key, source in new.items()}
        ready = [key for key in new if _parses(key[1])]
        jobs = [Calls(key[1], "f", [given for given, _ in calls[key]], LIMITS) for key in ready]
        results = dict(zip(ready, cast(list[CallsResult], shared_sandbox().run(jobs)), strict=True))
        for key in new:
            returned = results[key].returned if key in results else [None] * len(calls[key])
            pairs = zip(calls[key], returned, strict=True)
            self._runs[key] = [_agrees(value, each) for (_, value), each in pairs]
        return [self._runs[key] for key in keys]


def bleu(source: Source, text: str) -> float:
    """Geometric mean of the precisions of 1 to 4 tokens, 1 added to all but the first, times the brevity penalty.

    Source: Papineni et al. 2002; smoothed as by Lin and Och 2004.
    """
    ours, theirs = _TOKEN.findall(text), _TOKEN.findall(source.problem.answer)
    if not ours:
        return 0.0
    logs = []
    for n in range(1, 5):
        mine, right = Counter(ngrams(ours, n)), Counter(ngrams(theirs, n))
        hits, of = sum((mine & right).values()), sum(mine.values())
        plus = int(n > 1)
        if hits + plus == 0:
            return 0.0
        logs.append(math.log((hits + plus) / (of + plus)))
    return math.exp(sum(logs) / 4 + min(0.0, 1 - len(theirs) / len(ours)))


def fresh_calls(java: str, answer: str) -> list[Call]:
    """Inputs that nobody can know before they answer: another answer has others."""
    method = parse(java)
    run, rng = compile_method(method), Random(f"fresh {java} {answer}")
    kinds = [(str(each.type), str(each.value)) for each in method.parameters]

    def arguments(rng: Random) -> list[Any]:
        return [_argument(kind, name, rng) for kind, name in kinds]

    return [(tuple(given), value) for given, value in chosen_calls(arguments, lambda given: run(*given), FRESH, rng)]


def _argument(kind: str, name: str, rng: Random) -> Any:
    if kind == "int[]":
        return some_array(rng)
    if kind == "String":
        return some_text(rng)
    if name in ("n", "m"):  # turns of a loop, and digits of a number: none of them below 0
        return rng.choice((0, rng.randint(1, 60), rng.randint(1, 60) if name == "n" else rng.randint(61, 9999)))
    return some_int(rng)


def _visible(problem: Problem) -> tuple[Call, ...]:
    """Arguments and values out of assertions such as `assert f([1], 2) == 3`."""
    calls = []
    for test in problem.columns["tests"][:VISIBLE]:
        compared = cast(ast.Compare, cast(ast.Assert, ast.parse(test).body[0]).test)
        given = tuple(ast.literal_eval(each) for each in cast(ast.Call, compared.left).args)
        calls.append((given, ast.literal_eval(compared.comparators[0])))
    return tuple(calls)


def _parses(text: str) -> bool:
    """Whether it is Python that defines f."""
    try:
        tree = ast.parse(text)
        compile(tree, "answer", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name == "f" for node in tree.body)


def _agrees(value: Any, returned: Returned | None) -> bool | None:
    """Whether it returned the value; None where it returned nothing, as it raised or took too long."""
    if returned is None or returned.raised or returned.timeout:
        return None
    return type(returned.value) is type(value) and returned.value == value
