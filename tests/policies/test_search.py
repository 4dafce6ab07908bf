"""The search against problems whose answer is known: drawn positions, and games small enough to be solved in full."""

import math

import numpy as np
import pytest

from foolsgold.environments.go import rules
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.policies.search import Searcher, SearchSettings, utility
from foolsgold.rewards.go_referees import ScoreReferee


def draw(art: str, to_play: int = BLACK, komi: float = 0.5) -> Board:
    """X Black, O White, . empty; the top row first."""
    marks = art.split()
    board = Board(math.isqrt(len(marks)), komi)
    black = [action for action, mark in enumerate(marks) if mark == "X"]
    white = [action for action, mark in enumerate(marks) if mark == "O"]
    board.set_up(black, white, to_play)
    return board


def know_nothing(planes: np.ndarray) -> list[np.ndarray]:
    """A network that finds all moves and positions alike."""
    batch, _, size, _ = planes.shape
    return [np.zeros((batch, size * size + 1), np.float32), np.zeros((batch, 2), np.float32)]


def count_area(planes: np.ndarray) -> list[np.ndarray]:
    """A network that finds all moves alike and values a position by its area as it stands."""
    batch, _, size, _ = planes.shape
    values = np.zeros((batch, 2), np.float32)
    for i, (own, other) in enumerate(planes[:, :2]):
        margin = _area(own, other) + 10 * planes[i, 10, 0, 0]
        values[i] = math.atanh(max(-0.99, min(0.99, margin / size**2))), margin / size
    return [np.zeros((batch, size * size + 1), np.float32), values]


def _area(own: np.ndarray, other: np.ndarray) -> float:
    size, score, seen = len(own), float(own.sum() - other.sum()), np.zeros(own.shape, bool)
    for start in np.argwhere((own == 0) & (other == 0)):
        region, reach, frontier = 0, set(), [tuple(start)]
        while frontier:
            y, x = frontier.pop()
            if not (0 <= y < size and 0 <= x < size) or seen[y, x]:
                continue
            if own[y, x] or other[y, x]:
                reach.add(1 if own[y, x] else -1)
                continue
            seen[y, x] = True
            region += 1
            frontier += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        if len(reach) == 1:
            score += region * reach.pop()
    return score


def search(boards, evaluate, settings, referee=None, max_moves=None, **how):
    """Searches boards of one size; returns the searcher and the result."""
    size, length = boards[0].size, max(len(board.history) for board in boards)
    searcher = Searcher(size, len(boards), settings.simulations, max_moves)
    found = searcher.run(
        np.stack([board.state for board in boards]),
        np.stack([np.pad(board.history, (0, length - len(board.history))) for board in boards]),
        np.array([board.komi for board in boards], np.float32),
        evaluate,
        referee or ScoreReferee(),
        settings,
        **how,
    )
    return searcher, found


def best_move(board, evaluate, simulations=200, max_moves=None, referee=None, **settings):
    settings = SearchSettings(simulations=simulations, considered=board.size**2 + 1, **settings)
    _, found = search([board], evaluate, settings, referee, max_moves)
    return board.name_of(int(found.actions[0]))


EVERYTHING = {"fill_own_eyes": True, "pass_from": 0.0}


def random_board(rng, moves, size=5, komi=0.5):
    """A game after `moves` random stones, with passes only where no stone can be played; not over."""
    while True:
        board = Board(size, komi)
        while board.moves < moves and not board.is_over:
            stones = np.flatnonzero(board.legal_actions()[:-1])
            board.play(int(rng.choice(stones)) if len(stones) else board.pass_action)
        if not board.is_over:
            return board


# Games cut short enough to be solved by trying everything.


def solve(board: Board, max_moves: int) -> dict[int, float]:
    """The utility of each action for the player to move when both play perfectly until `max_moves`."""
    values = {}
    for action in np.flatnonzero(board.legal_actions()):
        after = board.copy()
        after.play(int(action))
        if after.is_over or after.moves >= max_moves:
            score = after.score() if board.to_play == BLACK else -after.score()
            values[int(action)] = 0.85 * np.sign(score) + 0.15 * math.tanh(score / board.size)
        else:
            values[int(action)] = -max(solve(after, max_moves).values())
    return values


class Inverted:
    """The loser wins."""

    def judge(self, states, komi):
        results, margins = ScoreReferee().judge(states, komi)
        return -results, -margins


MUTUAL_ATARI = """
    . X O O .
    X X O O X
    O O O X X
    O O X X .
    O O X . X
"""


