"""A person at the labelling page, in a real browser."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from foolsgold.labels.labelling import Labelling, Pair, Settings
from foolsgold.labels.store import ComparisonStore, open_store
from foolsgold.serving.label_demo import BOARDS, demo_projects
from foolsgold.serving.labelling_admin import rater_link
from foolsgold.serving.labelling_app import labelling_app
from foolsgold.serving.web_safety import site
from foolsgold.serving.web_server import listen, server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]

ADMIN = "the administrator's token"
SETTLED = 300
"""Milliseconds after which a pair takes answers."""


@contextmanager
def served(labellings: list[Labelling]) -> Iterator[str]:
    """The address at which the projects are served."""
    with listen("127.0.0.1", 0) as bound:
        where = site("127.0.0.1", bound.getsockname()[1])
        running = server(labelling_app(labellings, where, ADMIN))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        try:
            yield where.url
        finally:
            running.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(chromium):
    made = chromium.new_context()
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path):
    with open_store(tmp_path / "labels.sqlite") as opened:
        yield opened


def opened(context, url: str):
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: print("script failed:", error))
    page.goto(url)
    return page


def press(page, key: str) -> None:
    """Press a key once the pair takes answers, and wait for the next pair."""
    page.wait_for_timeout(SETTLED)
    page.keyboard.press(key)
    page.wait_for_selector("body:not([aria-busy])")


def done(page) -> int:
    return int(page.text_content("#told").split()[0])


def prefers(store: ComparisonStore) -> list[tuple[str, str]]:
    """What was stored: for each prompt the preferred text, or how there was none."""
    found = []
    for comparison in store.comparisons():
        texts = {"a": comparison.a, "b": comparison.b}
        found.append((comparison.prompt, texts.get(comparison.preferred, comparison.preferred)))
    return found


def test_twenty_pairs_by_keyboard_one_taken_back_and_the_page_closed_between(store, context):
    labelling = Labelling.create(store, "words", "Be fair.", "text", 3, Settings(900, 0, 0, strength=False))
    labelling.add_pairs(Pair(f"prompt {i}", f"apple {i}", f"pear {i}") for i in range(30))
    meant = []
    with served([labelling]) as url:
        page = opened(context, f"{url}/label/{labelling.id}#{labelling.invite('anna')}")
        for i, key in enumerate("12312341213"):
            page.wait_for_selector("#left .text")
            prompt = page.text_content("#prompt")
            sides = {"1": page.text_content("#left .text"), "2": page.text_content("#right .text")}
            meant.append((prompt, sides.get(key, {"3": "tie", "4": "both_bad"}.get(key))))
            press(page, key)
            assert done(page) == i + 1
        # The last one was a mistake: taken back, and judged the other way.
        prompt, _ = meant.pop()
        press(page, "u")
        assert done(page) == 10
        assert page.text_content("#prompt") == prompt
        meant.append((prompt, page.text_content("#left .text")))
        press(page, "1")
        unjudged = page.text_content("#prompt")
        page.close()
        # Another day: the address without its token, the cookie still there.
        page = opened(context, f"{url}/label/{labelling.id}")
        page.wait_for_selector("#left .text")
        assert page.text_content("#prompt") == unjudged
        assert done(page) == 11
        for _ in range(9):
            meant.append((page.text_content("#prompt"), page.text_content("#right .text")))
            press(page, "2")
        assert done(page) == 20
        assert "#" not in page.url
    assert prefers(store) == meant
    assert all(comparison.seconds > 0.2 for comparison in store.comparisons())


def test_a_held_key_judges_one_pair_only(store, context):
    labelling = Labelling.create(store, "words", "", "text", 0, Settings(900, 0, 0, strength=False))
    labelling.add_pairs(Pair(f"prompt {i}", f"apple {i}", f"pear {i}") for i in range(9))
    with served([labelling]) as url:
        page = opened(context, f"{url}/label/{labelling.id}#{labelling.invite('anna')}")
        page.wait_for_selector("#left .text")
        page.wait_for_timeout(SETTLED)
        for _ in range(6):
            page.keyboard.down("1")
        page.keyboard.up("1")
        page.keyboard.press("1")
        page.wait_for_timeout(SETTLED)
        assert done(page) == 1


def test_html_of_candidates_is_shown_and_never_run(store, context):
    labelling = Labelling.create(store, "words", "<b>x</b>", "text", 0, Settings(strength=False))
    nasty = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    labelling.add_pairs([Pair("<i>asked</i>" + nasty, nasty, "plain")])
    with served([labelling]) as url:
        page = opened(context, f"{url}/label/{labelling.id}#{labelling.invite('<u>anna</u>')}")
        page.wait_for_selector("#left .text")
        texts = {page.text_content("#left .text"), page.text_content("#right .text")}
        assert texts == {nasty, "plain"}
        assert page.text_content("#prompt") == "<i>asked</i>" + nasty
        assert page.text_content("#rater") == "<u>anna</u>"
        assert page.query_selector("main img, main script, main b, main i, header u") is None
        assert page.title() == "words · foolsgold"
        assert "HttpOnly" not in page.evaluate("document.cookie")
        assert page.evaluate("document.cookie") == ""


def test_the_server_goes_away_and_comes_back_and_nothing_is_lost(store, context):
    labelling = Labelling.create(store, "words", "", "text", 0, Settings(900, 0, 0, strength=False))
    labelling.add_pairs(Pair(f"prompt {i}", f"apple {i}", f"pear {i}") for i in range(3))
    with served([labelling]) as url:
        page = opened(context, f"{url}/label/{labelling.id}#{labelling.invite('anna')}")
        page.wait_for_selector("#left .text")
        page.wait_for_timeout(SETTLED)
        context.set_offline(True)
        page.keyboard.press("1")
        page.wait_for_selector("#trouble:not([hidden])")
        assert "Not saved yet" in page.text_content("#trouble")
        assert len(store) == 0
        context.set_offline(False)
        page.wait_for_selector("#trouble", state="hidden")
        assert done(page) == 1
        assert len(store) == 1


def test_strength_is_asked_for_on_a_second_key(store, context):
    labelling = Labelling.create(store, "words", "", "text", 0, Settings(900, 0, 0, strength=True))
    labelling.add_pairs(Pair(f"prompt {i}", f"apple {i}", f"pear {i}") for i in range(4))
    with served([labelling]) as url:
        page = opened(context, f"{url}/label/{labelling.id}#{labelling.invite('anna')}")
        page.wait_for_selector("#left .text")
        for keys in ("13", "2 1", "3"):
            for key in keys.replace(" ", ""):
                press(page, key)
        page.wait_for_timeout(SETTLED)
        page.keyboard.press("1")
        page.keyboard.press("Escape")
        press(page, "4")
    found = [(comparison.strength, comparison.preferred in ("a", "b")) for comparison in store.comparisons()]
    assert found == [(3, True), (1, True), (None, False), (None, False)]


def test_boards_are_drawn_and_their_games_stepped_through(store, context):
    boards = next(labelling for labelling in demo_projects(store) if labelling.name == BOARDS)
    with served([boards]) as url:
        page = opened(context, f"{url}/label/{boards.id}#{boards.invite('anna')}")
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_selector("#left svg[role=img]")
        place = boards.next_place("anna")
        for side, text in (("left", place.left), ("right", place.right)):
            stones = text.split()[0].count("X") + text.split()[0].count("O")
            assert len(page.query_selector_all(f"#{side} svg .shadow")) == stones
            assert page.query_selector(f"#{side} .last") is not None
        words = page.get_attribute("#left svg[role=img]", "aria-label")
        assert words.startswith("7 by 7 Go board, ")
        page.keyboard.press("ArrowUp")
        assert page.query_selector("#left svg .shadow") is None
        page.keyboard.press("ArrowRight")
        assert len(page.query_selector_all("#right svg .shadow")) == 1
        page.keyboard.press("ArrowDown")
        assert page.get_attribute("#left svg[role=img]", "aria-label") == words
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_every_control_has_a_name_and_news_are_read_aloud(store, context):
    labelling = Labelling.create(store, "words", "Be fair.", "text", 0, Settings(900, 0, 0, strength=False))
    labelling.add_pairs(Pair(f"prompt {i}", f"apple {i}", f"pear {i}") for i in range(4))
    with served([labelling]) as url:
        page = opened(context, f"{url}/label/{labelling.id}#{labelling.invite('anna')}")
        page.wait_for_selector("#left .text")
        for name in ("Left is better", "Tie", "Both bad", "Right is better", "Skip", "Undo"):
            assert page.get_by_role("button", name=name).count() == 1
        assert page.get_by_role("article", name="Left").count() == 1
        assert page.get_by_role("progressbar").count() == 1
        assert page.get_by_role("main").count() == 1
        assert page.evaluate("document.activeElement.id") == "asked-title"
        page.wait_for_timeout(SETTLED)
        page.get_by_role("button", name="Tie").click()
        page.get_by_text("Saved: tie. Next: prompt").wait_for()
        assert page.evaluate("document.activeElement.id") == "asked-title"


def test_the_administrator_invites_somebody_who_labels(store, context, chromium):
    labelling = Labelling.create(store, "words", "", "text", 0, Settings(900, 0, 0, strength=False))
    labelling.add_pairs(Pair(f"prompt {i}", f"apple {i}", f"pear {i}") for i in range(2))
    with served([labelling]) as url:
        page = opened(context, f"{url}/admin#{ADMIN}")
        page.get_by_label("Invite a rater").fill("carla")
        page.get_by_role("button", name="Make a link").click()
        page.wait_for_selector("#new-link[open]")
        link = page.input_value("#link")
        page.click("#link-close")
        theirs = chromium.new_context()
        labels = opened(theirs, link)
        labels.wait_for_selector("#left .text")
        for _ in "ab":
            press(labels, "1")
        labels.wait_for_selector("#finished:not([hidden])")
        labels.click("#undo-last")
        labels.wait_for_selector("#left .text")
        press(labels, "2")
        page.reload()
        page.wait_for_selector("tbody th")
        assert page.text_content("tbody th") == "carla"
        page.locator("tbody td").first.get_by_text("2", exact=True).wait_for()  # it is counted every few seconds
        with page.expect_download() as download:
            page.get_by_role("link", name="Preferences for training").click()
        assert len(Path(download.value.path()).read_text().splitlines()) == 2
        page.get_by_role("button", name="Lock out").click()
        page.click("#sure-yes")
        page.wait_for_selector("text=locked out")
        labels.reload()
        labels.wait_for_selector("#trouble:not([hidden])")
        assert "not signed in" in labels.text_content("#trouble")
        theirs.close()


def test_a_link_shown_by_the_server_holds_its_token_behind_the_hash(store):
    labelling = Labelling.create(store, "words", "")
    assert rater_link(site("127.0.0.1", 8400), labelling, "abc") == f"http://127.0.0.1:8400/label/{labelling.id}#abc"
