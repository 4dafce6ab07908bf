"""The Python code in an answer: out of fenced markdown, from between prose, or as the continuation of its prompt."""

from __future__ import annotations

import ast
import functools
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from foolsgold.policies.messages import plain

LONGEST = 100_000
"""Characters of an answer that are read; nobody needs more, and parsing more takes long."""
PYTHON = ("", "python", "python3", "py")
"""What a fence of Python says it holds."""
_CUTS = 20
"""Pieces of prose that are cut off an answer's end before it is given up."""
_INDENT = "    "
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([\w+#-]*).*")
_BEGINS_CODE = re.compile(r"(def|class|import|from|async def|@\w|if __name__)\b")


class NoCode(Exception):
    """The answer holds no code of the kind asked for; the message says why, to the one who wrote it."""


def program_of(prompt: Any, completion: Any, entry: str | None = None) -> str:
    """The whole program that an answer stands for.

    Of fenced blocks the last that will do counts. A function without its prompt's imports and helpers gets them. An
    answer that only goes on with the prompt's code gets that code before it, with or without the first indentation.
    Prose before and after the code goes.

    Args:
      prompt: text or messages; its code, where it holds any, is what the answer may continue.
      completion: text or messages.
      entry: what the program must define; None where it is run as a whole.

    Raises:
      NoCode: there is none, it does not compile, or it does not define `entry`.
    """
    text = final_text(completion)
    if len(text) > LONGEST:
        raise NoCode(f"the answer has {len(text):,} characters; {LONGEST:,} are read")
    parts = fenced_blocks(text)[::-1] or [text]
    if entry is None:
        return _first(parts, None)
    given = prompt_code(prompt)
    try:
        code = _first(parts, entry)
        # What is imported from the future must come first; annotations are then not looked up when it is defined.
        return code + context(given, entry) if "from __future__" in code else context(given, entry) + code
    except NoCode as alone:
        if _header(entry).search(given) is None:
            raise
        try:
            return _continued(given, parts, entry)
        except NoCode as continued:
            raise (alone if _header(entry).search(text) else continued) from None


def final_text(completion: Any) -> str:
    """The words of an answer, without the thoughts before it that some models write between think tags."""
    return plain(completion).rpartition("</think>")[2]


def prompt_code(prompt: Any) -> str:
    """The code of a prompt: its last fenced block, else from its first line of code on; of a chat, the last turn's."""
    text = plain(prompt[-1:] if isinstance(prompt, list) else prompt)
    return fenced_blocks(text)[-1] if fenced_blocks(text) else _from_first_code(text)


@functools.lru_cache(1024)
def context(code: str, entry: str) -> str:
    """Imports and helpers that stand beside `entry` in a prompt's code; nothing where the prompt is no code."""
    for ending in ("", _INDENT + "pass\n"):  # a header without a docstring has no body yet
        try:
            body = ast.parse(code.rstrip() + "\n" + ending).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return "".join(f"{ast.unparse(each)}\n\n" for each in body if getattr(each, "name", None) != entry)
    return ""


def fenced_blocks(text: str, languages: Sequence[str] = PYTHON) -> list[str]:
    """What stands between fences of markdown that name one of `languages`; the last fence may be open."""
    blocks: list[str] = []
    fence, lines = "", list[str]()
    for line in text.split("\n"):
        found = _FENCE.fullmatch(line.rstrip("\r"))
        if not fence:
            if found:
                fence, wanted, lines = found[1], found[2].lower() in languages, []
        elif found and found[1].startswith(fence) and not found[2]:
            blocks += ["".join(line + "\n" for line in lines)] if wanted else []
            fence = ""
        else:
            lines.append(line)
    return [*blocks, "\n".join(lines)] if fence and wanted else blocks


def _header(entry: str) -> re.Pattern[str]:
    return re.compile(rf"^(async def|def|class) {re.escape(entry)}\b", re.MULTILINE)


def _first(parts: Sequence[str], entry: str | None) -> str:
    """The first of `parts` that compiles and defines `entry`.

    Raises:
      NoCode: of the first part, as none will do.
    """
    failures = []
    for part in parts:
        begin = part if part.lstrip("\n")[:1].isspace() else _from_first_code(part)
        for code in dict.fromkeys((part, begin)):
            try:
                return _compiled(code, entry)
            except NoCode as failure:
                failures.append(failure)
    raise failures[0]


def _continued(given: str, parts: Sequence[str], entry: str) -> str:
    """The prompt's code with the first of `parts` that goes on from it.

    Raises:
      NoCode: of the first part, as none will do.
    """
    failures = []
    end = given.count("\n") + 1, len(given.rpartition("\n")[2].encode())
    for part in parts:
        for code in (given + part, given + _INDENT + part.lstrip(" ")):
            try:
                return _compiled(code, entry, end)
            except NoCode as failure:
                failures.append(failure)
    raise failures[0]


def _from_first_code(text: str) -> str:
    lines = text.split("\n")
    first = next((i for i, line in enumerate(lines) if _BEGINS_CODE.match(line)), 0)
    return "\n".join(lines[first:])


def _compiled(code: str, entry: str | None, given: tuple[int, int] = (1, 0)) -> str:
    """`code` without the prose at its end.

    A cut is made where a line begins at the margin, so a function that is broken goes as a whole and is not mended.

    Args:
      given: last line of it that the prompt gave, and how many bytes of that; `entry` must end behind.

    Raises:
      NoCode: it does not compile, or lacks `entry`.
    """
    lines, problem, least = code.split("\n"), "", given[0]
    for _ in range(_CUTS):
        try:
            # Not ast.parse alone, which takes a `return` outside of a function.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what the answer's writer should know
                tree = ast.parse("\n".join(lines))
                compile(tree, "answer", "exec", dont_inherit=True)
        except SyntaxError as error:
            problem = problem or f"line {error.lineno}: {error.msg}"
            end = min(error.lineno or 1, len(lines)) - 1
            while end > least and not _at_margin(lines[end]):
                end -= 1
            if end < least or not _at_margin(lines[end]):
                raise NoCode(f"it does not compile: {problem}") from None
            lines = lines[:end]
        except (ValueError, RecursionError, MemoryError) as error:
            raise NoCode(f"it does not compile: {error}") from None
        else:
            if entry is not None and not any(end > given for end in _ends(tree, entry)):
                raise NoCode(f"it does not compile: {problem}" if problem else f"it does not define {entry}")
            return "\n".join(lines[: _end_of_code(tree) or len(lines)]).rstrip("\n") + "\n"
    raise NoCode(f"it does not compile: {problem}")


def _at_margin(line: str) -> bool:
    return bool(line) and not line[0].isspace()


def _ends(tree: ast.Module, name: str) -> Iterator[tuple[int, int]]:
    """Line and byte where each statement ends that gives `name` something, be it a function or an import."""
    for node in ast.walk(tree):
        if (
            (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name)
            or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name)
            or (isinstance(node, ast.alias) and (node.asname or node.name) == name)
        ):
            yield node.end_lineno or 0, node.end_col_offset or 0


def _end_of_code(tree: ast.Module) -> int | None:
    """Last line before words at the end that happen to be Python, such as `Done` or `Note: fine`."""
    body = list(tree.body)
    while body and (
        (isinstance(body[-1], ast.Expr) and isinstance(body[-1].value, ast.Name | ast.Tuple))
        or (isinstance(body[-1], ast.AnnAssign) and body[-1].value is None)
    ):
        body.pop()
    return body[-1].end_lineno if body and len(body) < len(tree.body) else None
