"""Arguments to call small functions with, and tests made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

TRIES = 24
"""Calls tried for the tests of a function."""


def some_int(rng: Random) -> int:
    """Small more often than not, negative as often as positive."""
    return rng.choice((0, 1, rng.randint(-9, 9), rng.randint(-9, 9), rng.randint(-30, 30), rng.randint(-99, 99)))


def some_array(rng: Random) -> list[int]:
    """Up to nine numbers, some of them alike."""
    pool = [some_int(rng) for _ in range(6)]
    return [rng.choice(pool) for _ in range(rng.choice((0, 1, 2, 3, 5, 7, 8, 9)))]


def some_text(rng: Random, letters: str = "aabbcdmxyzAZ019-") -> str:
    """Up to nine letters of `letters`."""
    return "".join(rng.choice(letters) for _ in range(rng.choice((0, 1, 2, 4, 6, 8, 9))))


def chosen_calls(
    draw: Callable[[Random], list[Any]], run: Callable[[list[Any]], Any], n: int, rng: Random
) -> list[tuple[list[Any], Any]]:
    """Up to `n` calls and what they return, as different from each other as `TRIES` draws allow.

    Args:
      run: what is returned for arguments; it may change them, and raises ValueError where there is nothing to return.
    """
    seen: dict[str, list[tuple[list[Any], Any]]] = {}
    known = set()
    for _ in range(TRIES):
        arguments = draw(rng)
        if repr(arguments) in known:
            continue
        known.add(repr(arguments))
        try:
            value = run([list(each) if isinstance(each, list) else each for each in arguments])
        except ValueError:
            continue
        seen.setdefault(repr(value), []).append((arguments, value))
    groups = list(seen.values())
    calls: list[tuple[list[Any], Any]] = []
    while groups and len(calls) < n:
        calls += [group.pop(0) for group in groups]
        groups = [group for group in groups if group]
    return calls[:n]


def as_tests(entry: str, calls: Sequence[tuple[list[Any], Any]]) -> list[str]:
    """One assertion a call."""
    return [f"assert {entry}({', '.join(map(repr, arguments))}) == {value!r}" for arguments, value in calls]