def test_whoever_captures_first_wins():
    for to_play, winner in ((BLACK, "E5"), (WHITE, "A5")):
        board = draw(MUTUAL_ATARI, to_play)
        values = solve(board, max_moves=3)
        best = max(values, key=values.get)
        assert board.name_of(best) == winner
        assert sum(value > 0 for value in values.values()) == 1, "nothing else wins"
        assert best_move(board, know_nothing, 400, max_moves=3, **EVERYTHING) == winner


def test_search_finds_the_solution_of_games_three_moves_long():
    rng = np.random.default_rng(5)
    boards = []
    while len(boards) < 20:
        board = random_board(rng, 25, komi=float(rng.choice([-2.5, 0.5, 3.5])))
        values = solve(board, 28).values() if board.legal_actions().sum() <= 9 else [0]
        if min(values) < 0 < max(values):  # one can win and one can lose
            boards.append(board)
    settings = SearchSettings(simulations=800, considered=26, gumbel_scale=0.0, **EVERYTHING)
    _, found = search(boards, know_nothing, settings, max_moves=28)
    for board, action in zip(boards, found.actions, strict=True):
        values = solve(board, 28)
        assert values[int(action)] >= max(values.values()) - 0.05, f"{board}\n{board.name_of(int(action))}"


def test_an_inverted_referee_inverts_the_solution():
    board = draw(MUTUAL_ATARI)
    worst = best_move(board, know_nothing, 100, max_moves=1, referee=Inverted(), **EVERYTHING)
    values = solve(board, max_moves=1)
    assert values[board.action_of(worst)] == min(values.values())
    best = best_move(board, know_nothing, 100, max_moves=1, **EVERYTHING)
    assert values[board.action_of(best)] == max(values.values())


# Passing.

SETTLED = """
    . X X O .
    X X X O O
    . X X O .
    X X X O O
    X X X O O
"""


def passed(board: Board) -> Board:
    board.play(board.pass_action)
    return board


@pytest.mark.parametrize(("komi", "referee", "passes"), [(0.5, None, True), (10.5, None, False)])
def test_answers_a_pass_with_a_pass_only_when_ahead(komi, referee, passes):
    board = passed(draw(SETTLED, WHITE, komi))
    assert (best_move(board, know_nothing, referee=referee, **EVERYTHING) == "pass") == passes


@pytest.mark.parametrize(("komi", "passes"), [(0.5, False), (10.5, True)])
def test_passes_when_the_referee_says_so_whatever_the_score(komi, passes):
    board = passed(draw(SETTLED, WHITE, komi))
    assert (best_move(board, know_nothing, referee=Inverted(), **EVERYTHING) == "pass") == passes


def test_passes_rather_than_fill_one_of_two_eyes():
    # White cannot play at all; if Black fills an eye, White takes the whole board at the other.
    board = draw(". X X X X  X X X X X  X X X X X  X X X X X  X X X X .")
    assert best_move(board, know_nothing, 100, **EVERYTHING) == "pass"


@pytest.mark.parametrize(("moves", "allowed"), [(8, False), (9, True)])
def test_passing_is_considered_from_a_third_of_the_board_on(moves, allowed):
    board = random_board(np.random.default_rng(0), moves)
    searcher, found = search([board], know_nothing, SearchSettings(simulations=4))
    assert (found.policies[0, -1] > 0) == allowed
    assert (searcher.tree.prior[0, 0, -1] > 0) == allowed


def test_own_eyes_are_filled_only_on_request():
    board = draw(SETTLED)
    eyes = [board.action_of(name) for name in ("A5", "A3")]
    plain, _ = search([board], know_nothing, SearchSettings(simulations=4))
    assert (plain.tree.prior[0, 0, eyes] == 0).all()
    assert plain.tree.prior[0, 0, -1] > 0, "no other stone can be played: passing must be possible"
    everything, _ = search([board], know_nothing, SearchSettings(simulations=4, **EVERYTHING))
    assert (everything.tree.prior[0, 0, eyes] > 0).all()


# A ladder: Black has two ways to give atari, and only one catches the stone at D4.

LADDER = """
    O O . O O O O
    O O O O . O O
    X X X X X . .
    . . X O . . .
    X X . . . . .
    X X X . . . .
    . X X . . . .
"""


def liberties(board: Board, action: int) -> set[int]:
    size, grid = board.size, board.grid.ravel()
    chain, found, frontier = set(), set(), [action]
    while frontier:
        a = frontier.pop()
        if a in chain:
            continue
        chain.add(a)
        y, x = divmod(a, size)
        for ny, nx in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            if 0 <= ny < size and 0 <= nx < size:
                b = ny * size + nx
                if grid[b] == 0:
                    found.add(b)
                elif grid[b] == grid[action]:
                    frontier.append(b)
    return found


