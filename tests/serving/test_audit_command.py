"""`foolsgold audit` end to end on tiny policies: runs, policies, tables, people's judgements, mistakes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from foolsgold import cli
from foolsgold.audit.evidence import Evidence
from foolsgold.audit.evidence_tables import read_table
from foolsgold.audit.verdict import Verdict
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.hub import save_policy
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.serving import audit_run
from foolsgold.training.snapshots import kept_snapshots

REWARDS = """
from pathlib import Path

def letters(prompts, completions, **columns):
    return [float(len(text)) for text in completions]

def short(prompts, completions, **columns):
    with (Path(__file__).parent / "asked.txt").open("a") as log:
        log.write("x" * len(completions))
    return [len(text) - 0.1 * len(text) ** 2 for text in completions]

def fails(prompts, completions, **columns):
    raise ValueError("no such thing")
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A random policy, rewards, prompts, and a run of RL on it with two snapshots."""
    folder = tmp_path_factory.mktemp("audit")
    tokenizer = train_bpe(["the cat sat on the mat"] * 3, 300)
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig.sized(len(tokenizer), 32, 1))
    save_policy(folder / "model", decoder, tokenizer)
    (folder / "rewards.py").write_text(REWARDS)
    rows = [{"prompt": f"{word} {number}"} for word in ("the cat", "on the mat") for number in range(8)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    made = run(
        folder, "train", "rl", "--model", folder / "model", "--prompts", folder / "prompts.jsonl", "--steps", 4,
        "--batch", 2, "--samples", 4, "--max-new-tokens", 5, "--reward", f"{folder / 'rewards.py'}:letters",
        "--reward", f"gold={folder / 'rewards.py'}:short@0", "--snapshots", 2, "--output", folder / "runs",
    )  # fmt: skip
    return folder, made


def run(folder, *words):
    """Run a command line; the run folder that it made, or None."""
    sys.argv = ["foolsgold", *map(str, words)]
    before = set((folder / "runs").glob("*"))
    cli.main()
    made = set((folder / "runs").glob("*")) - before
    return made.pop() if made else None


def audit(folder, *words):
    given = () if "--resume" in words else ("--out", folder / "runs", "--samples", 8, "--run-samples", 2)
    return run(folder, "audit", *words, *given)


def asked(folder) -> int:
    """Completions that the gold in rewards.py was asked about since the last time."""
    log = folder / "asked.txt"
    count = len(log.read_text()) if log.exists() else 0
    log.unlink(missing_ok=True)
    return count


def evidence(made) -> Evidence:
    return read_table(made / "samples.jsonl")


def test_rl_keeps_snapshots(world):
    _, made = world
    assert [step for step, _ in kept_snapshots(made / "snapshots")] == [2, 4]


def test_a_run_is_audited_by_what_it_was_trained_on_and_logged(world, capsys):
    folder, trained = world
    asked(folder)
    made = audit(folder, trained)
    found = evidence(made)
    assert [each.step for each in found.run] == [0, 2, 4]
    assert [each.kl == 0 for each in found.run] == [True, False, False]
    assert found.start.proxy.shape == (16, 8)  # a prompt that comes twice is one
    assert {each.samples.proxy.shape for each in found.run} == {(16, 2)}
    assert asked(folder) == 16 * 8 + 3 * 16 * 2
    lengths = np.vectorize(len)(np.array(found.start.texts))
    np.testing.assert_array_equal(found.start.proxy, lengths)
    np.testing.assert_allclose(found.start.gold, lengths - 0.1 * lengths**2)
    verdict = Verdict.read(made / "verdict.json")
    shown = capsys.readouterr().out
    assert f"report: {made / 'report.html'}" in shown
    assert verdict.study in shown
    page = (made / "report.html").read_text()
    assert f"foolsgold audit {trained}" in page
    assert json.loads((made / "config.json").read_text())["config"]["checkpoints"] == 3


def test_an_interrupted_audit_goes_on_and_asks_nothing_twice(world, capsys, monkeypatch):
    folder, trained = world

    def interrupt(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(audit_run, "judge", interrupt)
        before = set((folder / "runs").glob("*"))
        with pytest.raises(SystemExit) as ended:
            audit(folder, trained)
        assert ended.value.code == 130
    (made,) = set((folder / "runs").glob("*")) - before
    asked(folder)
    monkeypatch.chdir("/")
    assert audit(folder, "--resume", made) is None  # no new folder
    assert asked(folder) == 0
    assert (made / "report.html").exists()


def test_a_budget_is_kept_to(world):
    folder, trained = world
    asked(folder)
    found = evidence(audit(folder, trained, "--budget", 60))
    assert asked(folder) == 60
    assert found.start.labelled.sum() == 30
    assert [each.samples.labelled.sum() for each in found.run] == [10, 10, 10]
    assert found.start.chance is not None


def test_people_judge_what_the_audit_writes(world, capsys, monkeypatch):
    folder, trained = world
    monkeypatch.chdir(folder)
    made = audit(folder, trained, "--gold", "labels.jsonl", "--budget", 40)
    shown = capsys.readouterr().out
    assert f"foolsgold audit --resume {made} --gold {folder / 'labels.jsonl'}" in shown
    assert not (made / "report.html").exists()
    rows = [json.loads(line) for line in (made / "to-judge.jsonl").read_text().splitlines()]
    assert sum(row["copies"] for row in rows) == 38  # half of 40, and 20 // 3 for each checkpoint
    for row in rows:
        row["gold"] = -len(row["completion"])
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    audit(folder, "--resume", made, "--gold", "labels.jsonl")
    found = evidence(made)
    assert found.start.labelled.sum() == 20
    assert sum(each.samples.labelled.sum() for each in found.run) == 18
    judged = found.start.labelled
    np.testing.assert_array_equal(found.start.gold[judged], -found.start.proxy[judged])
    (folder / "labels.jsonl").unlink()


def test_a_policy_without_a_run_is_audited_for_best_of_n(world):
    folder, _ = world
    made = audit(
        folder, "--policy", folder / "model", "--proxy", f"{folder / 'rewards.py'}:letters", "--gold",
        f"{folder / 'rewards.py'}:short", "--prompts", folder / "prompts.jsonl", "--max-prompts", 5,
        "--max-new-tokens", 4,
    )  # fmt: skip
    found = evidence(made)
    assert found.run == ()
    assert found.start.proxy.shape == (5, 8)
    names = {figure.name for figure in Verdict.read(made / "verdict.json").figures}
    assert names


def test_a_table_is_audited_and_written_again(world):
    folder, _ = world
    rng = np.random.default_rng(0)
    lines = ["prompt,step,kl,proxy,gold"]
    for p in range(12):
        for step in range(4):
            for _ in range(3):
                proxy, gold = rng.normal(step), rng.normal(step - 0.4 * step**2)
                lines.append(f"prompt {p},{step},{step**2 / 2},{proxy},{gold}")
    (folder / "samples.csv").write_text("\n".join(lines) + "\n")
    found, again = read_table(folder / "samples.csv"), evidence(audit(folder, "--table", folder / "samples.csv"))
    assert [(each.step, each.kl) for each in again.run] == [(each.step, each.kl) for each in found.run]
    for ours, theirs in zip(again.run, found.run, strict=True):
        np.testing.assert_array_equal(ours.samples.proxy, theirs.samples.proxy)
        np.testing.assert_array_equal(ours.samples.gold, theirs.samples.gold)


def test_a_running_run_is_followed_until_it_ends(world, monkeypatch, capsys):
    folder, trained = world
    running = folder / "running"
    shutil.copytree(trained, running)
    shutil.rmtree(running / "model")
    shutil.move(running / "snapshots" / "step-00004", running / "later")
    asked(folder)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            (running / "later").rename(running / "snapshots" / "step-00004")
            (running / "model").mkdir()

    monkeypatch.setattr(audit_run.time, "sleep", sleep)
    made = audit(folder, running, "--watch", "--budget", 60)
    assert len(slept) == 2
    assert [each.step for each in evidence(made).run] == [0, 2, 4]
    assert asked(folder) == 60  # the budget was divided by what was to come
    shown = capsys.readouterr().out
    assert "2 checkpoints measured" in shown
    assert "3 checkpoints measured" in shown


def test_a_damaged_snapshot_is_left_out_and_said(world, capsys):
    folder, trained = world
    copy = folder / "damaged"
    shutil.copytree(trained, copy)
    (copy / "snapshots" / "step-00002" / "model.safetensors").write_bytes(b"nothing")
    made = audit(folder, copy)
    assert [each.step for each in evidence(made).run] == [0, 4]
    assert "step 2 is left out" in capsys.readouterr().out
    assert "step 2 is left out" in (made / "report.html").read_text()


@pytest.mark.parametrize(
    ("command", "words", "steps"),
    [
        ("rl", ("--lora", 2, "--steps", 2, "--batch", 2, "--dtype", "float32"), [0, 1, 2]),
        ("expert", ("--rounds", 2, "--steps", 2, "--prompts-a-round", 4), [0, 1, 2]),
    ],
)
def test_adapters_and_expert_iteration_are_audited_too(world, command, words, steps):
    folder, _ = world
    trained = run(
        folder, "train", command, "--model", folder / "model", "--prompts", folder / "prompts.jsonl", "--samples", 4,
        "--max-new-tokens", 5, "--reward", f"{folder / 'rewards.py'}:letters", *words, "--output", folder / "runs",
    )  # fmt: skip
    found = evidence(audit(folder, trained, "--gold", f"{folder / 'rewards.py'}:short", "--max-prompts", 6))
    assert [each.step for each in found.run] == steps
    assert all(abs(each.kl) < 0.5 for each in found.run)  # hardly trained: no other model's numbers


def test_a_run_without_snapshots_is_audited_for_best_of_n(world, capsys):
    folder, trained = world
    copy = folder / "bare"
    shutil.copytree(trained, copy)
    record = json.loads((copy / "config.json").read_text())
    record["config"]["snapshots"] = 0
    (copy / "config.json").write_text(json.dumps(record))
    found = evidence(audit(folder, copy))
    assert found.run == ()
    assert "kept no snapshots" in capsys.readouterr().out


def test_a_study_is_audited_from_what_it_measured(world):
    folder, _ = world
    study, rng = folder / "study", np.random.default_rng(0)
    (study / "arms" / "main").mkdir(parents=True)
    (study / "config.json").write_text(json.dumps({"study": "overoptimization", "config": {}}))
    for step in range(0, 40, 8):
        gold, proxy = (0.3 + 0.02 * step - 0.001 * step**2 + rng.normal(0, 0.05, 30) for _ in range(2))
        found = {"step": step, "kl": step / 10, "gold": gold.tolist(), "proxy": (proxy + step).tolist(), "poems": []}
        (study / "arms" / "main" / f"evaluation-{step:05}.json").write_text(json.dumps(found))
    texts, prompts = np.full((7, 16), "poem"), np.array(["the same words"] * 7)
    np.savez(study / "best_of_n.npz", proxy=rng.normal(size=(7, 16)), gold=rng.normal(size=(7, 16)), texts=texts,
             prompts=prompts)  # fmt: skip
    found = evidence(audit(folder, study))
    assert [each.step for each in found.run] == [0, 8, 16, 24, 32]
    assert found.start.proxy.shape == (7, 16)


def test_exploits_are_searched_for_with_what_is_known(world):
    folder, _ = world
    made = audit(
        folder, "--policy", folder / "model", "--proxy", f"{folder / 'rewards.py'}:letters", "--gold",
        f"{folder / 'rewards.py'}:short", "--prompts", folder / "prompts.jsonl", "--max-prompts", 4,
        "--max-new-tokens", 4, "--exploits",
    )  # fmt: skip
    assert "An exploit is" in (made / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "there is nothing to audit"),
        (("runs/nothing",), "is no run folder"),
        (("TRAINED", "--table", "samples.csv"), "RUN and --table are different things"),
        (("TRAINED", "--proxy", "a.py:f"), "leave out --proxy"),
        (("TRAINED", "--budget", 8), "too small for 3 checkpoints"),
        (("TRAINED", "--budget", 1), "--budget 1"),
        (("TRAINED", "--gold", "people.jsonl"), "there is no file"),
        (("TRAINED", "--gold", "people.jsonl", "--budget", 30, "--exploits"), "--exploits asks gold"),
        (("TRAINED", "--gold", "people.jsonl", "--budget", 30, "--watch"), "--watch cannot wait"),
        (("--policy", "MODEL"), "--prompts is missing"),
        (("--policy", "MODEL", "--prompts", "PROMPTS"), "--proxy is missing"),
        (("--policy", "MODEL", "--prompts", "PROMPTS", "--proxy", "REWARDS:letters"), "--gold is missing"),
        (
            ("--policy", "MODEL", "--prompts", "PROMPTS", "--proxy", "REWARDS:none", "--gold", "REWARDS:short"),
            "no 'none'",
        ),
        (("--policy", "MODEL", "--watch"), "--watch follows a run"),
        (("--table", "nothing.csv"), "no file"),
        (("--resume", "."), "is no run folder"),
        (("--table", "a.csv", "--samples", 1), "--samples"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_folder(world, capsys, words, message):
    folder, trained = world
    places = {"TRAINED": trained, "MODEL": folder / "model", "PROMPTS": folder / "prompts.jsonl"}
    given = [str(places.get(word, word)).replace("REWARDS", str(folder / "rewards.py")) for word in words]
    before = set((folder / "runs").glob("*"))
    with pytest.raises(SystemExit) as ended:
        run(folder, "audit", *given)
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert set((folder / "runs").glob("*")) == before


def test_a_run_without_gold_says_what_to_give(world, capsys):
    folder, trained = world
    copy = folder / "no-gold"
    shutil.copytree(trained, copy)
    record = json.loads((copy / "config.json").read_text())
    record["config"]["reward"] = record["config"]["reward"][:1]
    (copy / "config.json").write_text(json.dumps(record))
    with pytest.raises(SystemExit):
        audit(folder, copy)
    assert "logged no reward gold=…@0; give --gold" in capsys.readouterr().err


def test_prompts_that_the_policy_cannot_read_are_one_line(world, capsys):
    folder, trained = world
    (folder / "chat.jsonl").write_text(json.dumps({"prompt": [{"role": "user", "content": "hello"}]}) + "\n")
    with pytest.raises(SystemExit):
        audit(folder, trained, "--prompts", folder / "chat.jsonl")
    errors = capsys.readouterr().err
    assert "chat template" in errors
    assert errors.count("\n") == 1


def test_help_begins_with_examples_and_does_not_wait_for_torch():
    code = "import sys; sys.argv = ['foolsgold', 'audit', '--help']; from foolsgold import cli\n"
    code += "try: cli.main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "foolsgold audit runs/rl-…" in done.stdout.split("options")[0]
