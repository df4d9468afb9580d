"""Trackers see what training yields, and change nothing; one that fails is dropped."""

import importlib
import signal
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import pytest

import mivae_cli as mivae
from mivae_cli.choices import TrackerName
from mivae_cli.config.run import RunConfig
from mivae_cli.data.prepared_corpus import Corpus
from mivae_cli.errors import ConfigError
from mivae_cli.estimators.critic_training import PROFILES
from mivae_cli.experiments.sweep import PlannedRun, run_sweep
from mivae_cli.experiments.train_run import (
    RunInTraining,
    create_training,
    prepare,
    resume_training,
    train_run,
)
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.signals import Interrupted
from mivae_cli.stages import finish
from mivae_cli.tracking import follow as following
from mivae_cli.tracking import trackers as trackers_module
from mivae_cli.tracking.figures import SENTENCES, Examples
from mivae_cli.tracking.follow import TrackerFailed, TrackerStarted, follow
from mivae_cli.tracking.trackers import Tracking
from mivae_cli.tracking.writer import TrackedRun
from mivae_cli.training.events import Step, Validation
from support.small import small_config, write_scenes
from support.stops import assert_same_end

Table = tuple[int, str, tuple[str, ...], list[tuple[str, ...]]]


@dataclass
class Notes:
    """A writer that keeps its input in memory, and fails in one method on request."""

    run: TrackedRun
    failing: str = ""
    view: str = "nowhere"
    numbers: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)
    ends: list[bool] = field(default_factory=list)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._check("scalars")
        self.numbers.append((step, dict(values)))

    def table(
        self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        self._check("table")
        self.tables.append((step, name, tuple(columns), [tuple(row) for row in rows]))

    def warning(self, step: int, title: str, text: str) -> None:
        self._check("warning")
        self.warnings.append((step, text))

    def close(self, completed: bool) -> None:
        self.ends.append(completed)
        self._check("close")

    def _check(self, method: str) -> None:
        if method == self.failing:
            raise RuntimeError(f"the disk of {method} is full")


@pytest.fixture(scope="module", autouse=True)
def short_critics() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "default", replace(PROFILES["default"], steps=5))
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    text = write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt", count=200)
    training = {"epochs": 2, "keep": 0, "log_every": 2}
    data = {"max_tokens": 12}  # soon decoded
    return small_config(text, data=data, training=training, evaluation={"iw_samples": 1})


@pytest.fixture(scope="module")
def corpus(config: RunConfig) -> Corpus:
    return prepare(config).corpus


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, Notes]:
    """Replaces the writers of all trackers; has those that were opened, by name."""
    writers: dict[str, Notes] = {}

    def open_writer(name: TrackerName, run: TrackedRun) -> Notes:
        writers[name] = Notes(run)
        return writers[name]

    monkeypatch.setattr(following, "open_writer", open_writer)
    return writers


BOTH = Tracking(("tensorboard", "wandb"))
WANDB = Tracking(("wandb",))


def fit(training: RunInTraining, tracking: Tracking) -> list[object]:
    """Trains without an evaluation."""
    work = training.trainer.fit(training.run)
    return list(follow(work, tracking, training.run, training.trainer))


def test_trackers_get_all_figures_and_change_nothing(
    config: RunConfig, corpus: Corpus, tmp_path: Path, opened: dict[str, Notes]
) -> None:
    plain: list[object] = []
    tracked: list[object] = []
    one = create_training(config, corpus, tmp_path / "one")
    expected = finish(train_run(one), plain.append)
    other = create_training(config, corpus, tmp_path / "other")  # seeds torch
    found = finish(train_run(other, tracking=BOTH), tracked.append)
    assert_same_end(other.run, one.run)
    assert found.record == expected.record
    assert tracked[:2] == [TrackerStarted(name, "nowhere") for name in BOTH.names]
    assert list(map(type, tracked[2:])) == list(map(type, plain))

    notes = opened["wandb"]
    assert (notes.run.name, notes.run.id, notes.run.step) == ("other", other.run.id, 0)
    assert notes.run.folder == tmp_path / "tracking"
    assert notes.run.settings["training.epochs"] == 2
    assert notes.ends == [True]
    for record in tracked:
        if isinstance(record, Step):
            weights = config.objective.weights(record.epoch)
            assert (record.step, _named("training", record, "step", "seconds_left") | {
                "training/beta": weights.rate, "training/lambda": weights.information,
            }) in notes.numbers  # fmt: skip
        if isinstance(record, Validation):
            assert (record.step, _named("validation", record, "step")) in notes.numbers
    step, figures = notes.numbers[-1]
    assert (step, figures["test/ppl_iw"]) == (other.trainer.state.step, found.record.ppl_iw)
    assert found.record.mi is not None
    assert figures["test/mi_known_posterior"] == found.record.mi.known_posterior.value
    assert notes.tables == opened["tensorboard"].tables


