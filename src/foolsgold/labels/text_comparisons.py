"""Judgements of pairs of texts as records for the comparison store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from foolsgold.labels.store import Comparison, Source


def as_comparisons(
    prompts: Sequence[str],
    a: Sequence[str],
    b: Sequence[str],
    prefers_a: np.ndarray,
    raters: np.ndarray,
    when: datetime,
    source: Source = "simulated readers",
    source_a: Source | None = None,
    source_b: Source | None = None,
) -> Iterator[Comparison]:
    """K judgements as comparisons decided at `when`: the same again are the same records.

    Args:
      prefers_a: bool `[K]`.
      raters: int64 `[K]`, number of the reader who judged each pair.
      when: with a time zone.
      source: who asked for the judgements.
      source_a, source_b: who wrote the texts a and b.

    Raises:
      ValueError: the arguments have different lengths, or `when` has no time zone.
    """
    for prompt, text_a, text_b, first, rater in zip(prompts, a, b, prefers_a, raters, strict=True):
        yield Comparison(
            prompt=prompt,
            a=text_a,
            b=text_b,
            preferred="a" if first else "b",
            rater=f"reader-{rater:02d}",
            created=when,
            source=source,
            source_a=source_a,
            source_b=source_b,
        )
