"""Files of posteriors: all formats keep the numbers and their rows."""

import csv
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from mivae_cli.config.data import DataConfig
from mivae_cli.data.records import RowCounts, TextRecords
from mivae_cli.errors import ConfigError
from mivae_cli.generation.latent_files import (
    VECTOR_FORMATS,
    TextRows,
    check_aligned,
    check_output_path,
    write_vectors,
)
from mivae_cli.models.latent import DiagonalGaussian
from mivae_cli.models.von_mises_fisher import VonMisesFisher

POSTERIOR = DiagonalGaussian(torch.arange(6.0).view(3, 2), torch.linspace(-1, 1, 6).view(3, 2))
PARQUET = pytest.param(
    ".parquet", marks=pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs pyarrow")
)
SUFFIXES = [*(suffix for suffix in VECTOR_FORMATS if suffix != ".parquet"), PARQUET]
NUMBERS = ["mean_1", "mean_2", "scale_1", "scale_2"]


def rows_of(path: Path, content: str, **settings: object) -> TextRows:
    path.write_text(content, encoding="utf-8")
    reader = TextRecords(path, DataConfig.model_validate(settings))
    records = list(reader)
    assert len(records) == len(POSTERIOR.mean)
    return TextRows.of(records, reader.header)


def table(path: Path) -> dict[str, list[Any]]:
    """Returns the columns of a table; those of `.csv` are text."""
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        columns: dict[str, list[Any]] = parquet.read_table(path).to_pydict()
        return columns
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def test_npz_holds_means_and_scales(tmp_path: Path) -> None:
    write_vectors(tmp_path / "v.npz", POSTERIOR)
    with np.load(tmp_path / "v.npz") as arrays:
        assert set(arrays) == {"mean", "scale"}
        np.testing.assert_array_equal(arrays["mean"], POSTERIOR.mean)
        np.testing.assert_array_equal(arrays["scale"], POSTERIOR.scale)


def test_safetensors_holds_means_and_scales(tmp_path: Path) -> None:
    transposed = DiagonalGaussian(POSTERIOR.mean.T, POSTERIOR.log_scale.T)
    write_vectors(tmp_path / "v.safetensors", transposed)
    arrays = load_file(tmp_path / "v.safetensors")
    assert set(arrays) == {"mean", "scale"}
    np.testing.assert_array_equal(arrays["mean"].T, POSTERIOR.mean)
    np.testing.assert_array_equal(arrays["scale"].T, POSTERIOR.scale)


def test_von_mises_fisher_posteriors_have_a_concentration(tmp_path: Path) -> None:
    posterior = VonMisesFisher(torch.eye(3), 30.0)
    write_vectors(tmp_path / "v.npz", posterior)
    write_vectors(tmp_path / "v.safetensors", posterior)
    for arrays in (np.load(tmp_path / "v.npz"), load_file(tmp_path / "v.safetensors")):
        assert set(arrays) == {"mean", "concentration"}
        np.testing.assert_array_equal(arrays["mean"], np.eye(3))
        assert arrays["concentration"] == 30


