"""Game records: SGF FF[4] (Hollosi 2006) read into plain dataclasses, written back, and replayed under our rules.

Only the main line is kept: variations and comments are left out, as are further games of a file.
"""

from __future__ import annotations

import codecs
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from sgfmill import sgf, sgf_grammar, sgf_properties

from foolsgold.environments.go.board import Board, IllegalMove, check_size
from foolsgold.environments.go.rules import BLACK, META, TO_PLAY, WHITE
from foolsgold.errors import UserError

_COLORS = {"b": BLACK, "w": WHITE}
_LETTERS = {BLACK: "b", WHITE: "w"}
_CHARSET = re.compile(rb"(?<![A-Za-z])CA\s*\[\s*([^\]\s]+)\s*\]")


@dataclass(frozen=True)
class GameRecord:
    """One game as it was written down; whether its moves are legal shows in `replay`."""

    size: int
    """Points along one side of the board, N."""
    komi: float | None = None
    """Points for White; None where the record does not say."""
    moves: tuple[tuple[int, int], ...] = ()
    """(color, action) of every move, BLACK or WHITE and y * N + x, or N * N to pass."""
    black_setup: tuple[int, ...] = ()
    """Black stones on the board before the first move, handicap stones among them, as sorted actions."""
    white_setup: tuple[int, ...] = ()
    """White stones on the board before the first move, as sorted actions."""
    to_play: int = BLACK
    """BLACK or WHITE: who moves first."""
    handicap: int = 0
    """Number of handicap stones that the record states; the stones themselves are in `black_setup`."""
    result: str | None = None
    """As written, such as `B+3.5`, `W+Resign`, `0` or `Void`."""
    black_name: str | None = None
    white_name: str | None = None
    source: str = field(default="game record", compare=False)
    """Where the record comes from, for messages."""


def read_game(data: str | bytes, source: str = "SGF") -> GameRecord:
    """The main line of the first game in `data`.

    Bytes are decoded as their CA property says; without one as UTF-8, or as ISO-8859-1 (the default of SGF) where that
    fails. `source` names the data in messages.

    Raises:
      UserError: not SGF, cut short, not Go, a board size or encoding that is not supported, or a malformed property.
    """
    text = data if isinstance(data, str) else _decode(data, source)
    try:
        tree = sgf_grammar.parse_sgf_game(text.encode("utf-8", "replace"))
    except ValueError as error:
        raise UserError(f"{source}: no complete SGF game ({error}); save or download the file again as SGF") from error
    size = _check_header(tree.sequence[0], source)
    game = sgf.Sgf_game.from_coarse_game_tree(tree, override_encoding="UTF-8")
    root = game.get_root()
    return replace(
        _read_nodes(game, size, source),
        komi=_read_komi(root, source),
        handicap=_read_handicap(root, source),
        result=_read_text(root, "RE"),
        black_name=_read_text(root, "PB"),
        white_name=_read_text(root, "PW"),
    )


def _decode(data: bytes, source: str) -> str:
    # The whole file is decoded before it is parsed: in Shift-JIS and Big5 the second byte of a character may be `]`.
    declared = _CHARSET.search(data)
    if declared is None:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("iso-8859-1")
    name = declared[1].decode("ascii", "replace")
    try:
        codecs.lookup(name)
        return data.decode(name)
    except (LookupError, ValueError) as error:
        raise UserError(
            f"{source}: the text is not in its encoding CA[{name}]; save it as UTF-8 with CA[UTF-8]"
        ) from error


def _check_header(root: dict[str, list[bytes]], source: str) -> int:
    """The board size, once the root node describes a game of Go that we can play."""
    game_type = root.get("GM", [b"1"])[0].strip()
    if game_type != b"1":
        raise UserError(f"{source}: GM[{_show(game_type)}] is another game; only Go, GM[1], can be read")
    written = root.get("SZ", [b"19"])[0]
    try:
        return check_size(int(written))
    except ValueError as error:
        raise UserError(
            f"{source}: board size SZ[{_show(written)}] is not supported; use square boards of 5 to 19"
        ) from error


def _show(raw: bytes) -> str:
    """Raw bytes of a property as one short line."""
    text = " ".join(raw.decode("utf-8", "replace").split())
    return text if len(text) <= 20 else text[:20] + "…"


def _read_text(root: sgf.Node, name: str) -> str | None:
    return (root.get(name).strip() or None) if root.has_property(name) else None


def _read_komi(root: sgf.Node, source: str) -> float | None:
    raw = root.get_raw("KM").strip() if root.has_property("KM") else b""
    if not raw:
        return None
    try:
        komi = float(raw)
    except ValueError:
        komi = math.nan
    if not math.isfinite(komi):
        raise UserError(f"{source}: komi KM[{_show(raw)}] is not a number; write it like KM[7.5]")
    return komi


def _read_handicap(root: sgf.Node, source: str) -> int:
    raw = root.get_raw("HA").strip() if root.has_property("HA") else b""
    if raw and not raw.isdigit():
        raise UserError(f"{source}: handicap HA[{_show(raw)}] is not a number of stones; write it like HA[2]")
    return int(raw or 0)


