"""Training of a run: created or resumed, trained to the end, and its best checkpoint evaluated."""

__all__ = [
    "RUNS",
    "CorpusPrepared",
    "RunInTraining",
    "create_training",
    "prepare",
    "preparing",
    "resume_training",
    "train_run",
    "unused_path",
]

import glob
import os
import re
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ..config.resolve import check_resumable, differences
from ..config.run import RunConfig
from ..data.prepared_corpus import Corpus, preparing_corpus
from ..devices import tune_cpu
from ..errors import ConfigError
from ..generation.evaluate_text import Plan
from ..runs.checkpoint_writer import check_space
from ..runs.create import create_run
from ..runs.directory import RunDirectory
from ..signals import Interrupted, Interruption
from ..stages import Stage, finish
from ..tracking.follow import TrackerFailed, TrackerStarted, follow
from ..tracking.trackers import Tracking
from ..training.events import SaveFailed, Skipped, Started, Step, Stopped, Validation
from ..training.trainer import Trainer
from .evaluate_run import EvaluatedRun, evaluate_run
from .status import with_own_paths

RUNS = Path("runs")  # the default parent folder of new runs
FEW_WORDS = 2.0  # per sentence
MANY_UNKNOWN = 0.2  # share of a split's words

TrainingProgress = (
    Started
    | Step
    | Skipped
    | SaveFailed
    | Validation
    | Stage
    | Stopped
    | TrackerStarted
    | TrackerFailed
)


@dataclass(frozen=True)
class CorpusPrepared:
    """A corpus that is ready for training."""

    config: RunConfig
    corpus: Corpus
    seconds: float

    def warnings(self) -> list[str]:
        """Returns warnings about splits that the tokenizer does not suit."""
        found, tokenizer = [], self.corpus.tokenizer
        for split, summary in self.corpus.summaries.items():
            if tokenizer.by_word and summary.tokens < FEW_WORDS * summary.sentences:
                found.append(
                    f"the sentences of {split} have fewer than two words on average; for text "
                    "without spaces, such as Chinese, Japanese or Thai, use --tokenizer bpe (setting "
                    "data.tokenizer.kind)"
                )
            elif summary.unknown_share > MANY_UNKNOWN:
                found.append(
                    f"{summary.unknown_share:.0%} of the words of {split} are not in the "
                    "vocabulary; use a larger vocabulary, a lower data.tokenizer.min_count or "
                    "--tokenizer bpe"
                )
        return found


@dataclass(frozen=True)
class RunInTraining:
    """A run directory and the trainer that writes to it, new or resumed."""

    run: RunDirectory
    trainer: Trainer
    resumed: bool = False
    warnings: tuple[str, ...] = ()  # damaged files that were skipped
    changes: tuple[str, ...] = ()  # settings that differ from those the run had before


def prepare(config: RunConfig) -> CorpusPrepared:
    """Reads and tokenizes the corpus of a configuration, or opens it in the cache.

    Raises:
        ConfigError: A data setting does not apply to the files.
        DataError: A file cannot be read, or has too few sentences.
    """
    return finish(preparing(config))


def preparing(config: RunConfig) -> Generator[Stage, None, CorpusPrepared]:
    """Does the same as `prepare`, and yields progress in bytes if the texts are large."""
    tune_cpu()
    started = time.monotonic()
    corpus = yield from preparing_corpus(config.data)
    return CorpusPrepared(config, corpus, time.monotonic() - started)


def create_training(
    config: RunConfig, corpus: Corpus, path: Path, overwrite: bool = False
) -> RunInTraining:
    """Creates a run directory and its trainer.

    Arguments:
        config: The settings.
        corpus: The prepared corpus; the run keeps a copy and reads that.
        path: The new run directory.
        overwrite: Whether to replace a run at this path.

    Raises:
        ConfigError: The device does not exist, the path is in use or cannot be written, or there
            is not enough disk space.
    """
    trainer = Trainer(config, corpus)  # first: a device that does not exist leaves no directory
    # before an existing run is deleted; the space that it takes counts as free
    check_space(path, trainer.checkpoint_bytes, config.training.keep, corpus.disk_bytes)
    run = create_run(path, config, corpus, overwrite)
    trainer.read_from(run.open_corpus())  # the copy: deleting the cache does not affect the run
    return RunInTraining(run, trainer)


