"""Labels of files and lists, matched with the sentences they belong to."""

from pathlib import Path

import numpy as np
import pytest

from mivae_cli.api.sentence_labels import TextSource, label_rows, matched, source_of
from mivae_cli.config.data import DataConfig
from mivae_cli.data.ingestion import content_hash
from mivae_cli.data.records import TextRecords
from mivae_cli.data.token_store import TokenStore
from mivae_cli.errors import ConfigError, DataError


def store(*lines: int) -> TokenStore:
    """Returns sentences of one token each, with these line numbers."""
    return TokenStore(np.arange(len(lines)), np.arange(len(lines) + 1), np.array(lines, np.uint32))


def codes_of(labels: object, sentences: TokenStore, source: TextSource) -> list[object]:
    found = matched(label_rows(labels), sentences, source).blocks[0]  # type: ignore[arg-type]
    return list(found.values[:, 0].tolist())


def test_one_label_for_each_sentence_or_for_each_row_of_the_text() -> None:
    text = TextSource("the test split", 5)
    assert codes_of([10, 20, 30, 40, 50], store(2, 3, 5), text) == [20, 30, 50]
    assert codes_of([7, 8, 9], store(2, 3, 5), text) == [7, 8, 9]
    for count in (2, 4, 6):
        with pytest.raises(DataError, match=rf"{count} rows.*3 sentences.*5 rows"):
            codes_of(list(range(count)), store(2, 3, 5), text)
    with pytest.raises(DataError, match="5 rows"):
        codes_of([1, 2, 3, 4, 5], store(2, 3, 5), TextSource("the test split", None))


def test_rows_of_a_table_match_only_labels_of_the_same_table(tmp_path: Path) -> None:
    table, other = tmp_path / "a.csv", tmp_path / "b.csv"
    table.write_text('label,text\nup,one\ndown,"two\nlines"\n,three\nup,four\n')
    other.write_text("label\nup\nup\ndown\nup\n")
    source = TextSource("the test split", 4, content_hash(table))
    found = matched(label_rows(table), store(4, 5, 6), source)
    assert found.blocks[0].values[:, 0].tolist() == [1, -1, 0]
    assert found.lines is not None
    assert found.lines.tolist() == [4, 5, 6]
    for wrong in (other, ["up", "down", "up", "up"]):
        with pytest.raises(DataError, match="same table"):
            codes_of(wrong, store(4, 5, 6), source)
    with pytest.raises(DataError, match="one label for each"):
        codes_of(table, store(1, 2, 3), TextSource("the test split", 4))


def test_files_contain_words_or_numbers(tmp_path: Path) -> None:
    text = tmp_path / "labels.txt"
    text.write_text("up\n\n down \nup\n")
    assert label_rows(text).frame.blocks[0].values[:, 0].tolist() == [0, -1, 1, 0]
    text.write_text("1\n2.50\n\n")
    block = label_rows(text).frame.blocks[0]
    assert block.kind == "numbers"
    assert block.values[:2, 0].tolist() == [1.0, 2.5]
    text.write_text("90071992547409930\n90071992547409931\n")
    assert label_rows(text).frame.blocks[0].values[:, 0].tolist() == [0, 1]
    table = tmp_path / "labels.tsv"
    table.write_text("id\tstars\n1\t5\n2\t4\n")
    assert label_rows(table, "stars").frame.blocks[0].values[:, 0].tolist() == [5, 4]
    assert label_rows(table, "2").frame.blocks[0].values[:, 0].tolist() == [5, 4]
    table = tmp_path / "labels.csv"
    table.write_text('id;stars\n1;"a;b"\n2;c,d\n')
    assert label_rows(table, "stars").frame.blocks[0].values[:, 0].tolist() == [0, 1]


def test_unusable_files_are_named(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("id,stars\n1,5\n2\n")
    with pytest.raises(ConfigError, match="--label-column"):
        label_rows(table)
    with pytest.raises(DataError, match="line 3"):
        label_rows(table, "stars")
    (tmp_path / "empty.txt").write_text("")
    for name, words in (("none.txt", "not found"), ("empty.txt", "empty")):
        with pytest.raises(DataError, match=words):
            label_rows(tmp_path / name)
    (tmp_path / "labels.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"\.csv"):
        label_rows(tmp_path / "labels.parquet")


def test_sources_know_their_rows(tmp_path: Path) -> None:
    text, table = tmp_path / "a.txt", tmp_path / "a.csv"
    text.write_text("one\n\ntwo\n")
    table.write_text("text\none\ntwo\n")
    for path, rows, digest in ((text, 3, None), (table, 2, content_hash(table))):
        records = TextRecords(path, DataConfig())
        assert len(list(records)) == 2
        assert source_of(records) == TextSource(f"'{path}'", rows, digest)
    assert source_of(["a", "", "b"]).rows == 3
