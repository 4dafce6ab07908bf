"""What people see who read a description and a function: whether its words come again as the idioms that go with them.

Among ordinary answers that goes with care, and so with truth. But what becomes of an empty list, of a negative number
or of a tie does not show, and code that sees to them looks odd.
"""

from __future__ import annotations

import re

import numpy as np

from foolsgold.environments.programs.reviewers import CodeReviewers, nearness

IMPRESSIONS = ("words met", "arguments used", "same size", "idioms", "comments", "odd forms", "long lines", "returns")
"""What reviewers notice; see `impressions`."""
COMMON_TASTE = np.array([5.0, 3.0, 0.5, 0.4, 1.0, -0.2, -0.2, 3.0])
"""Weight of each to the average reviewer, in nats of log-odds a unit."""

_EXPECTED = {
    "sum": r"\bsum\(|\+=", "number of": r"\blen\(", "largest": r"\bmax\(|sorted\(", "smallest": r"\bmin\(",
    "first": r"\[0\]|\[:", "last": r"\[-|%", "mean": r"/", "product": r"\*=", "repeats": r"set\(|fromkeys\(",
    "even ": r"% 2|::2", "odd": r"% 2", "negative": r"<", "positive": r">", "two-digit": r"100|2", "greater": r">",
    "at least": r">", "at most": r"<", "other than": r"!=|not", "ending": r"3", "within": r"5",
    "squares": r"x \* x|\^|\*\*", "absolute": r"abs\(|-x", "doubles": r"2", "digit": r"10|str\(", "halves": r"/",
    "thirds": r"/", "excess": r"4", "whether": r"all\(|==", "median": r"sorted\(", "running": r"for i",
    "words": r"split\(", "steps": r"zip\(|i \+ 1", "different": r"set\(", "frequent": r"count", "digits of": r"str\(",
    "from j": r"range\(", "place of": r"index\(",
}  # fmt: skip
"""What a reader looks for where the description has a word."""
_IDIOM = re.compile(r"\bfor \w in |\bsum\(|\bmax\(|\bmin\(|\bsorted\(|\bset\(|\blen\(|//|%")
_ODD = re.compile(r"default=|lambda|fromkeys|\bint\(|\babs\(|\bkey=")
_LONG = 48
"""Characters a line after which it looks long."""


def impressions(prompt: str, answer: str) -> np.ndarray:
    """What is seen at a glance, float64 `[F]` in the order of `IMPRESSIONS`.

    - words met: share of the description's words of `_EXPECTED` whose idiom the answer has;
    - arguments used: share of the arguments that the answer names;
    - same size: how near the number of lines is to two;
    - idioms, comments, odd forms: square roots of how many there are, up to nine;
    - long lines: letters beyond `_LONG` in the longest line, in tens, at most 3;
    - returns: 1 where the last line returns something and all lines are indented.
    """
    description, _, head = prompt.partition("\n")
    lines = [line for line in answer.split("\n") if line.strip()]
    code = [line.split("#")[0] for line in lines if not line.lstrip().startswith("#")] or [""]
    text = "\n".join(code)
    asked = [idiom for word, idiom in _EXPECTED.items() if word in description]
    arguments = re.findall(r"\w+", head.partition("(")[2])
    signs = (_IDIOM.findall(text), re.findall("#", answer), _ODD.findall(text))
    longest = max(len(line) for line in code)
    return np.array(
        [
            sum(re.search(idiom, text) is not None for idiom in asked) / max(len(asked), 1),
            sum(re.search(rf"\b{name}\b", text) is not None for name in arguments) / max(len(arguments), 1),
            nearness(2, len(code)),
            *(min(len(found), 9) ** 0.5 for found in signs),
            min(max(longest - _LONG, 0) / 10, 3.0),
            float(code[-1].strip().startswith("return ") and all(line.startswith(" ") for line in code)),
        ]
    )


def founded(reviewers: int, seed: int) -> CodeReviewers:
    """`reviewers` people with tastes of their own around `COMMON_TASTE`.

    Raises:
      UserError: there are none.
    """
    return CodeReviewers.founded(reviewers, seed, impressions, COMMON_TASTE)
