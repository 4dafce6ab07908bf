import json
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("z3")

from foolsgold.environments.loops.families import FAMILIES
from foolsgold.environments.loops.interpreter import Interpreter
from foolsgold.environments.loops.language import Assert, Assume, If, Program, While, read_program, write_program
from foolsgold.environments.loops.syntax import show
from foolsgold.environments.loops.terms import TRUE, Choice, Constant, Variable, applied, compiled, conjunction
from foolsgold.environments.loops.world import Loops
from foolsgold.errors import UserError
from foolsgold.rewards.verifiers import annotations_tasks
from foolsgold.rewards.verifiers.annotations import AnnotationsVerifier, judge, verified_share
from foolsgold.rewards.verifiers.annotations_workers import Effort, _Worker
from foolsgold.rewards.verifiers.verdict import Verdict, VerifierFailure, VerifierReward

SWAP = """assume(n >= 0);
x = 0;
y = n;
while (x < n) {
  x++;
  y--;
}
assert(y == 0);"""

NESTED = """x = 0; s = 0;
while (x < 3) {
  y = 0;
  while (y < 2) { y++; s++; }
  x++;
}
assert(s == 6);"""

SYGUS = """(set-logic LIA)
(synth-inv inv ((x Int) (b Bool)))
(define-fun pre ((x Int) (b Bool)) Bool (and (= x 0) b))
(define-fun trans ((x Int) (b Bool) (x! Int) (b! Bool)) Bool (and (= x! (ite b (+ x 2) x)) (= b! b)))
(define-fun post ((x Int) (b Bool)) Bool (>= x 0))
(inv-constraint inv pre trans post)
(check-synth)"""


@pytest.mark.parametrize(
    ("answer", "outcome", "passed"),
    [
        ("x + y == n && x <= n", "passed", 3),
        ("invariant x <= n; invariant y == n - x;", "passed", 3),
        ("```c\nx + y == n && !(x > n)\n```", "passed", 3),
        ("x + y == n", "wrong", 2),
        ("true", "wrong", 2),
        ("false", "wrong", 2),
        ("x + y == n && x < n", "wrong", 1),
        ("y == 0", "wrong", 1),
        ("x + z == n", "invalid", 0),
        ("x + y = n", "invalid", 0),
        ("", "invalid", 0),
        ("x <= n && *", "invalid", 0),
        ("x <= n; y >= 0; ) ", "invalid", 0),
        ("x" + "*x" * 9 + " >= 0", "invalid", 0),
        (" && ".join(["x <= n"] * 200), "invalid", 0),
    ],
)
def test_verdicts_by_hand(answer, outcome, passed):
    verdict = judge(SWAP, answer)
    assert (verdict.outcome, verdict.passed, verdict.of) == (outcome, passed, 3)
    assert bool(verdict.detail) == (outcome != "passed")
    assert json.loads(json.dumps(verdict.record)) == verdict.record


def test_details_say_what_goes_wrong():
    assert "is no variable of the program, which has n, x, y" in judge(SWAP, "z == 0").detail
    # From the record's own values the sentence follows by hand: x + 1, y - 1.
    verdict = judge(SWAP.replace("y--", "y -= 2"), "x + y == n && x <= n")
    values = next(each["values"] for each in verdict.record["conditions"] if each["status"] == "violated")
    x, y = (next(value for name, value in values.items() if name.startswith(letter)) for letter in "xy")
    n = values["n"]
    assert verdict.detail == (
        f"after n={n}, x={x}, y={y} the loop gives n={n}, x={x + 1}, y={y - 2}: invariant no longer holds"
    )
    assert judge(SWAP, "x < n && x + y == n").detail == "at first n=0, x=0, y=0: invariant does not hold"
    assert judge(SWAP, "x + y == n").detail.endswith("where y == 0 fails")


def test_an_annotated_program_must_be_the_same_program():
    annotated = SWAP.replace("x++;", "invariant x + y == n;\n  invariant x <= n;\n  x++;")
    assert judge(SWAP, annotated).outcome == "passed"
    assert judge(SWAP, annotated.replace("x++;", "x = x + 1; ")).outcome == "passed"  # the same statement
    for cheat in (
        annotated.replace("n >= 0", "n == 0"),
        annotated.replace("y == 0", "true"),
        annotated.replace("x++;", "assume(false); x++;"),
        annotated.replace("y--;", ""),
        annotated + " x = 3;",
    ):
        verdict = judge(SWAP, cheat)
        assert (verdict.outcome, verdict.passed) == ("refused", 0)
        assert VerifierReward(_Fixed(verdict), partial=True)([""], [""]) == [0.0]


class _Fixed:
    name = "fixed"

    def __init__(self, verdict):
        self.verdict = verdict

    def verdicts(self, prompts, completions, **columns):
        return [self.verdict] * len(completions)


