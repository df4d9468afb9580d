"""What a tracker must do: write numbers, tables of texts and warnings, each at a training step."""

__all__ = ["MAX_TEXT", "TrackedRun", "Writer"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

MAX_TEXT = 1000  # characters of a text in a table


@dataclass(frozen=True)
class TrackedRun:
    """The run that a tracker shows."""

    name: str
    id: str  # another one for each training from the start, the same after a resume
    folder: Path  # for the files of the tracker
    settings: Mapping[str, Any]
    step: int  # completed steps: 0, or those before a resume

    @property
    def label(self) -> str:
        """A name that no other run has, even if it replaced this one."""
        return f"{self.name}-{self.id[:8]}"


class Writer(Protocol):
    """Writes the records of one run for a tracker. Any method may raise any exception."""

    view: str
    """The command, or the address, that shows the curves."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by name, such as `validation/rate`."""

    def table(
        self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        """Writes a table of texts, which are untrusted."""

    def warning(self, step: int, title: str, text: str) -> None:
        """Writes a warning."""

    def close(self, completed: bool) -> None:
        """Ends the record of a run, which has been trained to its end or was stopped."""
