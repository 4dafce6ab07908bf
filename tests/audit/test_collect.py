"""Evidence drawn from tiny policies: the KL by hand, gold of the chosen ones only, nothing measured twice."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from foolsgold.audit.collect import (
    Drawing,
    as_evidence,
    ask,
    choose,
    draw_checkpoints,
    draw_start,
    shares,
)
from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.hub import save_policy
from foolsgold.policies.sampling import Sampling
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.training.datasets import PromptRow
from foolsgold.training.rollouts import Task

TOKENIZER = train_bpe(["the cat sat on the mat"] * 3, 300)
STOPS = (TOKENIZER.eos_token_id,)
DRAWING = Drawing(Sampling(6, stop_tokens=STOPS), samples=8, run_samples=3)
ROWS = [PromptRow("the cat", {"number": 1}), PromptRow("on", {"number": 2}), PromptRow("the mat sat", {"number": 3})]


def decoder(seed: int) -> Decoder:
    torch.manual_seed(seed)
    model = Decoder(DecoderConfig.sized(len(TOKENIZER), 32, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0 if parameter.ndim == 2 else 1.0)
    return model.eval()


class Counted:
    """A reward that knows how many completions it was asked about."""

    def __init__(self, function, name):
        self.function, self.__name__, self.asked = function, name, 0

    def __call__(self, prompts, completions, **columns):
        self.asked += len(completions)
        return self.function(prompts, completions, **columns)


def letters(prompts, completions, **columns):
    return [float(len(text)) for text in completions]


def task(proxy=None, rows=ROWS) -> Task:
    return Task(rows, Scorer([WeightedReward(proxy or Counted(letters, "letters"))], None), TOKENIZER)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two snapshots; the first has the weights of the start."""
    folder = tmp_path_factory.mktemp("snapshots")
    return [(10, save_policy(folder / "step-00010", decoder(0), TOKENIZER)),
            (20, save_policy(folder / "step-00020", decoder(1), TOKENIZER))]  # fmt: skip


def by_hand(policy: Decoder, reference: Decoder, prompt: str, tokens: list[int]) -> float:
    """Log ratio of a completion, token by token."""
    ids, ratio = TOKENIZER(prompt)["input_ids"], 0.0
    for token in tokens:
        with torch.no_grad():
            logits = [model(torch.tensor([ids]))[0, -1].double() for model in (policy, reference)]
        ours, theirs = (each.softmax(-1)[token].log().item() for each in logits)
        ratio, ids = ratio + ours - theirs, [*ids, token]
    return ratio


def test_the_kl_is_the_mean_log_ratio_of_whole_completions(places, tmp_path):
    found = draw_checkpoints(decoder(0), [(0, None), *places], task(), DRAWING, tmp_path)
    assert [each.step for each in found] == [0, 10, 20]
    assert found[0].kl == (0.0, 0.0)
    assert found[1].kl.mean == pytest.approx(0, abs=1e-6)
    assert found[1].pool.texts == found[0].pool.texts  # the same random numbers
    drawn = found[2].pool.tokens
    ratios = [
        by_hand(decoder(1), decoder(0), row.prompt, said) for row, of in zip(ROWS, drawn, strict=True) for said in of
    ]
    # Up to the number format that the machine computes with.
    assert found[2].kl.mean == pytest.approx(np.mean(ratios), rel=0.03)
    assert found[2].kl.standard_error == pytest.approx(np.std(ratios, ddof=1) / np.sqrt(9), rel=0.1)


def test_a_temperature_belongs_to_both_policies(places, tmp_path):
    warm = Drawing(Sampling(6, 2.0, stop_tokens=STOPS), samples=2, run_samples=30)
    (hot,) = draw_checkpoints(decoder(0), places[1:], task(), warm, tmp_path / "warm")
    plain = Drawing(Sampling(6, stop_tokens=STOPS), samples=2, run_samples=30)
    (cold,) = draw_checkpoints(decoder(0), places[1:], task(), plain, tmp_path / "plain")
    assert 0 < hot.kl.mean < cold.kl.mean  # heat makes the two alike


