"""The same batch through TRL's own trainers and through the functions of `objectives`: losses, gradients, advantages.

TRL's trainers are built on a Llama of one layer with random weights and asked for the loss of random tokens; here the
log-probabilities come from the model's plain logits and the loss from `objectives`. So the references are complete:
their fused log-probabilities, masks and normalisation included.
"""

import math
from functools import partial

import pytest
import torch

from foolsgold.objectives.advantages import (
    dr_grpo_advantages,
    grpo_advantages,
    reinforce_pp_baseline_advantages,
    rloo_advantages,
)
from foolsgold.objectives.direct_preference import dpo_loss, ipo_loss, kto_loss, kto_reference_kl
from foolsgold.objectives.kl import k3, weighted_k3
from foolsgold.objectives.policy_gradient import (
    Normalizer,
    cispo_loss,
    gspo_loss,
    per_constant_length,
    per_sequence_mean,
    ppo_clip_loss,
    reinforce_loss,
    token_mean,
)
from foolsgold.objectives.preference import bradley_terry_loss

trl = pytest.importorskip("trl")
transformers = pytest.importorskip("transformers")
datasets = pytest.importorskip("datasets")
tokenizers = pytest.importorskip("tokenizers")

pytestmark = pytest.mark.slow

WORDS = 30
PROMPTS, SAMPLES, PROMPT, COMPLETION = 3, 4, 4, 6
ROWS = PROMPTS * SAMPLES


def tiny_llama(seed, kind="LlamaForCausalLM", **options):
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=WORDS + 2,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        **options,
    )
    return getattr(transformers, kind)(config)


def word_tokenizer():
    words = {"<pad>": 0, "<eos>": 1, **{f"w{i}": i + 2 for i in range(WORDS)}}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<pad>"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=model, pad_token="<pad>", eos_token="<eos>")


def arguments(config, path, **options):
    common = {"output_dir": str(path), "report_to": "none", "use_cpu": True, "bf16": False, "disable_tqdm": True}
    return config(**common, **options)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def assert_same(model, ours, theirs, tolerance=1e-5):
    """Equal losses and equal gradients of every weight."""
    assert ours.item() == pytest.approx(theirs.item(), rel=tolerance, abs=tolerance)
    our_gradients, their_gradients = gradients(model, ours), gradients(model, theirs)
    assert max(gradient.abs().max().item() for gradient in our_gradients) > 1e-4, "a gradient to compare"
    for mine, other in zip(our_gradients, their_gradients, strict=True):
        assert torch.allclose(mine, other, atol=tolerance, rtol=1e-4)


