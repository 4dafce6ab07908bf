"""Models of a study: trained once, then taken from the run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from foolsgold.objectives.schedules import cosine
from foolsgold.policies.checkpoints import load_decoder, save_decoder
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings


def kept_model(path: Path, tokenizer: PreTrainedTokenizerBase, train: Callable[[], Decoder]) -> Decoder:
    """The model in the Hugging Face directory `path`; trained first where it is not there."""
    if not (path / "config.json").exists():  # written last
        model = train()
        tokenizer.save_pretrained(path)
        extra = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        save_decoder(path, model, extra=extra)
    return load_decoder(path)  # also when just trained: a resumed run gets the same


def shortened(model: Decoder, layers: int) -> Decoder:
    """A copy with the first layers only."""
    config = DecoderConfig(**{**vars(model.config), "layers": layers})
    short = Decoder(config)
    kept = short.state_dict().keys()
    short.load_state_dict({name: value for name, value in model.state_dict().items() if name in kept})
    return short


def decaying_loop(steps: int, learning_rate: float, seed: int, weight_decay: float = 0.0) -> LoopSettings:
    """Of a stage that learns from given texts: a short warm-up, then half a cosine down to a tenth."""
    return LoopSettings(
        steps, AdamWSettings(learning_rate, weight_decay=weight_decay), _schedule, save_every=200, seed=seed
    )


def _schedule(step: int, steps: int) -> float:
    return cosine(step, steps, warmup=0.05, final=0.1)


def ticking(tick: Callable[[int, int], None], steps: int) -> Callable[[int, dict[str, float]], None]:
    """What a trainer reports to, so that it moves a bar of `steps`."""
    return lambda step, metrics: tick(step, steps)
