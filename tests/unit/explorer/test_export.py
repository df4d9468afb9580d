"""The read-only copy: its data parses back, is escaped, and agrees with the explorer."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mivae_cli.errors import ConfigError, MivaeError
from mivae_cli.explorer import requests as ask
from mivae_cli.explorer.export import export_copy, script_json, spread_rows
from mivae_cli.explorer.server import FILES
from mivae_cli.explorer.session import Explorer
from mivae_cli.stages import finish
from support.explored import SCRIPT, scene_explorer

START, END = "window.MIVAE_DATA = ", ";\n"


@pytest.fixture(scope="module")
def explorer() -> Iterator[Explorer]:
    made = scene_explorer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def copy(explorer: Explorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "copy"
    assert finish(export_copy(explorer, folder, points=15)) == 15
    return folder


def data_of(folder: Path) -> Any:  # noqa: ANN401  # JSON
    text = (folder / "data.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix(START).removesuffix(END))


def floats(text: str) -> list[float]:
    return [float(value) for value in np.frombuffer(base64.b64decode(text), "<f4")]


def test_the_data_are_those_of_the_explorer(copy: Path, explorer: Explorer) -> None:
    data = data_of(copy)
    assert data["overview"]["live"] is False
    assert data["texts"] == list(explorer.sentences.texts)
    assert floats(data["points"]) == explorer.codes.places.flatten().tolist()
    assert set(data["colours"]) == {colour["key"] for colour in data["overview"]["colours"]}
    assert floats(data["colours"]["rate"]) == explorer.codes.rates.tolist()
    assert len(data["details"]) == 15
    index = int(next(iter(data["details"])))
    assert data["details"][str(index)] == explorer.sentence(ask.SentenceRequest(index=index))


def test_all_pairs_of_anchors_have_a_path(copy: Path) -> None:
    data = data_of(copy)
    anchors = data["anchors"]
    assert len(set(anchors)) == 12
    assert {str(anchor) for anchor in anchors} <= set(data["details"])
    paths = data["interpolations"]
    assert len(paths) == 12 * 11 / 2
    for pair, rows in paths.items():
        start, end = pair.split("-")
        ends = [rows[0]["text"], rows[-1]["text"]]
        assert ends == [data["details"][key]["reconstruction"] for key in (start, end)]


def test_no_text_can_end_a_script(copy: Path) -> None:
    text = (copy / "data.js").read_text(encoding="utf-8")
    assert not set("<>&\u2028\u2029") & set(text)
    assert SCRIPT in data_of(copy)["texts"][0]


@pytest.mark.parametrize(
    "text", ["</script>", "<!-- x -->", "a\u2028b\u2029c", "&amp;", "\\u003c"]
)
def test_escaped_json_is_the_same_value(text: str) -> None:
    found = script_json({text: [text, 1.5, None]})
    assert json.loads(found) == {text: [text, 1.5, None]}
    assert not set("<>&\u2028\u2029") & set(found)
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))


def test_a_label_named_proto_is_an_own_property_of_an_object() -> None:
    text = '{"__proto__":1}'
    found = script_json([{"a": 1, "__proto__": text}, {"__proto__": 2}])
    kept = json.dumps(text)  # the same text as a value stays as it is
    assert found == f'[{{"a":1,["__proto__"]:{kept}}},{{["__proto__"]:2}}]'


def test_the_page_is_complete_and_may_load_nothing_else(copy: Path) -> None:
    page = (copy / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "connect-src" not in page
    assert page.index("data.js") < page.index("static/source.js")
    assert {path.name for path in (copy / "static").iterdir()} == set(FILES) - {"index.html"}
    assert "://" not in page


def test_the_path_of_the_run_is_not_in_the_copy(copy: Path, explorer: Explorer) -> None:
    assert explorer.about.run not in (copy / "data.js").read_text(encoding="utf-8")


def test_a_copy_may_be_replaced_but_no_other_file(
    copy: Path, explorer: Explorer, tmp_path: Path
) -> None:
    before = (copy / "data.js").read_text()
    finish(export_copy(explorer, copy, points=3))
    assert (copy / "data.js").read_text() != before
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        finish(export_copy(explorer, tmp_path))
    with pytest.raises(ConfigError, match="not a folder"):
        finish(export_copy(explorer, tmp_path / "thesis.tex"))
    (tmp_path / "thesis.tex").unlink()
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "mine.js").write_text("")
    with pytest.raises(ConfigError, match=r"mine\.js"):
        finish(export_copy(explorer, tmp_path))


def test_an_incomplete_corpus_is_not_exported(tmp_path: Path) -> None:
    explorer = scene_explorer(count=20)
    try:
        explorer.worker.finished.wait()
        explorer.worker.problem = OSError("no space")
        with pytest.raises(MivaeError, match="no space"):
            finish(export_copy(explorer, tmp_path / "copy"))
        assert not (tmp_path / "copy").exists()
    finally:
        explorer.close()


def test_rows_are_spread_over_the_map() -> None:
    places = np.array([[0, 0], [0.1, 0], [10, 0], [0, 10], [0.2, 0.1], [10, 0]], np.float32)
    assert spread_rows(places, 3, [0]) == [0, 2, 3]
    assert sorted(spread_rows(places, 10, [0])) == [0, 1, 2, 3, 4]  # one of equal places
