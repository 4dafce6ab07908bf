"""Random terms and programs of the small language."""

from hypothesis import strategies as st

from foolsgold.environments.loops.language import Assert, Assign, Assume, If, Program, While
from foolsgold.environments.loops.terms import FALSE, TRUE, Apply, Choice, Constant, Variable, applied

NAMES = ("x", "y", "n")

small = st.integers(-9, 9).map(Constant)
variables = st.sampled_from(NAMES).map(Variable)


def _bigger_number(inner):
    return st.one_of(
        st.tuples(st.sampled_from("+-*"), inner, inner).map(lambda t: applied(*t)),
        st.tuples(st.sampled_from("/%"), inner, st.integers(1, 9).map(Constant)).map(lambda t: applied(*t)),
        # The reader folds a minus sign into a number.
        inner.filter(lambda t: not isinstance(t, Constant)).map(lambda t: applied("neg", t)),
    )


numbers = st.recursive(st.one_of(small, variables), _bigger_number, max_leaves=6)
comparisons = st.tuples(st.sampled_from(("==", "!=", "<", "<=", ">", ">=")), numbers, numbers).map(
    lambda t: applied(*t)
)


def _bigger_condition(inner):
    return st.one_of(
        st.tuples(st.sampled_from(("&&", "||", "==>")), inner, inner).map(lambda t: applied(*t)),
        inner.map(lambda t: applied("!", t)),
    )


conditions = st.recursive(st.one_of(st.sampled_from((TRUE, FALSE)), comparisons), _bigger_condition, max_leaves=6)
tests = st.one_of(conditions, st.just(Choice("Bool")), comparisons.map(lambda t: applied("&&", t, Choice("Bool"))))

assignments = st.tuples(st.sampled_from(NAMES), st.one_of(numbers, st.just(Choice("Int")))).map(
    lambda t: Assign(t[0], t[1])
)
simple = st.one_of(assignments, conditions.map(Assume), conditions.map(Assert))


def _bigger_statement(inner):
    blocks = st.lists(inner, max_size=3).map(tuple)
    invariants = st.lists(comparisons, max_size=2).map(tuple)
    return st.one_of(
        st.tuples(tests, blocks, blocks).map(lambda t: If(*t)),
        st.tuples(tests, blocks, invariants).map(lambda t: While(*t)),
    )


programs = st.lists(st.recursive(simple, _bigger_statement, max_leaves=5), min_size=1, max_size=4).map(
    lambda body: Program(tuple(body))
)

# One loop that counts, with tests and steps that make its conditions now true, now false.
steps = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(-2, 2)).map(
        lambda t: Assign(t[0], Apply("+", (Variable(t[1]), Constant(t[2]))))
    ),
    assignments,
)
choiceless = steps.filter(lambda each: not isinstance(each.value, Choice))
linear = st.tuples(st.sampled_from(("==", "<", "<=", ">=")), variables, st.one_of(small, variables)).map(
    lambda t: applied(*t)
)
