"""The default run of a command: the newest suitable run, and why newer ones were skipped."""

__all__ = ["NewestRun", "newest_interrupted", "newest_usable"]

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import CheckpointError
from ..storage.files import last_modified
from ..storage.lock import lock_holder
from ..storage.manifest import MANIFEST
from .directory import RunDirectory
from .training_state import load_state

Progress = Literal["finished", "training", "interrupted", "damaged"]
PHRASES: dict[Progress, str] = {
    "finished": "is finished",
    "training": "is still training",
    "interrupted": "was interrupted",
    "damaged": "is damaged",
}


@dataclass(frozen=True)
class NewestRun:
    """The chosen run, and the reason for the choice as a phrase."""

    run: RunDirectory
    reason: str


@dataclass(frozen=True)
class _Candidate:
    path: Path
    progress: Progress
    run: RunDirectory | None = None  # None if it is damaged
    has_best: bool = False  # whether there is a best checkpoint to use

    def __str__(self) -> str:
        return f"{self.path} {PHRASES[self.progress]}"


def newest_usable(folder: Path = Path("runs")) -> NewestRun:
    """Returns the newest finished run in a folder, or else the newest with a best checkpoint.

    Raises:
        CheckpointError: There is none.
    """
    seen: list[_Candidate] = []
    for candidate in _candidates(folder):
        if candidate.run is not None and candidate.progress == "finished":
            reason = "the newest finished run" if seen else "the newest run"
            return NewestRun(candidate.run, reason + _skipped(seen))
        seen.append(candidate)
    for index, candidate in enumerate(seen):
        if candidate.run is not None and candidate.has_best:
            reason = f"no run is finished; this one {PHRASES[candidate.progress]}"
            return NewestRun(candidate.run, reason + _skipped(seen[:index]))
    raise CheckpointError(
        f"no run in '{folder}' has a best checkpoint yet ({_listed(seen)}): choose a run with --run"
    )


def newest_interrupted(folder: Path = Path("runs")) -> NewestRun:
    """Returns the newest interrupted run in a folder, or else the newest finished one.

    Raises:
        CheckpointError: There is no interrupted or finished run.
    """
    seen: list[_Candidate] = []
    for candidate in _candidates(folder):
        if candidate.run is not None and candidate.progress == "interrupted":
            return NewestRun(candidate.run, "the newest interrupted run" + _skipped(seen))
        seen.append(candidate)
    for candidate in seen:
        if candidate.run is not None and candidate.progress == "finished":
            reason = "no run was interrupted; this is the newest finished one"
            return NewestRun(candidate.run, reason)
    raise CheckpointError(
        f"no run in '{folder}' can be resumed ({_listed(seen)}): choose a run with --out"
    )


def _candidates(folder: Path) -> Iterator[_Candidate]:
    """Yields the runs in a folder, the last modified first; raises CheckpointError if none."""
    runs = [path.parent for path in folder.glob(f"*/{MANIFEST}")]
    if not runs:
        raise CheckpointError(
            f"no run in '{folder}': train one with 'mivae train', or choose one with --run"
        )
    for path in sorted(runs, key=last_modified, reverse=True):
        yield _candidate(path)


def _candidate(path: Path) -> _Candidate:
    """Returns the progress of a run; reads only as much as that needs."""
    try:
        run = RunDirectory.open(path)
        training = lock_holder(path) is not None
        settings = run.load_config().training

        def read() -> tuple[bool, bool]:
            found = run.checkpoints.all([])
            if not found:
                return False, False
            return load_state(found[-1].manifest).finished(settings), found[-1].best is not None

        finished, has_best = run.checkpoints.steady(read)
    except CheckpointError:
        return _Candidate(path, "damaged")
    progress: Progress = "training" if training else "finished" if finished else "interrupted"
    return _Candidate(path, progress, run, has_best)


def _skipped(newer: list[_Candidate]) -> str:
    return f"; skipped: {_listed(newer)}" if newer else ""


def _listed(candidates: list[_Candidate]) -> str:
    more = f" (and {len(candidates) - 1} more)" if len(candidates) > 1 else ""
    return f"{candidates[0]}{more}"
