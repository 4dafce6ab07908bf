"""C programs proved against their own ACSL contracts by Frama-C's WP; the contracts and the code are the task's.

An answer may add `loop invariant`, `loop assigns`, `loop variant` and `assert` in functions. WP generates the goals,
those of runtime errors too (`-wp-rte`), and provers under Why3 settle them; Frama-C then consolidates: a property that
rests on an unproved one is not proved. Each loop needs a variant, so that it ends, unless the program itself says
`terminates \\false`.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.contracts import (
    ContractVerifier,
    Piece,
    Unreadable,
    crash,
    laid_out,
    run,
    verdict,
)
from foolsgold.rewards.verifiers.proof_sessions import words
from foolsgold.rewards.verifiers.verdict import Verdict, VerifierFailure

_TOKEN = re.compile(
    r"""(?P<directive>(?:^|(?<=\n))[ ]*\#(?:[^\n\\]|\\.|\\\n)*)
    |(?P<acsl>/\*@(?P<block>.*?)\*/|//@(?P<rest>[^\n]*))
    |(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<word>L?"(?:[^"\\\n]|\\.)*"|L?'(?:[^'\\\n]|\\.)+'|[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*
    |<<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[^\s])""",
    re.VERBOSE | re.DOTALL,
)
_ACSL_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|@)|(?P<word>\\?[A-Za-z_]\w*|\d(?:[eEpP][+-]|\w|\.(?!\.))*
    |<==>|==>|->|<<|>>|<=|>=|==|!=|&&|\|\||\^\^|-->|<-->|\.\.\.|\.\.|[^\s])""",
    re.VERBOSE,
)
_LOOP = words("invariant assigns variant")
_BINDERS = ("\\forall", "\\exists", "\\lambda", "\\let")
_PLAIN = re.compile(
    r"\\?[A-Za-z_]\w*|\d[\w.]*|[-+*/%&|^]|<==>|==>|->|<<|>>|<=|>=|==|!=|&&|\|\||\^\^|\.\.|[!?:,;<>~(){}.\[\]]"
)
_FORBIDDEN = words(
    """
    admit check axiom axiomatic lemma requires ensures assume assumes ghost behavior terminates decreases breaks
    continues returns exits allocates frees pragma inductive predicate logic type global model include import module
    extended calls for reads writes volatile custom \\let \\admit asm __asm __asm__
    """
)
"""Words that have no place in an annotation that is added."""
_FLAGS = "-wp -wp-rte -wp-par 2 -wp-cache none -wp-prover $PROVERS -wp-timeout $GOAL p.c -then -report-csv p.csv"
_SCRIPT = (
    'printf %s "$WHY3" > .why3.conf; cat > p.c; '
    f'frama-c -no-autoload-plugins -load-module wp,rtegen,report {_FLAGS} > said 2>&1; echo "exit $?"; '
    "[ ! -e p.csv ] || cat p.csv; echo ===; tail -c 200000 said"
)
_DETECT = "why3 config detect > /dev/null 2>&1; cat .why3.conf"
_PROVER = re.compile(r'^name = "(Z3|CVC4|Alt-Ergo)"', re.MULTILINE)
_PROVED = re.compile(r"^\[wp\] Proved goals: *(\d+) / (\d+)$", re.MULTILINE)
_GOAL = re.compile(r"^\[wp\] \[[^]]*\] Goal (\w+) : (\w+)", re.MULTILINE)
_ERROR = re.compile(r"\[kernel(?::annot-error)?\] (?:p\.c|User Error)")
_PROVEN = ("Valid", "Considered valid")
"""The second is said of the contracts of functions without code, which are the task's."""


class _Token:
    """A token of C, a directive, or an annotation cut into clauses."""

    def __init__(self, word: str, line: int, clauses: list[list[tuple[str, int]]] | None = None):
        self.word, self.line, self.clauses = word, line, clauses


