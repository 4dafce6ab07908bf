"""The commands end to end on tiny data; transformers reads what they leave."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
)

from foolsgold import cli
from foolsgold.errors import UserError
from foolsgold.serving.runs_samples import samples, sources
from foolsgold.serving.train_commands import COMMANDS, sft_command
from foolsgold.serving.train_settings import SFTCommand
from foolsgold.serving.training_run import TrainingRun, absolute, settled, split

REWARDS = """
def cats(prompts, completions, **columns):
    return [text.count("cat") for text in completions]

def length(prompts, completions, **columns):
    return [len(text) for text in completions]

def brevity(prompts, completions, **columns):
    return [-float(len(text)) for text in completions]
"""


def write(path: Path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Data sets about cats and dogs, the better answers about cats, and a small pretrained model."""
    folder, rng = tmp_path_factory.mktemp("world"), random.Random(0)

    def answer(animal):
        return f"the {rng.choice(['big', 'small', 'old'])} {animal} sat on the {rng.choice(['mat', 'log'])}"

    prompts = [f"tell me of number {rng.randrange(100)}: " for _ in range(80)]
    write(folder / "texts.jsonl", [{"text": prompt + answer(rng.choice(["cat", "dog"]))} for prompt in prompts])
    write(folder / "pairs.jsonl", [{"prompt": p, "completion": answer(rng.choice(["cat", "dog"]))} for p in prompts])
    write(folder / "prompts.jsonl", [{"prompt": prompt} for prompt in prompts])
    write(
        folder / "comparisons.jsonl",
        [{"prompt": prompt, "chosen": answer("cat"), "rejected": answer("dog")} for prompt in prompts],
    )
    judged = [(prompt, rng.choice(["cat", "dog"])) for prompt in prompts]
    write(folder / "thumbs.jsonl", [{"prompt": p, "completion": answer(x), "label": x == "cat"} for p, x in judged])
    write(folder / "scored.jsonl", [{"prompt": p, "completion": answer(x), "score": len(x + p)} for p, x in judged])
    (folder / "rewards.py").write_text(REWARDS)
    made = run(folder, "pretrain", "--data", "texts.jsonl", "--width", 32, "--layers", 2, "--vocabulary", 320,
               "--block", 32, "--steps", 4, "--batch", 8)  # fmt: skip
    return folder, made / "model"


@pytest.fixture(scope="module")
def gpt2(world):
    """A small model outside the Llama and Qwen family, with the same tokenizer."""
    folder, pretrained = world
    tokenizer = AutoTokenizer.from_pretrained(pretrained)
    torch.manual_seed(0)
    sizes = {"vocab_size": len(tokenizer), "n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 2}
    end = tokenizer.eos_token_id
    GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=end, eos_token_id=end)).save_pretrained(folder / "gpt2")
    tokenizer.save_pretrained(folder / "gpt2")
    return folder / "gpt2"


def run(folder: Path, command: str, *words, reads=("--data", "--model", "--prompts")) -> Path:
    """The run folder that a command line makes, its files in `folder`."""
    settings = [str(word) for word in words]
    settings = [
        str(folder / word) if before in reads and "/" not in word else word
        for before, word in zip(["", *settings], settings, strict=False)
    ]
    sys.argv = ["foolsgold", "train", command, *settings, "--output", str(folder / "runs")]
    before = set((folder / "runs").glob("*"))
    cli.main()
    (made,) = set((folder / "runs").glob("*")) - before
    return made


def metrics(run_folder: Path) -> list[dict]:
    return [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]