def token_log_prob(model, batch):
    """Log-probabilities `[B, T]` of the completion's tokens, from plain logits."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    log_probs = model(input_ids=ids, attention_mask=attention).logits[:, PROMPT - 1 : -1].log_softmax(-1)
    return log_probs.gather(2, batch["completion_ids"][..., None])[..., 0]


def rl_batch(model, rows=ROWS):
    """A batch as GRPOTrainer passes it to its loss, drawn by a policy somewhat off `model`."""
    generator = torch.Generator().manual_seed(5)
    lengths = torch.randint(1, COMPLETION + 1, (rows, 1), generator=generator)
    mask = torch.arange(COMPLETION) < lengths
    batch = {
        "prompt_ids": torch.randint(2, WORDS + 2, (rows, PROMPT), generator=generator),
        "prompt_mask": torch.ones(rows, PROMPT, dtype=torch.long),
        "completion_ids": torch.randint(2, WORDS + 2, (rows, COMPLETION), generator=generator) * mask,
        "completion_mask": mask.long(),
        "advantages": torch.randn(rows, generator=generator),
        "num_items_in_batch": mask.sum(),
    }
    with torch.no_grad():
        log_prob = token_log_prob(model, batch)
    noise = torch.randn(rows, COMPLETION, generator=generator)
    batch["old_per_token_logps"] = log_prob + 0.4 * noise
    batch["ref_per_token_logps"] = log_prob + 0.3 * noise.flip(0)
    batch["old_logps"] = ((log_prob + 0.1 * noise) * mask).sum(1)
    return batch


def rl_trainer(path, rewards=None, kind="GRPO", accumulate=1, **options):
    """A trainer whose reward function hands out `rewards`, one for each row in turn."""
    config, trainer = getattr(trl, f"{kind}Config"), getattr(trl, f"{kind}Trainer")
    if kind == "GRPO":
        options = {"max_completion_length": COMPLETION, "steps_per_generation": accumulate, **options}
    made = trainer(
        model=tiny_llama(0),
        reward_funcs=lambda prompts, **columns: rewards,
        args=arguments(
            config,
            path,
            per_device_train_batch_size=ROWS // accumulate,
            gradient_accumulation_steps=accumulate,
            num_generations=SAMPLES,
            **options,
        ),
        train_dataset=datasets.Dataset.from_dict({"prompt": ["w1 w2"] * 8}),
        processing_class=word_tokenizer(),
    )
    made.current_gradient_accumulation_steps = accumulate
    made.model.train()
    return made


REWARDS = [
    [0.5, -1.0, 2.0, 0.25, 1.0, 1.0, 1.0, 1.0, 3.0, 0.0, -2.0, 7.0],
    [0.5, None, 2.0, 0.25, None, None, None, None, 3.0, None, None, None],
]


def their_advantages(path, rewards, **options):
    made = rl_trainer(path, rewards, **options)
    rows = [{"prompt": f"w{i} w2"} for i in range(PROMPTS) for _ in range(SAMPLES)]
    return made._generate_and_score_completions(rows)["advantages"].view(PROMPTS, SAMPLES)


def grouped(rewards):
    return torch.tensor([math.nan if reward is None else reward for reward in rewards]).view(PROMPTS, SAMPLES)


@pytest.mark.parametrize("rewards", REWARDS, ids=["all", "some skipped"])
@pytest.mark.parametrize(("scale", "function"), [("group", grpo_advantages), ("none", dr_grpo_advantages)])
def test_advantages_equal_grpo_trainer(tmp_path, rewards, scale, function):
    theirs = their_advantages(tmp_path, rewards, scale_rewards=scale, max_completion_length=2)
    assert torch.allclose(function(grouped(rewards)), theirs, atol=1e-5)


@pytest.mark.parametrize("rewards", REWARDS, ids=["all", "some skipped"])
def test_advantages_equal_rloo_trainer(tmp_path, rewards):
    theirs = their_advantages(tmp_path, rewards, kind="RLOO", max_completion_length=2, beta=0.0)
    assert torch.allclose(rloo_advantages(grouped(rewards)), theirs, atol=1e-5)


def test_normalized_rloo_is_reinforce_pp_with_baseline(tmp_path):
    # Leave-one-out scales every distance by G / (G - 1), which dividing by the batch's deviation takes out again.
    theirs = their_advantages(
        tmp_path, REWARDS[0], kind="RLOO", max_completion_length=2, beta=0.0, normalize_advantages=True
    )
    assert torch.allclose(reinforce_pp_baseline_advantages(grouped(REWARDS[0])), theirs, atol=1e-4)


CLIP = {"epsilon": 0.2, "epsilon_high": 0.28}
RL_LOSSES = {
    "grpo": (CLIP, partial(ppo_clip_loss, clip_high=0.28, aggregate=per_sequence_mean)),
    "bnpo": (CLIP, partial(ppo_clip_loss, clip_high=0.28, aggregate=token_mean)),
    "dapo": (CLIP, partial(ppo_clip_loss, clip_high=0.28, aggregate=token_mean)),
    "dr_grpo": (CLIP, partial(ppo_clip_loss, clip_high=0.28, aggregate=per_constant_length(COMPLETION))),
    "cispo": ({"epsilon_high": 1.3}, partial(cispo_loss, clip_high=0.3)),
    "gspo": (
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon": 0.1, "epsilon_high": 0.15},
        partial(gspo_loss, clip_low=0.1, clip_high=0.15),
    ),
}


@pytest.mark.parametrize("name", RL_LOSSES)
def test_loss_equals_grpo_trainer(tmp_path, name):
    options, loss = RL_LOSSES[name]
    made = rl_trainer(tmp_path, **{"loss_type": name, "beta": 0.0, **options})
    batch = rl_batch(made.model)
    mask = batch["completion_mask"].bool()
    ours = loss(token_log_prob(made.model, batch), batch["old_per_token_logps"], batch["advantages"], mask)
    assert_same(made.model, ours.value, made.compute_loss(made.model, batch))
    if name not in ("cispo", "gspo"):  # TRL counts differently there: one side, or sequences
        assert ours.clip_fraction.item() == pytest.approx(made._metrics["train"]["clip_ratio/region_mean"][0])
        assert 0.1 < ours.clip_fraction < 0.9


@pytest.mark.parametrize("weighted", [True, False])
def test_kl_penalty_equals_grpo_trainer(tmp_path, weighted):
    made = rl_trainer(tmp_path, loss_type="dapo", beta=0.0, use_bias_correction_kl=weighted)
    made.beta = 0.3  # set afterwards: asked for at once, TRL would look for the reference model on the hub
    batch = rl_batch(made.model)
    mask = batch["completion_mask"].bool()
    log_prob = token_log_prob(made.model, batch)
    old_log_prob, ref_log_prob = batch["old_per_token_logps"], batch["ref_per_token_logps"]
    ours = ppo_clip_loss(log_prob, old_log_prob, batch["advantages"], mask).value
    terms = weighted_k3(log_prob, old_log_prob, ref_log_prob) if weighted else k3(log_prob, ref_log_prob)
    penalty = token_mean(terms, mask, Normalizer.of(mask))
    assert_same(made.model, ours + 0.3 * penalty, made.compute_loss(made.model, batch))


@pytest.mark.parametrize("name", ["grpo", "dapo", "dr_grpo"])
def test_accumulated_gradient_equals_grpo_trainer(tmp_path, name):
    options, loss = RL_LOSSES[name]
    made = rl_trainer(tmp_path, accumulate=2, **{"loss_type": name, "beta": 0.0, **options})
    batch = rl_batch(made.model)
    halves = [
        {key: value if value.ndim == 0 else value[rows] for key, value in batch.items()}
        for rows in (slice(0, ROWS // 2), slice(ROWS // 2, ROWS))
    ]
    normalizer = Normalizer.of(batch["completion_mask"].bool())
    ours = [
        loss(
            token_log_prob(made.model, half),
            half["old_per_token_logps"],
            half["advantages"],
            half["completion_mask"].bool(),
            normalizer=normalizer,
        ).value
        for half in halves
    ]
    theirs = [made.compute_loss(made.model, half) for half in halves]
    assert_same(made.model, ours[0] + ours[1], theirs[0] + theirs[1])


def test_on_policy_reinforce_equals_rloo_trainer(tmp_path):
    # TRL's ratio is that of whole completions; where it is 1, its gradient is REINFORCE's, summed over tokens.
    made = rl_trainer(tmp_path, kind="RLOO", beta=0.0)
    batch = rl_batch(made.model)
    mask = batch["completion_mask"].bool()
    log_prob = token_log_prob(made.model, batch)
    batch["old_logps"] = (log_prob.detach() * mask).sum(1)
    ours = reinforce_loss(
        log_prob, log_prob.detach(), batch["advantages"], mask, aggregate=per_constant_length(1)
    ).value
    theirs = made.compute_loss(made.model, batch)
    for mine, other in zip(gradients(made.model, ours), gradients(made.model, theirs), strict=True):
        assert torch.allclose(mine, other, atol=1e-5, rtol=1e-4)


def judged_batch(rows, seed):
    """Whole texts `[rows, PROMPT + COMPLETION]` with completions of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, COMPLETION + 1, (rows, 1), generator=generator)
    position = torch.arange(PROMPT + COMPLETION)
    attention = position < PROMPT + lengths
    ids = torch.randint(2, WORDS + 2, attention.shape, generator=generator) * attention
    return {
        "input_ids": ids,
        "attention_mask": attention.long(),
        "completion_mask": (attention & (position >= PROMPT)).long(),
    }