def resume_training(
    run: RunDirectory, settings: Callable[[RunConfig], RunConfig] = lambda config: config
) -> RunInTraining:
    """Opens a run at its last checkpoint, to continue its training.

    Arguments:
        run: The run.
        settings: Returns the settings to continue with, given those of the run.

    Raises:
        ConfigError: The new settings change one that a resumed run must keep.
        CheckpointError: The run is damaged.
    """
    if run.name != "best":
        run = RunDirectory.open(run.path)
    before = run.load_config()
    config = with_own_paths(run, settings(before))
    try:
        check_resumable(before, config)
    except ConfigError as error:
        raise ConfigError(f"'{run.path}' cannot be resumed: {error}") from error
    tune_cpu()
    if any(run.checkpoints.folders()):
        run.check_weights(config)
    trainer = Trainer(config, run.open_corpus())
    warnings = trainer.resume(run)
    if changed := differences(before, config):
        run.update_config(config)
    return RunInTraining(run, trainer, True, tuple(warnings), tuple(changed.values()))


def train_run(
    training: RunInTraining,
    *,
    full: Plan | None = None,
    lm: RunDirectory | None = None,
    interruption: Interruption | None = None,
    tracking: Tracking | None = None,
) -> Generator[TrainingProgress, None, EvaluatedRun]:
    """Trains a run to the end, evaluates its best checkpoint and stores the record.

    Yields the records of training, then the stages of the evaluation. After a signal, the last
    record is `Stopped`.

    Arguments:
        training: The run, new or resumed.
        full: Sizes of a text evaluation; by default there is none.
        lm: The run of a language model that scores samples in the text evaluation.
        interruption: Signals that stop training after a step, and the evaluation at once.
        tracking: Trackers that also receive the records.

    Raises:
        Interrupted: A signal arrived. Training has been saved.
        ConfigError: A tracker cannot be started.
        MivaeError: What `Trainer.fit` and `evaluate_run` raise.
    """
    work = _train_run(training, full, lm, interruption or Interruption())
    if tracking is None:
        return (yield from work)
    return (
        yield from follow(
            work, tracking, training.run, training.trainer, lambda found: found.record
        )
    )


def _train_run(
    training: RunInTraining,
    full: Plan | None,
    lm: RunDirectory | None,
    interruption: Interruption,
) -> Generator[TrainingProgress, None, EvaluatedRun]:
    run, trainer = training.run, training.trainer
    yield Started(
        path=run.path,
        config=trainer.config,
        parameters=trainer.parameters,
        device=str(trainer.device),
        step=trainer.state.step,
        epoch=trainer.state.epoch,
        batches=trainer.state.position,
        steps=trainer.state.step + trainer.steps_left,
        finished=trainer.finished,
        resumed=training.resumed,
        warnings=training.warnings,
        changes=training.changes,
    )
    try:
        yield from trainer.fit(run, interruption)
        yield Stage("evaluating the best checkpoint on the test split", 0, 1)
        work = evaluate_run(
            run,
            device=str(trainer.device),
            full=full,
            lm=lm,
            store=True,
            interruption=interruption,
        )
        return (yield from work)
    except Interrupted:
        yield Stopped(step=trainer.state.step, finished=trainer.finished)
        raise


def unused_path(config: RunConfig, form: str = "{corpus}-{name}") -> Path:
    """Returns the first of runs/FORM-1, runs/FORM-2, ... that does not exist.

    The fields `corpus` and `name` in `form` are those of the settings.
    """
    source = config.data.train_paths[0].rstrip("/")
    corpus = "stdin" if source == "-" else Path(source).name.partition(".")[0]
    if glob.has_magic(corpus):  # a pattern such as shards/*.txt: the name of the folder
        corpus = Path(source).absolute().parent.name
    stem = re.sub(r"[^\w.+-]+", "-", form.format(corpus=corpus, name=config.name))
    paths = (RUNS / f"{stem}-{number}" for number in count(1))
    return next(path for path in paths if not os.path.lexists(path))
