"""Serving an application: its pages and files from the package, its errors in one line, its socket and its end."""

from __future__ import annotations

import socket
from hashlib import blake2b
from importlib.resources import files

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from foolsgold.errors import UserError
from foolsgold.serving.web_safety import refusal

BACKLOG = 2048
"""Connections that may wait to be accepted."""
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def new_app(title: str) -> FastAPI:
    """An application without pages yet. Its errors are `{"error": one line}`, and never quote what was sent."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> Response:
        return refusal(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if isinstance(part, str) and part != "body")
        return refusal(422, f"{where[:80] or 'the request'}: {first['msg']}")

    @app.exception_handler(UserError)
    async def mistaken(_request: Request, error: UserError) -> Response:
        return refusal(409, str(error))

    return app


def add_page(app: FastAPI, path: str, name: str) -> None:
    """Answer `path` with the file `name` of `pages/`, read once; browsers ask whether it changed."""
    body = files("foolsgold.serving").joinpath("pages", name).read_bytes()
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    media = f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8"

    def page(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media, headers=headers)

    app.add_api_route(path, page, methods=["GET", "HEAD"])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`; port 0 takes a free one. Visitors wait there until a server runs.

    Raises:
      UserError: the port is taken or not ours to take, or the host is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise UserError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; try another --port"
        ) from error
    return bound


def server(app: ASGIApp, behind_proxy: bool = False) -> uvicorn.Server:
    """The server of `app`; `run(sockets=[listen(…)])` serves until it is interrupted.

    Args:
      behind_proxy: believe a proxy on this machine about the addresses of visitors. Without one, anybody could name
        another address with every guess.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # addresses of personal links do not belong in logs
            server_header=False,
            proxy_headers=behind_proxy,
            ws="none",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
        )
    )
