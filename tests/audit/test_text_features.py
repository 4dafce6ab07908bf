import pytest

from foolsgold.audit.text_features import (
    LENGTH,
    LINE_BREAKS,
    LIST_MARKS,
    NON_LETTERS,
    REPETITION,
    novelty,
    repetition,
    text_features,
)


def test_repetition_worked_by_hand():
    # Pairs: the-the three times, one of them new.
    assert repetition("the the the the") == pytest.approx(2 / 3)
    assert repetition("The sea, the SEA") == pytest.approx(1 / 3)  # the sea, sea the, the sea
    assert repetition("a b c d") == repetition("word") == repetition("") == 0


def test_formatting_worked_by_hand():
    text = "Plan:\n- one\n2) two\n\n"
    found = {name: values[0, 0] for name, values in text_features([[text]]).items()}
    assert found[LENGTH] == 20
    assert found[LINE_BREAKS] == 2  # the empty ends do not count
    assert found[LIST_MARKS] == 2
    assert found[NON_LETTERS] == 4 / 20  # : - 2 )
    assert found[REPETITION] == 0


def test_an_empty_text_has_nothing():
    assert all(values.tolist() == [[0]] for values in text_features([[""]]).values())


def test_novelty_looks_at_other_prompts_only():
    reference = [["one two three four"], ["one two three"]]
    # Of prompt 0: "one two three" stands under prompt 1 as well, "two three four" under prompt 0 only.
    assert novelty(reference, reference).tolist() == [[0.5], [0]]
    assert novelty([["six seven eight", "too short"], ["", ""]], reference).tolist()[0] == [1, 0]
    assert novelty([["", ""], ["two three four", ""]], reference)[1, 0] == 0
