"""Search on a graph worked by hand."""

import math

import pytest
import torch
from tiny_task import EOS, policy, tokenizer

from foolsgold.environments.problems import Problem
from foolsgold.environments.turns import Step
from foolsgold.errors import UserError
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.policies.sampling import Sampling
from foolsgold.training.proof_search import PolicyProposals, Proposal, RankedMenu, SearchSettings, best_first, uniform

PROPOSED = {
    "S": [("a", -1.0), ("b", -2.0), ("no", -0.1)],
    "A": [("back", -2.0), ("c", -4.0)],
    "B": [("goal", -0.5), ("c", -1.0)],
    "C": [("goal", -0.1)],
    "T": [("no", -0.1)],
}
LEADS = {("S", "a"): "A", ("S", "b"): "B", ("A", "back"): "S", ("A", "c"): "C", ("B", "c"): "C"}


class Graph:
    name = "graph"

    def start(self, problems):
        return [problem.prompt for problem in problems]

    def prompt(self, state):
        return state

    def key(self, state):
        return state

    def step(self, states, actions):
        return [self._step(state, action) for state, action in zip(states, actions, strict=True)]

    def _step(self, state, action):
        if action == "goal":
            return Step("G", True, True, 1.0)
        new = LEADS.get((state, action))
        return Step(new or state, False, new is None, 0.0)


def propose(prompts):
    return [[Proposal(*each) for each in PROPOSED[prompt]] for prompt in prompts]


def search(*starts, **settings):
    problems = [Problem(start, "", {}, "", 1) for start in starts]
    return best_first(Graph(), problems, propose, SearchSettings(**settings))


def test_the_likeliest_path_is_expanded_first():
    """S at 0, then A at -1, which leads back and to C at -5, then B at -2."""
    [found] = search("S")
    assert found.path == [("S", "b"), ("B", "goal")]
    assert (found.state, found.expansions, found.calls) == ("G", 3, 7)


def test_a_search_ends_with_its_expansions_its_depth_or_its_graph():
    assert [(each.solved, each.expansions, each.calls) for each in search("S", "T", expansions=2)] == [
        (False, 2, 5),
        (False, 1, 1),
    ]
    [shallow] = search("S", depth=1)
    assert (shallow.solved, shallow.expansions, shallow.calls) == (False, 1, 3)


def test_searches_side_by_side_find_what_they_find_alone():
    assert search("S", "A", "T", together=3) == search("S", "A", "T", together=1)


def test_brute_force_takes_all_of_a_menu_as_equally_likely():
    [proposals, none] = uniform(lambda prompt: ["x", "y", "z", "w"] if prompt else [])(["p", ""])
    assert [(each.action, each.log_prob) for each in proposals] == [(name, -math.log(4)) for name in "xyzw"]
    assert none == []


def test_settings_that_search_nothing():
    with pytest.raises(UserError, match="at least 1"):
        SearchSettings(expansions=0)


def test_a_policy_proposes_what_it_draws_the_likeliest_first_and_once():
    draws = PolicyProposals(policy(scale=8.0), tokenizer(), Sampling(3, stop_tokens=(EOS,)), 64, seed=0)
    first, second = draws(["w3 w4", "w5"])
    spent = draws.tokens
    assert draws(["w5", "w3 w4", "w5"]) == [second, first, second]
    assert draws.tokens == spent > 0
    for proposals in (first, second):
        texts = [each.action for each in proposals]
        assert len(set(texts)) == len(texts)
        assert [each.log_prob for each in proposals] == sorted((each.log_prob for each in proposals), reverse=True)
        assert sum(math.exp(each.log_prob) for each in proposals) <= 1 + 1e-3
    assert first or second


def test_a_menu_is_ranked_by_the_policy():
    model, menus = policy(scale=8.0), {"w3 w4": ["w5", "w6 w7", "w8"], "w9": ["w5"]}
    proposals, single = RankedMenu(model, tokenizer(), menus.__getitem__)(["w3 w4", "w9"])
    expected = {}
    for action in menus["w3 w4"]:
        tokens = torch.tensor([[3, 4, *(int(word[1:]) for word in action.split()), EOS]])
        mask = torch.arange(tokens.shape[1] - 1)[None] >= 1
        expected[action] = float(token_log_probs(model, tokens, mask).detach().sum())
    assert [each.action for each in proposals] == sorted(expected, key=lambda action: -expected[action])
    assert {each.action: each.log_prob for each in proposals} == pytest.approx(expected, abs=1e-4)
    assert [each.action for each in single] == ["w5"]
