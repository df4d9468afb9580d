"""The lock: one holder at a time, released when the holder dies, and clear errors."""

import errno
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.errors import CheckpointError, ConfigError
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.storage.lock import LOCK, STALE_SECONDS, lock_holder, locked
from mivae_cli.training.trainer import Trainer
from support.disk import full, largest_file
from support.locks import held_elsewhere
from support.program import Mivae
from support.small import small_config, train_to_end, write_scenes


def takes(folder: Path) -> None:
    """Asserts that the lock can be acquired, names its holder, and leaves no file."""
    with locked(folder):
        record = json.loads((folder / LOCK).read_text())
        assert record == {"pid": os.getpid(), "host": socket.gethostname()}
        assert lock_holder(folder) == f"process {os.getpid()} on {socket.gethostname()}"
    assert not os.path.lexists(folder / LOCK)
    assert lock_holder(folder) is None


def refused(folder: Path, match: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ConfigError, match=match), locked(folder):
        pytest.fail("two hold it")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_lock_is_held_and_released(tmp_path: Path) -> None:
    for _ in range(3):
        takes(tmp_path)


def test_a_second_holder_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path):
        refused(tmp_path, f"being written by process {os.getpid()} on {socket.gethostname()}: ")
        refused(tmp_path, "--out")
    takes(tmp_path)


def test_a_second_holder_in_another_process_is_refused(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as holder:
        refused(tmp_path, f"being written by process {holder} on {socket.gethostname()}: ")
        assert lock_holder(tmp_path) == f"process {holder} on {socket.gethostname()}"


def test_the_lock_of_a_killed_holder_is_taken_over(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path):
        pass
    assert (tmp_path / LOCK).exists()
    assert lock_holder(tmp_path) is None
    takes(tmp_path)


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (tmp_path / LOCK).touch()
    takes(tmp_path)
    child.communicate(b"\n")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError, SystemExit])
def test_an_exception_releases_the_lock(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), locked(tmp_path):
        raise error
    takes(tmp_path)


DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b'{"pid": 1}',
    b'{"pid": "1", "host": "x"}',
    b'{"pid": 1.5, "host": "x"}',
    b'{"pid": 1e999, "host": "x"}',
    b'{"pid": null, "host": null}',
    b'{"pid": 1, "host": 5}',
    b'{"pid": %b, "host": "x"}' % (b"9" * 5000),
    b"[" * 4096,
    b"x" * 10_000_000,
]


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: repr(data[:24]))
def test_a_damaged_lock_is_taken_over_unless_it_is_held(tmp_path: Path, data: bytes) -> None:
    (tmp_path / LOCK).write_bytes(data)
    assert lock_holder(tmp_path) is None
    takes(tmp_path)
    with locked(tmp_path):
        (tmp_path / LOCK).write_bytes(data)
        refused(tmp_path, "being written by another process: ")
        assert lock_holder(tmp_path) == "another process"


