import pytest
from hypothesis import given, settings
from loop_strategies import conditions, programs

from foolsgold.environments.loops.language import Assign, Assume, If, Program, While, read_program, write_program
from foolsgold.environments.loops.syntax import MAX_DEPTH, Reader, SyntaxFault, show
from foolsgold.environments.loops.terms import Apply, Choice, Constant, Variable, applied, evaluate

X, Y = Variable("x"), Variable("y")


def condition(text):
    reader = Reader(text)
    found = reader.condition()
    reader.end()
    return found


@settings(max_examples=60)
@given(conditions)
def test_conditions_are_read_back(term):
    assert condition(show(term)) == term


@settings(max_examples=60)
@given(programs)
def test_programs_are_read_back(program):
    # A loop's invariants are kept as conjuncts, however many lines say them.
    written = write_program(program)
    assert write_program(read_program(written)) == written
    assert read_program(written).bare == program.bare


@pytest.mark.parametrize(
    ("text", "x", "value"),
    [
        ("1 + 2 * x == 7", 3, True),
        ("7 - 2 - 1 == x", 4, True),
        ("x < 3 && x > 1 || x == 9", 9, True),
        ("!(x == 1) ==> x == 2 ==> x == 3", 2, False),
        ("-x * 2 == -6", 3, True),
        ("-7 / 2 == -3 && -7 % 2 == -1", 0, True),
        ("x - -1 == 1 // a comment", 0, True),
    ],
)
def test_operators_bind_as_in_c(text, x, value):
    assert evaluate(condition(text), {"x": x}) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 3", "write == to compare"),
        ("x + 1", "a number stands where a condition must"),
        ("0 <= x <= 3", "write a <= b && b <= c"),
        ("x / y == 1", "a number other than 0"),
        ("x % 0 == 1", "a number other than 0"),
        ("x == 1 $", "'\\$' means nothing here"),
        ("x == ", "before 'the end'"),
        ("(x == 1", "'\\)' is missing"),
        ("x == 1 y", "'y' does not belong here"),
        ("x == 1234567890123", "more than 12 digits"),
        ("*", "a variable or a bracket is missing"),
        ("(" * (MAX_DEPTH + 2) + "x", "nested more than"),
        ("!" * 5000 + "true", "nested more than"),
        ("__import__('os')", "means nothing here"),
    ],
)
def test_what_cannot_be_read_is_told(text, message):
    with pytest.raises(SyntaxFault, match=message):
        condition(text)


def test_a_program_by_hand():
    program = read_program(
        """
        int x = 0, y;          // y is anything
        requires(y >= 0);
        while (x < y && nondet()) {
          invariant x <= y;
          if (*) x++; else { x += 2; }
        }
        """
    )
    assert program == Program(
        (
            Assign("x", Constant(0), declared=True),
            Assign("y", Choice("Int"), declared=True),
            Assume(applied(">=", Y, Constant(0))),
            While(
                applied("&&", applied("<", X, Y), Choice("Bool")),
                (
                    If(
                        Choice("Bool"),
                        (Assign("x", Apply("+", (X, Constant(1)))),),
                        (Assign("x", Apply("+", (X, Constant(2)))),),
                    ),
                ),
                (applied("<=", X, Y),),
            ),
        )
    )
    assert program.variables == ("x", "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "line 1: ';' is missing"),
        ("x = 1;\nwhile (x) { }", "line 2: a number stands"),
        ("while (x < 1) x++;", "'{' is missing"),
        ("int x = 1; y = x;", "y is not declared"),
        ("while = 1;", "a variable's name is missing|is missing before"),
        ("assert(*);", "holds no \\*"),
        ("", "empty"),
        ("if (*) " * 30 + "x = 1;", "blocks are nested"),
        ("x = 1; }", "a variable's name is missing before '}'"),
    ],
)
def test_programs_that_cannot_be_read(text, message):
    with pytest.raises(SyntaxFault, match=message):
        read_program(text)


def test_invariants_are_put_in_the_order_in_which_loops_begin():
    program = read_program("while (*) { while (x < 3) { x++; } x = 0; }")
    annotated = program.annotated([condition("x >= 0"), condition("x <= 3 && x >= 0")])
    assert [len(loop.invariants) for loop in annotated.loops] == [1, 2]
    assert annotated.bare == program
    with pytest.raises(ValueError, match="1 invariants"):
        program.annotated([condition("x >= 0")])
