import pytest

pytest.importorskip("z3")

from foolsgold.environments.loops.world import Loops
from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.annotations import judge
from foolsgold.rewards.verifiers.annotations_houdini import houdini


def test_finds_what_templates_hold():
    program = "assume(n >= 0); x = 0; y = n; while (x < n) { x++; y--; } assert(y == 0);"
    assert judge(program, houdini(program, seconds=30)).outcome == "passed"


def test_finds_none_where_none_is_simple():
    # x is a sum of squares: no candidate is of degree 2.
    program = "assume(n >= 0); i = 0; x = 0; while (i < n) { i++; x += i; } assert(2 * x == n * n + n);"
    assert houdini(program, seconds=5) is None


def test_names_in_bars_are_read_back():
    problem = """
    (synth-inv inv ((a.b Bool)))
    (define-fun pre ((a.b Bool)) Bool a.b)
    (define-fun trans ((a.b Bool) (a.b! Bool)) Bool (= a.b! a.b))
    (define-fun post ((a.b Bool)) Bool a.b)
    (inv-constraint inv pre trans post)
    """
    found = houdini(problem, seconds=30)
    assert found == "|a.b|"
    assert judge(problem, found).outcome == "passed"


def test_one_loop_only():
    with pytest.raises(UserError, match="one loop"):
        houdini("while (*) { x = 1; } while (*) { x = 2; }")


@pytest.mark.slow
def test_what_it_finds_is_verified():
    for problem in Loops().problems("test", 6, seed=0):
        found = houdini(problem.columns["program"], seconds=10)
        assert found is None or judge(problem.columns["program"], found).outcome == "passed"