def _read_nodes(game: sgf.Sgf_game, size: int, source: str) -> GameRecord:
    """Set-up, first player and moves of the main line."""
    stones: dict[int, int] = {}
    moves: list[tuple[int, int]] = []
    to_play = None
    for node in game.main_sequence_iter():
        if node.has_setup_stones():
            if moves:
                raise UserError(f"{source}: stones are set up after move {len(moves)}; set them up before the first")
            _set_up(node, stones, size, source)
        if node.has_property("PL") and not moves:
            letter = node.get_raw("PL").strip()[:1].decode("ascii", "replace").lower()
            if letter not in _COLORS:
                raise UserError(f"{source}: PL[{_show(node.get_raw('PL'))}] is no player; write PL[B] or PL[W]")
            to_play = _COLORS[letter]
        move = _read_move(node, size, f"{source}: move {len(moves) + 1}")
        if move is not None:
            moves.append(move)
    black = tuple(sorted(action for action, color in stones.items() if color == BLACK))
    white = tuple(sorted(action for action, color in stones.items() if color == WHITE))
    if moves:
        to_play = moves[0][0]
    elif to_play is None:
        to_play = WHITE if black and not white else BLACK  # a handicap
    return GameRecord(size, None, tuple(moves), black, white, to_play, source=source)


def _set_up(node: sgf.Node, stones: dict[int, int], size: int, source: str) -> None:
    """Apply AB, AW and AE of a node to `stones`, action -> color."""
    try:
        black, white, empty = node.get_setup_stones()
    except ValueError as error:
        raise UserError(f"{source}: AB, AW or AE names no point of a {size}x{size} board") from error
    for point in empty:
        stones.pop(_action_of(point, size), None)
    for points, color in ((black, BLACK), (white, WHITE)):
        stones.update((_action_of(point, size), color) for point in points)


def _read_move(node: sgf.Node, size: int, place: str) -> tuple[int, int] | None:
    if node.has_property("B") and node.has_property("W"):
        raise UserError(f"{place}: one node holds a move of both players; put each into its own node")
    letter, raw = node.get_raw_move()
    if letter is None:
        return None
    try:
        point = sgf_properties.interpret_go_point(raw, size)
    except ValueError as error:
        message = f"{place}: {letter.upper()}[{_show(raw)}] is no point of a {size}x{size} board"
        raise UserError(message) from error
    return _COLORS[letter], _action_of(point, size)


def _action_of(point: tuple[int, int] | None, size: int) -> int:
    """sgfmill's (row, column), rows counted from the bottom as in GTP, or None -> our action, rows from the top."""
    if point is None:
        return size * size
    row, column = point
    return (size - 1 - row) * size + column


def _point_of(action: int, size: int) -> tuple[int, int] | None:
    """The inverse of `_action_of`."""
    if action == size * size:
        return None
    y, x = divmod(action, size)
    return size - 1 - y, x


def write_game(record: GameRecord) -> str:
    """The record as SGF text, to be stored as UTF-8."""
    game = sgf.Sgf_game(record.size, encoding="UTF-8")
    root = game.get_root()
    root.set_raw("AP", b"foolsgold")
    texts = {"PB": record.black_name, "PW": record.white_name, "RE": record.result}
    for name, text in texts.items():
        if text is not None:
            root.set(name, text)
    if record.komi is not None:
        root.set("KM", record.komi)
    if record.handicap:
        root.set_raw("HA", str(record.handicap).encode())
    if record.black_setup or record.white_setup:
        black, white = (
            [_point_of(action, record.size) for action in setup] for setup in (record.black_setup, record.white_setup)
        )
        root.set_setup_stones(black, white)
    root.set("PL", _LETTERS[record.to_play])
    node = root
    for color, action in record.moves:
        node = node.new_child()
        node.set_move(_LETTERS[color], _point_of(action, record.size))
    return game.serialise().decode("utf-8")


def read_file(path: str | os.PathLike) -> GameRecord:
    """The main line of the first game in the file.

    Raises:
      UserError: the file cannot be opened, or as `read_game`; the message begins with the path.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give the path of an SGF file") from error
    return read_game(data, str(path))


def read_folder(paths: Iterable[str | os.PathLike]) -> Iterator[GameRecord]:
    """The games of files, and of all `.sgf` files below folders, in the order of their names.

    Raises:
      UserError: a folder holds no such file, or as `read_file`.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            yield read_file(path)
            continue
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() == ".sgf")
        if not files:
            raise UserError(f"{path}: no .sgf file in this folder or below; give a folder with game records")
        yield from map(read_file, files)


def starting_board(record: GameRecord) -> Board:
    """The position before the first move; where the record states no komi, `default_komi` stands in.

    Raises:
      UserError: the stones set up leave a chain without liberty.
    """
    board = Board(record.size, record.komi)
    try:
        board.set_up(list(record.black_setup), list(record.white_setup), record.to_play)
    except IllegalMove as error:
        raise UserError(f"{record.source}: {error}; mend AB and AW") from error
    return board


def replay(record: GameRecord) -> Iterator[Board]:
    """The game position by position: before each move, its player to move, and after the last.

    It is one and the same board all along; copy what is to stay.

    Raises:
      UserError: a move breaks our rules; the message names source, move and rule.
    """
    board = starting_board(record)
    for number, (color, action) in enumerate(record.moves, 1):
        board.state[META, TO_PLAY] = color
        yield board
        try:
            board.play(action)
        except IllegalMove as error:
            player = "Black" if color == BLACK else "White"
            message = f"{record.source}: move {number} of {player}: {error}; mend the record or leave it out"
            raise UserError(message) from error
    yield board
