"""Generated inputs: of the right types, the same each time, and near what methods look for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.rewards.verifiers.java_inputs import InputMaker
from foolsgold.rewards.verifiers.java_types import Signature, encode, java_type

SCALARS = ["int", "long", "short", "byte", "char", "boolean", "float", "double", "String", "Integer", "Double"]
TYPES = [
    *SCALARS,
    *(f"{each}[]" for each in SCALARS),
    *("int[][]", "char[][]", "boolean[][]", "String[][]", "int[][][]"),
    *("List<Integer>", "ArrayList<String>", "List<List<Integer>>", "List<int[]>", "Deque<Character>"),
    *("Set<Integer>", "TreeSet<String>", "Set<List<Integer>>", "Map<String, Integer>", "Map<Integer, List<String>>"),
    *("StringBuilder", "java.math.BigInteger", "T", "List"),
]


def maker(*types, names=None, **settings):
    names = names or tuple(f"x{i}" for i in range(len(types)))
    return InputMaker(Signature(java_type("void"), tuple(map(java_type, types)), tuple(names)), **settings)


@given(types=st.lists(st.sampled_from(TYPES), max_size=4), seed=st.integers(0, 2**32), mild=st.booleans())
def test_every_input_is_of_its_type(types, seed, mild):
    for call in maker(*types, seed=seed, literals=[10**30, 2.5, "ab", "z", -1], largest=9 if mild else None).calls(20):
        for value, name in zip(call, types, strict=True):
            encode(value, java_type(name))  # raises where it is not


@given(types=st.lists(st.sampled_from(TYPES), max_size=4), seed=st.integers(0, 2**32))
def test_a_seed_gives_the_same_inputs(types, seed):
    assert repr(maker(*types, seed=seed).calls(9)) == repr(maker(*types, seed=seed).calls(9))


@given(types=st.lists(st.sampled_from(TYPES), max_size=4), seed=st.integers(0, 2**32))
def test_mild_inputs_have_small_numbers_and_plain_letters(types, seed):
    def scalars(value):
        if isinstance(value, dict):
            return [each for pair in value.items() for part in pair for each in scalars(part)]
        if isinstance(value, (list, tuple, set)):
            return [each for part in value for each in scalars(part)]
        return [value]

    for value in scalars(maker(*types, seed=seed, largest=50).calls(20)):
        assert value.isascii() if isinstance(value, str) else abs(value) <= 50


@pytest.mark.parametrize(
    ("type_", "wanted"),
    [
        ("int", [0, 1, -1, 2**31 - 1, -(2**31)]),
        ("long", [2**63 - 1, -(2**63)]),
        ("byte", [127, -128]),
        ("double", [float("inf"), 0.0]),
        ("int[]", [[], [0]]),
        ("String", [""]),
    ],
)
def test_edges_are_among_them(type_, wanted):
    found = [call[0] for call in maker(type_, seed=1).calls(2000)]
    assert all(each in found for each in wanted)


def test_arrays_are_sorted_repeated_and_letters_go_beyond_ascii():
    arrays = [call[0] for call in maker("int[]", seed=2).calls(300) if len(call[0]) > 3]
    assert any(each == sorted(each) and len(set(each)) > 3 for each in arrays)
    assert any(each == sorted(each, reverse=True) and len(set(each)) > 3 for each in arrays)
    assert any(len(set(each)) < len(each) / 2 for each in arrays)
    assert any(min(each) < 0 < max(each) for each in arrays)
    texts = [call[0] for call in maker("String", seed=2).calls(300)]
    assert any(not each.isascii() for each in texts)
    assert any(each == each[::-1] and len(each) > 3 for each in texts)


def test_sizes_literals_and_elements_are_met():
    calls = maker("int[]", "int", names=("a", "n"), seed=3).calls(300)
    assert sum(len(a) == n for a, n in calls) > 150
    calls = maker("int[]", "int", names=("a", "wanted"), seed=3).calls(300)
    assert sum(wanted in a for a, wanted in calls) > 60
    assert any(call[0] == 4711 for call in maker("int", seed=3, literals=[4711]).calls(100))
    assert any(call[0] == "open sesame" for call in maker("String", seed=3, literals=["open sesame"]).calls(100))
