"""How far given translations agree with their Java methods, and why not where they do not."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox import Sandbox
from foolsgold.rewards.verifiers.java import JavaProblem, JavaVerifier
from foolsgold.rewards.verifiers.java_causes import Disagreement, causes
from foolsgold.rewards.verifiers.java_compare import difference, disagreement

Origin = Literal["given", "generated"]

SLOT = re.compile(r"^\s*(?://|#)\s*TOFILL", re.MULTILINE)
"""Where a file of the TransCoder test set has room for another translation."""


@dataclass(frozen=True)
class Pair:
    """A Java method with a translation."""

    name: str
    problem: JavaProblem
    python: str


@dataclass(frozen=True)
class Agreement:
    """Of one pair on the inputs of one origin."""

    name: str
    origin: Origin
    agreed: int
    """Inputs on which both did the same."""
    of: int
    """Inputs compared; none where Java ended on none."""
    dropped: dict[str, int]
    """Inputs that Java had too little for, by what it was."""
    line: str = ""
    """The first disagreement, or why nothing could be compared."""
    cause: str = ""
    """Of it; empty where there is none."""


def transcoder_pairs(folder: Path) -> list[Pair]:
    """Parallel functions of TransCoder's test set (Rozière et al. 2020): `java/NAME.java` and `python/NAME.py`.

    The method stands before the slot; inputs are the literals of the Python file's list `param`.

    Raises:
      UserError: the folder holds no such files.
    """
    pairs = []
    for java in sorted(folder.rglob("java/*.java")):
        python = java.parents[1] / "python" / f"{java.stem}.py"
        if not python.is_file():
            continue
        body = SLOT.split(java.read_text())[0]
        opening = re.search(r"^(?:public )?class \w+\s*\{", body, re.MULTILINE)
        if opening is None:
            raise UserError(f"{java} has no class before its slot")
        inputs = _parameters(python.read_text())
        problem = JavaProblem(body[opening.end() :], "f_gold", "", inputs)
        pairs.append(Pair(java.stem, problem, SLOT.split(python.read_text())[0]))
    if not pairs:
        raise UserError(f"{folder} has no pairs java/NAME.java and python/NAME.py")
    return pairs


def _parameters(python: str) -> tuple[tuple[object, ...], ...]:
    for node in ast.walk(ast.parse(python)):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "param":
            return tuple(ast.literal_eval(node.value))
    return ()


def agreement_report(pairs: Sequence[Pair], verifier: JavaVerifier, sandbox: Sandbox) -> list[Agreement]:
    """Two entries a pair, for its given and for the generated inputs; one where nothing can be compared.

    Args:
      sandbox: runs what is tried to find causes.

    Raises:
      VerifierFailure: the JVM or the sandbox failed.
    """
    found: list[Agreement] = []
    judged = []
    for pair, reference in zip(pairs, verifier.references([each.problem for each in pairs]), strict=True):
        if isinstance(reference, str):
            why = " ".join(f"{pair.problem.entry_point} {reference}".split())
            found.append(Agreement(pair.name, "given", 0, 0, {}, why, "not compared"))
        else:
            judged.append((pair, reference))
    results = verifier.translated([(pair.problem, reference, pair.python) for pair, reference in judged])
    wrong: list[tuple[int, Disagreement]] = []
    for (pair, reference), result in zip(judged, results, strict=True):
        types = reference.signature.parameters
        calls = list(zip(reference.calls, reference.results, result.returned, strict=True))
        for origin, part in (("given", calls[: reference.given]), ("generated", calls[reference.given :])):
            differ = [each for each in part if difference(each[1], each[2], types)]
            if differ:
                found_now = Disagreement(
                    pair.python, pair.problem.entry_point, *differ[0], types, reference.signature.returns
                )
                wrong.append((len(found), found_now))
            dropped = {key: n for key, n in reference.dropped.items() if (key == "given") == (origin == "given")}
            found.append(Agreement(pair.name, cast(Origin, origin), len(part) - len(differ), len(part), dropped))
    for (i, each), cause in zip(wrong, causes([each for _, each in wrong], sandbox), strict=True):
        line = disagreement(each.entry, each.call, each.java, each.python, each.parameters)
        found[i] = replace(found[i], line=line, cause=cause)
    return sorted(found, key=lambda each: (each.origin, each.name))


def report(agreements: Sequence[Agreement]) -> str:
    """In markdown: shares and causes of both kinds of inputs, then every disagreement with its cause."""
    lines = ["| inputs | compared | translations that agree | inputs that agree | dropped |", "|---|---|---|---|---|"]
    for origin in get_args(Origin):
        some = [each for each in agreements if each.origin == origin and each.of]
        passed, inputs = sum(not each.line for each in some), sum(each.of for each in some)
        agreed = sum(each.agreed for each in some)
        dropped = sum((Counter(each.dropped) for each in some), Counter[str]())
        reasons = ", ".join(f"{n} {reason}" for reason, n in dropped.most_common()) or "none"
        lines.append(
            f"| {origin} | {len(some)} | {passed} ({_percent(passed, len(some))}) | "
            f"{agreed} of {inputs} ({_percent(agreed, inputs)}) | {reasons} |"
        )
    counts = {
        origin: Counter(each.cause for each in agreements if each.origin == origin) for origin in get_args(Origin)
    }
    lines += ["", f"| cause | {' | '.join(counts)} |", "|---|---|---|"]
    for cause, _ in (counts["given"] + counts["generated"]).most_common():
        if cause:
            lines.append(f"| {cause} | {counts['given'][cause]} | {counts['generated'][cause]} |")
    for origin in get_args(Origin):
        lines += ["", f"### Disagreements on {origin} inputs", "", "| translation | inputs | cause | first one |"]
        lines += ["|---|---|---|---|"]
        for each in agreements:
            if each.origin == origin and each.line:
                shown = each.line.replace("|", "\\|").replace("`", "'")
                lines.append(f"| {each.name} | {each.of - each.agreed} of {each.of} | {each.cause} | `{shown}` |")
    return "\n".join(lines) + "\n"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"
