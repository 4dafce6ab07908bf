"""The live page of runs: anybody may read, labels need the token, and nothing from a run is trusted."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from foolsgold.audit.gold_labels import Pool, draw_labels, read_labels, write_requests
from foolsgold.audit.verdict import Figure, Verdict
from foolsgold.errors import UserError
from foolsgold.labels.access import new_token
from foolsgold.serving.runs_app import Labelling, runs_app
from foolsgold.serving.runs_index import RunIndex
from foolsgold.serving.runs_queue import Scale
from foolsgold.serving.serve_command import ServeCommand, main
from foolsgold.serving.web_safety import site

ORIGIN = "http://127.0.0.1:8500"
NASTY = "<script>alert(1)</script>\ud800\u2028"
TOKEN = new_token()


def run_folder(root: Path, name: str, study: str = "gaming", **config: Any) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    record = {
        "format": 1,
        "study": study,
        "config_version": 1,
        "config": config,
        "command": ["foolsgold", "run", study],
    }
    (folder / "config.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A study that is running, one that has ended, and an audit that waits for labels."""
    live = run_folder(tmp_path, "gaming-1", lr=math.nan, note=NASTY)
    (live / "metrics.jsonl").write_text(
        '{"step": 0, "main/gold": 0.4, "main/kl": 0.0}\n{"step": 8, "main/gold": NaN}\n'
    )
    (live / "samples.jsonl").write_text(json.dumps({"prompt": NASTY, "completion": NASTY, "proxy": math.inf}) + "\n")
    ended = run_folder(tmp_path, "gap-2", "gap")
    Verdict("gap", "Easier.", "holds", NASTY[:-2], (Figure("gain", 0.5, 0.4, 0.6, 10, "%", "n"),)).write(
        ended / "verdict.json"
    )
    (ended / "report.html").write_text("<script>1</script>")
    audit = run_folder(tmp_path, "audit-3", "audit")
    pool = Pool(["p"], [["a", "b"]], np.zeros((1, 2)), "start")
    write_requests(audit / "to-judge.jsonl", [draw_labels(pool, 2)])
    return tmp_path


@pytest.fixture
def client(runs: Path) -> TestClient:
    app = runs_app(RunIndex(runs), site("127.0.0.1", 8500), TOKEN, Labelling(Scale(1, 5), NASTY[:-2]), "serve_8500")
    return TestClient(app, base_url=ORIGIN)


def post(client: TestClient, path: str, json: Any, **headers: str) -> Any:
    return client.post(path, json=json, headers={"origin": ORIGIN} | headers)


def sign_in(client: TestClient) -> None:
    assert post(client, "/api/sign-in", {"token": TOKEN}).status_code == 204


