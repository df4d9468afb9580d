"""Train a run, or resume one."""

__all__ = ["resume", "train"]

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from ..config.resolve import read_config
from ..config.run import RunConfig
from ..devices import kept_torch_state
from ..errors import ConfigError, DataError
from ..experiments.train_run import (
    RunInTraining,
    create_training,
    prepare,
    resume_training,
    train_run,
    unused_path,
)
from ..reports.run_report import write_run_report
from ..runs.directory import RunDirectory
from ..signals import CtrlC, Interrupted
from ..stages import Stage, finish
from ..tracking.follow import follow
from ..tracking.trackers import Tracking
from .configuration import checked_settings
from .progress import Progress, callback
from .run import Run
from .texts import Sentences, strings, text_paths


@kept_torch_state()
def train(
    corpus: str | Path | Sequence[Path] | Sentences,
    presets: str | Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
    *,
    config: str | Path | None = None,
    out: str | Path | None = None,
    seed: int | None = None,
    overwrite: bool = False,
    evaluate: bool = True,
    track: str | Iterable[str] = (),
    track_dir: str | Path | None = None,
    progress: Progress = None,
) -> Run:
    """Trains a model, evaluates its best checkpoint on the test split, and returns the run.

    Arguments:
        corpus: A text file with one sentence per line, a folder, a pattern such as
            `"shards/*.txt"`, a list of `pathlib.Path`, or a list of sentences.
        presets: A preset (`list_presets`), or several, merged from left to right.
        settings: Values by key, such as `{"training.epochs": 5}`.
        config: A TOML file; presets come before it, settings after it.
        out: The run directory; by default a new one under `runs/`.
        seed: Seeds all random draws; by default 0.
        overwrite: Whether to replace an existing run.
        evaluate: Whether to evaluate the run and store the record in `eval.json`.
        track: A tracker (tensorboard, wandb, trackio) that also gets curves and texts, or several.
        track_dir: The folder for trackers; by default `tracking` beside the run.
        progress: True to print a line per epoch, or a callback that receives all records.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed. Training stops after the current step and is saved;
            `resume` continues it. A second Ctrl-C stops at once.
        ConfigError: A setting does not exist, `out` is in use, or a tracker is not installed.
        DataError: The text cannot be read, or has too few sentences.
        DivergedError: The loss is no longer finite.
        StorageError: The run cannot be written.

    >>> run = mivae.train(corpus, ["vae"], small, out="runs/vae", overwrite=True)
    >>> run.load_evaluation()["sentences"] == len(list(run.sentences("test")))
    True
    """
    show, tracking = callback(progress), Tracking.of(track, track_dir)
    options = {**checked_settings(settings), "seed": seed}
    resolved = read_config(presets, None if config is None else Path(config), options)
    if (paths := text_paths(corpus)) is not None:
        if not paths:
            raise ConfigError("the corpus is an empty path")
        stored = _with_data(resolved, train=paths)
        training = _created(stored, stored, out, overwrite)
    else:
        with _written(cast("Sentences", corpus)) as path:
            read = _with_data(resolved, train=str(path), format="text")
            # a list cannot be read again, which is what "-" says in a stored configuration
            training = _created(read, _with_data(read, train="-"), out, overwrite)
    return _trained(training, evaluate, show, tracking)


@kept_torch_state()
def resume(
    path: str | Path,
    settings: Mapping[str, object] | None = None,
    *,
    evaluate: bool = True,
    track: str | Iterable[str] = (),
    track_dir: str | Path | None = None,
    progress: Progress = None,
) -> Run:
    """Continues the training of a run from its last checkpoint, and returns the run.

    Arguments:
        path: The run directory.
        settings: Settings to change, such as `{"training.epochs": 20}`.
        evaluate: Whether to evaluate the run and store the record in `eval.json`.
        track: A tracker (tensorboard, wandb, trackio) that also gets curves and texts, or several.
        track_dir: The folder for trackers; by default `tracking` beside the run.
        progress: True to print a line per epoch, or a callback that receives all records.

    Raises:
        ConfigError: A setting cannot be changed after training has started.
        CheckpointError: There is no run at this path, or it is damaged.

    >>> mivae.resume("runs/vae", {"training.epochs": 2}).config.training.epochs
    2
    """

    def changed(config: RunConfig) -> RunConfig:
        return read_config(options=checked_settings(settings), base=config)

    show, tracking = callback(progress), Tracking.of(track, track_dir)
    training = resume_training(RunDirectory.open(Path(path)), changed)
    return _trained(training, evaluate, show, tracking)


def _with_data(config: RunConfig, **changes: str | tuple[str, ...]) -> RunConfig:
    return config.model_copy(update={"data": config.data.model_copy(update=changes)})


def _created(
    read: RunConfig, stored: RunConfig, out: str | Path | None, overwrite: bool
) -> RunInTraining:
    """Creates a run from a corpus that is read by one configuration and stored with another."""
    path = unused_path(read) if out is None else Path(out)
    return create_training(stored, prepare(read).corpus, path, overwrite)


def _trained(
    training: RunInTraining,
    evaluate: bool,
    show: Callable[[object], object] | None,
    tracking: Tracking | None,
) -> Run:
    try:
        with CtrlC() as interruption:
            if evaluate:
                work = train_run(training, interruption=interruption, tracking=tracking)
                found = finish(work, show)
                if found.store_error is not None:
                    raise found.store_error
                _report(training, show)
            else:
                fit = training.trainer.fit(training.run, interruption)
                if tracking is not None:
                    finish(follow(fit, tracking, training.run, training.trainer), show)
                else:
                    finish(fit, show)
    except Interrupted:
        raise KeyboardInterrupt(
            f"training is saved; continue it with mivae.resume('{training.run.path}')"
        ) from None
    return Run(RunDirectory.open(training.run.path), str(training.trainer.device))


def _report(training: RunInTraining, show: Callable[[object], object] | None) -> None:
    """Writes the report of a run, if it is wanted; a problem is a stage of the progress."""
    stage = Stage("writing the report", 0, 1)
    if show is not None and training.trainer.config.training.report:
        show(stage)
    outcome = write_run_report(training.run, training.trainer.config)
    if outcome.problem and show is not None:
        show(replace(stage, name=f"warning: {outcome.problem}"))


@contextmanager
def _written(sentences: Sentences) -> Iterator[Path]:
    """Writes sentences to a temporary file, one per line, which messages do not name.

    Raises:
        DataError: There are no sentences, or one has a line break or is not a string of valid
            UTF-8.
    """
    with tempfile.TemporaryDirectory(prefix="mivae-") as folder:
        path = Path(folder) / "sentences.txt"
        number = 0
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for number, sentence in enumerate(strings(sentences), start=1):
                if len(sentence.splitlines()) > 1:
                    raise DataError(f"sentence {number} has a line break: split or join the lines")
                file.write(f"{sentence.strip()}\n")
        if not number:
            raise DataError("the corpus has no sentences")
        try:
            yield path
        except DataError as error:
            raise DataError(str(error).replace(f"'{path}'", "the corpus")) from error
