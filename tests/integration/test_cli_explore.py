"""The program's explorer: it serves the URL that it prints, and ends on Ctrl-C."""

import http.client
import importlib.util
import io
import json
import os
import signal
import sys
import threading
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mivae_cli.explorer import server
from mivae_cli.explorer.server import listen
from support.program import Mivae
from support.small import small_config, train_to_end, write_scenes

pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explore")
    corpus = write_scenes(folder / "corpus.txt", count=200)
    train_to_end(small_config(corpus, training={"epochs": 1}), folder / "run")
    return folder / "run"


def test_the_printed_url_answers_until_ctrl_c(
    mivae: Mivae, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies: dict[str, tuple[int, bytes]] = {}
    opened: list[str] = []
    threads: list[threading.Thread] = []

    def request(url: str) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        headers = {"X-Mivae-Token": parts.query.removeprefix("token=")}
        for path in (f"/?{parts.query}", "/api/overview", "/static/app.js"):
            connection.request("GET", path, headers=headers)
            reply = connection.getresponse()
            replies[path] = reply.status, reply.read()
        os.kill(os.getpid(), signal.SIGINT)  # while the connection is still open
        connection.close()

    def browser(url: str) -> bool:
        opened.append(url)
        threads.append(threading.Thread(target=request, args=(url,)))
        threads[0].start()
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    ran = mivae("explore", run, "--device", "cpu")
    threads[0].join()
    assert ran.code == 0
    assert ran.out.splitlines() == opened
    assert opened[0].startswith("http://127.0.0.1:")
    assert {status for status, _ in replies.values()} == {200}
    assert json.loads(replies["/api/overview"][1])["run"] == str(run)
    assert "Ctrl-C" in ran.err
    assert "model" not in {thread.name for thread in threading.enumerate()}


def test_the_browser_stays_closed_on_request(
    mivae: Mivae, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(server, "serve", lambda *_: None)
    ran = mivae("explore", run, "--no-browser")
    assert (ran.code, len(ran.out.splitlines()), opened) == (0, 1, [])


def test_standard_input_is_mapped(
    mivae: Mivae, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = io.TextIOWrapper(io.BytesIO(b"a man sings\ntwo dogs sing\n"))
    monkeypatch.setattr(sys, "stdin", text)
    ran = mivae("explore", run, "--data", "-", "--export", tmp_path / "copy")
    assert ran.code == 0
    assert "standard input" in (tmp_path / "copy" / "data.js").read_text()


def test_errors_name_what_to_change(
    mivae: Mivae, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        ran = mivae("explore", run, "--port", str(port), "--no-browser")
    assert ran.code == 2
    assert str(port) in ran.err
    assert ran.out == ""
    ran = mivae("explore", run, "--data", "missing.txt", "--no-browser")
    assert ran.code == 3
    assert "missing.txt" in ran.err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ran = mivae("explore", run)
    assert ran.code == 2
    assert "mivae[explore]" in ran.err


def test_a_copy_needs_no_server(
    mivae: Mivae, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "check_packages", pytest.fail)
    ran = mivae("explore", run, "--export", tmp_path / "copy", "--export-points", "5")
    assert ran.code == 0
    assert ran.out == f"{tmp_path / 'copy' / 'index.html'}\n"
    assert (tmp_path / "copy" / "data.js").exists()


def test_encode_writes_a_map(mivae: Mivae, run: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = tmp_path / "captions.csv"
    table.write_text("caption,topic\na man sings,a\ntwo dogs sing,b\na cat,a\n")
    out = tmp_path / "codes.parquet"
    ran = mivae("encode", run, table, "--column", "caption", "-o", out, "--map")
    assert ran.code == 0
    found = parquet.read_table(out)
    assert found.column_names == ["text", "topic", "x", "y", "rate", "vector"]
    assert found["topic"].to_pylist() == ["a", "b", "a"]
    ran = mivae("encode", run, table, "--column", "caption", "-o", tmp_path / "a.csv", "--map")
    assert (ran.code, "--map" in ran.err) == (2, True)
    labels = tmp_path / "labels.txt"
    ran = mivae("encode", run, table, "--column", "caption", "-o", out, "--labels", labels)
    assert (ran.code, "--map" in ran.err) == (2, True)
