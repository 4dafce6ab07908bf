"""Plain data as text: all of it comes back, and nothing else does."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foolsgold.rewards.sandbox_values import DEPTH, dumps, loads

keys = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.tuples(st.integers(), st.text()),
    st.frozensets(st.integers()),
)
plain = st.recursive(
    keys | st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 3)),
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.dictionaries(keys, inner), st.sets(keys), st.frozensets(keys)
    ),
)


@settings(max_examples=30, deadline=None)
@given(plain)
def test_plain_data_comes_back_with_its_classes(value):
    back = loads(dumps(value))
    assert back == value
    assert repr(type(back)) == repr(type(value))
    assert "\n" not in dumps(value)


def test_numbers_at_the_edges():
    values = [-0.0, math.inf, -math.inf, 5e-324, 1 << 63, -(1 << 63), 3**40_000, True, 1, 1.0]
    back = loads(dumps(values))
    assert back == values
    assert [type(each) for each in back] == [type(each) for each in values]
    assert math.copysign(1, back[0]) == -1
    assert math.isnan(loads(dumps(math.nan)))


def test_instances_of_subclasses_come_back_as_the_plain_class():
    class Liar(str):
        def __eq__(self, other):
            return True

        def __str__(self):
            return "something else"

        __hash__ = str.__hash__

    class Ones(list):
        def __iter__(self):
            return iter([1, 1])

    class Big(int):
        def __repr__(self):
            return "10"

    assert type(loads(dumps(Liar("a")))) is str
    assert loads(dumps(Liar("a"))) == "a"
    assert loads(dumps(Ones([2]))) == [2]
    assert loads(dumps(Big(7))) == 7


@pytest.mark.parametrize("value", [object(), len, (i for i in [1]), [{"a": iter([])}], type, ...])
def test_other_objects_are_refused(value):
    with pytest.raises(TypeError, match="no plain data"):
        dumps(value)


def test_what_contains_itself_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(ValueError, match=f"more than {DEPTH}"):
        dumps(endless)


@pytest.mark.parametrize(
    "text",
    [
        '{"os.system": ["true"]}',
        '{"int": "0x1", "float": 2}',
        '{"set": [[]]}',
        '{"dict": [[1, 2, 3]]}',
        '{"bytes": 3}',
        '{"complex": ["a"]}',
        '{"tuple": 3}',
        "{}",
        "nothing",
        "[" * 100_000,
        "1" * 10_000,
    ],
)
def test_texts_that_are_no_values_are_refused(text):
    with pytest.raises(ValueError, match="no plain data"):
        loads(text)


def test_keys_that_all_share_a_hash_are_refused():
    # Python's integers hash modulo 2^61 - 1, so these all hash to 0: 40,000 of them would keep a set busy for minutes.
    colliding = ",".join(str(i * (2**61 - 1)) for i in range(1, 40_000))
    for text in (f'{{"set":[{colliding}]}}', f'{{"dict":[[{colliding.replace(",", ",0],[")},0]]}}'):
        with pytest.raises(ValueError, match="same hash"):
            loads(text)
