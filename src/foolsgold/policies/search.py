"""Gumbel AlphaZero search over many games at once: one network call a simulation step (Danihelka et al. 2022).

Python holds the loop over simulations; the compiled kernels walk all trees; the network sees one batch a step. Legend:
G games, M nodes a tree, A = N * N + 1 actions, S points of the padded board.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numba import int64

from foolsgold.compiled import kernel
from foolsgold.environments.go import rules
from foolsgold.environments.go.features import PLANES, policy_planes
from foolsgold.environments.go.rules import META
from foolsgold.objectives import gumbel as planning
from foolsgold.policies.inference import Evaluate


class Referee(Protocol):
    """Says who won a finished game; everything that self-play optimises."""

    def judge(self, states: np.ndarray, komi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The results of finished games, for Black.

        Args:
          states: uint16 `[K, ROWS, S]`.
          komi: float32 `[K]`, points.

        Returns: float32 `[K]` results in [-1, 1] and float32 `[K]` margins in points.
        """
        ...


@dataclass(frozen=True)
class SearchSettings:
    simulations: int = 32
    """Network evaluations a move, the root's not counted."""
    considered: int = 16
    """Actions that sequential halving starts from at the root."""
    value_scale: float = 0.5
    """c_scale of the paper; larger trusts values more against the prior."""
    visit_offset: float = 50.0
    """c_visit of the paper."""
    score_weight: float = 0.15
    """Share of tanh(margin / N) in the value of a position; the rest is the expected result."""
    gumbel_scale: float = 1.0
    """1 explores as in training, 0 plays the best move."""
    fill_own_eyes: bool = False
    """Whether to consider filling one's own one-point eyes."""
    pass_from: float = 1 / 3
    """Passing is considered once this share of N * N moves was played, or when no stone can be played."""


class Tree(NamedTuple):
    """The trees of a batch of games; node 0 is the root."""

    states: np.ndarray
    """uint16 `[G, M, ROWS, S]`"""
    hashes: np.ndarray
    """uint64 `[G, M]`, of the position"""
    parents: np.ndarray
    """int32 `[G, M]`"""
    terminal: np.ndarray
    """uint8 `[G, M]`"""
    values: np.ndarray
    """float32 `[G, M]`, the network's or the referee's, for the player to move"""
    prior: np.ndarray
    """float32 `[G, M, A]`"""
    visits: np.ndarray
    """int32 `[G, M, A]`"""
    totals: np.ndarray
    """float32 `[G, M, A]`"""
    children: np.ndarray
    """int32 `[G, M, A]`, -1 where there is none"""
    nodes: np.ndarray
    """int64 `[G]`, nodes in use"""
    path_nodes: np.ndarray
    """int32 `[G, M]`, of the simulation under way"""
    path_actions: np.ndarray
    """int32 `[G, M]`"""
    depth: np.ndarray
    """int64 `[G]`, length of the path"""
    leaf: np.ndarray
    """int64 `[G]`, node at the end of the path"""
    legal: np.ndarray
    """uint8 `[G, A]`, actions considered at the leaf"""
    gumbel: np.ndarray
    """float32 `[G, A]`, noise at the root"""
    liberties: np.ndarray
    """uint16 `[S]`, scratch"""


def _empty_tree(games: int, nodes: int, size: int) -> Tree:
    actions, points = size * size + 1, rules.state_points(size)
    shape = (games, nodes)
    return Tree(
        states=np.zeros((*shape, rules.ROWS, points), np.uint16),
        hashes=np.zeros(shape, np.uint64),
        parents=np.zeros(shape, np.int32),
        terminal=np.zeros(shape, np.uint8),
        values=np.zeros(shape, np.float32),
        prior=np.zeros((*shape, actions), np.float32),
        visits=np.zeros((*shape, actions), np.int32),
        totals=np.zeros((*shape, actions), np.float32),
        children=np.full((*shape, actions), -1, np.int32),
        nodes=np.zeros(games, np.int64),
        path_nodes=np.zeros(shape, np.int32),
        path_actions=np.zeros(shape, np.int32),
        depth=np.zeros(games, np.int64),
        leaf=np.zeros(games, np.int64),
        legal=np.zeros((games, actions), np.uint8),
        gumbel=np.zeros((games, actions), np.float32),
        liberties=np.zeros(points, np.uint16),
    )


@kernel
def utility(result, margin, size, score_weight):
    """The value of a position in [-1, 1] from its expected result in [-1, 1] and margin in points."""
    return (1 - score_weight) * result + score_weight * math.tanh(margin / size)


@kernel
def _clear_node(tree, g, node):
    tree.terminal[g, node] = 0
    tree.visits[g, node] = 0
    tree.totals[g, node] = 0
    tree.children[g, node] = -1


