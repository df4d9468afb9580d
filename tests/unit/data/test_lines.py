"""Lines and rows: limited length for any bytes, and no pickles."""

import gzip
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.data import DataConfig
from mivae_cli.data import lines
from mivae_cli.data.lines import PICKLES, read_lines, read_rows
from mivae_cli.errors import DataError
from mivae_cli.estimators.io.column_choice import Choice
from mivae_cli.estimators.io.tables import read_table
from mivae_cli.limits import MAX_LINE
from support.texts import read_sentences

BOUND = 1000


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines")


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mivae_cli.limits.MAX_LINE", BOUND)


NAMES = ["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.txt.gz", "a.csv.gz"]
# special characters are more frequent than in random bytes
PIECES = [b'"', b",", b"\t", b"\n", b"\r", b"{", b'{"text": "x"}', b"text", b"\xef\xbb\xbf", b"\0",
          b"\xff", b"\xed\xa0\x80", b"\x1f\x8b\x08", b"PK\x03\x04", b"\x80\x04", b"\\ud800",
          "é".encode(), b'"""', b"[" * 2000, b"9" * 5000]  # fmt: skip
contents = st.lists(st.binary(max_size=8) | st.sampled_from(PIECES), max_size=12).map(b"".join)


@given(st.sampled_from(NAMES), contents, st.booleans())
def test_any_bytes_are_sentences_or_an_error_that_names_the_file(
    folder: Path, name: str, content: bytes, packed: bool
) -> None:
    path = folder / name
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    sentences, complaint = [], f"'{path}'"
    try:
        sentences = list(read_sentences(path, DataConfig()))
    except DataError as error:
        complaint = str(error)
    assert f"'{path}'" in complaint
    assert all(text == text.strip() != "" and "\n" not in text for text in sentences)
    assert [text.encode("utf-8").decode("utf-8") for text in sentences] == sentences


class TestLongLines:
    def test_a_line_of_the_utmost_length_is_read(self, bound: None, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        path.write_bytes(b"a\n" + b"b" * (BOUND - 1) + b"\n" + b"c" * BOUND)
        assert [len(line) for line in read_lines(path)] == [2, BOUND, BOUND]

    @pytest.mark.parametrize("name", NAMES)
    def test_a_longer_one_is_named(self, bound: None, name: str, tmp_path: Path) -> None:
        content = b'{"text":"text"}\n\n' + b"b" * BOUND + b"\n"
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        config = DataConfig(column='{"text":"text"}', format="text" if ".txt" in name else "auto")
        with pytest.raises(DataError, match=rf"{name}', line 3, [^:]* 1,000 bytes"):
            list(read_sentences(tmp_path / name, config))

    def test_no_more_is_unpacked_than_a_line_may_take(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.txt.gz"
        with gzip.open(path, "wb", 1) as file:
            for _ in range(10):
                file.write(b"a" * MAX_LINE)
        assert path.stat().st_size < MAX_LINE / 10
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match=r"line 1, .* 16,777,216"):
                list(read_lines(path))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 4 * MAX_LINE

    @pytest.mark.parametrize(
        "cells", [b'1,"' + b"word\n" * 500, b'1,"\n' + b'","\n' * 500], ids=["one", "many"]
    )
    def test_an_endless_row_is_rejected(self, bound: None, cells: bytes, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_bytes(b"x,z\n" + cells)
        with pytest.raises(DataError, match=r"a\.csv', line \d+: .* 1,000 characters"):
            list(read_rows(tmp_path / "a.csv", ","))
        with pytest.raises(DataError, match="row"):
            read_table(tmp_path / "a.csv", Choice())

    def test_any_number_of_rows_is_read(self, bound: None, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_bytes(b'id,"te\nxt"\n' * 300)
        rows = list(read_rows(tmp_path / "a.csv", ","))
        assert rows == [(2 * place, ["id", "te\nxt"]) for place in range(1, 301)]


class Trap:
    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.sprung,)


class TestPickles:
    @pytest.mark.parametrize("suffix", [*PICKLES, ".PKL", ".pt.gz"])
    def test_they_are_detected_by_extension(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"corpus{suffix}"
        path.write_bytes(b"text\n")
        for read in (read_lines, lambda path: read_sentences(path, DataConfig(format="text"))):
            with pytest.raises(DataError, match="pickle"):
                list(read(path))

    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    @pytest.mark.parametrize("name", ["a.txt", "a", "a.jsonl", "a.txt.gz"])
    def test_they_are_detected_by_their_first_bytes(
        self, protocol: int, name: str, tmp_path: Path
    ) -> None:
        content = pickle.dumps(Trap(tmp_path / "sprung"), protocol)
        (tmp_path / name).write_bytes(gzip.compress(content) if "gz" in name else content)
        with pytest.raises(DataError, match="pickle"):
            list(read_sentences(tmp_path / name, DataConfig()))
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize("start", lines.BINARY)
    def test_other_formats_are_detected_by_their_first_bytes(
        self, start: bytes, tmp_path: Path
    ) -> None:
        (tmp_path / "a.txt").write_bytes(start + b" and more")
        with pytest.raises(DataError, match=r"a\.txt' is (a|compressed) "):
            list(read_lines(tmp_path / "a.txt"))

    def test_an_archive_is_to_be_unpacked(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.txt", "w") as archive:
            archive.writestr("a.txt", "text")
        with pytest.raises(DataError, match="zip archive: unpack it first"):
            list(read_lines(tmp_path / "a.txt"))

    def test_other_names_are_text(self, tmp_path: Path) -> None:
        (tmp_path / "pkl").write_bytes(b"one\nPK\n")
        assert list(read_lines(tmp_path / "pkl")) == ["one\n", "PK\n"]
