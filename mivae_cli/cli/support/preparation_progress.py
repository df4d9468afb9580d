"""Display of the preparation of a large text: MB per second and remaining time."""

__all__ = ["PreparationProgress"]

from typing import Self

from rich import progress

from ...stages import Stage
from .console import note, stderr


class PreparationProgress:
    """Displays stages in bytes: a line for each stage, and a bar if stderr is a terminal."""

    def __init__(self) -> None:
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=stderr,
            transient=True,
            speed_estimate_period=120,
            disable=not stderr.is_terminal,
        )
        self._stage = ""
        self._task = progress.TaskID(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, stage: Stage) -> None:
        """Displays a stage."""
        if stage.name != self._stage:
            resumed = f" ({stage.done / 1e6:,.0f} MB are complete)" if stage.done else ""
            note(f"{stage.name}: {stage.total / 1e6:,.0f} MB{resumed} ...")
            if self._stage:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(stage.name, total=stage.total)
            self._stage = stage.name
            # what is complete already says nothing about the speed
            self._bar.update(self._task, completed=stage.done)
            self._bar.start()
        self._bar.update(self._task, completed=stage.done)