@pytest.mark.parametrize("sampling", [Sampling(4, temperature=0), Sampling(4, top_k=5), Sampling(4, top_p=0.9)])
def test_what_has_no_kl_is_not_drawn(sampling):
    with pytest.raises(UserError, match="whole distribution"):
        Drawing(sampling)


def test_the_start_is_scored_by_the_proxy_alone(tmp_path):
    drawn = draw_start(decoder(0), task(), DRAWING, tmp_path)
    assert drawn.pool.proxy.tolist() == [[len(text) for text in texts] for texts in drawn.pool.texts]
    assert np.isnan(drawn.pool.gold).all()
    assert (drawn.step, drawn.name) == (None, "start")


def test_what_is_measured_is_not_measured_again(places, tmp_path):
    proxy = Counted(letters, "letters")
    once = draw_checkpoints(decoder(0), places[:1], task(proxy), DRAWING, tmp_path)
    draw_start(decoder(0), task(proxy), DRAWING, tmp_path)
    assert proxy.asked == 9 + 24
    twice = draw_checkpoints(decoder(0), places, task(proxy), DRAWING, tmp_path)
    draw_start(decoder(0), task(proxy), DRAWING, tmp_path)
    assert proxy.asked == 9 + 24 + 9  # the new snapshot only
    assert twice[0].pool.texts == once[0].pool.texts
    assert twice[0].kl == once[0].kl


def test_a_snapshot_that_cannot_be_read_is_left_out_and_said(places, tmp_path):
    damaged = tmp_path / "step-00015"
    shutil.copytree(places[0][1], damaged)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    given = [places[0], (15, damaged), (17, tmp_path / "vanished"), places[1]]
    said = []
    found = draw_checkpoints(decoder(0), given, task(), DRAWING, tmp_path / "pieces", warn=said.append)
    assert [each.step for each in found] == [10, 20]
    assert [line.split(",")[0] for line in said] == ["step 15 is left out", "step 17 is left out"]
    assert "damaged" in said[0]


def test_policies_of_different_vocabularies_have_no_kl(tmp_path):
    other = train_bpe(["a dog ran off"] * 3, 290)
    torch.manual_seed(0)
    place = save_policy(tmp_path / "other", Decoder(DecoderConfig.sized(len(other), 32, 1)), other)
    with pytest.raises(UserError, match="different vocabularies"):
        draw_checkpoints(decoder(0), [(5, place)], task(), DRAWING, tmp_path / "pieces")


def test_a_proxy_must_reward_every_completion(tmp_path):
    def some(prompts, completions, number, **columns):
        return [None if n == 2 else 1.0 for n in number]

    with pytest.raises(UserError, match="8 of 24 completions, first to one of prompt 2"):
        draw_start(decoder(0), task(Counted(some, "some")), DRAWING, tmp_path)


def test_half_of_the_labels_are_for_the_start_and_half_for_the_run():
    assert shares(None, 5) == (None, None)
    assert shares(101, 5) == (51, 10)
    assert shares(101, 0)[0] == 101
    with pytest.raises(UserError, match="19 labels is too small for 5 checkpoints; give 20"):
        shares(19, 5)
    assert shares(20, 5) == (10, 2)


def test_gold_is_asked_of_all_or_of_those_that_matter(places, tmp_path):
    start = draw_start(decoder(0), task(), Drawing(DRAWING.sampling, 40, 20), tmp_path)
    every = choose(start, None, 0)
    assert every.chosen.all()
    assert choose(start, 120, 0).chosen.all()
    some = choose(start, 30, 0)
    assert some.chance.sum() == pytest.approx(30)
    assert some.chosen.sum() == 30
    best = start.pool.proxy.argmax(1)
    assert (some.chance[range(3), best] > 3 * np.median(some.chance)).all()
    (checkpoint,) = draw_checkpoints(decoder(0), places[1:], task(), Drawing(DRAWING.sampling, 40, 20), tmp_path)
    even = choose(checkpoint, 15, 0)
    assert even.chance == pytest.approx(0.25)  # 15 of 60
    assert even.chosen.sum() == 15


