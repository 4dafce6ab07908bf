"""SGF: hand-made files in, plain records out, and one clear line for every file that cannot be read."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.environments.go.sgf import GameRecord, read_file, read_folder, read_game, replay, write_game
from foolsgold.errors import UserError

CORNERS = "(;GM[1]FF[4]SZ[9]KM[7.5];B[aa];W[ia];B[ai];W[ii];B[eb];W[])"

SERVER_STYLE = """(;GM[1]FF[4]CA[UTF-8]AP[CGoban:3]ST[2]
RU[Japanese]SZ[19]HA[2]KM[0.50]TM[1800]OT[5x30 byo-yomi]
PW[alice \\[9d\\]]PB[böb]WR[9d]BR[7d]DT[2012-03-04]RE[W+Resign]
AB[dd][pp]
;W[dp]WL[1795.5]C[hello: \\] (;B[aa\\])]
;B[pd]BL[1790]
(;W[qf];B[nd])
(;W[qc];B[tt]))
(;GM[1]SZ[9];B[aa])"""


def test_aa_is_the_top_left_corner():
    record = read_game(CORNERS)
    assert record.size == 9
    assert record.komi == 7.5
    assert record.moves == ((BLACK, 0), (WHITE, 8), (BLACK, 72), (WHITE, 80), (BLACK, 13), (WHITE, 81))
    *_, board = replay(record)
    rows = str(board).splitlines()
    assert rows[0].split() == ["9", "X", ".", ".", ".", ".", ".", ".", ".", "O"]
    assert rows[1].split() == ["8", ".", ".", ".", ".", "X", ".", ".", ".", "."]
    assert rows[8].split() == ["1", "X", ".", ".", ".", ".", ".", ".", ".", "O"]


def test_a_game_as_servers_write_it():
    """The first branch of the first game, escapes resolved, comments left out."""
    record = read_game(SERVER_STYLE)
    assert record == GameRecord(
        size=19,
        komi=0.5,
        moves=((WHITE, 15 * 19 + 3), (BLACK, 3 * 19 + 15), (WHITE, 5 * 19 + 16), (BLACK, 3 * 19 + 13)),
        black_setup=(3 * 19 + 3, 15 * 19 + 15),
        to_play=WHITE,
        handicap=2,
        result="W+Resign",
        black_name="böb",
        white_name="alice [9d]",
    )


@pytest.mark.parametrize(
    ("size", "move", "action"),
    [(9, "tt", 81), (19, "tt", 361), (9, "", 81), (19, "ss", 360), (9, "ii", 80)],
)
def test_tt_and_nothing_are_passes(size, move, action):
    assert read_game(f"(;GM[1]SZ[{size}];B[{move}])").moves == ((BLACK, action),)


@pytest.mark.parametrize(
    ("km", "komi"), [("", None), ("KM[]", None), ("KM[ 6.5 ]", 6.5), ("KM[-3]", -3.0), ("KM[0]", 0.0)]
)
def test_komi(km, komi):
    assert read_game(f"(;SZ[9]{km};B[aa])").komi == komi


def test_missing_komi_is_that_of_the_board_when_replayed():
    *_, board = replay(read_game("(;SZ[7];B[dd];W[];B[])"))
    assert board.komi == 9.5
    assert board.is_over


def test_size_19_and_game_1_are_the_defaults_of_sgf():
    assert read_game("(;FF[3];B[aa])").size == 19


def test_set_up_stones_rectangles_and_erasure():
    record = read_game("(;SZ[5]AB[aa:bb][ce]AW[ee]PL[W];AE[bb]AW[ea])")
    assert record.black_setup == (0, 1, 5, 22)
    assert record.white_setup == (4, 24)
    assert record.to_play == WHITE
    (board,) = replay(record)
    assert board.to_play == WHITE
    assert board.grid[0].tolist() == [1, 1, 0, 0, 2]


@pytest.mark.parametrize(
    ("text", "to_play"),
    [
        ("(;SZ[9]AB[aa][bb])", WHITE),
        ("(;SZ[9]AB[aa]AW[bb])", BLACK),
        ("(;SZ[9]AB[aa]PL[black])", BLACK),
        ("(;SZ[9];W[aa])", WHITE),
        ("(;SZ[9])", BLACK),
    ],
)
def test_who_moves_first(text, to_play):
    record = read_game(text)
    assert record.to_play == to_play
    assert next(replay(record)).to_play == to_play


def test_a_player_may_move_twice():
    *_, board = replay(read_game("(;SZ[5];B[aa];B[bb];W[cc];W[dd])"))
    assert np.argwhere(board.grid == BLACK).tolist() == [[0, 0], [1, 1]]
    assert np.argwhere(board.grid == WHITE).tolist() == [[2, 2], [3, 3]]


@pytest.mark.parametrize(
    ("encoding", "declared", "name"),
    [
        ("utf-8", "CA[UTF-8]", "囲碁"),
        ("utf-8", "", "böb"),
        ("utf-8-sig", "", "böb"),
        ("iso-8859-1", "", "böb"),
        ("iso-8859-1", "CA[ISO-8859-1]", "böb"),
        ("gb18030", "CA[gb2312]", "古力"),
        ("euc-kr", "CA[EUC-KR]", "이세돌"),
        ("shift_jis", "CA[Shift_JIS]", "表"),  # 0x95 0x5C: the second byte is a backslash
        ("big5", "CA[Big5]", "功"),  # 0xA5 0x5C, likewise
    ],
)
def test_encodings(encoding, declared, name):
    record = read_game(f"(;GM[1]{declared}SZ[9]PB[{name}];B[aa])".encode(encoding))
    assert record.black_name == name
    assert record.moves == ((BLACK, 0),)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", r"no complete SGF game \(no SGF data found\)"),
        ("<html>Not found</html>", "no SGF data found"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "no SGF data found"),
        (CORNERS[:-1], "unexpected end of SGF data"),
        (CORNERS[:40], "unexpected end of SGF data"),
        ("(;GM[2]SZ[8])", r"GM\[2\] is another game; only Go"),
        ("(;GM[1]SZ[3])", r"SZ\[3\] is not supported; use square boards of 5 to 19"),
        ("(;GM[1]SZ[25])", r"SZ\[25\] is not supported"),
        ("(;GM[1]SZ[19:13])", r"SZ\[19:13\] is not supported"),
        ("(;GM[1]SZ[big])", r"SZ\[big\] is not supported"),
        ("(;SZ[9]KM[six])", r"KM\[six\] is not a number"),
        ("(;SZ[9]KM[nan])", r"KM\[nan\] is not a number"),
        ("(;SZ[9]HA[two])", r"HA\[two\] is not a number of stones"),
        ("(;SZ[9]PL[green])", r"PL\[green\] is no player"),
        ("(;SZ[9];B[aa];W[jj])", r"move 2: W\[jj\] is no point of a 9x9 board"),
        ("(;SZ[9];B[E5])", r"move 1: B\[E5\] is no point"),
        ("(;SZ[9];B[aa]W[bb])", "move 1: one node holds a move of both players"),
        ("(;SZ[9]AB[zz])", "names no point of a 9x9 board"),
        ("(;SZ[9];B[aa];AB[bb])", "set up after move 1"),
        (b"(;SZ[9]CA[martian]PB[x])", r"not in its encoding CA\[martian\]"),
        (b"(;SZ[9]CA[UTF-8]PB[b\xf6b])", r"not in its encoding CA\[UTF-8\]"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(data, message):
    with pytest.raises(UserError, match=message) as caught:
        read_game(data, source="games/one.sgf")
    assert str(caught.value).startswith("games/one.sgf: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(;SZ[9];B[aa];W[bb];B[aa])", "g.sgf: move 3 of Black: A9 is taken"),
        ("(;SZ[9];B[ab];W[ee];B[ba];W[aa])", "g.sgf: move 4 of White: A9 is suicide"),
        ("(;SZ[5]AB[ba][ab][bc]AW[bb][ca][db][cc];B[cb];W[bb])", r"g.sgf: move 2 of White: B4 repeats .*superko"),
        ("(;SZ[9];B[];W[];B[aa])", "g.sgf: move 3 of Black: the game is over"),
        ("(;SZ[9]AB[aa]AW[ab][ba])", "g.sgf: .* last liberty .* mend AB and AW"),
    ],
)
def test_illegal_games_name_file_move_and_rule(tmp_path, text, message):
    path = tmp_path / "g.sgf"
    path.write_text(text)
    record = read_file(path)
    with pytest.raises(UserError, match=message) as caught:
        list(replay(record))
    assert "\n" not in str(caught.value)


def test_replay_shows_each_position_before_its_move():
    record = read_game(CORNERS)
    seen = [(board.to_play, board.moves, int((board.grid > 0).sum())) for board in replay(record)]
    assert seen == [
        (BLACK, 0, 0),
        (WHITE, 1, 1),
        (BLACK, 2, 2),
        (WHITE, 3, 3),
        (BLACK, 4, 4),
        (WHITE, 5, 5),
        (BLACK, 6, 5),
    ]


def test_files_and_folders(tmp_path):
    (tmp_path / "b").mkdir()
    for name, komi in (("z.sgf", 1), ("a.SGF", 2), ("b/c.sgf", 3), ("b/readme.txt", 4)):
        (tmp_path / name).write_text(f"(;SZ[9]KM[{komi}];B[aa])")
    assert [record.komi for record in read_folder([tmp_path])] == [2, 3, 1]
    assert [record.komi for record in read_folder([tmp_path / "z.sgf", tmp_path / "b"])] == [1, 3]
    assert next(read_folder([tmp_path / "z.sgf"])).source == str(tmp_path / "z.sgf")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.sgf: No such file or directory; give the path"):
        read_file(tmp_path / "nowhere.sgf")
    with pytest.raises(UserError, match="Is a directory"):
        read_file(tmp_path)
    with pytest.raises(UserError, match=r"no \.sgf file in this folder"):
        list(read_folder([tmp_path]))


names = st.none() | st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)


@st.composite
def records(draw):
    """A random legal game, with set-up stones or without."""
    board = Board(draw(st.integers(5, 19)))
    points = st.lists(st.integers(0, board.size**2 - 1), max_size=6, unique=True)
    black = tuple(sorted(draw(points)))
    board.set_up(list(black), to_play=draw(st.sampled_from([BLACK, WHITE])))
    to_play, moves = board.to_play, []
    for pick in draw(st.lists(st.integers(0, 2**16), max_size=40)):
        if board.is_over:
            break
        legal = np.flatnonzero(board.legal_actions())
        moves.append((board.to_play, int(legal[pick % len(legal)])))
        board.play(moves[-1][1])
    komi = draw(st.none() | st.integers(-200, 200).map(lambda half: half / 2))
    result = draw(st.sampled_from([None, "B+3.5", "W+Resign", "0", "Void"]))
    handicap = draw(st.sampled_from([0, 2]))
    record = GameRecord(
        board.size,
        komi,
        tuple(moves),
        black,
        (),
        to_play,
        handicap,
        result,
        black_name=draw(names),
        white_name=draw(names),
    )
    return record, board


@settings(max_examples=60, deadline=None)
@given(records())
def test_what_is_written_is_read_back(case):
    record, board = case
    text = write_game(record)
    assert read_game(text) == record
    assert read_game(text.encode("utf-8")) == record
    *_, replayed = replay(record)
    assert np.array_equal(replayed.grid, board.grid)
    assert replayed.captures == board.captures


def test_white_stones_set_up_are_written_too():
    record = GameRecord(9, 6.5, ((BLACK, 3),), black_setup=(0, 2), white_setup=(80,))
    assert read_game(write_game(record)) == record


def test_the_text_that_is_written():
    text = write_game(GameRecord(9, 7.5, ((BLACK, 0), (WHITE, 81)), result="B+3.5", black_name="a]b"))
    assert text.startswith("(;FF[4]")
    for part in ("GM[1]", "SZ[9]", "CA[UTF-8]", "KM[7.5]", "RE[B+3.5]", r"PB[a\]b]", ";B[aa];W[tt])"):
        assert part in text.replace("\n", "")  # lines are wrapped


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=60) | st.text("(;)[]\\BWASZKMGPLHCE0123456789aij:\n", max_size=60),
    st.integers(0, len(CORNERS)),
    st.integers(0, 8),
)
@example(b"", len(CORNERS), 0)
def test_damaged_files_are_a_users_error_and_nothing_worse(noise, at, cut):
    data = noise if isinstance(noise, bytes) else noise.encode()
    damaged = CORNERS[:at].encode() + data + CORNERS[at + cut :].encode()
    message = ""
    try:
        list(replay(read_game(damaged)))
    except UserError as error:
        message = str(error)
    assert "\n" not in message
