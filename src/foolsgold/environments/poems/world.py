"""The world of poems as an environment: prompts, demonstrations to imitate, gold reward, readers."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from foolsgold.environments.poems import critic, poet
from foolsgold.environments.poems.lexicon import lexicon
from foolsgold.environments.poems.readers import Readership
from foolsgold.errors import UserError

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Poems:
    """ "Write a poem about paperclips": a fixed quarter of the topics is held out for the test split."""

    def topics(self, split: Split) -> list[str]:
        """Names of the topics of a split.

        Raises:
          UserError: there is no such split.
        """
        if split not in ("train", "test"):
            raise UserError(f"poems have no split {split!r}; choose train or test")
        return [name for name, topic in lexicon().topics.items() if topic.held_out == (split == "test")]

    def prompts(self, split: Split, n: int, seed: int) -> list[str]:
        """`n` prompts drawn with replacement from all topics of the split and all phrasings, each ending its line."""
        rng, topics = Random(f"prompts {split} {seed}"), self.topics(split)
        return [rng.choice(lexicon().phrasings).format(rng.choice(topics)) for _ in range(n)]

    def demonstrations(self, n: int, seed: int) -> list[tuple[str, str]]:
        """`n` poems by people of different care about train topics: (prompt, completion)."""
        return poet.demonstrations(n, seed)

    def pretraining_texts(self, n: int, seed: int) -> list[str]:
        """`n` plain texts about all topics; see `poet.pretraining_texts`."""
        return poet.pretraining_texts(n, seed)

    def gold(self, prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
        """The critic's totals, from 0 to 1; see `critic.gold`."""
        return critic.gold(prompts, completions, **columns)

    def readers(self, n: int, seed: int) -> Readership:
        """`n` readers to compare poems."""
        return Readership.founded(n, seed)
