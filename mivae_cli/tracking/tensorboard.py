"""TensorBoard, by the writer that torch includes. Its texts are Markdown."""

__all__ = ["TensorBoardWriter", "escaped", "markdown_table"]

import json
import shlex
from collections.abc import Mapping, Sequence

from .writer import MAX_TEXT, TrackedRun

FLUSH_SECONDS = 20
PLAIN = frozenset(
    " ,.;'-"
)  # characters that Markdown shows as they are, beside letters and digits


class TensorBoardWriter:
    """Writes event files to FOLDER/tensorboard/RUN."""

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run.folder / "tensorboard"
        self.view = f"tensorboard --logdir {shlex.quote(str(folder))}"
        # hides what a stopped training wrote after its last checkpoint
        purge = run.step + 1 if run.step else None
        self._writer = SummaryWriter(
            str(folder / run.label), purge_step=purge, flush_secs=FLUSH_SECONDS
        )
        if not run.step:
            settings = json.dumps(run.settings, indent=2, default=str).replace("\n", "\n    ")
            self._writer.add_text("settings", f"    {settings}", 0)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def table(
        self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        """Writes a table of texts."""
        self._writer.add_text(name, markdown_table(columns, rows), step)
        self._writer.flush()

    def warning(self, step: int, title: str, text: str) -> None:
        """Writes a warning as a text named `warnings`."""
        self._writer.add_text("warnings", f"{escaped(title)}: {escaped(text)}", step)

    def close(self, completed: bool) -> None:
        """Writes what is left to the file."""
        self._writer.close()


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown, whose cells are shown as plain text."""
    lines = [columns, ["---"] * len(columns), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Returns Markdown that shows a text of at most 1,000 characters, on one line."""
    shown = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
    return "".join(
        char if char.isalnum() or char in PLAIN else f"&#{ord(char)};"
        for char in " ".join(shown.split())
    )
