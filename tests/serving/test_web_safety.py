"""What the guard turns away, and whom the door lets in."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from foolsgold.errors import UserError
from foolsgold.serving.web_safety import Guard, WrongGuesses, door_for, is_loopback, same, site
from foolsgold.serving.web_server import listen, new_app

ORIGIN = "http://127.0.0.1:8400"


def guarded(limit: int = 1000, guesses: WrongGuesses | None = None) -> TestClient:
    app = new_app("echo")
    door = door_for("the right token", "key", guesses or WrongGuesses(), secure=False)

    @app.post("/echo")
    async def echo(request: Request) -> Any:
        return await request.json()

    @app.post("/in")
    async def enter(request: Request) -> Any:
        return door.admit(request, (await request.json())["token"])

    @app.get("/who")
    def who(request: Request) -> Any:
        return door.visitor(request)

    @app.post("/number")
    def number(request: Request, n: int) -> Any:
        return n

    return TestClient(Guard(app, site("127.0.0.1", 8400), limit), base_url=ORIGIN)


def post(client: TestClient, path: str = "/echo", json: Any = None, **headers: str) -> Any:
    return client.post(path, json=json, headers={"origin": ORIGIN} | headers)


def test_a_change_asked_for_by_our_own_page_passes():
    answer = post(guarded(), json={"text": "é"})
    assert answer.status_code == 200
    assert answer.json() == {"text": "é"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8401"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1:8401"}, 421),
    ],
)
def test_what_other_pages_can_send_is_refused(headers, status):
    answer = post(guarded(), json={}, **headers)
    assert answer.status_code == status
    assert "error" in answer.json()


def test_no_origin_no_change():
    assert guarded().post("/echo", json={}).status_code == 403


def test_a_rebound_name_cannot_even_read():
    assert guarded().get("/who", headers={"host": "rebound.example"}).status_code == 421


def test_bodies_are_limited_whether_or_not_they_say_how_long_they_are():
    client = guarded(limit=10)
    headers = {"origin": ORIGIN, "content-type": "application/json"}
    assert client.post("/echo", content=b"[1,2,3,45]", headers=headers).json() == [1, 2, 3, 45]
    assert client.post("/echo", content=b"[1,2,3,456]", headers=headers).status_code == 413
    pieces = iter([b"[1,2", b",3,456", b"]"])
    assert client.post("/echo", content=pieces, headers=headers).status_code == 413


def test_headers_forbid_scripts_of_others_on_every_answer():
    for answer in (guarded().get("/who"), guarded().get("/nowhere"), post(guarded(), origin="http://evil.example")):
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"


def test_the_door_sets_a_cookie_that_scripts_cannot_read():
    client = guarded()
    assert client.get("/who").status_code == 401
    answer = post(client, "/in", {"token": "the right token"})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/who").json() == "administrator"


@pytest.mark.parametrize("token", ["", "the right tokeN", "x" * 500, "tökén"])
def test_wrong_tokens_stay_outside(token):
    assert post(guarded(), "/in", {"token": token}).status_code == 401


def test_guesses_run_out_but_those_inside_go_on():
    now = [0.0]
    client = guarded(guesses=WrongGuesses(limit=3, window=60, clock=lambda: now[0]))
    assert post(client, "/in", {"token": "the right token"}).status_code == 204
    assert [post(client, "/in", {"token": f"guess {i}"}).status_code for i in range(5)] == [401, 401, 401, 429, 429]
    assert client.get("/who").status_code == 200
    now[0] = 61
    assert post(client, "/in", {"token": "guess"}).status_code == 401


def test_a_right_token_never_seen_waits_too_where_too_many_guessed():
    client = guarded(guesses=WrongGuesses(limit=2))
    statuses = [post(client, "/in", {"token": token}).status_code for token in ("a", "b", "the right token")]
    assert statuses == [401, 401, 429]


def test_addresses_are_forgotten_before_they_fill_the_memory():
    guesses = WrongGuesses()
    for i in range(10_050):
        guesses.note(str(i))
    assert len(guesses._seen) == 10_000


def test_malformed_requests_get_one_line_that_quotes_nothing():
    answer = post(guarded(), "/number?n=%3Cscript%3E", json={})
    assert answer.status_code == 422
    assert "<script>" not in answer.text
    assert "n" in answer.json()["error"]


def test_where_a_site_is():
    assert site("127.0.0.1", 80).url == "http://127.0.0.1"
    assert site("::1", 8400).url == "http://[::1]:8400"
    public = site("0.0.0.0", 8400, "https://Label.example.org:443/")
    assert public.url == "https://label.example.org"
    assert public.secure
    assert public.hosts == {"label.example.org", "127.0.0.1:8400", "localhost:8400", "[::1]:8400"}


@pytest.mark.parametrize("url", ["label.example.org", "ftp://a", "https://a/path", "https://a:b", "https://a?q=1"])
def test_addresses_nobody_can_open_are_refused(url):
    with pytest.raises(UserError, match="scheme and host"):
        site("0.0.0.0", 8400, url)


def test_a_server_for_others_must_say_its_address():
    with pytest.raises(UserError, match="--url"):
        site("0.0.0.0", 8400)
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.org")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_a_port_in_use_is_one_line():
    with listen("127.0.0.1", 0) as taken, pytest.raises(UserError, match="try another --port"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_tokens_compare():
    assert same("abc", "abc")
    assert not same("abc", "abd")
    assert not same("abc", "")
