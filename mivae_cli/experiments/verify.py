"""Is a run as it was written? Every file is looked at, and loaded as its users would load it."""

__all__ = ["Finding", "Verification", "verify"]

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ..data.prepared_corpus import MANIFEST as CORPUS_MANIFEST
from ..errors import CheckpointError, MivaeError
from ..runs.checkpoints import Checkpoint
from ..runs.directory import RunDirectory
from ..runs.training_state import load_training
from ..storage.lock import lock_holder
from ..storage.manifest import MANIFEST
from ..storage.metrics_log import check_prefix
from ..storage.ownership import draft_target
from ..training.trainer import Trainer


@dataclass(frozen=True)
class Finding:
    """What is to be said of a file or folder of a run."""

    what: str  # its path inside the run
    problem: str | None = None
    remark: str = ""


@dataclass(frozen=True)
class Verification:
    """What was found of a run."""

    findings: tuple[Finding, ...]
    best: str | None  # the checkpoint that commands use
    resumable: str | None  # the one that training would go on from

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.problem for finding in self.findings)


def verify(run: RunDirectory) -> Verification:
    """Looks at every file of a run.

    Raises:
        CheckpointError: The run's own manifest is damaged, so that nothing can be held to it.
    """
    run = RunDirectory.open(run.path)  # an opened run does not read a file twice
    with torch.random.fork_rng(devices=[]):  # loading a checkpoint sets the random state
        findings = tuple(_findings(run))
    damaged = {finding.what.rpartition("/")[0] for finding in findings if finding.problem}
    found = run.checkpoints.all([])
    whole = [each.name for each in found if f"checkpoints/{each.name}" not in damaged]
    best = found[-1].best if found else None
    return Verification(findings, best if best in whole else None, whole[-1] if whole else None)


def _findings(run: RunDirectory) -> Iterator[Finding]:
    manifest = run.manifest
    yield Finding(MANIFEST)
    for name in manifest.files:
        yield _tried(name, partial(manifest.checked_path, name))
    yield _tried("config.json", run.load_config)
    yield from _corpus_findings(run)
    if manifest.body.get("evaluated") or (run.path / "eval.json").exists():
        yield _tried("eval.json", run.load_evaluations)
    yield from _journal_findings(run)
    trainer = _trainer(run)
    for folder in run.checkpoints.folders():
        yield from _checkpoint_findings(run, folder, trainer)
    missing = run.checkpoints.missing_best()
    if missing is not None:
        place = f"checkpoints/{missing.name}"
        yield Finding(place, f"'{missing}', the best checkpoint, is missing")
    yield from _remarks(run)


def _corpus_findings(run: RunDirectory) -> Iterator[Finding]:
    try:
        manifest = run.load_corpus_manifest()
    except CheckpointError as error:
        yield Finding(f"data/{CORPUS_MANIFEST}", str(error))
        return
    found = [
        _tried(f"data/{name}", partial(manifest.checked_path, name)) for name in manifest.files
    ]
    yield from found
    if not any(finding.problem for finding in found):  # else it is said already
        yield _tried(f"data/{CORPUS_MANIFEST}", run.open_corpus)


def _journal_findings(run: RunDirectory) -> Iterator[Finding]:
    found = run.checkpoints.all([])
    if found:
        yield _tried(
            run.metrics_path.name, lambda: check_prefix(run.metrics_path, found[-1].metrics)
        )


def _trainer(run: RunDirectory) -> Trainer | MivaeError | None:
    """Returns a trainer that checkpoints can be loaded into, or why none can be built.

    None where a file that it takes is damaged, which is said of the file itself.
    """
    try:
        config, corpus, _ = run.load_config(), run.open_corpus(), run.load_tokenizer()
    except MivaeError:
        return None
    try:
        # before memory is set aside for what may not be there
        run.checkpoints.steady(lambda: run.check_weights(config))
        return Trainer(config.model_copy(update={"device": "cpu"}), corpus)
    except MivaeError as error:
        return error


def _checkpoint_findings(
    run: RunDirectory, folder: Path, trainer: Trainer | MivaeError | None
) -> Iterator[Finding]:
    place = f"checkpoints/{folder.name}"
    try:
        checkpoint = run.checkpoints.load(folder)
    except CheckpointError as error:
        if os.path.lexists(folder):
            yield Finding(f"{place}/{MANIFEST}", str(error))
        return
    files = checkpoint.manifest
    found = [_tried(f"{place}/{name}", partial(files.checked_path, name)) for name in files.files]
    last = Finding(f"{place}/{MANIFEST}")
    if not any(finding.problem for finding in found) and trainer is not None:
        last = _tried(last.what, lambda: _load(checkpoint, trainer))
    if os.path.lexists(folder):  # while a run goes on, older ones make room for newer ones
        yield from (*found, last)


def _load(checkpoint: Checkpoint, trainer: Trainer | MivaeError) -> None:
    if isinstance(trainer, MivaeError):
        raise trainer
    load_training(checkpoint.manifest, trainer.model, trainer.term, trainer.optimizers)


def _remarks(run: RunDirectory) -> Iterator[Finding]:
    if (holder := lock_holder(run.path)) is not None:
        yield Finding("lock.json", remark=f"{holder} is writing the run")
    # where saves leave drafts: in the run, its data and its checkpoints
    places = [run.path, run.path / "data", run.checkpoints.folder, *run.checkpoints.folders()]
    inside = (path for place in places for path in place.glob("*"))
    for path in sorted(path for path in inside if draft_target(path.name)):
        yield Finding(str(path.relative_to(run.path)), remark="left by a save that was cut short")


def _tried(what: str, attempt: Callable[[], object]) -> Finding:
    try:
        attempt()
    except MivaeError as error:
        return Finding(what, str(error))
    return Finding(what)
