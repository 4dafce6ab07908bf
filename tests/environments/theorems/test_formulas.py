from itertools import product

import pytest
from hypothesis import given
from random_formulas import FORMULAS

from foolsgold.environments.theorems.formulas import (
    FALSE,
    Formula,
    atom,
    both,
    either,
    equivalent,
    implies,
    negation,
    parse,
    statement,
)

p, q, r = map(atom, "pqr")


def true(formula: Formula, row: dict[str, bool]) -> bool:
    """By Python's own operators, on the text."""
    if formula.operator in ("atom", "false"):
        return row.get(formula.name, False)
    parts = [true(part, row) for part in formula.parts]
    return {
        "not": lambda a: not a,
        "and": lambda a, b: a and b,
        "or": lambda a, b: a or b,
        "implies": lambda a, b: a <= b,
        "iff": lambda a, b: a == b,
    }[formula.operator](*parts)


@pytest.mark.parametrize(
    ("formula", "coq", "lean"),
    [
        (implies(p, implies(q, p)), "p -> q -> p", "p → q → p"),
        (implies(implies(p, q), p), "(p -> q) -> p", "(p → q) → p"),
        (both(both(p, q), r), "(p /\\ q) /\\ r", "(p ∧ q) ∧ r"),
        (either(both(p, q), r), "p /\\ q \\/ r", "p ∧ q ∨ r"),
        (both(p, either(q, r)), "p /\\ (q \\/ r)", "p ∧ (q ∨ r)"),
        (negation(negation(p)), "~ ~ p", "¬¬p"),
        (negation(both(p, FALSE)), "~ (p /\\ False)", "¬(p ∧ False)"),
        # Coq reads p -> q <-> r as p -> (q <-> r), Lean as (p -> q) <-> r: brackets for both.
        (implies(p, equivalent(q, r)), "p -> (q <-> r)", "p → (q ↔ r)"),
        (equivalent(implies(p, q), r), "(p -> q) <-> r", "(p → q) ↔ r"),
    ],
)
def test_text_has_the_brackets_it_needs(formula, coq, lean):
    assert (formula.text("coq"), formula.text("lean")) == (coq, lean)


@given(FORMULAS)
def test_every_formula_is_read_back_from_either_tool(formula):
    assert parse(formula.text("coq"), "coq") == parse(formula.text("lean"), "lean") == formula


def test_brackets_are_meant_as_the_tool_means_them():
    assert parse("p -> q <-> r", "coq") == implies(p, equivalent(q, r))
    assert parse("p → q ↔ r", "lean") == equivalent(implies(p, q), r)


@pytest.mark.parametrize("text", ["", "p ->", "(p", "p q", "p)", "-> p", "p + q", "p = q"])
def test_what_is_no_formula_is_not_read(text):
    with pytest.raises(ValueError, match=r"formula|bracket"):
        parse(text)


@given(FORMULAS)
def test_tautologies_are_true_in_every_row(formula):
    names = formula.atoms
    rows = [dict(zip(names, row, strict=True)) for row in product([False, True], repeat=len(names))]
    assert formula.tautology == all(true(formula, row) for row in rows)


def test_skeletons_have_no_names():
    assert parse("p /\\ q -> ~ q \\/ False").skeleton == "_ /\\ _ -> ~ _ \\/ False"


def test_statements_bind_their_atoms():
    assert statement(implies(q, q), "coq") == "(q : Prop) : q -> q"
    assert statement(implies(FALSE, p), "lean") == "(p : Prop) : False → p"
    assert statement(implies(FALSE, FALSE), "coq") == ": False -> False"
