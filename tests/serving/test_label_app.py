"""The labelling page's server: who may see and answer what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from foolsgold.labels.labelling import Labelling, Pair, Settings
from foolsgold.labels.store import ComparisonStore, open_store
from foolsgold.serving.labelling_app import labelling_app
from foolsgold.serving.web_safety import site
from foolsgold.training.datasets import preferences

ORIGIN = "http://127.0.0.1:8400"
ADMIN = "the administrator's token"


@dataclass
class Work:
    """A served project with its raters' tokens."""

    store: ComparisonStore
    labelling: Labelling
    app: Any
    tokens: dict[str, str]

    def visitor(self) -> Visitor:
        return Visitor(TestClient(self.app, base_url=ORIGIN, headers={"origin": ORIGIN}), self.labelling.id)

    def signed_in(self, rater: str) -> Visitor:
        visitor = self.visitor()
        assert visitor.post("sign-in", token=self.tokens[rater]).status_code == 204
        return visitor


@dataclass
class Visitor:
    """Somebody's browser."""

    client: TestClient
    project: int

    def post(self, action: str, **body: Any) -> Any:
        return self.client.post(f"/api/label/{self.project}/{action}", json=body)

    def opened(self) -> dict[str, Any]:
        return self.post("open").json()

    def admin(self, path: str, **body: Any) -> Any:
        return self.client.post(f"/api/admin/{path}", json=body)


@pytest.fixture
def work(tmp_path: Path):
    with open_store(tmp_path / "labels.sqlite") as store:
        settings = Settings(check_share=0, repeat_share=0)
        labelling = Labelling.create(store, "poems", "Read both.", "text", 0, settings)
        labelling.add_pairs(Pair(f"prompt {i}", f"first {i}", f"second {i}", wanted=2) for i in range(5))
        tokens = {rater: labelling.invite(rater) for rater in ("anna", "ben")}
        app = labelling_app([labelling], site("127.0.0.1", 8400), ADMIN)
        yield Work(store, labelling, app, tokens)


def test_a_rater_is_shown_a_pair_and_the_answer_is_stored_as_it_was_meant(work):
    anna = work.signed_in("anna")
    shown = anna.opened()
    assert shown["rater"] == "anna"
    assert shown["project"] == {"name": "poems", "guidelines": "Read both.", "asks_strength": True}
    assert (shown["progress"]["done"], shown["progress"]["left"]) == (0, 5)
    place = shown["place"]
    after = anna.post("judge", place=place["id"], answer="left", strength=3, seconds=4.5).json()
    assert after["progress"]["done"] == 1
    assert after["place"]["id"] != place["id"]
    [comparison] = work.store.comparisons()
    preferred = comparison.a if comparison.preferred == "a" else comparison.b
    assert preferred == place["left"]["text"]
    assert (comparison.rater, comparison.strength, comparison.seconds) == ("anna", 3, 4.5)


@pytest.mark.parametrize("answer", ["tie", "both_bad"])
def test_no_winner(work, answer):
    anna = work.signed_in("anna")
    anna.post("judge", place=anna.opened()["place"]["id"], answer=answer)
    assert [comparison.preferred for comparison in work.store.comparisons()] == [answer]


def test_a_skip_is_no_comparison_and_the_pair_does_not_come_back(work):
    anna = work.signed_in("anna")
    seen = set()
    state = anna.opened()
    while state["place"]:
        seen.add(state["place"]["prompt"]["text"])
        state = anna.post("judge", place=state["place"]["id"], answer="skipped").json()
    assert len(seen) == 5
    assert len(work.store) == 0


def test_handing_in_twice_counts_once(work):
    anna = work.signed_in("anna")
    place = anna.opened()["place"]["id"]
    first = anna.post("judge", place=place, answer="left").json()
    again = anna.post("judge", place=place, answer="right").json()
    assert again["place"] == first["place"]
    assert len(work.store) == 1


def test_undo_brings_the_pair_back(work):
    anna = work.signed_in("anna")
    place = anna.opened()["place"]
    anna.post("judge", place=place["id"], answer="left")
    back = anna.post("undo").json()
    assert back["undone"]
    assert back["place"] == place
    assert len(work.store) == 0
    anna.post("judge", place=place["id"], answer="right")
    assert len(work.store) == 1
    assert not work.signed_in("ben").post("undo").json()["undone"]