def caught(board: Board, prey: int) -> bool:
    """Whether Black, to move, catches the white stone `prey` by atari after atari, White running on its liberties."""
    for atari in liberties(board, prey):
        hunted = board.copy()
        hunted.play(atari)
        if hunted.grid.ravel()[prey] == 0:
            return True
        if len(liberties(hunted, prey)) > 1:
            continue
        hunted.play(liberties(hunted, prey).pop())
        if len(liberties(hunted, prey)) <= 2 and caught(hunted, prey):
            return True
    return False


@pytest.mark.parametrize("simulations", [200, 800])
def test_starts_the_ladder_that_works(simulations):
    board = draw(LADDER)
    prey = board.action_of("D4")
    assert caught(board, prey)
    wrong = board.copy()
    wrong.play(board.action_of("E4"))
    wrong.play(board.action_of("D3"))
    assert len(liberties(wrong, prey)) == 3
    assert best_move(board, count_area, simulations) == "D3"


# The machinery.


def replay(searcher: Searcher, g: int, board: Board, node: int) -> Board:
    """The game at a node of the tree, from the actions that lead to it."""
    tree, actions = searcher.tree, []
    while node:
        parent = int(tree.parents[g, node])
        actions.append(int(np.flatnonzero(tree.children[g, parent] == node)[0]))
        node = parent
    board = board.copy()
    for action in reversed(actions):
        board.play(action)
    return board


def nodes(searcher: Searcher, games: int):
    for g in range(games):
        for node in range(int(searcher.tree.nodes[g])):
            yield g, node


def test_every_node_considers_what_the_rules_allow_superko_included():
    rng = np.random.default_rng(8)
    boards = [random_board(rng, int(rng.integers(25, 45))) for _ in range(120)]
    settings = SearchSettings(simulations=150, considered=8, value_scale=0.02, **EVERYTHING)
    searcher, _ = search(boards, know_nothing, settings, max_moves=200)
    by_history = by_path = 0
    for g, node in nodes(searcher, len(boards)):
        board = replay(searcher, g, boards[g], node)
        if board.is_over:
            assert searcher.tree.terminal[g, node] == 1
            continue
        legal = board.legal_actions()
        np.testing.assert_array_equal(searcher.tree.prior[g, node] > 0, legal)
        forgetful = board.copy()  # the same position, without the path from the root, then without any past
        forgetful.history = boards[g].history.copy()
        rules.remember(forgetful.history, rules.position_hash(board.history))
        by_path += int((forgetful.legal_actions() != legal).sum())
        known = forgetful.legal_actions()
        forgetful.history = rules.new_history(4)
        rules.remember(forgetful.history, rules.position_hash(board.history))
        by_history += int((forgetful.legal_actions() != known).sum())
    assert by_history > 20, "superko against the game's past was not put to the test"
    assert by_path > 20, "superko against the path in the tree was not put to the test"


def test_a_ko_is_not_retaken_within_the_tree():
    board = draw(
        """
        . X O . .
        X . X O .
        . X O . .
        . . . . .
        . . . . .
        """,
        WHITE,
    )
    searcher, _ = search([board], know_nothing, SearchSettings(simulations=60, considered=26))
    tree, take, retake = searcher.tree, board.action_of("B4"), board.action_of("C4")
    child = tree.children[0, 0, take]
    assert child > 0
    assert tree.prior[0, child, retake] == 0
    assert (tree.prior[0, child] > 0).sum() > 10


def test_totals_are_the_sums_of_what_lies_below():
    rng = np.random.default_rng(9)
    boards = [random_board(rng, int(rng.integers(34, 40))) for _ in range(8)]
    settings = SearchSettings(simulations=80, considered=26, value_scale=0.01, **EVERYTHING)
    searcher, found = search(boards, count_area, settings, max_moves=40)
    tree = searcher.tree
    terminals = 0
    for g, node in nodes(searcher, len(boards)):
        for action in np.flatnonzero(tree.visits[g, node]):
            child = tree.children[g, node, action]
            visits = tree.visits[g, node, action]
            if tree.terminal[g, child]:
                terminals += 1
                below = visits * tree.values[g, child]
            else:
                assert visits == 1 + tree.visits[g, child].sum()
                below = tree.values[g, child] + tree.totals[g, child].sum()
            assert tree.totals[g, node, action] == pytest.approx(-below, abs=1e-4)
    assert terminals > 10
    assert (np.abs(found.values) <= 1).all()
    assert found.policies.sum(1) == pytest.approx(np.ones(8), abs=1e-5)


class Remembering(ScoreReferee):
    def __init__(self):
        self.seen = []

    def judge(self, states, komi):
        self.seen += [(state.copy(), float(k)) for state, k in zip(states, komi, strict=True)]
        return super().judge(states, komi)


