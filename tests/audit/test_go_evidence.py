"""Evidence from games of Go: gold counted anew from the boards in its texts."""

import json
import re

import numpy as np
import pytest
import torch

from foolsgold.audit.go_evidence import collect, evidence_of_run, kept_snapshots
from foolsgold.environments.go import rules
from foolsgold.errors import UserError
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.rewards.go_referees import ScoreReferee
from foolsgold.rewards.go_reward_model import GoReward, GoRewardModel
from foolsgold.training import checkpoint
from foolsgold.training.self_play import snapshot_path

SIZE, PROMPTS, GAMES, START = 5, 6, 4, 12
NETWORK = NetworkSize(1, 8)


def network(seed: int) -> GoNetwork:
    torch.manual_seed(seed)
    made = GoNetwork(NETWORK)
    with torch.no_grad():
        made.policy_point.weight *= 5
    return made


class Stones:
    """A reward that a reader of the board can count: Black's stones less White's."""

    def margin(self, states):
        color = states[:, rules.COLOR, : (SIZE + 2) ** 2]
        return ((color == rules.BLACK).sum(1) - (color == rules.WHITE).sum(1)).astype(np.float32)


def evidence(gold="win", **changes):
    counts = {"prompts": PROMPTS, "games": GAMES, "start_games": START, "seed": 3, **changes}
    return collect(network(0), [(0, network(0)), (7, network(1)), (9, network(2))], Stones(), SIZE, gold=gold, **counts)


@pytest.fixture(scope="module")
def measured():
    return evidence()


def test_shapes_and_names(measured):
    assert measured.start.proxy.shape == measured.start.gold.shape == (PROMPTS, START)
    assert [each.step for each in measured.run] == [0, 7, 9]
    for each in measured.run:
        assert each.samples.proxy.shape == each.samples.gold.shape == (PROMPTS, GAMES)
        assert [len(row) for row in each.samples.texts] == [GAMES] * PROMPTS
    assert [len(row) for row in measured.start.texts] == [START] * PROMPTS
    assert len(measured.prompts) == PROMPTS
    assert measured.gold_name == "games won"
    assert set(np.unique(measured.start.gold)) == {0, 1}


def area(rows: list[str]) -> int:
    """Black's points less White's by flooding every empty region anew."""
    score = sum(line.count("X") - line.count("O") for line in rows)
    unseen = {(y, x) for y in range(SIZE) for x in range(SIZE) if rows[y][x] == "."}
    while unseen:
        frontier, region, colors = [unseen.pop()], 0, set()
        while frontier:
            y, x = frontier.pop()
            region += 1
            for v, u in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if (v, u) in unseen:
                    unseen.remove((v, u))
                    frontier.append((v, u))
                elif 0 <= v < SIZE and 0 <= u < SIZE and rows[v][u] != ".":
                    colors.add(rows[v][u])
        score += {frozenset("X"): region, frozenset("O"): -region}.get(frozenset(colors), 0)
    return score


def test_proxy_and_gold_are_those_of_the_quoted_boards(measured):
    margins = evidence("margin")
    for of_wins, of_margins in zip(
        [measured.start, *(each.samples for each in measured.run)],
        [margins.start, *(each.samples for each in margins.run)],
        strict=True,
    ):
        for p, prompt in enumerate(measured.prompts):
            side, komi = re.match(r"(Black|White) on 5x5, komi (\S+), from ", prompt).groups()
            sign = 1 if side == "Black" else -1
            for n, text in enumerate(of_wins.texts[p]):
                board = text.split(" ")[0]
                score = sign * (area(board.split("/")) - float(komi))
                assert of_wins.gold[p, n] == (score > 0)
                assert of_margins.gold[p, n] == pytest.approx(score / 25)
                assert of_wins.proxy[p, n] == sign * (board.count("X") - board.count("O"))


def test_half_of_the_prompts_are_played_as_black(measured):
    assert [prompt.split(" ")[0] for prompt in measured.prompts] == ["Black"] * 3 + ["White"] * 3