def test_who_closes_the_page_finds_the_same_pair_again(work):
    anna = work.signed_in("anna")
    place = anna.opened()["place"]
    assert anna.opened()["place"] == place
    assert work.signed_in("anna").opened()["place"] == place


def test_nobody_answers_for_another(work):
    anna, ben = work.signed_in("anna"), work.signed_in("ben")
    place = anna.opened()["place"]["id"]
    ben.opened()
    answer = ben.post("judge", place=place, answer="left")
    assert answer.status_code == 409
    assert len(work.store) == 0
    anna.post("judge", place=place, answer="left")
    assert not ben.post("undo").json()["undone"]
    assert len(work.store) == 1


def test_a_rater_cannot_be_named(work):
    ben = work.signed_in("ben")
    place = ben.opened()["place"]["id"]
    assert ben.post("judge", place=place, answer="left", rater="anna").status_code == 422


def test_strangers_get_nothing(work):
    stranger = work.visitor()
    for action in ("open", "undo"):
        assert stranger.post(action).status_code == 401
    assert stranger.post("judge", place=1, answer="left").status_code == 401
    assert stranger.post("sign-in", token="guessed").status_code == 401
    assert stranger.client.get("/api/admin/projects").status_code == 401
    assert stranger.admin(f"projects/{work.labelling.id}/invite", rater="eve").status_code == 401
    assert stranger.client.get(f"/api/admin/projects/{work.labelling.id}/export/records").status_code == 401


def test_raters_are_no_administrators(work):
    anna = work.signed_in("anna")
    assert anna.admin("sign-in", token=work.tokens["anna"]).status_code == 401
    assert anna.client.get("/api/admin/projects").status_code == 401


def test_a_link_is_for_one_project(work):
    other = Labelling.create(work.store, "boards", "", "go")
    app = labelling_app([work.labelling, other], site("127.0.0.1", 8400), ADMIN)
    visitor = Visitor(TestClient(app, base_url=ORIGIN, headers={"origin": ORIGIN}), other.id)
    assert visitor.post("sign-in", token=work.tokens["anna"]).status_code == 401


def test_guessing_links_is_slowed_down(work):
    stranger = work.visitor()
    statuses = [stranger.post("sign-in", token=f"guess {i}").status_code for i in range(30)]
    assert statuses[0] == 401
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"place": "1", "answer": "left"}',
        b'{"place": 1.5, "answer": "left"}',
        b'{"place": true, "answer": "left"}',
        b'{"place": -1, "answer": "left"}',
        b'{"place": 99999999999999999999, "answer": "left"}',
        b'{"place": 1, "answer": "a"}',
        b'{"place": 1, "answer": ["left"]}',
        b'{"place": 1, "answer": "left", "strength": 4}',
        b'{"place": 1, "answer": "tie", "strength": 1}',
        b'{"place": 1, "answer": "left", "seconds": -1}',
        b'{"place": 1, "answer": "left", "seconds": NaN}',
        b'{"place": 1, "answer": "left", "seconds": 1e999}',
        b"[" * 60_000,
    ],
)
def test_malformed_answers_are_refused_in_one_line(work, body):
    anna = work.signed_in("anna")
    anna.opened()
    url = f"/api/label/{work.labelling.id}/judge"
    answer = anna.client.post(url, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"error"}
    assert len(answer.json()["error"]) < 200
    assert len(work.store) == 0


def test_oversized_answers_are_refused(work):
    anna = work.signed_in("anna")
    assert anna.post("judge", place=1, answer="left", seconds=1, more="x" * 70_000).status_code == 413


