"""A small explorer with random weights, and requests to its server without a network."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mivae_cli.config.data import WordTokenizerConfig
from mivae_cli.config.model import ModelConfig
from mivae_cli.data.token_store import TokenStore
from mivae_cli.data.tokenizer import Tokenizer, train_tokenizer
from mivae_cli.explorer.guard import App
from mivae_cli.explorer.model import ExploredModel
from mivae_cli.explorer.overview import About
from mivae_cli.explorer.sentences import Label, Sentences
from mivae_cli.explorer.session import Explorer
from mivae_cli.models.vae import build_model
from support.small import SMALL, scenes

PORT, TOKEN = 8123, "secret"
MAX_TOKENS = 12
SCRIPT = "</script><script>alert(1)</script>"


def scene_texts(count: int = 60) -> list[str]:
    """Returns sentences, the first of which contains a script tag."""
    texts = [scene.sentence() for scene in scenes.scenes(count, 0)]
    return [f"{texts[0]} {SCRIPT}", *texts[1:]]


def scene_model(texts: Sequence[str], posterior: str = "gaussian") -> ExploredModel:
    """Returns a model with random weights whose sentences depend strongly on z."""
    tokenizer = train_tokenizer(texts, WordTokenizerConfig(min_count=1))
    section = {**SMALL["model"], "posterior": {"kind": posterior}}
    torch.manual_seed(0)
    vae = build_model(ModelConfig.model_validate(section), tokenizer.size).eval()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.mul_(2)
    return ExploredModel(vae, tokenizer, MAX_TOKENS, weights="random")


def scene_sentences(
    texts: Sequence[str], tokenizer: Tokenizer, labels: Sequence[Label] = ()
) -> Sentences:
    """Returns sentences of a map; those of a file have lines 10, 11, ..."""
    store = TokenStore.from_ids(ids[:MAX_TOKENS] for ids in tokenizer.encode(list(texts)))
    lines = torch.arange(10, 10 + len(texts)).numpy()
    return Sentences("scenes.txt", list(texts), store, lines, tuple(labels))


def scene_explorer(
    count: int = 60,
    labels: Sequence[Label] = (),
    posterior: str = "gaussian",
    cache: Path | None = None,
) -> Explorer:
    """Returns an explorer of some scenes; the caller closes it."""
    texts = scene_texts(count)
    model = scene_model(texts, posterior)
    sentences = scene_sentences(texts, model.tokenizer, labels)
    return Explorer(model, sentences, About("runs/scenes", "best", "scenes"), cache=cache)


@dataclass(frozen=True)
class Reply:
    """An answer of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # any JSON
        return json.loads(self.body)


def ask(
    app: App,
    path: str,
    body: object = None,
    *,
    method: str | None = None,
    query: str = "",
    headers: Mapping[str, str | None] | None = None,
    chunks: Sequence[bytes] | None = None,
) -> Reply:
    """Sends a request of the page; headers replace the usual ones, None removes one.

    Args:
        app: The application.
        path: The path of the URL.
        body: A value to send as JSON, or bytes to send as they are.
        method: By default POST with a body, otherwise GET.
        query: The query of the URL.
        headers: Headers in lower case.
        chunks: The body in parts, without a Content-Length.
    """
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    method = method or ("GET" if body is None and chunks is None else "POST")
    own: dict[str, str | None] = {"host": f"127.0.0.1:{PORT}", "x-mivae-token": TOKEN}
    if method == "POST":
        own |= {"content-type": "application/json", "origin": f"http://127.0.0.1:{PORT}"}
        own |= {"content-length": None if chunks is not None else str(len(data))}
    own |= headers or {}
    raw = [(name.encode(), value.encode()) for name, value in own.items() if value is not None]
    parts = list(chunks) if chunks is not None else [data]
    messages = [
        {"type": "http.request", "body": part, "more_body": place < len(parts) - 1}
        for place, part in enumerate(parts)
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": raw,
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", PORT),
    }
    sent: list[Any] = []

    async def receive() -> Any:  # noqa: ANN401  # a message
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:  # noqa: ANN401  # a message
        sent.append(message)

    asyncio.run(_call(app, scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], found, b"".join(part.get("body", b"") for part in sent[1:]))


async def _call(app: App, *arguments: Any) -> None:  # noqa: ANN401
    await app(*arguments)
