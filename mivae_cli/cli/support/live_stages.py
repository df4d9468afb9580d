"""Shows what a long computation is at, and how much of that is done."""

__all__ = ["stages"]

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ...stages import Stage
from .console import note, stderr


@contextmanager
def stages() -> Iterator[Callable[[Stage], None]]:
    """Shows stages while it is entered: a line for each, and on a terminal a bar."""
    columns = (
        BarColumn(bar_width=10),
        TextColumn("{task.description}", markup=False),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    present = ""
    # on a pipe or in a log file, lines that overwrite themselves are noise
    live = Progress(*columns, console=stderr, disable=not sys.stderr.isatty(), transient=True)

    def show(stage: Stage) -> None:
        nonlocal present
        if stage.name != present:
            present = stage.name
            note(f"{present} ...")
            live.reset(task, description=present, total=stage.total, visible=True)
        live.update(task, completed=stage.done)

    with live:
        task = live.add_task("", visible=False)
        yield show
