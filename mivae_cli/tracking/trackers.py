"""The trackers that a training is asked to write to, and their packages."""

__all__ = ["Tracking", "default_folder", "open_writer"]

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import assert_never

from ..choices import TrackerName, check_choice
from ..errors import ConfigError
from .writer import TrackedRun, Writer


@dataclass(frozen=True)
class Tracking:
    """Trackers by name, and the folder of their files; by default `tracking` beside the run."""

    names: tuple[TrackerName, ...]
    folder: Path | None = None

    @classmethod
    def of(cls, names: str | Iterable[str], folder: str | Path | None = None) -> "Tracking | None":
        """Returns the trackers to use, or None if there are no names.

        Raises:
            ConfigError: A name is unknown, or the package of a tracker is not installed.
        """
        chosen = dict.fromkeys([names] if isinstance(names, str) else names)
        for name in chosen:
            check_choice("tracker", name, TrackerName)
            if find_spec(name) is None:  # finds the package without importing it
                raise ConfigError(
                    f"tracking with {name} needs its package; install it with: "
                    f"pip install 'mivae[track-{name}]'"
                )
        if folder is not None and not chosen:
            raise ConfigError(
                "--track-dir needs a tracker: add --track (in Python, track_dir= needs track=)"
            )
        known: tuple[TrackerName, ...] = tuple(chosen)  # type: ignore[arg-type]  # checked
        return cls(known, None if folder is None else Path(folder)) if known else None


def default_folder(run: Path) -> Path:
    """Returns the folder beside a run that all runs of the same folder share."""
    return run.parent / "tracking"


def open_writer(name: TrackerName, run: TrackedRun) -> Writer:
    """Returns the writer of a tracker, whose package is imported here."""
    match name:
        case "tensorboard":
            from .tensorboard import TensorBoardWriter

            return TensorBoardWriter(run)
        case "wandb":
            from .wandb import WandbWriter

            return WandbWriter(run)
        case "trackio":
            from .trackio import TrackioWriter

            return TrackioWriter(run)
        case _:
            assert_never(name)
