"""The report page: complete in one file, and safe whatever the texts say."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from markupsafe import Markup

from foolsgold.audit.drawing import Curve, Panel, curves_svg
from foolsgold.audit.goban import board_svg
from foolsgold.audit.replay import Frame, Replay, Series
from foolsgold.audit.report import Details, FigureTable, Gallery, Picture, Plot, Prose, write_report
from foolsgold.audit.verdict import Figure, Verdict
from foolsgold.environments.go.board import Board

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}"


def game():
    """Black captures the corner stone of White, then both pass."""
    board = Board(5, 0.0)
    frames = [Frame.of(board, "empty")]
    for name in ("B5", "A5", "A4", "pass", "pass"):
        board.play(board.action_of(name))
        frames.append(Frame.of(board, f"after {name}"))
    return frames


def replay(text="series", caption=None):
    frames = [Frame(f.grid, f.last, f.captures, caption or f.caption) for f in game()]
    return Replay(text, text, text, frames, [Series(text, [0.5, None, 0.7, 0.8, float("nan"), 0.9])], text, text)


def page(tmp_path, text="plain", answer="holds"):
    figure = Figure(text, 0.8125, 0.762, 0.856, 400, "%", text)
    board = board_svg(np.eye(5, dtype=np.int8), caption=text)
    sections = [
        Prose(text, [text, text]),
        FigureTable(text, [figure, Figure(text, 3.0, None, None, 3, text)], text),
        Plot(text, curves_svg([Panel(text, text, text, [Curve(text, [0, 1], [0, 1])])]), text),
        Gallery(text, [Picture(board, text, {text: text})], text),
        replay(text, text),
        Details(text, {text: text}, text),
    ]
    config = {text: text, "network": {"blocks": 6, "deep": {"rate": 0.00025, "list": [1, 2]}}}
    verdict = Verdict(text, text, answer, text, (figure,))
    date = datetime(2025, 5, 4, 12, 30, tzinfo=UTC)
    return write_report(tmp_path / "report.html", verdict, sections, config, text, date).read_text()


class Tags(HTMLParser):
    """What a browser would make of the page: tags with their attributes, and the contents of scripts."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.scripts, self.words, self.inside = [], [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        (self.scripts if self.inside == "script" else self.words).append(data)


def policy(html):
    return next(a["content"] for tag, a in Tags(html).tags if tag == "meta" and "http-equiv" in a)


@pytest.fixture
def plain(tmp_path):
    return page(tmp_path)


def test_hostile_text_stays_text_everywhere(tmp_path, plain):
    html = page(tmp_path, HOSTILE)
    tags = Tags(html)
    assert [tag for tag, _ in tags.tags].count("script") == [tag for tag, _ in Tags(plain).tags].count("script") == 2
    assert not any(name.startswith("on") for _, attributes in tags.tags for name in attributes)
    assert "img" not in {tag for tag, _ in tags.tags}
    assert "<script>alert" not in html
    assert any(HOSTILE in words for words in tags.words)  # and it is shown as it is, no template ran


def test_hostile_captions_come_through_the_json_unchanged(tmp_path):
    (data,) = (s for s in Tags(page(tmp_path, HOSTILE)).scripts if s.startswith('{"'))
    assert not set("<>&") & set(data)
    assert json.loads(data)["steps"][0]["caption"] == HOSTILE


def test_nothing_is_fetched(plain):
    for _, attributes in Tags(plain).tags:
        for name in ("src", "href", "xlink:href", "action", "poster", "data", "srcset"):
            assert re.match(r"#|data:,$|$", attributes.get(name) or "")
    assert not re.search(r"url\((?!#)|@import", plain)
    assert "default-src 'none';" in policy(plain)


def test_the_policy_allows_the_script_of_the_page_and_no_other(plain):
    (script,) = (s for s in Tags(plain).scripts if not s.startswith('{"'))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy(plain)


@pytest.mark.parametrize(
    ("answer", "words"), [("holds", "The claim holds"), ("fails", "The claim fails"), ("depends", "It depends")]
)
def test_the_verdict_is_in_words(tmp_path, answer, words):
    assert f"<h1>{words}</h1>" in page(tmp_path, answer=answer)


def test_figures_and_settings_are_shown(plain):
    for words in (
        "81.3 %",
        "[76.2, 85.6]",
        "of 400",
        "blocks",
        "deep.rate",
        "0.00025",
        "1, 2",
        "4 May 2025, 12:30 UTC",
    ):
        assert words in plain


def test_each_picture_has_words(plain):
    tags = Tags(plain).tags
    assert all("aria-label" in a or a.get("aria-hidden") == "true" for tag, a in tags if tag == "svg")
    assert all(a.get("aria-label") for tag, a in tags if tag in ("button", "input"))


def test_the_same_run_gives_the_same_bytes(tmp_path, plain):
    assert page(tmp_path) == plain


def test_assets_of_a_section_come_only_with_it(tmp_path):
    verdict = Verdict("s", "c", "holds", "v", ())
    html = write_report(tmp_path / "r.html", verdict, [Prose("p", ["one"])], {}).read_text()
    assert "replay" not in html


@pytest.mark.parametrize("make", [Plot, Picture])
def test_a_picture_of_unknown_origin_is_refused(make):
    with pytest.raises(TypeError, match="drawing function"):
        make("<svg/>", "<svg/>", "shows")
    assert Plot("title", Markup("<svg/>"), "shows")


def test_replay_says_who_did_what():
    steps = replay().data["steps"]
    assert [step["said"] for step in steps] == [
        "Before the first move", "Black plays B5", "White plays A5", "Black plays A4", "White passes", "Black passes",
    ]  # fmt: skip
    assert [step["move"] for step in steps] == [0, 1, 2, 3, 4, 5]
    assert steps[2]["stones"][:10] == "2100000000"
    assert steps[3]["stones"][:10] == "0100010000"  # the corner stone is gone
    assert [step["taken"] for step in steps][2:4] == [[0, 0], [1, 0]]
    assert [step["last"] for step in steps] == [-1, 1, 0, 5, -1, -1]
    assert [step["values"] for step in steps] == [["0.50"], ["–"], ["0.70"], ["0.80"], ["–"], ["0.90"]]


def test_replay_lines_break_where_nothing_was_measured():
    assert replay().chart["paths"] == ["M0 50M2 30L3 20M5 10"]


@pytest.mark.parametrize(
    ("frames", "series", "message"),
    [
        ([], [], "no frames"),
        ([Frame(np.zeros((5, 5)), None, (0, 0)), Frame(np.zeros((7, 7)), None, (0, 0))], [], "different sizes"),
        ([Frame(np.zeros((5, 5)), None, (0, 0))], [Series("gold", [1.0, 2.0])], "2 values for 1 frames"),
        ([Frame(np.zeros((5, 5)), None, (0, 0))], [Series("gold", [1.0])] * 3, "3 series"),
    ],
)
def test_what_cannot_be_replayed(frames, series, message):
    with pytest.raises(ValueError, match=message):
        Replay("game", "a", "b", frames, series)
