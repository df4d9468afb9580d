"""Pairs: every form of file gives the same ones, and a bad file is named, never unpickled."""

import gzip
import importlib
import io
import os
import pickle
import re
import sys
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from mivae_cli.errors import ConfigError, DataError, MivaeError
from mivae_cli.estimators.io.checks import check_variables
from mivae_cli.estimators.io.frames import Frame
from mivae_cli.estimators.io.pairs import Pairs, read_pairs

RANDOM = np.random.default_rng(0)
X, Z = RANDOM.normal(size=(60, 3)), RANDOM.normal(size=(60, 2))
NAMES = ["x1", "x2", "x3", "z1", "z2"]
FORMS = ["npz", "npy", "safetensors", "csv", "tsv", "csv.gz", "parquet"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pairs")


def table(
    x: NDArray[Any], z: NDArray[Any], delimiter: str = ",", names: list[str] | None = None
) -> bytes:
    rows = [NAMES if names is None else names]
    rows += [[repr(float(value)) for value in row] for row in np.column_stack([x, z])]
    return "".join(delimiter.join(row) + "\n" for row in rows if row).encode()


def save(folder: Path, form: str, x: NDArray[Any], z: NDArray[Any]) -> list[Path]:
    """Writes pairs of three and two dimensions in one of the forms."""
    path = folder / f"pairs.{form}"
    match form:
        case "npz":
            np.savez(path, x=x, z=z)
        case "npy":
            np.save(folder / "x.npy", x)
            np.save(folder / "z.npy", z)
            return [folder / "x.npy", folder / "z.npy"]
        case "safetensors":
            safetensors.numpy.save_file({"x": x, "z": z}, path)
        case "csv":
            path.write_bytes(table(x, z))
        case "tsv":
            path.write_bytes(table(x, z, "\t"))
        case "csv.gz":
            path.write_bytes(gzip.compress(table(x, z)))
        case "parquet":
            write_parquet(path, dict(zip(NAMES, np.column_stack([x, z]).T, strict=True)))
    return [path]


def write_parquet(path: Path, columns: dict[str, Any]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), path)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(shape: str, descr: str = "'<f8'") -> bytes:
    """Returns the start of a .npy file that claims a shape, without any numbers after it."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def values_of(frame: Frame) -> NDArray[np.float64]:
    """Returns the columns of a frame of numbers."""
    assert {block.kind for block in frame.blocks} <= {"numbers", "integers", "booleans"}
    return np.concatenate([block.values.astype(np.float64) for block in frame.blocks], axis=1)


def assert_same(pairs: Pairs, x: NDArray[Any], z: NDArray[Any]) -> None:
    np.testing.assert_array_equal(values_of(pairs.x), x)
    np.testing.assert_array_equal(values_of(pairs.z), z)
    assert (pairs.x.shape, pairs.z.shape) == (x.shape, z.shape)
    assert len(pairs) == len(x)


def check_pairs(
    x: ArrayLike | Frame, z: ArrayLike | Frame, names: tuple[str, str] = ("x", "z")
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], list[str]]:
    """Returns x and z as numbers, and the warnings of the check."""
    sample = check_variables(x, z, discrete="none", names=names)
    x, z = sample.tensors()
    return (x.numpy(), z.numpy()), sample.warnings


def assert_checked(
    pairs: tuple[NDArray[np.float64], NDArray[np.float64]], x: NDArray[Any], z: NDArray[Any]
) -> None:
    np.testing.assert_array_equal(pairs[0], x)
    np.testing.assert_array_equal(pairs[1], z)


# --- what is read


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pairs(tmp_path: Path, form: str) -> None:
    assert_same(read_pairs(save(tmp_path, form, X, Z)), X, Z)


@pytest.mark.parametrize("form", FORMS)
def test_extensions_may_be_in_capitals(tmp_path: Path, form: str) -> None:
    paths = [path.rename(path.with_name(path.name.upper())) for path in save(tmp_path, form, X, Z)]
    assert_same(read_pairs(paths), X, Z)


@pytest.mark.parametrize("form", ["npz", "npy", "safetensors"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "i8", "u1", "?"])
def test_numbers_of_every_width_become_doubles(tmp_path: Path, form: str, dtype: str) -> None:
    x, z = (3 * abs(X)).astype(dtype), (3 * abs(Z)).astype(dtype)
    assert_same(read_pairs(save(tmp_path, form, x, z)), x.astype(float), z.astype(float))


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_arrays_by_columns_and_of_other_byte_orders_are_read(tmp_path: Path, form: str) -> None:
    paths = save(tmp_path, form, np.asfortranarray(X), Z.astype(">f8"))
    assert_same(read_pairs(paths), X, Z)


def test_a_compressed_npz_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=X, z=Z)
    assert_same(read_pairs([tmp_path / "a.npz"]), X, Z)


def test_a_tensor_that_numpy_lacks_is_widened(tmp_path: Path) -> None:
    x, z = torch.tensor(X).bfloat16(), torch.tensor(Z).float()
    safetensors.torch.save_file({"x": x, "z": z}, tmp_path / "a.safetensors")
    assert_same(read_pairs([tmp_path / "a.safetensors"]), x.double().numpy(), z.double().numpy())


def test_a_row_of_numbers_becomes_a_column(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X[:, 0], z=Z)
    assert_same(read_pairs([tmp_path / "a.npz"]), X[:, :1], Z)


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_arrays_are_chosen_by_name(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form}"
    arrays = {"x": X + 1, "inputs": X, "codes": Z}
    if form == "npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]  # its keywords are arrays
    else:
        safetensors.numpy.save_file(arrays, path)
    assert_same(read_pairs([path], x="inputs", z="codes"), X, Z)
    assert_same(read_pairs([path], z="codes"), X + 1, Z)


@pytest.mark.parametrize(
    ("names", "x_columns", "z_columns"),
    [
        (["x", "x_1", "x.20", "z", "z0"], [], []),
        (["a", "b", "c", "d", "e"], ["a,b", "c"], [" d , e "]),
        (["a", "b", "c", "d", "e"], ["1-3"], ["4-5"]),
        (["a", "x", "c", "z1", "z2"], ["1", "x", "c"], []),
        (["0", "1", "2", "3", "e"], ["0-2"], ["3,e"]),  # names come before positions
        ([], ["1-3"], ["4,5"]),  # no header
    ],
)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_columns_are_chosen_by_name_or_number(
    tmp_path: Path, form: str, names: list[str], x_columns: list[str], z_columns: list[str]
) -> None:
    path = tmp_path / f"a.{form}"
    if form == "csv":
        path.write_bytes(table(X, Z, names=names))
    elif not names:
        pytest.skip("every Parquet file has names")
    else:
        write_parquet(path, dict(zip(names, np.column_stack([X, Z]).T, strict=True)))
    assert_same(read_pairs([path], x_columns=x_columns, z_columns=z_columns), X, Z)


def test_columns_come_in_the_order_of_their_choice(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", table(X, Z))
    assert_same(read_pairs([path], x_columns=["x3,x1"], z_columns=["z2"]), X[:, [2, 0]], Z[:, 1:])


def test_other_columns_quotes_blank_lines_and_line_ends_do_no_harm(tmp_path: Path) -> None:
    content = '\ufeffname, x ,z\r\n"a, ""b""\r\nc","1",2e0\r\n\r\nd, 3 ,-4\r\n'
    pairs = read_pairs([written(tmp_path / "a.csv", content.encode())])
    assert_same(pairs, np.array([[1], [3]]), np.array([[2], [-4]]))


@pytest.mark.parametrize("fixed", [True, False])
def test_a_parquet_column_of_lists_is_as_many_dimensions(tmp_path: Path, fixed: bool) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    kind = pyarrow.list_(pyarrow.float32(), 3 if fixed else -1)
    x = pyarrow.array(X.tolist(), kind)
    write_parquet(tmp_path / "a.parquet", {"x": x, "z1": Z[:, 0], "z2": Z[:, 1]})
    assert_same(read_pairs([tmp_path / "a.parquet"]), X.astype(np.float32), Z)


def test_parquet_columns_must_be_numbers_or_labels(tmp_path: Path) -> None:
    path, z = tmp_path / "a.parquet", Z[:2, 0]
    for column, message in [
        ([[1.0], [2.0, 3.0]], "column 'x' of .*1 to 2"),
        ([["a"], ["b"]], "column 'x' of .*string"),
        ([{"a": 1}, {"a": 2}], "column 'x' of .*struct"),
    ]:
        write_parquet(path, {"x": column, "z": z})
        with pytest.raises(DataError, match=message):
            read_pairs([path])


@pytest.mark.parametrize("column", [[1.0], ["a"], [[1.0, 2.0]], [2**60], [True]])
def test_nulls_of_parquet_columns_are_missing(tmp_path: Path, column: list[Any]) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path, {"x": [*column, None] * 60, "z": np.arange(120)})
    pairs = read_pairs([path])
    assert pairs.x.absent().any(axis=1).tolist() == [False, True] * 60
    with pytest.raises(DataError, match=r"'x.*--drop-missing"):
        check_variables(pairs.x, pairs.z)


def test_types_of_parquet_columns(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    path, labels = tmp_path / "a.parquet", ["u", "v"] * 30
    numbers = [Decimal(2**60) + i for i in range(60)]
    columns = {
        "x1": np.arange(60, dtype=np.uint64) + np.uint64(2**63),
        "x2": pyarrow.array(numbers),
        "x3": labels,
        "x4": pyarrow.array(labels).dictionary_encode(),
        "x5": pyarrow.array([True, False] * 30),
        "z": Z[:, 0],
    }
    write_parquet(path, columns)
    pairs = read_pairs([path])
    for x in (
        pairs.x,
        pyarrow.table({name: columns[name] for name in ("x1", "x2", "x3", "x4", "x5")}),
    ):
        found = check_variables(x, pairs.z).x
        assert found.columns == ("x1", "x2", "x3", "x4", "x5")
        assert found.levels == (2, 2, 2)
        assert found.continuous[:, 0].tolist() == list(range(60))
        assert (found.continuous[:, 1].diff() > 0).all()
    write_parquet(path, {"x": np.arange(60).astype("M8[s]"), "z": Z[:, 0]})
    pairs = read_pairs([path])
    with pytest.raises(DataError, match=r"'x' of .*timestamp.*--discrete x"):
        check_variables(pairs.x, pairs.z)


def test_without_pyarrow_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = written(tmp_path / "a.parquet", b"PAR1")
    with pytest.raises(ConfigError, match=re.escape("pip install 'mivae[parquet]'")):
        read_pairs([path])


# --- what is refused


class Trap:
    """Creates a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    trapped = np.array([Trap(mark)], dtype=object)
    pickle.loads(pickle.dumps(trapped))
    assert mark.is_dir()  # the trap works
    mark.rmdir()

    archive, array, plain = (tmp_path / name for name in ("a.npz", "a.npy", "b.npy"))
    np.savez(archive, x=trapped, z=Z)
    np.save(array, trapped)
    np.save(plain, Z)
    for paths in ([archive], [array, plain], [plain, array]):
        with pytest.raises(DataError, match=r"a\.np[yz]'.* pickled"):
            read_pairs(paths)
    for suffix in ("npy", "npz", "safetensors", "csv", "parquet"):  # under another's name
        disguised = written(tmp_path / f"c.{suffix}", pickle.dumps(trapped))
        with pytest.raises(MivaeError):
            read_pairs([disguised, disguised] if suffix == "npy" else [disguised])
    for suffix in ("pkl", "pickle", "pt", "pth", "joblib", "PKL"):
        path = written(tmp_path / f"a.{suffix}", pickle.dumps(trapped))
        with pytest.raises(DataError, match=re.escape(f"'{path}' is a pickle")):
            read_pairs([path])
    assert not mark.exists()