def test_gold_gets_what_rewards_get_and_is_paid_once(tmp_path):
    def judged(prompts, completions, completion_ids, number, **columns):
        assert [TOKENIZER.decode(ids, skip_special_tokens=True) for ids in completion_ids] == completions
        return [n - len(text) for n, text in zip(number, completions, strict=True)]

    gold = Counted(judged, "judged")
    scorer = Scorer([WeightedReward(gold)], None)
    start = draw_start(decoder(0), task(), DRAWING, tmp_path)
    draw = choose(start, 10, 0)
    samples = ask(scorer, task(), start, draw)
    assert gold.asked == 10
    assert (samples.labelled == draw.chosen).all()
    expected = np.array([[1], [2], [3]]) - start.pool.proxy
    assert (samples.gold[draw.chosen] == expected[draw.chosen]).all()
    assert samples.chance is draw.chance
    again = ask(scorer, task(), start, draw)
    np.testing.assert_array_equal(again.gold, samples.gold)
    assert gold.asked == 10
    ask(Scorer([WeightedReward(gold, name="other")], None), task(), start, draw)
    assert gold.asked == 20  # another gold is not taken for the first
    ask(Scorer([WeightedReward(gold, name="other")], None), task(), start, draw, place="new.py:other")
    assert gold.asked == 30  # nor is one of the same name from elsewhere


def test_all_gold_leaves_no_chances(tmp_path):
    start = draw_start(decoder(0), task(), DRAWING, tmp_path)
    samples = ask(Scorer([WeightedReward(letters)], None), task(), start, choose(start, None, 0))
    assert samples.chance is None
    np.testing.assert_array_equal(samples.gold_estimate, start.pool.proxy)


def test_gold_must_judge_what_was_chosen_at_random(tmp_path):
    def some(prompts, completions, number, **columns):
        return [None if n == 2 else 1.0 for n in number]

    start = draw_start(decoder(0), task(), DRAWING, tmp_path)
    scorer = Scorer([WeightedReward(some)], None)
    samples = ask(scorer, task(), start, choose(start, None, 0))
    assert samples.labelled.sum() == 16  # all were to be judged, and prompt 2 has no gold
    with pytest.raises(UserError, match="gold gives no reward"):
        ask(scorer, task(), start, choose(start, 12, 0))


def test_dialogues_are_answered_by_messages(tmp_path):
    chat = train_bpe(["the cat sat on the mat"] * 3, 300, chat=True)
    torch.manual_seed(0)
    model = Decoder(DecoderConfig.sized(len(chat), 32, 1)).eval()
    rows = [PromptRow([{"role": "user", "content": "who sat?"}], {})]

    def of_messages(prompts, completions, **columns):
        assert all(answer[0]["role"] == "assistant" for answer in completions)
        return [float(len(answer[0]["content"])) for answer in completions]

    scorer = Scorer([WeightedReward(of_messages)], None)
    asked = Task(rows, scorer, chat)
    start = draw_start(model, asked, DRAWING, tmp_path)
    samples = ask(scorer, asked, start, choose(start, None, 0))
    np.testing.assert_array_equal(samples.gold, start.pool.proxy)
    assert as_evidence([(start, samples)], "proxy", "gold").prompts == ["who sat?"]


def test_checkpoints_stand_in_the_order_of_their_steps(places, tmp_path):
    found = draw_checkpoints(decoder(0), [places[1], places[0]], task(), DRAWING, tmp_path)
    start = draw_start(decoder(0), task(), DRAWING, tmp_path)
    scorer = Scorer([WeightedReward(letters)], None)
    pairs = [(each, ask(scorer, task(), each, choose(each, None, 0))) for each in [*found, start]]
    evidence = as_evidence(pairs, "letters", "gold")
    assert [each.step for each in evidence.run] == [10, 20]
    assert evidence.run[1].kl == found[0].kl.mean
    assert evidence.run[1].kl_error == found[0].kl.standard_error
    assert evidence.start is pairs[2][1]
    assert evidence.prompts == ["the cat", "on", "the mat sat"]
    with pytest.raises(UserError, match="nothing to audit"):
        as_evidence([], "proxy", "gold")
