import math

import pytest

from foolsgold.audit.report import write_report
from foolsgold.audit.tables import Comparison, cell
from foolsgold.audit.verdict import Verdict


def test_cells_have_the_digits_that_their_interval_supports():
    assert cell(0.1234, 0.11, 0.13) == "0.123 [0.110, 0.130]"
    assert cell(0.5, 0.25, 0.75, "%") == "50.0 % [25.0, 75.0]"
    assert cell(12.0) == "12"
    assert cell(math.nan, 0.0, 1.0) == "–"
    assert cell(1.5, math.nan, math.nan) == "1.50"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="'b' has 1 cells for 2 columns"):
        Comparison("t", ["name", "value"], [["a", "1"], ["b"]])


def test_what_stands_in_cells_is_text(tmp_path):
    section = Comparison("Defences", ["name", "gold"], [["<b>none</b>", "{{ 7 * 7 }}"]], "Kept & lost.")
    page = write_report(tmp_path / "r.html", Verdict("s", "c", "holds", "so", ()), [section], {}).read_text()
    assert "&lt;b&gt;none&lt;/b&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert "Kept &amp; lost." in page
