"""Check a path to a run or checkpoint before anything in it is read."""

__all__ = ["check_is_run", "nearest_run", "split_checkpoint"]

import os
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from .. import limits
from ..errors import CheckpointError, reason
from ..storage.manifest import MANIFEST
from .checkpoints import CHECKPOINTS, NAME


def split_checkpoint(path: Path) -> tuple[Path, str]:
    """Returns the path of a run and the name of its checkpoint: `best` unless `path` names one."""
    absolute = path.absolute()
    is_name = absolute.name in ("best", "last") or NAME.fullmatch(absolute.name)
    if absolute.parent.name != CHECKPOINTS or not is_name:
        return path, "best"
    named = path if path.parent.name == CHECKPOINTS else absolute
    return named.parent.parent, absolute.name


def check_is_run(path: Path) -> None:
    """Raises CheckpointError unless a path is a folder with a manifest."""
    try:
        exists, is_run = path.exists(), (path / MANIFEST).exists()
    except OSError as error:  # the name is too long, or a folder on the way is not accessible
        raise CheckpointError(f"cannot read '{path}': {reason(error)}") from error
    if not exists:
        near = nearest_run(path)
        hint = f"; did you mean '{near}'?" if near else ""
        raise CheckpointError(f"no run at '{path}'{hint}")
    if not path.is_dir():
        raise CheckpointError(
            f"'{path}' is a file, not a run directory. mivae does not read weights of other "
            "programs: pickle files (.pt, .pkl, .bin) can execute code"
        )
    if not is_run:
        hint = "train one with 'mivae train'"
        if runs := sorted(path.glob(f"*/{MANIFEST}")):
            hint = f"name a run inside it, such as '{runs[0].parent}'"
        raise CheckpointError(f"'{path}' is not a run directory (no {MANIFEST}): {hint}")


def nearest_run(path: Path) -> Path | None:
    """Returns the run with the most similar name, in the same folder or in `runs`, if any."""
    runs: dict[str, Path] = {}
    for folder in (Path("runs"), path.parent):
        with suppress(OSError):
            names = sorted(os.listdir(folder))[: limits.MAX_FOLDER_NAMES]
            runs |= {name: folder / name for name in names if (folder / name / MANIFEST).exists()}
    close = get_close_matches(path.name, runs, 1)
    return runs[close[0]] if close else None
