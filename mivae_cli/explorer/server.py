"""The web server of the explorer: routes, and a loop that ends on Ctrl-C.

It listens on 127.0.0.1 only. Files are served by name from a fixed table, so that no path comes
from a URL.
"""

__all__ = ["FILES", "application", "check_packages", "listen", "serve", "static_text"]

import importlib.util
import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from ..errors import OUT_OF_MEMORY, ConfigError, MivaeError, is_out_of_memory, reason
from . import requests as ask
from .guard import App, Guard, TooLarge, too_large
from .session import Explorer
from .worker import Busy

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

SCRIPTS = ("palette", "source", "lists", "input", "map", "panels", "app")
FILES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    **{f"{name}.js": "text/javascript; charset=utf-8" for name in SCRIPTS},
}
HOST = "127.0.0.1"
Answer = Callable[[Any], Mapping[str, Any]]


def check_packages() -> None:
    """Raises ConfigError if the packages of the extra `explore` are missing."""
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise ConfigError(
            "the explorer needs Starlette and uvicorn; install them with: pip install 'mivae[explore]'"
        )


def static_text(name: str) -> str:
    """Returns a file of the page."""
    return (files(__package__) / "static" / name).read_text(encoding="utf-8")


def application(explorer: Explorer, port: int, token: str) -> App:
    """Returns the server's application for a port, with all checks."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.responses import Response
    from starlette.routing import Route

    def as_json(value: object, status: int = 200) -> Response:
        body = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        return Response(body.encode("utf-8", "replace"), status, media_type="application/json")

    def failed(message: str, status: int) -> Response:
        return as_json({"error": message}, status)

    def posted(model: type[ask.Request], answer: Answer) -> Callable[..., Any]:
        async def handle(request: "Request") -> "Response":
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return failed("The Content-Type must be application/json.", 415)
            body = await request.body()
            try:
                asked = model.model_validate_json(body)
            except ValidationError as error:
                return failed(ask.explain_request(error), 422)
            return as_json(await run_in_threadpool(answer, asked))

        return handle

    def vector(values: bytes, **headers: int) -> Response:
        named = {f"X-{name.title()}": str(value) for name, value in headers.items()}
        return Response(values, 200, named, media_type="application/octet-stream")

    async def page(request: "Request") -> "Response":
        return Response(static_text("index.html"), media_type=FILES["index.html"])

    async def static(request: "Request") -> "Response":
        name = request.path_params["name"]
        if name not in FILES:
            raise HTTPException(404)
        return Response(static_text(name), media_type=FILES[name])

    async def overview(request: "Request") -> "Response":
        return as_json(await run_in_threadpool(explorer.overview))

    async def points(request: "Request") -> "Response":
        start, loaded = _start(request), explorer.codes.loaded
        if start >= loaded:
            explorer.check_encoding()
        places = explorer.codes.places[start:loaded]
        return vector(places.astype("<f4").tobytes(), total=explorer.codes.total, loaded=loaded)

    async def colours(request: "Request") -> "Response":
        values = explorer.colours.values(request.query_params.get("key", ""))
        values = values[_start(request) :]
        return vector(values.astype("<f4").tobytes(), total=explorer.codes.total)

    async def on_mivae_error(request: "Request", error: Exception) -> "Response":
        return failed(_sentence(str(error)), 503 if isinstance(error, Busy) else 422)

    async def on_large_body(request: "Request", error: Exception) -> "Response":
        status, message = too_large()
        return failed(message, status)

    async def on_http_error(request: "Request", error: Exception) -> "Response":
        status = cast(HTTPException, error).status_code
        what = "There is no such page." if status == 404 else "The method is not allowed."
        return failed(what, status)

    async def on_other_error(request: "Request", error: Exception) -> "Response":
        if is_out_of_memory(error):
            return failed(_sentence(OUT_OF_MEMORY), 500)
        return failed("An internal error occurred; the terminal shows it.", 500)

    handlers = {
        "sentence": posted(ask.SentenceRequest, explorer.sentence),
        "place": posted(ask.PlaceRequest, explorer.place),
        "point": posted(ask.PointRequest, explorer.point),
        "decode": posted(ask.DecodeRequest, explorer.decode),
        "interpolate": posted(ask.InterpolateRequest, explorer.interpolate),
        "vary": posted(ask.VaryRequest, explorer.vary),
        "analogy": posted(ask.AnalogyRequest, explorer.analogy),
        "sample": posted(ask.SampleRequest, explorer.sample),
        "search": posted(ask.SearchRequest, explorer.search),
        "sentences": posted(ask.SentencesRequest, explorer.chosen),
    }
    routes = [
        Route("/", page),
        Route("/static/{name}", static),
        Route("/api/overview", overview),
        Route("/api/points", points),
        Route("/api/colours", colours),
        *(Route(f"/api/{name}", handle, methods=["POST"]) for name, handle in handlers.items()),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            MivaeError: on_mivae_error,
            TooLarge: on_large_body,
            HTTPException: on_http_error,
            Exception: on_other_error,
        },
    )
    return Guard(cast(App, app), port, token)


def listen(port: int = 0) -> socket.socket:
    """Returns a socket on 127.0.0.1; port 0 chooses a free one.

    Raises:
        ConfigError: The port is in use, or may not be used.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot use port {port}: {reason(error)}; choose another with --port, or 0 for any "
            "free port (in Python, port=)"
        ) from error
    return listening


def serve(explorer: Explorer, listening: socket.socket, token: str) -> None:
    """Serves the page until Ctrl-C or SIGTERM."""
    import uvicorn

    app = application(explorer, listening.getsockname()[1], token)
    config = uvicorn.Config(
        cast(Any, app),
        log_level="error",  # invalid requests are answered, and need no attention
        access_log=False,  # the token is in the URL
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    with suppress(KeyboardInterrupt):  # raised again after the last request
        uvicorn.Server(config).run(sockets=[listening])


def _start(request: "Request") -> int:
    """Returns the number of the first sentence that is asked for."""
    given = request.query_params.get("start", "0")
    if not (given.isascii() and given.isdecimal() and len(given) <= 9):
        raise ConfigError("'start' must be a whole number from 0")
    return int(given)


def _sentence(message: str) -> str:
    """Returns a message of the program as a sentence of the page."""
    text = message[:1].upper() + message[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."
