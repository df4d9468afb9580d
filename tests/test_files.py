"""Files that are whole or not there, whatever fails, and whatever lies in their place."""

import errno
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from disk import full, largest_file

from mivae_cli.errors import CheckpointError, ConfigError
from mivae_cli.storage.files import (
    discard,
    open_plain,
    parse_json,
    plain_bytes,
    remove_tree,
    sync_file,
    whole,
    writable,
    write_durably,
    write_synced,
)

no_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("size", [0, 1, 10_000_000])
def test_a_file_takes_the_place_of_what_is_there(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.json"
    for data in (b"old", os.urandom(size)):
        write_durably(path, data)
        assert path.read_bytes() == data
    assert names(tmp_path) == ["x.json"]


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "x.json", []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        fsync(descriptor)
        what = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        calls.append(("fsync", what.name, what.read_bytes() if what.is_file() else b""))

    def watched_replace(source: Path, target: Path) -> None:
        replace(source, target)
        calls.append(("replace", target.name, b""))

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_durably(path, b"data")
    assert calls == [
        ("fsync", ".draft-x.json", b"data"),
        ("replace", "x.json", b""),
        ("fsync", tmp_path.name, b""),
    ]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_what_was_there_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(OSError, match="No space left"):
            write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x.json"]
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_disk_that_is_full_after_some_bytes_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")
    for size in (0, 1, 5000):
        with largest_file(size), pytest.raises(OSError, match="File too large"):
            write_durably(path, b"x" * 10_000)
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["x.json"]


def test_a_process_that_dies_before_the_name_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")
    child = os.fork()
    if not child:
        os.replace = lambda *_: os._exit(7)
        write_durably(path, b"new")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == [".draft-x.json", "x.json"]
    write_durably(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert names(tmp_path) == ["x.json"]


def link_to_treasure(path: Path) -> None:
    path.symlink_to(path.parent.parent / "treasure")


def full_folder(path: Path) -> None:
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").write_bytes(b"x")


def hard_link_to_treasure(path: Path) -> None:
    os.link(path.parent.parent / "treasure", path)


IN_THE_WAY: dict[str, Callable[[Path], None]] = {
    "link": link_to_treasure,
    "hard link": hard_link_to_treasure,
    "pipe": os.mkfifo,
    "folder": full_folder,
    "file": lambda path: path.touch(),
    "dangling link": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("put", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_what_lies_where_a_draft_goes_is_removed_and_not_written_through(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    """A run from somewhere else may hold a link there, to a file that is dear to its user."""
    treasure, folder = tmp_path / "treasure", tmp_path / "run"
    treasure.write_bytes(b"gold")
    folder.mkdir()
    put(folder / ".draft-x.json")
    write_durably(folder / "x.json", b"new")
    assert treasure.read_bytes() == b"gold"
    assert names(tmp_path) == ["run", "treasure"]
    assert names(folder) == ["x.json"]
    assert (folder / "x.json").read_bytes() == b"new"
    assert not (folder / "x.json").is_symlink()


@pytest.mark.parametrize("put", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_a_new_file_is_not_written_over_another(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    treasure, folder = tmp_path / "treasure", tmp_path / "run"
    treasure.write_bytes(b"gold")
    folder.mkdir()
    put(folder / "x")
    with pytest.raises(OSError, match="exists"):
        write_synced(folder / "x", b"new")
    assert treasure.read_bytes() == b"gold"


def test_a_file_that_another_program_has_written_is_synced(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"data")
    sync_file(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        sync_file(tmp_path / "y")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(path))  # the whole path may be too long for a socket


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "is missing"),
    "folder": (lambda path: path.mkdir(), "it is no file"),
    "pipe": (lambda path: os.mkfifo(path), "it is no file"),
    "socket": (a_socket, "cannot read"),
    "link to a file": (lambda path: path.symlink_to(__file__), "is a link"),
    "link to a folder": (lambda path: path.symlink_to("/"), "is a link"),
    "link to nothing": (lambda path: path.symlink_to("nowhere"), "is a link"),
    "link to itself": (lambda path: path.symlink_to(path), "is a link"),
}


@pytest.mark.parametrize(("put", "match"), NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_file_is_not_opened(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    put: Callable[[Path], object],
    match: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "x")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CheckpointError, match=match) as caught:
        open_plain(tmp_path / "x")
    assert f"'{tmp_path / 'x'}'" in str(caught.value)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "name", ["x" * 300, "x/" * 5000 + "x", "a\0b", "file/x", "/dev/null", "/dev/zero", ""]
)
def test_names_that_no_file_of_a_run_has_are_errors_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError):
        open_plain(tmp_path / name)


def test_a_link_that_takes_the_place_of_a_file_after_the_look_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").symlink_to(__file__)
    monkeypatch.setattr(Path, "is_symlink", lambda self: False)
    with pytest.raises(CheckpointError, match="cannot read"):
        open_plain(tmp_path / "x")


@no_root
def test_a_file_without_permission_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "x").touch(0o000)
    with pytest.raises(CheckpointError, match="Permission denied"):
        open_plain(tmp_path / "x")


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert plain_bytes(tmp_path / "x", 5) == b"12345"
    with pytest.raises(CheckpointError, match="5 bytes, and no such file has more than 4"):
        plain_bytes(tmp_path / "x", 4)


def test_a_disk_that_cannot_read_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"12345")

    class Broken:
        def __init__(self, descriptor: int) -> None:
            self.descriptor = descriptor

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            os.close(self.descriptor)

        def fileno(self) -> int:
            return self.descriptor

        def read(self, _: int) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdopen", lambda descriptor, mode: Broken(descriptor))
    with pytest.raises(CheckpointError, match=r"cannot read '.*x': Input/output error"):
        plain_bytes(tmp_path / "x", 5)


def test_json_is_read_and_what_is_none_is_refused_by_name() -> None:
    assert parse_json(b'{"a": [1, 2.5, null]}', Path("x")) == {"a": [1, 2.5, None]}
    for text in (b"", b"{", b"NaN", b"[Infinity]", b"\xff", b"1 2", b"[" * 100_000, b"9" * 5000):
        with pytest.raises(CheckpointError, match="'x' is damaged: it is no JSON"):
            parse_json(text, Path("x"))
    assert json.loads("NaN") != json.loads("NaN")  # which is what it is refused for


def test_a_folder_is_removed_with_all_that_it_holds(tmp_path: Path) -> None:
    full_folder(tmp_path / "run")
    remove_tree(tmp_path / "run")
    assert names(tmp_path) == []


def test_the_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a reader would find a folder that is half there."""
    full_folder(tmp_path / "run")
    seen = []
    rmtree = shutil.rmtree

    def watched(path: Path) -> None:
        seen.append(names(tmp_path))
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", watched)
    remove_tree(tmp_path / "run")
    [[draft]] = seen
    assert draft.startswith(".draft-")


def test_a_name_goes_also_where_nothing_can_be_deleted_time_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", full)
        for _ in range(3):
            full_folder(tmp_path / "run")
            remove_tree(tmp_path / "run")
            assert not (tmp_path / "run").exists()
    assert len(names(tmp_path)) == 3
    assert all(name.startswith(".draft-") for name in names(tmp_path))
    full_folder(tmp_path / "run")
    remove_tree(tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("put", IN_THE_WAY.values(), ids=IN_THE_WAY)
@pytest.mark.parametrize("remove", [remove_tree, discard])
def test_what_is_no_folder_is_removed_too_and_never_what_it_points_at(
    tmp_path: Path, put: Callable[[Path], None], remove: Callable[[Path], None]
) -> None:
    treasure, folder = tmp_path / "treasure", tmp_path / "run"
    treasure.write_bytes(b"gold")
    folder.mkdir()
    put(folder / "x")
    remove(folder / "x")
    assert names(folder) == []
    assert treasure.read_bytes() == b"gold"


def test_a_link_to_a_folder_is_removed_and_the_folder_stays(tmp_path: Path) -> None:
    full_folder(tmp_path / "treasure")
    for remove in (remove_tree, discard):
        (tmp_path / "x").symlink_to(tmp_path / "treasure")
        remove(tmp_path / "x")
        assert names(tmp_path) == ["treasure"]
        assert (tmp_path / "treasure" / "inner" / "file").exists()


def test_nothing_is_easily_discarded(tmp_path: Path) -> None:
    discard(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        remove_tree(tmp_path / "nothing")


def test_what_cannot_be_written_is_an_error_that_a_user_can_mend(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"cannot write '.*x': No space left"),
        writable(tmp_path / "x"),
    ):
        full()
    with writable(tmp_path / "x"):
        pass


def test_an_output_that_cannot_be_finished_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    with whole(path) as draft:
        draft.write_bytes(b"first")
    refused = pytest.raises(ConfigError, match=r"cannot write '.*vectors\.npy': ")
    with refused, whole(path) as draft, largest_file(1000):
        draft.write_bytes(bytes(2000))
    with pytest.raises(ZeroDivisionError), whole(path) as draft:
        draft.write_bytes(bytes(1 // 0))
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["vectors.npy"]


def test_an_output_goes_where_a_link_points(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with whole(tmp_path / "link") as draft:
        draft.write_bytes(b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"x"
