"""Comparisons for property tests of the formats."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange.rows import Unsaid

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNSAID = Unsaid("someone", NOON, "a file")

texts = st.text(max_size=20)
json_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
sources = texts | st.sampled_from(['{"a": 1}', '"quoted"', "{", '"']) | st.dictionaries(texts, json_values, max_size=3)


def comparisons(contents=texts, raters=texts, **fixed) -> st.SearchStrategy[Comparison]:
    """Any comparison; `fixed` holds fields as strategies, in place of the usual ones."""
    fields = {
        "prompt": contents,
        "a": contents,
        "b": contents,
        "rater": raters,
        "created": st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)),
        "source": sources,
        "source_a": st.none() | sources,
        "source_b": st.none() | sources,
        "seconds": st.none() | st.floats(0, 1e6),
        **fixed,
    }
    sides = st.tuples(st.sampled_from(["a", "b"]), st.none() | st.integers(1, 3))
    equal = st.tuples(st.sampled_from(["tie", "both_bad"]), st.none())
    return st.builds(
        lambda said, told: Comparison(**told, preferred=said[0], strength=said[1]),
        sides | equal,
        st.fixed_dictionaries(fields),
    )


def bare(**fixed) -> st.SearchStrategy[Comparison]:
    """Comparisons that say no more than texts, preference and rater; the rest is as `UNSAID` has it."""
    nothing = {name: st.none() for name in ("source_a", "source_b", "seconds")}
    return comparisons(created=st.just(NOON), source=st.just("a file"), **{**nothing, **fixed})
