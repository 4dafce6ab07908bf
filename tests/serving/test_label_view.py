"""What the page is told of a place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from foolsgold.labels.labelling import Display, Place
from foolsgold.serving.labelling_view import view


def place(
    display: Display, left: str, right: str, prompt: str = "Asked", swapped: bool = False, **details: Any
) -> Place:
    return Place(7, 3, prompt, left, right, display, details, swapped, datetime(2026, 1, 1, tzinfo=UTC))


def test_texts_are_told_as_they_are():
    told = view(place("text", "<b>one</b>", "two"))
    assert told == {
        "id": 7,
        "display": "text",
        "prompt": {"kind": "text", "text": "Asked"},
        "left": {"kind": "text", "text": "<b>one</b>"},
        "right": {"kind": "text", "text": "two"},
    }


def test_nothing_tells_which_candidate_was_stored_first_or_what_is_known():
    shown = view(place("text", "one", "two", swapped=True, base="x", moves_a="y", secret="the policy"))
    told = json.dumps(shown)
    assert set(shown) == {"id", "display", "prompt", "left", "right"}
    assert "swapped" not in told
    assert "secret" not in told
    assert "pair_id" not in told


def test_a_chat_is_told_turn_by_turn_and_a_plain_answer_is_one_turn_of_it():
    chat = json.dumps([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}])
    told = view(place("conversation", "Hi.", json.dumps([{"role": "assistant", "content": "Hello!"}]), chat))
    assert told["prompt"]["turns"] == [{"role": "system", "text": "Be kind."}, {"role": "user", "text": "Hello"}]
    assert told["left"]["turns"] == [{"role": "assistant", "text": "Hi."}]
    assert told["right"]["turns"] == [{"role": "assistant", "text": "Hello!"}]


def test_a_unified_diff_is_told_line_by_line():
    told = view(place("diff", "@@ -1,2 +1,2 @@\n same\n-old\n+new", "@@ -1 +1 @@\n-old\n+other"))
    assert told["left"]["lines"] == [("@", "@@ -1,2 +1,2 @@"), (" ", "same"), ("-", "old"), ("+", "new")]


def test_without_one_the_text_is_compared_with_what_it_was_made_from():
    told = view(place("diff", "a\nc", "a\nb\nd", base="a\nb"))
    assert told["left"]["lines"] == [(" ", "a"), ("-", "b"), ("+", "c")]
    assert told["right"]["lines"] == [(" ", "a"), (" ", "b"), ("+", "d")]


def test_or_with_the_other_candidate():
    told = view(place("diff", "a\nb", "a\nc"))
    assert told["left"]["lines"] == [(" ", "a"), ("*", "b")]
    assert told["right"]["lines"] == [(" ", "a"), ("*", "c")]


CAPTURE = "(;GM[1]SZ[5];B[ba];W[aa];B[ab])"
"""Black surrounds and takes the white stone in the corner at move 3."""
CAPTURED = ".X.../X..../...../...../....."


def test_a_board_comes_with_its_game_move_by_move():
    told = view(place("go", CAPTURED + " 1-0", "...../...../..X../...../..... 0-0", moves_a=CAPTURE))
    board = told["left"]
    assert (board["size"], board["stones"], board["taken"]) == (5, CAPTURED.replace("/", ""), [1, 0])
    assert board["game"]["stones"] == "." * 25
    assert board["game"]["steps"] == [
        {"color": "black", "at": 1, "taken": []},
        {"color": "white", "at": 0, "taken": []},
        {"color": "black", "at": 5, "taken": [0]},
    ]
    assert told["right"]["game"] is None


def test_the_game_goes_with_its_board_where_sides_are_swapped():
    told = view(place("go", "...../...../..X../...../.....", CAPTURED, swapped=True, moves_a=CAPTURE))
    assert told["left"]["game"] is None
    assert told["right"]["game"] is not None


def test_a_game_that_leads_to_another_board_is_not_shown():
    assert view(place("go", "X..../...../...../...../.....", CAPTURED, moves_a=CAPTURE))["left"]["game"] is None


def test_a_record_that_cannot_be_played_is_not_shown():
    for sgf in ("no record", "(;GM[1]SZ[5];B[aa];W[aa])", {"a": "table"}):
        assert view(place("go", CAPTURED, CAPTURED, moves_a=sgf))["left"]["game"] is None


def test_a_pass_has_no_point():
    steps = view(place("go", "X..../...../...../...../.....", CAPTURED, moves_a="(;GM[1]SZ[5];B[aa];W[])"))
    assert steps["left"]["game"]["steps"][1] == {"color": "white", "at": None, "taken": []}


def test_what_is_no_board_is_text():
    for text in ("hello", "..X/..", "...../.....", "XX/XY 0-0"):
        assert view(place("go", text, CAPTURED))["left"] == {"kind": "text", "text": text}
