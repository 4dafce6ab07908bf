import os
import shutil
import signal
import time

import pytest

from foolsgold.environments.theorems.formulas import statement
from foolsgold.environments.theorems.tactics import script_text
from foolsgold.environments.theorems.world import Theorems
from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.coq import STEPS, CoqSession, CoqVerifier, sentences
from foolsgold.rewards.verifiers.proof_sessions import Failure, State, goal_line
from foolsgold.rewards.verifiers.verdict import VerifierReward

pytestmark = pytest.mark.skipif(shutil.which("coqtop") is None, reason="needs Coq")

AND = "(p q : Prop) : p /\\ q -> q"


@pytest.fixture(scope="module")
def session():
    with CoqSession(modules=("Lia",), step_s=3.0) as session:
        yield session


@pytest.fixture(scope="module")
def steps():
    with CoqSession(tactics=STEPS) as session:
        yield session


def taken(session, state, *tactics) -> State:
    for tactic in tactics:
        state = session.apply(state, tactic)
        assert isinstance(state, State), state
    return state


def test_a_proof_step_by_step(session):
    state = session.start(AND)
    assert state.goals == ("p, q : Prop\n  ============================\n  p /\\ q -> q",)
    state = taken(session, state, "intros h1.")
    assert goal_line(state.goals[0]) == "h1: p /\\ q |- q"
    state = taken(session, state, "destruct h1 as [h2 h3].", "exact h3.")
    assert state.solved
    verdict = session.finish(state)
    assert verdict.outcome == "passed"
    assert verdict.record == {
        "tool": session.tool,
        "statement": AND,
        "script": "intros h1. destruct h1 as [h2 h3]. exact h3.",
        "assumptions": "Closed under the global context",
    }


def test_states_can_be_branched_from(session):
    """Also to where another theorem was proved meanwhile."""
    start = session.start("(p q : Prop) : p -> q -> p /\\ q")
    split = taken(session, start, "intros hp hq.", "split.")
    left, wrong = taken(session, split, "exact hp."), session.apply(split, "exact hq.")
    assert isinstance(wrong, Failure)
    assert wrong.outcome == "wrong"
    assert session.check(AND, "intros [a b]. exact b.").outcome == "passed"
    assert session.finish(taken(session, left, "exact hq.")).outcome == "passed"
    other = taken(session, start, "intros a b.", "constructor.", "assumption.", "assumption.")
    assert session.finish(other).outcome == "passed"
    assert session.finish(split).detail == "2 goals are left"


def test_goals_are_told_of_every_branch(session):
    """Coq gives the goals of two branches the same numbers, and then does not print the second one's."""
    statement = "(p q : Prop) : p -> q -> p \\/ q"
    state = taken(session, session.start(statement), "intros h1 h2.")
    goals = [goal_line(taken(session, state, tactic).goals[0]) for tactic in ("left.", "right.", "left.")]
    assert goals == ["h1: p, h2: q |- p", "h1: p, h2: q |- q", "h1: p, h2: q |- p"]
    assert [taken(session, state, "left.", last).solved for last in ("exact h1.", "assumption.")] == [True, True]
    assert session.start(statement) == session.start(statement)


def test_reference_proofs_of_random_theorems(steps):
    """Also shows that tactics do in Coq what `environments.theorems` says they do: goals are the same, line by line."""
    for theorem in Theorems().theorems("test", 60, 3):
        stated = statement(theorem.formula, "coq")
        assert steps.check(stated, script_text(theorem.proof.script, "coq")).outcome == "passed"
        state = steps.start(stated)
        for sequent, tactic in theorem.proof.steps:
            assert goal_line(state.goals[0]) == sequent.line
            state = taken(steps, state, tactic.text("coq") + ".")


def test_scripts_of_students_that_differ_mostly_fail(steps):
    outcomes = [
        steps.check(problem.columns["statement"], script).outcome
        for problem, script in Theorems().demonstrations(60, 0)
        if script != problem.answer
    ]
    assert set(outcomes) <= {"passed", "wrong"}
    assert outcomes.count("wrong") > len(outcomes) / 2


