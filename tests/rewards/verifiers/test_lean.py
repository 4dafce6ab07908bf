"""What needs no Lean; the rest is in `test_lean_session.py`."""

import pytest

from foolsgold.errors import UserError
from foolsgold.rewards.verifiers import lean_install
from foolsgold.rewards.verifiers.lean import STEPS, LeanSession, LeanVerifier, refusal
from foolsgold.rewards.verifiers.proof_sessions import goal_line
from foolsgold.rewards.verifiers.verdict import VerifierFailure

CHEATS = [
    "sorry",
    "exact sorry",
    "admit",
    "stop",
    "exact sorryAx _ true",
    "native_decide",
    "decide +native",
    "exact Lean.ofReduceBool _ _ rfl",
    "run_tac Lean.Elab.Tactic.admitGoal (← Lean.Elab.Tactic.getMainGoal)",
    "exact by_elab return .const `x []",
    "set_option debug.skipKernelTC true in exact trivial",
    "open Classical in exact em _",
    "exact (unsafe unsafeCast trivial)",
    "exact lcProof",
    "exact «sorry»",
    "intro h; sorry",
    "· sorry",
    "have : False := by sorry\nexact this",
    "trivial\n#eval 1",
    "axiom a : False",
    "macro \"m\" : tactic => `(tactic| skip)",
    "notation \"False\" => True",
    "dbg_trace \"@@\"",
    "exact include_str \"x\"",
]  # fmt: skip


@pytest.mark.parametrize("tactic", CHEATS)
def test_words_that_do_more_than_prove_are_refused(tactic):
    for tactics in (None, STEPS):
        failure = refusal(tactic, tactics)
        assert failure is not None
        assert failure.outcome == "refused"


@pytest.mark.parametrize("tactic", ["simp_all", "intro h; exact h", "intro h <;> simp", "exact by simp", "· exact h"])
def test_single_steps_leave_no_work_to_the_machine(tactic):
    assert refusal(tactic) is None
    failure = refusal(tactic, STEPS)
    assert failure is not None
    assert failure.outcome == "refused"


@pytest.mark.parametrize("tactic", ["", "cheat", "(exact h)", "h1"])
def test_what_is_no_step_is_invalid(tactic):
    failure = refusal(tactic, STEPS)
    assert failure is not None
    assert failure.outcome == "invalid"


@pytest.mark.parametrize("tactic", ["rcases h1 with ⟨h2, h3⟩", "have h2 : p ∧ q := ?_", "rcases h1 with h2 | h3"])
def test_steps_of_propositional_proofs_are_taken(tactic):
    assert refusal(tactic, STEPS) is None


def test_scripts_are_cut_into_steps_or_left_whole():
    script = "by\n  intro h1\n  exact h1\n"
    assert LeanSession(STEPS).sentences(script) == ["intro h1", "exact h1"]
    assert LeanSession(STEPS).sentences("intro h1; exact h1") == ["intro h1", "exact h1"]
    assert LeanSession().sentences(script) == ["intro h1\nexact h1"]
    assert LeanSession().sentences("  intro h\n  · exact h") == ["intro h\n· exact h"]
    assert LeanSession().sentences("") == []


def test_goals_read_as_those_of_coq():
    goal = "p q : Prop\nh2 : ¬p\nh1 h3 : p → q ↔ q\n⊢ p ∧ q ∨ q"
    assert goal_line(goal) == "h1: (p -> q) <-> q, h2: ~ p, h3: (p -> q) <-> q |- p /\\ q \\/ q"


def test_without_lean_the_verifier_fails_and_nobody_gets_zero(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    verifier = LeanVerifier(folder=tmp_path)
    with pytest.raises(VerifierFailure, match="foolsgold tools --install lean"):
        verifier.verdicts(["p"], ["exact id"], statement=["(p : Prop) : p → p"])
    with pytest.raises(UserError, match="no statement"):
        verifier.verdicts(["p"], ["exact id"], statement=["p → p"])


def test_a_loader_that_is_not_known_is_not_patched():
    with pytest.raises(UserError, match="not the one that is known"):
        lean_install.patched("var x = 1;")


def test_an_empty_folder_holds_no_lean(tmp_path):
    assert not lean_install.installed(tmp_path)
