"""Gold on fixed prompts along a run: looks within the budget, the stop, the best policy, kill and resume."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from foolsgold.audit.stopping import GoldLooks, GoldStop, LookSettings
from foolsgold.errors import UserError
from foolsgold.objectives.schedules import constant
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.hub import load_policy
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.training.datasets import PromptRow
from foolsgold.training.loop import LoopSettings, StopTraining
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_gradient import ALGORITHMS, PolicyGradientSettings, train_policy
from foolsgold.training.rollouts import RolloutSettings, Task

SAMPLING = Sampling(8)


def tokenizer() -> PreTrainedTokenizerFast:
    words = {"<pad>": 0, "<eos>": 1, **{f"w{i}": i for i in range(2, 16)}}
    model = Tokenizer(models.WordLevel(words, "<pad>"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=model, pad_token="<pad>", eos_token="<eos>")


def policy() -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderConfig.sized(16, 32, 1)).eval()


def share(text: str) -> float:
    return text.split().count("w7") / 8


def proxy(prompts, completions, **columns):
    return [share(text) for text in completions]


def gold(prompts, completions, **columns):
    """Some w7 is good, and w7 alone is not: highest at a half."""
    return [4 * share(text) * (1 - share(text)) for text in completions]


def task(reward, prompts=32) -> Task:
    rows = [PromptRow(f"w{2 + i % 14} w{2 + i // 14} w3", {}) for i in range(prompts)]
    return Task(rows, Scorer([WeightedReward(reward)], None), tokenizer())


def run(folder, evaluate, steps=30, report=lambda step, metrics: None):
    loop = LoopSettings(steps, AdamWSettings(2e-2), constant, save_every=4, evaluate_every=1, dtype=torch.float32)
    settings = PolicyGradientSettings(loop, RolloutSettings(8, 8, SAMPLING), ALGORITHMS["rloo"])
    return train_policy(evaluate.policy, task(proxy), settings, folder, report, evaluate)


def stopper(folder, **settings) -> GoldStop:
    return GoldStop(policy(), task(gold), SAMPLING, LookSettings(**{"steps": 30, "budget": 1000, **settings}), folder)


class Killed(Exception):
    pass


def test_an_over_optimized_run_is_stopped_and_its_best_policy_kept(tmp_path):
    stop = stopper(tmp_path / "gold")
    log = {}
    loop = run(tmp_path / "run", stop, report=lambda step, metrics: log.update({step: metrics}))
    assert "gold fell by" in loop.stopped
    assert 0 < stop.looks.best_step < loop.step < 30
    assert log[loop.step]["gold_fall_at_least"] > 0
    assert log[loop.step]["gold_labels"] == 32 * (loop.step + 1) <= 1000
    assert [path.name for path in (tmp_path / "gold").glob("best-*")] == [f"best-{stop.looks.best_step}"]
    best = np.mean(stop.looks.gold[stop.looks.best_step])
    assert best > log[loop.step]["gold"] + 0.2

    assert stop.restore() == stop.looks.best_step
    kept = load_policy(stop.looks.best).model.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in stop.policy.state_dict().items())
    again = stop._gold()
    assert again.mean() == pytest.approx(best, abs=1e-6)  # the best weights write the same again


def test_a_killed_run_stops_where_it_would_have_and_pays_no_look_twice(tmp_path):
    whole = stopper(tmp_path / "whole-gold")
    ended = run(tmp_path / "whole", whole).step

    def killed(step, metrics):
        if step == 6:
            raise Killed

    cut = stopper(tmp_path / "gold")
    with pytest.raises(Killed):
        run(tmp_path / "run", cut, report=killed)
    again = stopper(tmp_path / "gold")
    assert again.looks.labels == 7 * 32
    asked = []
    measured = again._gold
    again._gold = lambda: asked.append(1) or measured()
    loop = run(tmp_path / "run", again)
    assert loop.step == ended
    assert again.looks.gold == whole.looks.gold
    assert len(asked) == ended - 6  # from step 7 on, though the run went on from step 4
    third = stopper(tmp_path / "gold")
    assert run(tmp_path / "run", third).stopped == loop.stopped  # for good
    assert third.restore() == whole.looks.best_step


def test_another_evaluation_joins_also_at_the_stop(tmp_path):
    stop = stopper(tmp_path / "gold", budget=160)  # five looks
    stop.also = lambda step: {"mine": float(step)}
    log = {}
    loop = run(tmp_path / "run", stop, report=lambda step, metrics: log.update({step: metrics}))
    assert all(metrics["mine"] == step for step, metrics in log.items())
    looks = [step for step, metrics in log.items() if "gold" in metrics]
    assert looks == [step for step in (0, 8, 16, 24, 30) if step <= loop.step]


@pytest.mark.parametrize(
    ("steps", "budget", "every", "looks"),
    [
        (100, 50, 1, [0, 25, 50, 75, 100]),
        (100, 59, 1, [0, 25, 50, 75, 100]),
        (100, 60, 1, [0, 20, 40, 60, 80, 100]),
        (100, 1000, 30, [0, 30, 60, 90, 100]),
        (7, 30, 1, [0, 4, 7]),
    ],
)
def test_looks_are_spread_over_the_run_within_the_budget(tmp_path, steps, budget, every, looks):
    """Ten prompts, one label each."""
    kept = GoldLooks(tmp_path, LookSettings(steps, budget, every), 10)
    seen = []
    for step in range(steps + 1):
        if kept.due(step):
            seen.append(step)
            kept.look(step, lambda: np.zeros(10), lambda folder: None)
    assert seen == looks
    assert kept.planned == len(looks)
    assert kept.labels <= budget


def test_looks_fall_on_the_evaluations_there_are(tmp_path):
    """Every 20 steps would be due; evaluated is every 30: once in each stretch of 20, never more than planned."""
    kept = GoldLooks(tmp_path, LookSettings(100, 60), 10)
    seen = []
    for step in [0, 30, 60, 90, 100]:
        if kept.due(step):
            seen.append(step)
            kept.look(step, lambda: np.zeros(10), lambda folder: None)
    assert seen == [0, 30, 60, 90, 100]
    assert len(seen) <= kept.planned


def test_the_best_is_saved_and_the_one_before_goes(tmp_path):
    kept = GoldLooks(tmp_path, LookSettings(10, 80), 8)
    wide = np.array([3, -3, 2, -2, 1, -1, 4, -4.0])  # so that no fall is certain
    for step, mean in enumerate([0.0, 0.5, 0.25, 0.75, 0.75]):
        gold = mean + np.roll(wide, step)
        kept.look(step, lambda gold=gold: gold, lambda folder: folder.mkdir())
        assert [path.name for path in tmp_path.glob("best-*")] == [kept.best.name]
    assert kept.best_step == 3
    assert json.loads((tmp_path / "looks.json").read_text())["best"] == 3


def test_the_reason_names_both_sides(tmp_path):
    kept = GoldLooks(tmp_path, LookSettings(20, 40, every=10), 10)
    kept.look(0, lambda: np.zeros(10), lambda folder: None)
    kept.look(10, lambda: np.linspace(1, 1.1, 10), lambda folder: None)
    with pytest.raises(StopTraining, match=r"fell by 0\.8 from step 10 to step 20 \(at least 0\.8") as stop:
        kept.look(20, lambda: np.linspace(0.2, 0.3, 10), lambda folder: None)
    assert stop.value.metrics["gold"] == pytest.approx(0.25)


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match="7 prompts cannot tell"):
        GoldLooks(tmp_path, LookSettings(10, 1000), 7)
    with pytest.raises(UserError, match=r"100 labels pay for 2 looks of 20 prompts, 2 completions .* give 120 labels"):
        GoldLooks(tmp_path, LookSettings(10, 100, samples=2), 20)
    kept = GoldLooks(tmp_path, LookSettings(10, 100), 10)
    with pytest.raises(UserError, match="no gold for prompt 4"):
        kept.look(0, lambda: np.where(np.arange(10) == 3, np.nan, 1.0), lambda folder: None)
    kept.look(0, lambda: np.zeros(10), lambda folder: None)
    with pytest.raises(UserError, match="other settings"):
        GoldLooks(tmp_path, LookSettings(10, 200), 10)
    (tmp_path / "looks.json").write_text("{")
    with pytest.raises(UserError, match="delete it"):
        GoldLooks(tmp_path, LookSettings(10, 100), 10)
