"""Figures formatted by hand, verdicts through JSON and the terminal."""

import json
import math
import os

import numpy as np
import pytest
from rich.console import Console

from foolsgold.audit.verdict import Figure, Verdict, shown, table
from foolsgold.errors import UserError
from foolsgold.files import write_text


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (Figure("wins", 0.8125, 0.762, 0.856, 400, "%"), "81.3 % [76.2, 85.6] of 400"),
        (Figure("wins", 0.5, 0.1, 0.9, 4, "%"), "50.0 % [10.0, 90.0] of 4"),
        (Figure("wins", 1.0, 0.99, 1.0, 1200, "%"), "100.00 % [99.00, 100.00] of 1,200"),  # half width 0.5 points
        (Figure("score", 12.43, 9.81, 15.12, 400, "points"), "12.4 points [9.8, 15.1] n = 400"),
        (Figure("KL", 0.6234, 0.55, 0.70, 64, "nats"), "0.623 nats [0.550, 0.700] n = 64"),
        (Figure("Elo", 1523.4, 1490.0, 1560.0, 400), "1,523 [1,490, 1,560] n = 400"),
        (Figure("loss", -0.0001, -0.2, 0.2, 9), "0.00 [−0.20, 0.20] n = 9"),
        (Figure("loss", -1.25, -1.5, -1.0, 9), "−1.25 [−1.50, −1.00] n = 9"),
        (Figure("step to stop at", 16, 16, 20, 9), "16 [16, 20] n = 9"),
        (Figure("comparisons", 100_000, None, None, 100_000), "100,000"),
        (Figure("ratio", 2.34567, None, None, 3, "×"), "2.35 × n = 3"),
        (Figure("ties", 0.25, None, None, 80, "%"), "25.0 % of 80"),
        (Figure("Elo", math.inf, 620.0, math.inf, 400, "Elo"), "∞ Elo [620, ∞] n = 400"),
        (Figure("rank", math.nan, None, None, 0), "not measured n = 0"),
    ],
)
def test_shown(figure, expected):
    assert str(shown(figure)) == expected


@pytest.mark.parametrize(
    ("low", "high", "n", "message"),
    [(0.1, None, 1, "two ends"), (0.9, 0.1, 1, "swapped"), (None, None, -1, "negative")],
)
def test_a_figure_that_makes_no_sense_is_refused(low, high, n, message):
    with pytest.raises(ValueError, match=message):
        Figure("wins", 0.5, low, high, n)


def verdict(**changes):
    figures = (
        Figure("wins", np.float32(0.8125), 0.75, 0.875, 400, "%", "colours alternate [red]"),
        Figure("Elo", math.inf, 620.0, math.inf, 400, "Elo"),
        Figure("games", 400, None, None, 400),
    )
    return Verdict(**{"study": "alphago", "claim": "“a vibe”", "answer": "holds", "sentence": "It does.",
                      "figures": figures, **changes})  # fmt: skip


def test_json_round_trip(tmp_path):
    path = verdict().write(tmp_path / "new" / "verdict.json")
    assert Verdict.read(path) == verdict()
    assert json.loads(path.read_text())["figures"][1]["value"] == "inf"  # strict JSON knows no infinity


def test_unknown_answer():
    with pytest.raises(ValueError, match="holds, fails, depends"):
        verdict(answer="maybe")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"figures": [{}]}', '{"figures": [], "answer": "holds"}'])
def test_reading_what_is_no_verdict(tmp_path, text):
    (tmp_path / "verdict.json").write_text(text)
    with pytest.raises(ValueError, match="is no verdict"):
        Verdict.read(tmp_path / "verdict.json")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = verdict().write(tmp_path / "verdict.json")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match="disk full"):
        write_text(path, "half")
    assert Verdict.read(path) == verdict()
    assert os.listdir(tmp_path) == ["verdict.json"]


def test_table_shows_brackets_as_they_are():
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(table(verdict()))
    text = console.export_text()
    for part in ("alphago: The claim holds", "81.3 %", "[75.0, 87.5]", "of 400", "colours alternate [red]", "It does."):
        assert part in text
