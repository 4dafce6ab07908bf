import itertools

import pytest

from foolsgold.environments.loops.conditions import program_conditions
from foolsgold.environments.loops.interpreter import Interpreter, random_traces
from foolsgold.environments.loops.language import read_program
from foolsgold.environments.loops.terms import compiled, variables_of

SWAP = """
assume(n >= 0);
x = 0; y = n;
while (x < n) { invariant x + y == n && x <= n; x++; y--; }
assert(y == 0);
"""


def run(text, start, choices=()):
    given = iter(choices)
    return Interpreter(read_program(text), lambda sort: next(given)).run(start)


def test_a_run_by_hand():
    trace = run(SWAP, {"n": 2, "x": 7, "y": 7})
    assert [(visit.state["x"], visit.state["y"]) for visit in trace.visits] == [(0, 2), (1, 1), (2, 0)]
    assert trace.end == "ended"


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("assume(x > 0);", "blocked"),
        ("assert(x > 0);", "failed"),
        ("while (x <= 0) { x--; }", "long"),
        ("x++;", "ended"),
    ],
)
def test_how_runs_end(text, end):
    assert run(text, {"x": 0}).end == end


def test_choices_are_asked_for_each_time():
    trace = run("while (*) { if (*) x++; else x = *; }", {"x": 0}, [True, True, True, False, 9, False])
    assert [visit.state["x"] for visit in trace.visits] == [0, 1, 9]


def test_loops_are_told_apart():
    trace = run("x = 0; while (x < 1) { y = 0; while (y < 2) { y++; } x++; }", {"x": 0, "y": 0})
    assert [visit.loop for visit in trace.visits] == [0, 1, 1, 1, 0]


def test_random_runs_meet_the_assumptions():
    program = read_program("assume(x == y + 3 && y >= 0 && y != 5); while (*) { x++; y++; } assert(x == y + 3);")
    traces = random_traces(program, 30, seed=1)
    assert len(traces) == 30
    assert {trace.end for trace in traces} <= {"ended", "long"}
    starts = [trace.visits[0].state for trace in traces]
    assert all(start["x"] == start["y"] + 3 and start["y"] >= 0 for start in starts)
    assert len({start["y"] for start in starts}) > 5
    assert random_traces(program, 30, seed=1) == traces


def brute(condition, low=-2, high=4):
    """Whether a condition holds for all small values of its variables."""
    names = variables_of(condition.formula)
    ranges = [(False, True) if each.sort == "Bool" else range(low, high) for each in names.values()]
    holds = compiled(condition.formula)
    return all(holds(dict(zip(names, values, strict=True))) for values in itertools.product(*ranges))


def verdicts(text):
    return [(condition.kind, brute(condition)) for condition in program_conditions(read_program(text))]


def test_conditions_of_a_loop():
    assert verdicts(SWAP) == [("initiation", True), ("consecution", True), ("sufficiency", True)]
    assert verdicts(SWAP.replace("&& x <= n", "")) == [
        ("initiation", True),
        ("consecution", True),
        ("sufficiency", False),
    ]
    assert verdicts(SWAP.replace("x <= n", "x < n")) == [
        ("initiation", False),  # n = 0
        ("consecution", False),
        ("sufficiency", True),  # of nothing: no state leaves the loop
    ]


def test_a_claim_within_a_branch_is_claimed_there_only():
    assert verdicts("if (x > 0) { assert(x > 0); y = 1; } else y = 2; assert(y > 0 && (y == 1 ==> x > 0));") == [
        ("sufficiency", True),
        ("sufficiency", True),
    ]
    assert verdicts("if (*) { assume(x > 0); } assert(x > 0);") == [("sufficiency", False)]
    assert verdicts("if (x <= 0) { assume(false); } assert(x > 0);") == [("sufficiency", True)]


def test_every_choice_is_another_one():
    assert verdicts("x = *; y = *; assert(x == y);") == [("sufficiency", False)]
    assert verdicts("while (*) { x = 1; } assert(true);")[-1] == ("sufficiency", True)


def test_nested_loops_keep_what_they_do_not_touch():
    text = """
    x = 0; s = 0;
    while (x < 3) {
      invariant s == 2 * x && x <= 3;
      y = 0;
      while (y < 2) { invariant s == 2 * x + y && y <= 2 && x < 3; y++; s++; }
      x++;
    }
    assert(s == 6);
    """
    found = verdicts(text)
    assert [kind for kind, _ in found] == ["initiation", "initiation", "consecution", "consecution", "sufficiency"]
    assert all(holds for _, holds in found)
    # The inner loop sets neither x nor the outer test: x < 3 is known without its invariant, y <= 2 is not.
    assert all(holds for _, holds in verdicts(text.replace("&& x < 3", "")))
    assert not all(holds for _, holds in verdicts(text.replace("&& y <= 2", "")))
