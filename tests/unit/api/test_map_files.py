"""Parquet files of maps, read by pyarrow and pandas."""

from pathlib import Path

import numpy as np
import pytest

parquet = pytest.importorskip("pyarrow.parquet")

from mivae_cli.api.exploration import MappedSentences
from mivae_cli.api.map_files import write_map
from mivae_cli.errors import ConfigError
from mivae_cli.explorer.sentences import Label
from support.explored import scene_model, scene_sentences, scene_texts


def mapped(*labels: Label) -> MappedSentences:
    texts = scene_texts(4)
    sentences = scene_sentences(texts, scene_model(texts).tokenizer, labels)
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    rates = np.array([1, 2, 3, 4], np.float32)
    return MappedSentences(sentences, vectors, rates, vectors[:, :2])


def test_a_row_has_text_labels_place_rate_and_vector(tmp_path: Path) -> None:
    labels = (
        Label("topic", ["a", None, "b", 3.0]),
        Label("x", [0.5, 1.0, None, 2.0]),
    )
    write_map(tmp_path / "codes.parquet", mapped(*labels))
    table = parquet.read_table(tmp_path / "codes.parquet")
    assert table.column_names == ["text", "topic", "x_2", "x", "y", "rate", "vector"]
    assert str(table.schema.field("vector").type) == "list<element: float>"
    rows = table.to_pylist()
    assert rows[1] == {
        "text": scene_texts(4)[1],
        "topic": None,
        "x_2": 1.0,
        "x": 3.0,
        "y": 4.0,
        "rate": 2.0,
        "vector": [3.0, 4.0, 5.0],
    }
    assert rows[3]["topic"] == "3.0"


def test_pandas_reads_vectors_as_arrays(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    write_map(tmp_path / "codes.parquet", mapped())
    frame = pandas.read_parquet(tmp_path / "codes.parquet")
    np.testing.assert_array_equal(np.stack(frame["vector"]), mapped().vectors)
    assert str(frame["x"].dtype) == "float32"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing"):
        write_map(tmp_path / "missing" / "codes.parquet", mapped())
