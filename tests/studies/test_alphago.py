import json
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from rich.console import Console

from foolsgold import cli
from foolsgold.audit.verdict import Verdict
from foolsgold.errors import UserError
from foolsgold.labels.store import open_store
from foolsgold.policies.go_network import NetworkSize
from foolsgold.studies import alphago
from foolsgold.studies.alphago import AlphaGo
from foolsgold.studies.alphago_plan import AlphaGoConfig, Plan
from foolsgold.studies.progress import Stages
from foolsgold.training.run_folder import RunFolder

TINY = replace(
    Plan.of(AlphaGoConfig(board=5, games=24, seed=3)),
    network=NetworkSize(1, 8),
    simulations=4,
    amateur_games=30,
    policy_games=16,
    comparisons=300,
    held_out=50,
    true_pairs=60,
    true_simulations=4,
    snapshots=3,
    curve_games=4,
    match_games=6,
    gnugo_games=2,
    gallery=2,
)


def start(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path, alphago.STUDY, asdict(TINY), alphago.VERSION)


def run(folder: RunFolder) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return AlphaGo(TINY, folder, stages).run()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    folder = start(tmp_path_factory.mktemp("whole"))
    run(folder)
    return folder


def test_a_run_leaves_verdict_report_and_comparisons(finished):
    verdict = Verdict.read(finished.path / "verdict.json")
    names = [figure.name for figure in verdict.figures]
    assert {"real RL beats RLHF", "RLHF beats the base policy", "RLHF: proxy, last minus first"} <= set(names)
    head = verdict.figures[names.index("real RL beats RLHF")]
    assert head.n == 6
    assert (head.value * 12).is_integer()  # wins and half wins
    assert "<svg" in (finished.path / "report.html").read_text()
    with open_store(finished.path / "comparisons.sqlite") as store:
        # The same rater may say the same of the same two boards twice; that is one judgement.
        assert 340 <= len(store) <= 350


def test_steps_of_both_agents_count_on(finished):
    steps = [row["step"] for row in RunFolder.open(finished.path, alphago.STUDY, alphago.VERSION).metrics()]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.parametrize("stage", ["labels", "reward_model", "measure"])
def test_a_run_that_stopped_goes_on_to_the_same_verdict(finished, tmp_path, monkeypatch, stage):
    folder = start(tmp_path)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AlphaGo, stage, stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    resumed = RunFolder.open(folder.path, alphago.STUDY, alphago.VERSION)
    assert Plan.from_json(resumed.config) == TINY
    run(resumed)
    assert (resumed.path / "verdict.json").read_text() == (finished.path / "verdict.json").read_text()


def test_a_checkpoint_cut_short_is_named_and_nothing_is_lost(finished, tmp_path, capsys, monkeypatch):
    folder = start(tmp_path)
    base = folder.checkpoints / "base.safetensors"
    whole = (finished.checkpoints / "base.safetensors").read_bytes()
    base.write_bytes(whole[: len(whole) // 2])
    assert command(monkeypatch, "run", "alphago", "--resume", str(folder.path)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "base.safetensors is damaged" in said
    assert base.read_bytes() == whole[: len(whole) // 2]


def command(monkeypatch, *arguments: str) -> int:
    """Exit code of `foolsgold` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["foolsgold", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--board", "6"], "choose --board 5, 7 or 9"),
        (["--minutes", "1", "--games", "5"], "not both"),
        (["--minutes", "0"], "--minutes above 0"),
        (["--agreement", "0.4"], "between 0.5 and 1"),
        (["--seed", "-1"], "give 0 or more"),
        (["--resume", "nowhere"], "is no run folder"),
        (["--sgf", "nowhere.sgf"], "nowhere.sgf"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, "run", "alphago", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("foolsgold: ")
    assert error.count("\n") == 1
    assert said in error
    assert not list(tmp_path.iterdir())


def test_a_broken_record_is_named_before_anything_is_written(monkeypatch, capsys, tmp_path):
    (tmp_path / "game.sgf").write_text("(;GM[1]SZ[7];B[aa")
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, "run", "alphago", "--sgf", "game.sgf") == 2
    assert "game.sgf" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["game.sgf"]


def test_a_run_of_another_version_is_refused(monkeypatch, capsys, tmp_path):
    folder = start(tmp_path)
    record = json.loads((folder.path / "config.json").read_text())
    record["config_version"] = 99
    (folder.path / "config.json").write_text(json.dumps(record))
    assert command(monkeypatch, "run", "alphago", "--resume", str(folder.path)) == 2
    assert "99" in capsys.readouterr().err


def test_records_of_another_size_are_no_teachers(tmp_path):
    (tmp_path / "game.sgf").write_text("(;GM[1]FF[4]SZ[9];B[ee];W[cc])")
    with pytest.raises(UserError, match="no game on 7x7"):
        alphago.records_of_size((str(tmp_path),), 7)


def test_human_records_are_imitated(tmp_path):
    points = ["cc", "bb", "cb", "bc", "dc", "bd", "cd", ""]
    moves = "".join(f";{color}[{point}]" for color, point in zip("BWBWBWBW", points, strict=True))
    (tmp_path / "game.sgf").write_text(f"(;GM[1]FF[4]SZ[5]KM[24.5]{moves})")
    plan = replace(TINY, sgf=(str(tmp_path),), imitation_passes=200.0)
    folder = RunFolder.create(tmp_path / "runs", alphago.STUDY, asdict(plan), alphago.VERSION)
    with folder, Stages(Console(quiet=True)) as stages:
        network = AlphaGo(plan, folder, stages).base_policy()
    weights = np.concatenate([p.detach().numpy().ravel() for p in network.parameters()])
    assert np.isfinite(weights).all()
    assert (folder.checkpoints / "base.safetensors").exists()


def test_help_names_the_examples(monkeypatch, capsys):
    assert command(monkeypatch, "run", "alphago", "--help") == 0
    assert "--resume" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["foolsgold"])
    cli.main()
    assert "foolsgold run alphago" in capsys.readouterr().out
