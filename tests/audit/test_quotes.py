"""Texts as a report shows them."""

from foolsgold.audit.quotes import Quote


def test_empty_lines_in_a_row_are_counted():
    assert Quote("p", "the sea\n\n\n \nthe sea\n\nend").lines == ["the sea", "(3 empty lines)", "the sea", "", "end"]
    assert Quote("p", "").lines == [""]
