"""The server: what it rejects, and what it answers, through its ASGI interface."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")

from mivae_cli.errors import ConfigError
from mivae_cli.explorer import server
from mivae_cli.explorer.guard import App
from mivae_cli.explorer.server import application, listen
from mivae_cli.explorer.session import Explorer
from mivae_cli.limits import MAX_REQUEST_BYTES
from support.explored import PORT, SCRIPT, TOKEN, ask, scene_explorer

POINT = {"x": 0.0, "y": 0.0, "sequence": 1}
REQUESTS: dict[str, dict[str, Any]] = {
    "sentence": {"index": 1},
    "place": {"text": "a man"},
    "point": POINT,
    "decode": {"from": {"prior": True}, "units": {"1": 2}, "sequence": 1},
    "interpolate": {"from": {"index": 1}, "to": {"x": 1, "y": 0.5}, "steps": 3},
    "vary": {"from": {"text": "a man"}, "count": 2},
    "analogy": {"a": "a man", "b": "two men", "c": "a dog", "temperature": 0},
    "sample": {"count": 2, "temperature": 0.7, "seed": 3},
    "search": {"query": "a", "limit": 2},
    "sentences": {"indices": [0, 2]},
}


@pytest.fixture(scope="module")
def explorer() -> Iterator[Explorer]:
    made = scene_explorer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def app(explorer: Explorer) -> App:
    return application(explorer, PORT, TOKEN)


class TestRejected:
    @pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1:1", None])
    def test_a_foreign_host(self, app: App, host: str | None) -> None:
        assert ask(app, "/api/overview", headers={"host": host}).status == 421

    @pytest.mark.parametrize(
        "origin", ["http://evil.example", "null", f"https://127.0.0.1:{PORT}"]
    )
    def test_a_foreign_origin(self, app: App, origin: str) -> None:
        assert ask(app, "/api/point", POINT, headers={"origin": origin}).status == 403

    @pytest.mark.parametrize("token", [None, "", "wrong", f"{TOKEN}x", "\u00e9"])
    @pytest.mark.parametrize("path", ["/api/overview", "/api/points", "/nothing"])
    def test_a_missing_or_wrong_token(self, app: App, token: str | None, path: str) -> None:
        assert ask(app, path, headers={"x-mivae-token": token}).status == 403

    def test_a_token_in_the_url_of_anything_but_the_page(self, app: App) -> None:
        query = f"token={TOKEN}"
        headers = {"x-mivae-token": None}
        assert ask(app, "/", query=query, headers=headers).status == 200
        assert ask(app, "/api/overview", query=query, headers=headers).status == 403
        page = ask(app, "/", query="token=wrong", headers=headers)
        assert page.status == 403
        assert b"mivae explore" in page.body

    def test_a_large_body(self, app: App) -> None:
        whole = b'{"text": "' + b"a" * MAX_REQUEST_BYTES + b'"}'
        assert ask(app, "/api/place", whole).status == 413
        parts = [whole[:40_000], whole[40_000:]]  # without a Content-Length
        assert ask(app, "/api/place", chunks=parts).status == 413
        for size in ("-1", "1e3", "9" * 30):
            reply = ask(app, "/api/place", b"{}", headers={"content-length": size})
            assert reply.status == 400

    @pytest.mark.parametrize(
        "path",
        [
            "/static/../server.py",
            "/static/..%2fserver.py",
            "/static//etc/passwd",
            "/static/server.py",
            "/../../etc/passwd",
            "/api/../static/x",
            "/static/",
        ],
    )
    def test_paths_outside_the_table_of_files(self, app: App, path: str) -> None:
        assert ask(app, path).status == 404

    def test_other_methods_and_content_types(self, app: App) -> None:
        assert ask(app, "/api/point").status == 405
        assert ask(app, "/api/overview", {}).status == 405
        reply = ask(app, "/api/point", POINT, headers={"content-type": "text/plain"})
        assert reply.status == 415

    @pytest.mark.parametrize(
        ("name", "body"),
        [
            ("point", {**POINT, "x": "0"}),
            ("point", {**POINT, "x": True}),
            ("point", {**POINT, "x": 1e9}),
            ("point", {**POINT, "sequence": 1.5}),
            ("point", {**POINT, "more": 1}),
            ("point", {"x": 0}),
            ("point", b'{"x": NaN, "y": 0, "sequence": 1}'),
            ("point", b'{"x": 1e999, "y": 0, "sequence": 1}'),
            ("point", b"{"),
            ("point", b"[]"),
            ("point", b"\xff"),
            ("place", {"text": ""}),
            ("place", {"text": "a" * 1001}),
            ("place", b'{"text": "\\ud800"}'),
            ("sentence", {"index": -1}),
            ("sentence", {"index": 60}),
            ("decode", {"from": {"prior": False}, "units": {}}),
            ("decode", {"from": {"prior": True}, "units": {"9": 1}}),
            ("decode", {"from": {"prior": True}, "units": {"x": 1}}),
            ("interpolate", {"from": {"index": 1}, "to": {"index": 2, "text": "a"}}),
            ("interpolate", {"from": {"index": 1}, "to": {"index": 2}, "steps": 33}),
            ("interpolate", {"from": {"index": 1}, "to": {"index": 2}, "temperature": 2.5}),
            ("vary", {"from": {"index": 1}, "spread": 6}),
            ("sample", {"count": 101}),
            ("sample", {"count": 1, "seed": 2**53}),
            ("search", {"query": "a", "limit": 0}),
            ("sentences", {"indices": [1] * 1001}),
        ],
    )
    def test_invalid_requests_get_one_sentence(
        self, app: App, name: str, body: dict[str, Any] | bytes
    ) -> None:
        reply = ask(app, f"/api/{name}", body)
        assert reply.status == 422
        assert list(reply.json) == ["error"]
        assert reply.json["error"].endswith(".")
        assert "\n" not in reply.json["error"]
        assert "should" not in reply.json["error"]
        assert len(reply.json["error"]) < 250

    @pytest.mark.parametrize(
        "query", ["key=nothing", "", "key=length&start=-1", "key=rate&start=x"]
    )
    def test_unknown_colours_and_starts(self, app: App, query: str) -> None:
        assert ask(app, "/api/colours", query=query).status == 422

    def test_every_answer_has_the_headers(self, app: App) -> None:
        replies = [
            ask(app, "/", query=f"token={TOKEN}"),
            ask(app, "/static/map.js"),
            ask(app, "/static/none"),
            ask(app, "/api/overview"),
            ask(app, "/api/overview", headers={"host": "evil.example"}),
            ask(app, "/api/point", {}),
        ]
        for reply in replies:
            policy = reply.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert reply.headers["referrer-policy"] == "no-referrer"
            assert reply.headers["cache-control"] == "no-store"
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in reply.headers


class TestAnswers:
    @pytest.mark.parametrize("name", REQUESTS)
    def test_every_request(self, app: App, name: str) -> None:
        reply = ask(app, f"/api/{name}", REQUESTS[name])
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert isinstance(reply.json, dict)

    def test_files_of_the_page(self, app: App) -> None:
        for name, kind in server.FILES.items():
            reply = ask(app, f"/static/{name}", headers={"x-mivae-token": None})
            assert (reply.status, reply.headers["content-type"]) == (200, kind)

    def test_the_page_needs_no_other_file(self, app: App) -> None:
        page = ask(app, "/", query=f"token={TOKEN}").body.decode()
        names = set(server.FILES) - {"index.html"}
        assert {name for name in names if f"static/{name}" not in page} == set()

    def test_points_and_colours_from_a_start(self, app: App, explorer: Explorer) -> None:
        reply = ask(app, "/api/points", query="start=50")
        assert (reply.headers["x-total"], reply.headers["x-loaded"]) == ("60", "60")
        found = np.frombuffer(reply.body, "<f4").reshape(-1, 2)
        np.testing.assert_array_equal(found, explorer.codes.places[50:])
        reply = ask(app, "/api/colours", query="key=rate&start=50")
        np.testing.assert_array_equal(np.frombuffer(reply.body, "<f4"), explorer.codes.rates[50:])
        assert ask(app, "/api/points", query="start=99").body == b""

    def test_a_script_in_the_corpus_stays_text(self, app: App) -> None:
        reply = ask(app, "/api/sentence", {"index": 0})
        assert reply.json["text"].endswith(SCRIPT)
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-content-type-options"] == "nosniff"

    def test_two_pages_at_once(self, app: App) -> None:
        barrier = threading.Barrier(2)

        def path(page: int) -> Any:  # noqa: ANN401  # JSON
            barrier.wait(60)
            body = {**REQUESTS["interpolate"], "from": {"index": page}}
            return ask(app, "/api/interpolate", body).json

        with ThreadPoolExecutor(2) as threads:
            both = list(threads.map(path, (3, 4)))
        alone = [
            ask(app, "/api/interpolate", {**REQUESTS["interpolate"], "from": {"index": page}}).json
            for page in (3, 4)
        ]
        assert [[row["text"] for row in each["rows"]] for each in both] == [
            [row["text"] for row in each["rows"]] for each in alone
        ]

    def test_internal_errors_are_not_shown(
        self, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(request: object) -> None:
            raise RuntimeError("a secret path")

        monkeypatch.setattr(explorer, "search", broken)
        broken_app = application(explorer, PORT, TOKEN)
        with pytest.raises(RuntimeError):  # the terminal shows it
            ask(broken_app, "/api/search", REQUESTS["search"])

    def test_json_has_no_line_separators_that_break_scripts(self, app: App) -> None:
        reply = ask(app, "/api/place", {"text": "one \u2028 man"})
        assert json.loads(reply.body)["text"] == "one \u2028 man"


def test_a_port_in_use_is_named() -> None:
    with listen(0) as first:
        port = first.getsockname()[1]
        assert first.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ConfigError, match=str(port)):
            listen(port)