def test_the_list(client: TestClient) -> None:
    answer = client.get("/api/runs")
    cards = {card["name"]: card for card in answer.json()["cards"]}
    assert {name: card["state"] for name, card in cards.items()} == {
        "gaming-1": "running",
        "audit-3": "waiting",
        "gap-2": "finished",
    }
    assert cards["gaming-1"]["latest"] == {"step": 8, "values": [["main gold", "nan"]]}
    assert cards["gap-2"]["answer"] == "The claim holds"
    again = client.get("/api/runs", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert [card["name"] for card in client.get("/api/runs?state=finished").json()["cards"]] == ["gap-2"]
    assert client.get("/api/runs?words=GAMING&count=1").json()["total"] == 1


def test_a_run(client: TestClient) -> None:
    about = client.get("/api/runs/gap-2").json()
    assert about["figures"] == [
        {"name": "gain", "note": "n", "value": "50.0 %", "interval": "[40.0, 60.0]", "n": "of 10"}
    ]
    assert (about["claim"], about["command"], about["queue"]) == ("Easier.", "foolsgold run gap", False)
    live = client.get("/api/runs/gaming-1").json()
    assert live["settings"][-1] == {"title": "config", "rows": [["lr", "nan"], ["note", NASTY]]}


def test_curves_as_they_grow(client: TestClient, runs: Path) -> None:
    first = client.get("/api/runs/gaming-1/curves").json()
    assert first["whole"]
    assert first["curves"]["main/gold"] == {"first": 0, "step": [0, 8], "mean": [0.4, None], "low": None, "high": None}
    assert [chart["metric"] for chart in first["charts"]] == ["gold", "kl"]
    with (runs / "gaming-1" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 16, "main/gold": 0.3}\n')
    news = client.get(f"/api/runs/gaming-1/curves?cursor={first['cursor']}").json()
    assert not news["whole"]
    assert news["curves"] == {"main/gold": {"first": 2, "step": [16], "mean": [0.3], "low": None, "high": None}}
    assert "charts" not in news
    with (runs / "gaming-1" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 0, "other/gold": 0.3}\n')
    grown = client.get(f"/api/runs/gaming-1/curves?cursor={news['cursor']}").json()
    assert [line["label"] for line in grown["charts"][0]["lines"]] == ["main", "other"]
    assert client.get("/api/runs/gap-2/curves").json()["curves"] == {}


def test_samples_are_data(client: TestClient) -> None:
    found = client.get("/api/runs/gaming-1/samples").json()["sources"]
    assert found == [{"id": "samples.jsonl", "kind": "rows", "at": []}]
    answer = client.get("/api/runs/gaming-1/samples/page?source=samples.jsonl")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["samples"] == [{"prompt": NASTY, "text": NASTY, "facts": {"proxy": "inf"}}]


@pytest.mark.parametrize(
    "source", ["", "../gap-2/report.html", "/etc/passwd", "config.json", "..%2f..", "samples.jsonl%00", "x" * 900]
)
def test_only_samples_are_read(client: TestClient, source: str) -> None:
    assert client.get(f"/api/runs/gaming-1/samples/page?source={source}").status_code in (404, 422)


@pytest.mark.parametrize("name", ["%2e%2e", "..%2f", "nothing", "gap-2%00", "%2fetc"])
@pytest.mark.parametrize("what", ["/api/runs/{}", "/api/runs/{}/curves", "/runs/{}/report", "/api/runs/{}/queue"])
def test_only_runs_are_read(client: TestClient, name: str, what: str) -> None:
    assert client.get(what.format(name)).status_code == 404


def test_a_report_runs_in_an_origin_of_its_own(client: TestClient, runs: Path) -> None:
    answer = client.get("/runs/gap-2/report")
    assert answer.text == "<script>1</script>"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "same-origin" not in policy
    assert "connect-src" not in policy
    assert client.get("/runs/gaming-1/report").status_code == 404
    (runs / "gaming-1" / "report.html").symlink_to("/etc/hostname")
    assert client.get("/runs/gaming-1/report").status_code == 404
    (runs / "audit-3" / "report.html").mkdir()
    assert client.get("/runs/audit-3/report").status_code == 404


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_nobody_waits_for_a_pipe(client: TestClient, runs: Path) -> None:
    (runs / "gap-2" / "report.html").unlink()
    for name in ("report.html", "metrics.jsonl", "to-judge.jsonl", "evaluation-1.json", "rows.jsonl"):
        os.mkfifo(runs / "gap-2" / name)
    assert client.get("/runs/gap-2/report").status_code == 404
    assert client.get("/api/runs").status_code == 200
    assert client.get("/api/runs/gap-2/curves").json()["rows"] == 0
    assert client.get("/api/runs/gap-2/samples").json() == {"sources": []}
    assert client.get("/api/runs/gap-2/queue").status_code == 409


def test_pages_may_run_only_our_scripts(client: TestClient) -> None:
    for path in ("/", "/runs/gap-2", "/runs/audit-3/label", "/runs/%3Cscript%3E"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert " style=" not in answer.text  # the policy would refuse them
    assert client.get("/pages/runs.css").headers["content-type"].startswith("text/css")


def test_boards_are_pictures(client: TestClient) -> None:
    answer = client.get("/board.svg?position=X..../...../..O../...../.....%203-0")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.text.startswith("<svg")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert client.get("/board.svg?position=<script>").status_code == 404
    assert client.get("/board.svg?position=" + "X" * 500).status_code == 422


def test_without_the_token_the_queue_is_read_only(client: TestClient, runs: Path) -> None:
    queue = client.get("/api/runs/audit-3/queue").json()
    assert (queue["asked"], queue["judged"], queue["may_label"]) == (2, 0, False)
    assert sorted(each["completion"] for each in queue["requests"]) == ["a", "b"]
    name = queue["requests"][0]["id"]
    for what, given in (
        ("next", {"rater": "anna"}),
        ("judge", {"rater": "anna", "id": name, "gold": 3}),
        ("undo", {"rater": "anna"}),
        ("labels", {}),
    ):
        assert post(client, f"/api/runs/audit-3/queue/{what}", given).status_code == 401
    assert post(client, "/api/sign-in", {"token": "guess"}).status_code == 401
    client.cookies.set("serve_8500", "guess")
    assert post(client, "/api/runs/audit-3/queue/next", {"rater": "anna"}).status_code == 401
    assert sorted(path.name for path in (runs / "audit-3").iterdir()) == ["config.json", "to-judge.jsonl"]


def test_with_the_token_labels_are_given(client: TestClient, runs: Path) -> None:
    sign_in(client)
    said = {}
    for gold in (2, 5):
        request = post(client, "/api/runs/audit-3/queue/next", {"rater": "anna"}).json()["request"]
        given = {"rater": "anna", "id": request["id"], "gold": gold, "seconds": 2.5}
        assert post(client, "/api/runs/audit-3/queue/judge", given).status_code == 204
        said[request["id"]] = gold
    assert post(client, "/api/runs/audit-3/queue/next", {"rater": "anna"}).json() == {"request": None}
    assert post(client, "/api/runs/audit-3/queue/labels", {}).status_code == 204
    queue = client.get("/api/runs/audit-3/queue").json()
    assert (queue["judged"], queue["labels"], queue["raters"]) == (2, True, {"anna": 2})
    labels = queue["command"].split()[-1]
    assert {name: label.gold for name, label in read_labels(labels).items()} == said
    undone = post(client, "/api/runs/audit-3/queue/undo", {"rater": "anna"}).json()["request"]
    assert undone["id"] == list(said)[1]
    assert client.get("/api/runs/audit-3/queue").json()["judged"] == 1


@pytest.mark.parametrize(
    "given",
    [
        {},
        [],
        "x",
        {"rater": "anna", "id": "x", "gold": "3"},
        {"rater": "anna", "id": "x", "gold": 2.5},
        {"rater": "anna", "id": "x", "gold": True},
        {"rater": "anna", "id": "x", "gold": 10**30},
        {"rater": "anna", "id": "x", "gold": 3, "seconds": -1},
        {"rater": "anna", "id": "x", "gold": 3, "more": 1},
        {"rater": "a" * 61, "id": "x", "gold": 3},
        {"rater": "anna", "id": "x" * 101, "gold": 3},
        {"rater": "anna", "id": "not asked", "gold": 3},
        {"rater": "  ", "id": "x", "gold": 3},
        {"rater": "anna", "id": "x", "gold": 9},
    ],
)
def test_malformed_judgements_are_refused(client: TestClient, runs: Path, given: Any) -> None:
    sign_in(client)
    answer = post(client, "/api/runs/audit-3/queue/judge", given)
    assert answer.status_code in (409, 422)
    assert "\n" not in answer.json()["error"]
    assert not (runs / "audit-3" / "judgements.jsonl").exists()


def test_other_sites_change_nothing(client: TestClient) -> None:
    sign_in(client)
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999"):
        answer = post(client, "/api/runs/audit-3/queue/next", {"rater": "anna"}, origin=origin)
        assert answer.status_code == 403
    assert client.get("/api/runs", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/api/runs/gap-2/queue").status_code == 404


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        main(ServeCommand(runs=str(tmp_path / "none")))
    with pytest.raises(UserError, match="--scale 5"):
        main(ServeCommand(runs=str(tmp_path), scale="5"))
    with pytest.raises(UserError, match="--guidelines"):
        main(ServeCommand(runs=str(tmp_path), guidelines=str(tmp_path / "none.md")))
    with pytest.raises(UserError, match="give --url"):
        main(ServeCommand(runs=str(tmp_path), host="0.0.0.0"))
    with pytest.raises(UserError, match="no port"):
        ServeCommand(port=99999)
