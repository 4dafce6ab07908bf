"""Games without search: replayed move by move, with distributions worked out anew."""

import numpy as np
import pytest
import torch

from foolsgold.environments.go import rules
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.features import PLANES, policy_planes
from foolsgold.environments.go.rules import BLACK, META, WHITE
from foolsgold.errors import UserError
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.training.go_rollouts import GoGames, RawPlayer, draw_prompts, play_games, played_out
from foolsgold.training.self_play_worker import max_moves

SIZE = 5
PASS = SIZE * SIZE
PROMPTS, GAMES = 6, 4


def network(seed: int, scale: float = 1.0) -> GoNetwork:
    torch.manual_seed(seed)
    made = GoNetwork(NetworkSize(2, 8))
    with torch.no_grad():
        made.policy_point.weight *= scale
        made.policy_pass.weight *= scale
    return made


def indifferent(pass_logit: float) -> GoNetwork:
    """Logit 0 for every point of every board, and this one for passing."""
    made = network(0, scale=0.0)
    with torch.no_grad():
        made.policy_point.bias.zero_()
        made.policy_pass.bias.fill_(pass_logit)
    return made


def player(of: GoNetwork) -> RawPlayer:
    return RawPlayer(of, SIZE, PROMPTS // 2 * GAMES, "cpu")


def played(policy: GoNetwork, base: GoNetwork, seed: int = 2, prompts_seed: int = 1) -> GoGames:
    return play_games(player(policy), player(base), draw_prompts(SIZE, PROMPTS, prompts_seed), GAMES, seed)


@pytest.fixture(scope="module")
def games() -> GoGames:
    return played(network(1, 3.0), network(2, 3.0))


def test_unfinished_games_begin_like_whole_ones_and_are_played_to_their_end(games):
    policy, base = network(1, 3.0), network(2, 3.0)
    cut = play_games(player(policy), player(base), draw_prompts(SIZE, PROMPTS, 1), GAMES, 2, moves=9)
    assert (cut.final[:, META, rules.MOVES] <= 9).all()
    went_on = cut.actions >= 0
    np.testing.assert_array_equal(cut.actions[went_on], games.actions[:, : cut.actions.shape[1]][went_on])
    # A player of 7 games at once leaves a rest of 3 of the 24.
    ended = played_out(cut, RawPlayer(base, SIZE, 7, "cpu"), seed=5)
    header = ended.final[:, META]
    assert ((header[:, rules.PASSES] == 2) | (header[:, rules.MOVES] == max_moves(SIZE))).all()
    assert (header[:, rules.MOVES] > cut.final[:, META, rules.MOVES]).all()
    np.testing.assert_array_equal(ended.color, cut.color)
    again = played_out(ended, RawPlayer(base, SIZE, 7, "cpu"), seed=6)
    np.testing.assert_array_equal(again.final, ended.final)


def test_prompts_come_in_both_colours():
    prompts = draw_prompts(SIZE, 40, seed=3)
    assert prompts.color.tolist() == [BLACK] * 20 + [WHITE] * 20
    for array in (prompts.states, prompts.histories, prompts.komi):
        np.testing.assert_array_equal(array[:20], array[20:])
    assert (prompts.states[:, META, rules.TO_PLAY] == BLACK).all()
    assert set(prompts.states[:, META, rules.MOVES].tolist()) == {2, 4}
    assert len(set(prompts.komi.tolist())) > 3
    assert len(np.unique(prompts.states[:20, rules.COLOR], axis=0)) > 15


def test_prompts_follow_from_seed_and_step():
    def openings(*of: int) -> np.ndarray:
        return draw_prompts(SIZE, 10, *of).states

    np.testing.assert_array_equal(openings(3, 1), openings(3, 1))
    assert not np.array_equal(openings(3, 1), openings(3, 2))
    assert not np.array_equal(openings(3, 1), openings(4, 1))


@pytest.mark.parametrize("count", [0, 7])
def test_an_odd_number_of_prompts_is_refused(count):
    with pytest.raises(UserError, match="even number"):
        draw_prompts(SIZE, count, seed=0)


def boards_of(games: GoGames, game: int, prompts_seed: int = 1):
    """(board, whether the policy is to move, its action) before each move; the finished board after the last."""
    prompts = draw_prompts(SIZE, PROMPTS, prompts_seed)
    prompt = game // GAMES
    board = Board(SIZE, float(prompts.komi[prompt]))
    board.state, board.history = prompts.states[prompt].copy(), prompts.histories[prompt].copy()
    for action in games.actions[game].tolist():
        if action >= 0:
            yield board, board.to_play == prompts.color[prompt], action
            board.play(action)
    yield board, False, None


def final_board(games: GoGames, game: int) -> Board:
    *_, (board, _, _) = boards_of(games, game)
    return board


def test_games_are_those_that_the_moves_lead_to(games):
    assert len(games.final) == len(games.komi) == len(games.color) == PROMPTS * GAMES
    for game in range(PROMPTS * GAMES):
        board = final_board(games, game)
        np.testing.assert_array_equal(board.state, games.final[game])
        assert board.is_over or board.moves == max_moves(SIZE)
        sign = 1 if game < PROMPTS * GAMES // 2 else -1
        assert games.score[game] == sign * board.score()
        assert games.won[game] == (sign * board.score() > 0)
    assert len({games.final[game].tobytes() for game in range(GAMES)}) == GAMES


def expected_log_probs(of: GoNetwork, board: Board) -> tuple[torch.Tensor, np.ndarray]:
    """`[A]` and the actions allowed: what search would consider."""
    legal = board.legal_actions()
    planes = np.zeros((PLANES, SIZE, SIZE), np.float32)
    policy_planes(board.state, legal, board.komi, np.zeros(board.state.shape[1], np.uint16), planes)
    allowed = legal.astype(bool)
    for action in range(PASS):
        if allowed[action] and rules.is_own_eye(board.state, rules.point_of(action, SIZE), board.to_play):
            allowed[action] = False
    allowed[PASS] = board.moves >= 9 or not allowed[:PASS].any()  # a third of 25 points, rounded up
    with torch.no_grad():
        logits = of(torch.from_numpy(planes)[None]).policy[0]
    return torch.where(torch.from_numpy(allowed), logits, -torch.inf).log_softmax(0), allowed


def test_log_probabilities_and_kl_are_those_of_a_direct_forward(games):
    policy, base = network(1, 3.0), network(2, 3.0)
    own = games.own
    row = 0
    for game in range(PROMPTS * GAMES):
        total = 0.0
        for board, is_own, action in boards_of(games, game):
            if not is_own:
                continue
            (log_p, allowed), (log_q, _) = (expected_log_probs(of, board) for of in (policy, base))
            assert (own.game[row], own.actions[row]) == (game, action)
            np.testing.assert_array_equal(own.allowed[row], allowed)
            assert own.log_probs[row] == pytest.approx(float(log_p[action]), abs=1e-4)
            assert own.base_log_probs[row] == pytest.approx(float(log_q[action]), abs=1e-4)
            kl = sum(float(p.exp() * (p - q)) for p, q in zip(log_p, log_q, strict=True) if p > -torch.inf)
            assert own.kl[row] == pytest.approx(kl, abs=1e-4)
            total += kl
            row += 1
        assert games.kl[game] == pytest.approx(total, abs=1e-3)
    assert row == len(own)


def test_kl_worked_by_hand():
    # k points of weight 1 and a pass of weight e^2 against weight 1: before passing is offered both are uniform.
    games = played(indifferent(2.0), indifferent(0.0))
    k = games.own.allowed[:, :PASS].sum(1)
    may_pass = games.own.allowed[:, PASS] & (k > 0)
    weight = np.e**2
    kl = np.log((k + 1) / (k + weight)) + 2 * weight / (k + weight)
    np.testing.assert_allclose(games.own.kl, np.where(may_pass, kl, 0), atol=1e-6)
    assert 0 < may_pass.mean() < 1
    passed = games.own.actions == PASS
    ratio = np.log((k + 1) / (k + weight)) + 2 * passed
    np.testing.assert_allclose(games.own.log_probs - games.own.base_log_probs, np.where(may_pass, ratio, 0), atol=1e-5)


def test_a_policy_is_at_no_distance_from_itself():
    one = player(network(3))
    games = play_games(one, one, draw_prompts(SIZE, PROMPTS, 1), GAMES, 2)
    assert not games.kl.any()
    assert not games.log_ratio.any()
    assert games.mean_kl == (0, 0)
    again = played(network(3), network(3))
    np.testing.assert_array_equal(games.final, again.final)
    assert not again.kl.any()


def test_the_sum_of_kls_is_the_mean_log_ratio():
    policy, base = (RawPlayer(network(seed, 3.0), SIZE, 200, "cpu") for seed in (1, 2))
    games = play_games(policy, base, draw_prompts(SIZE, 40, 5), 10, 6)
    difference = games.grouped(games.log_ratio - games.kl).mean(1)
    error = difference.std(ddof=1) / 40**0.5
    assert abs(difference.mean()) < 4 * error
    assert games.mean_kl.mean > 5 * error
    assert games.mean_kl.mean == pytest.approx(games.kl.mean())
    assert games.mean_kl.standard_error == pytest.approx(games.grouped(games.kl).mean(1).std(ddof=1) / 40**0.5)


def test_the_base_policy_throws_the_same_dice_in_all_games_of_a_prompt():
    determined = network(1, scale=1e5)  # one action has all the probability
    games = played(determined, network(2))
    moves = games.actions.reshape(PROMPTS, GAMES, -1)
    np.testing.assert_array_equal(moves, np.broadcast_to(moves[:, :1], moves.shape))
    replies = played(determined, network(2), prompts_seed=2).actions
    assert not np.array_equal(games.actions[:, :9], replies[:, :9])


def test_the_same_seed_is_the_same_games(games):
    again, other = (played(network(1, 3.0), network(2, 3.0), seed=seed) for seed in (2, 3))
    np.testing.assert_array_equal(games.actions, again.actions)
    assert games.actions.shape != other.actions.shape or (games.actions != other.actions).any()
