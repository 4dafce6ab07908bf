"""What amateurs notice, hand-counted; how they judge and play."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from foolsgold.environments.go import rules
from foolsgold.environments.go.amateurs import (
    COMMON_TASTE,
    IMPRESSIONS,
    ORDINARY_SPREAD,
    Club,
    impressions,
    noise_for_agreement,
)
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, META, WHITE


def seen(board: Board) -> dict[str, float]:
    """Impressions by name, in stones."""
    return dict(zip(IMPRESSIONS, (impressions(board.state[None])[0] * board.size).tolist(), strict=True))


def influence(grid: np.ndarray) -> int:
    """Four dilations of Bouzy 1996, point by point."""
    size = len(grid)
    value = {(y, x): {0: 0, 1: 64, 2: -64}[int(grid[y, x])] for y in range(size) for x in range(size)}
    for _ in range(4):
        grown = {}
        for (y, x), own in value.items():
            near = [value[p] for p in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)) if p in value]
            friends, enemies = sum(v > 0 for v in near), sum(v < 0 for v in near)
            grown[y, x] = own
            if own >= 0 and enemies == 0:
                grown[y, x] += friends
            if own <= 0 and friends == 0:
                grown[y, x] -= enemies
        value = grown
    return sum(v > 0 for v in value.values()) - sum(v < 0 for v in value.values())


def random_board(size: int, moves: int, seed: int) -> Board:
    rng, board = np.random.default_rng(seed), Board(size)
    for _ in range(moves):
        stones = np.flatnonzero(board.legal_actions()[:-1])
        if len(stones) == 0:
            break
        board.play(int(rng.choice(stones)))
    return board


def board_of(grid: np.ndarray, captures: tuple[int, int]) -> Board:
    board = Board(len(grid))
    board.set_up(*(np.flatnonzero(grid.ravel() == color).tolist() for color in (BLACK, WHITE)))
    board.state[META, [rules.TAKEN_BY_BLACK, rules.TAKEN_BY_WHITE]] = captures
    return board


def test_every_impression_of_a_drawn_board(draw):
    found = seen(
        draw("""
            . X O . .
            X X O . .
            O O . . .
            . . . X .
            . . . . X
        """)
    )
    found.pop("influence")
    assert found == pytest.approx(
        {
            "stones": 1,  # 5 X, 4 O
            "prisoners": 0,
            "atari": -3,  # the corner chain of X
            "two liberties": -1,  # the last X
            "empty triangles": -1,  # X in the corner
            "first line": -1,  # 3 X, 2 O
            "chains": -1,  # 3 of X, 2 of O
        }
    )


def test_an_empty_board_makes_no_impression():
    assert not impressions(Board(7).state[None]).any()


def test_prisoners_are_stones_taken_less_stones_lost(draw, play_names):
    board = draw("""
        . X . . .
        X O . . .
        . X . . .
        . . . O .
        . . O X .
    """)
    play_names(board, "C4")  # Black takes B4
    assert seen(board)["prisoners"] == pytest.approx(1)
    play_names(board, "E1")  # White takes D1
    assert seen(board)["prisoners"] == pytest.approx(0)


def test_the_influence_of_a_lone_stone_reaches_four_steps(draw):
    board = Board(9)
    board.play(board.action_of("E5"))
    assert seen(board)["influence"] == pytest.approx(1 + 4 + 8 + 12 + 16)


def test_influence_stops_where_the_other_side_is_near(draw):
    # Each colour holds two columns and the lines next to them; the middle line is next to both and stays empty.
    wall = draw("""
        . X . O .
        . X . O .
        . X . O .
        . X . O .
        . X . O .
    """)
    assert seen(wall)["influence"] == 0
    uneven = draw("""
        . . X . O
        . . X . O
        . . X . O
        . . X . O
        . . X . O
    """)
    assert seen(uneven)["influence"] == pytest.approx(15 - 5)


POSITIONS = {"size": st.integers(5, 9), "moves": st.integers(0, 90), "seed": st.integers(0, 2**32 - 1)}


@given(**POSITIONS)
@settings(max_examples=60, deadline=None)
def test_influence_is_bouzys_dilation(size, moves, seed):
    board = random_board(size, moves, seed)
    assert seen(board)["influence"] == pytest.approx(influence(board.grid), abs=1e-4)


@given(**POSITIONS)
@settings(max_examples=60, deadline=None)
def test_swapping_the_colours_negates_every_impression(size, moves, seed):
    board = random_board(size, moves, seed)
    swapped = board_of(np.array([0, 2, 1])[board.grid], board.captures[::-1])
    np.testing.assert_array_equal(impressions(swapped.state[None]), -impressions(board.state[None]))


@given(**POSITIONS, quarters=st.integers(0, 3), mirrored=st.booleans())
@settings(max_examples=60, deadline=None)
def test_turning_or_mirroring_the_board_changes_no_impression(size, moves, seed, quarters, mirrored):
    board = random_board(size, moves, seed)
    grid = np.rot90(board.grid, quarters)
    other = board_of(grid[:, ::-1] if mirrored else grid, board.captures)
    np.testing.assert_array_equal(impressions(other.state[None]), impressions(board.state[None]))


def test_preference_is_logistic_in_the_difference_of_liking():
    tastes = np.zeros((2, len(IMPRESSIONS)), np.float32)
    tastes[0, 0], tastes[1, 1] = 1, 3
    club = Club(tastes, noise=2.0)
    a, b = np.zeros((2, len(IMPRESSIONS)), np.float32), np.zeros((2, len(IMPRESSIONS)), np.float32)
    a[:, 0], b[:, 1] = 2, 1
    members = np.array([0, 1])
    # Member 0 sees a lead of 1 x 2, member 1 one of -3 x 1; both in units of the noise: 1 and -1.5.
    assert club.liking(a, members).tolist() == [2, 0]
    assert club.preference(a, b, members) == pytest.approx([np.e / (1 + np.e), 1 / (1 + np.e**1.5)])
    assert club.preference(a, b, members) + club.preference(b, a, members) == pytest.approx([1, 1])


def one_taste(weight: float = 1.0, noise: float = 1.0) -> Club:
    """A single member who counts stones."""
    taste = np.zeros((1, len(IMPRESSIONS)), np.float32)
    taste[0, 1] = weight
    return Club(taste, noise)


def synthetic_pairs(count: int, flipped: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(seen_a, seen_b, lead of a, whether a is better): the truth is the lead's sign but for a share `flipped`."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, count, len(IMPRESSIONS))).astype(np.float32)
    lead = (a - b)[:, 1]
    return a, b, lead, (lead > 0) ^ (rng.random(count) < flipped)


@pytest.mark.parametrize("target", [0.6, 0.72, 0.85])
def test_noise_is_found_at_which_the_club_agrees_as_often_as_wanted(target):
    a, b, lead, better = synthetic_pairs(4000, flipped=0.05)
    noise, agreement = noise_for_agreement(one_taste(), a, b, better, target, seed=1)
    assert agreement == pytest.approx(target, abs=1e-6)
    assert np.where(better, expit(lead / noise), expit(-lead / noise)).mean() == pytest.approx(target, abs=1e-5)


def test_more_agreement_needs_less_noise():
    a, b, _, better = synthetic_pairs(1000, flipped=0.0)
    noises = [noise_for_agreement(one_taste(), a, b, better, target, 1)[0] for target in (0.6, 0.7, 0.8, 0.9)]
    assert noises == sorted(noises, reverse=True)


def test_an_agreement_out_of_reach_gets_the_smallest_noise():
    a, b, lead, better = synthetic_pairs(2000, flipped=0.3)
    noise, agreement = noise_for_agreement(one_taste(), a, b, better, 0.9, seed=1)
    assert noise == 1e-3
    assert agreement == pytest.approx((better == (lead > 0)).mean(), abs=0.002)


CLUB = Club.founded(8, seed=3)


def game(seed: int, opening: int = 3, limit: int = 60, club: Club = CLUB, whim: float = 0.3):
    return club.play(7, limit, opening, whim, seed)


@pytest.mark.parametrize("seed", range(4))
def test_games_are_legal_move_by_move(seed):
    played = game(seed)
    assert len(played.boards) == len(played.actions) + 1
    board = Board(7)
    board.state = played.boards[0].copy()  # superko then knows the positions from here on
    for before, action in zip(played.boards[:-1], played.actions, strict=True):
        np.testing.assert_array_equal(board.state, before)
        board.play(int(action))
    np.testing.assert_array_equal(board.state, played.boards[-1])
    assert board.is_over or len(played.actions) == 60


def test_games_are_those_of_their_seed():
    one, again, other = game(5), game(5), game(6)
    np.testing.assert_array_equal(one.boards, again.boards)
    np.testing.assert_array_equal(one.actions, again.actions)
    assert one.actions.tolist() != other.actions.tolist()


@pytest.mark.parametrize("opening", [0, 3])
def test_a_game_begins_after_its_opening_and_stops_at_the_limit(opening):
    played = game(1, opening, limit=10)
    assert played.boards[:, META, rules.MOVES].tolist() == list(range(opening, opening + 11))
    assert (played.boards[0, rules.COLOR] % rules.WALL > 0).sum() == opening


def test_without_whim_a_member_plays_the_board_it_likes_best():
    played = game(2, club=Club.founded(1, seed=9), whim=0.0)
    taste = Club.founded(1, seed=9).tastes[0].astype(np.float64)
    board = Board(7)
    board.state = played.boards[0].copy()
    for action in played.actions.tolist():
        liking = {}
        for stone in np.flatnonzero(board.legal_actions()[:-1]):
            if not rules.is_own_eye(board.state, rules.point_of(stone, 7), board.to_play):
                after = board.copy()
                after.play(int(stone))
                liking[int(stone)] = (1 if board.to_play == BLACK else -1) * impressions(after.state[None])[0] @ taste
        if action == board.pass_action:
            assert not liking
        else:
            assert liking[action] == pytest.approx(max(liking.values()), abs=1e-5)
        board.play(action)


def test_a_club_that_counts_weighs_by_the_common_taste():
    club = Club.founded(20_000, seed=1, counting=True)
    # Log-normal factors have mean 1 and variance exp(0.25) - 1 = 0.284: four standard errors are 1.5 %.
    assert club.tastes.mean(0) == pytest.approx(COMMON_TASTE, rel=0.015)
    assert np.log(club.tastes).std(0) == pytest.approx(np.full(len(IMPRESSIONS), 0.5), rel=0.03)
    assert (club.tastes > 0).all()


def test_a_club_of_looks_weighs_by_what_stands_out():
    looks, counts = Club.founded(5, seed=1), Club.founded(5, seed=1, counting=True)
    # Prisoners: their ordinary spread is 6.8 stones, that of influence 11.3.
    assert looks.tastes[:, 2] / counts.tastes[:, 2] == pytest.approx(np.full(5, 11.3 / 6.8), rel=1e-5)
    np.testing.assert_array_equal(looks.tastes[:, 0], counts.tastes[:, 0])
    # One ordinary spread of an impression then weighs as the common taste says.
    same = Club.founded(1, seed=1, variety=0.0).tastes[0] * ORDINARY_SPREAD / ORDINARY_SPREAD[0]
    assert same == pytest.approx(COMMON_TASTE, rel=1e-5)


def test_a_club_is_that_of_its_seed():
    np.testing.assert_array_equal(Club.founded(4, seed=1).tastes, Club.founded(4, seed=1).tastes)
    assert not np.array_equal(Club.founded(4, seed=1).tastes, Club.founded(4, seed=2).tastes)


def test_white_likes_what_black_dislikes(draw):
    rows = "X X . . .", ". . . . .", ". . . . .", ". . . . .", ". . . . O"
    board = draw("\n".join(rows), WHITE)
    look = impressions(board.state[None])
    club, member = one_taste(), np.array([0])
    assert club.preference(look, 0 * look, member) == pytest.approx(expit(1 / 5))
    assert club.preference(-look, 0 * look, member) == pytest.approx(expit(-1 / 5))
