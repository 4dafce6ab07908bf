"""Best-first search over a world of turns: a policy proposes actions, the world says where they lead.

The state expanded next is the one whose path the policy finds likeliest, over all paths open so far.

Letters: P problems, K proposals.

Source: Polu and Sutskever 2020 (GPT-f), section 4.2.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from transformers import PreTrainedTokenizerBase

from foolsgold.environments.problems import Problem
from foolsgold.environments.turns import Step, TurnWorld
from foolsgold.errors import UserError
from foolsgold.policies.hub import LanguageModel, sample
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.policies.sampling import Sampling
from foolsgold.policies.tokenizer import encode_pair, encode_prompt
from foolsgold.training.batches import pad_pairs
from foolsgold.training.rollouts import derived_seed

State = TypeVar("State")

_ROWS = 256
"""Actions that a policy rates at once."""


@dataclass(frozen=True)
class Proposal:
    """An action to try."""

    action: str
    log_prob: float
    """Nats."""


Propose = Callable[[Sequence[str]], list[list[Proposal]]]
"""Maps prompts to the actions to try after each, the likeliest first, equal ones once; there may be none."""


class SearchableWorld(TurnWorld[State], Protocol):
    """A world whose states can be told apart."""

    def key(self, state: State) -> Hashable:
        """Equal for states that need not both be expanded."""
        ...


@dataclass(frozen=True)
class SearchSettings:
    """How far a search goes.

    Raises:
      UserError: a value below 1.
    """

    expansions: int = 64
    """States expanded at most, of one problem."""
    depth: int = 16
    """Actions of a path at most."""
    together: int = 64
    """Problems searched side by side, so that the policy reads many prompts at once; another number draws others."""

    def __post_init__(self) -> None:
        if min(self.expansions, self.depth, self.together) < 1:
            raise UserError(f"expansions, depth and together are at least 1, not {self}")


@dataclass(frozen=True)
class Found(Generic[State]):
    """What a search came to."""

    state: State | None
    """Where the goal was reached; None where it was not."""
    path: list[tuple[str, str]]
    """Prompts and actions that lead there."""
    expansions: int
    """States expanded, until the goal was reached or in all."""
    calls: int
    """Actions tried by then."""

    @property
    def solved(self) -> bool:
        return self.state is not None


@dataclass(frozen=True)
class _Node(Generic[State]):
    state: State
    prompt: str
    log_prob: float
    path: tuple[tuple[str, str], ...]


class _Search(Generic[State]):
    """Of one problem."""

    def __init__(self, world: SearchableWorld[State], start: State, settings: SearchSettings):
        self.world, self.settings = world, settings
        self.seen = {world.key(start)}
        self.open: list[tuple[float, int, _Node[State]]] = []
        self.pushed = self.expansions = self.calls = 0
        self.found: Found[State] | None = None
        self._push(_Node(start, world.prompt(start), 0.0, ()))

    def next(self) -> _Node[State] | None:
        """The state to expand; None where the search is over."""
        if self.found is None and self.open and self.expansions < self.settings.expansions:
            self.expansions += 1
            return heapq.heappop(self.open)[2]
        return None

    def take(self, node: _Node[State], proposals: Sequence[Proposal], steps: Sequence[Step[State]]) -> None:
        """What the actions proposed in `node` led to."""
        self.calls += len(steps)
        for proposal, step in zip(proposals, steps, strict=True):
            path = (*node.path, (node.prompt, proposal.action))
            if step.solved:
                self.found = Found(step.state, list(path), self.expansions, self.calls)
                return
            if step.ended or len(path) >= self.settings.depth or self.world.key(step.state) in self.seen:
                continue
            self.seen.add(self.world.key(step.state))
            self._push(_Node(step.state, self.world.prompt(step.state), node.log_prob + proposal.log_prob, path))

    def _push(self, node: _Node[State]) -> None:
        self.pushed += 1  # older ones first where paths are equally likely
        heapq.heappush(self.open, (-node.log_prob, self.pushed, node))

    def result(self) -> Found[State]:
        return self.found or Found(None, [], self.expansions, self.calls)


def best_first(
    world: SearchableWorld[State],
    problems: Sequence[Problem],
    propose: Propose,
    settings: SearchSettings,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> list[Found[State]]:
    """Search for each of P problems; what was found, in their order.

    Args:
      report: is told how many problems of how many are done.

    Raises:
      VerifierFailure: the world's verifier failed.
    """
    found: list[Found[State]] = []
    for first in range(0, len(problems), settings.together):
        some = problems[first : first + settings.together]
        searches = [_Search(world, start, settings) for start in world.start(some)]
        going = [(search, node) for search in searches if (node := search.next()) is not None]
        while going:
            for (search, node), proposals in zip(going, propose([node.prompt for _, node in going]), strict=True):
                search.take(node, proposals, world.step([node.state] * len(proposals), [p.action for p in proposals]))
            going = [(search, node) for search, _ in going if (node := search.next()) is not None]
        found += [search.result() for search in searches]
        report(len(found), len(problems))
    return found


class PolicyProposals:
    """Actions drawn from a policy, K a prompt; the same prompt gets the same ones. Actions that are cut off are none.

    A policy that is sure of itself proposes few, which saves calls of the world.
    """

    def __init__(
        self, policy: LanguageModel, tokenizer: PreTrainedTokenizerBase, sampling: Sampling, samples: int, seed: int
    ):
        """
        Args:
          samples: K.
        """
        self._policy, self._tokenizer, self._sampling, self._samples = policy, tokenizer, sampling, samples
        self._seed, self._draws = seed, 0
        self._known: dict[str, list[Proposal]] = {}
        self.tokens = 0
        """Drawn so far."""

    def __call__(self, prompts: Sequence[str]) -> list[list[Proposal]]:
        new = list(dict.fromkeys(prompt for prompt in prompts if prompt not in self._known))
        if new:
            self._draw(new)
        return [self._known[prompt] for prompt in prompts]

    def _draw(self, prompts: Sequence[str]) -> None:
        ids: list[Any] = [encode_prompt(self._tokenizer, prompt) for prompt in prompts]
        self._draws += 1
        drawn = sample(self._policy, ids, self._sampling, derived_seed(self._seed, self._draws), self._samples)
        self.tokens += int(drawn.lengths.sum())
        texts = self._tokenizer.batch_decode(drawn.completions(), skip_special_tokens=True)
        rows = zip(texts, drawn.log_probs.sum(1).tolist(), drawn.stopped.tolist(), strict=True)
        said = list(rows)
        for i, prompt in enumerate(prompts):
            kept: dict[str, float] = {}
            for text, log_prob, stopped in said[i * self._samples : (i + 1) * self._samples]:
                if stopped:
                    kept[text] = max(log_prob, kept.get(text, -math.inf))
            self._known[prompt] = [Proposal(text, kept[text]) for text in sorted(kept, key=lambda t: (-kept[t], t))]


def uniform(menu: Callable[[str], Sequence[str]]) -> Propose:
    """Everything on a menu, each as likely as the others: brute force.

    Args:
      menu: the actions after a prompt.
    """

    def propose(prompts: Sequence[str]) -> list[list[Proposal]]:
        menus = [menu(prompt) for prompt in prompts]
        return [[Proposal(action, -math.log(len(actions))) for action in actions] for actions in menus]

    return propose


class RankedMenu:
    """Everything on a menu, as likely as a policy finds it: brute force that knows where to look first."""

    def __init__(
        self, policy: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, menu: Callable[[str], Sequence[str]]
    ):
        """
        Args:
          menu: the actions after a prompt.
        """
        self._policy, self._tokenizer, self._menu = policy, tokenizer, menu
        self._known: dict[str, list[Proposal]] = {}

    def __call__(self, prompts: Sequence[str]) -> list[list[Proposal]]:
        new = list(dict.fromkeys(prompt for prompt in prompts if prompt not in self._known))
        asked = [(prompt, action) for prompt in new for action in self._menu(prompt)]
        said = self._log_probs(asked)
        for prompt in new:
            proposals = [
                Proposal(action, value) for (of, action), value in zip(asked, said, strict=True) if of == prompt
            ]
            self._known[prompt] = sorted(proposals, key=lambda each: -each.log_prob)
        return [self._known[prompt] for prompt in prompts]

    @torch.no_grad()
    def _log_probs(self, asked: Sequence[tuple[str, str]]) -> list[float]:
        """Nats of each action after its prompt, its end counted."""
        found: list[float] = []
        for first in range(0, len(asked), _ROWS):
            pairs = [encode_pair(self._tokenizer, *each) for each in asked[first : first + _ROWS]]
            batch = pad_pairs(pairs, 0)
            found += token_log_probs(self._policy, batch.tokens, batch.completion_mask).sum(1).tolist()
        return found
