"""Seeded inputs for a Java method, made from its signature and the literals in its source."""

from __future__ import annotations

import math
import random
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

from foolsgold.rewards.verifiers.java_types import BITS, JavaType, Signature

_SIZE = re.compile(r"(n|m|len|length|size|rows?|cols?|columns?)\d*", re.IGNORECASE)
_LAST = re.compile(r"(h|hi|high|r|right|end|last|j)\d*", re.IGNORECASE)
_ASCII = ("ab", "01", "abcdefgh", "abcxyzABCXYZ", "0123456789", "()[]{}", "aA1 -+*/.,_#", "aeiou bcd")
_ALPHABETS = (*_ASCII, "abcé ж中")
"""Letters beyond 16 bits are left out: Java counts each as two chars."""
_LENGTHS = (0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12)
Draw = Callable[[], Any]


class InputMaker:
    """Draws arguments; the same seed gives the same ones on every machine."""

    def __init__(
        self,
        signature: Signature,
        literals: Sequence[int | float | str] = (),
        seed: int | str | bytes = 0,
        largest: int | None = None,
    ):
        """
        Args:
          literals: of the method's source; some inputs are these or next to them.
          largest: of all integers and floating-point numbers, by their absolute value, and with it no letter is beyond
            ASCII; None goes up to the bounds of each type, to infinity and NaN.
        """
        self._signature = signature
        self._random = random.Random(seed)
        self._largest = largest
        self._alphabets = _ALPHABETS if largest is None else _ASCII
        self._numbers = [each for each in literals if isinstance(each, (int, float))]
        self._texts = [each for each in literals if isinstance(each, str)]

    def calls(self, n: int) -> list[list[Any]]:
        """Arguments of `n` calls; the first ones are small or empty."""
        return [self._call(i) for i in range(n)]

    def _call(self, number: int) -> list[Any]:
        rng = self._random
        values: list[Any] = []
        lengths: list[int] = []
        related = rng.random() < 0.75  # in the rest integers know nothing of the arrays beside them
        types, names = self._signature.parameters, self._signature.names
        for type_ in types:
            earlier = [each for each, other in zip(values, types, strict=False) if other == type_]
            if type_.kind in ("array", "list", "String"):
                value = self._echo(earlier[-1]) if earlier and rng.random() < 0.3 else self._value(type_, number)
                lengths += _lengths(value)
            else:
                value = self._value(type_, number)
            values.append(value)
        if lengths and related:
            self._relate(values, types, names, lengths)
        return values

    def _relate(
        self, values: list[Any], types: Sequence[JavaType], names: Sequence[str], lengths: Sequence[int]
    ) -> None:
        """Makes integers lengths of, places in or elements of the sequences beside them, as methods expect them."""
        rng = self._random
        waiting = list(lengths)
        elements = [each for value in values for each in _flat(value) if type(each) is int]
        for i, type_ in enumerate(types):
            if type_.kind not in BITS:
                continue
            low, high = self._range(type_.kind)
            draw = rng.random()
            if waiting and draw < (0.9 if _SIZE.fullmatch(names[i]) else 0.3):
                values[i] = min(waiting.pop(0), high)
            elif draw < (0.8 if _LAST.fullmatch(names[i]) else 0.35):
                values[i] = min(max(lengths[0] - 1, 0), high)
            elif draw < 0.6:
                values[i] = rng.randint(0, min(max(lengths), high))
            elif draw < 0.9 and elements:
                # Methods look for elements, and for pairs that add up to something.
                values[i] = min(max(sum(rng.choices(elements, k=rng.choice((1, 1, 2, 3)))), low), high)

    def _echo(self, value: Any) -> Any:
        """The value of an earlier argument again, or a part of it: texts with their patterns, equal lists."""
        low, high = sorted(self._random.randint(0, len(value)) for _ in range(2))
        part = value if self._random.random() < 0.5 else value[low:high]
        return part if isinstance(part, str) else _copy(part)

    def _value(self, type_: JavaType, number: int) -> Any:
        return self._draws(type_, number)()

    def _draws(self, type_: JavaType, number: int) -> Draw:
        """A function that draws values of one style: elements of one list have much in common."""
        rng, kind = self._random, type_.kind
        if kind in BITS or kind == "BigInteger":
            return self._integers(kind, number)
        if kind in ("float", "double"):
            return lambda: self._float(kind)
        if kind == "boolean":
            return lambda: rng.random() < 0.5
        if kind == "char":
            singles = [each for each in self._texts if len(each) == 1] or ["a"]
            letters = rng.choice(self._alphabets)
            return lambda: rng.choice(singles) if rng.random() < 0.3 else rng.choice(letters)
        if kind in ("String", "StringBuilder"):
            return lambda: self._text(number)
        if kind == "map":
            return lambda: dict(
                zip(self._many(type_.of[0], number, distinct=True), self._many(type_.of[1], 9, size=12), strict=False)
            )
        if kind == "set":
            return lambda: set(self._many(type_.of[0], number, distinct=True))
        if type_.of[0].kind in ("array", "list"):
            return lambda: self._table(type_.of[0], number)
        return lambda: self._many(type_.of[0], number)

    def _integers(self, kind: str, number: int) -> Draw:
        rng = self._random
        low, high = _bounds(kind)
        edges = [0, 1, -1, 2, low, high, low + 1, high - 1]
        near = [int(each) + step for each in self._numbers if abs(each) < 2**63 for step in (-1, 0, 1)] or [0]
        few = [rng.randint(-3, 9) for _ in range(2)]
        styles: list[Draw] = [
            lambda: rng.randint(0, 9),
            lambda: rng.randint(1, 30),
            lambda: rng.randint(-9, 9),
            lambda: rng.randint(-100, 1000),
            lambda: rng.randint(0, 1),
            lambda: rng.choice(few),
            lambda: rng.choice(near),
            lambda: rng.choice(edges),
            lambda: rng.randint(low, high),
        ]
        weights = [5, 2, 5, 3, 1, 2, 3, 2, 2] if number > 1 else [1, 0, 0, 0, 1, 0, 0, 0, 0]
        draw = rng.choices(styles, weights)[0]
        least, most = self._range(kind)
        return lambda: min(max(draw(), least), most)

    def _range(self, kind: str) -> tuple[int, int]:
        low, high = _bounds(kind)
        return (low, high) if self._largest is None else (max(low, -self._largest), min(high, self._largest))

    def _float(self, kind: str) -> float:
        rng = self._random
        value = rng.choice(
            [
                float(rng.randint(-9, 9)),
                rng.uniform(-10, 10),
                round(rng.uniform(0, 100), 2),
                rng.uniform(-1e4, 1e4),
                rng.choice([0.0, -0.0, 0.5, 1.0, -1.0, 1e-9]),
                float(rng.choice(self._numbers or [2.5])),
                rng.choice([1e30, -1e30, float("inf"), float("-inf"), float("nan"), 1e18, -2.5]),
            ]
        )
        if self._largest is not None:
            value = min(max(value if value == value else 0.0, -self._largest), self._largest)
        if kind == "double":
            return value
        # A float argument is one that 32 bits hold, so that both sides start from the same number.
        return struct.unpack(">f", struct.pack(">f", value if abs(value) < 3e38 else math.copysign(math.inf, value)))[0]

    def _text(self, number: int) -> str:
        rng = self._random
        if self._texts and rng.random() < 0.15:
            return rng.choice(self._texts)
        alphabet = rng.choice(self._alphabets)
        text = "".join(rng.choice(alphabet) for _ in range(_LENGTHS[number] if number < 2 else rng.choice(_LENGTHS)))
        shape = rng.random()
        if shape < 0.15:
            return text[:6] + text[:6][::-1]
        return text[:3] * rng.randint(2, 4) if shape < 0.25 else text

    def _many(self, type_: JavaType, number: int, size: int | None = None, distinct: bool = False) -> list[Any]:
        """A list of values of one style, sometimes sorted, one way or the other."""
        rng = self._random
        draw = self._draws(type_, max(number, 2))
        if size is None:
            size = _LENGTHS[number] if number < 2 else rng.choice(_LENGTHS)
        values = [draw() for _ in range(size)]
        if distinct:
            values = list(dict.fromkeys(tuple(each) if isinstance(each, list) else each for each in values))
        order = rng.random()
        if order < 0.35 and type_.kind in (*BITS, "char", "String", "double", "float"):
            values.sort(reverse=order < 0.07)
        return values

    def _table(self, row: JavaType, number: int) -> list[list[Any]]:
        """Rows of one length, square more often than not; a few tables are ragged."""
        rng = self._random
        if number == 0:
            return []
        rows = rng.choice((1, 2, 3, 3, 4, 5))
        columns = rows if rng.random() < 0.6 else rng.choice((1, 2, 3, 4, 5))
        ragged = rng.random() < 0.05
        if row.of[0].kind in ("array", "list"):
            return [self._table(row.of[0], 2) for _ in range(rows)]
        return [self._many(row.of[0], 2, rng.randint(0, columns) if ragged else columns) for _ in range(rows)]


def _bounds(kind: str) -> tuple[int, int]:
    bits = BITS.get(kind, 96)
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def _lengths(value: Any) -> list[int]:
    """Of a sequence, then of its first row."""
    inner = value[0] if isinstance(value, list) and value and isinstance(value[0], list) else None
    return [len(value)] if inner is None else [len(value), len(inner)]


def _flat(value: Any) -> list[Any]:
    return [each for part in value for each in _flat(part)] if isinstance(value, list) else [value]


def _copy(value: Any) -> Any:
    return [_copy(each) for each in value] if isinstance(value, list) else value