def left_by(folder: Path, host: str, seconds_ago: float) -> None:
    """Writes a lock of another process; nothing in the folder has changed since then."""
    (folder / LOCK).write_text(json.dumps({"pid": 12, "host": host}))
    (folder / "metrics.jsonl").touch()
    for path in folder.iterdir():
        os.utime(path, (time.time() - seconds_ago,) * 2)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Simulates a network file system."""
    device = os.stat(tmp_path).st_dev
    place = f"{os.major(device)}:{os.minor(device)}"
    (tmp_path.parent / "mounts").write_text(f"7 1 {place} / /net rw shared:1 - nfs4 host:/x rw\n")
    monkeypatch.setattr("mivae_cli.storage.lock.MOUNTS", tmp_path.parent / "mounts")


def test_a_lock_of_another_host_on_a_local_disk_is_stale(tmp_path: Path, shared: None) -> None:
    mounts = tmp_path.parent / "mounts"
    left_by(tmp_path, "the-container-before", 0)
    refused(tmp_path, LOCK)
    mounts.write_text(mounts.read_text().replace("nfs4", "ext4"))
    takes(tmp_path)
    left_by(tmp_path, "the-container-before", 0)
    mounts.unlink()  # it is not known
    refused(tmp_path, LOCK)


@pytest.mark.usefixtures("shared")
def test_a_lock_of_another_host_counts_until_it_is_stale(tmp_path: Path) -> None:
    left_by(tmp_path, "elsewhere", STALE_SECONDS + 60)
    takes(tmp_path)
    left_by(tmp_path, "elsewhere", STALE_SECONDS - 60)
    refused(tmp_path, f"process 12 on elsewhere .* delete '{tmp_path / LOCK}'")
    assert (tmp_path / LOCK).exists()
    left_by(tmp_path, "elsewhere", STALE_SECONDS + 60)
    (tmp_path / "metrics.jsonl").write_text("a line\n")  # by somebody who is alive
    refused(tmp_path, LOCK)
    (tmp_path / LOCK).unlink()  # as the message says
    takes(tmp_path)


def test_a_lock_of_this_host_that_is_not_held_is_stale(tmp_path: Path) -> None:
    left_by(tmp_path, socket.gethostname(), 0)
    takes(tmp_path)


def test_drafts_renamed_during_the_check_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by(tmp_path, "elsewhere", STALE_SECONDS + 60)
    (tmp_path / ".draft-x").touch()
    listed = Path.iterdir

    def vanishing(folder: Path) -> Iterator[Path]:
        for path in list(listed(folder)):
            if path.name == ".draft-x":
                path.unlink()
            yield path

    monkeypatch.setattr(Path, "iterdir", vanishing)
    takes(tmp_path)


def test_without_flock_host_and_time_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", unknown)
    with locked(tmp_path):
        refused(tmp_path, f"process {os.getpid()} on {socket.gethostname()}")
        assert lock_holder(tmp_path) is None
    with locked(tmp_path):
        pass
    left_by(tmp_path, socket.gethostname(), STALE_SECONDS + 60)
    with locked(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_a_holder_does_not_remove_the_lock_of_the_next_one(tmp_path: Path) -> None:
    first = locked(tmp_path)
    first.__enter__()
    (tmp_path / LOCK).unlink()
    with locked(tmp_path):
        first.__exit__(None, None, None)
        refused(tmp_path, f"process {os.getpid()}")
    takes(tmp_path)


def test_a_lock_released_during_acquisition_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    calls: list[int] = []

    def late(descriptor: int, operation: int) -> None:
        if not calls:  # the former holder removes its file after we have opened it
            (tmp_path / LOCK).unlink()
        calls.append(descriptor)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path):
        assert len(calls) == 2
        refused(tmp_path, "being written")


def test_concurrent_holders_exclude_each_other(tmp_path: Path) -> None:
    """Each process slowly increments a number; without exclusion, increments would be lost."""
    (tmp_path / "number").write_text("0")
    children = []
    for _ in range(4):
        if not (child := os.fork()):
            done, code = 0, 1
            try:
                while done < 10:
                    try:
                        with locked(tmp_path):
                            number = int((tmp_path / "number").read_text())
                            time.sleep(0.001)
                            (tmp_path / "number").write_text(str(number + 1))
                            done += 1
                    except ConfigError:
                        time.sleep(0.0005)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert (tmp_path / "number").read_text() == "40"


def test_on_a_full_disk_a_lock_works_without_a_holder_name(tmp_path: Path) -> None:
    with largest_file(0), locked(tmp_path):
        assert (tmp_path / LOCK).read_bytes() == b""
        refused(tmp_path, "by another process")
    assert not (tmp_path / LOCK).exists()


def test_a_lock_file_that_cannot_be_deleted_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, locked(tmp_path):
        patched.setattr(Path, "unlink", full)
    assert (tmp_path / LOCK).exists()
    takes(tmp_path)


def test_removal_of_the_folder_does_not_hide_another_error(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()

    def fail() -> None:
        shutil.rmtree(tmp_path / "run")
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"), locked(tmp_path / "run"):
        fail()


def hard_link(path: Path) -> None:
    treasure = path.parent / "precious"
    if not treasure.exists():
        treasure = path.parent.parent / "precious"  # in a run it would be a stranger
        treasure.write_text("gold")
    os.link(treasure, path)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, "regular file"),
    "a link": (lambda path: path.symlink_to(path.parent / "precious"), "symbolic link"),
    "a dangling link": (lambda path: path.symlink_to("nowhere"), "symbolic link"),
    "a pipe": (os.mkfifo, "regular file"),
    "a hard link": (hard_link, "hard link"),
}
odd_places = pytest.mark.parametrize(("put", "match"), ODD.values(), ids=ODD)


@odd_places
def test_other_files_named_like_a_lock_are_rejected_and_kept(
    tmp_path: Path, put: Callable[[Path], object], match: str
) -> None:
    (tmp_path / "precious").write_text("gold")
    put(tmp_path / LOCK)
    with pytest.raises(CheckpointError, match=match), locked(tmp_path):
        pytest.fail("it was taken")
    assert lock_holder(tmp_path) is None
    assert os.path.lexists(tmp_path / LOCK)
    assert (tmp_path / "precious").read_text() == "gold"
    assert not (tmp_path / "nowhere").exists()


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    refused(tmp_path / "nothing", r"cannot write '.*lock\.json': No such file")
    assert lock_holder(tmp_path / "nothing") is None


# ---------------------------------------------------------------------- those who hold it


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    folder = tmp_path_factory.mktemp("lock")
    text = write_scenes(folder / "scenes.txt", count=200)
    config = small_config(text, training={"epochs": 1}, objective={"mi_weight": 0.0})
    return train_to_end(config, folder / "run")[0]


@pytest.fixture
def run(sound: RunDirectory, tmp_path: Path) -> RunDirectory:
    shutil.copytree(sound.path, tmp_path / "run")
    return RunDirectory.open(tmp_path / "run")


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulates a read-only file system, which also applies to root."""
    opened = os.open

    def refusing(path: object, flags: int, *rest: int, **_: object) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refusing)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def replaced(run: RunDirectory) -> RunDirectory:
    config = RunDirectory.open(run.path).load_config()
    corpus = prepare_corpus(config.data)  # which is there already
    return create_run(run.path, config, corpus, overwrite=True)