def _named(group: str, record: Step | Validation, *left_out: str) -> dict[str, float]:
    return {
        f"{group}/{name}": value
        for name, value in vars(record).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in left_out
    }


def test_the_same_sentences_are_reconstructed_at_every_validation(
    config: RunConfig, corpus: Corpus, tmp_path: Path, opened: dict[str, Notes]
) -> None:
    training = create_training(config, corpus, tmp_path / "run")
    fit(training, WANDB)
    tables = opened["wandb"].tables
    assert [name for _, name, _, _ in tables] == 2 * ["reconstructions", "samples"]
    first, second = (rows for _, name, _, rows in tables if name == "reconstructions")
    assert [sentence for sentence, _ in first] == [sentence for sentence, _ in second]
    valid = list(mivae.load(tmp_path / "run").sentences("valid"))
    assert {sentence for sentence, _ in second} <= set(valid)
    assert len(second) == len(set(second)) == SENTENCES
    # the last checkpoint is the model of the second validation
    last = mivae.load(tmp_path / "run" / "checkpoints" / "last")
    assert [decoded for _, decoded in second] == last.reconstruct([text for text, _ in second])
    drawn = [text for (text,) in tables[-1][3]]
    assert drawn == last.sample(SENTENCES, seed=config.seed)


def test_a_language_model_has_samples_only(
    config: RunConfig, corpus: Corpus, tmp_path: Path, opened: dict[str, Notes]
) -> None:
    table = config.model_dump()
    table["model"]["latent_size"] = table["objective"]["mi_weight"] = 0
    table["training"]["epochs"] = 1
    training = create_training(RunConfig.model_validate(table), corpus, tmp_path / "run")
    fit(training, WANDB)
    assert [name for _, name, _, _ in opened["wandb"].tables] == ["samples"]


def test_a_collapse_is_a_warning_once(
    config: RunConfig, corpus: Corpus, tmp_path: Path, opened: dict[str, Notes]
) -> None:
    training = create_training(config, corpus, tmp_path / "run")

    def work() -> Generator[Validation, None, None]:
        fitted = training.trainer.fit(training.run)
        first = next(record for record in fitted if isinstance(record, Validation))
        for step, collapsed in ((1, False), (2, True), (3, True)):
            yield replace(first, step=step, mi=0.01, collapsed=collapsed)

    list(follow(work(), WANDB, training.run, training.trainer))
    [(step, text)] = opened["wandb"].warnings
    assert step == 2
    assert "0.01 nats" in text


