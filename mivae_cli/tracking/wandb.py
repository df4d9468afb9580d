"""Weights & Biases (wandb): offline unless the environment variable WANDB_MODE says otherwise."""

__all__ = ["WandbWriter"]

import os
import shlex
from collections.abc import Mapping, Sequence

from .writer import MAX_TEXT, TrackedRun


class WandbWriter:
    """Writes a wandb run to FOLDER/wandb; a resumed run has the same id."""

    def __init__(self, run: TrackedRun) -> None:
        mode = os.environ.get("WANDB_MODE", "offline")
        offline = mode != "online"
        if offline:  # also no reports of wandb's own errors
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        run.folder.mkdir(parents=True, exist_ok=True)  # else wandb would choose another folder
        self._wandb = wandb
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "mivae"),
            name=run.name,
            id=run.id,
            resume="allow",
            reinit="create_new",  # keeps a run that the calling program has started
            config=dict(run.settings),
            dir=str(run.folder),
            mode=mode,  # type: ignore[arg-type]  # checked by wandb
            settings=wandb.Settings(console="off", silent=offline),
        )
        place = shlex.quote(str(run.folder / "wandb"))
        self.view = f"wandb sync {place}/offline-run-*" if offline else str(self._run.url)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by name."""
        self._run.log(dict(values), step=step)

    def table(
        self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        """Writes a table of texts."""
        data = [[cell[:MAX_TEXT] for cell in row] for row in rows]
        self._run.log({name: self._wandb.Table(columns=list(columns), data=data)}, step=step)

    def warning(self, step: int, title: str, text: str) -> None:
        """Writes an alert."""
        self._run.alert(title, text, level="WARN")

    def close(self, completed: bool) -> None:
        """Ends the run; one that was stopped is shown as failed."""
        self._run.finish(exit_code=0 if completed else 1)
