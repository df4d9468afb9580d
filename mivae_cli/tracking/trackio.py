"""Trackio: a local database, unless its own environment variables name a server or a Space."""

__all__ = ["TrackioWriter"]

import contextlib
import io
import os
import shlex
from collections.abc import Mapping, Sequence

from .writer import MAX_TEXT, TrackedRun

PROJECT = "mivae"
TITLE = 80  # characters


class TrackioWriter:
    """Writes to the database in FOLDER/trackio.

    Trackio reads its folder once, when it is imported: later runs of a process share the first
    one. Its messages are discarded: it prints them to stdout, which is for results.
    """

    def __init__(self, run: TrackedRun) -> None:
        os.environ.setdefault("TRACKIO_DIR", str((run.folder / "trackio").absolute()))
        import trackio

        self._trackio = trackio
        with _quiet():
            self._run = trackio.init(
                project=PROJECT,
                name=run.label,
                resume="allow",
                config=dict(run.settings),
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        folder = shlex.quote(str(trackio.utils.TRACKIO_DIR))
        self.view = f"TRACKIO_DIR={folder} trackio show --project {PROJECT}"

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by name."""
        self._run.log(dict(values), step=step)

    def table(
        self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        """Writes a table of texts."""
        data = [[cell[:MAX_TEXT] for cell in row] for row in rows]
        self._run.log({name: self._trackio.Table(columns=list(columns), data=data)}, step=step)

    def warning(self, step: int, title: str, text: str) -> None:
        """Writes an alert."""
        with _quiet():
            self._run.alert(title[:TITLE], text, self._trackio.AlertLevel.WARN, step)

    def close(self, completed: bool) -> None:
        """Writes what is left to the database."""
        with _quiet():
            self._trackio.finish()  # type: ignore[no-untyped-call]


def _quiet() -> "contextlib.redirect_stdout[io.StringIO]":
    return contextlib.redirect_stdout(io.StringIO())
