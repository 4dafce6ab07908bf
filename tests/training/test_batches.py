import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.training.batches import batch_indices, epoch_order, length_grouped, pack, pad_pairs, truncated


def test_texts_are_packed_with_an_end_after_each():
    packed = pack([[1, 2, 3], [], [4], [5, 6]], block=4, eos=9)
    # 1 2 3 9 | 9 4 9 5 | 6 9 is left over
    np.testing.assert_array_equal(packed, [[1, 2, 3, 9], [9, 4, 9, 5]])
    assert packed.dtype == np.int32


@pytest.mark.parametrize("texts", [[], [[1, 2]]])
def test_texts_too_short_for_a_block_are_refused(texts):
    with pytest.raises(UserError, match="too few for one block of 4"):
        pack(texts, block=4, eos=9)


def test_a_padded_batch_written_out():
    batch = pad_pairs([([1, 2], [3, 4, 5]), ([6], [7])], pad=0)
    assert batch.tokens.tolist() == [[1, 2, 3, 4, 5], [6, 7, 0, 0, 0]]
    assert batch.tokens.dtype == torch.int64
    assert batch.prompt_lengths.tolist() == [2, 1]
    assert batch.lengths.tolist() == [5, 2]
    # Targets of the first row are 2 3 4 5, of the second 7 and padding.
    assert batch.completion_mask.tolist() == [[False, True, True, True], [True, False, False, False]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert batch.to("meta").tokens.device.type == "meta"


def test_the_first_token_of_all_is_nobodys_target():
    batch = pad_pairs([([], [7, 8])], pad=0)
    assert batch.completion_mask.tolist() == [[True]]


ids = st.lists(st.integers(1, 99), max_size=12)


@settings(deadline=None)
@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=5), st.integers(2, 20))
def test_the_mask_picks_the_completions_tokens(pairs, max_length):
    batch = pad_pairs(pairs, pad=0, max_length=max_length)
    assert batch.tokens.shape[1] <= max_length
    for row, mask, pair in zip(batch.tokens, batch.completion_mask, pairs, strict=True):
        prompt, completion = truncated(*pair, max_length)
        assert row[1:][mask].tolist() == (completion if prompt else completion[1:])


@pytest.mark.parametrize(
    ("max_length", "expected"),
    [
        (None, ([1, 2, 3], [4, 5, 6])),
        (6, ([1, 2, 3], [4, 5, 6])),
        (5, ([2, 3], [4, 5, 6])),
        (4, ([3], [4, 5, 6])),
        (3, ([3], [4, 5])),
        (2, ([3], [4])),
    ],
)
def test_prompts_are_cut_from_the_left_and_then_completions_from_the_right(max_length, expected):
    assert truncated([1, 2, 3], [4, 5, 6], max_length) == expected


def test_without_a_prompt_the_completion_has_all_the_room():
    assert truncated([], [4, 5, 6], 2) == ([], [4, 5])


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 25), st.integers(0, 5))
def test_each_row_comes_once_an_epoch(n, batch, seed):
    steps = -(-3 * n // batch)
    rows = np.concatenate([batch_indices(n, batch, step, seed) for step in range(steps)])[: 3 * n]
    for epoch in rows.reshape(3, n):
        assert sorted(epoch) == list(range(n))


def test_a_step_follows_from_its_number_alone():
    forward = [batch_indices(1000, 32, step, seed=1).tolist() for step in range(70)]
    epoch_order.cache_clear()
    backward = [batch_indices(1000, 32, step, seed=1).tolist() for step in reversed(range(70))]
    assert forward == backward[::-1]


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(50, 0, 0)[0] = 1


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="no rows"):
        batch_indices(0, 4, 0, seed=0)


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 9), st.integers(1, 4), st.integers(0, 3))
def test_grouped_orders_are_permutations(n, batch, window, epoch):
    lengths = np.random.default_rng(n).integers(1, 100, n)
    order = length_grouped(lengths, batch, window)
    assert sorted(order(n, 0, epoch)) == list(range(n))


def test_grouped_batches_are_those_of_the_sorted_lengths():
    """With one window over all rows, the batches of 4 rows are the quarters of the lengths, in any order."""
    order = length_grouped(np.arange(16) * 10, batch=4)
    batches = [sorted(batch_indices(16, 4, step, seed=3, order=order).tolist()) for step in range(4)]
    assert sorted(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]


def test_grouping_saves_padding_in_later_epochs_too():
    n, batch = 1003, 16  # batches and epochs do not end together
    lengths = np.random.default_rng(0).integers(1, 500, n)
    order = length_grouped(lengths, batch)

    def padding(steps, **how):
        rows = [lengths[batch_indices(n, batch, step, 5, **how)] for step in steps]
        return sum(batch * row.max() - row.sum() for row in rows) / sum(row.sum() for row in rows)

    third_epoch = range(2 * n // batch + 1, 3 * n // batch)
    assert padding(third_epoch) > 0.7
    assert padding(third_epoch, order=order) < 0.15


def test_lengths_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="3 lengths for 4 rows"):
        batch_indices(4, 2, 0, 0, order=length_grouped([1, 2, 3], 2))
