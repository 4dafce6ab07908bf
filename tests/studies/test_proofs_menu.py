import pytest

from foolsgold.environments.theorems.formulas import parse, statement
from foolsgold.environments.theorems.tactics import NotApplicable, Tactic, play
from foolsgold.environments.theorems.world import Theorems
from foolsgold.studies.proofs_menu import by_the_book, menu, parse_goal, parse_tactic, translated

THEOREMS = Theorems().theorems("test", 40, 2)


def test_tactics_and_goals_are_read_as_they_were_written():
    for theorem in THEOREMS:
        for goal, tactic in theorem.proof.steps:
            assert parse_goal(goal.line) == goal
            for tool in ("coq", "lean"):
                assert parse_tactic(tactic.text(tool), tool) == tactic


@pytest.mark.parametrize(
    ("coq", "lean"),
    [
        ("intro h1", "intro h1"),
        ("split", "constructor"),
        ("destruct h1 as [h2 h3]", "rcases h1 with ⟨h2, h3⟩"),
        ("destruct h1 as [h2 | h3]", "rcases h1 with h2 | h3"),
        ("specialize (h1 h2)", "specialize h1 h2"),
        ("enough (h4 : p -> ~ q)", "have h4 : p → ¬q := ?_"),
    ],
)
def test_the_same_in_the_other_provers_words(coq, lean):
    assert translated(coq, "coq", "lean") == lean
    assert translated(lean, "lean", "coq") == coq


@pytest.mark.parametrize("text", ["", "tauto", "intro", "exact h1 h2", "enough (h4 : p ->)", "left right"])
def test_what_is_no_tactic_of_both(text):
    assert parse_tactic(text, "coq") is None


def test_the_menu_has_the_right_tactic_and_none_that_is_refused():
    for theorem in THEOREMS:
        for goal, tactic in theorem.proof.steps:
            texts = menu(goal.line + "\n", "coq")
            assert tactic.text("coq") in texts
            assert len(set(texts)) == len(texts)
            for text in texts:
                goal.step(parse_tactic(text, "coq"))  # raises where it does not fit


def test_the_menu_of_a_goal_worked_by_hand():
    assert menu("h1: p /\\ q, h2: p -> r |- r \\/ p", "coq") == [
        "left", "right", "destruct h1 as [h3 h4]", "enough (h3 : r)", "exfalso",
    ]  # fmt: skip
    assert menu("h1: p |- forall x, x = x", "coq") == []


def test_statements_go_over_to_the_other_prover():
    for theorem in THEOREMS:
        formula = theorem.formula
        assert statement(parse(formula.text()), "lean") == statement(formula, "lean")
        with pytest.raises(NotApplicable):
            play(formula, [*theorem.proof.script, Tactic("left")])


def test_coqs_apply_does_more_than_the_book_knows():
    formula = parse("p /\\ q -> q")
    assert by_the_book(formula, ["intro h1", "destruct h1 as [h2 h3]", "exact h3"], "coq")
    assert by_the_book(formula, ["intro h1", "rcases h1 with ⟨h2, h3⟩", "exact h3"], "lean")
    for script in (["intro h1", "apply h1"], ["intro h1"], ["tauto"]):
        assert not by_the_book(formula, script, "coq")
