"""Boards and curves as SVG: what is on them, and what never gets onto them."""

from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup

from foolsgold.audit.drawing import Curve, Mark, Panel, curves_svg
from foolsgold.audit.goban import board_svg, point_name

HOSTILE = "</text></svg><script>alert(1)</script>\"'&<!-- $\\frac{"
GRID = np.zeros((9, 9), np.int8)
GRID[2, 3] = GRID[2, 4] = GRID[8, 0] = 1
GRID[4, 4] = GRID[0, 8] = 2


def find(svg, kind):
    """Elements of a drawing that carry the class `kind`."""
    return [e for e in ElementTree.fromstring(svg).iter() if kind in e.get("class", "").split()]


def test_each_stone_stands_where_the_grid_says():
    svg = board_svg(GRID)
    assert (len(find(svg, "black")), len(find(svg, "white"))) == (3, 2)
    (corner,) = (stone for stone in find(svg, "white") if stone.get("y") == "27")  # margin 27, cell 20
    assert corner.get("x") == "187"  # 27 + 8 * 20


@pytest.mark.parametrize(("last", "rings"), [(None, 0), (2 * 9 + 3, 1), (81, 0), (1, 0)])
def test_only_a_stone_is_ringed(last, rings):
    assert len(find(board_svg(GRID, last), "last")) == rings


@pytest.mark.parametrize(("size", "stars"), [(5, 1), (6, 0), (7, 5), (8, 4), (9, 5), (13, 9), (19, 9)])
def test_star_points(size, stars):
    assert len(find(board_svg(np.zeros((size, size), np.int8)), "star")) == stars


def test_coordinates_leave_out_the_letter_i_and_small_boards():
    letters = [e.text for e in ElementTree.fromstring(board_svg(GRID)).iter() if e.text and e.text.isalpha()]
    assert "".join(letters[::2]) == "ABCDEFGHJ"
    assert not find(board_svg(GRID, size_px=100), "coordinates")


def test_territory_is_drawn_where_it_is_not_the_stones_own():
    ownership = np.zeros((9, 9))
    ownership[2, 3] = 1  # Black's stone on Black's point: nothing
    ownership[4, 4] = 1  # White's dead stone
    ownership[6, 6] = -0.5
    (territory,) = find(board_svg(GRID, ownership=ownership), "territory")
    assert [round(float(square.get("width")), 1) for square in territory] == [7.2, 5.1]  # areas as 1 to 0.5


def test_alt_text():
    words = ElementTree.fromstring(board_svg(GRID, 2 * 9 + 3)).get("aria-label")
    assert words == "Go position, 9 by 9: 3 black and 2 white stones, last move D7"
    assert point_name(81, 9) == "pass"


@pytest.mark.parametrize(
    ("grid", "message"),
    [(np.zeros((9, 8)), "square"), (np.zeros(81), "square"), (np.full((9, 9), 3), "0 .empty., 1 .Black.")],
)
def test_what_is_no_position(grid, message):
    with pytest.raises(ValueError, match=message):
        board_svg(grid)


def test_ownership_of_another_size():
    with pytest.raises(ValueError, match="ownership has shape"):
        board_svg(GRID, ownership=np.zeros((5, 5)))


def curve(label="gold", **more):
    x = np.arange(5)
    return Curve(label, x, x / 5, x / 5 - 0.1, x / 5 + 0.1, **more)


def panel(text="gold"):
    return Panel(text, text, text, [curve(text), curve("proxy", dashed=True)], [Mark(text, x=2), Mark(text, y=0.5)])


@pytest.mark.parametrize("svg", [board_svg(GRID, caption=HOSTILE), curves_svg([panel(HOSTILE)])])
def test_hostile_text_stays_text(svg):
    root = ElementTree.fromstring(svg)
    assert isinstance(svg, Markup)
    assert "<script" not in svg
    assert not any(e.tag.endswith("script") for e in root.iter())
    assert any("alert(1)" in value for e in root.iter() for value in [*e.attrib.values(), e.text or ""])


def test_curves_take_their_colours_from_the_page():
    svg = curves_svg([panel(), panel()])
    assert len(find(svg, "panel")) == 2
    assert "var(--blue, #0072B2)" in svg
    assert "fill: currentColor" in svg
    assert "#010203" not in svg
    assert "<style" not in svg  # it would apply to the whole page


def test_labels_stand_in_the_order_of_the_curves_ends():
    flat = [Curve(label, [0, 1], [0, y]) for label, y in (("middle", 0.50), ("upper", 0.52), ("lower", 0.49))]
    svg = curves_svg([Panel("", "", "", [*flat, Curve("high", [0, 1], [0, 5])])])
    heights = {
        e.text: float(e.get("y")) for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("text") and e.text
    }
    assert heights["upper"] + 12 < heights["middle"] + 1e-6 < heights["lower"] - 12  # apart by a line of text


def test_the_same_panels_give_the_same_bytes():
    assert curves_svg([panel()]) == curves_svg([panel()])


def test_ids_are_unique_on_a_page():
    root = ElementTree.fromstring(curves_svg([panel(), panel()]))
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    used = {e.get("{http://www.w3.org/1999/xlink}href", e.get("href", "")) for e in root.iter()} - {""}
    assert used <= {f"#{name}" for name in ids}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Curve("gold", [], []), "at least one point"),
        (lambda: Curve("gold", [1, 2], [1]), "one value a point"),
        (lambda: Curve("gold", [1], [1], low=[0]), "two edges"),
        (lambda: Curve("gold", [1], [1], color="red"), "choose from blue"),
        (lambda: Mark("even"), "give x or y"),
        (lambda: curves_svg([]), "at least one panel"),
    ],
)
def test_what_cannot_be_drawn(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_points_that_were_not_measured():
    svg = curves_svg([Panel("t", "x", "y", [Curve("gold", [0, 1, 2], [0.1, np.nan, np.nan])])])
    assert "gold" in svg
    curves_svg([Panel("t", "x", "y", [Curve("never", [0, 1], [np.nan, np.nan])])])
