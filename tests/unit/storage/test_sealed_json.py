"""Sealed documents: round trips, and detection of every changed byte."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.errors import CheckpointError
from mivae_cli.storage import sealed_json as documents
from mivae_cli.storage.sealed_json import FORMAT, read_sealed, sealed, write_sealed

HEAD = ("kind", "format", "mivae", "checksum")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
BODIES = st.dictionaries(st.text().filter(lambda key: key not in HEAD), VALUES, max_size=5)
BODY: dict[str, Any] = {"run": "abc", "rate": 1.0, "name": "Köln", "list": [1, {"x": None}]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all examples of a property."""
    return tmp_path_factory.mktemp("documents") / "place.json"


def refused(path: Path, data: bytes, match: str = "damaged") -> None:
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=match) as caught:
        read_sealed(path, "config")
    assert f"'{path}'" in str(caught.value)
    assert len(str(caught.value)) < 500


def sealed_by_hand(document: dict[str, Any]) -> bytes:
    """Returns a sealed document with an arbitrary body."""
    text = json.dumps(document, indent=2) + "\n"
    document = {**document, "checksum": hashlib.sha256(text.encode()).hexdigest()}
    return (json.dumps(document, indent=2) + "\n").encode()


def finite(value: object) -> bool:
    match value:
        case float():
            return abs(value) != float("inf")
        case dict():
            return all(map(finite, value.values()))
        case list():
            return all(map(finite, value))
        case _:
            return True


@given(BODIES.filter(finite))
def test_documents_round_trip(place: Path, body: dict[str, Any]) -> None:
    write_sealed(place, "config", body)
    found = read_sealed(place, "config")
    assert {key: value for key, value in found.items() if key not in HEAD} == body
    assert found["kind"] == "config"


def test_documents_sealed_by_tests_equal_those_of_the_program() -> None:
    document = json.loads(sealed("config", BODY))
    del document["checksum"]
    assert sealed_by_hand(document) == sealed("config", BODY)


def test_nan_and_infinity_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        sealed("config", {"x": float("nan")})


@given(st.data())
def test_any_changed_byte_is_detected(place: Path, data: st.DataObject) -> None:
    whole = bytearray(sealed("config", BODY))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    refused(place, bytes(whole), match=r"damaged|format")  # the format's digit is one, too


@given(st.data())
def test_any_inserted_or_missing_byte_is_detected(place: Path, data: st.DataObject) -> None:
    whole = sealed("config", BODY)
    position = data.draw(st.integers(0, len(whole)))
    inserted = whole[:position] + data.draw(st.binary(min_size=1, max_size=1)) + whole[position:]
    refused(place, inserted, match=r"damaged|format")
    position = data.draw(st.integers(0, len(whole) - 1))
    refused(place, whole[:position])
    refused(place, whole[:position] + whole[position + 1 :])


def reordered(text: str) -> bytes:
    document = json.loads(text)
    return (json.dumps(dict(reversed(document.items())), indent=2) + "\n").encode()


