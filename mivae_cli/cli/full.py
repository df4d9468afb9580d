"""Shows an evaluation in full while it goes on."""

__all__ = ["measured_in_full"]

import sys
from collections.abc import Generator
from contextlib import closing

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ..full import Full
from ..interruption import Interruption
from ..progress import Stage
from .console import note, stderr


def measured_in_full(passes: Generator[Stage | Full], interruption: Interruption) -> Full:
    """Says what an evaluation in full is at, and returns its record.

    A signal breaks it off at once, and what lies in temporary directories is removed.

    Arguments:
        passes: What `full.measure` gives.
        interruption: Of what it is a part, and listening.
    """
    columns = (
        BarColumn(bar_width=10),
        TextColumn("{task.description}", markup=False),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    stage = ""
    # on a pipe or in a log file, lines that overwrite themselves are noise
    live = Progress(*columns, console=stderr, disable=not sys.stderr.isatty(), transient=True)
    with interruption.breakable(), closing(passes), live:
        task = live.add_task("")
        for record in passes:
            if isinstance(record, Full):
                return record
            if record.name != stage:
                stage = record.name
                note(f"{stage} ...")
                live.reset(task, description=stage, total=record.total)
            live.update(task, completed=record.done)
    raise AssertionError("the passes end with their record")