def test_every_loop_wants_its_invariant():
    outer, inner = "s == 2 * x && x <= 3", "s == 2 * x + y && y <= 2"
    assert judge(NESTED, f"{outer}; {inner}").outcome == "passed"
    assert judge(NESTED, f"{inner}; {outer}").outcome == "wrong"
    assert judge(NESTED, outer).detail == "1 invariants are given; the program has 2 loops"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("(>= x 0)", "passed"),
        ("x >= 0", "passed"),
        ("(x >= 0) && (b || x >= 0)", "passed"),
        ("!b ==> false", "wrong"),
        ("(and (= (mod x 2) 0) (>= x 0))", "passed"),
        ("(define-fun inv ((v Int) (w Bool)) Bool (>= v 0))", "passed"),
        ("(<= x 5)", "wrong"),
        ("(+ x 5)", "invalid"),
        ("(let ((y x)) (>= y 0))", "invalid"),
        ("(>= y 0)", "invalid"),
        ("(>= x 0) (>= x 0)", "invalid"),
    ],
)
def test_sygus_problems(answer, outcome):
    assert judge(SYGUS, answer).outcome == outcome


def test_unknown_is_not_wrong():
    # Fermat's cubes: true, and out of reach.
    program = "assume(x > 0 && y > 0 && z > 0);\nwhile (*) { x++; y++; z++; }\nassert(x*x*x + y*y*y != z*z*z);"
    verdict = judge(program, "x > 0 && y > 0 && z > 0", Effort(steps=20_000, wall_ms=2_000))
    assert (verdict.outcome, verdict.passed) == ("timeout", 2)


def test_runs_that_contradict_the_solver_are_a_failure(monkeypatch):
    """As if the conditions were made wrongly: none is asked."""
    monkeypatch.setattr(annotations_tasks, "program_conditions", lambda program: [])
    assert judge(SWAP, "x + y == n && x <= n").outcome == "passed"
    with pytest.raises(VerifierFailure, match=r"a run comes to n=.*invariant does not hold"):
        judge(SWAP, "x < n")
    with pytest.raises(VerifierFailure, match="assertion does not hold"):
        judge(SWAP.replace("y == 0", "y == 1"), "x <= n")
    monkeypatch.setattr(annotations_tasks, "problem_conditions", lambda problem, invariant: [])
    with pytest.raises(VerifierFailure, match="the system comes to x="):
        judge(SYGUS, "x <= 1")


def test_counterexamples_that_evaluation_does_not_bear_out_are_a_failure(monkeypatch):
    from foolsgold.rewards.verifiers import annotations_z3

    monkeypatch.setattr(annotations_z3, "solution", lambda terms, effort: ("found", {"n": 5, "x#1": 0, "y#1": 5}))
    with pytest.raises(VerifierFailure, match="does not bear out"):
        judge(SWAP, "x + y == n && x <= n")


# One loop without choices over x and y: its body runs the same way by hand.
_number = st.integers(-2, 2).map(Constant)
_variable = st.sampled_from("xy").map(Variable)
_linear = st.tuples(st.sampled_from(("<", "<=", ">=", "==")), _variable, st.one_of(_number, _variable)).map(
    lambda t: applied(*t)
)
_step = st.tuples(st.sampled_from("xy"), st.sampled_from("+-"), _variable, _number).map(
    lambda t: read_program(f"{t[0]} = {t[2].name} {t[1]} ({t[3].value});").body[0]
)
_branch = st.tuples(_linear, _step, _step).map(lambda t: If(t[0], (t[1],), (t[2],)))
_body = st.lists(st.one_of(_step, _branch), min_size=1, max_size=3).map(tuple)
_invariant = st.lists(_linear, min_size=0, max_size=2).map(conjunction)


@settings(max_examples=25, deadline=None)
@given(_linear, _linear, _body, _linear, _invariant)
def test_against_brute_force(start, guard, body, claim, invariant):
    box = [{"x": x, "y": y} for x in range(-4, 5) for y in range(-4, 5)]
    assume(any(map(compiled(start), box)))  # of a program that never begins, all is true
    # Both variables occur, and the loop sets both: nothing that was known before it is left.
    body = (*body, *read_program("x = x; y = y;").body)
    program = Program((Assume(start), While(guard, body), Assert(claim)))
    verdict = judge(write_program(program), show(invariant))
    status = {each["kind"]: each for each in verdict.record["conditions"]}
    runs = Interpreter(program, lambda sort: 0, max_steps=8)
    once = Interpreter(Program((Assume(invariant), Assume(guard), *body, Assert(invariant))), lambda sort: 0)
    after = Interpreter(Program((Assume(invariant), Assume(applied("!", guard)), Assert(claim))), lambda sort: 0)
    holds, begins = compiled(invariant), compiled(start)
    if status["initiation"]["status"] == "holds":
        assert all(holds(state) for state in box if begins(state))
    if status["consecution"]["status"] == "holds":
        assert all(once.run(state).end != "failed" for state in box)
    if status["sufficiency"]["status"] == "holds":
        assert all(after.run(state).end != "failed" for state in box)
    if verdict.outcome == "passed":
        for trace in map(runs.run, box):
            assert all(holds(visit.state) for visit in trace.visits)
            assert trace.end != "failed"
    for kind, machine in (("consecution", once), ("sufficiency", after)):
        if status[kind]["status"] == "violated":
            values = status[kind]["values"]
            state = {name: next((v for k, v in values.items() if k.startswith(name + "#")), 0) for name in "xy"}
            assert machine.run(state).end == "failed"
    assert "unknown" not in {each["status"] for each in status.values()}


