from dataclasses import fields

import numpy as np
import pytest
import torch

from foolsgold.environments.go import rules
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.features import BINARY_PLANES, policy_planes
from foolsgold.training.replay import Positions, Replay, make_batch, turned

SIZE = 5


def numbered(first: int, count: int) -> Positions:
    """Positions whose result is their number."""
    return Positions(
        binary=np.zeros((count, BINARY_PLANES, SIZE, SIZE), np.uint8),
        scalars=np.zeros((count, 2), np.float32),
        policy=np.zeros((count, SIZE * SIZE + 1), np.float16),
        result=np.arange(first, first + count, dtype=np.float32),
        margin=np.zeros(count, np.float32),
        ownership=np.zeros((count, SIZE * SIZE), np.int8),
    )


def turn_point(y: int, x: int, symmetry: int) -> tuple[int, int]:
    """Where a point goes: mirrored from 4 on, then quarter turns against the clock."""
    if symmetry >= 4:
        x = SIZE - 1 - x
    for _ in range(symmetry % 4):
        y, x = SIZE - 1 - x, y
    return y, x


def recorded(moves: list[tuple[int, int]]) -> np.ndarray:
    """The binary planes after `moves`."""
    board = Board(SIZE, 6.5)
    for y, x in moves:
        board.play(y * SIZE + x)
    planes = np.zeros((12, SIZE, SIZE), np.float32)
    policy_planes(board.state, board.legal_actions(), 6.5, np.zeros(rules.state_points(SIZE), np.uint16), planes)
    return planes


@pytest.mark.parametrize("symmetry", range(8))
def test_a_turned_example_is_the_example_of_the_turned_game(symmetry):
    game = [(0, 1), (0, 0), (1, 0), (3, 3), (4, 2), (2, 3)]  # Black takes the corner: a capture and an asymmetric board
    here, there = recorded(game), recorded([turn_point(y, x, symmetry) for y, x in game])
    rng = np.random.default_rng(symmetry)
    policy = rng.random(SIZE * SIZE + 1).astype(np.float16)
    ownership = rng.integers(-1, 2, SIZE * SIZE).astype(np.int8)
    batch = make_batch(
        Positions(
            binary=here[None, :BINARY_PLANES].astype(np.uint8),
            scalars=here[None, BINARY_PLANES + 1 :, 0, 0],
            policy=policy[None],
            result=np.array([1], np.float32),
            margin=np.array([-3.5], np.float32),
            ownership=ownership[None],
        ),
        symmetry,
    )
    np.testing.assert_array_equal(batch.planes[0].numpy(), there)
    for y in range(SIZE):
        for x in range(SIZE):
            ty, tx = turn_point(y, x, symmetry)
            assert batch.policy[0, ty * SIZE + tx] == policy[y * SIZE + x]
            assert batch.ownership[0, ty * SIZE + tx] == ownership[y * SIZE + x]
    assert batch.policy[0, -1] == policy[-1]
    assert (batch.result.item(), batch.margin.item()) == (1, -3.5)


def test_the_eight_symmetries_are_eight():
    board = torch.arange(9).reshape(3, 3)
    assert len({tuple(turned(board, s).flatten().tolist()) for s in range(8)}) == 8
    assert torch.equal(turned(board, 0), board)


def test_the_window_keeps_the_newest_and_drops_whole_chunks():
    replay = Replay(window=10)
    assert [replay.add(numbered(4 * i, 4)) for i in range(3)] == [0, 0, 0]
    assert len(replay) == 12  # without the oldest chunk, 8 would be fewer than the window asks for
    assert replay.add(numbered(12, 4)) == 1
    assert replay.chunks[0].result[0] == 4
    assert replay.add(numbered(16, 30)) == 3  # one chunk that fills the window alone
    assert len(replay) == 30


def test_a_chunk_larger_than_the_window_stays_whole():
    replay = Replay(window=10)
    assert replay.add(numbered(0, 25)) == 0
    assert len(replay) == 25


def test_sampling_is_uniform_over_chunks_of_any_length():
    replay = Replay(window=1000)
    first = 0
    for count in (1, 7, 0, 30, 2):
        replay.add(numbered(first, count))
        first += count
    rng = np.random.default_rng(0)
    drawn = np.concatenate([replay.sample(500, rng).result for _ in range(40)]).astype(int)
    counts = np.bincount(drawn, minlength=40)
    assert len(counts) == 40
    assert ((counts - 500) ** 2 / 500).sum() < 72  # chi-squared with 39 degrees of freedom, 0.1 %


def test_sampling_draws_whole_rows_and_repeats_with_its_generator():
    replay = Replay(window=100)
    for first in (0, 10):
        chunk = numbered(first, 10)
        chunk.margin[:] = 2 * chunk.result
        chunk.binary[:] = chunk.result[:, None, None, None]
        replay.add(chunk)
    once, again = (replay.sample(16, np.random.default_rng(4)) for _ in range(2))
    assert len(once) == 16
    np.testing.assert_array_equal(once.result, again.result)
    np.testing.assert_array_equal(once.margin, 2 * once.result)
    np.testing.assert_array_equal(once.binary[:, 3, 2, 1], once.result)


def test_tensors_bring_positions_back():
    positions = numbered(3, 4)
    back = Positions.from_tensors(positions.tensors())
    for f in fields(Positions):
        one, other = getattr(positions, f.name), getattr(back, f.name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