@pytest.mark.parametrize("failing", ["scalars", "table", "close"])
def test_a_tracker_that_fails_is_reported_once_and_the_other_continues(
    config: RunConfig, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:  # fmt: skip
    writers: dict[str, Notes] = {}

    def open_writer(name: TrackerName, run: TrackedRun) -> Notes:
        writers[name] = Notes(run, failing if name == "wandb" else "")
        return writers[name]

    monkeypatch.setattr(following, "open_writer", open_writer)
    seen = fit(create_training(config, corpus, tmp_path / "run"), BOTH)
    [failed] = (record for record in seen if isinstance(record, TrackerFailed))
    assert failed == TrackerFailed("wandb", f"the disk of {failing} is full")
    assert len(writers["tensorboard"].tables) == 4
    assert writers["tensorboard"].ends == [True]
    assert len(writers["wandb"].tables) == (4 if failing == "close" else 0)
    assert writers["wandb"].ends[0] == (failing == "close")


def test_examples_that_cannot_be_decoded_end_the_tracking_alone(
    config: RunConfig, corpus: Corpus, tmp_path: Path, opened: dict[str, Notes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Examples, "samples", fail)
    seen = fit(create_training(config, corpus, tmp_path / "run"), BOTH)
    assert [record.name for record in seen if isinstance(record, TrackerFailed)] == [*BOTH.names]
    assert opened["wandb"].ends == [False]


def test_a_tracker_that_cannot_start_is_an_error_before_training(
    config: RunConfig, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers: list[Notes] = []

    def open_writer(name: TrackerName, run: TrackedRun) -> Notes:
        if name == "wandb":
            raise PermissionError(13, "Permission denied", "/x")
        writers.append(Notes(run))
        return writers[-1]

    monkeypatch.setattr(following, "open_writer", open_writer)
    training = create_training(config, corpus, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"wandb.*Permission denied"):
        next(train_run(training, tracking=BOTH))
    assert writers[0].ends == [False]
    resumed = resume_training(RunDirectory.open(tmp_path / "run"))
    assert resumed.trainer.state.step == 0


def test_an_interruption_closes_the_trackers(
    config: RunConfig, corpus: Corpus, tmp_path: Path, opened: dict[str, Notes]
) -> None:
    training = create_training(config, corpus, tmp_path / "run")

    def work() -> Generator[object, None, None]:
        yield from ()
        raise Interrupted(signal.SIGINT)

    with pytest.raises(Interrupted):
        list(follow(work(), BOTH, training.run, training.trainer))
    assert [notes.ends for notes in opened.values()] == [[False], [False]]
    running = follow(training.trainer.fit(training.run), BOTH, training.run, training.trainer)
    next(running)
    running.close()
    assert [notes.ends for notes in opened.values()] == [[False], [False]]


def test_a_sweep_tracks_each_of_its_runs(
    config: RunConfig, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def open_writer(name: TrackerName, run: TrackedRun) -> Notes:
        names.append(run.name)
        assert run.folder == tmp_path / "tracking"
        return Notes(run)

    monkeypatch.setattr(following, "open_writer", open_writer)
    table = config.model_dump()
    table["model"]["latent_size"] = table["objective"]["mi_weight"] = 0
    short = RunConfig.model_validate(table)
    planned = [PlannedRun(name, short, tmp_path / name) for name in ("a", "b")]
    finish(run_sweep(planned, {config.data: corpus}, tracking=WANDB))
    assert names == ["a", "b"]


class TestRequests:
    def test_a_missing_package_is_an_error_before_a_run_is_created(
        self, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trackers_module, "find_spec", lambda name: None)
        with pytest.raises(ConfigError, match=r"pip install 'mivae\[track-trackio\]'"):
            mivae.train(config.data.train, out=tmp_path / "run", track="trackio")
        with pytest.raises(ConfigError, match="track-wandb"):
            mivae.resume(tmp_path / "run", track=["wandb"])
        with pytest.raises(ConfigError, match="track-tensorboard"):
            mivae.sweep(str(config.data.train), out=tmp_path / "runs", track="tensorboard")
        assert list(tmp_path.iterdir()) == []

    def test_names_must_be_known_and_are_used_once(self) -> None:
        wrong: Any = ["wandb", 3]
        for names in ("mlflow", wrong):
            with pytest.raises(ConfigError, match="tensorboard, wandb, trackio"):
                Tracking.of(names)
        assert Tracking.of(["wandb", "wandb"]) == Tracking(("wandb",))
        assert Tracking.of([]) is None
        with pytest.raises(ConfigError, match="--track-dir"):
            Tracking.of([], "here")


class Blocked:
    """Makes it an error to import a tracker."""

    def find_spec(self, name: str, *_: object) -> None:
        assert name not in get_args(TrackerName), name


def test_nothing_is_imported_unless_requested(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in get_args(TrackerName) or name == "torch.utils.tensorboard":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Blocked(), *sys.meta_path])
    settings = {"training.epochs": 1, "model.latent_size": 0, "objective.mi_weight": 0}
    mivae.train(config.data.train, settings=settings, out=tmp_path / "run", evaluate=False)
    with pytest.raises(AssertionError, match="wandb"):
        importlib.import_module("wandb")