def tokens(text: str) -> list[_Token]:
    """The tokens of a C program; comments are left out.

    Raises:
      Unreadable: a comment or a string does not end.
    """
    found = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        assert token is not None  # any sign is one
        line = text.count("\n", 0, at) + 1
        if token["acsl"]:
            begin = token.start("block") if token["block"] is not None else token.start("rest")
            inside = token["block"] if token["block"] is not None else token["rest"]
            found.append(_Token("/*@", line, _clauses(inside, text.count("\n", 0, begin) + 1)))
        elif token["directive"]:
            found.append(_Token(token["directive"].strip(), line))
        elif token["word"]:
            if token["word"] in ('"', "'") or text.startswith("/*", at):
                raise Unreadable(f"line {line}: a string or a comment does not end")
            found.append(_Token(token["word"], line))
        at = token.end()
    return found


def _clauses(inside: str, line: int) -> list[list[tuple[str, int]]]:
    """An annotation's tokens up to each semicolon that ends no binder, as in `\\forall integer k; k < n`."""
    clauses: list[list[tuple[str, int]]] = [[]]
    binders = 0
    for token in _ACSL_TOKEN.finditer(inside):
        if token["word"]:
            clauses[-1].append((token["word"], line + inside.count("\n", 0, token.start())))
            binders += token["word"] in _BINDERS
            if token["word"] == ";":
                if not binders:
                    clauses.append([])
                binders = max(0, binders - 1)
    return [clause for clause in clauses if clause]


def _pieces(found: list[_Token]) -> Iterator[Piece]:
    """An annotation of a loop or an assertion is a piece a clause; any other is one piece, and is not for adding."""
    depth = braces = 0
    before = ""
    for i, token in enumerate(found):
        if token.clauses is None:
            depth += (token.word in "([") - (token.word in ")]")
            braces += (token.word == "{") - (token.word == "}")
            before = token.word
            yield Piece((token.word,), token.line)
            continue
        clauses = [tuple(word for word, _ in clause) for clause in token.clauses]
        if clauses and all(_kind(clause) for clause in clauses):
            starts = braces > 0 and depth == 0 and before in ("{", "}", ";")
            following = found[i + 1].word if i + 1 < len(found) else ""
            looped = following in ("while", "for", "do")
            for clause, line in zip(clauses, (clause[0][1] for clause in token.clauses), strict=True):
                fault = _fault(clause)
                if not starts or (clause[0] == "loop" and not looped):
                    fault = fault or f"{' '.join(clause[:2])} does not stand where a statement or a loop begins"
                yield Piece(clause, line, addable=not fault, fault=fault)
        else:
            flat = tuple(word for clause in clauses for word in clause)
            strange = sorted(_FORBIDDEN.intersection(flat))
            fault = f"{strange[0]!r} may not be added or changed" if strange else ""
            yield Piece(("/*@", *flat), token.line, fault=fault)


def _kind(clause: tuple[str, ...]) -> str:
    """Of a clause that an answer may bring: `loop variant`, say; else empty."""
    if clause[-1] != ";":
        return ""
    if clause[0] == "loop" and len(clause) > 3 and clause[1] in _LOOP:
        return f"loop {clause[1]}"
    return "assert" if clause[0] == "assert" and len(clause) > 2 else ""


def _fault(clause: tuple[str, ...]) -> str:
    strange = sorted(_FORBIDDEN.intersection(clause))
    if strange:
        return f"{strange[0]!r} may not be added"
    odd = next((word for word in clause if not _PLAIN.fullmatch(word)), None)
    return "" if odd is None else f"{odd!r} may not be added in an annotation"


def endless(found: list[_Token]) -> list[int]:
    """Lines of loops without a `loop variant`."""
    lines = []
    kinds: set[str] = set()
    depth = 0
    before = ""
    dos: list[int] = []
    for token in found:
        if token.clauses is not None:
            kinds = {_kind(tuple(word for word, _ in clause)) for clause in token.clauses}
            continue
        depth += (token.word in "({[") - (token.word in ")}]")
        closes = token.word == "while" and bool(dos) and dos[-1] == depth and before in (";", "}")
        if closes:
            dos.pop()
        elif token.word in ("while", "for", "do"):
            if "loop variant" not in kinds:
                lines.append(token.line)
            if token.word == "do":
                dos.append(depth)
        kinds = set()
        before = token.word
    return lines


