"""Pairs of game records and the comparisons of their boards."""

from dataclasses import replace

import numpy as np
import pytest
from comparison_strategies import NOON, UNSAID

from foolsgold.environments.go.board import Board
from foolsgold.environments.go.sgf import read_game
from foolsgold.errors import UserError
from foolsgold.labels.board_comparisons import board_texts
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange.rows import Notes
from foolsgold.labels.exchange.sgf_pairs import pair_texts, read_sgf_judgements, read_sgf_pairs, write_sgf_pairs

A = "(;GM[1]SZ[5];B[cc];W[bc])"
B = "(;GM[1]SZ[5];B[aa];W[ee];B[ab])"
TEXT_A = "...../...../.OX../...../..... 0-0"
TEXT_B = "X..../X..../...../...../....O 0-0"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "first-a.sgf").write_text(A)
    (tmp_path / "first-b.sgf").write_text(B)
    return tmp_path


def test_boards_at_the_end_and_after_some_moves(folder):
    (pair,) = read_sgf_pairs(folder)
    prompt = "Go 5x5, move {}: which board do you like better?"
    assert pair_texts(pair) == (prompt.format("2 and 3"), TEXT_A, TEXT_B)
    assert pair_texts(pair, 1) == (
        prompt.format(1),
        "...../...../..X../...../..... 0-0",
        "X..../...../...../...../..... 0-0",
    )


def test_judgements_of_pairs(folder):
    rows = [{"pair": "first", "preferred": "b", "rater": "anna"}, {"pair": "first", "preferred": "tie", "move": "0"}]
    first, second = read_sgf_judgements(read_sgf_pairs(folder), rows, UNSAID, Notes())
    assert (first.a, first.b, first.preferred, first.rater) == (TEXT_A, TEXT_B, "b", "anna")
    assert second.a == second.b == "...../...../...../...../..... 0-0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "first-b.sgf").unlink(), r"first-a.sgf: pairs are files"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "pairs are files NAME-a.sgf and NAME-b.sgf"),
        (lambda folder: (folder / "first-b.sgf").write_text("(;GM[1]SZ[9])"), "5x5, but .* another size"),
        (lambda folder: (folder / "first-b.sgf").write_text("(;GM[1]SZ[5];B[cc];W[cc])"), "move 2 of White"),
    ],
)
def test_folders_without_whole_pairs_are_refused(folder, change, message):
    change(folder)
    with pytest.raises(UserError, match=message):
        list(read_sgf_judgements(read_sgf_pairs(folder), [{"pair": "first", "preferred": "a"}], UNSAID, Notes()))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"pair": "second", "preferred": "a"}, "no records second-a.sgf"),
        ({"pair": "first", "preferred": "a", "move": 3}, "first-a.sgf has 2 moves"),
    ],
)
def test_judgements_of_nothing_are_refused(folder, row, message):
    with pytest.raises(UserError, match=message):
        list(read_sgf_judgements(read_sgf_pairs(folder), [row], UNSAID, Notes()))


def played(seed: int, moves: int) -> Board:
    """A board of random legal moves."""
    rng = np.random.default_rng(seed)
    board = Board(7)
    for _ in range(moves):
        board.play(int(rng.choice(np.flatnonzero(board.legal_actions()[:-1]))))
    return board


@pytest.mark.parametrize("seed", range(5))
def test_boards_come_back(tmp_path, seed):
    texts = board_texts(np.stack([played(2 * seed + side, 12 + seed).state for side in (0, 1)]))
    stones = [text.split(" ")[0] + " 0-0" for text in texts]
    one = Comparison("Which board?", *stones, "a", "anna", NOON, {"study": "go"}, "base", "rl", 2.5, 1)
    said = [one, replace(one, rater="bob", preferred="both_bad", strength=None)]
    files, rows = write_sgf_pairs(said, notes := Notes())
    assert sorted(files) == ["0001-a.sgf", "0001-b.sgf"]
    for name, sgf in files.items():
        (tmp_path / name).write_text(sgf, encoding="utf-8")
    assert list(read_sgf_judgements(read_sgf_pairs(tmp_path), rows, UNSAID, notes)) == said
    assert notes.lines == []


def test_what_sgf_cannot_hold_is_said():
    boards = Comparison("p", TEXT_A, TEXT_B.replace("0-0", "2-0"), "a", "anna", NOON, "a file")
    others = [replace(boards, b=text) for text in ("A poem.", "X./.. 0-0", "XXXXX/" * 4 + "XXXXX 0-0", "...../.. 0-0")]
    files, rows = write_sgf_pairs([boards, *others], notes := Notes())
    assert len(rows) == 1
    assert read_game(files["0001-b.sgf"]).black_setup == (0, 5)
    assert notes.lines == [
        "left out: 4 comparisons are not of Go boards",
        "changed: 1 boards with prisoners, of which SGF's set-up knows nothing",
    ]
