"""Formulas for property tests."""

from hypothesis import strategies as st

from foolsgold.environments.theorems.formulas import FALSE, atom, both, either, equivalent, implies, negation

FORMULAS = st.recursive(
    st.sampled_from([*map(atom, "pqr"), FALSE]),
    lambda part: (
        st.builds(negation, part)
        | st.builds(both, part, part)
        | st.builds(either, part, part)
        | st.builds(implies, part, part)
        | st.builds(equivalent, part, part)
    ),
    max_leaves=8,
)
