"""The PettingZoo environment: PettingZoo's own checks, and what its agents see and earn."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("pettingzoo")

from pettingzoo.test import api_test, seed_test

from foolsgold.environments.go.board import IllegalMove
from foolsgold.environments.go.pettingzoo import GoEnv, env


@pytest.mark.parametrize("make", [GoEnv, env])
@pytest.mark.filterwarnings("ignore")
def test_api(make):
    api_test(make(size=5), num_cycles=300)


def test_same_seed_same_games():
    seed_test(lambda: env(size=5), num_cycles=50)


def play(game, *actions):
    for action in actions:
        game.step(action)


def test_what_each_agent_sees():
    game = GoEnv(size=5)
    game.reset()
    play(game, 7)
    black, white = game.observe("black_0"), game.observe("white_0")
    assert black["observation"].shape == (5, 5, 3)
    assert np.argwhere(black["observation"]).tolist() == [[1, 2, 0]]
    assert np.argwhere(white["observation"]).tolist() == [[1, 2, 1]]
    assert black["action_mask"].sum() == 0
    assert np.flatnonzero(white["action_mask"] == 0).tolist() == [7]
    play(game, 25)
    assert (game.observe("white_0")["observation"][:, :, 2] == 1).all()


@pytest.mark.parametrize(("komi", "black"), [(24.5, 1), (25, 0), (25.5, -1)])
def test_rewards_at_the_end(komi, black):
    """One black stone owns all 25 points."""
    game = GoEnv(size=5, komi=komi)
    game.reset()
    play(game, 12, 25)
    assert game.rewards == {"black_0": 0, "white_0": 0}
    play(game, 25)
    assert game.rewards == {"black_0": black, "white_0": -black}
    assert all(game.terminations.values())
    assert game.last()[1] == game.rewards[game.agent_selection]


def test_an_illegal_move_ends_a_wrapped_game():
    game = env(size=5)
    game.reset()
    play(game, 12, 12)
    assert game.unwrapped.rewards == {"black_0": 0, "white_0": -1}
    assert all(game.unwrapped.terminations.values())


def test_an_illegal_move_is_an_error_in_a_bare_game():
    game = GoEnv(size=5)
    game.reset()
    play(game, 12)
    with pytest.raises(IllegalMove, match="C3 is taken"):
        play(game, 12)


def test_a_game_runs_to_its_end():
    game = env(size=5)
    game.reset()
    rewards = dict.fromkeys(game.possible_agents, 0)
    for agent in game.agent_iter():
        observation, reward, termination, truncation, _ = game.last()
        rewards[agent] += reward
        action = None if termination or truncation else game.action_space(agent).sample(observation["action_mask"])
        game.step(action)
    assert sorted(rewards.values()) == [-1, 1]


def test_text(capsys):
    game = GoEnv(size=5, render_mode="ansi")
    game.reset()
    play(game, 0)
    assert game.render().splitlines()[0] == " 5 X . . . ."
    game = GoEnv(size=5, render_mode="human")
    game.reset()
    play(game, 0)
    assert capsys.readouterr().out.splitlines()[0] == " 5 X . . . ."
    with pytest.raises(ValueError, match="choose ansi, human or None"):
        GoEnv(render_mode="rgb_array")


def test_the_environment_can_be_pickled():
    game = pickle.loads(pickle.dumps(GoEnv(size=7, komi=3.5)))
    assert (game.board.size, game.board.komi) == (7, 3.5)


def test_without_pettingzoo_the_message_names_what_to_install():
    code = "import sys; sys.modules['pettingzoo'] = None; import foolsgold.environments.go.pettingzoo"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install foolsgold[pettingzoo]" in done.stderr
