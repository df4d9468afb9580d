"""Atomic writes under failures, and safe reads of untrusted files."""

import errno
import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from mivae_cli.errors import CheckpointError, ConfigError
from mivae_cli.storage.files import (
    atomic_file,
    copy_durably,
    open_plain,
    read_plain,
    sync_file,
    writable,
    write_durably,
    write_synced,
)
from mivae_cli.storage.ownership import (
    check_no_links,
    draft_path,
    draft_target,
    holds_only,
    open_own,
    remove_folder,
    remove_tree,
)
from mivae_cli.storage.sealed_json import parse_json
from support.disk import full, largest_file

no_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("size", [0, 1, 10_000_000])
def test_a_write_replaces_the_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.json"
    for data in (b"old", os.urandom(size)):
        write_durably(path, data)
        assert path.read_bytes() == data
    assert names(tmp_path) == ["x.json"]


def test_content_is_synced_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "x.json", []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        fsync(descriptor)
        what = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        name = draft_target(what.name) or what.name
        calls.append(("fsync", name, what.read_bytes() if what.is_file() else b""))

    def watched_replace(source: Path, target: Path) -> None:
        replace(source, target)
        calls.append(("replace", target.name, b""))

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_durably(path, b"data")
    assert calls == [
        ("fsync", "x.json", b"data"),
        ("replace", "x.json", b""),
        ("fsync", tmp_path.name, b""),
    ]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_file_and_leaves_no_draft(
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


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")
    for size in (0, 1, 5000):
        with largest_file(size), pytest.raises(OSError, match="File too large"):
            write_durably(path, b"x" * 10_000)
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["x.json"]


def test_a_process_killed_before_the_rename_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")
    child = os.fork()
    if not child:
        os.replace = lambda *_: os._exit(7)
        write_durably(path, b"new")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert path.read_bytes() == b"old"
    assert [draft_target(name) for name in names(tmp_path)] == ["x.json", None]
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


@pytest.mark.parametrize("name", [".draft-x.json", ".draft-0123456789ab-x.json"])
@pytest.mark.parametrize("put", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_a_draft_never_overwrites_a_file_or_link(
    tmp_path: Path, name: str, put: Callable[[Path], None]
) -> None:
    """An untrusted run may contain a link to a valuable file of the user."""
    treasure, folder = tmp_path / "treasure", tmp_path / "run"
    treasure.write_bytes(b"gold")
    folder.mkdir()
    put(folder / name)
    regular = (folder / name).is_file() and not (folder / name).is_symlink()
    write_durably(folder / "x.json", b"new")
    with atomic_file(folder / "x.npz") as draft:
        draft.write_bytes(b"vectors")
    assert treasure.read_bytes() == b"gold"
    assert names(tmp_path) == ["run", "treasure"]
    left = [] if draft_target(name) and regular else [name]  # a draft that was never finished
    assert names(folder) == [*left, "x.json", "x.npz"]
    assert (folder / "x.json").read_bytes() == b"new"


@pytest.mark.parametrize("put", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_a_new_file_never_overwrites_another(tmp_path: Path, put: Callable[[Path], None]) -> None:
    treasure, folder = tmp_path / "treasure", tmp_path / "run"
    treasure.write_bytes(b"gold")
    folder.mkdir()
    put(folder / "x")
    with pytest.raises(OSError, match="exists"):
        write_synced(folder / "x", b"new")
    assert treasure.read_bytes() == b"gold"


def test_a_file_written_by_another_program_is_synced(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"data")
    sync_file(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        sync_file(tmp_path / "y")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(path))  # the whole path may be too long for a socket


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "is missing"),
    "folder": (lambda path: path.mkdir(), "is damaged"),
    "pipe": (lambda path: os.mkfifo(path), "is damaged"),
    "socket": (a_socket, "cannot read"),
    "link to a file": (lambda path: path.symlink_to(__file__), "is a link"),
    "link to a folder": (lambda path: path.symlink_to("/"), "is a link"),
    "link to nothing": (lambda path: path.symlink_to("nowhere"), "is a link"),
    "link to itself": (lambda path: path.symlink_to(path), "is a link"),
}


@pytest.mark.parametrize(("put", "match"), NO_FILES.values(), ids=NO_FILES)
def test_only_regular_files_are_opened(
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
def test_invalid_file_names_are_checkpoint_errors(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError):
        open_plain(tmp_path / name)


def test_a_link_created_between_check_and_open_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").symlink_to(__file__)
    monkeypatch.setattr(Path, "is_symlink", lambda self: False)
    with pytest.raises(CheckpointError, match="cannot read"):
        open_plain(tmp_path / "x")


@no_root
def test_a_file_without_permission_is_reported(tmp_path: Path) -> None:
    (tmp_path / "x").touch(0o000)
    with pytest.raises(CheckpointError, match="Permission denied"):
        open_plain(tmp_path / "x")


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_plain(tmp_path / "x", 5) == b"12345"
    with pytest.raises(CheckpointError, match="5 bytes"):
        read_plain(tmp_path / "x", 4)


def test_a_read_error_of_the_disk_is_reported(
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
        read_plain(tmp_path / "x", 5)


def test_json_is_parsed_and_an_error_names_the_file() -> None:
    assert parse_json(b'{"a": [1, 2.5, null]}', Path("x")) == {"a": [1, 2.5, None]}
    for text in (b"", b"{", b"NaN", b"[Infinity]", b"\xff", b"1 2", b"[" * 100_000, b"9" * 5000):
        with pytest.raises(CheckpointError, match="'x' is damaged"):
            parse_json(text, Path("x"))
    assert json.loads("NaN") != json.loads("NaN")  # which is what it is refused for


MINE = re.compile(r"(a|b)\.json")


def mine(folder: Path) -> None:
    folder.mkdir()
    for name in ("a.json", "b.json", draft_path(folder / "a.json").name):
        (folder / name).touch()


def test_a_folder_is_renamed_before_its_files_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a reader could find an incomplete folder."""
    seen = []
    unlink = os.unlink

    def watched(path: Path) -> None:
        seen.append(names(tmp_path))
        unlink(path)

    mine(tmp_path / "run")
    monkeypatch.setattr(os, "unlink", watched)
    remove_tree(tmp_path / "run", MINE)
    assert len(seen) == 3
    assert all(draft_target(draft) == "run" for [draft] in seen)
    assert names(tmp_path) == []


def test_a_folder_is_renamed_even_if_its_files_cannot_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", full)
        for _ in range(3):
            mine(tmp_path / "run")
            remove_tree(tmp_path / "run", MINE)
            assert not (tmp_path / "run").exists()
    assert [draft_target(name) for name in names(tmp_path)] == ["run"] * 3


@pytest.mark.parametrize("remove", [remove_tree, remove_folder])
@pytest.mark.parametrize("put", IN_THE_WAY.values(), ids=IN_THE_WAY)
@pytest.mark.parametrize("inside", ["a", "a.json", "c.json", ".draft-c.json", None])
def test_files_that_mivae_did_not_write_are_never_removed(
    tmp_path: Path,
    inside: str | None,
    put: Callable[[Path], None],
    remove: Callable[[Path, re.Pattern[str]], None],
) -> None:
    treasure, folder = tmp_path / "treasure", tmp_path / "x"
    treasure.write_bytes(b"gold")
    if inside is None:  # not even a folder
        (tmp_path / "y").mkdir()
        folder = tmp_path / "y" / "x"
        put(folder)
    else:
        mine(folder)
        (folder / inside).unlink(missing_ok=True)
        put(folder / inside)
        if holds_only(folder, MINE):
            return  # a file of its name
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match="mivae did not write"):
        remove(folder, MINE)
    assert sorted(tmp_path.rglob("*")) == before
    assert treasure.read_bytes() == b"gold"


def test_a_link_to_a_folder_is_not_removed(tmp_path: Path) -> None:
    mine(tmp_path / "run")
    (tmp_path / "x").symlink_to(tmp_path / "run")
    assert holds_only(tmp_path / "run", MINE)
    assert not holds_only(tmp_path / "x", MINE)
    for remove in (remove_tree, remove_folder):
        with pytest.raises(OSError, match="mivae did not write"):
            remove(tmp_path / "x", MINE)
    assert len(names(tmp_path / "run")) == 3


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_links_are_not_opened_for_writing(tmp_path: Path, name: str) -> None:
    treasure, folder = tmp_path / "treasure", tmp_path / "run"
    treasure.write_bytes(b"gold")
    folder.mkdir()
    IN_THE_WAY[name](folder / "x")
    if name == "file":
        check_no_links([folder / "x"], [folder])
        os.close(open_own(folder / "x"))
        return
    with pytest.raises(CheckpointError) as caught:
        open_own(folder / "x")
    assert f"'{folder / 'x'}'" in str(caught.value)
    assert treasure.read_bytes() == b"gold"
    assert not (folder / "nowhere").exists()


def test_a_copy_is_independent_of_its_source(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(range(256)) * 9000)
    copy_durably(tmp_path / "x", tmp_path / "y")
    (tmp_path / "x").write_bytes(b"changed")
    assert (tmp_path / "y").read_bytes() == bytes(range(256)) * 9000
    with pytest.raises(FileExistsError):
        copy_durably(tmp_path / "x", tmp_path / "y")
    (tmp_path / "link").symlink_to("x")
    with pytest.raises(CheckpointError):
        copy_durably(tmp_path / "link", tmp_path / "z")


def test_a_failed_write_is_a_config_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"cannot write '.*x': No space left"),
        writable(tmp_path / "x"),
    ):
        full()
    with writable(tmp_path / "x"):
        pass


def test_an_unfinished_output_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    with atomic_file(path) as draft:
        draft.write_bytes(b"first")
    refused = pytest.raises(ConfigError, match=r"cannot write '.*vectors\.npy': ")
    with refused, atomic_file(path) as draft, largest_file(1000):
        draft.write_bytes(bytes(2000))
    with pytest.raises(ZeroDivisionError), atomic_file(path) as draft:
        draft.write_bytes(bytes(1 // 0))
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["vectors.npy"]


def test_an_output_replaces_the_target_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_file(tmp_path / "link") as draft:
        draft.write_bytes(b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"x"


@pytest.mark.parametrize(
    "put", [os.mkfifo, full_folder, lambda path: path.symlink_to(path.name)],
    ids=["pipe", "folder", "link to itself"],
)  # fmt: skip
def test_an_output_replaces_only_regular_files(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    put(tmp_path / "x.npz")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="not a regular file"), atomic_file(tmp_path / "x.npz"):
        pytest.fail("there is nothing to write")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "x") as draft:
            draft.write_bytes(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