def test_reference_answers_of_the_world_pass():
    world = Loops()
    for split in ("train", "test"):
        for problem in world.problems(split, 3 * len(FAMILIES[split]), seed=11):
            assert judge(problem.columns["program"], problem.answer).outcome == "passed", problem


@pytest.mark.slow
def test_what_workers_write_passes_in_two_of_five_cases_and_reviewers_are_better_than_chance():
    world = Loops()
    demonstrations = world.demonstrations(400, seed=5)
    verdicts = [judge(problem.columns["program"], answer) for problem, answer in demonstrations]
    assert 0.3 < verified_share(verdicts) < 0.55
    again = world.demonstrations(400, seed=5)
    assert again == demonstrations
    # Reviewers compare each answer to its reference where that is another text.
    wrong = [
        (problem, answer)
        for (problem, answer), verdict in zip(demonstrations, verdicts, strict=True)
        if verdict.outcome != "passed"
    ]
    prompts = [problem.prompt for problem, _ in wrong]
    prefers, _ = world.reviewers(20, 0).compare(
        prompts, [problem.answer for problem, _ in wrong], [answer for _, answer in wrong], seed=0
    )
    assert 0.58 < prefers.mean() < 0.8


def test_workers_judge_alike_and_remember():
    answers = ["x + y == n && x <= n", "x + y == n", "x <", "x + y == n && x <= n"]
    with AnnotationsVerifier(workers=2) as verifier:
        verdicts = verifier.verdicts([""] * 4, answers, program=[SWAP] * 4)
        assert verdicts == [judge(SWAP, answer) for answer in answers]
        assert verifier.verdicts([""], answers[:1], program=[SWAP])[0] == verdicts[0]
        chat = [[{"role": "assistant", "content": answers[0]}]]
        again = verifier.verdicts(["prompt"], chat, program=[SWAP])[0]
    assert again.outcome == "passed"
    assert (again.record["prompt"], again.record["completion"]) == ("prompt", chat[0])
    made = AnnotationsVerifier.of_record(again.record)
    assert made.verdicts([""], [again.record["completion"]], **{"program": [again.record["columns"]["program"]]}) == [
        replace(again, record={**again.record, "prompt": ""})
    ]
    made.close()
    assert verified_share(verdicts) == 0.5


def test_a_process_that_does_not_come_back_is_stopped(monkeypatch):
    from foolsgold.rewards.verifiers import annotations_workers

    monkeypatch.setattr(annotations_workers, "_START_S", -4.0)
    worker = _Worker()
    # The time is over before the process has imported its modules.
    reply = worker.ask({"program": SWAP, "completion": "true", "effort": {"steps": 1, "wall_ms": -300}})
    assert reply["verdict"]["outcome"] == "timeout"
    monkeypatch.undo()
    reply = worker.ask({"program": SWAP, "completion": "true", "effort": {"steps": 100_000, "wall_ms": 9_000}})
    assert Verdict(**reply["verdict"]).outcome == "wrong"
    worker.stop()


def test_mistakes_of_the_user():
    verifier = AnnotationsVerifier(workers=0)
    with pytest.raises(UserError, match="column `program`"):
        verifier.verdicts([""], ["true"])
    with pytest.raises(UserError, match="no loop"):
        verifier.verdicts([""], ["true"], program=["x = 1;"])
    with pytest.raises(UserError, match="line 1"):
        verifier.verdicts([""], ["true"], program=["while"])
    with pytest.raises(UserError, match="no verdicts"):
        verified_share([])


def test_a_choice_in_the_loop_is_any_choice():
    program = write_program(
        Program((Assume(TRUE), While(Choice("Bool"), read_program("if (*) x += 2; else x -= 2;").body), Assert(TRUE)))
    )
    assert judge("x = 0;\n" + program, "x % 2 == 0").outcome == "passed"
    assert judge("x = 0;\n" + program, "x >= 0").outcome == "wrong"