@kernel
def _consider(tree, g, node, history, fill_own_eyes, first_pass, komi, planes):
    """Find the actions to consider at `node` and write its planes."""
    state = tree.states[g, node]
    legal = tree.legal[g]
    size = int64(state[META, rules.SIZE])
    color = int64(state[META, rules.TO_PLAY])
    position = tree.hashes[g, node]
    legal[:] = 0
    stones = 0
    for i in range(int64(state[META, rules.OPENS])):
        v = int64(state[rules.OPEN, i])
        if rules.is_suicide(state, v, color):
            continue
        after = rules.hash_after(state, v, color, position)
        repeated = rules.seen(history, after)
        ancestor = node
        while ancestor > 0 and not repeated:
            repeated = tree.hashes[g, ancestor] == after
            ancestor = tree.parents[g, ancestor]
        if repeated:
            continue
        action = rules.action_of(v, size)
        legal[action] = 1
        stones += 1
    policy_planes(state, legal, komi, tree.liberties, planes)
    if not fill_own_eyes:
        for i in range(int64(state[META, rules.OPENS])):
            v = int64(state[rules.OPEN, i])
            action = rules.action_of(v, size)
            if legal[action] and rules.is_own_eye(state, v, color):
                legal[action] = 0
                stones -= 1
    legal[size * size] = stones == 0 or state[META, rules.MOVES] >= first_pass


@kernel
def _plant(tree, states, histories, active, fill_own_eyes, first_pass, komi, planes):
    """Make each active game's position the root of its tree."""
    for g in range(len(states)):
        if active[g]:
            tree.states[g, 0] = states[g]
            tree.hashes[g, 0] = rules.position_hash(histories[g])
            _clear_node(tree, g, 0)
            tree.nodes[g] = 1
            tree.leaf[g] = 0
            tree.depth[g] = 0
            _consider(tree, g, 0, histories[g], fill_own_eyes, first_pass, komi[g], planes[g])


@kernel
def _select(tree, histories, active, schedules, step, max_moves, komi, planes, options):
    """Walk each active tree to a new leaf; returns how many leaves ended their game for the first time."""
    value_scale, visit_offset, fill_own_eyes, first_pass = options
    ended = 0
    for g in range(len(active)):
        if not active[g]:
            continue
        node = 0
        depth = 0
        while True:
            prior, visits, totals = tree.prior[g, node], tree.visits[g, node], tree.totals[g, node]
            value = tree.values[g, node]
            action = -1
            if node == 0:
                candidates = 0
                for a in range(len(prior)):
                    candidates += prior[a] > 0
                due = schedules[min(candidates, len(schedules) - 1), step]
                action = planning.select_root(
                    prior, visits, totals, value, tree.gumbel[g], due, value_scale, visit_offset
                )
            if action < 0:
                action = planning.select_interior(prior, visits, totals, value, value_scale, visit_offset)
            tree.path_nodes[g, depth] = node
            tree.path_actions[g, depth] = action
            depth += 1
            child = int64(tree.children[g, node, action])
            if child < 0:
                child = tree.nodes[g]
                tree.nodes[g] += 1
                tree.children[g, node, action] = child
                tree.states[g, child] = tree.states[g, node]
                change = rules.advance(tree.states[g, child], action)
                tree.hashes[g, child] = tree.hashes[g, node] ^ change
                tree.parents[g, child] = node
                _clear_node(tree, g, child)
                header = tree.states[g, child, META]
                if header[rules.PASSES] >= 2 or header[rules.MOVES] >= max_moves:
                    tree.terminal[g, child] = 2  # 2: the referee has yet to judge it
                    ended += 1
                else:
                    _consider(tree, g, child, histories[g], fill_own_eyes, first_pass, komi[g], planes[g])
                break
            if tree.terminal[g, child]:
                break
            node = child
        tree.depth[g] = depth
        tree.leaf[g] = child
    return ended


@kernel
def _gather_ended(tree, active, games, states):
    """Collect the leaves that the referee has yet to judge: their games into `games`, boards into `states`."""
    k = 0
    for g in range(len(active)):
        if active[g] and tree.terminal[g, tree.leaf[g]] == 2:
            games[k] = g
            states[k] = tree.states[g, tree.leaf[g]]
            k += 1


@kernel
def _settle_ended(tree, games, results, margins, score_weight):
    for k in range(len(games)):
        g = games[k]
        leaf = tree.leaf[g]
        header = tree.states[g, leaf, META]
        black = utility(results[k], margins[k], float(header[rules.SIZE]), score_weight)
        tree.values[g, leaf] = black if header[rules.TO_PLAY] == rules.BLACK else -black
        tree.terminal[g, leaf] = 1


@kernel
def _backup(tree, active, logits, values, score_weight):
    """Expand each leaf with the network's answer and send its value up the path."""
    for g in range(len(active)):
        if not active[g]:
            continue
        leaf = tree.leaf[g]
        if not tree.terminal[g, leaf]:
            size = float(tree.states[g, leaf, META, rules.SIZE])
            planning.softmax_legal(logits[g], tree.legal[g], tree.prior[g, leaf])
            tree.values[g, leaf] = utility(math.tanh(values[g, 0]), values[g, 1] * size, size, score_weight)
        value = tree.values[g, leaf]
        for d in range(tree.depth[g] - 1, -1, -1):
            value = -value
            node, action = tree.path_nodes[g, d], tree.path_actions[g, d]
            tree.visits[g, node, action] += 1
            tree.totals[g, node, action] += value