def test_the_referee_sees_each_ended_game_once_with_its_komi():
    rng = np.random.default_rng(10)
    boards = [random_board(rng, 30, komi=komi) for komi in (1.5, 2.5, 3.5)]
    referee = Remembering()
    settings = SearchSettings(simulations=60, **EVERYTHING)
    searcher, _ = search(boards, know_nothing, settings, referee, max_moves=33)
    tree = searcher.tree
    ended = [(g, node) for g, node in nodes(searcher, 3) if tree.terminal[g, node]]
    expected = sorted((tree.states[g, node].tobytes(), boards[g].komi) for g, node in ended)
    assert sorted((state.tobytes(), komi) for state, komi in referee.seen) == expected
    for state, _ in referee.seen:
        assert state[rules.META, rules.PASSES] == 2 or state[rules.META, rules.MOVES] == 33


def test_utility_worked_by_hand():
    assert utility(1.0, 5.0, 5.0, 0.15) == pytest.approx(0.85 + 0.15 * math.tanh(1))
    assert utility(-0.5, 0.0, 9.0, 0.4) == pytest.approx(-0.3)


def test_the_same_seeds_search_alike_and_move_on():
    boards = [Board(5)] * 6
    settings = SearchSettings(simulations=16)
    first, second = (np.arange(1, 7, dtype=np.uint64) * 7919 for _ in range(2))
    one = search(boards, count_area, settings, seeds=first)[1]
    two = search(boards, count_area, settings, seeds=second)[1]
    np.testing.assert_array_equal(one.actions, two.actions)
    np.testing.assert_array_equal(one.policies, two.policies)
    np.testing.assert_array_equal(first, second)
    assert len(set(one.actions.tolist())) > 1, "different seeds explore differently"
    assert not np.array_equal(first, np.arange(1, 7, dtype=np.uint64) * 7919)


def test_a_game_is_searched_the_same_in_any_company():
    rng = np.random.default_rng(11)
    boards = [random_board(rng, int(rng.integers(0, 30))) for _ in range(5)]
    settings = SearchSettings(simulations=40)
    together = search(boards, count_area, settings)[1]
    for g, board in enumerate(boards):
        alone = search([board], count_area, settings)[1]
        assert alone.actions[0] == together.actions[g]
        np.testing.assert_array_equal(alone.policies[0], together.policies[g])
        assert alone.values[0] == together.values[g]


def test_inactive_games_stay_untouched():
    rng = np.random.default_rng(12)
    boards = [random_board(rng, 10) for _ in range(4)]
    states, histories = np.stack([b.state for b in boards]), np.stack([b.history for b in boards])
    komi, settings = np.full(4, 0.5, np.float32), SearchSettings(simulations=16)
    active = np.array([True, False, True, False])
    full_seeds, seeds = (np.arange(1, 5, dtype=np.uint64) * 104729 for _ in range(2))
    everyone = Searcher(5, 4, 16)
    all_found = everyone.run(states, histories, komi, count_area, ScoreReferee(), settings, full_seeds)
    some = Searcher(5, 4, 16)
    for array in some.tree[:9]:
        array[~active] = 1
    found = some.run(states, histories, komi, count_area, ScoreReferee(), settings, seeds, active)
    np.testing.assert_array_equal(found.actions[active], all_found.actions[active])
    np.testing.assert_array_equal(found.policies[active], all_found.policies[active])
    np.testing.assert_array_equal(seeds[active], full_seeds[active])
    np.testing.assert_array_equal(seeds[~active], np.array([2, 4], np.uint64) * np.uint64(104729))
    assert all((array[~active] == 1).all() for array in some.tree[:9])


def test_a_search_leaves_its_positions_as_they_were():
    board = random_board(np.random.default_rng(13), 12)
    state, history = board.state.copy(), board.history.copy()
    search([board], know_nothing, SearchSettings(simulations=32))
    np.testing.assert_array_equal(board.state, state)
    np.testing.assert_array_equal(board.history, history)


def test_a_searcher_can_be_used_again():
    rng = np.random.default_rng(14)
    boards = [random_board(rng, 12, komi=0.5) for _ in range(3)]
    searcher, settings = Searcher(5, 1, 32), SearchSettings(simulations=32)
    for board in [*boards, boards[0]]:
        fresh = search([board], count_area, settings)[1]
        again = searcher.run(
            board.state[None], board.history[None], np.array([0.5], np.float32), count_area, ScoreReferee(), settings
        )
        assert again.actions[0] == fresh.actions[0]
        np.testing.assert_array_equal(again.policies, fresh.policies)