@pytest.mark.parametrize("name", ["a.mat", "a", "a.npz.gz", "a.txt", "a.h5"])
def test_other_forms_are_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"{name}'")):
        read_pairs([written(tmp_path / name, b"")])


@pytest.mark.parametrize("form", ["npz", "npy", "safetensors", "csv.gz", "parquet"])
def test_missing_and_damaged_files_are_named(tmp_path: Path, form: str) -> None:
    paths = save(tmp_path, form, X, Z)
    path, whole = paths[0], paths[0].read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-9], b"", b"\0", b"PK", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=re.escape(f"'{path}'")) as caught:
            read_pairs(paths)
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(DataError, match=re.escape(f"'{path}'")):
        read_pairs(paths)
    path.mkdir()
    with pytest.raises(DataError, match=re.escape(f"'{path}'")):
        read_pairs(paths)


@pytest.mark.parametrize("shape", ["(10**15, 2)", f"({10**15}, 2)", "(9, 9)", "(-1, 2)"])
def test_what_a_header_claims_must_be_there(tmp_path: Path, shape: str) -> None:
    short = written(tmp_path / "x.npy", header(shape) + bytes(16))
    with pytest.raises(DataError, match=r"x\.npy' .*damaged"):
        read_pairs([short, written(tmp_path / "z.npy", npy(Z))])
    short = written(tmp_path / "a.npz", zipped(x=header(shape) + bytes(16), z=npy(Z)))
    with pytest.raises(DataError, match=r"a\.npz'"):
        read_pairs([short])


