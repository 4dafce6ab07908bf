"""A prover in Python, by the rules of `environments.theorems`: proofs without Coq, in no time."""

from __future__ import annotations

from foolsgold.environments.theorems.formulas import parse
from foolsgold.environments.theorems.tactics import NotApplicable, Sequent
from foolsgold.rewards.verifiers.coq import sentences
from foolsgold.rewards.verifiers.proof_sessions import Failure, ProofSession, State
from foolsgold.studies.proofs_menu import parse_tactic


class PythonProver(ProofSession):
    """Speaks Coq."""

    def __init__(self):
        self.tool, self.asked = "python", 0
        self._goals: dict[State, tuple[Sequent, ...]] = {}

    def start(self, statement):
        return self._kept(statement, (), (Sequent((), parse(statement.partition(" : Prop) :")[2])),))

    def apply(self, state, tactic):
        self.asked += 1
        first, *others = self._goals[state]
        step = parse_tactic(tactic.rstrip("."), "coq")
        if step is None:
            return Failure("invalid", "no tactic")
        try:
            goals = (*first.step(step), *others)
        except NotApplicable as error:
            return Failure("wrong", str(error))
        return self._kept(state.statement, (*state.script, tactic), goals)

    def finish(self, state):
        return self.verdict("passed" if state.solved else "wrong", "", state.statement, " ".join(state.script))

    def close(self):
        pass

    def sentences(self, script):
        return sentences(script)

    def _kept(self, statement, script, goals):
        state = State(statement, script, tuple(map(_shown, goals)), not goals)
        self._goals[state] = goals
        return state


def _shown(goal: Sequent) -> str:
    known = "".join(f"{name} : {formula.text()}\n" for name, formula in goal.hypotheses)
    return f"{known}============================\n{goal.goal.text()}"
