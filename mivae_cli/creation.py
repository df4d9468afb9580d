"""How a run begins: its directory is made, and what was there before it is taken care of."""

__all__ = ["create_run"]

import os
import platform
import re
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from .checkpoints import CHECKPOINTS, NAME
from .config import RunConfig
from .data.store import Corpus
from .errors import CheckpointError, ConfigError
from .run import RunDirectory
from .storage.documents import read_sealed, write_sealed
from .storage.files import DRAFT, discard, reason, sync_file, sync_folder, write_durably
from .storage.lock import LOCK, locked
from .storage.manifest import MANIFEST, entry_of, vouch_for

OWN_FILES = (
    MANIFEST,
    "config.json",
    "environment.json",
    "tokenizer.json",
    "metrics.jsonl",
    "metrics.damaged.jsonl",
    "eval.damaged.json",
    "eval.json",
    LOCK,
)
INSIDE = {  # a run's own folders, and what lies in them
    CHECKPOINTS: NAME,
    "data": re.compile(
        r"(train|valid|test)\.(tokens|(offsets|lines)\.npy)|(tokenizer|corpus)\.json"
    ),
}


def create_run(
    path: Path, config: RunConfig, corpus: Corpus, overwrite: bool = False
) -> RunDirectory:
    """Makes the directory of a new run.

    Raises:
        ConfigError: It is not empty and may not be overwritten, cannot be written, or another
            process is writing it.
    """
    if corpus.folder.resolve().is_relative_to(path.resolve()):
        raise ConfigError(f"'{path}' cannot be replaced: the corpus to train on lies in it")
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(entry.name != LOCK for entry in path.iterdir()):
            _check_clearing(path, overwrite)  # before a lock is put among what is not ours
        with locked(path):
            _check_clearing(path, overwrite)  # somebody may have begun one meanwhile
            _clear(path)
            run = _begin(path, config, corpus)
    except OSError as error:
        raise ConfigError(f"cannot write the run to '{path}': {reason(error)}") from error
    return run


def _begin(path: Path, config: RunConfig, corpus: Corpus) -> RunDirectory:
    run = RunDirectory(path)
    corpus.copy_to(path / "data")
    for file in (path / "data").iterdir():
        sync_file(file)
    sync_folder(path / "data")
    identity = uuid.uuid4().hex
    body = {"run": identity, "config": config.model_dump(mode="json")}
    write_sealed(path / "config.json", "config", body)
    write_sealed(path / "environment.json", "environment", _environment(corpus))
    tokenizer = (corpus.folder / "tokenizer.json").read_bytes()
    write_durably(path / "tokenizer.json", tokenizer)
    write_durably(run.journal, b"")
    files = {name: entry_of(path / name) for name in ("environment.json", "tokenizer.json")}
    vouch_for(path, "run", files, {"id": identity, "corpus": corpus.checksum, "evaluated": False})
    assert run.id == identity  # read now: another run may take its place before it is used
    return run


def _check_clearing(path: Path, overwrite: bool) -> None:
    """Raises ConfigError unless what is there is a run that may be replaced."""
    if strangers := list(_strangers(path)):
        raise ConfigError(
            f"'{path}' holds files that are no part of a run ({strangers[0]}, ...): "
            "choose another place with --out"
        )
    names = {entry.name for entry in path.iterdir() if not entry.name.startswith(DRAFT)}
    if overwrite or not names - {LOCK}:
        return
    if MANIFEST in names or CHECKPOINTS in names:
        raise ConfigError(
            f"'{path}' already holds a run: go on with it by --resume, replace it by "
            "--overwrite, or choose another place with --out"
        )
    if names <= {LOCK, "data"}:
        return  # as far as a run came that was stopped while it began
    try:
        read_sealed(path / "config.json", "config")
    except CheckpointError as error:
        raise ConfigError(
            f"'{path}' is not empty and may not be what is left of a run: replace what "
            "is there by --overwrite, or choose another place with --out"
        ) from error


def _strangers(path: Path) -> Iterator[str]:
    """Yields the names of what no run has put there."""
    for entry in path.iterdir():
        known = INSIDE.get(entry.name)
        if known is not None and entry.is_dir() and not entry.is_symlink():
            for inner in entry.iterdir():
                if not known.fullmatch(inner.name) and not inner.name.startswith(DRAFT):
                    yield f"{entry.name}/{inner.name}"
        elif entry.name not in OWN_FILES and not entry.name.startswith(DRAFT):
            yield entry.name


def _clear(path: Path) -> None:
    """Removes a run, its manifest first: what is left of it then is no run."""
    (path / MANIFEST).unlink(missing_ok=True)
    for entry in list(path.iterdir()):
        if entry.name != LOCK:
            discard(entry)


def _environment(corpus: Corpus) -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "sources": corpus.sources,
        "splits": {split: asdict(summary) for split, summary in corpus.summaries.items()},
    }