def summed_log_prob(model, batch):
    """Log-probabilities `[B]` of whole completions, from plain logits, and their lengths `[B]`."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    log_prob = logits[:, :-1].log_softmax(-1).gather(2, batch["input_ids"][:, 1:, None])[..., 0]
    mask = batch["completion_mask"][:, 1:]
    return (log_prob * mask).sum(1), mask.sum(1)


def dpo_trainer(path, **options):
    rows = {"prompt": ["w1 w2"] * 4, "chosen": ["w3"] * 4, "rejected": ["w4"] * 4}
    made = trl.DPOTrainer(
        model=tiny_llama(0),
        ref_model=tiny_llama(1),
        args=arguments(trl.DPOConfig, path, **options),
        train_dataset=datasets.Dataset.from_dict(rows),
        processing_class=word_tokenizer(),
    )
    made.model.train()
    return made


def preference_inputs(made, batch):
    log_prob, lengths = summed_log_prob(made.model, batch)
    with torch.no_grad():
        ref_log_prob, _ = summed_log_prob(made.ref_model, batch)
    return (*log_prob.chunk(2), *ref_log_prob.chunk(2)), lengths.chunk(2)


def test_dpo_equals_dpo_trainer(tmp_path):
    made, batch = dpo_trainer(tmp_path, loss_type=["sigmoid"], beta=0.3), judged_batch(8, seed=2)
    log_probs, _ = preference_inputs(made, batch)
    assert_same(made.model, dpo_loss(*log_probs, beta=0.3), made.compute_loss(made.model, batch))


def test_smoothed_dpo_equals_dpo_trainer_on_right_and_wrong_labels(tmp_path):
    made, batch = dpo_trainer(tmp_path, loss_type=["sigmoid"], beta=0.3), judged_batch(8, seed=2)
    swapped = {key: value.roll(4, 0) for key, value in batch.items()}
    log_probs, _ = preference_inputs(made, batch)
    theirs = 0.9 * made.compute_loss(made.model, batch) + 0.1 * made.compute_loss(made.model, swapped)
    assert_same(made.model, dpo_loss(*log_probs, beta=0.3, label_smoothing=0.1), theirs)


def test_ipo_equals_dpo_trainer(tmp_path):
    made, batch = dpo_trainer(tmp_path, loss_type=["ipo"], beta=0.3), judged_batch(8, seed=2)
    log_probs, lengths = preference_inputs(made, batch)
    assert_same(made.model, ipo_loss(*log_probs, *lengths, beta=0.3), made.compute_loss(made.model, batch))


@pytest.mark.parametrize("far", [False, True], ids=["reference point above 0", "cut off at 0"])
def test_kto_equals_kto_trainer(tmp_path, far):
    rows = {"prompt": ["w1 w2"] * 4, "completion": ["w3", "w4", "w5", "w6"], "label": [True, False] * 2}
    made = trl.KTOTrainer(
        model=tiny_llama(0),
        ref_model=tiny_llama(1),
        args=arguments(
            trl.KTOConfig,
            tmp_path,
            beta=0.2,
            desirable_weight=1.5,
            undesirable_weight=0.7,
            per_device_train_batch_size=4,
        ),
        train_dataset=datasets.Dataset.from_dict(rows),
        processing_class=word_tokenizer(),
    )
    made.model.train()
    desirable = torch.tensor([True, False, False, True, True, False])
    batch, other = judged_batch(6, seed=2), judged_batch(6, seed=3)
    log_prob, _ = summed_log_prob(made.model, batch)
    with torch.no_grad():
        ref_log_prob, _ = summed_log_prob(made.ref_model, batch)
        lead = summed_log_prob(made.model, other)[0] - summed_log_prob(made.ref_model, other)[0]
        # Of the random texts, keep those that the policy finds likelier than its reference, or the others.
        kept = torch.nonzero((lead < 0) == far)[:, 0]
        other = {key: value[kept] for key, value in other.items()}
        kl = kto_reference_kl(summed_log_prob(made.model, other)[0], summed_log_prob(made.ref_model, other)[0])
    assert (kl == 0) == far
    ours = kto_loss(log_prob, ref_log_prob, desirable, kl, beta=0.2, desirable_weight=1.5, undesirable_weight=0.7)
    inputs = {**batch, **{f"KL_{key}": value for key, value in other.items()}, "label": desirable}
    assert_same(made.model, ours, made.compute_loss(made.model, inputs))


@pytest.mark.parametrize("margin", [None, torch.tensor([0.5, 0.0, 2.0, 1.0])], ids=["plain", "margin"])
def test_reward_model_loss_equals_reward_trainer(tmp_path, margin):
    made = trl.RewardTrainer(
        model=tiny_llama(0, "LlamaForSequenceClassification", num_labels=1),
        args=arguments(trl.RewardConfig, tmp_path),
        train_dataset=datasets.Dataset.from_dict({"chosen": ["w1 w2"] * 4, "rejected": ["w3 w4"] * 4}),
        processing_class=word_tokenizer(),
    )
    made.model.train()
    batch = judged_batch(8, seed=2)
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    chosen, rejected = made.model(**inputs).logits[:, 0].chunk(2)
    if margin is not None:
        inputs["margin"] = margin
    assert_same(made.model, bradley_terry_loss(chosen, rejected, margin), made.compute_loss(made.model, inputs))
