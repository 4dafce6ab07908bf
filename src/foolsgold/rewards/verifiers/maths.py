"""Answers to problems of mathematics, compared with the right one as numbers and expressions."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.metadata
import importlib.util
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from foolsgold import __version__
from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.answers import final_text
from foolsgold.rewards.verifiers.verdict import Outcome, Verdict, VerifierFailure

LONGEST = 400
"""Characters of an answer that are read; deeper nesting than these hold could break the parser."""
DECIMALS = 6
"""Places to which decimals are compared, so that 0.333333 is a third."""
_LABEL = re.compile(r"(?:^|\s)[*_]*(?:A|(?:[Ff]inal )?[Aa]nswer)[*_]*(?::|\s+is\b:?|\s*=)[*_]*(?P<answer>[^\n]*)", re.M)
_NUMBER = re.compile(
    r"(?P<sign>[-+−]?)\s*(?:\\?\$)?\s*(?P<whole>\d{1,3}(?:,\d{3})+|\d*)(?P<part>\.\d+)?\.?\s*"
    r"(?:/\s*(?P<below>\d+))?\s*(?P<per_cent>\\?%)?"
)
_WORDS = re.compile(r"(?=.{4})[A-Za-z]{2,}(?:[ '][A-Za-z]{2,})*")
"""Answers that are no products of letters, which would be equal in any order."""
_WRAPPED = re.compile(r"\\(?:text|textbf|mathrm|mbox)\{([^{}]*)\}")


class MathsVerifier:
    r"""Compares final answers: numbers exactly, other expressions by math-verify.

    Column `answer`: the right answer, alone or at the end of a worked solution. In both it is what the last `\boxed{}`
    holds, else what follows the last `####`, else the last `A:`, `Answer:` or `answer is`; a line without any of them
    is an answer as it stands.

    Decimals are compared to six places, 42 % is taken for 42 and for 0.42, words may begin with capital letters or
    not. An answer must be worked out: where a number is right, `6 \cdot 7` and an integral are wrong whatever their
    value, else the question could be given back.
    """

    name = "maths"

    def __init__(self, seconds: float = 5.0):
        """
        Args:
          seconds: what comparing one answer may take.
        """
        self.seconds = seconds

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> MathsVerifier:
        """The verifier that came to a verdict."""
        return cls(**record["limits"])

    def verdicts(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[Verdict]:
        """One verdict an answer.

        Raises:
          VerifierFailure: math-verify ended without a word.
          UserError: a row has no right answer, or math-verify is missing.
        """
        right = columns.get("answer", [None] * len(prompts))
        verdicts = []
        for i, (gold, prompt, completion) in enumerate(zip(right, prompts, completions, strict=True), start=1):
            known = final_answer(str(gold)) if isinstance(gold, str | int | float) else None
            if known is None:
                raise UserError(f"row {i} of the batch has no right answer; give a column answer, as in 42 or #### 42")
            outcome, detail = self._judged(known, completion)
            record = {
                "verifier": self.name,
                "prompt": prompt,
                "completion": completion,
                "columns": {"answer": gold},
                "limits": {"seconds": self.seconds},
                "versions": {"foolsgold": __version__, "math-verify": _version()},
            }
            verdicts.append(Verdict(outcome, int(outcome == "passed"), 1, detail, record))
        return verdicts

    def _judged(self, gold: str, completion: Any) -> tuple[Outcome, str]:
        answer = final_answer(final_text(completion))
        if answer is None:
            return "invalid", "there is no final answer; end with #### and the answer, or put it into \\boxed{}"
        if len(answer) > LONGEST:
            return "invalid", f"the answer has {len(answer)} characters; {LONGEST} are read"
        if _spaced(answer) == _spaced(gold):
            return "passed", ""
        values = plain_values(gold), plain_values(answer)
        if all(values):
            return ("passed", "") if values[0] & values[1] else ("wrong", f"expected {gold}")
        if _WORDS.fullmatch(_unwrapped(gold)):
            same = _unwrapped(gold).casefold() == _unwrapped(answer).casefold()
            return ("passed", "") if same else ("wrong", f"expected {gold}")
        return _compared(gold, answer, self.seconds)


def final_answer(text: str) -> str | None:
    """The final answer of a solution, without dollar signs of LaTeX around it; None where none is marked as such."""
    found = _boxed(text)
    if found is None and "####" in text:
        found = text.rpartition("####")[2].strip().partition("\n")[0]
    if found is None and (labelled := [each["answer"] for each in _LABEL.finditer(text)]):
        found = labelled[-1]
    if found is None and "\n" not in text.strip():
        found = text
    found = _bare(found or "")
    return found or None


def plain_values(text: str) -> set[Fraction]:
    """What a plain number may stand for, rounded to `DECIMALS` places: one value, two of a percentage, else none."""
    found = _NUMBER.fullmatch(text.replace("{,}", ",").replace("\\!", ""))
    if found is None or not (found["whole"] or found["part"]) or int(found["below"] or 1) == 0:
        return set()
    value = Fraction((found["whole"].replace(",", "") or "0") + (found["part"] or "")) / int(found["below"] or 1)
    value = -value if found["sign"] in ("-", "−") else value
    return {round(each, DECIMALS) for each in ((value, value / 100) if found["per_cent"] else (value,))}


def _boxed(text: str) -> str | None:
    """What the last \\boxed{} or \\fbox{} holds, up to its own closing brace."""
    begin = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if begin < 0:
        return None
    begin = text.index("{", begin) + 1
    depth = 1
    for i in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[begin:i]
    return None


def _bare(text: str) -> str:
    """Without stars of markdown, a full stop, and the signs that LaTeX stands between."""
    text = text.strip().strip("*_").strip()
    text = re.sub(r"(?<=[^\s.])\.(\s.*)?$", "", text).strip().strip("*_")
    for begin, end in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if text.startswith(begin) and text.endswith(end) and len(text) > len(begin + end):
            return text[len(begin) : -len(end)].strip()
    return text


def _unwrapped(text: str) -> str:
    return _spaced(_WRAPPED.sub(r"\1", text))


def _spaced(text: str) -> str:
    return " ".join(text.split())


@functools.cache
def _version() -> str:
    try:
        return importlib.metadata.version("math-verify")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _compared(gold: str, answer: str, seconds: float) -> tuple[Outcome, str]:
    if importlib.util.find_spec("math_verify") is None:
        raise UserError("answers that are no plain numbers need math-verify; pip install foolsgold[verifiers]")
    return _worker().compared(gold, answer, seconds)


@functools.cache
def _worker() -> _Worker:
    worker = _Worker()
    atexit.register(worker.close)
    return worker


class _Worker:
    """`maths_worker` as a process that is started when it is needed and again when an answer has ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def compared(self, gold: str, answer: str, seconds: float) -> tuple[Outcome, str]:
        """Outcome and detail.

        Raises:
          VerifierFailure: the process does not start, or ended otherwise than over time.
        """
        with self._lock:
            process = self._process = self._process or _started()
            reply = _asked(process, {"gold": gold, "answer": answer, "seconds": seconds})
            if reply is not None:
                return cast(Outcome, reply["outcome"]), reply["detail"]
            self._process = None
            code = process.wait()
            _closed(process)
        if code == -signal.SIGALRM:
            return "timeout", f"the answer takes longer than {seconds:g} s to compare"
        raise VerifierFailure(f"math-verify ended with exit code {code} over the answer {answer!r}")

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                _closed(self._process)
                self._process = None


def _started() -> subprocess.Popen[str]:
    program = Path(__file__).with_name("maths_worker.py")
    # -P: nothing beside the program is imported, such as this package's code.py in place of Python's.
    words = [sys.executable, "-P", str(program)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, encoding="utf-8")
    assert process.stdout is not None
    line = process.stdout.readline()
    if "ready" in line:
        return process
    process.wait()
    _closed(process)
    raise VerifierFailure(f"math-verify does not start: {json.loads(line or '{}').get('failure', 'it says nothing')}")


def _asked(process: subprocess.Popen[str], question: dict[str, Any]) -> dict[str, str] | None:
    """The reply; None where the process has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        return None
    return cast(dict[str, str], json.loads(line)) if line.endswith("\n") else None


def _closed(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was not sent goes to nobody
                pipe.close()