CHANGES: dict[str, Callable[[str], bytes]] = {
    "a key twice": lambda text: text.replace('"run"', '"run": "x",\n  "run"').encode(),
    "another order": reordered,
    "less white space": lambda text: json.dumps(json.loads(text)).encode(),
    "other line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "no last line end": lambda text: text.rstrip().encode(),
    "an exponent": lambda text: text.replace("1.0,", "1e0,").encode(),
    "an integer": lambda text: text.replace("1.0,", "1,").encode(),
    "more digits": lambda text: text.replace("1.0,", "1.00000000000000000001,").encode(),
    "infinity by overflow": lambda text: text.replace("1.0,", "1e999,").encode(),
    "NaN": lambda text: text.replace("1.0,", "NaN,").encode(),
    "-Infinity": lambda text: text.replace("1.0,", "-Infinity,").encode(),
    "5,000 digits": lambda text: text.replace("1.0,", "9" * 5000 + ",").encode(),
    "no escapes": lambda text: text.replace("\\u00f6", "ö").encode(),
    "capitals in escapes": lambda text: text.replace("\\u00f6", "\\u00F6").encode(),
    "a lone surrogate": lambda text: text.replace("\\u00f6", "\\ud800").encode(),
    "a raw surrogate": lambda text: text.replace("\\u00f6", "\ud800").encode(
        errors="surrogatepass"
    ),
    "a mark of UTF-8": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-32": lambda text: text.encode("utf-32-le"),
    "a zero byte": lambda text: text.encode() + b"\0",
    "an upper-case checksum": lambda text: text[:-70].encode() + text[-70:].upper().encode(),
    "the checksum first": lambda text: reordered(reordered(text).decode())[:-1],
    "a list": lambda text: b"[" + text.encode() + b"]",
    "nothing": lambda text: b"",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_only_canonical_json_is_accepted(tmp_path: Path, change: Callable[[str], bytes]) -> None:
    text = sealed("config", BODY).decode()
    data = change(text)
    assert data != text.encode()
    refused(tmp_path / "x.json", data)


@pytest.mark.parametrize("depth", [300, 900, 100_000])
@pytest.mark.parametrize("brackets", ["[]", '{"":1}'])
def test_deep_nesting_is_rejected(tmp_path: Path, depth: int, brackets: str) -> None:
    opening, closing = brackets[:-1], brackets[-1]
    nested = (opening * depth + closing * depth).encode()
    refused(tmp_path / "x.json", nested)
    head = b'{"kind": "config", "format": 1, "mivae": %b, "checksum": ""}'
    refused(tmp_path / "x.json", head % nested)


def test_an_error_names_the_kind_of_a_document(tmp_path: Path) -> None:
    refused(tmp_path / "x.json", sealed("state", BODY), match="kind state")


@pytest.mark.parametrize("kind", [None, 3, ["config"], {"config": 1}, "x" * 10_000])
def test_an_invalid_kind_is_rejected(tmp_path: Path, kind: object) -> None:
    document = {"kind": kind, "format": 1, "mivae": "0.1.0"}
    refused(tmp_path / "x.json", sealed_by_hand(document), match="kind")


def test_a_document_without_a_kind_is_rejected(tmp_path: Path) -> None:
    refused(tmp_path / "x.json", sealed_by_hand({}))
    refused(tmp_path / "x.json", sealed_by_hand({"format": 1}), match="kind")


@pytest.mark.parametrize("found", [FORMAT + 1, 10, 10**4000], ids=["next", "10", "4,000 digits"])
@pytest.mark.parametrize("maker", ["9.9", "9" * 100_000, ["9"], None], ids=lambda x: repr(x)[:9])
def test_a_newer_format_is_rejected(tmp_path: Path, found: int, maker: object) -> None:
    head = {"kind": "config", "format": found, "mivae": maker}
    newer = {**head, "checksum": "sealed in a way that is not known yet"}
    for data in (json.dumps(newer).encode(), sealed_by_hand(head)):
        refused(tmp_path / "x.json", data, match=rf"formats up to {FORMAT}")


@pytest.mark.parametrize("found", [True, False, 0, -1, 1.0, "1", "2", None, [1], {"format": 1}])
def test_an_unknown_format_is_rejected(tmp_path: Path, found: object) -> None:
    document = {"kind": "config", "format": found, "mivae": "0.1.0"}
    refused(tmp_path / "x.json", sealed_by_hand(document), match="damaged.*format")


def test_a_file_above_the_size_limit_is_rejected_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    data = sealed("config", BODY)
    path.write_bytes(data)
    monkeypatch.setattr("mivae_cli.limits.MAX_DOCUMENT_BYTES", len(data))
    assert read_sealed(path, "config")["run"] == "abc"
    monkeypatch.setattr("mivae_cli.limits.MAX_DOCUMENT_BYTES", len(data) - 1)
    with pytest.raises(CheckpointError, match=r"x\.json' is damaged"):
        read_sealed(path, "config")
    monkeypatch.undo()
    with path.open("wb") as file:
        file.truncate(2**40)  # a terabyte of nothing: to read it would end the test
    with pytest.raises(CheckpointError, match="1,099,511,627,776 bytes"):
        read_sealed(path, "config")


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"x\.json' is missing"):
        read_sealed(tmp_path / "x.json", "config")


def test_an_older_format_is_upgraded_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "FORMAT", 1)
    documents.write_sealed(tmp_path / "x.json", "config", {"old": 1})
    documents.write_sealed(tmp_path / "y.json", "state", {"old": 1})
    monkeypatch.setattr(documents, "FORMAT", 4)
    upgrades = {
        ("config", 1): lambda body: {**body, "new": body["old"] + 1},
        ("config", 3): lambda body: {**body, "newest": body["new"] + 1},
    }
    monkeypatch.setattr(documents, "UPGRADES", upgrades)
    found = documents.read_sealed(tmp_path / "x.json", "config")
    assert (found["old"], found["new"], found["newest"]) == (1, 2, 3)
    assert "new" not in documents.read_sealed(tmp_path / "y.json", "state")  # of another kind
    documents.write_sealed(tmp_path / "x.json", "config", {"old": 5})
    assert "new" not in documents.read_sealed(tmp_path / "x.json", "config")  # of this format
