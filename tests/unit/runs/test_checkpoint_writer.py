"""Failed saves: earlier checkpoints stay intact, training continues, saves are retried."""

import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from mivae_cli.config.run import RunConfig
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.errors import CheckpointError, ConfigError, DivergedError, StorageError
from mivae_cli.experiments.train_run import create_training
from mivae_cli.runs import checkpoint_writer as saving
from mivae_cli.runs.checkpoint_writer import RETRY, CheckpointWriter, check_space
from mivae_cli.runs.checkpoints import Checkpoints
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.runs.training_state import Snapshot
from mivae_cli.signals import Interrupted, Interruption
from mivae_cli.storage.files import write_synced
from mivae_cli.storage.manifest import Manifest, entry_of
from mivae_cli.storage.ownership import draft_path
from mivae_cli.training.events import SaveFailed, Validation
from mivae_cli.training.trainer import Trainer
from support.disk import full
from support.program import Mivae
from support.small import small_config, train_to_end, write_scenes

EMPTY = entry_of(b"")
NO_RUN = RunDirectory(Path("run"), Manifest(Path("run"), {}, {}), Checkpoints(Path("run"), ""))
NO_SPACE = os.strerror(errno.ENOSPC)


def snapshot(epoch: int, best: int | None = None) -> Snapshot:
    """Returns an empty checkpoint that names the best epoch."""
    named = None if best is None else f"epoch-{best:04d}"
    return Snapshot(f"epoch-{epoch:04d}", 10 * epoch, epoch, named, EMPTY, {})


