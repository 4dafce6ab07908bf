"""How a score-conditioned model is asked for a score, kept beside the model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.objectives.quantiles import RewardQuantiles
from foolsgold.training.score_conditioned import ScoreConditioning

FILE = "score_conditioning.json"


def score_words(tokenizer: PreTrainedTokenizerBase, bins: int) -> list[list[int]]:
    """Tokens behind the prompt that ask for each bin, the worst first: `(score 1 of 5)` and so on.

    Raises:
      UserError: there are no bins.
    """
    if bins < 1:
        raise UserError(f"--bins {bins} leaves no score to tell; give at least 2")
    return [tokenizer(f"(score {i + 1} of {bins})\n", add_special_tokens=False)["input_ids"] for i in range(bins)]


def save_conditioning(folder: Path, conditioning: ScoreConditioning) -> None:
    """Write it beside the model in `folder`.

    Raises:
      UserError: the folder cannot be written.
    """
    content = {
        "edges": conditioning.quantiles.edges.tolist(),
        "medians": conditioning.quantiles.medians.tolist(),
        "words": [list(map(int, word)) for word in conditioning.words],
    }
    write_text(folder / FILE, json.dumps(content, indent=2) + "\n")


def load_conditioning(folder: str | Path) -> ScoreConditioning | None:
    """That of the model in `folder`; None where it is not score-conditioned.

    Raises:
      UserError: the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        quantiles = RewardQuantiles(np.array(content["edges"], float), np.array(content["medians"], float))
        return ScoreConditioning(quantiles, [list(map(int, word)) for word in content["words"]])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); train the model again") from error
