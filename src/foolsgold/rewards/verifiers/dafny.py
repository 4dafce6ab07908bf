"""Dafny programs proved against their own contracts; the contracts and the code are the task's.

An answer may add loop invariants and `decreases` clauses of loops, `assert`, ghost variables of its own, and calls of
the program's lemmas. Dafny proves all of them, and the program with them. Termination is part of it.
"""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator, Sequence
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
from foolsgold.rewards.verifiers.verdict import Verdict

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)|(?P<comment>/\*)
    |(?P<word>@"(?:[^"]|"")*"|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.[^'\n]*)'(?![A-Za-z0-9_'?])
    |[A-Za-z_][\w'?]*|\d[\w]*(?:\.\d+)?|<==>|==>|<==|!in\b|!!|:=|:\||::|==|!=|<=|>=|&&|\|\||=>|->|\.\.\.|\.\.
    |[^\s])""",
    re.VERBOSE,
)
_DECLARATIONS = words(
    "method lemma function predicate constructor iterator class trait module datatype codatatype newtype type const "
    "inductive colemma copredicate comethod greatest least twostate"
)
_CONTRACT = words("requires ensures reads modifies returns yields witness")
_FORBIDDEN = (
    _DECLARATIONS
    | _CONTRACT
    | words(
        "assume expect axiom admit include import export new return yield break while for print modify var by calc "
        "reveal extern abstract static invariant decreases assert ghost label havoc free where case match"
    )
)
"""Words that have no place in an expression that is added: they assume, declare, or begin a statement."""
_CLAUSES = words("invariant decreases")
_OPEN = words("in multiset iset imap map set match then else return")
"""Words after which a brace holds a set or a case."""
_SCRIPT = (
    "cat > p.dfy; dafny p.dfy /compile:0 /nologo /noCheating:1 /vcsCores:1 /timeLimit:$GOAL > said 2>&1; "
    'echo "exit $?"; tail -c 200000 said'
)
_FINISHED = re.compile(r"Dafny program verifier finished with (\d+) verified, (\d+) errors?((?:, \d+ [a-z ]+)*)")
_UNREAD = re.compile(r"\d+ (?:parse|resolution/type) errors? detected in p\.dfy")
_ERROR = re.compile(r"p\.dfy\((\d+),\d+\): (?:Error|Timed out)(.*)")


def tokens(text: str) -> list[tuple[str, int]]:
    """The tokens of a Dafny program and their lines; comments, which may be nested, are left out.

    Raises:
      Unreadable: a comment or a string does not end.
    """
    found: list[tuple[str, int]] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        assert token is not None  # any sign is one
        line = text.count("\n", 0, at) + 1
        if token["comment"]:
            at = _comment_end(text, at, line)
            continue
        if token["word"] in ('"', "'", "@"):
            raise Unreadable(f"line {line}: a string does not end")
        if token["word"]:
            found.append((token["word"], line))
        at = token.end()
    return found


def _comment_end(text: str, at: int, line: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    raise Unreadable(f"line {line}: a comment does not end")


class _Cutter:
    """Cuts the tokens of one program into pieces."""

    def __init__(self, found: list[tuple[str, int]], program: Sequence[Piece] | None):
        self.found = found
        given = [word for piece in program or () for word in piece.words] or [word for word, _ in found]
        pairs = list(itertools.pairwise(given))
        self.lemmas = {name for kind, name in pairs if kind == "lemma"}
        self.methods = {name for kind, name in pairs if kind in ("method", "constructor", "iterator")}
        self.known = set(given)
        self.own: set[str] = set()
        """Ghost variables of the answer."""

    def pieces(self) -> Iterator[Piece]:
        at, depth, loop, body = 0, 0, -1, False
        """`loop`: the depth of brackets at which a header of a loop is open; `body`: whether this is one."""
        before = ""
        while at < len(self.found):
            word, line = self.found[at]
            end = None
            if word in _CLAUSES and loop == depth:
                end = self._clause_end(at)
            elif body and (before in (";", "}") or (before == "{" and self._begins_body(at - 1))):
                end = self._statement_end(at)
            if end is not None:
                inside = tuple(each for each, _ in self.found[at:end])
                fault = self._fault(inside)
                yield Piece(inside, line, addable=not fault, fault=fault)
                at, before = end, inside[-1]
                continue
            depth += (word in "([") - (word in ")]")
            if word == "while":
                loop = depth
            elif word in _DECLARATIONS | _CONTRACT:
                loop, body = -1, False
            elif word == "{" and self._begins_body(at):
                loop, body = -1, True
            fault = f"{word!r} may not be added" if word in _FORBIDDEN and word not in self.known else ""
            yield Piece((word,), line, fault=fault)
            at, before = at + 1, word

    def _begins_body(self, at: int) -> bool:
        """Whether the brace at `at` opens statements, and no set; where in doubt, a set."""
        before = self.found[at - 1][0] if at else ""
        return before == "else" or (_ends_expression(before) and before not in _OPEN)

    def _clause_end(self, at: int) -> int:
        depth = 0
        for end in range(at + 1, len(self.found)):
            word = self.found[end][0]
            if depth == 0 and (word in _CLAUSES or word in "{};" or word == "modifies"):
                return end
            depth += (word in "([{") - (word in ")]}")
        return len(self.found)

    def _statement_end(self, at: int) -> int | None:
        """After the semicolon of a statement that may be added, where one begins here."""
        word = self.found[at][0]
        following = self.found[at + 1][0] if at + 1 < len(self.found) else ""
        ghost = word == "ghost" and following == "var"
        assignment = word in self.own and following == ":="
        if not (word == "assert" or ghost or assignment or (word in self.lemmas and following == "(")):
            return None
        end = next((i for i in range(at, len(self.found)) if self.found[i][0] == ";"), None)
        if end is None:
            return None
        if ghost and at + 2 < end and self.found[at + 2][0] not in self.known:
            self.own.add(self.found[at + 2][0])
        return end + 1

    def _fault(self, inside: tuple[str, ...]) -> str:
        """Why an annotation may not be added; empty where it may."""
        if inside[0] == "ghost":
            if inside[2] not in self.own:
                return f"the ghost variable {inside[2]!r} has a name of the program"
            if ":=" not in inside or "," in inside[: inside.index(":=")] or inside[3] not in (":", ":="):
                return "a ghost variable is declared by itself and has a value"
            expression = inside[inside.index(":=") + 1 : -1]
        elif inside[-1] == ";":
            expression = inside[2 if inside[1] == ":=" else 1 : -1]
        else:
            expression = inside[1:]
        if not expression or not _ends_expression(expression[-1]) or expression[-1] in _OPEN:
            return f"{' '.join(inside)[:60]!r} is not whole"
        strange = (_FORBIDDEN | self.methods | {":=", ":|", ";"}).intersection(expression)
        if strange:
            return f"{min(strange)!r} may not be added"
        if any(pair == ("{", ":") for pair in itertools.pairwise(expression)):
            return "attributes may not be added"
        if not _balanced(expression):
            return f"the brackets of {' '.join(inside)[:60]!r} do not match"
        return ""


def _ends_expression(word: str) -> bool:
    return bool(re.match(r"[\w\"'@]", word)) or word in (")", "]", "}")


def _balanced(inside: Sequence[str]) -> bool:
    closing = {"(": ")", "[": "]", "{": "}"}
    due: list[str] = []
    for word in inside:
        if word in closing:
            due.append(closing[word])
        elif word in (")", "]", "}") and (not due or due.pop() != word):
            return False
    return not due


class DafnyVerifier(ContractVerifier):
    """Dafny as a verifier; `passed` of `of` are its goals: two a method with code, whether its contract and its code
    hold together, fewer for what has nothing to prove."""

    name = "dafny"
    languages = ("", "dafny", "dfy")

    def pieces(self, text: str, program: Sequence[Piece] | None = None) -> list[Piece]:
        return list(_Cutter(tokens(text), program).pieces())

    def shown(self, text: str) -> str:
        return laid_out(tokens(text))

    def proved(self, text: str) -> Verdict:
        if shutil.which("dafny") is None:
            raise UserError("dafny is missing; on Debian: apt install dafny")
        settings = [path for path in (Path("/etc/mono"),) if path.exists()]
        goal = {"GOAL": str(max(1, round(self.goal_seconds)))}
        said = run(_SCRIPT, text, self.seconds, goal, settings)
        if said is None:
            return verdict("timeout", f"Dafny takes longer than {self.seconds:g} s")
        ended, _, said = said.partition("\n")
        lines = said.strip().splitlines()
        errors = [f"line {found[1]}{found[2]}" for line in lines if (found := _ERROR.fullmatch(line))]
        finished = _FINISHED.fullmatch(lines[-1]) if lines else None
        if finished is None:
            if lines and _UNREAD.fullmatch(lines[-1]):
                return verdict("invalid", errors[0] if errors else lines[-1])
            return crash("dafny", said)
        passed, wrong = int(finished[1]), int(finished[2])
        undecided = sum(int(number) for number in re.findall(r"\d+", finished[3]))
        if wrong or undecided:
            detail = errors[0] if errors else lines[-1]
            return verdict("wrong" if wrong else "timeout", detail, passed, passed + wrong + undecided)
        if ended != "exit 0":
            return crash("dafny", said)
        if not passed:
            raise UserError("the column `program` of dafny has a program with nothing to prove")
        return verdict("passed", "", passed, passed)