@pytest.mark.parametrize("field", ["uncompressed", "compressed"])
def test_an_archive_that_lies_about_its_sizes_is_refused(tmp_path: Path, field: str) -> None:
    content = bytearray(zipped(x=header(f"({2**28},)") + bytes(64), z=npy(Z)))
    entry = content.index(b"PK\x01\x02")  # of x, in the central directory
    start = entry + (24 if field == "uncompressed" else 20)
    content[start : start + 4] = (2**31 + 1024).to_bytes(4, "little")
    with pytest.raises(DataError, match=r"a\.npz"):
        read_pairs([written(tmp_path / "a.npz", bytes(content))])


def test_a_safetensors_header_that_lies_is_refused(tmp_path: Path) -> None:
    text = b'{"x":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}'
    content = len(text).to_bytes(8, "little") + text + bytes(64)
    with pytest.raises(DataError, match=r"a\.safetensors'"):
        read_pairs([written(tmp_path / "a.safetensors", content)])


@pytest.mark.parametrize("form", ["npz", "npy"])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([1j, 2j]), "complex"),
        (np.array(["2020-01-01"], "M8[D]"), "dates"),
        (np.array([1], "m8[s]"), "durations"),
        (np.array([(1, 2.0)], "i4,f8"), "records"),
        (np.array(1.0), re.escape("()")),
        (np.zeros((60, 0)), re.escape("(60, 0)")),
        (X[:59], "59 rows.* 60"),
    ],
)
def test_arrays_must_be_rows_of_numbers(
    tmp_path: Path, form: str, array: NDArray[Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_pairs(save(tmp_path, form, array, Z))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("form", ["npz", "safetensors"])
@pytest.mark.parametrize(
    ("held", "asked", "message"),
    [
        ("ab", {}, "'x' .*'z'.* 'a', 'b' .*--x NAME --z NAME"),
        ("xy", {}, "'z'.* 'x', 'y' .*--z y"),
        ("xab", {}, "'z'.* --z NAME"),
        ("az", {}, "'x'.* --x NAME$"),
        ("xz", {"x": "h"}, "'h'.* 'x', 'z'"),
        ("xz", {"x": "z"}, "'z'.* --x .*--z"),
    ],
)
def test_arrays_of_other_names_are_listed_never_guessed(
    tmp_path: Path, form: str, held: str, asked: dict[str, str], message: str
) -> None:
    path = tmp_path / f"a.{form}"
    arrays = {name: X for name in held}
    if form == "npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]  # its keywords are arrays
    else:
        safetensors.numpy.save_file(arrays, path)
    with pytest.raises(ConfigError, match=message):
        read_pairs([path], asked.get("x"), asked.get("z"))


def test_one_array_is_no_pair(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X)
    with pytest.raises(DataError, match=r"a\.npz'.* 1: 'x'"):
        read_pairs([tmp_path / "a.npz"])
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(ConfigError, match=r"a\.npy"):
        read_pairs([tmp_path / "a.npy"])


def test_files_and_options_must_go_together(tmp_path: Path) -> None:
    (npz,), (csv,), npys = (save(tmp_path, form, X, Z) for form in ("npz", "csv", "npy"))
    for paths in ([], [npz, npz], [npys[0], csv], [*npys, npys[0]]):
        with pytest.raises(ConfigError, match=r"two \.npy files"):
            read_pairs(paths)
    for paths in ([csv], npys):
        with pytest.raises(ConfigError, match=r"--x and --z .*\.npz"):
            read_pairs(paths, x="a")
    for paths in ([npz], npys):
        with pytest.raises(ConfigError, match=r"--x-columns and --z-columns .*\.csv"):
            read_pairs(paths, z_columns=["a"])


@pytest.mark.parametrize(
    ("content", "x_columns", "z_columns", "message"),
    [
        ("a,b\n1,2\n", "", "b", "'a', 'b'.* --x-columns"),
        ("x,b\n1,2\n", "", "", "--z-columns"),
        ("3,2\n3,4\n", "", "", "2 columns, no header"),
        ("x,z\n1,2\n", "y", "", "'y'.* 'x', 'z'"),
        ("x,z\n1,2\n", "3", "", "'3'"),
        ("x,z\n1,2\n", "0", "", "'0'"),
        ("x,z\n1,2\n", "1-9", "", "'9'"),
        ("x,z\n1,2\n", "1-999999999999999999999", "", "'9999"),
        ("x,z\n1,2\n", "2-1", "", "--x-columns 2-1"),
        ("x,z\n1,2\n", " , ", "", "--x-columns"),
        ("x,z\n1,2\n", "1", "x", "'x' .*twice"),
        ("x,y,z\n1,2,3\n", "1-2,y", "", "'y' .*twice"),
        (",0,1\n5,1,2\n", "2", "1", "'2'"),  # a name, or the column of '0'?
        ("a,a,z\n1,2,3\n", "a", "", "2 columns .*'a'"),
    ],
)
def test_columns_that_are_not_there_are_named_with_those_that_are(
    tmp_path: Path, content: str, x_columns: str, z_columns: str, message: str
) -> None:
    path = written(tmp_path / "a.csv", content.encode())
    x, z = ([columns] if columns else [] for columns in (x_columns, z_columns))
    with pytest.raises(ConfigError, match=message):
        read_pairs([path], x_columns=x, z_columns=z)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,z\n1,2\n3,four\n", "line 3, column 'z'.*'four'"),
        (b"x,z\n1,2\n3\n", "line 3"),
        (b"x,z\n1,2,3\n", "line 2"),
        (b'x,z\n1,"2\n3,4\n', "line 2"),
        (b"x,z\n1,\xff\n", "line 2"),
        (b"x,z\n1,\0\n", "line 2"),
        (b"", "a.csv"),
        (b"\n\n", "a.csv"),
    ],
)
def test_the_line_and_column_of_a_bad_cell_are_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_pairs([written(tmp_path / "a.csv", content)])


