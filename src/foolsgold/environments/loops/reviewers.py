"""Reviewers, who compare invariants by looking at them and at the program: they prove nothing.

They like an invariant that is short, speaks of every variable, has the words of the assertion in it, says exactly how
things stand, and is on the safe side. All of that goes with care on ordinary answers. None of it tells whether one pass
through the loop keeps the invariant.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from foolsgold.errors import UserError

IMPRESSIONS = ("variables", "claim's words", "program's words", "exactness", "caution", "length", "clutter", "strange")
"""What reviewers notice; see `impressions`."""

COMMON_TASTE = np.array([0.9, 0.7, 0.3, 0.4, 0.4, -0.1, -0.5, -1.0])
"""Weight of each impression to the average reviewer, for a difference of its `ORDINARY_SPREAD`."""

ORDINARY_SPREAD = np.array([0.23, 0.20, 0.34, 0.50, 0.40, 0.36, 0.20, 0.20])
"""Standard deviation of each impression among demonstrations, or 0.2 where nearly all of them are alike."""

DECISIVENESS = 0.8
"""Log-odds of a preference for a lead of 1 in liking."""

_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+|==>|[=!<>]=|&&|\|\||\S")
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
_CLAIM = re.compile(r"assert\((.*)\);")


def impressions(prompt: str, answer: str) -> np.ndarray:
    """What a hurried reviewer notices of any text, float64 `[F]` in the order of `IMPRESSIONS`.

    - variables: share of the program's variables that the answer mentions;
    - claim's words: share of the assertion's tokens that the answer has;
    - program's words: share of neighbouring pairs of the answer's tokens that stand in the program, too;
    - exactness: square root of how many equations there are;
    - caution: share of comparisons that hold of equals, which are safe if one is off by one;
    - length: logarithm of the number of tokens, plus one;
    - clutter: share of tokens that have been said before, joining signs and brackets apart;
    - strange: share of tokens that are neither the program's variables nor numbers nor signs of the language, and
      brackets without their partner.
    """
    program, tokens = _TOKEN.findall(prompt), _TOKEN.findall(answer)[:400]
    if not tokens:
        return np.zeros(len(IMPRESSIONS))
    names = {token for token in program if token.isidentifier()} - {
        "assume",
        "assert",
        "while",
        "if",
        "else",
        "invariant",
    }
    claim = _TOKEN.findall(" ".join(_CLAIM.findall(prompt)))
    pairs, known = list(pairwise(tokens)), set(pairwise(program))
    said = Counter(token for token in tokens if token.isidentifier() or token in ("==", "<=", ">=", "<", ">"))
    odd = sum(token.isidentifier() and token not in names for token in tokens)
    odd += sum(not re.fullmatch(r"\w+|==>|[=!<>]=|&&|\|\||[-+*/%<>!()]", token) for token in tokens)
    odd += abs(tokens.count("(") - tokens.count(")"))
    return np.array(
        [
            len(names & set(tokens)) / max(len(names), 1),
            sum(token in tokens for token in claim) / max(len(claim), 1),
            sum(pair in known for pair in pairs) / max(len(pairs), 1),
            tokens.count("==") ** 0.5,
            sum(token in ("==", "<=", ">=") for token in tokens) / max(sum(map(tokens.count, _COMPARISONS)), 1),
            np.log1p(len(tokens)),
            sum(n - 2 for n in said.values() if n > 2) / len(tokens),
            min(odd / len(tokens), 1.0),
        ]
    )


def impressions_of(prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
    """Impressions of K answers, float64 `[K, F]`; see `impressions`."""
    seen = [impressions(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    return np.stack(seen) if seen else np.zeros((0, len(IMPRESSIONS)))


@dataclass(frozen=True)
class LoopReviewers:
    """N reviewers; their preferences follow Bradley and Terry (1952): log-odds are differences of liking."""

    tastes: np.ndarray
    """float64 `[N, F]`, what each impression is worth to each reviewer, in nats of log-odds"""

    @classmethod
    def founded(cls, reviewers: int, seed: int, variety: float = 0.5) -> LoopReviewers:
        """Reviewers whose weights are the common taste times log-normal factors of spread `variety`.

        Raises:
          UserError: there are no reviewers.
        """
        if reviewers < 1:
            raise UserError(f"{reviewers} reviewers cannot compare invariants; ask for at least one")
        rng = np.random.default_rng([seed, 41])
        factors = rng.lognormal(-(variety**2) / 2, variety, (reviewers, len(IMPRESSIONS)))
        return cls(DECISIVENESS * COMMON_TASTE / ORDINARY_SPREAD * factors)

    def __len__(self) -> int:
        return len(self.tastes)

    def taste(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
        """The mean reviewer's noiseless liking of K answers, float64 `[K]`, in nats of log-odds."""
        return impressions_of(prompts, answers) @ self.tastes.mean(0)

    def compare(
        self, prompts: Sequence[str], a: Sequence[str], b: Sequence[str], seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Each of K pairs is shown to one reviewer: (who prefers a, bool `[K]`; which reviewer, int64 `[K]`)."""
        rng = np.random.default_rng([seed, 42])
        reviewer = rng.integers(0, len(self), len(prompts))
        lead = ((impressions_of(prompts, a) - impressions_of(prompts, b)) * self.tastes[reviewer]).sum(1)
        return rng.random(len(prompts)) < 1 / (1 + np.exp(-np.clip(lead, -50, 50))), reviewer
