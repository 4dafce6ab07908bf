"""Verifiers by name, and rewards that a command line names by them."""

import importlib

import pytest

from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.code import CodeVerifier
from foolsgold.rewards.verifiers.maths import MathsVerifier
from foolsgold.rewards.verifiers.registry import VERIFIERS, load_verifier_reward, verifier_of


@pytest.mark.parametrize("name", VERIFIERS)
def test_each_verifier_is_where_its_name_says(name):
    """Without making it: that may need tools which are not installed."""
    module = importlib.import_module(f"foolsgold.rewards.verifiers.{name.replace('-', '_')}")
    assert callable(getattr(module, VERIFIERS[name]).verdicts)


def test_a_verifier_as_a_reward_gives_credit_in_part_where_asked():
    assert isinstance(load_verifier_reward("verifier:code").verifier, CodeVerifier)
    assert not load_verifier_reward("verifier:maths").partial
    partial = load_verifier_reward("verifier:maths+partial")
    assert isinstance(partial.verifier, MathsVerifier)
    assert partial.partial
    assert partial(["2 + 2?", "2 + 2?"], ["#### 4", "#### 5"], answer=["4", "4"]) == [1.0, 0.0]


def test_a_record_names_its_verifier_and_limits():
    assert verifier_of({"verifier": "maths", "limits": {"seconds": 2.0}}).seconds == 2.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "place", ["verifier:", "verifier:taste", "verifier:code+half", "verifier:code+partial+partial"]
)
def test_an_unknown_verifier_is_refused_with_those_that_there_are(place):
    with pytest.raises(UserError, match="choose one of: annotations, code, coq"):
        load_verifier_reward(place)
