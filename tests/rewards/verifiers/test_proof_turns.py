import os
import shutil
import signal
import time

import pytest

from foolsgold.environments.problems import Problem
from foolsgold.environments.theorems.world import Theorems
from foolsgold.rewards.verifiers.coq import STEPS, CoqSession
from foolsgold.rewards.verifiers.proof_sessions import Failure, ProofSession, State
from foolsgold.rewards.verifiers.proof_turns import ProofTurns
from foolsgold.rewards.verifiers.verdict import VerifierFailure

needs_coq = pytest.mark.skipif(shutil.which("coqtop") is None, reason="needs Coq")


def theorem(statement: str) -> Problem:
    return Problem("", "", {"statement": statement}, "", 1)


BOTH = theorem("(p q : Prop) : p -> q -> p /\\ q")


@pytest.fixture(scope="module")
def session():
    with CoqSession(tactics=STEPS) as session:
        yield session


@pytest.fixture
def world(session):
    return ProofTurns(session, "coq")


@needs_coq
def test_a_proof_turn_by_turn(world):
    [place] = world.start([BOTH])
    told = []
    for action in ("intro h1", "intro h2", "split", "exact h1", "exact h2"):
        prompt = world.prompt(place)
        [step] = world.step([place], [action])
        told.append((prompt, step.progress, step.solved, step.ended))
        place = step.state
    # Two goals were seen, the second where the first one was split.
    assert told == [
        ("|- p -> q -> p /\\ q\n", 0.0, False, False),
        ("h1: p |- q -> p /\\ q\n", 0.0, False, False),
        ("h1: p, h2: q |- p /\\ q\n", 0.0, False, False),
        ("h1: p, h2: q |- p\n", 0.5, False, False),
        ("h1: p, h2: q |- q\n", 1.0, True, True),
    ]
    assert world.finish(place).outcome == "passed"


@needs_coq
@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        ("exact h1", "wrong"),
        ("tauto", "refused"),
        ("admit", "refused"),
        ("intro h1. intro h2", "invalid"),
        ("intro h1.", "refused"),
        ("- intro h1", "invalid"),
        ("1: intro h1", "invalid"),
        ("", "invalid"),
        ("Abort", "refused"),
    ],
)
def test_a_tactic_that_is_not_taken_ends_the_episode(world, action, outcome):
    [place] = world.start([BOTH])
    [step] = world.step([place], [action])
    assert (step.state, step.solved, step.ended, step.progress) == (place, False, True, 0.0)
    assert step.note.startswith(outcome)


@needs_coq
def test_reference_proofs_of_random_theorems(world):
    problems = Theorems().problems("test", 12, 5)
    for problem, place in zip(problems, world.start(problems), strict=True):
        for tactic in problem.answer.rstrip(".").split(". "):
            [step] = world.step([place], [tactic])
            assert step.progress >= 0
            place = step.state
        assert step.solved
        assert world.finish(place).outcome == "passed"


@needs_coq
def test_a_crash_costs_one_answer(session, world):
    [place] = world.start([BOTH])
    [step] = world.step([place], ["intro h1"])
    assert session._process is not None
    os.killpg(session._process.pid, signal.SIGKILL)
    time.sleep(1)
    [lost] = world.step([step.state], ["intro h2"])
    assert not lost.solved
    [again] = world.step([step.state], ["intro h2"])
    assert world.prompt(again.state) == "h1: p, h2: q |- p /\\ q\n"


class Frail(ProofSession):
    """Takes `go`; dies the first time that it is asked for `die`."""

    def __init__(self):
        self.tool, self.asked, self.closed = "frail", [], 0

    def start(self, statement):
        return State(statement, (), ("|- p",), False)

    def apply(self, state, tactic):
        self.asked.append(tactic)
        if tactic == "die" and not self.closed:
            raise VerifierFailure("dead")
        if tactic == "slow":
            return Failure("timeout", "")
        if tactic == "no":
            return Failure("wrong", "")
        return State(state.statement, (*state.script, tactic), ("|- q",), False)

    def finish(self, state):
        raise NotImplementedError

    def close(self):
        self.closed += 1

    def sentences(self, script):
        return [script]


def test_what_the_prover_said_is_remembered_but_what_a_crash_may_have_said():
    session = Frail()
    world = ProofTurns(session, "lean")
    for _ in range(2):
        world.step(world.start([theorem("a"), theorem("b")]), ["no", "no"])
        world.step(world.start([theorem("a")] * 3), ["go", "go", "slow"])
    # The same tactic on the same goal is refused whatever the theorem.
    assert session.asked == ["no", "go", "slow", "slow"]


def test_a_prover_that_died_is_started_anew():
    session = Frail()
    [step] = ProofTurns(session, "lean").step([ProofTurns(session, "lean").start([theorem("a")])[0]], ["die"])
    assert (session.asked, session.closed, step.ended) == (["die", "die"], 1, False)