def test_from_texts_to_a_policy_trained_by_a_reward_model(world, capsys):
    folder, pretrained = world
    quick = ("--batch", 8, "--evaluate-every", 4)
    sft = run(folder, "sft", "--model", pretrained, "--data", "pairs.jsonl", "--steps", 4, *quick)
    reward = run(folder, "reward", "--model", sft / "model", "--data", "comparisons.jsonl", "--steps", 12, *quick)
    rl = run(folder, "rl", "--model", sft / "model", "--prompts", "prompts.jsonl", "--steps", 2, "--batch", 2,
             "--samples", 4, "--max-new-tokens", 12, "--reward", f"rm={reward / 'model'}",
             "--reward", f"gold={folder / 'rewards.py'}:cats@0")  # fmt: skip
    out = capsys.readouterr().out
    assert f"model: {rl / 'model'}" in out
    assert f"foolsgold train rl --model {sft / 'model'} --prompts prompts.jsonl --reward {reward / 'model'}" in out
    assert metrics(sft)[-1]["held_out_loss"] < metrics(sft)[0]["held_out_loss"]
    assert metrics(reward)[-1]["held_out_accuracy"] == 1  # cat or dog is all there is to tell
    last = metrics(rl)[-1]
    assert last["reward"] == pytest.approx(last["reward/rm"])  # gold is measured, not trained on
    assert {"reward/gold", "kl", "held_out_reward", "held_out_reward/gold"} <= last.keys()
    (source,) = sources(rl)  # what `foolsgold serve` shows
    shown = [each.facts for each in samples(rl, source, source.at[-1]).samples]
    assert np.mean([facts["gold"] for facts in shown]) == pytest.approx(last["held_out_reward/gold"], abs=1e-3)
    for made in (pretrained, sft / "model", rl / "model"):
        assert AutoModelForCausalLM.from_pretrained(made)(torch.tensor([[5, 6]])).logits.isfinite().all()
        assert AutoTokenizer.from_pretrained(made)("the cat")["input_ids"]
    assert AutoModelForSequenceClassification.from_pretrained(reward / "model").config.num_labels == 1
    config = json.loads((rl / "config.json").read_text())["config"]
    assert config["kl_in"] == "loss"  # what followed is stored
    assert config["learning_rate"] == 0.002  # 2e-6 at width 1024 times 32², which is above the most that is taken


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("rl", ("--algorithm", "ppo", "--steps", 1, "--batch", 2, "--samples", 2)),
        ("rl", ("--algorithm", "rloo", "--steps", 1, "--batch", 2, "--samples", 2, "--held-out", 0)),
        ("rl", ("--kl-in", "chi-squared", "--kl", 0.003, "--steps", 1, "--batch", 2, "--samples", 2)),
        ("expert", ("--rounds", 2, "--steps", 2, "--samples", 4, "--prompts-a-round", 4)),
    ],
)
def test_other_training_on_what_the_policy_writes(world, command, words):
    folder, model = world
    reward = ("--reward", f"{folder / 'rewards.py'}:length", "--max-new-tokens", 8)
    made = run(folder, command, "--model", model, "--prompts", "prompts.jsonl", *words, *reward)
    assert (made / "model" / "model.safetensors").exists()
    assert metrics(made)[-1]["reward"] > 0


@pytest.fixture(scope="module")
def watched(world):
    """What a short run of RL on a reward model is asked for."""
    folder, model = world
    reward = run(folder, "reward", "--model", model, "--data", "comparisons.jsonl", "--steps", 2, "--batch", 8)
    words = ("--model", model, "--prompts", "prompts.jsonl", "--reward", f"rm={reward / 'model'}")
    return folder, (*words, "--steps", 11, "--batch", 2, "--samples", 4, "--max-new-tokens", 8)


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ((), {"alarm/chi-squared"}),
        (("--alarms", "off"), set()),
        (("--alarms", "all"), {"alarm/chi-squared", "alarm/outliers", "alarm/repetition", "alarm/collapse"}),
    ],
)
def test_alarms_are_logged_where_they_were_read(watched, words, read):
    folder, usual = watched
    made = run(folder, "rl", *usual, *words)
    found = {row["step"]: {name for name in row if name.startswith("alarm/")} for row in metrics(made)}
    assert [step for step, names in found.items() if names] == ([1, 10] if read else [])
    assert found[10] == read if len(read) < 2 else read <= found[10]