def test_npy_holds_the_means(tmp_path: Path) -> None:
    write_vectors(tmp_path / "v.npy", POSTERIOR)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), POSTERIOR.mean)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_path_that_cannot_be_written_is_an_error(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        write_vectors(tmp_path / "absent" / f"v{suffix}", POSTERIOR)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_name_may_be_invalid_utf_8(suffix: str, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9" + suffix.encode()))
    write_vectors(path, POSTERIOR)
    assert path.stat().st_size > POSTERIOR.mean.nbytes


def test_arrays_include_rows_and_lines(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "a.csv", 'text\none\n""\n\n"two\nlines"\nthree\n')
    for suffix, load in ((".npz", np.load), (".safetensors", load_file)):
        write_vectors(tmp_path / f"v{suffix}", POSTERIOR, rows)
        arrays = load(tmp_path / f"v{suffix}")
        assert set(arrays) == {"row", "line", "mean", "scale"}
        assert arrays["row"].tolist() == [1, 3, 4]
        assert arrays["line"].tolist() == [2, 6, 7]
        np.testing.assert_array_equal(arrays["mean"], POSTERIOR.mean)


@pytest.mark.parametrize("suffix", [".csv", PARQUET])
class TestTables:
    def written(self, path: Path, rows: TextRows) -> dict[str, list[Any]]:
        write_vectors(path, POSTERIOR, rows)
        found = table(path)
        for place, name in enumerate(NUMBERS):
            array = POSTERIOR.scale if place > 1 else POSTERIOR.mean
            numbers = np.array(found.pop(name), np.float64).astype(np.float32)
            np.testing.assert_array_equal(numbers, array[:, place % 2])
        return found

    def test_columns_of_the_table_are_kept(self, suffix: str, tmp_path: Path) -> None:
        content = 'id,text,label\n7,one,"a,b"\n8, ,x\n9,two,\n10,three,"=1+1"\n'
        found = self.written(tmp_path / f"v{suffix}", rows_of(tmp_path / "a.csv", content))
        assert list(map(int, found.pop("row"))) == [1, 3, 4]
        assert list(map(int, found.pop("line"))) == [2, 4, 5]
        assert found == {
            "id": ["7", "9", "10"],
            "text": ["one", "two", "three"],
            "label": ["a,b", "", "=1+1"],
        }

    def test_the_sentence_of_a_text_is_kept(self, suffix: str, tmp_path: Path) -> None:
        rows = rows_of(tmp_path / "a.txt", "one\n\n two \nthree")
        found = self.written(tmp_path / f"v{suffix}", rows)
        assert found["text"] == ["one", "two", "three"]
        assert list(map(int, found["row"])) == [1, 3, 4]

    def test_duplicate_and_missing_names_get_numbers(self, suffix: str, tmp_path: Path) -> None:
        content = "row,text,,x,x,mean_1\n" + "".join(f"a,one{n},b,c,d,e\n" for n in range(3))
        found = self.written(tmp_path / f"v{suffix}", rows_of(tmp_path / "a.csv", content))
        assert list(found) == ["row", "line", "row_2", "text", "column_3", "x", "x_2", "mean_1_2"]
        assert (found["row_2"], found["x_2"]) == (["a"] * 3, ["d"] * 3)

    def test_rows_are_optional(self, suffix: str, tmp_path: Path) -> None:
        write_vectors(tmp_path / f"v{suffix}", POSTERIOR)
        assert list(table(tmp_path / f"v{suffix}")) == NUMBERS

    def test_on_the_sphere_too(self, suffix: str, tmp_path: Path) -> None:
        write_vectors(tmp_path / f"v{suffix}", VonMisesFisher(torch.eye(3), 30.0))
        found = table(tmp_path / f"v{suffix}")
        assert list(map(float, found["concentration"])) == [30.0] * 3
        assert list(map(float, found["mean_2"])) == [0.0, 1.0, 0.0]

    def test_fields_of_one_type_keep_it(self, suffix: str, tmp_path: Path) -> None:
        objects = [
            {"text": "one", "n": 1, "x": 1, "mixed": 1, "big": 2**70, "ok": True, "in": {"a": 1}},
            {"text": "two", "n": None, "x": 0.5, "mixed": "1", "ok": None, "half": "\ud800"},
            {"text": "three", "n": 3, "x": 2**60, "mixed": [1]},
        ]
        content = "\n".join(map(json.dumps, objects[:2])) + f"\n{json.dumps(objects[2])}\n"
        found = self.written(tmp_path / f"v{suffix}", rows_of(tmp_path / "a.jsonl", content))
        expected: dict[str, list[Any]] = {
            "n": [1, None, 3],
            "x": ["1", "0.5", str(2**60)],  # no float is the last one
            "mixed": ["1", "1", "[1]"],
            "big": [str(2**70), None, None],
            "ok": [True, None, None],
            "in": ['{"a": 1}', None, None],
            "half": [None, "?", None],
        }
        if suffix == ".csv":
            expected = {
                name: ["" if value is None else json.dumps(value) if type(value) in (int, bool)
                       else value for value in values]
                for name, values in expected.items()
            }  # fmt: skip
        assert {name: found[name] for name in expected} == expected


def test_npy_is_refused_if_rows_were_skipped() -> None:
    check_aligned(Path("v.npy"), RowCounts(rows=3))
    check_aligned(Path("v.npz"), RowCounts(rows=3, empty=1))
    for counts in (RowCounts(rows=3, empty=1), RowCounts(rows=3, malformed=1)):
        with pytest.raises(ConfigError, match=r"v\.npy.*1 of 3 rows"):
            check_aligned(Path("v.npy"), counts)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_known_extensions_are_accepted(suffix: str) -> None:
    check_output_path(Path(f"v{suffix}"))


def test_other_extensions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"v\.pkl.*\.npz"):
        check_output_path(Path("v.pkl"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="pyarrow"):
        check_output_path(Path("v.parquet"))
