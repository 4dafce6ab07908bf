"""Lean itself: minutes, and 4 GB; skipped where it is not installed."""

import os
import shutil
import signal
import time

import pytest

from foolsgold.environments.theorems.formulas import statement
from foolsgold.environments.theorems.tactics import script_text
from foolsgold.environments.theorems.world import Theorems
from foolsgold.errors import UserError
from foolsgold.rewards.verifiers import lean_install
from foolsgold.rewards.verifiers.lean import STEPS, LeanSession
from foolsgold.rewards.verifiers.proof_sessions import Failure, State, goal_line

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("lean") is None and not lean_install.installed(lean_install.default_folder()), reason="needs Lean"
    ),
]
AND = "(p q : Prop) : p ∧ q → q"
OR = "(p q : Prop) : p ∨ q → q ∨ p"


@pytest.fixture(scope="module")
def session():
    with LeanSession(step_s=60.0) as session:
        yield session


def taken(session, state, *tactics) -> State:
    for tactic in tactics:
        state = session.apply(state, tactic)
        assert isinstance(state, State), state
    return state


def test_a_proof_step_by_step(session):
    state = taken(session, session.start(AND), "intro h1")
    assert state.goals == ("p q : Prop\nh1 : p ∧ q\n⊢ q",)
    state = taken(session, state, "rcases h1 with ⟨h2, h3⟩", "exact h3")
    assert state.solved
    assert session.finish(state).outcome == "passed"


def test_states_can_be_branched_from(session):
    start = session.start("(p q : Prop) : p → q → p ∧ q")
    split = taken(session, start, "intro hp hq", "constructor")
    left, wrong = taken(session, split, "exact hp"), session.apply(split, "exact hq")
    assert isinstance(wrong, Failure)
    assert wrong.outcome == "wrong"
    assert session.check(AND, "intro ⟨_, b⟩; exact b").outcome == "passed"
    assert session.finish(taken(session, left, "exact hq")).outcome == "passed"
    assert session.finish(split).detail == "2 goals are left"


def test_reference_proofs_of_random_theorems(session, monkeypatch):
    """The same formulas as in Coq; goals are what `environments.theorems` says, line by line."""
    monkeypatch.setattr(session, "_tactics", STEPS)
    for theorem in Theorems().theorems("test", 60, 3):
        stated = statement(theorem.formula, "lean")
        assert session.check(stated, script_text(theorem.proof.script, "lean")).outcome == "passed"
        state = session.start(stated)
        for sequent, tactic in theorem.proof.steps:
            assert goal_line(state.goals[0]) == sequent.line
            state = taken(session, state, tactic.text("lean"))


@pytest.mark.parametrize(
    ("statement", "script"),
    [
        ("(a b c : Nat) : a < b → b < c → a + 1 < c", "omega"),
        ("(a b : Nat) (h : a = b) : b = a", "exact h.symm"),
        (": 2 ^ 10 = 1024", "decide"),
        (OR, "by\n  intro h\n  cases h with\n  | inl a => exact .inr a\n  | inr b => exact .inl b"),
        ("(n : Nat) : n + 0 = 0 + n", "induction n with\n| zero => rfl\n| succ n ih => simp"),
    ],
)  # fmt: skip
def test_proofs_in_any_form(session, statement, script):
    assert session.check(statement, script).outcome == "passed"


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("", "wrong"),
        ("trivial", "wrong"),
        ("exact ?_", "wrong"),
        ("refine ?x", "wrong"),
        ("trivial) <;> (skip", "wrong"),
        ("exact (", "invalid"),
        ("nonsense", "invalid"),
        ("sorry", "refused"),
    ],
)
def test_falsehood_has_no_proof(session, script, outcome):
    assert session.check(": False", script).outcome == outcome


@pytest.mark.parametrize(
    "script",
    [
        "exact sorryAx _ true",
        "sorry",
        "run_tac do (← Lean.Elab.Tactic.getMainGoal).assign (.const ``True.intro [])",
        "set_option debug.skipKernelTC true in exact (sorry : False)",
    ],
)  # fmt: skip
def test_the_kernel_does_not_fall_for_what_the_words_would_have_refused(session, monkeypatch, script):
    monkeypatch.setattr("foolsgold.rewards.verifiers.lean.refusal", lambda tactic, tactics: None)
    assert session.check(": False", script).outcome in ("refused", "wrong")


def test_computation_outside_of_the_kernel_is_refused(session, monkeypatch):
    monkeypatch.setattr("foolsgold.rewards.verifiers.lean.refusal", lambda tactic, tactics: None)
    assert session.check(": 2 ^ 10 = 1024", "native_decide").outcome in ("refused", "wrong")


def test_statements_that_are_none_are_the_users_mistake(session):
    for stated in ("(p : Prop) : p → nothing", ": ", ": sorry"):
        with pytest.raises(UserError, match="statement"):
            session.start(stated)


def test_a_crash_costs_one_answer(session):
    state = session.start(AND)
    os.killpg(session._process.pid, signal.SIGKILL)
    time.sleep(1)
    failure = session.apply(state, "intro h")
    assert isinstance(failure, Failure)
    assert failure.outcome == "timeout"
    assert isinstance(session.apply(state, "intro h"), State)