def test_a_run_above_its_alarm_threshold_is_stopped(watched, capsys):
    folder, usual = watched
    made = run(folder, "rl", *usual, "--alarm-threshold", -100)
    assert "the alarm chi-squared read" in capsys.readouterr().out
    assert not (made / "metrics.jsonl").read_text().count('"step": 2')


def test_alarms_need_a_reward_model(world, capsys):
    folder, model = world
    words = ("--prompts", "prompts.jsonl", "--reward", f"{folder / 'rewards.py'}:length", "--alarm-threshold", 3)
    with pytest.raises(SystemExit):
        run(folder, "rl", "--model", model, *words)
    assert "alarms watch a reward model" in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("--lora", 4)])
def test_a_run_whose_gold_falls_is_stopped_and_its_best_policy_kept(world, capsys, words):
    folder, model = world
    rewards = ("--reward", f"{folder / 'rewards.py'}:length", "--reward", f"gold={folder / 'rewards.py'}:brevity@0")
    budget = ("--gold-budget", 640, "--held-out", 0.4, "--evaluate-every", 2)
    size = ("--steps", 30, "--batch", 4, "--max-new-tokens", 16, "--learning-rate", 0.01, "--kl", 0)
    made = run(folder, "rl", "--model", model, "--prompts", "prompts.jsonl", *rewards, *budget, *size, *words)
    rows = metrics(made)
    said = capsys.readouterr().out
    if not words:  # an adapter learns more slowly
        assert rows[-1]["step"] < 30
        assert "gold fell by" in said
    assert f"audit: foolsgold audit {made}" in said
    best = int(said.split("the policy of step ")[1].split(",")[0])
    gold = {row["step"]: row["gold"] for row in rows if "gold" in row}
    assert gold[best] == max(gold.values())
    assert rows[-1]["gold_labels"] <= 640
    assert "reward/brevity" not in rows[-1]  # gold is asked about held-out prompts alone
    kept = json.loads((made / "gold" / "looks.json").read_text())
    assert kept["best"] == best
    if not words:
        saved, looked = (
            load_file(each / "model.safetensors") for each in (made / "model", made / "gold" / f"best-{best}")
        )
        assert all(torch.equal(saved[name].float(), looked[name].float()) for name in looked)


@pytest.mark.parametrize(
    ("command", "words"),
    [("rl", ("--steps", 2, "--batch", 2)), ("expert", ("--rounds", 1, "--steps", 2, "--prompts-a-round", 4))],
)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.filterwarnings("ignore:.*runs through transformers")
def test_adapters_and_other_families_train_on_what_they_write(world, gpt2, command, words, family):
    folder, llama = world
    model = gpt2 if family == "gpt2" else llama
    given = ("--model", model, "--prompts", "prompts.jsonl", "--reward", f"{folder / 'rewards.py'}:length", *words,
             "--samples", 4, "--max-new-tokens", 8, "--dtype", "float32")  # fmt: skip
    made = run(folder, command, *given, "--lora", 4, "--lora-targets", "c_attn" if family == "gpt2" else "q_proj")
    start = load_file(model / "model.safetensors")
    tokens = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        adapted = AutoPeftModelForCausalLM.from_pretrained(made / "adapter")
        merged = AutoModelForCausalLM.from_pretrained(made / "model")
        torch.testing.assert_close(adapted(tokens).logits, merged(tokens).logits, atol=1e-4, rtol=0)
    assert adapted.peft_config["default"].r == 4
    weights = load_file(made / "model" / "model.safetensors")
    moved = {name for name, value in start.items() if not torch.equal(value, weights[name])}
    assert moved == {name for name in start if name.endswith(("q_proj.weight", "c_attn.weight"))}
    if family == "gpt2":
        whole = run(folder, command, *given)
        weights = load_file(whole / "model" / "model.safetensors")
        assert all(not torch.equal(value, weights[name]) for name, value in start.items() if value.ndim == 2)
        assert not (whole / "adapter").exists()


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("reward", ("--data", "comparisons.jsonl"), "a reward model starts from a model of the Llama and Qwen family"),
        ("rl", ("--prompts", "prompts.jsonl", "--reward", "rewards.py:cats", "--algorithm", "ppo"), "PPO's critic"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*runs through transformers")
def test_what_other_families_cannot_do_is_one_line(world, gpt2, capsys, monkeypatch, command, words, message):
    folder, _ = world
    monkeypatch.chdir(folder)
    before = set((folder / "runs").glob("*"))
    with pytest.raises(SystemExit) as ended:
        run(folder, command, "--model", gpt2, *words)
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert set((folder / "runs").glob("*")) == before


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("dpo", ("--data", "comparisons.jsonl", "--loss", "dpo")),
        ("dpo", ("--data", "comparisons.jsonl", "--loss", "ipo", "--lora", 4)),
        ("dpo", ("--data", "thumbs.jsonl", "--loss", "kto")),
        ("conditioned", ("--data", "scored.jsonl", "--bins", 3)),
        ("sft", ("--data", "pairs.jsonl", "--lora", 4, "--lora-targets", "q_proj", "--steps", 3)),
    ],
)
def test_other_training_on_rows(world, command, words):
    folder, model = world
    made = run(folder, command, "--model", model, *words, "--batch", 16)
    rows = metrics(made)
    assert rows[0]["step"] == 0
    if command == "dpo":
        assert rows[0]["held_out_margin"] == pytest.approx(0, abs=1e-4)  # as likely as at the start
        assert rows[-1]["held_out_margin"] > 0
    assert (made / "model" / "model.safetensors").exists()
    assert (made / "adapter").exists() == ("--lora" in words)


