"""Sweeps: the runs of a grid, trained and evaluated one after another.

The run directories record what is done, so the same call continues an interrupted sweep.
"""

__all__ = [
    "PlannedRun",
    "RunComplete",
    "RunFailed",
    "RunStarted",
    "SweepProgress",
    "SweepStopped",
    "prepare_corpora",
    "run_state",
    "run_sweep",
]

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.data import DataConfig
from ..config.resolve import differences
from ..config.run import RunConfig
from ..data.prepared_corpus import Corpus
from ..devices import resolve_device
from ..errors import OUT_OF_MEMORY, ConfigError, MivaeError, is_out_of_memory
from ..generation.evaluate_text import Plan
from ..runs.directory import RunDirectory
from ..signals import Interrupted, Interruption
from ..storage.manifest import MANIFEST
from ..tracking.trackers import Tracking
from .status import outcome, sources, with_own_paths
from .summary import Outcome
from .train_run import (
    CorpusPrepared,
    TrainingProgress,
    create_training,
    prepare,
    resume_training,
    train_run,
)

ELSEWHERE = "choose another output folder (--out; in Python, out=), or remove this run"


@dataclass(frozen=True)
class PlannedRun:
    """A run of a sweep: its name in the grid, its settings and its directory."""

    name: str
    config: RunConfig
    path: Path

    @property
    def exists(self) -> bool:
        """Whether there is a run at its path."""
        return (self.path / MANIFEST).exists()


@dataclass(frozen=True)
class RunStarted:
    """The sweep turns to its next run."""

    number: int  # from 1
    total: int
    name: str


@dataclass(frozen=True)
class RunComplete:
    """A run was trained and evaluated before, and is skipped."""

    name: str


@dataclass(frozen=True)
class RunFailed:
    """A run failed; the sweep continues with the next one."""

    name: str
    error: Exception


@dataclass(frozen=True)
class SweepStopped:
    """A signal stopped the sweep between two runs, before this one."""

    name: str


SweepProgress = RunStarted | RunComplete | RunFailed | SweepStopped | TrainingProgress


def prepare_corpora(
    planned: Sequence[PlannedRun],
) -> Generator[CorpusPrepared, None, dict[DataConfig, Corpus]]:
    """Prepares each corpus of a sweep once: more than one if data settings vary.

    Raises:
        ConfigError: Several corpora would be read from standard input, or a device does not exist.
        DataError: A text cannot be read.
    """
    for device in {plan.config.device for plan in planned}:
        resolve_device(device)
    configs = {plan.config.data: plan.config for plan in planned}
    if len(configs) > 1 and any(data.train == "-" for data in configs):
        raise ConfigError(
            "data settings vary, and standard input can be read only once: use a file instead"
        )
    corpora = {}
    for data, config in configs.items():
        prepared = prepare(config)
        corpora[data] = prepared.corpus
        yield prepared
    return corpora


def run_state(plan: PlannedRun, full: bool = False) -> str:
    """Returns `new`, or the standing of an existing run; `full` requires a text evaluation.

    Raises:
        MivaeError: The existing run has other settings, or is damaged.
    """
    if not plan.exists:
        return "new"
    return _standing(plan, outcome(plan.path, plan.name), full)


def run_sweep(
    planned: Sequence[PlannedRun],
    corpora: Mapping[DataConfig, Corpus],
    *,
    full: Plan | None = None,
    lm: RunDirectory | None = None,
    interruption: Interruption | None = None,
    tracking: Tracking | None = None,
) -> Generator[SweepProgress, None, list[Outcome]]:
    """Trains and evaluates every run that is not complete, and returns what became of each.

    A failed run does not stop the sweep, unless the disk is full.

    Arguments:
        planned: The runs.
        corpora: Their corpora, from `prepare_corpora`.
        full: Sizes of a text evaluation; by default there is none.
        lm: The run of a language model that scores samples in the text evaluation.
        interruption: Signals that stop the sweep.
        tracking: Trackers that also receive the records of each training.

    Raises:
        Interrupted: A signal arrived.
        OSError: The disk is full.
    """
    interruption = interruption or Interruption()
    outcomes = []
    for number, plan in enumerate(planned, start=1):
        try:
            interruption.check()  # a signal may have arrived at the end of the previous run
        except Interrupted:
            yield SweepStopped(plan.name)
            raise
        yield RunStarted(number, len(planned), plan.name)
        try:
            corpus = corpora[plan.config.data]
            yield from _completed(plan, corpus, full, lm, interruption, tracking)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  # a bug that one run meets costs no other run
            yield RunFailed(plan.name, error)
            problem = _problem(error)
            outcomes.append(Outcome(plan.name, str(plan.path), "failed", problem, plan.config))
        else:
            outcomes.append(outcome(plan.path, plan.name))
    return outcomes


def _completed(
    plan: PlannedRun,
    corpus: Corpus,
    full: Plan | None,
    lm: RunDirectory | None,
    interruption: Interruption,
    tracking: Tracking | None,
) -> Generator[SweepProgress, None, None]:
    if plan.exists:
        found = outcome(plan.path, plan.name)
        standing = _standing(plan, found, full is not None)
        run = RunDirectory.open(plan.path)
        if sources(run) != set(corpus.sources.values()):
            raise ConfigError(
                f"'{plan.path}' was trained on another text than '{plan.config.data.train}': "
                f"{ELSEWHERE}"
            )
        if standing == "evaluated":
            yield RunComplete(plan.name)
            return
        if found.evaluations.full:  # only a record of the protocol is missing
            full = None
        training = resume_training(run, lambda _: plan.config)
    else:
        training = create_training(plan.config, corpus, plan.path)
    evaluated = yield from train_run(
        training, full=full, lm=lm, interruption=interruption, tracking=tracking
    )
    if evaluated.store_error is not None:
        raise evaluated.store_error


def _standing(plan: PlannedRun, found: Outcome, full: bool) -> str:
    """Returns the standing of an existing run, by the protocol that the sweep asks for."""
    run = RunDirectory.open(plan.path)
    changed = differences(run.load_config(), with_own_paths(run, plan.config))
    # the device and the evaluation do not change what was trained
    same = [key for key in changed if key == "device" or key.startswith("evaluation.")]
    others = [text for key, text in changed.items() if key not in same]
    if others:
        raise ConfigError(f"'{plan.path}' has other settings ({'; '.join(others)}): {ELSEWHERE}")
    wanted = plan.config.evaluation
    record = found.evaluations.exactly(wanted.iw_samples, wanted.seed)
    complete = record is not None and not (full and record.get("full") is None)
    return "trained" if found.standing == "evaluated" and not complete else found.standing


def _problem(error: Exception) -> str:
    if isinstance(error, MivaeError):
        return str(error)
    if is_out_of_memory(error):
        return OUT_OF_MEMORY
    return f"internal error: {type(error).__name__}: {error}"