def test_the_run_begins_with_games_of_the_base_policy(measured):
    first = measured.run[0]
    assert (first.kl, first.kl_error) == (0, 0)
    np.testing.assert_array_equal(first.samples.proxy, measured.start.proxy[:, :GAMES])
    for each in measured.run[1:]:
        assert each.kl > 0
        assert each.kl_error > 0


def test_the_same_seed_is_the_same_evidence(measured):
    np.testing.assert_array_equal(evidence().run[2].samples.proxy, measured.run[2].samples.proxy)
    assert (evidence(seed=4).start.proxy != measured.start.proxy).any()


def test_progress_counts_games():
    seen = []
    evidence(report=lambda done, total: seen.append((done, total)))
    assert seen == [(games, 144) for games in range(24, 145, 24)]  # 3 rounds at the start and 3 snapshots


@pytest.mark.parametrize("changes", [{"start_games": 6}, {"start_games": 2}, {"games": 0}])
def test_rounds_that_do_not_come_out_even_are_refused(changes):
    with pytest.raises(UserError, match="multiple"):
        evidence(**changes)


SMALL = {"prompts": 2, "games": 2, "start_games": 4}


def run_folder(path, reward_model=True, snapshots=(0, 3)):
    """What a run of the study `alphago` leaves behind, made of untrained networks."""
    kept = path / "checkpoints"
    (kept / "rlhf").mkdir(parents=True)
    record = {"study": "alphago", "config": {"board": SIZE, "network": vars(NETWORK)}}
    (path / "config.json").write_text(json.dumps(record))
    checkpoint.save(kept / "base.safetensors", network(0).state_dict(), {})
    if reward_model:
        torch.manual_seed(5)
        checkpoint.save(kept / "reward_model.safetensors", GoRewardModel(NETWORK).state_dict(), {})
    for step in snapshots:
        checkpoint.save(snapshot_path(kept / "rlhf", step), network(step).state_dict(), {})
    return path


def test_evidence_of_a_run_is_that_of_its_networks(tmp_path):
    found = evidence_of_run(run_folder(tmp_path), **SMALL)
    torch.manual_seed(5)
    reward = GoReward(GoRewardModel(NETWORK), SIZE)
    expected = collect(network(0), [(0, network(0)), (3, network(3))], reward, SIZE, **SMALL)
    for one, other in zip(found.run, expected.run, strict=True):
        assert (one.step, one.kl) == (other.step, other.kl)
        np.testing.assert_array_equal(one.samples.proxy, other.samples.proxy)
    np.testing.assert_array_equal(found.start.gold, expected.start.gold)


def test_a_run_before_its_rlhf_has_a_start_alone(tmp_path):
    found = evidence_of_run(run_folder(tmp_path, snapshots=()), **SMALL)
    assert found.start.gold.shape == (2, 4)
    assert found.run == ()


def test_a_run_without_reward_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no reward model yet"):
        evidence_of_run(run_folder(tmp_path, reward_model=False))


def test_folders_of_something_else_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"has no config\.json"):
        evidence_of_run(tmp_path)
    (tmp_path / "config.json").write_text('{"study": "gap", "config": {}}')
    with pytest.raises(UserError, match="is a run of the study gap"):
        evidence_of_run(tmp_path)


def test_snapshots_are_in_the_order_of_their_steps(tmp_path):
    for step in (12, 3, 0):
        checkpoint.save(snapshot_path(tmp_path, step), network(step).state_dict(), {})
    (tmp_path / "network-notes.txt").write_text("not one of them")
    kept = kept_snapshots(tmp_path, network(1))
    assert [step for step, _ in kept] == [0, 3, 12]
    for step, loaded in kept:
        assert torch.equal(loaded.policy_point.weight, network(step).policy_point.weight)


def test_the_score_as_proxy_is_gold():
    class Score:
        def margin(self, states):
            return ScoreReferee().judge(states, np.zeros(len(states), np.float32))[1]

    found = collect(network(0), [], Score(), SIZE, gold="margin", **SMALL)
    # Komi is all that differs between them, and it is the same in all games of a prompt.
    difference = found.start.gold * 25 - found.start.proxy
    np.testing.assert_allclose(difference, np.broadcast_to(difference[:, :1], difference.shape), atol=1e-9)
