"""Verify a run: check every file, and load it as other commands would."""

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
from ..runs.directory import REPORT, RunDirectory
from ..runs.sentence_files import SENTENCES, unlisted
from ..runs.training_state import load_training
from ..storage.lock import lock_holder
from ..storage.manifest import MANIFEST, Manifest
from ..storage.metrics_log import check_prefix
from ..storage.ownership import draft_target
from ..training.trainer import Trainer


@dataclass(frozen=True)
class Finding:
    """The result for a file or folder of a run."""

    what: str  # the path inside the run
    problem: str | None = None
    remark: str = ""


@dataclass(frozen=True)
class Verification:
    """The result for a run."""

    findings: tuple[Finding, ...]
    best: str | None  # the checkpoint that commands use
    resumable: str | None  # the checkpoint that training would resume from

    @property
    def sound(self) -> bool:
        """Whether there is no problem."""
        return not any(finding.problem for finding in self.findings)


def verify(run: RunDirectory) -> Verification:
    """Verifies every file of a run.

    Raises:
        CheckpointError: The manifest of the run is damaged, so nothing can be verified.
    """
    run = RunDirectory.open(run.path)  # an opened run does not read a file twice
    with torch.random.fork_rng(devices=[]):  # loading a checkpoint sets the random state
        findings = tuple(_findings(run))
    damaged = {finding.what.rpartition("/")[0] for finding in findings if finding.problem}
    found = run.checkpoints.all([])
    intact = [each.name for each in found if f"checkpoints/{each.name}" not in damaged]
    best = found[-1].best if found else None
    return Verification(findings, best if best in intact else None, intact[-1] if intact else None)


def _findings(run: RunDirectory) -> Iterator[Finding]:
    manifest = run.manifest
    yield Finding(MANIFEST)
    yield from _file_findings(manifest)
    yield _checked("config.json", run.load_config)
    yield from _corpus_findings(run)
    if manifest.body.get("evaluated") or (run.path / "eval.json").exists():
        yield from _evaluation_findings(run)
    if found := run.checkpoints.all([]):
        metrics = partial(check_prefix, run.metrics_path, found[-1].metrics)
        yield _checked(run.metrics_path.name, metrics)
    trainer = _trainer(run)
    for folder in run.checkpoints.folders():
        yield from _checkpoint_findings(run, folder, trainer)
    if (missing := run.checkpoints.missing_best()) is not None:
        problem = f"the best checkpoint '{missing}' is missing"
        yield Finding(f"checkpoints/{missing.name}", problem)
    yield from _remarks(run)


def _corpus_findings(run: RunDirectory) -> Iterator[Finding]:
    try:
        manifest = run.load_corpus_manifest()
    except CheckpointError as error:
        yield Finding(f"data/{CORPUS_MANIFEST}", str(error))
        return
    yield from (found := _file_findings(manifest, "data/"))
    if not any(finding.problem for finding in found):  # otherwise reported already
        yield _checked(f"data/{CORPUS_MANIFEST}", run.open_corpus)


def _evaluation_findings(run: RunDirectory) -> Iterator[Finding]:
    try:
        records = run.load_evaluations().records
    except CheckpointError as error:
        yield Finding("eval.json", str(error))
        return
    yield Finding("eval.json")
    for record in records:
        if (listed := record.get("sentence_values")) is not None:
            load = partial(run.load_sentence_values, record)
            yield _checked(f"{SENTENCES}/{listed['file']}", load)
    for path in sorted(unlisted(run.path, records)):
        if not draft_target(path.name):
            remark = "not listed in eval.json; left by an interrupted save"
            yield Finding(f"{SENTENCES}/{path.name}", remark=remark)


def _trainer(run: RunDirectory) -> Trainer | MivaeError | None:
    """Returns a trainer to load checkpoints into, or the error that prevents one.

    None if a file that it needs is damaged, which is reported for that file.
    """
    try:
        config, corpus, _ = run.load_config(), run.open_corpus(), run.load_tokenizer()
    except MivaeError:
        return None
    try:
        # before memory is allocated for a model that the weights may not fit
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
    found = _file_findings(checkpoint.manifest, f"{place}/")
    last = Finding(f"{place}/{MANIFEST}")
    if not any(finding.problem for finding in found) and trainer is not None:
        last = _checked(last.what, lambda: _load(checkpoint, trainer))
    if os.path.lexists(folder):  # training may have just deleted it
        yield from (*found, last)


def _load(checkpoint: Checkpoint, trainer: Trainer | MivaeError) -> None:
    if isinstance(trainer, MivaeError):
        raise trainer
    load_training(checkpoint.manifest, trainer.model, trainer.term, trainer.optimizers)


def _remarks(run: RunDirectory) -> Iterator[Finding]:
    if (run.path / REPORT).exists():
        yield Finding(REPORT, remark="without a checksum; 'mivae report' writes it again")
    if (holder := lock_holder(run.path)) is not None:
        yield Finding("lock.json", remark=f"{holder} is writing the run")
    # interrupted saves leave drafts in the run, its data and its checkpoints
    places = [run.path, run.path / "data", run.path / SENTENCES, run.checkpoints.folder]
    places += run.checkpoints.folders()
    inside = (path for place in places for path in place.glob("*"))
    for path in sorted(path for path in inside if draft_target(path.name)):
        yield Finding(str(path.relative_to(run.path)), remark="left by an interrupted save")


def _file_findings(manifest: Manifest, place: str = "") -> list[Finding]:
    """Returns the result for each file of a manifest."""
    names = manifest.files
    return [_checked(f"{place}{name}", partial(manifest.checked_path, name)) for name in names]


def _checked(what: str, attempt: Callable[[], object]) -> Finding:
    try:
        attempt()
    except MivaeError as error:
        return Finding(what, str(error))
    return Finding(what)
