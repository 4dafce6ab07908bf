import pytest
from hypothesis import given, settings
from random_formulas import FORMULAS

from foolsgold.environments.theorems.formulas import implies, negation, parse
from foolsgold.environments.theorems.provability import provable


def holds(formula):
    return provable(frozenset(), formula)


@pytest.mark.parametrize(
    "text",
    [
        "~ ~ (p \\/ ~ p)",
        "~ ~ (((p -> q) -> p) -> p)",
        "~ (p \\/ q) <-> ~ p /\\ ~ q",
        "~ p \\/ ~ q -> ~ (p /\\ q)",
        "~ ~ ~ p -> ~ p",
        "((p \\/ (p -> q)) -> q) -> q",
        "(p -> q) -> ~ q -> ~ p",
        "p /\\ (q \\/ r) <-> p /\\ q \\/ p /\\ r",
        "False -> p",
    ],
)
def test_theorems_of_intuitionistic_logic(text):
    assert holds(parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "((p -> q) -> p) -> p",  # Peirce
        "p \\/ ~ p",
        "~ ~ p -> p",
        "~ (p /\\ q) -> ~ p \\/ ~ q",
        "(~ q -> ~ p) -> p -> q",
        "(p -> q) \\/ (q -> p)",  # Dummett
        "(p -> q) -> ~ p \\/ q",
        "~ p \\/ ~ ~ p",
    ],
)
def test_what_is_only_true_classically_is_rejected(text):
    assert parse(text).tautology
    assert not holds(parse(text))


@settings(deadline=None)
@given(FORMULAS)
def test_a_double_negation_is_provable_where_the_formula_is_a_tautology(formula):
    """Glivenko 1929."""
    assert holds(negation(negation(formula))) == formula.tautology


@settings(deadline=None)
@given(FORMULAS, FORMULAS)
def test_hypotheses_are_premises(premise, goal):
    assert provable(frozenset({premise}), goal) == holds(implies(premise, goal))