@pytest.mark.parametrize("token", ["\ud800", "x" * 129, 7, None, {"$ne": ""}])
def test_malformed_tokens(work, token):
    body = json.dumps({"token": token})
    url = f"/api/label/{work.labelling.id}/sign-in"
    visitor = work.visitor()
    answer = visitor.client.post(url, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (401, 422)


@pytest.mark.parametrize("project", ["0", "999", "-1", "99999999999999999999", "x", "1%2f..", "%00"])
def test_projects_that_are_not_there(work, project):
    assert work.visitor().client.post(f"/api/label/{project}/open", json={}).status_code in (404, 422)


def test_another_site_cannot_answer_in_somebodys_name(work):
    anna = work.signed_in("anna")
    place = anna.opened()["place"]["id"]
    url = f"/api/label/{work.labelling.id}/judge"
    forged = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
    body = {"place": place, "answer": "left"}
    assert anna.client.post(url, json=body, headers=forged).status_code == 403
    text = {"content-type": "text/plain"}
    assert anna.client.post(url, content=json.dumps(body), headers=text).status_code == 415
    assert anna.client.get(url).status_code == 405
    assert len(work.store) == 0


def test_who_is_locked_out_is_out_at_once(work):
    anna = work.signed_in("anna")
    place = anna.opened()["place"]["id"]
    work.labelling.revoke("anna")
    assert anna.post("judge", place=place, answer="left").status_code == 401
    assert len(work.store) == 0


def test_signing_out_takes_the_cookie_back(work):
    anna = work.signed_in("anna")
    assert anna.post("sign-out").status_code == 204
    assert anna.post("open").status_code == 401


def test_html_in_candidates_stays_text(work):
    nasty = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'
    work.labelling.add_pairs([Pair(nasty, nasty + "a", nasty + "b", priority=9)])
    answer = work.signed_in("anna").post("open")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["place"]["prompt"]["text"] == nasty


def test_pages_and_their_parts_are_served(work):
    client = work.visitor().client
    for path in ("/", f"/label/{work.labelling.id}", "/admin"):
        page = client.get(path)
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert " style=" not in page.text
        for part in page.text.split('"'):
            if part.startswith("/pages/"):
                found = client.get(part)
                assert found.status_code == 200
                assert client.get(part, headers={"if-none-match": found.headers["etag"]}).status_code == 304


def test_the_administrator_sees_how_it_goes(work):
    for rater in ("anna", "ben"):
        visitor = work.signed_in(rater)
        for _ in range(5):
            place = visitor.opened()["place"]
            side = "left" if place["left"]["text"].startswith("first") else "right"
            visitor.post("judge", place=place["id"], answer=side, seconds=2.0)
    admin = work.visitor()
    assert admin.admin("sign-in", token=ADMIN).status_code == 204
    [told] = admin.client.get("/api/admin/projects").json()
    assert (told["name"], told["pairs"], told["finished"], told["judged"]) == ("poems", 5, 5, 10)
    assert told["agreement"] | {"low": 0, "high": 0} == {"value": 1.0, "count": 5, "n": 5, "low": 0, "high": 0}
    assert told["alpha"] is None or told["alpha"]["value"] == 1.0
    assert told["median_seconds"] == 2.0
    assert sum(hour["count"] for hour in told["hours"]) == 10
    assert [(rater["rater"], rater["judged"], rater["link"]) for rater in told["raters"]] == [
        ("anna", 5, "has a link"),
        ("ben", 5, "has a link"),
    ]


def test_the_administrator_invites_and_locks_out(work):
    admin, number = work.visitor(), work.labelling.id
    admin.admin("sign-in", token=ADMIN)
    link = admin.admin(f"projects/{number}/invite", rater=" carla ").json()["link"]
    base, _, token = link.partition("#")
    assert base == f"{ORIGIN}/label/{number}"
    assert work.labelling.rater_of(token) == "carla"
    assert admin.admin(f"projects/{number}/revoke", rater="carla").status_code == 200
    assert work.labelling.rater_of(token) is None
    assert admin.admin(f"projects/{number}/revoke", rater="nobody").status_code == 422
    assert admin.admin(f"projects/{number}/invite", rater="two\nlines").status_code == 422
    assert admin.admin("projects/99/invite", rater="carla").status_code == 404


def test_exports(work):
    anna = work.signed_in("anna")
    shown = anna.opened()["place"]
    anna.post("judge", place=shown["id"], answer="left")
    admin = work.visitor()
    admin.admin("sign-in", token=ADMIN)
    url = f"/api/admin/projects/{work.labelling.id}/export/"
    answer = admin.client.get(url + "preferences")
    assert "attachment" in answer.headers["content-disposition"]
    [row] = [json.loads(line) for line in answer.text.splitlines()]
    [preference] = preferences([row])
    assert (preference.chosen, preference.rejected) == (shown["left"]["text"], shown["right"]["text"])
    [record] = [json.loads(line) for line in admin.client.get(url + "records").text.splitlines()]
    assert record["rater"] == "anna"
    assert admin.client.get(url + "../../secret").status_code in (404, 422)
