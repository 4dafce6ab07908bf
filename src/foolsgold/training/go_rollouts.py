"""Games that a policy plays against the base policy without search: rollouts of policy gradient on Go.

A prompt is all that is not the policy's doing: the opening, komi, the side it plays, and the dice that the base policy
throws for its replies. Given the prompt, the game follows from the policy's own moves as a completion follows from its
tokens: games of one prompt can be compared, and the best of n of them is at the KL that best of n always is at.

Letters: P prompts, N games of each, B = P N games in prompt order, M moves of the policy's own in all of them, L plies
of the longest game, A = size * size + 1 actions.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from foolsgold.environments.go import rules
from foolsgold.environments.go.features import BINARY_PLANES
from foolsgold.environments.go.rules import BLACK, META, WHITE
from foolsgold.errors import UserError
from foolsgold.objectives.kl import SequenceKL, exact_kl
from foolsgold.policies.go_network import GoNetwork
from foolsgold.policies.inference import go_evaluator
from foolsgold.policies.search import Searcher, SearchSettings
from foolsgold.rewards.go_referees import ScoreReferee, area_scores
from foolsgold.training.self_play_worker import komi_choices, max_moves, open_games

NO_SEARCH = SearchSettings(simulations=0)
OPENING = 4
"""Random moves before the game, at most; an even number, so that Black is to move."""


@dataclass(frozen=True)
class GoPrompts:
    """P starting points; the policy plays Black in the first half and White, from the same openings, in the second."""

    size: int
    """Side of the board."""
    states: np.ndarray
    """uint16 `[P, ROWS, S]`"""
    histories: np.ndarray
    """uint64 `[P, H]`"""
    komi: np.ndarray
    """float32 `[P]`, points"""
    dice: tuple[int, ...]
    """Seed of the base policy's replies."""

    def __len__(self) -> int:
        return len(self.states)

    @property
    def color(self) -> np.ndarray:
        """int8 `[P]`, the policy's side."""
        return np.repeat(np.array([BLACK, WHITE], np.int8), len(self) // 2)


def draw_prompts(size: int, count: int, seed: int, step: int = 0) -> GoPrompts:
    """`count` prompts that follow from seed and step: openings of 2 or 4 random moves, komi as in self-play.

    Raises:
      UserError: `count` is odd or below 2.
    """
    if count < 2 or count % 2:
        raise UserError(f"{count} openings cannot be played with both colours; give an even number of at least 2")
    pairs = count // 2
    rng = np.random.default_rng([seed, step, 17])
    states = np.zeros((pairs, rules.ROWS, rules.state_points(size)), np.uint16)
    histories = np.zeros((pairs, rules.history_length(max_moves(size) + OPENING + 1)), np.uint64)
    lengths = 2 * rng.integers(1, OPENING // 2 + 1, pairs)
    seeds = rng.integers(1, 2**63, pairs, dtype=np.uint64)
    komi = rng.choice(np.array(komi_choices(size), np.float32), pairs)
    open_games(states, histories, np.arange(pairs), lengths, size, seeds)
    return GoPrompts(size, np.tile(states, (2, 1, 1)), np.tile(histories, (2, 1)), np.tile(komi, 2), (seed, step, 18))


class RawPlayer:
    """A network without search: it draws from the softmax over the actions that search would consider.

    Those are the legal ones but filling an own eye, and passing only once a third of the board was played or where no
    stone may be: the same for every policy, so that the KL between two of them is finite.
    """

    def __init__(self, network: GoNetwork, size: int, games: int, device: str = "auto"):
        """`games`: of every call; `device`: see `policies.inference.evaluator`."""
        self.searcher = Searcher(size, games, 0)
        self._evaluate = go_evaluator(network, games, size, device)
        self._referee = ScoreReferee()  # never asked: without search no game ends inside a tree

    def draw(
        self, states: np.ndarray, histories: np.ndarray, komi: np.ndarray, active: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """The most probable action after `noise` `[G, A]`, a draw where that is Gumbel: int64 `[G]`, a new array."""
        found = self.searcher.run(
            states, histories, komi, self._evaluate, self._referee, NO_SEARCH, active=active, gumbel=noise
        )
        return found.actions.copy()

    @property
    def probabilities(self) -> np.ndarray:
        """float32 `[G, A]`, of the last call; rows of inactive games are stale, and the next call overwrites all."""
        return self.searcher.tree.prior[:, 0]


@dataclass(frozen=True)
class OwnMoves:
    """The policy's own M moves, game by game in the order they were played, and what it saw."""

    game: np.ndarray
    """int64 `[M]`, row of the game"""
    binary: np.ndarray
    """uint8 `[M, 9, N, N]`, see `environments.go.features`"""
    scalars: np.ndarray
    """float32 `[M, 2]`, komi in the policy's favour / 10, last move was a pass"""
    allowed: np.ndarray
    """bool `[M, A]`, the actions that probabilities are shared among"""
    actions: np.ndarray
    """int64 `[M]`"""
    log_probs: np.ndarray
    """float32 `[M]`, nats, of the policy as it drew"""
    base_log_probs: np.ndarray
    """float32 `[M]`, nats, of the base policy"""
    kl: np.ndarray
    """float64 `[M]`, nats, of the policy's distribution from the base policy's"""

    def __len__(self) -> int:
        return len(self.game)

    def rows(self, chosen: np.ndarray | slice) -> OwnMoves:
        return OwnMoves(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


@dataclass(frozen=True)
class GoGames:
    """B finished games."""

    final: np.ndarray
    """uint16 `[B, ROWS, S]`"""
    histories: np.ndarray
    """uint64 `[B, H]`, of the final boards"""
    komi: np.ndarray
    """float32 `[B]`, points"""
    color: np.ndarray
    """int8 `[B]`, the policy's side"""
    actions: np.ndarray
    """int64 `[B, L]`, all moves after the opening, -1 after a game's end"""
    own: OwnMoves
    group: int
    """N, games of one prompt, which lie side by side"""

    def grouped(self, values: np.ndarray) -> np.ndarray:
        """`[B]` -> `[P, N]`."""
        return values.reshape(-1, self.group)

    @property
    def sign(self) -> np.ndarray:
        """`[B]`, 1 where the policy is Black, else -1."""
        return np.where(self.color == BLACK, 1, -1)

    @property
    def score(self) -> np.ndarray:
        """float64 `[B]`: the policy's true margin in points, komi counted, every stone on the board alive."""
        return self.sign * (area_scores(self.final)[0] - self.komi).astype(np.float64)

    @property
    def won(self) -> np.ndarray:
        """float64 `[B]`: 1 where the policy won, 0.5 for a draw."""
        return (np.sign(self.score) + 1) / 2

    @property
    def kl(self) -> np.ndarray:
        """float64 `[B]`: KL of the moves' distributions summed over each game's own moves, nats.

        Its mean is the KL of the policy's games from the base policy's: the log ratio with the luck of each draw
        averaged out, and so of less variance.
        """
        return np.bincount(self.own.game, self.own.kl, len(self.color))

    @property
    def mean_kl(self) -> SequenceKL:
        """KL a game in nats, its standard error from the spread over prompts: games of one share the dice."""
        means = self.grouped(self.kl).mean(1)
        return SequenceKL(float(means.mean()), float(means.std(ddof=1) / len(means) ** 0.5))

    @property
    def log_ratio(self) -> np.ndarray:
        """float64 `[B]`: log-probability of each game's own moves less that under the base policy, nats."""
        return np.bincount(self.own.game, self.own.log_probs - self.own.base_log_probs, len(self.color))


def play_games(
    policy: RawPlayer,
    base: RawPlayer,
    prompts: GoPrompts,
    games: int,
    seed: int,
    step: int = 0,
    moves: int | None = None,
) -> GoGames:
    """Play `games` games from each prompt, side by side.

    Args:
      policy, base: players of P N / 2 games; the same one twice plays itself.
      seed, step: of the policy's own dice; the base policy's are the prompts'.
      moves: after which a game is left as it stands, those of the opening counted; it ends by itself where None.
    """
    half = len(prompts) // 2 * games
    states, histories = np.repeat(prompts.states, games, 0), np.repeat(prompts.histories, games, 0)
    komi, color = np.repeat(prompts.komi, games), np.repeat(prompts.color, games)
    own, dice = np.random.default_rng([seed, step, 19]), np.random.default_rng(prompts.dice)
    actions_known, limit = prompts.size**2 + 1, moves or max_moves(prompts.size)
    active = np.ones(2 * half, np.bool_)
    black, white = slice(0, half), slice(half, 2 * half)
    turns: list[OwnMoves] = []
    plies: list[np.ndarray] = []
    while active.any():
        mine, theirs = (black, white) if len(plies) % 2 == 0 else (white, black)
        chosen = np.full(2 * half, -1)
        noise = own.gumbel(size=(half, actions_known))
        going = active[mine]
        chosen[mine] = policy.draw(states[mine], histories[mine], komi[mine], going, noise)
        if policy is not base:
            base.draw(states[mine], histories[mine], komi[mine], going, noise)
        turns.append(_turn(policy, base, mine.start + np.flatnonzero(going), mine.start, chosen))
        noise = dice.gumbel(size=(len(prompts) // 2, actions_known)).repeat(games, 0)
        chosen[theirs] = base.draw(states[theirs], histories[theirs], komi[theirs], active[theirs], noise)
        chosen[~active] = -1
        for game in np.flatnonzero(active):
            rules.play(states[game], histories[game], chosen[game])
        plies.append(chosen)
        active = active & _going(states, limit)
    joined = OwnMoves(**{f.name: np.concatenate([getattr(turn, f.name) for turn in turns]) for f in fields(OwnMoves)})
    in_order = joined.rows(np.argsort(joined.game, kind="stable"))
    return GoGames(states, histories, komi, color, np.stack(plies, 1), in_order, games)


def played_out(games: GoGames, base: RawPlayer, seed: int) -> GoGames:
    """The same games with other final boards: those after the base policy has played both sides to the end.

    Args:
      base: a player of any number of games.
      seed: of its dice.
    """
    states, histories = games.final.copy(), games.histories.copy()
    size, width = int(states[0, META, rules.SIZE]), len(base.probabilities)
    rng = np.random.default_rng([seed, 20])
    for start in range(0, len(states), width):
        # A player's number of games is fixed: the last ones are filled up with copies of the first.
        rows = np.arange(start, start + width) % len(states)
        state, history = states[rows], histories[rows]
        while (active := _going(state, max_moves(size))).any():
            noise = rng.gumbel(size=(width, size**2 + 1))
            chosen = base.draw(state, history, games.komi[rows], active, noise)
            for game in np.flatnonzero(active):
                rules.play(state[game], history[game], chosen[game])
        kept = min(width, len(states) - start)
        states[rows[:kept]], histories[rows[:kept]] = state[:kept], history[:kept]
    return replace(games, final=states, histories=histories)


def _going(states: np.ndarray, limit: int) -> np.ndarray:
    """bool `[G]`: no two passes yet, nor `limit` moves."""
    header = states[:, META]
    return (header[:, rules.PASSES] < 2) & (header[:, rules.MOVES] < limit)


def _turn(policy: RawPlayer, base: RawPlayer, games: np.ndarray, first: int, chosen: np.ndarray) -> OwnMoves:
    """What both players think of one move in each of `games`; `first` is the game in row 0 of the players."""
    rows, actions = games - first, chosen[games]
    log_p, log_q = (torch.from_numpy(player.probabilities[rows]).double().log() for player in (policy, base))
    planes = policy.searcher.root_planes[rows]
    picked = np.arange(len(rows)), actions
    return OwnMoves(
        game=games,
        binary=planes[:, :BINARY_PLANES].astype(np.uint8),
        scalars=planes[:, BINARY_PLANES + 1 :, 0, 0],
        allowed=policy.searcher.tree.legal[rows].astype(np.bool_),
        actions=actions,
        log_probs=log_p.numpy()[picked].astype(np.float32),
        base_log_probs=log_q.numpy()[picked].astype(np.float32),
        kl=exact_kl(log_p, log_q).numpy(),
    )
