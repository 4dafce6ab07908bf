import pytest
from hypothesis import given, settings
from random_formulas import FORMULAS

from foolsgold.environments.theorems.formulas import atom, parse
from foolsgold.environments.theorems.proofs import shortest_proof
from foolsgold.environments.theorems.provability import provable
from foolsgold.environments.theorems.tactics import NotApplicable, Sequent, Tactic, play, script_text


@pytest.mark.parametrize(
    ("theorem", "script"),
    [
        ("p -> p", "intro h1. exact h1."),
        ("p /\\ q -> q", "intro h1. destruct h1 as [h2 h3]. exact h3."),
        (
            "p \\/ q -> q \\/ p",
            "intro h1. destruct h1 as [h2 | h3]. right. exact h2. left. exact h3.",
        ),
        ("~ ~ (p \\/ ~ p)", "intro h1. apply h1. right. intro h2. apply h1. left. exact h2."),
        ("p -> ~ p -> q", "intro h1. intro h2. exfalso. apply h2. exact h1."),
    ],
)
def test_the_shortest_proof(theorem, script):
    proof = shortest_proof(parse(theorem))
    assert script_text(proof.script, "coq") == script


def test_lean_says_the_same_in_its_own_words():
    proof = shortest_proof(parse("p /\\ q -> q /\\ (p \\/ r)"))
    assert script_text(proof.script, "lean") == (
        "intro h1; rcases h1 with ⟨h2, h3⟩; constructor; exact h3; left; exact h2"
    )


@pytest.mark.parametrize("text", ["p \\/ ~ p", "((p -> q) -> p) -> p", "p -> q"])
def test_what_has_no_proof_gets_none(text):
    assert shortest_proof(parse(text)) is None


def test_a_proof_is_not_longer_than_asked():
    swap = parse("p \\/ q -> q \\/ p")
    assert shortest_proof(swap, 5) is None
    assert shortest_proof(swap, 6).size == 6


@settings(deadline=None, max_examples=200)
@given(FORMULAS)
def test_proofs_leave_no_goal(formula):
    proof = shortest_proof(formula, 10)
    if proof is not None:
        assert provable(frozenset(), formula)
        assert play(formula, proof.script) == []
        with pytest.raises(NotApplicable):
            play(formula, proof.script[1:])


@pytest.mark.parametrize(
    "tactic",
    [
        Tactic("exact", "h1"),
        Tactic("exact", "h9"),
        Tactic("split"),
        Tactic("intro", new=("h3",)),
        Tactic("unpack", "h2", new=("h3", "h4")),
        Tactic("cases", "h1", new=("h2", "h3")),
        Tactic("apply", "h1"),
    ],
)
def test_tactics_that_do_not_fit_are_rejected(tactic):
    h1, h2 = parse("p \\/ q"), parse("p -> q")
    with pytest.raises(NotApplicable):
        Sequent((("h1", h1), ("h2", h2)), atom("q")).step(tactic)


def test_goals_are_one_line():
    sequent = Sequent((("h1", parse("p /\\ q")), ("h2", parse("~ r"))), parse("q \\/ r"))
    assert sequent.line == "h1: p /\\ q, h2: ~ r |- q \\/ r"
    assert Sequent((), atom("p")).line == "|- p"
