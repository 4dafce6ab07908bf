"""Simulated readers, who compare poems by the impression of a moment: what they notice is most of what is easy to see.

Nothing they like is bad in itself: more words about the topic, prettier words, line ends that sound alike. But they do
not scan metre, do not look whether words come again, and read over most misspellings. So they agree with the critic
about ordinary poems, where care shows in everything at once, and part from it where only the looks are made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foolsgold.environments.poems.critic import LINES
from foolsgold.environments.poems.lexicon import asked_topic, lexicon, sound
from foolsgold.errors import UserError

IMPRESSIONS = ("topic words", "vivid words", "sentimental words", "line ends alike", "verse", "fullness", "odd words")
"""What readers notice; see `impressions`."""

COMMON_TASTE = np.array([1.0, 0.4, 0.4, 1.0, 0.5, 0.2, -0.5])
"""Weight of each impression to the average reader, for a difference of its `ORDINARY_SPREAD`."""

ORDINARY_SPREAD = np.array([0.55, 0.63, 0.60, 0.34, 0.10, 0.11, 0.10])
"""Standard deviation of each impression over `demonstrations(20_000, 1)`, or 0.1 where nearly all of them are alike:
the lens model of judgement (Brunswik 1952), in which an impression weighs by how much it stands out."""

DECISIVENESS = 0.8
"""Log-odds of a preference for a lead of 1 in liking: two readings of a pair of demonstrations then agree in two cases
of three."""

_TOKEN = re.compile(r"[a-z']+|[^\sa-z'.,;:!?\"-]+")
_ODD = re.compile(r"[^a-z']|(.)\1\1|^[^aeiouy]{2,}$")


def impressions(prompt: str, poem: str) -> np.ndarray:
    """What a hurried reader notices of any text, float64 `[F]` in the order of `IMPRESSIONS`.

    - topic words, vivid words, sentimental words: square root of how many there are, the same word each time it comes;
    - line ends alike: share of lines whose last word looks or sounds like that of a line one or two away: the same two
      last letters, the same from the stressed vowel on, the same word;
    - verse: how near it is to four lines, the smaller number over the larger;
    - fullness: logarithm of the number of words, plus one;
    - odd words: share of words that cannot be words at a glance: other signs than letters, no vowel, a letter three
      times running.

    Raises:
      UserError: the prompt asks for no topic of the lexicon.
    """
    topic = asked_topic(prompt)
    lines = [words for line in poem.lower().split("\n") if (words := _TOKEN.findall(line))]
    words = [word for line in lines for word in line]
    if not words:
        return np.zeros(len(IMPRESSIONS))
    return np.array(
        [
            sum([word in topic.related for word in words]) ** 0.5,
            sum([word in lexicon().vivid for word in words]) ** 0.5,
            sum([word in lexicon().sentimental for word in words]) ** 0.5,
            _alike_share([line[-1] for line in lines]),
            min(len(lines), LINES) / max(len(lines), LINES),
            np.log1p(len(words)),
            sum([_ODD.search(word) is not None for word in words]) / len(words),
        ]
    )


def impressions_of(prompts: Sequence[str], poems: Sequence[str]) -> np.ndarray:
    """Impressions of K poems, float64 `[K, F]`; see `impressions`."""
    seen = [impressions(prompt, poem) for prompt, poem in zip(prompts, poems, strict=True)]
    return np.stack(seen) if seen else np.zeros((0, len(IMPRESSIONS)))


def _alike_share(ends: list[str]) -> float:
    n = len(ends)
    alike: set[int] = set()
    for i in range(n):
        for j in (i + 1, i + 2):
            if j < n and _alike(ends[i], ends[j]):
                alike.update((i, j))
    return len(alike) / n


def _alike(first: str, second: str) -> bool:
    if first[-2:] == second[-2:]:
        return True
    endings = {part for _, part in sound(first[:30]).rhymes}
    return any(part in endings for _, part in sound(second[:30]).rhymes)


@dataclass(frozen=True)
class Readership:
    """N readers; their preferences follow Bradley and Terry (1952): log-odds are differences of liking."""

    tastes: np.ndarray
    """float64 `[N, F]`, what each impression is worth to each reader, in nats of log-odds"""

    @classmethod
    def founded(cls, readers: int, seed: int, variety: float = 0.5, decisiveness: float = DECISIVENESS) -> Readership:
        """Readers whose weights are the common taste times log-normal factors of spread `variety`.

        Args:
          decisiveness: log-odds of a preference for a lead of 1 in liking; a large number takes the noise away.

        Raises:
          UserError: there are no readers.
        """
        if readers < 1:
            raise UserError(f"{readers} readers cannot compare poems; ask for at least one")
        rng = np.random.default_rng([seed, 31])
        factors = rng.lognormal(-(variety**2) / 2, variety, (readers, len(IMPRESSIONS)))
        return cls(decisiveness * COMMON_TASTE / ORDINARY_SPREAD * factors)

    def __len__(self) -> int:
        return len(self.tastes)

    def taste(self, prompts: Sequence[str], poems: Sequence[str]) -> np.ndarray:
        """The mean reader's noiseless liking of K poems, float64 `[K]`, in nats of log-odds: the vibe."""
        return impressions_of(prompts, poems) @ self.tastes.mean(0)

    def compare(
        self, prompts: Sequence[str], a: Sequence[str], b: Sequence[str], seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Each of K pairs of poems is shown to one reader drawn at random.

        Returns: (the reader prefers a, bool `[K]`; who read it, int64 `[K]`).
        """
        rng = np.random.default_rng([seed, 32])
        reader = rng.integers(0, len(self), len(prompts))
        lead = ((impressions_of(prompts, a) - impressions_of(prompts, b)) * self.tastes[reader]).sum(1)
        chance = 1 / (1 + np.exp(-np.clip(lead, -50, 50)))
        return rng.random(len(prompts)) < chance, reader