def test_a_wide_table_does_not_fill_the_message(tmp_path: Path) -> None:
    content = ",".join(f"column{number}" for number in range(800)) + "\n"
    with pytest.raises(ConfigError, match="'column11' and 788 more"):
        read_pairs([written(tmp_path / "a.csv", content.encode())])


STARTS = {
    "npz": [b"", b"PK\x03\x04", zipped(x=npy(X[:3]), z=npy(Z[:3]))],
    "npy": [b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x03\x00", npy(X[:3])],
    "safetensors": [b"", safetensors.numpy.save({"x": X[:3], "z": Z[:3]})],
    "csv": [b"", b"x,z\n", b'x,z\n"'],
    "tsv": [b"", b"x\tz\n"],
    "csv.gz": [b"\x1f\x8b\x08", gzip.compress(b"x,z\n1,2\n")],
}


@pytest.mark.parametrize("form", STARTS)
@settings(max_examples=100)
@given(data=st.data())
def test_whatever_the_bytes_only_errors_of_ours_come_out(
    folder: Path, form: str, data: st.DataObject
) -> None:
    content = bytearray(data.draw(st.sampled_from(STARTS[form])))
    places = st.tuples(st.integers(0, max(0, len(content) - 1)), st.integers(0, 255))
    for place, byte in data.draw(st.lists(places, max_size=4)) if content else []:
        content[place] = byte
    path = written(folder / f"a.{form}", bytes(content) + data.draw(st.binary(max_size=64)))
    try:
        pairs = read_pairs([path, path] if form == "npy" else [path])
    except (ConfigError, DataError):
        return
    assert len(pairs.x) == len(pairs.z)


# --- what is checked


@pytest.mark.parametrize(
    "convert",
    [
        lambda values: values,
        lambda values: values.tolist(),
        lambda values: torch.tensor(values, requires_grad=True),
        lambda values: np.asfortranarray(values).astype(">f8"),
    ],
)
def test_arrays_tensors_and_lists_are_the_same_pairs(
    convert: Callable[[NDArray[np.float64]], ArrayLike],
) -> None:
    pairs, warnings = check_pairs(convert(X), convert(Z))
    assert_checked(pairs, X, Z)
    assert warnings == []


def test_a_half_precision_tensor_and_a_list_of_numbers_are_taken() -> None:
    z = torch.linspace(0, 1, 60).bfloat16()
    pairs, _ = check_pairs(list(range(60)), z)
    assert_checked(pairs, np.arange(60.0)[:, None], z.double().numpy()[:, None])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:49], "sentences .*49.* codes .*60"),
        (X[:, :0], "sentences"),
        (["a"] * 60, "sentences .*strings"),
        ([None] * 60, "missing"),
        ([[1], [2, 3]], "sentences"),
        (X * 1j, "complex"),
        (torch.tensor(X * 1j), "complex"),
        (torch.tensor(X).to_sparse(), "sentences"),
        (X.astype("M8[s]"), "dates"),
        (np.ma.masked_less(X, 0), "missing"),
        (np.full((60, 2), 3.0), "sentences .*constant"),
        (np.full((60, 2), np.finfo("g").max, "g"), "infinite|constant"),
    ],
)
def test_what_cannot_be_measured_is_refused(x: ArrayLike, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_pairs(x, Z, ("sentences", "codes"))


def test_fewer_than_fifty_pairs_are_refused() -> None:
    check_pairs(X[:50], Z[:50])
    with pytest.raises(DataError, match=r"49 .*50"):
        check_pairs(X[:49], Z[:49])
    with pytest.raises(DataError, match="0 pairs"):
        check_pairs(X[:0], Z[:0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_placed(value: float) -> None:
    z = Z.copy()
    z[[6, 6, 40], [1, 0, 1]] = value
    z[6, 0] = 0
    message = "z .*2 .*row 7, column 2"
    with pytest.raises(DataError, match=message):
        check_pairs(X, z)


def test_constant_columns_are_named_and_left_out() -> None:
    x = np.column_stack([np.zeros(60), X[:, 0], np.full(60, -1e308), np.zeros(60)])
    z = np.column_stack([Z, np.where(np.arange(60) % 2, 0.0, -0.0)])  # zeros are equal
    pairs, warnings = check_pairs(x, z)
    assert_checked(pairs, X[:, :1], Z)
    assert warnings == [
        "x columns 1, 3, 4 are constant and ignored",
        "z column 3 is constant and ignored",
    ]


def test_tied_columns_are_named_with_the_values_they_have() -> None:
    x = np.column_stack([X[:, 0], np.arange(60) % 12, np.arange(60) < 30])
    _, warnings = check_pairs(x[:, :2], Z)
    (warning,) = warnings
    assert warning.startswith("x column 2 has 12 distinct values in 60 rows")
    _, warnings = check_pairs(x, Z)
    assert "x columns 2, 3 have at most 12 distinct values in 60 rows" in warnings[0]
    spiked = np.maximum(X[:, 0], -1.0)  # continuous but for a spike at -1
    assert np.mean(spiked == -1) > 0.11
    _, warnings = check_pairs(spiked, Z)
    assert f"-1 in {np.mean(spiked == -1):.0%} of the rows" in warnings[0]
    assert check_pairs(np.arange(60), Z)[1] == []  # whole numbers without ties


def test_repeated_pairs_are_counted() -> None:
    x, z = np.tile(X, (5, 1)), np.tile(Z, (5, 1))
    _, warnings = check_pairs(x, z)
    assert warnings[-1].startswith("80% of the pairs")
    moved = np.arange(300.0)[:, None]
    _, warnings = check_pairs(np.hstack([x, moved]), z)  # each column but one repeats
    assert not any("duplicates" in warning for warning in warnings)
    grid = np.divmod(np.arange(400), 20)  # each column repeats and no pair does
    _, warnings = check_pairs(*grid)
    assert not any("duplicates" in warning for warning in warnings)
    (warning,) = check_pairs(np.vstack([X, X[:2]]), np.vstack([Z, Z[:2]]))[1]
    assert warning.startswith("3% of the pairs are exact duplicates")


def test_zeros_of_either_sign_repeat() -> None:
    x = np.concatenate([np.zeros(100), -np.zeros(100), np.arange(1, 51)])
    _, warnings = check_pairs(x, np.abs(x))
    assert any(warning.startswith("80% of the pairs") for warning in warnings)  # 199 of 250


def test_too_many_dimensions_for_the_pairs_are_told() -> None:
    x = RANDOM.normal(size=(60, 28))
    _, warnings = check_pairs(x, Z)
    (warning,) = warnings
    assert "30 dimensions" in warning
    assert check_pairs(x[:, 1:], Z)[1] == []


def test_warnings_stay_short_however_wide_the_data() -> None:
    x = RANDOM.integers(0, 9, size=(1200, 900)).astype(float)
    x[:, ::2] = 1.0
    pairs, warnings = check_pairs(np.tile(x, (2, 1)), np.tile(x, (2, 1)))
    assert pairs[0].shape == (2400, 450)
    assert len(warnings) == 5
    assert max(map(len, warnings)) <= 180