@kernel
def _conclude(tree, active, value_scale, visit_offset, actions, policies, root_values):
    for g in range(len(active)):
        if not active[g]:
            continue
        prior, visits, totals = tree.prior[g, 0], tree.visits[g, 0], tree.totals[g, 0]
        planning.improved_policy(prior, visits, totals, tree.values[g, 0], value_scale, visit_offset, policies[g])
        mix, _, most = planning.mixed_value(prior, visits, totals, tree.values[g, 0])
        root_values[g] = mix
        actions[g] = planning.select_root(
            prior, visits, totals, tree.values[g, 0], tree.gumbel[g], most, value_scale, visit_offset
        )


@kernel
def _draw_gumbel(seeds, active, scale, gumbel):
    for g in range(len(seeds)):
        if active[g]:
            seeds[g] = planning.sample_gumbel(seeds[g], scale, gumbel[g])


class SearchResult(NamedTuple):
    """What a search found; rows of inactive games are stale."""

    actions: np.ndarray
    """int64 `[G]`, the move to play"""
    policies: np.ndarray
    """float32 `[G, A]`, the improved policy: what the network should learn"""
    values: np.ndarray
    """float32 `[G]`, value of the position for the player to move"""


class Searcher:
    """Searches G games at once; its arrays are reused by every call."""

    def __init__(self, size: int, games: int, max_simulations: int, max_moves: int | None = None):
        self.size = size
        self.games = games
        self.max_moves = max_moves or 2 * size * size
        actions = size * size + 1
        self.tree = _empty_tree(games, max_simulations + 2, size)
        self.planes = np.zeros((games, PLANES, size, size), np.float32)
        self.root_planes = np.zeros((games, PLANES, size, size), np.float32)
        self._everyone = np.ones(games, np.bool_)
        self._ended_games = np.zeros(games, np.int64)
        self._ended_states = np.zeros((games, rules.ROWS, rules.state_points(size)), np.uint16)
        self._result = SearchResult(
            np.zeros(games, np.int64), np.zeros((games, actions), np.float32), np.zeros(games, np.float32)
        )
        self._tables: dict[tuple[int, int], np.ndarray] = {}

    def run(
        self,
        states: np.ndarray,
        histories: np.ndarray,
        komi: np.ndarray,
        evaluate: Evaluate,
        referee: Referee,
        settings: SearchSettings,
        seeds: np.ndarray | None = None,
        active: np.ndarray | None = None,
        gumbel: np.ndarray | None = None,
    ) -> SearchResult:
        """Search every active position.

        Args:
          states: uint16 `[G, ROWS, S]`, positions of games that are not over.
          histories: uint64 `[G, H]`.
          komi: float32 `[G]`, points.
          evaluate: planes `[G, P, N, N]` -> logits `[G, A]`, values `[G, 2]`.
          referee: judges the leaves at which a game ends.
          seeds: uint64 `[G]`, state of the noise at the root, advanced in place; not needed when there is none.
          active: bool `[G]`, the games to search; all of them unless given.
          gumbel: float32 `[G, A]`, the noise itself, in place of seeds.

        Returns: arrays that the next call overwrites.
        """
        tree, planes = self.tree, self.planes
        active = self._everyone if active is None else active
        first_pass = math.ceil(settings.pass_from * self.size * self.size)
        options = (settings.value_scale, settings.visit_offset, settings.fill_own_eyes, first_pass)
        schedules = self._schedules(settings)
        _plant(tree, states, histories, active, settings.fill_own_eyes, first_pass, komi, planes)
        self.root_planes[:] = planes
        logits, values = evaluate(planes)
        _backup(tree, active, logits, values, settings.score_weight)
        if gumbel is not None:
            tree.gumbel[:] = gumbel
        elif settings.gumbel_scale > 0 and seeds is not None:
            _draw_gumbel(seeds, active, settings.gumbel_scale, tree.gumbel)
        else:
            tree.gumbel[:] = 0
        for step in range(settings.simulations):
            ended = _select(tree, histories, active, schedules, step, self.max_moves, komi, planes, options)
            if ended:
                self._judge(ended, komi, active, referee, settings.score_weight)
            logits, values = evaluate(planes)
            _backup(tree, active, logits, values, settings.score_weight)
        _conclude(tree, active, settings.value_scale, settings.visit_offset, *self._result)
        return self._result

    def _judge(self, ended: int, komi: np.ndarray, active: np.ndarray, referee: Referee, score_weight: float) -> None:
        _gather_ended(self.tree, active, self._ended_games, self._ended_states)
        games = self._ended_games[:ended]
        results, margins = referee.judge(self._ended_states[:ended], komi[games])
        _settle_ended(self.tree, games, results, margins, score_weight)

    def _schedules(self, settings: SearchSettings) -> np.ndarray:
        key = (settings.considered, settings.simulations)
        if key not in self._tables:
            self._tables[key] = planning.halving_table(*key)
        return self._tables[key]
