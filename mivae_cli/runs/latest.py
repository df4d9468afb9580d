"""Which run is meant when none is named: the newest that can be used, and why not a newer one."""

__all__ = ["NewestRun", "newest_interrupted", "newest_usable"]

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import CheckpointError
from ..storage.files import last_written
from ..storage.lock import held_by
from ..storage.manifest import MANIFEST
from .directory import RunDirectory
from .training_state import load_state

Progress = Literal["finished", "training", "interrupted", "damaged"]
WORDS: dict[Progress, str] = {
    "finished": "is finished",
    "training": "is still training",
    "interrupted": "was interrupted",
    "damaged": "is damaged",
}


@dataclass(frozen=True)
class NewestRun:
    """A run that was chosen, and the reason in words."""

    run: RunDirectory
    reason: str


@dataclass(frozen=True)
class _Candidate:
    run: RunDirectory
    progress: Progress
    has_best: bool  # whether there are weights to use

    def __str__(self) -> str:
        return f"{self.run.path} {WORDS[self.progress]}"


def newest_usable(folder: Path = Path("runs")) -> NewestRun:
    """Returns the newest finished run under a folder, or else the newest with a best checkpoint.

    Raises:
        CheckpointError: There is none.
    """
    seen: list[_Candidate] = []
    for candidate in _candidates(folder):
        if candidate.progress == "finished":
            reason = "the newest finished run" if seen else "the newest run"
            return NewestRun(candidate.run, reason + _passed_over(seen))
        seen.append(candidate)
    for place, candidate in enumerate(seen):
        if candidate.has_best:
            reason = f"no run is finished; this one {WORDS[candidate.progress]}"
            return NewestRun(candidate.run, reason + _passed_over(seen[:place]))
    raise CheckpointError(
        f"no run under '{folder}' has a best checkpoint yet ({_told(seen)}): name one with --run"
    )


def newest_interrupted(folder: Path = Path("runs")) -> NewestRun:
    """Returns the newest run under a folder whose training was interrupted, to resume it.

    If none was, that is the newest finished run, which may be trained for more epochs.

    Raises:
        CheckpointError: There is neither.
    """
    seen: list[_Candidate] = []
    for candidate in _candidates(folder):
        if candidate.progress == "interrupted":
            return NewestRun(candidate.run, "the newest interrupted run" + _passed_over(seen))
        seen.append(candidate)
    for candidate in seen:
        if candidate.progress == "finished":
            return NewestRun(
                candidate.run, "no run was interrupted; this is the newest finished one"
            )
    raise CheckpointError(
        f"no run under '{folder}' can be resumed ({_told(seen)}): name one with --out"
    )


def _candidates(folder: Path) -> Iterator[_Candidate]:
    """Yields the runs under a folder, the one that was begun or changed last first.

    Raises:
        CheckpointError: There is none.
    """
    runs = [path.parent for path in folder.glob(f"*/{MANIFEST}")]
    if not runs:
        raise CheckpointError(
            f"there is no run under '{folder}': train one with 'mivae train', or name one with "
            "--run"
        )
    for path in sorted(runs, key=last_written, reverse=True):
        yield _looked_at(RunDirectory(path))


def _looked_at(run: RunDirectory) -> _Candidate:
    """Looks at a run as far as is needed to know where its training stands."""
    try:
        training = held_by(run.path) is not None
        epochs = run.load_config().training

        def read() -> tuple[bool, bool]:
            found = run.checkpoints.all([])
            if not found:
                return False, False
            return load_state(found[-1].manifest).finished(epochs), found[-1].best is not None

        finished, has_best = run.checkpoints.steady(read)
    except CheckpointError:
        return _Candidate(run, "damaged", False)
    if training:
        return _Candidate(run, "training", has_best)
    return _Candidate(run, "finished" if finished else "interrupted", has_best)


def _passed_over(newer: list[_Candidate]) -> str:
    return f"; {_told(newer)}" if newer else ""


def _told(candidates: list[_Candidate]) -> str:
    more = f", and {len(candidates) - 1} more like it" if len(candidates) > 1 else ""
    return f"{candidates[0]}{more}"
