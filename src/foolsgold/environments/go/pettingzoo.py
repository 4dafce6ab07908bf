"""Go as a PettingZoo environment, with the interface of PettingZoo's own `go_v5`: agents that take turns."""

from __future__ import annotations

from typing import Any

import numpy as np

from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.errors import UserError

try:
    from gymnasium import spaces
    from gymnasium.utils import EzPickle
    from pettingzoo import AECEnv
    from pettingzoo.utils import wrappers
except ImportError as error:
    raise UserError(f"{error.name} is not installed; run: pip install foolsgold[pettingzoo]") from error

AGENTS = {"black_0": BLACK, "white_0": WHITE}
RENDER_MODES = ("ansi", "human")


def env(size: int = 9, komi: float | None = None, render_mode: str | None = None) -> AECEnv:
    """`GoEnv` in PettingZoo's usual wrappers: an illegal move ends the game and costs its player a point."""
    wrapped = wrappers.TerminateIllegalWrapper(GoEnv(size, komi, render_mode), illegal_reward=-1)
    return wrappers.OrderEnforcingWrapper(wrappers.AssertOutOfBoundsWrapper(wrapped))


class GoEnv(AECEnv, EzPickle):
    """One game between `black_0` and `white_0` under the rules of `Board`.

    - Actions: y * N + x for a stone, (0, 0) the top left corner; N * N to pass.
    - Observations, as the observing agent sees the board: `observation` int8 `[N, N, 3]`, planes of its stones, of the
      opponent's stones, and all 1 while Black is to play; `action_mask` int8 `[N * N + 1]`, 1 for a legal action, all 0
      for the agent that is not to play and after the end.
    - Rewards: at the end, after two passes, +1 to the winner by area less komi and -1 to the loser; 0 to both for a
      draw, and 0 before the end.
    - `render_mode`: "ansi" makes `render` return the board as text, "human" prints it after every move.

    Raises:
      ValueError: a board size or render mode that is not supported.
      IllegalMove: from `step`, unless wrapped by `env`.
    """

    metadata = {"render_modes": list(RENDER_MODES), "name": "foolsgold_go_v0", "is_parallelizable": False}  # noqa: RUF012

    def __init__(self, size: int = 9, komi: float | None = None, render_mode: str | None = None):
        EzPickle.__init__(self, size, komi, render_mode)
        super().__init__()
        if render_mode not in (None, *RENDER_MODES):
            raise ValueError(f"render mode {render_mode!r} is not supported; choose ansi, human or None")
        self.board = Board(size, komi)
        self.render_mode = render_mode
        self.possible_agents = list(AGENTS)
        self.agents = self.possible_agents[:]
        observation = spaces.Dict(
            {
                "observation": spaces.Box(0, 1, (size, size, 3), np.int8),
                "action_mask": spaces.Box(0, 1, (size * size + 1,), np.int8),
            }
        )
        # The very same space object at every call, one an agent, so that seeding it lasts.
        self.observation_spaces = dict.fromkeys(AGENTS, observation)
        self.action_spaces = {agent: spaces.Discrete(size * size + 1) for agent in AGENTS}

    def observation_space(self, agent: str) -> spaces.Space:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start a new game. Nothing in it is random: `seed` and `options` change nothing."""
        self.board = Board(self.board.size, self.board.komi)
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        self.agent_selection = "black_0"

    def observe(self, agent: str) -> dict[str, np.ndarray]:
        grid, color = self.board.grid, AGENTS[agent]
        black_to_play = np.full_like(grid, self.board.to_play == BLACK)
        planes = np.stack([grid == color, grid == 3 - color, black_to_play], axis=-1).astype(np.int8)
        mask = self.board.legal_actions().astype(np.int8)
        return {"observation": planes, "action_mask": mask if color == self.board.to_play else np.zeros_like(mask)}

    def step(self, action: int | None) -> None:
        """Play `action` for the agent to move; None for each agent once the game is over."""
        if self.terminations[self.agent_selection] or self.truncations[self.agent_selection]:
            self._was_dead_step(action)
            return
        player, opponent = self.agent_selection, next(agent for agent in AGENTS if agent != self.agent_selection)
        self.board.play(int(action))  # type: ignore[arg-type]  # None only steps agents that are done
        self._cumulative_rewards[player] = 0.0
        self._clear_rewards()
        if self.board.is_over:
            result = float(np.sign(self.board.score()))
            self.rewards = {agent: result if color == BLACK else -result for agent, color in AGENTS.items()}
            self.terminations = dict.fromkeys(self.agents, True)
        self.agent_selection = opponent
        self._accumulate_rewards()
        if self.render_mode == "human":
            self.render()

    def render(self) -> str | None:
        """The board as text: returned in mode "ansi", printed in mode "human"."""
        if self.render_mode == "ansi":
            return str(self.board)
        if self.render_mode == "human":
            print(self.board)
        return None

    def close(self) -> None:
        """Nothing is held open."""
