"""What every page of ours is served behind: known hosts, own origin, small bodies, strict headers, tokens in cookies.

`Guard` wraps an application and turns away what no page of ours would send. `Door` lets people in by a personal token
and keeps them in by a cookie that scripts cannot read. Neither stops somebody who has the link, or the machine.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foolsgold.errors import UserError

BODY_LIMIT = 64 * 1024
"""Bytes of a request's body; what pages send is far smaller."""
BODY_SECONDS = 10.0
"""A body that takes longer to arrive is given up."""
COOKIE_DAYS = 60
TOKEN_LENGTH = 128
"""Characters; ours have 43."""
HEADERS = {
    # Trusted types forbid scripts to turn text into HTML at all: what models wrote can only become text nodes.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Sent with every response that does not set its own."""
_DEFAULT_PORT = {"http": 80, "https": 443}
_SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Site:
    """Where pages are reached."""

    url: str
    """What people open, such as `https://label.example.org` or `http://127.0.0.1:8400`; no slash at its end."""
    origins: frozenset[str]
    """What a browser may name as the origin of a page of ours."""

    @property
    def hosts(self) -> frozenset[str]:
        """Host headers that are answered. Others are refused: a name that was made to point at this machine (DNS
        rebinding) would otherwise let a stranger's page read ours."""
        return frozenset(urlsplit(origin).netloc for origin in self.origins)

    @property
    def secure(self) -> bool:
        """Whether cookies may travel by https only."""
        return self.url.startswith("https:")

    @property
    def mark(self) -> str:
        """Tells the cookies of this site from those of others on the same machine: cookies know no ports."""
        return blake2b(self.url.encode(), digest_size=4).hexdigest()


def site(host: str, port: int, url: str | None = None) -> Site:
    """The site that a server on `host` and `port` serves.

    Args:
      url: what people open, where it is not the server's own address: behind a proxy, or on every interface.

    Raises:
      UserError: `url` is no http address without a path, or is wanted and missing.
    """
    local = {_origin(f"http://{name}:{port}") for name in ("127.0.0.1", "localhost", "[::1]")}
    if url is not None:
        base = _origin(url)
        return Site(base, frozenset(local | {base}))
    if not is_loopback(host):
        raise UserError(f"--host {host} can be reached from elsewhere; give --url, the address people open")
    shown = _origin(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    return Site(shown, frozenset(local | {shown}))


def _origin(url: str) -> str:
    """The origin of `url` as browsers write it: lower case, no default port."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in _DEFAULT_PORT or parts.path.strip("/") or parts.query or parts.fragment:
        raise UserError(f"--url {url}: give scheme and host only, such as https://label.example.org")
    name = f"[{host}]" if ":" in host else host
    suffix = "" if port in (None, _DEFAULT_PORT[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{name}{suffix}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """An application behind the checks that all pages share.

    Refused, each in one line of JSON: another Host (421), a change asked for by another origin or by no page (403), a
    change that is not JSON (415), a body over `limit` bytes (413) or too slow (408), websockets.
    """

    def __init__(self, app: ASGIApp, served: Site, limit: int = BODY_LIMIT):
        self._app = app
        self._site = served
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refusal(scope)
        if refused is None and scope["method"] not in _SAFE_METHODS:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await self._body(receive)
            except TimeoutError:
                refused = refusal(408, "the request did not arrive in time")
            else:
                if body is None:
                    refused = refusal(413, f"a request has at most {self._limit} bytes")
                else:
                    receive = _replayed(body, receive)
        await (refused or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("host", "").lower() not in self._site.hosts:
            return refusal(421, f"open {self._site.url}")
        if scope["method"] in _SAFE_METHODS:
            return None
        # Browsers name the page's origin with every change they ask for, and no page can forge it.
        if headers.get("origin") not in self._site.origins or headers.get("sec-fetch-site", "same-origin") != (
            "same-origin"
        ):
            return refusal(403, "only this site's own pages may change anything")
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return refusal(415, "send application/json")
        return None

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body, None where it is too long or its sender has gone."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._limit or message["type"] != "http.request":
                return None
            if not message.get("more_body", False):
                return body


def refusal(status: int, reason: str) -> JSONResponse:
    """A response that says no, and why, in one line."""
    return JSONResponse({"error": reason}, status)


def _replayed(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message["headers"]}
            message["headers"] = list(message["headers"]) + [pair for pair in _HEADERS if pair[0] not in own]
        await send(message)

    return sent


_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class SignIn(BaseModel):
    """What a page sends to sign in."""

    model_config = ConfigDict(extra="forbid", strict=True)
    token: Annotated[str, Field(max_length=TOKEN_LENGTH)]


def same(token: str, other: str) -> bool:
    """Whether two tokens are equal; how long it takes says nothing about where they differ."""
    return hmac.compare_digest(_digest(token), _digest(other))


def _digest(token: str) -> bytes:
    return blake2b(token.encode("utf-8", "surrogatepass"), digest_size=32).digest()


@dataclass
class WrongGuesses:
    """Wrong tokens of late, by the address they came from."""

    limit: int = 20
    """Wrong tokens from one address within `window` before it has to wait."""
    window: float = 60.0
    """Seconds."""
    clock: Callable[[], float] = time.monotonic
    _seen: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, address: str) -> None:
        with self._lock:
            times = self._seen.setdefault(address, deque(maxlen=self.limit))
            times.append(self.clock())
            self._seen.move_to_end(address)
            while len(self._seen) > 10_000:  # a flood from many addresses must not fill the memory
                self._seen.popitem(last=False)

    def too_many(self, address: str) -> bool:
        times = self._seen.get(address)
        return times is not None and len(times) == self.limit and self.clock() - times[0] < self.window


class Door:
    """Lets in whoever shows a token that `who` knows, and knows them again by a cookie.

    The cookie holds the token, unreadable to scripts (HttpOnly) and never sent along from other sites
    (SameSite=Strict); `who` is asked at every request, so that a revoked token stops at once.

    Args:
      name: of the cookie; it must differ between doors and, see `Site.mark`, between servers.
      who: the person a token belongs to, None where it belongs to nobody. Compare with `same`, or look up a hash.
    """

    def __init__(self, name: str, who: Callable[[str], str | None], guesses: WrongGuesses, secure: bool):
        self._name = name
        self._who = who
        self._guesses = guesses
        self._secure = secure
        self._known: set[bytes] = set()

    def admit(self, request: Request, token: str) -> Response:
        """Sign in: the response, without content, that sets the cookie.

        Raises:
          HTTPException: as `visitor`.
        """
        self._person(request, token)
        response = Response(status_code=204)
        response.set_cookie(
            self._name, token, max_age=COOKIE_DAYS * 86400, httponly=True, samesite="strict", secure=self._secure
        )
        return response

    def visitor(self, request: Request) -> str:
        """Who asks.

        Raises:
          HTTPException: 401 where nobody's token is shown, 429 after too many wrong ones from the same address.
        """
        return self._person(request, request.cookies.get(self._name, ""))

    def holds(self, request: Request) -> bool:
        """Whether the request comes from somebody known."""
        try:
            return bool(self.visitor(request))
        except HTTPException:
            return False

    def dismiss(self) -> Response:
        """Sign out: the response that takes the cookie back."""
        response = Response(status_code=204)
        response.delete_cookie(self._name, httponly=True, samesite="strict", secure=self._secure)
        return response

    def _person(self, request: Request, token: str) -> str:
        if not token:
            raise HTTPException(401, "open your personal link to sign in")
        address = request.client.host if request.client else ""
        digest = _digest(token)
        # Those who are in already are not kept out by a neighbour who guesses from the same address.
        if digest not in self._known and self._guesses.too_many(address):
            raise HTTPException(429, "too many wrong links; wait a minute")
        person = self._who(token) if len(token) <= TOKEN_LENGTH and token.isascii() else None
        if person is None:
            self._known.discard(digest)
            self._guesses.note(address)
            raise HTTPException(401, "this link is not valid; ask for a new one")
        self._known.add(digest)
        return person


def door_for(token: str, name: str, guesses: WrongGuesses, secure: bool) -> Door:
    """A door with a single key, such as an administrator's."""
    return Door(name, lambda shown: "administrator" if same(shown, token) else None, guesses, secure)
