"""Status of a run directory: trained, interrupted, evaluated or damaged."""

__all__ = ["find_runs", "outcome", "sources", "with_own_paths"]

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch

from .. import limits
from ..config.data import PATHS
from ..config.run import RunConfig
from ..data.corpus import locate_splits
from ..data.ingestion import hashed_files
from ..data.preparation import corpus_key
from ..data.prepared_corpus import MANIFEST as CORPUS_MANIFEST
from ..errors import CheckpointError, MivaeError, reason
from ..evaluation.records import EvaluationRecords, checkpoint_of
from ..models.vae import build_model
from ..runs.checkpoints import CHECKPOINTS, NAME, Checkpoint
from ..runs.directory import RunDirectory
from ..runs.training_state import TrainingState, load_state
from ..storage.lock import lock_holder
from ..storage.manifest import MANIFEST
from ..storage.ownership import draft_target
from .summary import Outcome, Standing


def outcome(path: Path, name: str) -> Outcome:
    """Returns the settings, status and evaluations of a run; a damaged run is no error.

    Of the checkpoints, only manifests and states are read.
    """
    try:
        return _outcome(RunDirectory.open(path), name)
    except CheckpointError as error:
        return Outcome(name, str(path), "damaged", str(error))


def find_runs(places: Sequence[Path]) -> dict[str, Path]:
    """Returns the given runs and all runs inside given folders, by unique short names.

    Raises:
        CheckpointError: A folder contains no run, or a path is a checkpoint or a file.
    """
    found = {path.resolve(): path for place in places for path in _runs_in(place)}
    common = os.path.commonpath([path.parent for path in found]) if found else ""
    return {str(whole.relative_to(common)): path for whole, path in found.items()}


def sources(run: RunDirectory) -> set[str]:
    """Returns the hashes of the text files that a run was trained on.

    Raises:
        CheckpointError: The run's corpus is damaged.
    """
    found = run.load_corpus_manifest().body.get("sources")
    if not isinstance(found, dict):
        raise CheckpointError(f"'{run.path / 'data' / CORPUS_MANIFEST}' is damaged: no 'sources'")
    return set(map(str, found.values()))


def with_own_paths(run: RunDirectory, config: RunConfig) -> RunConfig:
    """Returns a configuration with the text paths of a run, if its own lead to the same text.

    A file has another path if it was moved or the working directory has changed. If the contents
    differ, the configuration is returned unchanged.

    Raises:
        CheckpointError: The run's corpus is damaged.
    """
    own = run.load_config().data
    if all(getattr(config.data, key) == getattr(own, key) for key in PATHS):
        return config
    key = run.load_corpus_manifest().body.get("key")
    named = own.model_copy(update={key: getattr(config.data, key) for key in PATHS})
    with suppress(MivaeError):  # there is no such file
        if corpus_key(hashed_files(locate_splits(named)), own) == key:
            paths = {key: getattr(own, key) for key in PATHS}
            return config.model_copy(update={"data": config.data.model_copy(update=paths)})
    return config


def _runs_in(place: Path) -> list[Path]:
    inside = place.absolute().parent.name == CHECKPOINTS and NAME.fullmatch(place.name)
    if inside or not os.path.isdir(place):
        run = RunDirectory.open(place)  # raises an error for a path that is neither
        raise CheckpointError(f"'{place}' is a part of a run; use the run itself: '{run.path}'")
    if not (found := list(_runs(place))):
        raise CheckpointError(f"no run in '{place}'; train one with 'mivae train'")
    return found


def _runs(place: Path) -> Iterator[Path]:
    """Yields the runs inside a folder, ordered by name, down to a depth limit."""
    left = [(place, 0)]
    while left:
        folder, depth = left.pop()
        try:
            if (folder / MANIFEST).exists() or (folder / CHECKPOINTS).is_dir():
                yield folder
                continue
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError as error:
            raise CheckpointError(f"cannot read '{folder}': {reason(error)}") from error
        if depth < limits.MAX_FOLDER_DEPTH:
            names = sorted((name for name in names if not draft_target(name)), reverse=True)
            left += [(folder / name, depth + 1) for name in names]


def _outcome(run: RunDirectory, name: str) -> Outcome:
    config = run.load_config()
    corpus = run.load_corpus_manifest()
    tested = (corpus.files.get(file) for file in ("test.tokens", "test.offsets.npy"))
    vocabulary = run.manifest.files.get("tokenizer.json")
    checkpoints, state = _latest(run)
    standing: Standing = "interrupted"
    evaluation, evaluations, problem = None, EvaluationRecords(), ""
    if (holder := lock_holder(run.path)) is not None:
        standing, problem = "running", f"{holder} is writing it"
    elif state is None:
        problem = "stopped before the first checkpoint"
    elif not state.finished(config.training):
        problem = f"stopped after step {state.step:,}, epoch {state.epoch}"
    elif not (run.path / "eval.json").exists() and not run.manifest.body["evaluated"]:
        standing, problem = "trained", "not evaluated yet"
    else:
        best, found, protocol = checkpoints[-1].best, run.load_evaluations(), config.evaluation
        evaluations = found.about(best)
        evaluation = evaluations.best(protocol.iw_samples, protocol.seed)
        standing = "evaluated"
        if evaluation is None:
            standing, measured = "trained", sorted({str(checkpoint_of(r)) for r in found.records})
            problem = f"evaluated at {', '.join(measured)}, but the best checkpoint is {best}"
    with torch.device("meta"):  # allocates no memory
        weights = build_model(config.model, run.load_tokenizer().size).parameters()
    return Outcome(
        name=name,
        path=str(run.path),
        standing=standing,
        problem=problem,
        config=config,
        evaluation=evaluation,
        evaluations=evaluations,
        minutes=None if state is None else state.seconds / 60,
        parameters=sum(weight.numel() for weight in weights),
        tested=str((*tested, vocabulary)),
        corpus=str(corpus.body.get("key") or ""),
    )


def _latest(run: RunDirectory) -> tuple[list[Checkpoint], TrainingState | None]:
    """Returns a run's checkpoints, and the training state of the last one."""

    def read() -> tuple[list[Checkpoint], TrainingState | None]:
        found = run.checkpoints.all()
        return found, load_state(found[-1].manifest) if found else None

    return run.checkpoints.steady(read)
