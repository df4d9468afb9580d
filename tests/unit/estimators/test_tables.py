"""Tables: headers, ranges, labels, missing cells, and integers of every size."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from mivae_cli.errors import ConfigError, DataError
from mivae_cli.estimators.io.checks import Sample, check_variables
from mivae_cli.estimators.io.pairs import Pairs, read_pairs

RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(size=(60, 4))


def write(path: Path, *columns: Iterable[object], header: str = "") -> Path:
    """Writes columns as a .csv table."""
    rows = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    path.write_text("".join(f"{row}\n" for row in [header, *rows] if row), encoding="utf-8")
    return path


def sample(pairs: Pairs, drop_missing: bool = False) -> Sample:
    return check_variables(pairs.x, pairs.z, given=pairs.given, groups=pairs.groups,
                           drop_missing=drop_missing)  # fmt: skip


# --- headers


@pytest.mark.parametrize(("header", "x", "z"), [("0,1,2,3", "1-2", "0"), ("1,2,3,4", "2-3", "1")])
def test_counted_names_are_a_header_with_a_warning(
    tmp_path: Path, header: str, x: str, z: str
) -> None:
    path = write(tmp_path / "a.csv", *NUMBERS.T, header=header)
    found = sample(read_pairs([path], x_columns=[x], z_columns=[z]))
    np.testing.assert_array_equal(found.x.continuous, NUMBERS[:, 1:3])
    np.testing.assert_array_equal(found.z.continuous, NUMBERS[:, :1])
    (warning,) = found.warnings
    assert "--no-header" in warning
    certain = sample(read_pairs([path], x_columns=[x], z_columns=[z], header=True))
    assert certain.warnings == []
    data = read_pairs([path], x_columns=["2-3"], z_columns=["1"], header=False)
    assert len(data) == 61
    assert data.x.names == ("2", "3")


def test_numbers_that_do_not_count_are_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", *NUMBERS.T, header="0,1,3,2")
    assert len(read_pairs([path], x_columns=["1"], z_columns=["2"])) == 61
    path = write(tmp_path / "b.csv", *NUMBERS.T)
    assert len(read_pairs([path], x_columns=["1"], z_columns=["2"])) == 60
    named = read_pairs([path], x_columns=[str(NUMBERS[0, 0])], z_columns=["2"], header=True)
    assert len(named) == 59


def test_a_first_row_of_labels_and_numbers_may_be_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", NUMBERS[:, 0], ["u", "v"] * 30)
    guessed = read_pairs([path], x_columns=["1"], z_columns=["2"])
    assert any("--no-header" in warning for warning in guessed.x.warnings)
    found = sample(read_pairs([path], x_columns=["1"], z_columns=["2"], header=False))
    assert (len(found), found.z.levels) == (60, (2,))


# --- choice of columns


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("r1-r4", "r1 r2 r3 r4"),
        ("r2 - r3,y", "r2 r3 y"),
        ("2-r3", "r2 r3"),
        ("a-b", "a-b"),
        ("a-b-y", "a-b y"),
    ],
)
def test_ranges_of_names(tmp_path: Path, columns: str, expected: str) -> None:
    names = "r1,r2,r3,r4,a-b,y,z"
    path = write(tmp_path / "a.csv", *np.hstack([NUMBERS, NUMBERS[:, :3]]).T, header=names)
    assert read_pairs([path], x_columns=[columns]).x.names == tuple(expected.split())


@pytest.mark.parametrize(
    ("header", "columns", "message"),
    [
        ("r1,r2,z", "r2-r1", "r2-r1"),
        ("r1,r2,z", "r1-q", "'r1-q'"),
        ("a,a-b,b,b-c,c,z", "a-b-c-c", "'a-b-c-c'"),
        ("a,a-b,b-c,c,z", "a-b-c", "several"),
    ],
)
def test_ranges_that_cannot_be_resolved(
    tmp_path: Path, header: str, columns: str, message: str
) -> None:
    width = header.count(",") + 1
    path = write(tmp_path / "a.csv", *[range(60)] * width, header=header)
    with pytest.raises(ConfigError, match=message):
        read_pairs([path], x_columns=[columns])


def test_further_variables_come_from_the_same_rows(tmp_path: Path) -> None:
    labels = [f"g{i % 7}" for i in range(60)]
    path = write(tmp_path / "a.csv", *NUMBERS.T, labels, header="x,z,w1,w2,id")
    pairs = read_pairs([path], given_columns=["w1-w2"], groups_column="id")
    found = sample(pairs)
    assert found.given is not None
    assert found.groups is not None
    np.testing.assert_array_equal(found.given.continuous, NUMBERS[:, 2:])
    assert found.groups.tolist() == [i % 7 for i in range(60)]
    with pytest.raises(ConfigError, match=r"'x'.* twice"):
        read_pairs([path], given_columns=["x"])
    np.savez(tmp_path / "a.npz", x=NUMBERS[:, 0], z=NUMBERS[:, 1], w=NUMBERS[:, 2:], id=labels)
    again = sample(read_pairs([tmp_path / "a.npz"], given_columns=["w"], groups_column="id"))
    assert again.given is not None
    np.testing.assert_array_equal(again.given.continuous, NUMBERS[:, 2:])
    assert again.groups is not None
    assert again.groups.tolist() == found.groups.tolist()


# --- characters between cells


def european(path: Path, delimiter: str, header: str, decimal: str = ",") -> Path:
    """Writes the first two columns of numbers, and a column of text with commas."""
    texts = ["red, green", "blue, black"] * 30
    rows = [
        delimiter.join([f"{x:.6f}".replace(".", decimal), f"{z:.6f}".replace(".", decimal), text])
        for (x, z), text in zip(NUMBERS[:, :2], texts, strict=True)
    ]
    head = [header.replace(" ", delimiter)] if header else []
    path.write_text("\n".join([*head, *rows]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "delimiter", "decimal"),
    [("a.csv", ";", ","), ("a.csv", ";", "."), ("a.csv", "\t", "."), ("a.tsv", "\t", ".")],
)
@pytest.mark.parametrize("header", ["x z label", ""])
def test_semicolons_tabs_and_decimal_commas(
    tmp_path: Path, name: str, delimiter: str, decimal: str, header: str
) -> None:
    path = european(tmp_path / name, delimiter, header, decimal)
    columns = ("x", "z", "label") if header else ("1", "2", "3")
    pairs = read_pairs(
        [path],
        x_columns=[columns[0]],
        z_columns=[columns[1]],
        given_columns=[columns[2]],
        header=bool(header),
    )
    found = sample(pairs)
    np.testing.assert_allclose(found.x.continuous[:, 0], NUMBERS[:, 0], atol=1e-6)
    np.testing.assert_allclose(found.z.continuous[:, 0], NUMBERS[:, 1], atol=1e-6)
    assert found.given is not None
    assert found.given.levels == (2,)
    told = any("--delimiter" in note for note in found.notes)
    assert told == (name == "a.csv")


def test_numbers_with_decimal_commas_alone(tmp_path: Path) -> None:
    """Commas divide every row into as many cells as semicolons do."""
    path = tmp_path / "a.csv"
    cells = [[f"{value:.3f}".replace(".", ",") for value in row] for row in NUMBERS]
    path.write_text("\n".join(";".join(row) for row in cells))
    pairs = read_pairs([path], x_columns=["1-2"], z_columns=["4"])
    np.testing.assert_allclose(sample(pairs).x.continuous, NUMBERS[:, :2], atol=1e-3)
    assert len(pairs) == 60


def test_the_first_line_may_name_the_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{x:.4f}|{z:.4f}" for x, z in NUMBERS[:, :2]]
    path.write_text("\n".join(["sep=|", "x|z", *rows[:-1], "1.5|oops"]))
    with pytest.raises(DataError, match="line 62"):
        read_pairs([path])
    path.write_text("\n".join(["sep=|", "x|z", *rows]))
    assert len(read_pairs([path])) == 60


def test_commas_stay_where_semicolons_are_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", NUMBERS[:, 0], ["u;v", "w;v"] * 30, header="x,z")
    assert sample(read_pairs([path])).z.levels == (2,)
    path = write(tmp_path / "b.csv", NUMBERS[:, 0], ["u;v", "w;v"] * 30, header="x,z;y")
    assert sample(read_pairs([path], z_columns=["z;y"])).z.levels == (2,)


def test_the_delimiter_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["x:z", *(f"{x}:{z}" for x, z in NUMBERS[:, :2])]))
    assert len(read_pairs([path], delimiter=":")) == 60
    tabs = tmp_path / "b.csv"
    tabs.write_text("\n".join(["x\tz", *(f"{x}\t{z}" for x, z in NUMBERS[:, :2])]))
    assert len(read_pairs([tabs], delimiter="tab")) == 60
    with pytest.raises(ConfigError, match="--delimiter"):
        read_pairs([path], delimiter="::")
    np.savez(tmp_path / "a.npz", x=NUMBERS, z=NUMBERS)
    with pytest.raises(ConfigError, match="--delimiter"):
        read_pairs([tmp_path / "a.npz"], delimiter=";")


def test_one_column_has_one_kind_of_decimal_point(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{x:.4f};{z:.4f}".replace(".", ",") for x, z in NUMBERS[:, :2]]
    path.write_text("\n".join(["x;z", *rows, "1,5;1.234"]))
    with pytest.raises(DataError, match=r"line 62, column 'z'.*1\.234.*decimal point"):
        read_pairs([path])


# --- labels and missing cells


def test_a_column_without_numbers_contains_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", NUMBERS[:, 0], ["u", "v", " w"] * 20, header="x,z")
    found = sample(read_pairs([path]))
    assert (found.x.kind, found.z.kind, found.z.levels) == ("continuous", "discrete", (3,))
    assert found.z.codes[:3, 0].tolist() == [0, 1, 2]


def test_labels_may_start_after_many_missing_cells(tmp_path: Path) -> None:
    cells = [""] * 5000 + ["u", "v"] * 50
    path = write(tmp_path / "a.csv", range(5100), cells, header="x,z")
    found = sample(read_pairs([path]), drop_missing=True)
    assert len(found) == 100
    assert found.rows[0] == 5000
    assert found.z.levels == (2,)


@pytest.mark.parametrize(
    ("cells", "line"), [(["1", "NA", "u", "2"], 4), (["u", "", "v", "1.5"], 5)]
)
@pytest.mark.parametrize("side", ["x", "z"])
def test_numbers_and_text_in_a_column_are_an_error(
    tmp_path: Path, cells: list[str], line: int, side: str
) -> None:
    other = "z" if side == "x" else "x"
    cells = cells * 30
    path = write(tmp_path / "a.csv", cells, range(120), header=f"{side},{other}")
    with pytest.raises(DataError, match=f"line {line}, column '{side}'.*--discrete {side}"):
        read_pairs([path])
    for discrete in (side, "both"):
        pairs = read_pairs([path], discrete=discrete)  # type: ignore[arg-type]  # a literal
        found = check_variables(pairs.x, pairs.z, discrete=discrete, drop_missing=True)  # type: ignore[arg-type]
        assert getattr(found, side).levels == (3,)
        assert len(found) == 90


def test_equal_numbers_are_the_same_label(tmp_path: Path) -> None:
    big = [str(2**60 + i) for i in range(2)]
    path = write(tmp_path / "a.csv", ["1", "1.0", "01", "2"] * 15, big * 30, header="x,z")
    pairs = read_pairs([path], discrete="both")
    found = check_variables(pairs.x, pairs.z, discrete="both")
    assert (found.x.levels, found.z.levels) == ((2,), (2,))


@pytest.mark.parametrize("cell", ["", "NA", "nan", "NaN", "null", " N/A ", "<NA>"])
def test_missing_cells_are_dropped_on_request_only(tmp_path: Path, cell: str) -> None:
    x = [cell if i in (3, 7) else value for i, value in enumerate(NUMBERS[:, 0])]
    z = [cell if i == 7 else value for i, value in enumerate(NUMBERS[:, 1])]
    pairs = read_pairs([write(tmp_path / "a.csv", x, z, header="x,z")])
    with pytest.raises(DataError, match=r"a\.csv'.* 2 .*line 5, column 'x'.*--drop-missing"):
        sample(pairs)
    found = sample(pairs, drop_missing=True)
    kept = [i for i in range(60) if i not in (3, 7)]
    assert found.rows.tolist() == kept
    np.testing.assert_array_equal(found.x.continuous[:, 0], NUMBERS[kept, 0])
    assert found.warnings == ["2 of 60 rows with missing values were dropped"]


def test_rows_with_missing_values_in_other_columns_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", *NUMBERS.T[:2], [""] * 60, header="x,z,w")
    assert len(sample(read_pairs([path]), drop_missing=True)) == 60


def test_infinite_cells_are_named(tmp_path: Path) -> None:
    x = ["1e400" if i == 9 else value for i, value in enumerate(NUMBERS[:, 0])]
    with pytest.raises(DataError, match=r"infinite.*line 11, column 'x'"):
        sample(read_pairs([write(tmp_path / "a.csv", x, NUMBERS[:, 1], header="x,z")]))
    path = write(tmp_path / "a.csv", ["1e-400"] * 60, NUMBERS[:, 1], header="x,z")
    with pytest.raises(DataError, match=r"line 2, column 'x'.*1e-400"):
        read_pairs([path])


@pytest.mark.parametrize("offset", [0, 2**53, 2**63 - 30, 2**64, -(10**40)])
def test_integers_of_every_size_keep_their_digits(tmp_path: Path, offset: int) -> None:
    steps = np.arange(5000)  # more than one chunk
    steps[-1] = 4000  # so that the values are not all different
    path = write(tmp_path / "a.csv", [offset + int(i) for i in steps], steps, header="x,z")
    found = sample(read_pairs([path]))
    x, z = found.x.continuous[:, 0], found.z.continuous[:, 0]
    assert x.argsort(stable=True).tolist() == z.argsort(stable=True).tolist()
    assert len(set(x.tolist())) == 4999


def test_underscores_are_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ["1_0", "1_1"] * 30, range(60), header="x,z")
    assert sample(read_pairs([path])).x.kind == "discrete"


def test_decimal_commas_are_no_labels(tmp_path: Path) -> None:
    cells = [f'"{value:.4f}"'.replace(".", ",") for value in NUMBERS[:, 0]]
    path = write(tmp_path / "a.csv", cells, range(60), header="x,z")
    with pytest.raises(DataError, match=re.escape("column 'x'")):
        sample(read_pairs([path]))
