"""Pairs of game records: `NAME-a.sgf` beside `NAME-b.sgf`, and what people said of the boards they end on.

Boards become the lines of text in which comparisons hold them (`labels.board_comparisons.board_texts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import MAX_SIZE, META, MIN_SIZE, MOVES
from foolsgold.environments.go.sgf import GameRecord, read_file, replay, starting_board, write_game
from foolsgold.errors import UserError
from foolsgold.labels.board_comparisons import board_texts
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange.records import about, record_of
from foolsgold.labels.exchange.rows import Notes, Row, Unsaid, judgement, places, value, whole_of

_BOARD = re.compile(r"[.XO]+(?:/[.XO]+)+ \d+-\d+", re.ASCII)
_SIDE = re.compile(r"(.+)-([ab])", re.DOTALL)


@dataclass(frozen=True)
class SgfPair:
    """Two game records that are to be compared."""

    name: str
    a: GameRecord
    b: GameRecord

    def boards(self, move: int | None = None) -> tuple[Board, Board]:
        """Both positions after `move` moves, by default after all.

        Raises:
          UserError: a record is shorter, its moves break our rules, or the boards differ in size.
        """
        if self.a.size != self.b.size:
            raise UserError(f"{self.a.source}: {self.a.size}x{self.a.size}, but {self.b.source} is of another size")
        return position(self.a, move), position(self.b, move)


def position(record: GameRecord, move: int | None = None) -> Board:
    """The board after `move` moves, by default after all.

    Raises:
      UserError: the record is shorter, or its moves break our rules.
    """
    number = len(record.moves) if move is None else move
    if not 0 <= number <= len(record.moves):
        raise UserError(f"{record.source} has {len(record.moves)} moves; there is no position after {number}")
    return next(islice(replay(record), number, None)).copy()


def read_sgf_pairs(folder: Path) -> list[SgfPair]:
    """The pairs of a folder, in the order of their names.

    Raises:
      UserError: there are none, one has no counterpart, or a file is no record of Go.
    """
    sides: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("*.sgf")):
        if named := _SIDE.fullmatch(path.stem):
            sides.setdefault(named[1], {})[named[2]] = path
    alone = next((path for pair in sides.values() if len(pair) < 2 for path in pair.values()), None)
    if alone is not None or not sides:
        raise UserError(f"{alone or folder}: pairs are files NAME-a.sgf and NAME-b.sgf side by side; one is missing")
    return [SgfPair(name, read_file(pair["a"]), read_file(pair["b"])) for name, pair in sides.items()]


def pair_texts(pair: SgfPair, move: int | None = None) -> tuple[str, str, str]:
    """(prompt, a, b) of a pair's boards.

    Raises:
      UserError: see `SgfPair.boards`.
    """
    boards = pair.boards(move)
    a, b = board_texts(np.stack([board.state for board in boards]))
    moves = sorted({int(board.state[META, MOVES]) for board in boards})
    after = " and ".join(map(str, moves))
    return f"Go {pair.a.size}x{pair.a.size}, move {after}: which board do you like better?", a, b


def read_sgf_judgements(
    pairs: Iterable[SgfPair], rows: Sequence[Row], unsaid: Unsaid, notes: Notes
) -> Iterator[Comparison]:
    """Judgements of pairs: rows with `pair`, its name, and `preferred`, and what else records have.

    A column `move` says after how many moves the boards were looked at, `prompt` what was asked.

    Raises:
      UserError: a row names no pair, or a value does not fit.
    """
    known = {pair.name: pair for pair in pairs}
    for place, row in places(rows):
        name = str(value(row, "pair", place))
        if name not in known:
            raise UserError(f"{place}: there are no records {name}-a.sgf and {name}-b.sgf")
        prompt, a, b = pair_texts(known[name], whole_of(row.get("move"), place))
        asked, preferred = row.get("prompt") or prompt, value(row, "preferred", place)
        yield judgement(place, unsaid, asked, (a, b), preferred, **about(row, place))


def write_sgf_pairs(comparisons: Iterable[Comparison], notes: Notes) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """(SGF by the name of its file, judgements): the stones of each board as set-up.

    SGF cannot say how many prisoners were taken before; where there were any it is noted.
    """
    names: dict[tuple[str, str], str] = {}
    files: dict[str, str] = {}
    rows = []
    for comparison in comparisons:
        boards = (comparison.a, comparison.b)
        if boards not in names:
            try:
                sgf = [write_game(record_of_board(text)) for text in boards]
            except UserError:
                notes.left_out["comparisons are not of Go boards"] += 1
                continue
            name = names[boards] = f"{len(names) + 1:04d}"
            files |= {f"{name}-{side}.sgf": text for side, text in zip("ab", sgf, strict=True)}
        if not all(text.endswith(" 0-0") for text in boards):
            notes.changed["boards with prisoners, of which SGF's set-up knows nothing"] += 1
        record = record_of(comparison)
        rows.append({"pair": names[boards], **{key: told for key, told in record.items() if key not in ("a", "b")}})
    return files, rows


def record_of_board(text: str) -> GameRecord:
    """A record without moves, whose set-up is the board that `text` shows.

    Raises:
      UserError: `text` is no board of a size that we play on, or a chain has no liberty.
    """
    rows = text.split(" ")[0].split("/")
    square = MIN_SIZE <= len(rows) <= MAX_SIZE and all(len(row) == len(rows) for row in rows)
    if not _BOARD.fullmatch(text) or not square:
        raise UserError(f"{text:.60} is no board of {MIN_SIZE}x{MIN_SIZE} to {MAX_SIZE}x{MAX_SIZE} points")
    black, white = (tuple(i for i, sign in enumerate("".join(rows)) if sign == color) for color in "XO")
    record = GameRecord(len(rows), black_setup=black, white_setup=white, source="board")
    starting_board(record)
    return record