class Disk:
    """A fake disk that accepts or rejects checkpoints."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: list[str] = []
        self.refused: Callable[[str], bool] = lambda name: False
        self.clock = 1000.0
        monkeypatch.setattr(saving, "write_checkpoint", lambda _, taken, keep: self.save(taken))
        monkeypatch.setattr("mivae_cli.runs.checkpoint_writer.time.monotonic", lambda: self.clock)

    def save(self, taken: Snapshot) -> None:
        if self.refused(taken.name):
            full()
        self.written.append(taken.name)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def writer(disk: Disk) -> CheckpointWriter:
    return CheckpointWriter(NO_RUN, keep=1, minutes=10)


def test_a_checkpoint_is_written_once(disk: Disk, writer: CheckpointWriter) -> None:
    assert writer.save(snapshot(1))
    assert writer.save(snapshot(2, best=2))
    assert writer.problem is None
    assert disk.written == ["epoch-0001", "epoch-0002"]


def test_a_failure_is_recorded_until_the_next_success(
    disk: Disk, writer: CheckpointWriter
) -> None:
    disk.refused = lambda name: True
    assert not writer.save(snapshot(1))
    assert writer.problem == NO_SPACE
    disk.refused = lambda name: False
    assert writer.save(snapshot(2))
    assert writer.problem is None
    assert disk.written == ["epoch-0002"]  # which makes the first one superfluous


def test_only_operating_system_errors_are_caught(disk: Disk, writer: CheckpointWriter) -> None:
    def wrong(name: str) -> bool:
        raise CheckpointError(name)

    disk.refused = wrong
    with pytest.raises(CheckpointError):
        writer.save(snapshot(1))


def test_a_waiting_best_checkpoint_is_written_first(disk: Disk, writer: CheckpointWriter) -> None:
    disk.refused = lambda name: True
    writer.save(snapshot(1, best=1))
    writer.save(snapshot(2, best=1))
    writer.save(snapshot(3, best=1))
    disk.refused = lambda name: False
    assert writer.save(snapshot(4, best=1))
    assert disk.written == ["epoch-0001", "epoch-0004"]
    writer.save(snapshot(5, best=1))
    assert disk.written == ["epoch-0001", "epoch-0004", "epoch-0005"]


def test_a_newer_best_checkpoint_replaces_a_waiting_one(
    disk: Disk, writer: CheckpointWriter
) -> None:
    disk.refused = lambda name: True
    writer.save(snapshot(1, best=1))
    writer.save(snapshot(2, best=2))
    writer.save(snapshot(3, best=2))
    disk.refused = lambda name: False
    assert writer.save(snapshot(4, best=2))
    assert disk.written == ["epoch-0002", "epoch-0004"]


def test_a_best_checkpoint_that_is_the_latest_is_written_once(
    disk: Disk, writer: CheckpointWriter
) -> None:
    """As after a failure at the end of an epoch in which a signal arrives, too."""
    disk.refused = lambda name: True
    writer.save(snapshot(2, best=2))
    disk.refused = lambda name: False
    assert writer.save(snapshot(2, best=2))
    assert disk.written == ["epoch-0002"]


def test_no_later_checkpoint_is_written_before_the_best(
    disk: Disk, writer: CheckpointWriter
) -> None:
    """It would name a best checkpoint that does not exist."""
    disk.refused = lambda name: name == "epoch-0001"
    for epoch in (1, 2, 3):
        assert not writer.save(snapshot(epoch, best=1))
    assert disk.written == []


def test_a_saved_best_checkpoint_is_not_written_again(
    disk: Disk, writer: CheckpointWriter
) -> None:
    disk.refused = lambda name: True
    writer.save(snapshot(1, best=1))
    disk.refused = lambda name: name == "epoch-0002"
    assert not writer.save(snapshot(2, best=1))
    disk.refused = lambda name: False
    assert writer.save(snapshot(3, best=1))
    assert disk.written == ["epoch-0001", "epoch-0003"]


def seconds_until_due(disk: Disk, writer: CheckpointWriter) -> float:
    began = disk.clock
    while not writer.due:
        disk.clock += 1
    waited, disk.clock = disk.clock - began, began
    return waited


def test_a_save_is_due_after_its_period_and_sooner_after_a_failure(
    disk: Disk, writer: CheckpointWriter
) -> None:
    assert seconds_until_due(disk, writer) == 601
    disk.clock += 10_000
    writer.save(snapshot(1))
    assert seconds_until_due(disk, writer) == 601
    disk.refused = lambda name: True
    writer.save(snapshot(2))
    assert seconds_until_due(disk, writer) == RETRY + 1
    disk.refused = lambda name: False
    writer.save(snapshot(3))
    assert seconds_until_due(disk, writer) == 601


def test_a_failure_never_delays_the_next_save(disk: Disk) -> None:
    writer = CheckpointWriter(NO_RUN, keep=1, minutes=0.5)
    disk.refused = lambda name: True
    writer.save(snapshot(1))
    assert seconds_until_due(disk, writer) == 31


# --------------------------------------------------------------------------- room on the disk


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(("keep", "there"), [(0, 0), (1, 0), (1, 1500), (7, 9000)])
def test_space_is_needed_for_kept_checkpoints_and_one_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: int, there: int
) -> None:
    """The best, the last, `keep` others and one being written, less the existing ones."""
    folder = tmp_path / "checkpoints" / "epoch-0001"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(there))
    needed = 1000 * (keep + 3) - there
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed))
    check_space(tmp_path, 1000, keep)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed - 1))
    with pytest.raises(ConfigError, match=r"training\.keep"):
        check_space(tmp_path, 1000, keep)


def test_a_full_disk_is_an_error_before_the_first_step(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    trainer = Trainer(config, corpus)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**16))
    with pytest.raises(ConfigError, match=r"training\.keep"):
        next(trainer.fit(run))
    assert trainer.state.step == 0
    assert not (run.path / "lock.json").exists()


def test_the_size_of_a_checkpoint_is_predicted(whole: RunDirectory) -> None:
    found = sum(entry.size for entry in whole.checkpoints.newest()[0].manifest.files.values())
    promised = Trainer(whole.load_config(), whole.open_corpus()).checkpoint_bytes
    assert found <= promised < found + 2**17


# ------------------------------------------------------------------------------ whole trainings


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    text = write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt", count=200)
    return small_config(
        text,
        training={"epochs": 3},
        objective={"beta_schedule": {"kind": "constant"}},  # so that any epoch may be the best
    )


@pytest.fixture(scope="module")
def whole(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run, _, _ = train_to_end(config, tmp_path_factory.mktemp("whole") / "run")
    return run


class Attempts:
    """Counts the saves of a run, some of which fail at one of their files."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], bool], file: int = 0
    ) -> None:
        self.names: list[str] = []
        self.file = 0
        save = saving.write_checkpoint

        def counted(run: RunDirectory, taken: Snapshot, keep: int) -> None:
            self.names.append(taken.name)
            self.file = -1
            save(run, taken, keep)

        def failing(path: Path, data: bytes) -> None:
            self.file += 1
            if fails(len(self.names)) and self.file == file:
                path.write_bytes(data[: len(data) // 2])
                full()
            write_synced(path, data)

        monkeypatch.setattr(saving, "write_checkpoint", counted)
        monkeypatch.setattr("mivae_cli.runs.checkpoint_writer.write_synced", failing)


def ends_alike(run: RunDirectory, expected: RunDirectory) -> None:
    found, wanted = run.checkpoints.newest()[0].manifest, expected.checkpoints.newest()[0].manifest
    assert found.folder.name == wanted.folder.name
    for name in ("model.safetensors", "critic.safetensors", "training.safetensors"):
        assert found.files[name] == wanted.files[name], name
    assert [checkpoint.best for checkpoint in run.checkpoints.all()][-1] is not None
    assert (
        run.find_checkpoint().manifest.files["model.safetensors"]
        == (expected.find_checkpoint().manifest.files["model.safetensors"])
    )


@pytest.mark.parametrize(
    ("failures", "file"), [({1}, 0), ({2}, 1), ({1, 2}, 2), ({2}, 3), ({1, 2}, 0)]
)
def test_failed_saves_do_not_change_the_result(
    tmp_path: Path,
    config: RunConfig,
    whole: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    failures: set[int],
    file: int,
) -> None:
    Attempts(monkeypatch, lambda attempt: attempt in failures, file)
    run, _, records = train_to_end(config, tmp_path / "run")
    failed = [record for record in records if isinstance(record, SaveFailed)]
    assert [record.reason for record in failed] == [NO_SPACE] * len(failures)
    assert sum(isinstance(record, Validation) for record in records) == 3
    ends_alike(run, whole)
    assert len(run.metrics_path.read_text().splitlines()) == len(records)
    leftovers = [path.name for path in run.path.rglob(".draft-*")]
    assert leftovers == []


def test_a_failed_save_is_retried_within_the_epoch(
    tmp_path: Path, config: RunConfig, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mivae_cli.runs.checkpoint_writer.RETRY", -1.0)  # with the very next step
    attempts = Attempts(monkeypatch, lambda attempt: attempt == 1)
    run, _, _ = train_to_end(config, tmp_path / "run")
    steps = len(Trainer(config, run.open_corpus()).sampler)
    later = [name for name in attempts.names[1:] if name != "epoch-0001"]  # which may be the best
    assert later == [f"step-{steps + 1:08d}", "epoch-0002", "epoch-0003"]
    ends_alike(run, whole)


@pytest.mark.parametrize("first", [1, 2, 3])
def test_training_resumes_after_a_failed_last_save(
    tmp_path: Path,
    config: RunConfig,
    whole: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    first: int,
) -> None:
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    with monkeypatch.context() as patched:
        Attempts(patched, lambda attempt: attempt >= first)
        with pytest.raises(StorageError, match=f"{NO_SPACE}.*--resume --out {run.path}") as caught:
            list(Trainer(config, corpus).fit(run))
    assert caught.value.exit_code == 6
    assert len(run.checkpoints.all()) == min(first - 1, 2)
    assert not (run.path / "lock.json").exists()
    trainer = Trainer(config, corpus)
    trainer.resume(run)
    assert trainer.state.epoch == first - 1
    list(trainer.fit(run))
    ends_alike(run, whole)


class Killed(BaseException):
    """Simulates SIGKILL."""


def test_resuming_removes_the_leftovers_of_an_interrupted_last_save(
    tmp_path: Path, config: RunConfig, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate = saving._rotate

    def killed(run: RunDirectory, taken: Snapshot, keep: int) -> None:
        if taken.epoch == config.training.epochs:
            raise Killed
        rotate(run, taken, keep)

    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    with monkeypatch.context() as patched:
        patched.setattr(saving, "_rotate", killed)
        with pytest.raises(Killed):
            list(Trainer(config, corpus).fit(run))
    draft_path(run.checkpoints.folder / "epoch-0000").mkdir()
    left = {path.name for path in whole.checkpoints.folder.iterdir()}
    assert {path.name for path in run.checkpoints.folder.iterdir()} > left
    trainer = Trainer(config, corpus)
    assert trainer.resume(run) == []
    assert list(trainer.fit(run)) == []
    assert {path.name for path in run.checkpoints.folder.iterdir()} == left
    ends_alike(run, whole)


def test_a_failed_last_save_has_its_own_exit_code(
    tmp_path: Path, whole: RunDirectory, mivae: Mivae, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole.path, tmp_path / "run")
    monkeypatch.setattr("mivae_cli.runs.checkpoint_writer.write_synced", full)
    ran = mivae("train", "--resume", "--out", tmp_path / "run", "--set", "training.epochs=4")
    assert ran.code == 6
    assert f"could not be saved ({NO_SPACE})" in ran.err
    assert "error: step" in ran.err
    assert "--resume" in ran.err
    monkeypatch.undo()
    assert RunDirectory.open(tmp_path / "run").checkpoints.newest()[0].name == "epoch-0003"


class After(Interruption):
    """Calls a function after the first steps, then interrupts."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act, self.looks = act, 4

    def check(self) -> None:
        self.looks -= 1
        if not self.looks:
            self.act()
            raise Interrupted(signal.SIGTERM)


def test_an_interruption_that_cannot_be_saved_is_an_error(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    Attempts(monkeypatch, lambda attempt: True)
    with pytest.raises(StorageError, match="step 3 "):
        list(Trainer(config, corpus).fit(run, After(lambda: None)))


def poisoned(trainer: Trainer, where: str) -> None:
    """Puts NaN where no batch uses it."""
    with torch.no_grad():
        if where == "weights":
            trainer.model.decoder.output.bias[0] = torch.nan
        elif where == "critic":
            assert trainer.term is not None
            next(trainer.term.parameters()).view(-1)[0] = torch.inf
        else:
            [moments, *_] = trainer.optimizers["model"].state.values()
            moments["exp_avg_sq"].view(-1)[0] = torch.inf


@pytest.mark.parametrize("where", ["weights", "critic", "moments"])
def test_a_state_with_nan_is_not_saved(tmp_path: Path, config: RunConfig, where: str) -> None:
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    with pytest.raises(Interrupted):
        list(Trainer(config, corpus).fit(run, After(lambda: None)))
    trainer = Trainer(config, corpus)
    trainer.resume(run)
    with pytest.raises(DivergedError, match="NaN") as caught:
        list(trainer.fit(run, After(lambda: poisoned(trainer, where))))
    assert caught.value.exit_code == 5
    assert [found.name for found in run.checkpoints.all()] == ["step-00000003"]
    assert not (run.path / "lock.json").exists()
    assert Trainer(config, corpus).resume(run) == []


def test_the_checkpoints_folder_is_synced_before_its_content(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    synced: list[Path] = []
    monkeypatch.setattr("mivae_cli.runs.checkpoint_writer.sync_folder", synced.append)
    list(Trainer(config, corpus).fit(run))
    assert synced[:2] == [run.path, run.path / "checkpoints"]
    assert synced.count(run.path) == 1


def test_a_run_is_not_replaced_if_there_is_no_space(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = prepare_corpus(config.data)
    training = create_training(config, corpus, tmp_path / "run", overwrite=True)
    run, trainer = training.run, training.trainer
    list(trainer.fit(run))
    there = sum(path.stat().st_size for path in (run.path / "checkpoints").glob("*/*"))
    needed = trainer.checkpoint_bytes * (config.training.keep + 3)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed - there - 1))
    with pytest.raises(ConfigError, match=r"training\.keep"):
        create_training(config, corpus, run.path, overwrite=True)
    assert RunDirectory.open(run.path).checkpoints.newest()[0].epoch == config.training.epochs
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed - there))
    assert create_training(config, corpus, run.path, overwrite=True).run.id != run.id


@pytest.mark.parametrize("moment", [Validation, None])
def test_a_run_that_has_replaced_this_one_is_not_written(
    tmp_path: Path, config: RunConfig, whole: RunDirectory, moment: type | None
) -> None:
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    records = Trainer(config, corpus).fit(run)
    next(record for record in records if moment is None or isinstance(record, moment))
    shutil.rmtree(run.path)
    shutil.copytree(whole.path, run.path)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(StorageError, match="--out"):
        list(records)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
