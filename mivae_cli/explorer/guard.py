"""Checks of every request before it reaches the explorer, as an ASGI application.

A web page of another site can send requests to this machine, and can give its own host name this
machine's address (DNS rebinding). Host and Origin must therefore be those of the page, and every
request for data needs the random token from the URL that the command prints.
"""

__all__ = ["HEADERS", "App", "Guard", "TooLarge", "too_large"]

import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from ..limits import MAX_REQUEST_BYTES

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER = b"x-mivae-token"
STATIC = "/static/"  # own public code, which needs no token
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_TOKEN = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>mivae</title>"
    b"<p>Open the URL that <code>mivae explore</code> printed: it contains a token.</p></html>"
)


class TooLarge(Exception):
    """The body of a request without a Content-Length is too large; the application answers."""


class Guard:
    """Passes on requests from the own page, and answers all others with an error.

    Arguments:
        app: The application.
        port: The port that the page is served from.
        token: The token that requests must repeat.
    """

    def __init__(self, app: App, port: int, token: str) -> None:
        self._app, self._token = app, token.encode()
        names = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._hosts = {name.encode() for name in names}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":  # neither lifespan events nor web sockets are in use
            return
        problem = self._problem(scope)
        if problem is not None:
            await _refuse(scope, send, *problem)
            return
        left = MAX_REQUEST_BYTES

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise TooLarge
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        await self._app(scope, limited, with_headers)

    def _problem(self, scope: Scope) -> tuple[int, str] | None:
        """Returns the status and the message of the first failed check."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 421, "This server answers only to 127.0.0.1; open the URL that it printed."
        if any(value not in self._origins for name, value in headers if name == b"origin"):
            return 403, "The request comes from another site; open the URL of the explorer."
        sizes = [value for name, value in headers if name == b"content-length"]
        if any(not size.isdigit() or len(size) > 18 for size in sizes):
            return 400, "The Content-Length is invalid."
        if any(int(size) > MAX_REQUEST_BYTES for size in sizes):
            return too_large()
        if scope["path"].startswith(STATIC) or secrets.compare_digest(_token(scope), self._token):
            return None
        return 403, "The token is missing or wrong; open the URL that mivae explore printed."


def _token(scope: Scope) -> bytes:
    """Returns the token in a header; the page itself may have it in its URL."""
    found = [value for name, value in scope["headers"] if name == TOKEN_HEADER]
    if not found and scope["path"] == "/":
        query = parse_qs(scope["query_string"][:1000].decode("latin-1"))
        found = [value.encode() for value in query.get("token", [])]
    return bytes(found[0]) if len(found) == 1 else b""


def too_large() -> tuple[int, str]:
    """Returns the status and the message about a large body."""
    return 413, f"The request has more than {MAX_REQUEST_BYTES:,} bytes; send less at once."


async def _refuse(scope: Scope, send: Send, status: int, message: str) -> None:
    page = status == 403 and scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
    body = NO_TOKEN if page else json.dumps({"error": message}).encode()
    kind = b"text/html; charset=utf-8" if page else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if scope["method"] == "HEAD":
        body = b""
    await send({"type": "http.response.body", "body": body})
