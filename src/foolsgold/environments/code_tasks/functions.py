"""Functions put together from parts: their descriptions, their bodies and what they really return."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from foolsgold.environments.code_tasks.parts import AFTER, BEFORE, MAPS, RESULTS, SOURCES, Part
from foolsgold.environments.problems import Split

T = TypeVar("T")
INDENT = "    "
_HELD_OUT = 5
"""One family in so many is of the test split."""
GRADES = (1, 2, 3, 4)

Write = Callable[[str, Part], str]
"""Says for a part, by its table and itself, how it is written."""


@dataclass(frozen=True)
class Function:
    """Names of the parts; empty for a filter that is not there."""

    source: str
    before: str
    after: str
    made: str
    result: str

    @property
    def parts(self) -> dict[str, Part]:
        """The parts by the table they are of, in the order of the description's making."""
        found = {"source": SOURCES[self.source]}
        if self.before:
            found["before"] = BEFORE[self.before]
        if self.after:
            found["after"] = AFTER[self.after]
        return {**found, "made": MAPS[self.made], "result": RESULTS[self.result]}

    @property
    def family(self) -> str:
        """The structure: all that is not a number."""
        return "/".join((self.source, self.before, self.after, self.made, self.result))

    @property
    def grade(self) -> int:
        """How many parts are not plain, at least 1 and at most 4."""
        return min(max(sum(not part.plain for part in self.parts.values()), 1), GRADES[-1])

    @property
    def split(self) -> Split:
        """Families of more than one part that is not plain are held out by a fixed hash; the others are for training,
        so that each part is met there.
        """
        held_out = self.grade > 1 and zlib.crc32(self.family.encode()) % _HELD_OUT == 0
        return "test" if held_out else "train"

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the arguments: the list, the text, then numbers."""
        needed = "".join(part.parameters for part in self.parts.values())
        return tuple(name for name in "asmjnk" if name in needed)

    @property
    def prompt(self) -> str:
        """A comment that says what is to be returned, and the function's head."""
        parts = self.parts
        before, after = (parts[name].text if name in parts else "" for name in ("before", "after"))
        numbers = parts["made"].text + parts["source"].text.format(before, after)
        return f"# {parts['result'].text.format(numbers)}\ndef f({', '.join(self.parameters)}):\n"

    def body(self, write: Write | None = None) -> str:
        """The function's body, its parts written as `write` says, or faithfully."""
        parts = self.parts
        form = write or (lambda table, part: part.forms[0])
        texts = {name: form(name, part) for name, part in parts.items()}
        lines, items = [], texts["source"]
        if items.startswith(("[", "list(")):
            lines, items = [f"b = {items}"], "b"
        filters = [texts[name] for name in ("before", "after") if texts.get(name)]
        if filters or texts["made"] != "x":
            condition = f" if {' and '.join(filters)}" if filters else ""
            lines.append(f"b = [{texts['made']} for x in {items}{condition}]")
            items = "b"
        if items not in ("a", "b"):
            lines.append(f"b = {items}")
            items = "b"
        result = texts["result"].format(b=items)
        lines += result.split("\n") if "\n" in result else [f"return {result}"]
        return "\n".join(INDENT + line for line in lines)

    def truth(self, arguments: Sequence[Any]) -> Any:
        """What the description asks for."""
        scope, parts = dict(zip(self.parameters, arguments, strict=True)), self.parts
        filters = [parts[name] for name in ("before", "after") if name in parts]
        numbers = [x for x in parts["source"].truth(scope) if all(each.truth(x, scope) for each in filters)]
        return parts["result"].truth([parts["made"].truth(x) for x in numbers])


def some_function(split: Split, rng: Random) -> Function:
    """A function of the split's families, of a grade that is as likely as any other of the split's."""
    grade = _pick(rng, GRADES if split == "train" else GRADES[1:])
    while True:
        function = Function(
            "all" if rng.random() < 0.4 else _pick(rng, tuple(SOURCES)),
            "" if rng.random() < 0.5 else _pick(rng, tuple(BEFORE)),
            "" if rng.random() < 0.5 else _pick(rng, tuple(AFTER)),
            "itself" if rng.random() < 0.4 else _pick(rng, tuple(MAPS)),
            _pick(rng, tuple(RESULTS)),
        )
        if function.grade == grade and function.split == split:
            return function


def _pick(rng: Random, items: Sequence[T]) -> T:
    return items[int(rng.random() * len(items))]
