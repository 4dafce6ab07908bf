import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_strategies import conditions

from foolsgold.environments.loops.terms import (
    FALSE,
    TRUE,
    Apply,
    Constant,
    Variable,
    applied,
    compiled,
    conjunction,
    disjunction,
    euclidean_quotient,
    evaluate,
    replaced,
    truncated_quotient,
    truncated_remainder,
    variables_of,
    walk,
)

X, Y = Variable("x"), Variable("y")


@given(st.integers(-1000, 1000), st.integers(-30, 30).filter(bool))
def test_divisions_are_those_of_c_and_of_smt_lib(a, b):
    assert truncated_quotient(a, b) == math.trunc(a / b)
    assert truncated_remainder(a, b) == math.fmod(a, b)
    assert 0 <= a - b * euclidean_quotient(a, b) < abs(b)


def test_one_is_not_true():
    assert Constant(1) != TRUE
    assert Constant(0) != FALSE
    assert Constant(1) == Constant(1)


def test_conjunctions_open_those_inside_and_drop_what_says_nothing():
    a, b, c = (applied("<", X, Constant(i)) for i in range(3))
    assert conjunction([conjunction([a, b]), TRUE, c]) == Apply("&&", (a, b, c))
    assert conjunction([a, FALSE]) == FALSE
    assert conjunction([]) == TRUE
    assert disjunction([]) == FALSE


def test_sorts_are_checked():
    with pytest.raises(ValueError, match="truth value; it wants a number"):
        applied("+", X, TRUE)
    with pytest.raises(ValueError, match="number; it wants a truth value"):
        applied("&&", TRUE, X)


@settings(max_examples=60)
@given(conditions, st.integers(-5, 5), st.integers(-5, 5), st.integers(-5, 5))
def test_compiled_terms_have_the_values_of_evaluation(term, x, y, n):
    state = {"x": x, "y": y, "n": n}
    assert bool(compiled(term)(state)) == bool(evaluate(term, state))


def test_shared_parts_are_walked_once():
    term = X
    for _ in range(200):  # 2 ** 200 parts if it were written out
        term = Apply("+", (term, term))
    assert len(list(walk(term))) == 201
    assert evaluate(term, {"x": 1}) == 2**200
    assert list(variables_of(replaced(term, lambda part: Y))) == ["y"]
