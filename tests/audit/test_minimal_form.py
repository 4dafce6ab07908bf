"""Delta debugging keeps what is needed and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foolsgold.audit.minimal_form import minimal_form


def first_by(holds):
    return lambda tries: next((i for i, parts in enumerate(tries) if holds(parts)), None)


@given(st.integers(1, 30), st.data())
def test_what_is_needed_is_what_stays(count, data):
    needed = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    assert minimal_form(range(count), first_by(lambda parts: needed <= set(parts))) == sorted(needed)


@given(st.integers(2, 12), st.integers(0, 2**12 - 1), st.integers(1, 4))
def test_no_single_part_can_be_taken_away_whatever_holds(count, salt, rarity):
    """A predicate without rhyme or reason, true of the whole."""

    def holds(parts):
        return len(parts) == count or hash((salt, *parts)) % (rarity + 1) == 0

    kept = minimal_form(range(count), first_by(holds))
    assert holds(kept)
    assert len(kept) == 1 or not any(holds(kept[:i] + kept[i + 1 :]) for i in range(len(kept)))


def test_one_part_stays():
    assert len(minimal_form("abcdef", first_by(lambda parts: True))) == 1
