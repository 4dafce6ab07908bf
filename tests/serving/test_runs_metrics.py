"""Curves are the same however often they were asked for while they grew, and files are read once."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.serving import runs_metrics
from foolsgold.serving.runs_metrics import MetricsTail, News, Tails, newest
from foolsgold.serving.thinned_curve import ThinnedCurve

VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=120)


@given(VALUES, st.integers(1, 5))
def test_points_are_means_and_extremes_of_neighbours(values: list[float], most: int) -> None:
    curve = ThinnedCurve(most)
    for row, value in enumerate(values, start=1):
        curve.add(row, 10.0 * row, value)
    points = curve.since(-1)
    assert points is not None
    assert len(points.step) <= 2 * most
    groups = [values[i : i + curve.stride] for i in range(0, len(values), curve.stride)]
    assert len(groups) == len(points.step)
    for i, group in enumerate(groups):
        finite = [value for value in group if math.isfinite(value)]
        assert points.step[i] == 10.0 * min((i + 1) * curve.stride, len(values))
        assert points.mean[i] == (pytest.approx(sum(finite) / len(finite), abs=1e-6) if finite else None)
        if curve.stride > 1:
            assert points.low is not None
            assert points.high is not None
            assert (points.low[i], points.high[i]) == ((min(finite), max(finite)) if finite else (None, None))


class Reader:
    """What a page does with news."""

    def __init__(self) -> None:
        self.cursor = ""
        self.curves: dict[str, dict[str, list]] = {}

    def take(self, news: News) -> None:
        if news.whole:
            self.curves = {}
        for name, points in news.curves.items():
            known = self.curves.setdefault(name, {"step": [], "mean": []})
            for column in known:
                known[column] = known[column][: points.first] + getattr(points, column)
        self.cursor = news.cursor


@given(st.lists(st.lists(st.floats(-10, 10), max_size=40), max_size=12), st.integers(1, 4))
def test_a_page_that_asks_often_knows_what_one_knows_that_asks_once(parts: list[list[float]], most: int) -> None:
    curve, known, row = ThinnedCurve(most), {"step": [], "mean": []}, 0
    for part in parts:
        asked_at = row
        for value in part:
            row += 1
            curve.add(row, float(row), value)
        points = curve.since(asked_at)
        assert (points is None) == (not part)
        if points is not None:
            known = {name: known[name][: points.first] + getattr(points, name) for name in known}
    whole = curve.since(-1)
    assert known == ({"step": [], "mean": []} if whole is None else {"step": whole.step, "mean": whole.mean})


def lines(path: Path, rows: range, name: str = "gold") -> None:
    with path.open("a") as file:
        file.writelines(json.dumps({"step": i, name: i / 10, "said": "words", "list": [1]}) + "\n" for i in rows)


def test_what_is_new_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail, page = MetricsTail(path), Reader()
    page.take(tail.news())
    assert page.curves == {}
    lines(path, range(3))
    page.take(tail.news(page.cursor))
    assert page.curves == {"gold": {"step": [0, 1, 2], "mean": [0, 0.1, 0.2]}}  # words and lists are no curves
    assert not tail.news(page.cursor).curves
    lines(path, range(3, 5))
    news = tail.news(page.cursor)
    assert news.curves["gold"].first == 3
    assert news.last == {"gold": 0.4}
    page.take(news)
    assert page.curves["gold"]["step"] == [0, 1, 2, 3, 4]


def test_half_a_line_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines(path, range(2))
    with path.open("a") as file:
        file.write('{"step": 2, "go')
    tail = MetricsTail(path)
    assert tail.news().curves["gold"].step == [0, 1]
    with path.open("a") as file:
        file.write('ld": 7.0}\n')
    assert tail.news().curves["gold"].mean == [0, 0.1, 7]


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines(path, range(100))
    tail = MetricsTail(path)
    tail.news()
    data = path.read_bytes()
    path.write_bytes(b"?" * 1000 + data[1000:])  # a reader from the start would stumble over this
    lines(path, range(100, 101))
    news = tail.news()
    assert news.curves["gold"].step[-1] == 100
    assert (news.rows, news.broken) == (101, 0)


@pytest.mark.parametrize("rows", [range(3), range(50, 90)], ids=["shorter", "longer"])
def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path, rows: range) -> None:
    path = tmp_path / "metrics.jsonl"
    lines(path, range(20))
    tail, page = MetricsTail(path), Reader()
    page.take(tail.news())
    path.unlink()
    lines(path, rows)  # as truncate_after leaves it
    news = tail.news(page.cursor)
    assert news.whole
    page.take(news)
    assert page.curves["gold"]["step"] == list(rows)


def test_large_files_are_read_in_bites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_metrics, "BITE", 1000)
    path = tmp_path / "metrics.jsonl"
    lines(path, range(200))
    tail, page, looks = MetricsTail(path), Reader(), 1
    page.take(news := tail.news())
    while news.read < news.size:
        page.take(news := tail.news(page.cursor))
        looks += 1
    assert looks >= path.stat().st_size // 1000
    assert page.curves["gold"]["step"] == list(range(200))


def test_lines_that_are_no_metrics_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_metrics, "BITE", 200)
    path = tmp_path / "metrics.jsonl"
    bad = [
        "no json",
        "[1]",
        "null",
        '{"gold": 1}',
        '{"step": "x"}',
        '{"step": true}',
        '{"step": ' + "9" * 150 + "e999}",
    ]
    bad += ["[" * 190, "x" * 5000, '{"step": 1' + "0" * 400 + "}"]
    path.write_text("\n".join([*bad, '{"step": 1, "gold": NaN, "proxy": Infinity, "up": true}']) + "\n")
    tail = MetricsTail(path)
    news = tail.news()
    while news.read < news.size:
        news = tail.news()
    assert news.broken == len(bad)
    assert news.curves["gold"].mean == [None]
    assert news.last == {"gold": None, "proxy": None}


def test_no_more_names_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_metrics, "MOST_CURVES", 3)
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 1, **{f"m{i}": 1.0 for i in range(5)}, "n" * 300: 1.0}) + "\n")
    news = MetricsTail(path).news()
    assert list(news.curves) == ["m0", "m1", "m2"]
    assert news.left_out == 2


@pytest.mark.parametrize("cursor", ["x", "-", "abc-1", "abc--1", "²-²"])
def test_a_cursor_from_elsewhere_gets_everything(tmp_path: Path, cursor: str) -> None:
    path = tmp_path / "metrics.jsonl"
    lines(path, range(2))
    assert MetricsTail(path).news(cursor).whole


def test_links_are_not_followed(tmp_path: Path) -> None:
    lines(tmp_path / "elsewhere.jsonl", range(2))
    (tmp_path / "metrics.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")
    assert MetricsTail(tmp_path / "metrics.jsonl").news().rows == 0
    assert newest(tmp_path / "metrics.jsonl") is None


def test_newest_is_the_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines(path, range(5000))
    with path.open("a") as file:
        file.write('{"step": 9')
    assert newest(path) == (4999, {"gold": 499.9})
    assert newest(tmp_path / "none.jsonl") is None


def test_files_looked_at_long_ago_are_forgotten(tmp_path: Path) -> None:
    tails = Tails(most=2)
    first = tails.of(tmp_path / "0")
    assert tails.of(tmp_path / "0") is first
    tails.of(tmp_path / "1")
    tails.of(tmp_path / "2")
    assert tails.of(tmp_path / "0") is not first
