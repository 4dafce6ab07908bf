"""The live page in a real browser: curves grow while they are watched, and a person gives an audit its labels."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foolsgold.audit.gold_labels import Pool, draw_labels, read_labels, write_requests
from foolsgold.serving.runs_app import Labelling, runs_app
from foolsgold.serving.runs_index import RunIndex
from foolsgold.serving.runs_queue import Scale
from foolsgold.serving.web_safety import site
from foolsgold.serving.web_server import listen, server

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]

NASTY = "<img src=x onerror=document.title='broken'><b>bold</b>"
BOARD = "X..../...../..O../...../..... 3-0"


def run_folder(root: Path, name: str, study: str) -> Path:
    folder = root / name
    (folder / "arms" / "main").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"study": study, "config": {"seed": 1}, "command": ["f", "run"]}))
    return folder


def log(folder: Path, step: int, gold: float) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": step, "main/gold": gold, "main/proxy": step / 10, "main/kl": step / 4}) + "\n")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    live = run_folder(tmp_path, "gaming-1", "gaming")
    for step in range(0, 40, 8):
        log(live, step, 0.4 - step / 100)
    evaluation = {"poems": [[NASTY, NASTY, 1.0, 0.5], ["Black", BOARD, 1.0, 0.5]]}
    (live / "arms" / "main" / "evaluation-00008.json").write_text(json.dumps(evaluation))
    audit = run_folder(tmp_path, "audit-2", "audit")
    texts = [[f"{NASTY} {p}{n}" for n in range(4)] for p in range(2)]
    pool = Pool([NASTY, "the other"], texts, np.arange(8.0).reshape(2, 4), "start")
    write_requests(audit / "to-judge.jsonl", [draw_labels(pool, 8)])
    return tmp_path


@pytest.fixture
def address(runs: Path) -> Iterator[str]:
    with listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        app = runs_app(RunIndex(runs), site("127.0.0.1", port), "token", Labelling(Scale(1, 5), NASTY), "cookie")
        serving = server(app)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [bound]})
        thread.start()
        yield f"http://127.0.0.1:{port}"
        serving.should_exit = True
        thread.join()


@pytest.fixture
def page(address: str) -> Iterator:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_context(base_url=address, viewport={"width": 390, "height": 800}).new_page()
        problems: list[str] = []
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on("console", lambda said: problems.append(said.text) if "Policy" in said.text else None)
        yield opened
        browser.close()
        assert problems == []


def test_a_run_grows_while_it_is_watched(page, runs: Path) -> None:
    expect = sync_api.expect
    page.goto("/")
    expect(page.locator(".card")).to_have_count(2)
    page.get_by_role("link", name="gaming-1").click()
    gold = page.get_by_role("img", name="gold against step")
    expect(gold).to_have_accessible_name("gold against step; last: line 0.08. Arrow keys read it point by point.")
    log(runs / "gaming-1", 40, 0.02)
    expect(gold).to_have_accessible_name("gold against step; last: line 0.02. Arrow keys read it point by point.")
    log(runs / "gaming-1", 48, 0.01)
    with (runs / "gaming-1" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 0, "other/gold": 0.5}\n')
    other = page.get_by_role("button", name="other")
    expect(other).to_have_attribute("aria-pressed", "true")
    other.press("Enter")
    expect(gold).to_have_accessible_name("gold against step; last: main 0.01. Arrow keys read it point by point.")
    expect(other).to_be_focused()
    gold.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".chart.gold .tip")).to_have_text("step 8main 0.32")
    page.get_by_role("button", name="KL").click()
    expect(page.get_by_role("img", name="gold against KL")).to_be_visible()
    # What a model wrote is text, a board is a picture.
    expect(page.locator(".sample").first).to_contain_text(NASTY)
    expect(page.locator(".sample b")).to_have_count(0)
    expect(page.get_by_alt_text("Go board: 1 black and 1 white stones")).to_have_js_property("complete", True)
    assert page.evaluate("document.querySelector('.board img').naturalWidth") > 0
    assert "broken" not in page.title()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_person_gives_labels_by_keyboard(page, runs: Path) -> None:
    expect = sync_api.expect
    page.goto("/runs/audit-2/label")
    expect(page.locator("#reader")).to_contain_text("You may read")
    expect(page.locator(".sample")).to_have_count(8)
    expect(page.locator("#enter")).to_be_hidden()

    page.goto("/#token=token")
    page.get_by_role("link", name="audit-2").click()
    page.get_by_label("Your name").fill("anna")
    page.keyboard.press("Enter")
    expect(page.locator("#completion")).to_contain_text(NASTY)
    expect(page.locator("#guidelines-text")).to_have_text(NASTY)
    for i, key in enumerate("12345"):
        page.keyboard.press(key)
        expect(page.locator("#told")).to_have_text(f"{i + 1} of 8 judged (anna {i + 1})")
    page.keyboard.press("u")
    expect(page.locator("#told")).to_have_text("4 of 8 judged (anna 4)")
    page.keyboard.press("1")
    expect(page.locator("#told")).to_have_text("5 of 8 judged (anna 5)")

    page.goto("/")  # they close the page and come back
    page.goto("/runs/audit-2/label")
    page.get_by_role("button", name="Begin").click()  # who they are is remembered
    for i in range(5, 8):
        expect(page.locator("#told")).to_have_text(f"{i} of 8 judged (anna {i})")
        page.get_by_role("button", name="2", exact=True).click()
    expect(page.locator("#over-title")).to_have_text("All are judged")
    page.get_by_role("button", name="Write the labels").click()
    expect(page.locator("#command")).to_be_visible()
    expect(page.locator("#command")).to_contain_text("foolsgold audit --resume")
    labels = read_labels(runs / "audit-2" / "labels.jsonl")
    assert sorted(label.gold for label in labels.values() if label.gold is not None) == [1, 1, 2, 2, 2, 2, 3, 4]
    assert page.title() != "broken"