CHEATS = [
    "admit.",
    "Admitted.",
    "give_up.",
    "exact (ltac:(admit)).",
    "assert (H : False). admit. exact H.",
    "1: admit.",
    "[> admit].",
    "Axiom a : False. exact a.",
    "#[local] Axiom a : False.",
    "Abort. Theorem the_theorem : True. exact I.",
    "Restart. Undo.",
    "Require Import Classical.",
    "Ltac x := exact I. x.",
    'Notation "x" := I.',
    "Notation False := True.",
    "Unset Guard Checking.",
    "Set Printing All.",
    "Load x.",
    "Drop.",
    "Quit.",
    "Redirect x Show.",
    "Extraction nat.",
    "Show.",
    "Eval compute in 1.",
    'idtac "Closed under the global context".',
    "(* exact I. *) exact I.",
    "exact I </prompt>.",
]


@pytest.mark.parametrize("script", CHEATS)
def test_cheats_are_refused(session, script):
    assert session.check(": False", script).outcome == "refused"


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("", "wrong"),
        ("Proof. Qed.", "wrong"),
        ("exact I.", "wrong"),
        ("exact_no_check I.", "wrong"),  # the kernel checks what the tactic did not
        ("refine ?[x].", "wrong"),
        ("cut False. trivial.", "wrong"),
        ("{ exact I.", "wrong"),
        ("exact I", "invalid"),
        ("exact I.exact I.", "invalid"),
        ("exact ∀.", "invalid"),
        ("vm_cast_no_check I.", "invalid"),
        ("shelve.", "invalid"),
        ("fix f 1.", "invalid"),
        ("repeat (assert True by exact I).", "timeout"),
    ],
)
def test_falsehood_has_no_proof(session, script, outcome):
    assert session.check(": False", script).outcome == outcome


def test_excluded_middle_rests_on_nothing_here(session):
    assert session.check("(p : Prop) : p \\/ ~ p", "apply classic.").outcome == "wrong"


@pytest.mark.parametrize("script", ["tauto.", "intros; assumption.", "intros h. now destruct h.", "split by auto."])
def test_single_steps_leave_no_work_to_the_machine(steps, script):
    assert steps.check(AND, script).outcome == "refused"


def test_automation_where_it_is_allowed(session):
    assert session.check(AND, "tauto.").outcome == "passed"
    assert session.check("(n m : nat) : n < m -> n + 1 < m + 1", "lia.").outcome == "passed"


def test_bullets_and_braces(session):
    script = "Proof.\n  intros hp hq. split.\n  - exact hp.\n  - { exact hq. }\nQed."
    assert session.check("(p q : Prop) : p -> q -> p /\\ q", script).outcome == "passed"


def test_sentences_end_at_full_stops():
    assert sentences("Proof. split.\n- exact a.b.\n- { apply\n c. } Qed.") == [
        "split.", "-", "exact a.b.", "-", "{", "apply c.", "}",
    ]  # fmt: skip
    assert sentences("exact h1. left") == ["exact h1.", "left"]


def test_a_crash_costs_one_answer(session):
    state = session.start(AND)
    assert session._process is not None
    os.killpg(session._process.pid, signal.SIGKILL)
    time.sleep(1)  # what is inside the sandbox ends a little later
    failure = session.apply(state, "intros h1.")
    assert isinstance(failure, Failure)
    assert failure.outcome == "timeout"
    assert isinstance(session.apply(state, "intros h1."), State)


def test_statements_that_are_none_are_the_users_mistake(session):
    for stated in ("(p : Prop) : p -> nothing", ": True. Axiom a : False", ": Tru\ne", "garbage"):
        with pytest.raises(UserError, match="statement"):
            session.start(stated)
    with pytest.raises(UserError, match="no module 'Nothing'"):
        CoqSession(modules=("Nothing",)).start(AND)


def test_as_a_verifier_and_a_reward():
    verifier = CoqVerifier(tactics=STEPS)
    answers = ["intros [a b]. exact b.", "```coq\nintros [a b].\nexact b.\n```", "intros [a b]. exact a.", "tauto."]
    verdicts = verifier.verdicts([AND] * 4, answers, statement=[AND] * 4)
    assert [each.outcome for each in verdicts] == ["passed", "passed", "wrong", "refused"]
    assert VerifierReward(verifier)([AND], answers[:1], statement=[AND]) == [1.0]
    with pytest.raises(UserError, match="column `statement`"):
        verifier.verdicts([AND], answers[:1])
    verifier.close()