class FramaCVerifier(ContractVerifier):
    """Frama-C as a verifier; `passed` of `of` are WP's goals, and loops without a variant among them."""

    name = "frama-c"
    languages = ("", "c", "acsl")

    def pieces(self, text: str, program: Sequence[Piece] | None = None) -> list[Piece]:
        return list(_pieces(tokens(text)))

    def shown(self, text: str) -> str:
        laid: list[tuple[str, int]] = []
        for token in tokens(text):
            if token.clauses is None:
                laid.append((token.word, token.line))
                continue
            inside = [each for clause in token.clauses for each in clause]
            laid += [("/*@", token.line), *inside, ("*/", inside[-1][1] if inside else token.line)]
        return laid_out(laid)

    def proved(self, text: str) -> Verdict:
        found = tokens(text)
        missing = [] if _may_run_for_ever(found) else endless(found)
        proven = _proven(text, self.seconds, self.goal_seconds)
        if proven.outcome == "passed" and missing:
            proven = replace(proven, outcome="wrong", detail=f"line {missing[0]}: the loop has no loop variant")
        return replace(proven, of=proven.of + len(missing)) if proven.outcome == "wrong" else proven


def _may_run_for_ever(found: list[_Token]) -> bool:
    return any(
        [word for word, _ in clause] == ["terminates", "\\false", ";"]
        for token in found
        for clause in token.clauses or ()
    )


@functools.cache
def _why3() -> tuple[str, str]:
    """Why3's configuration, and the names of the provers in it.

    Raises:
      UserError: Frama-C, Why3 or a prover is missing.
    """
    for tool, package in (("frama-c", "frama-c-base"), ("why3", "why3")):
        if shutil.which(tool) is None:
            raise UserError(f"{tool} is missing; on Debian: apt install frama-c-base why3 z3 cvc4 ({package} has it)")
    configuration = run(_DETECT, "", 120.0) or ""
    provers = sorted(set(_PROVER.findall(configuration)), key=("Z3", "CVC4", "Alt-Ergo").index)
    if not provers:
        raise UserError("Why3 finds no prover; on Debian: apt install z3 cvc4")
    return configuration, ",".join(prover.lower() for prover in provers)


def _proven(text: str, seconds: float, goal_seconds: float) -> Verdict:
    configuration, provers = _why3()
    environment = {"WHY3": configuration, "PROVERS": provers, "GOAL": str(max(1, round(goal_seconds)))}
    settings = [path for path in (Path("/etc/ocamlfind.conf"),) if path.exists()]  # its plug-ins are found by it
    said = run(_SCRIPT, text, seconds, environment, settings)
    if said is None:
        return verdict("timeout", f"Frama-C takes longer than {seconds:g} s")
    ended, _, said = said.partition("\n")
    table, _, said = said.partition("===\n")
    proved = _PROVED.findall(said)
    if not proved or ended != "exit 0":
        if "[kernel] User Error" in said or "[kernel] Frama-C aborted: invalid user input." in said:
            return verdict("invalid", _first_error(said))
        return crash("frama-c", said)
    passed, of = (int(number) for number in proved[-1])
    if of == 0:
        raise UserError("the column `program` of frama-c has a program with nothing to prove")
    goals = [(name, status) for name, status in _GOAL.findall(said) if status != "Valid"]
    rows = [row for line in table.splitlines()[1:] if len(row := line.split("\t", 6)) == 7]
    if not rows:
        raise VerifierFailure(f"frama-c reports no properties: {said[-300:]}")
    open_rows = [row for row in rows if row[5] not in _PROVEN]
    if passed == of and not open_rows:
        return verdict("passed", "", passed, of)
    if open_rows:
        row = next((row for row in open_rows if row[5] != "Partially proven"), open_rows[0])
        detail = f"line {row[2]}: {row[4]} of {row[3]} is not proved: {row[6]}"
    else:
        detail = f"not proved: {goals[0][0] if goals else 'a goal'}"  # variants are goals, but no properties of reports
    undecided = bool(goals) and all(status == "Timeout" for _, status in goals)
    return verdict("timeout" if undecided else "wrong", detail, passed, of + (passed == of))


def _first_error(said: str) -> str:
    lines = said.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if _ERROR.match(line):
            return f"{line} {following}" if line.rstrip().endswith(":") else line
    return lines[-1] if lines else "Frama-C cannot read the program"
