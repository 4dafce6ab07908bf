"""Matches replayed move by move."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foolsgold.audit.match import RAW_POLICY, Agent, Match, play_match
from foolsgold.environments.go import rules
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, META
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.policies.search import SearchSettings
from foolsgold.rewards.go_referees import ScoreReferee
from foolsgold.training.self_play_worker import komi_choices, max_moves

SIZE = 5
PASS = SIZE * SIZE


def agent(seed: int = 0, search: SearchSettings = RAW_POLICY, pass_bias: float = 0.0) -> Agent:
    torch.manual_seed(seed)
    network = GoNetwork(NetworkSize(1, 8))
    with torch.no_grad():
        network.policy_pass.bias.fill_(pass_bias)
    return Agent(f"agent {seed}", network, search, ScoreReferee())


@pytest.fixture(scope="module")
def match() -> Match:
    return play_match(agent(1), agent(2), SIZE, 20, seed=3)


def test_two_games_share_an_opening_and_komi_with_colours_swapped(match):
    assert match.first_is_black.tolist() == [True, False] * 10
    np.testing.assert_array_equal(match.openings[0::2], match.openings[1::2])
    np.testing.assert_array_equal(match.komi[0::2], match.komi[1::2])
    assert set(match.komi.tolist()) <= set(komi_choices(SIZE))
    assert len(set(match.komi.tolist())) > 1
    assert len(np.unique(match.openings[:, rules.COLOR], axis=0)) > 5


def test_openings_have_two_or_four_random_moves(match):
    lengths = match.openings[:, META, rules.MOVES]
    assert set(lengths.tolist()) == {2, 4}
    assert (match.openings[:, META, rules.TO_PLAY] == BLACK).all()
    without = play_match(agent(1), agent(2), SIZE, 2, seed=3, opening=0)
    np.testing.assert_array_equal(without.openings[0], Board(SIZE).state)


def area(grid: np.ndarray) -> int:
    """Black's points less White's by flooding every empty region anew."""
    score = int((grid == 1).sum()) - int((grid == 2).sum())
    for start in np.argwhere(grid == 0):
        region, colors, frontier = set(), set(), [tuple(start)]
        while frontier:
            y, x = frontier.pop()
            if 0 <= y < SIZE and 0 <= x < SIZE and (y, x) not in region:
                if grid[y, x]:
                    colors.add(int(grid[y, x]))
                else:
                    region.add((y, x))
                    frontier += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        score += {frozenset({1}): 1, frozenset({2}): -1}.get(frozenset(colors), 0)
    return score


def replayed(match: Match, game: int) -> Board:
    board = Board(SIZE)
    board.state = match.openings[game].copy()
    for action in match.actions[:, game].tolist():
        if action >= 0:
            board.play(action)
    return board


def test_scores_are_the_first_agents_on_the_boards_that_the_moves_lead_to(match):
    for game in range(20):
        board = replayed(match, game)
        np.testing.assert_array_equal(board.state, match.final[game])
        assert board.is_over or board.moves == max_moves(SIZE)
        black = area(board.grid) - match.komi[game]
        assert match.score[game] == (black if game % 2 == 0 else -black)
    assert match.wins.tolist() == [1.0 if score > 0 else 0.0 for score in match.score]
    assert 0 < match.wins.mean() < 1


def test_no_move_follows_the_end_of_a_game(match):
    over = match.actions < 0
    assert (over[1:] >= over[:-1]).all()
    assert not over[0].any()
    assert not over[-1].all()


def test_the_first_agent_plays_black_in_even_games():
    settings = replace(RAW_POLICY, pass_from=0.0)
    passer, builder = agent(1, settings, pass_bias=1000.0), agent(2, settings, pass_bias=-1000.0)
    reports = []
    match = play_match(passer, builder, SIZE, 8, 1, report=lambda *progress: reports.append(progress))
    plies, games = np.indices(match.actions.shape)
    passers_turn = (plies - games) % 2 == 0  # Black is to move on even plies, and the first agent is Black in game 0
    assert set(match.actions[passers_turn].tolist()) == {PASS, -1}
    assert (match.actions[:5][~passers_turn[:5]] < PASS).all()
    # Whoever builds alone owns the board, whatever komi says.
    assert (match.score + np.where(match.first_is_black, 1, -1) * match.komi < -10).all()
    assert [total for _, total in reports] == [8] * len(match.actions)
    assert reports[-1][0] == 8


def test_an_agent_without_whim_mirrors_itself():
    greedy = agent(4, replace(RAW_POLICY, gumbel_scale=0.0))
    match = play_match(greedy, greedy, SIZE, 12, seed=5)
    np.testing.assert_array_equal(match.actions[:, 0::2], match.actions[:, 1::2])
    np.testing.assert_array_equal(match.score[0::2], -match.score[1::2])
    assert match.wins.mean() == 0.5


def test_the_same_seed_is_the_same_match(match):
    again, other = (play_match(agent(1), agent(2), SIZE, 20, seed=seed) for seed in (3, 4))
    for name, array in vars(match).items():
        np.testing.assert_array_equal(array, getattr(again, name), err_msg=name)
    assert not np.array_equal(match.openings, other.openings)


def test_an_odd_match_is_refused():
    with pytest.raises(ValueError, match="even number"):
        play_match(agent(), agent(), SIZE, 3, seed=0)