def test_an_interrupted_run_ends_with_the_same_weights_and_metrics(world, monkeypatch):
    folder, model = world
    words = ("--model", model, "--data", "pairs.jsonl", "--steps", 9, "--save-every", 2, "--batch", 4)
    whole = run(folder, "sft", *words)

    def report(self, step, figures, plain=TrainingRun.report):
        if step == 6:  # saved, but not yet told of
            raise KeyboardInterrupt
        plain(self, step, figures)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "report", report)
        before = set((folder / "runs").glob("*"))
        with pytest.raises(SystemExit) as ended:
            run(folder, "sft", *words)
        assert ended.value.code == 130
    (cut,) = set((folder / "runs").glob("*")) - before
    assert not (cut / "model").exists()
    monkeypatch.chdir("/")  # paths hold from any folder
    sft_command(SFTCommand(resume=str(cut)))
    ours, theirs = (load_file(each / "model" / "model.safetensors") for each in (whole, cut))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    kept = ("step", "loss", "gradient_norm", "held_out_loss")
    told = [[{name: row[name] for name in kept if name in row} for row in metrics(each)] for each in (whole, cut)]
    assert [row for row in told[0] if row["step"] != 6] == told[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sft",), "--data is missing"),
        (("sft", "--data", "pairs.jsonl"), "--model is missing"),
        (("sft", "--data", "nothing.jsonl"), "no file"),
        (("sft", "--data", "prompts.jsonl"), "'completion' is missing"),
        (("sft", "--data", "pairs.jsonl", "--held-out", 1), "--held-out"),
        (("sft", "--data", "pairs.jsonl", "--steps", 0), "--steps 0"),
        (("pretrain", "--data", "texts.jsonl", "--width", 33), "--width 33"),
        (("pretrain", "--data", "texts.jsonl", "--vocabulary", 20), "vocabulary of 20 is too small"),
        (("rl", "--prompts", "prompts.jsonl"), "--reward is missing"),
        (("rl", "--prompts", "prompts.jsonl", "--reward", "nowhere.py:f"), "no file"),
        (("rl", "--prompts", "prompts.jsonl", "--reward", "./nowhere"), "no model directory"),
        (("rl", "--prompts", "prompts.jsonl", "--reward", "a.py:f@1.2.3"), "no number"),
        (
            ("rl", "--model", "MODEL", "--prompts", "prompts.jsonl", "--reward", "REWARDS:cats", "--gold-budget", 100),
            "--reward gold=PLACE@0",
        ),
        (
            (
                "rl",
                "--model",
                "MODEL",
                "--prompts",
                "prompts.jsonl",
                "--reward",
                "REWARDS:length",
                "--gold-budget",
                100,
                "--reward",
                "gold=REWARDS:cats@0",
                "--held-out",
                0.05,
            ),
            "4 prompts cannot tell",
        ),
        (("nothing",), "there is no training 'nothing'"),
        (("sft", "--resume", "."), "is no run folder"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_folder(world, capsys, words, message):
    folder, model = world
    before = set((folder / "runs").glob("*"))
    places = {"MODEL": str(model), "REWARDS": str(folder / "rewards.py")}
    words = [
        next((w.replace(k, v) for k, v in places.items() if k in w), w) if isinstance(w, str) else w for w in words
    ]
    with pytest.raises(SystemExit) as ended:
        run(folder, *words)
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert set((folder / "runs").glob("*")) == before


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_begins_with_what_the_command_does_and_examples(capsys, monkeypatch, command):
    monkeypatch.setattr(sys, "argv", ["foolsgold", "train", command, "--help"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"  foolsgold train {command} " in shown.split("options")[0]
    assert "--output STR" in shown


def test_help_does_not_wait_for_torch():
    code = "import sys; sys.argv = ['foolsgold', 'train', 'rl', '--help']; from foolsgold import cli\n"
    code += "try: cli.main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_dialogues_are_learned_from_their_last_turn(world, tmp_path):
    turns = [{"role": "user", "content": "who sat?"}, {"role": "assistant", "content": "the cat"}]
    write(tmp_path / "chat.jsonl", [{"messages": turns}] * 20)
    quick = ("--steps", 2, "--batch", 4)
    made = run(tmp_path, "pretrain", "--data", "chat.jsonl", "--vocabulary", 300, "--width", 32, "--block", 8, *quick)
    sft = run(tmp_path, "sft", "--model", made / "model", "--data", "chat.jsonl", *quick)
    assert len(metrics(sft)) == 3
    write(tmp_path / "open.jsonl", [{"messages": turns[:1]}])
    with pytest.raises(UserError, match=r"open\.jsonl, row 1: a dialogue ends with the assistant's answer"):
        sft_command(SFTCommand(model=str(made / "model"), data=str(tmp_path / "open.jsonl")))


def test_what_is_left_open_follows(monkeypatch, tmp_path):
    command = settled(SFTCommand(batch=10, epochs=2), width=1024, base_rate=2e-5, rows=101)
    assert (command.steps, command.learning_rate, command.evaluate_every) == (21, 2e-5, 3)
    assert command.epochs == pytest.approx(2.079)
    assert settled(SFTCommand(lora=8), width=2048, base_rate=2e-5, rows=1).learning_rate == 5e-5  # a quarter, tenfold
    given = SFTCommand(steps=7, learning_rate=3e-4, evaluate_every=0)
    assert settled(given, width=64, base_rate=1e-5) == given


def test_a_split_takes_some_rows_out_at_random():
    kept, held_out = split(list(range(100)), 0.05, 3)
    assert (len(kept), len(held_out)) == (95, 5)
    assert sorted(kept + held_out) == list(range(100))
    assert split(list(range(100)), 0.05, 3) == (kept, held_out)
    assert split(list(range(100)), 0.05, 4) != (kept, held_out)
    assert split([1, 2], 0, 0) == ([1, 2], [])
    with pytest.raises(UserError, match="too few"):
        split([1], 0.5, 0)


def test_paths_are_made_absolute_and_names_left_alone(tmp_path, monkeypatch):
    (tmp_path / "rows").mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute("rows") == str(tmp_path / "rows")
    assert absolute("rows:test") == f"{tmp_path / 'rows'}:test"
    assert absolute("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