WRITERS: dict[str, Callable[[RunDirectory], object]] = {
    "create": replaced,
    "resume": lambda run: Trainer(run.load_config(), run.open_corpus()).resume(run),
    "fit": lambda run: list(Trainer(run.load_config(), run.open_corpus()).fit(run)),
    "update_config": lambda run: run.update_config(run.load_config()),
    "write_evaluation": lambda run: run.write_evaluation({"rate": 1.0}),
}
writers = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@writers
def test_a_run_is_not_written_by_two_processes(
    run: RunDirectory, write: Callable[[RunDirectory], object]
) -> None:
    before = content(run.path)
    with held_elsewhere(run.path) as holder:
        with pytest.raises(ConfigError, match=f"process {holder} on"):
            write(run)
        assert {**content(run.path), LOCK: b""} == {**before, LOCK: b""}


@writers
def test_an_error_names_a_run_that_is_not_writable(
    run: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[RunDirectory], object],
) -> None:
    before = content(run.path)
    read_only(monkeypatch)
    with pytest.raises(ConfigError, match=f"cannot write.*'{run.path}.*Read-only file system"):
        write(run)
    assert content(run.path) == before


@odd_places
@writers
def test_an_error_names_a_run_whose_lock_is_not_a_file(
    run: RunDirectory,
    write: Callable[[RunDirectory], object],
    put: Callable[[Path], object],
    match: str,
) -> None:
    put(run.path / LOCK)
    before = content(run.path)
    with pytest.raises(CheckpointError, match=match) as caught:
        write(run)
    assert f"'{run.path / LOCK}'" in str(caught.value)
    assert content(run.path) == before


@pytest.mark.parametrize("name", ["update_config", "write_evaluation"])
def test_a_failed_write_of_a_document_keeps_the_old_one(run: RunDirectory, name: str) -> None:
    run.write_evaluation({"rate": 0.5})
    before = content(run.path)
    with largest_file(100), pytest.raises(ConfigError, match=r"cannot write '.*json': File too"):
        WRITERS[name](run)
    assert content(run.path) == before


def test_a_replaced_run_is_not_written(run: RunDirectory) -> None:
    """During a long evaluation, another run may replace this one."""
    config = run.load_config()
    trainer = Trainer(config, run.open_corpus())
    replaced(run)
    before = content(run.path)
    for attempt in (
        lambda: run.write_evaluation({"rate": 1.0}),
        lambda: run.update_config(config),
        lambda: trainer.resume(run),
        lambda: list(trainer.fit(run)),
    ):
        with pytest.raises(ConfigError, match="--overwrite"):
            attempt()
    assert content(run.path) == before


def test_a_run_replaced_before_training_is_not_written(run: RunDirectory) -> None:
    begun = replaced(run)
    trainer = Trainer(begun.load_config(), begun.open_corpus())
    replaced(run)
    with pytest.raises(ConfigError, match="another run"):
        list(trainer.fit(begun))


def test_a_run_created_by_another_process_meanwhile_is_kept(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "new"

    @contextmanager
    def late(folder: Path) -> Iterator[None]:
        shutil.copytree(run.path, folder, dirs_exist_ok=True)
        with locked(folder):
            yield

    monkeypatch.setattr("mivae_cli.runs.create.locked", late)
    with pytest.raises(ConfigError, match="--overwrite"):
        create_run(place, run.load_config(), run.open_corpus())
    assert content(place) == content(run.path)


def test_a_read_only_run_can_be_evaluated_but_not_resumed(
    run: RunDirectory, mivae: Mivae, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_only(monkeypatch)
    resumed = mivae("train", "--resume", "--out", run.path, "--epochs", "2")
    assert resumed.code == 2
    assert "Read-only file system" in resumed.err
    assert "Traceback" not in resumed.err
    evaluated = mivae("eval", run.path, "--iw-samples", "1", "--json")
    assert evaluated.code == 0
    assert json.loads(evaluated.out)["iw_samples"] == 1
    assert "eval.json" in evaluated.err
    assert mivae("verify", run.path).code == 0


def test_a_run_can_be_evaluated_during_training(run: RunDirectory, mivae: Mivae) -> None:
    with held_elsewhere(run.path) as holder:
        evaluated = mivae("eval", run.path, "--iw-samples", "1", "--json")
        assert evaluated.code == 0
        assert f"being written by process {holder}" in evaluated.err
        assert json.loads(evaluated.out)["iw_samples"] == 1
        resumed = mivae("train", "--resume", "--out", run.path)
        assert resumed.code == 2
        assert f"being written by process {holder}" in resumed.err
    assert not (run.path / "eval.json").exists()
