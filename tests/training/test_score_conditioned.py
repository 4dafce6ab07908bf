"""Words for scores; a policy that is asked for more gives more; Quark climbs and goes on after a kill."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import torch

from foolsgold.errors import UserError
from foolsgold.objectives.quantiles import RewardQuantiles
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.generate import Sampling, generate
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.score_conditioned import QuarkSettings, ScoreConditioning, quark
from foolsgold.training.sft import SFTSettings, sft

VOCABULARY, LIKED = 20, 7
WORDS = [[16], [17], [18], [19]]


def fresh() -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderConfig.sized(VOCABULARY, 32, 2))


def liked(pairs):
    """How often the liked token comes."""
    return np.array([list(completion).count(LIKED) for _, completion in pairs], float)


def settings(steps, **other):
    plan = LoopSettings(**{"adamw": AdamWSettings(learning_rate=5e-3), "dtype": torch.float32, **other}, steps=steps)
    return SFTSettings(plan, batch=32)


def test_rows_carry_the_words_for_their_score_behind_the_prompt():
    # Eight scores, four bins of two.
    scores = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    conditioning = ScoreConditioning.fit(scores, WORDS)
    rows = conditioning.rows([([1, 2], [i]) for i in range(8)], scores)
    assert rows == [([1, 2, 16 + i // 2], [i]) for i in range(8)]
    assert conditioning.ask([1, 2]) == [1, 2, 19]
    assert conditioning.ask([1, 2], 0) == [1, 2, 16]


def test_more_than_was_seen_can_be_asked_for():
    numbers = [[15, 2], [15, 3], [15, 4]]
    conditioning = ScoreConditioning.fit([0.0, 1.0], numbers, n_bins=2)
    assert conditioning.quantiles.best == 1
    assert conditioning.ask([9]) == [9, 15, 3]
    assert conditioning.ask([9], 2) == [9, 15, 4]
    fixed = ScoreConditioning(RewardQuantiles(np.array([1.0, 2.0]), np.array([0.5, 1.5, 2.5])), numbers)
    assert fixed.rows([([9], [1])], [1.7]) == [([9, 15, 3], [1])]


def test_what_cannot_be_asked_for():
    conditioning = ScoreConditioning.fit([0.0, 1.0], WORDS[:2])
    with pytest.raises(UserError, match="no words for bin 2; ask for one from 0 to 1"):
        conditioning.ask([1], 2)
    with pytest.raises(UserError, match="2 words cannot name 3 bins"):
        ScoreConditioning.fit([0.0, 1.0], WORDS[:2], n_bins=3)
    with pytest.raises(UserError, match="not finite"):
        ScoreConditioning.fit([0.0, np.nan], WORDS)
    with pytest.raises(UserError, match="no prompts"):
        quark(fresh(), [], liked, WORDS, QuarkSettings(settings(2)))


def obtained(model, conditioning, bin):
    prompts = [conditioning.ask([prompt], bin) for prompt in (1, 2, 3)]
    drawn = generate(model, prompts, Sampling(max_new_tokens=6), seed=5, samples=20)
    return liked([([], completion) for completion in drawn.completions()]).mean()


def test_who_asks_for_more_gets_more():
    rng = np.random.default_rng(0)
    completions = np.where(rng.random((300, 6)) < rng.random((300, 1)), LIKED, rng.integers(8, 16, (300, 6)))
    pairs = [([int(rng.integers(1, 4))], row.tolist()) for row in completions]
    conditioning = ScoreConditioning.fit(liked(pairs), WORDS)
    model = fresh()
    sft(model, conditioning.rows(pairs, liked(pairs)), settings(120))
    means = [obtained(model, conditioning, bin) for bin in range(4)]
    assert means == sorted(means)
    assert means[-1] > means[0] + 3
    assert means == pytest.approx(conditioning.quantiles.score_of(range(4)), abs=0.8)


PLAN = QuarkSettings(
    settings(20, save_every=7, evaluate_every=20), rounds=4, samples=16, sampling=Sampling(max_new_tokens=6)
)


def test_quark_climbs():
    log = {}
    quark(fresh(), [[1], [2], [3]], liked, WORDS, PLAN, report=lambda step, m: log.update({step: m}))
    assert list(log) == list(range(1, 81))  # without a measure nothing is told of step 0
    sampled = [log[20 * number]["sampled_score"] for number in (1, 2, 3, 4)]
    assert sampled[-1] > sampled[0] + 1


def test_a_killed_quark_ends_with_the_same_numbers(tmp_path):
    def measure(step, bins):
        return {"best": float(bins.quantiles.best), "at": step}

    def run(folder, until=None):
        model, log = fresh(), {}

        def report(step, metrics):
            log[step] = {name: value for name, value in metrics.items() if name != "tokens_per_second"}
            if step == until:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            quark(
                model,
                [[1], [2]],
                liked,
                WORDS,
                PLAN,
                folder,
                report,
                lambda number, bins: {"best": bins.quantiles.best},
            )
        return model, log

    whole, log = run(None)
    run(tmp_path, until=50)
    again, rest = run(tmp_path)
    assert min(rest) == 48
    assert all(log[step] == metrics for step, metrics in rest.items())
    assert [step for step, metrics in log.items() if "best" in metrics] == [0, 20, 40, 60, 80]
    assert all(metrics.get("at", step) == step for step, metrics in log.items())
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
