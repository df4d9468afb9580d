"""How a run begins: its directory is made, and what was there before it is taken care of."""

__all__ = ["create_run"]

import os
import platform
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ..config.run import RunConfig
from ..data.cache import CORPUS_FILE
from ..data.prepared_corpus import MANIFEST as CORPUS_MANIFEST
from ..data.prepared_corpus import Corpus
from ..errors import CheckpointError, ConfigError, reason
from ..storage.files import write_durably
from ..storage.lock import LOCK, is_lock, locked
from ..storage.manifest import MANIFEST, entry_of, vouch_for
from ..storage.ownership import drafted, holds_only, remove_folder
from ..storage.sealed_json import claimed_kind, read_sealed, write_sealed
from .checkpoints import CHECKPOINT_FILE, CHECKPOINTS, NAME
from .directory import RunDirectory

RUN_FILE = re.compile(
    r"(manifest|config|environment|tokenizer|eval(\.damaged(-\d+)?)?|lock)\.json|"
    r"metrics(\.damaged(-\d+)?)?\.jsonl"
)
MARKERS = {  # documents that only a run has, and their kinds
    MANIFEST: "run",
    "config.json": "config",
    "environment.json": "environment",
    "eval.json": "evaluation",
    f"data/{CORPUS_MANIFEST}": "corpus",
}


def create_run(
    path: Path, config: RunConfig, corpus: Corpus, overwrite: bool = False
) -> RunDirectory:
    """Makes the directory of a new run.

    Raises:
        ConfigError: It is not empty and may not be overwritten, cannot be written, or another
            process is writing it.
        CheckpointError: Its lock is a link.
    """
    if corpus.folder.resolve().is_relative_to(path.resolve()):
        raise ConfigError(
            f"'{path}' cannot be replaced: the prepared text to train on lies in it; choose another "
            "place with --out, or another cache in the environment variable MIVAE_CACHE"
        )
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError as error:  # safetensors would write weights there and not read them
        raise ConfigError(
            f"the name '{path}' is not UTF-8: choose another place with --out"
        ) from error
    try:
        path.mkdir(parents=True, exist_ok=True)
        _check_clearing(path, overwrite)  # before a lock is put among what is not ours
        with locked(path):
            _check_clearing(path, overwrite)  # somebody may have begun one meanwhile
            _clear(path)
            try:
                run = _begin(path, config, corpus)
            except BaseException:
                with suppress(OSError):
                    _clear(path)
                raise
    except OSError as error:
        occupied = os.path.lexists(path) and not path.is_dir()
        why = "it is no folder; choose another place with --out" if occupied else reason(error)
        raise ConfigError(f"cannot write the run to '{path}': {why}") from error
    return run


def _begin(path: Path, config: RunConfig, corpus: Corpus) -> RunDirectory:
    run = RunDirectory(path)
    corpus.copy_to(path / "data")
    identity = uuid.uuid4().hex
    body = {"run": identity, "config": config.model_dump(mode="json")}
    write_sealed(path / "config.json", "config", body)
    write_sealed(path / "environment.json", "environment", _environment(corpus))
    tokenizer = (corpus.folder / "tokenizer.json").read_bytes()
    write_durably(path / "tokenizer.json", tokenizer)
    write_durably(run.journal, b"")
    files = {name: entry_of(path / name) for name in ("environment.json", "tokenizer.json")}
    vouch_for(path, "run", files, {"id": identity, "corpus": corpus.checksum, "evaluated": False})
    if run.id != identity:  # read now: another run may take its place before it is used
        raise ConfigError(f"'{path}' has just been replaced by another run: choose another --out")
    return run


def _check_clearing(path: Path, overwrite: bool) -> None:
    """Raises ConfigError unless what is there is a run that may be replaced."""
    if strangers := list(_strangers(path)):
        raise ConfigError(
            f"'{path}' holds files that are no part of a run ({strangers[0]}, ...): "
            "choose another place with --out"
        )
    files = [entry for entry in path.rglob("*") if not entry.is_dir()]
    if not files:
        return
    if not _is_marked(path):
        raise ConfigError(
            f"'{path}' holds files that mivae did not write ({files[0].relative_to(path)}, ...): "
            "choose another place with --out"
        )
    names = {entry.name for entry in path.iterdir() if not drafted(entry.name)}
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


def _is_marked(path: Path) -> bool:
    """Tells whether something in a folder shows that it is a run, or the beginning of one.

    Other programs also call their files `config.json` and `tokenizer.json`.
    """
    if any(claimed_kind(path / name) == kind for name, kind in MARKERS.items()):
        return True
    manifests = (path / CHECKPOINTS).glob(f"*/{MANIFEST}")
    return is_lock(path / LOCK) or any(claimed_kind(each) == "checkpoint" for each in manifests)


def _strangers(path: Path) -> Iterator[str]:
    """Yields the names of what no run has put there."""
    for entry in path.iterdir():
        if entry.name == "data":
            own = holds_only(entry, CORPUS_FILE)
        elif entry.name == CHECKPOINTS:
            own = not entry.is_symlink() and entry.is_dir()
            for inner in entry.iterdir() if own else ():
                name = drafted(inner.name) or inner.name
                if not NAME.fullmatch(name) or not holds_only(inner, CHECKPOINT_FILE):
                    yield f"{CHECKPOINTS}/{inner.name}"
        else:
            plain = entry.name == LOCK or (entry.is_file() and not entry.is_symlink())
            own = plain and bool(RUN_FILE.fullmatch(drafted(entry.name) or entry.name))
        if not own:
            yield entry.name


def _clear(path: Path) -> None:
    """Removes a run, its manifest first: what is left of it then is no run."""
    (path / MANIFEST).unlink(missing_ok=True)
    for entry in list(path.iterdir()):
        if entry.name == "data":
            remove_folder(entry, CORPUS_FILE)
        elif entry.name == CHECKPOINTS:
            for inner in list(entry.iterdir()):
                remove_folder(inner, CHECKPOINT_FILE)
            entry.rmdir()
        elif entry.name != LOCK:
            entry.unlink()


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
