"""Boards drawn as text, for every test of Go."""

from collections.abc import Callable

import pytest

from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK


def board_from(art: str, to_play: int = BLACK, komi: float = 0.0) -> Board:
    """The board that `art` draws: X Black, O White, . empty; one line a row, the top row first."""
    rows = [line.split() for line in art.strip().splitlines()]
    size = len(rows)
    assert all(len(row) == size for row in rows), "the drawing is not square"
    marks = [mark for row in rows for mark in row]
    board = Board(size, komi)
    black = [action for action, mark in enumerate(marks) if mark == "X"]
    white = [action for action, mark in enumerate(marks) if mark == "O"]
    board.set_up(black, white, to_play)
    return board


@pytest.fixture(scope="session")
def draw() -> Callable[..., Board]:
    return board_from


@pytest.fixture(scope="session")
def play_names() -> Callable[[Board, str], None]:
    """Plays moves by name, the colours taking turns: `play_names(board, "D4 pass E5")`."""

    def play(board: Board, names: str) -> None:
        for name in names.split():
            board.play(board.action_of(name))

    return play
