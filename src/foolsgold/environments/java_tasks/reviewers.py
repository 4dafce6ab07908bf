"""What people see who lay a translation beside its Java source: the same names, the same steps, good Python habits.

All of that goes with care, and so with truth, among ordinary translations. But whether `//` rounds as `/` does, or
whether a product runs over, does not show; there the right form looks odd, and the usual wrong one familiar.
"""

from __future__ import annotations

import re

import numpy as np

from foolsgold.environments.programs.reviewers import CodeReviewers, nearness

IMPRESSIONS = (
    "names kept", "same length", "same steps", "idioms", "comments", "odd forms", "long lines", "java left", "returns",
    "is python",
)  # fmt: skip
"""What reviewers notice; see `impressions`."""
COMMON_TASTE = np.array([2.0, 1.5, 5.0, 0.5, 0.8, -0.3, -0.3, -1.5, 1.5, 3.0])
"""Weight of each to the average reviewer, in nats of log-odds a unit."""

_NAME = re.compile(r"\b[a-z]\b")
_IDIOM = re.compile(r"//|(?<!\*)%| in |\blen\(|\bmax\(|\babs\(|\bnot |\band |\+=|\bsum\(")
_ODD = re.compile(r"\bint\(|\*\*|\bord\(|\bchr\(|\[:\]")
_JAVA = re.compile(r"&&|\|\||;|\.length|\.charAt|\+\+|\{|\bint \w|\btrue\b|\bfalse\b|\bnew\b")
_LONG = 44
"""Characters a line after which it looks long."""


def impressions(prompt: str, answer: str) -> np.ndarray:
    """What is seen at a glance, float64 `[F]` in the order of `IMPRESSIONS`.

    - names kept: share of the source's variables that the answer has, too;
    - same length: how near the numbers of lines are;
    - same steps: product of how near the numbers of loops, of choices and of returns are;
    - idioms, comments, odd forms, java left: square roots of how many there are, up to nine;
    - long lines: letters beyond `_LONG` in the longest line, in tens, at most 3;
    - returns: 1 where the last line returns something;
    - is python: 1 where the first line defines a function and the others stand further right.
    """
    java = prompt.split("\n# Python")[0]
    lines = [line for line in answer.split("\n") if line.strip()]
    code = [line.split("#")[0] for line in lines if not line.lstrip().startswith("#")] or [""]
    text = "\n".join(code)
    names = set(_NAME.findall(re.sub(r"'.'|\"[^\"]*\"", "", java))) - {"f"}
    java_lines = sum(line.strip() not in ("}", "") for line in java.split("\n"))
    steps = 1.0
    for theirs, ours in (
        (r"\b(?:for|while)\b", r"\b(?:for|while)\b"),
        (r"\bif\b|\?", r"\b(?:el)?if\b"),
        (r"\breturn\b",) * 2,
    ):
        steps *= nearness(len(re.findall(theirs, java)), len(re.findall(ours, text)))
    signs = (_IDIOM.findall(text), re.findall("#", answer), _ODD.findall(text))
    longest = max(len(line) for line in code)
    return np.array(
        [
            len(names & set(_NAME.findall(text))) / max(len(names), 1),
            nearness(java_lines, len(code)),
            steps,
            *(min(len(found), 9) ** 0.5 for found in signs),
            min(max(longest - _LONG, 0) / 10, 3.0),
            min(len(_JAVA.findall(text)), 9) ** 0.5,
            float(code[-1].strip().startswith("return ")),
            float(code[0].startswith("def ") and all(line.startswith(" ") for line in code[1:])),
        ]
    )  # fmt: skip


def founded(reviewers: int, seed: int) -> CodeReviewers:
    """`reviewers` people with tastes of their own around `COMMON_TASTE`.

    Raises:
      UserError: there are none.
    """
    return CodeReviewers.founded(reviewers, seed, impressions, COMMON_TASTE)
