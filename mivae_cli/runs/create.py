"""Create the directory of a new run, and clear or reject an existing one."""

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
from ..evaluation.records import SENTENCE_FILE
from ..storage.files import write_durably
from ..storage.lock import LOCK, is_lock, locked
from ..storage.manifest import MANIFEST, entry_of, write_manifest
from ..storage.ownership import draft_target, holds_only, remove_folder
from ..storage.sealed_json import claimed_kind, read_sealed, sealed, write_sealed
from .checkpoints import CHECKPOINT_FILE, CHECKPOINTS, NAME
from .directory import RunDirectory
from .sentence_files import SENTENCES

ELSEWHERE = "choose another output directory (--out; in Python, out=)"

RUN_FILE = re.compile(
    r"(manifest|config|environment|tokenizer|eval(\.damaged(-\d+)?)?|lock)\.json|"
    r"metrics(\.damaged(-\d+)?)?\.jsonl|report\.html"
)
MARKERS = {  # documents found only in runs, and their kinds
    MANIFEST: "run",
    "config.json": "config",
    "environment.json": "environment",
    "eval.json": "evaluation",
    f"data/{CORPUS_MANIFEST}": "corpus",
}


def create_run(
    path: Path, config: RunConfig, corpus: Corpus, overwrite: bool = False
) -> RunDirectory:
    """Creates the directory of a new run, with a copy of its prepared corpus.

    Raises:
        ConfigError: The directory contains other files or a run, is not writable, or is being
            written by another process.
        CheckpointError: The lock file is a link.
    """
    if corpus.folder.resolve().is_relative_to(path.resolve()):
        raise ConfigError(
            f"'{path}' contains the prepared corpus and cannot be replaced: choose another "
            "output directory (--out; in Python, out=), or another cache with the environment "
            "variable MIVAE_CACHE"
        )
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError as error:  # safetensors could write weights there but not read them
        raise ConfigError(f"the name '{path}' is not UTF-8: {ELSEWHERE}") from error
    try:
        path.mkdir(parents=True, exist_ok=True)
        _check_replaceable(path, overwrite)  # before creating a lock among other files
        with locked(path):
            _check_replaceable(path, overwrite)  # another process may have created a run meanwhile
            _clear(path)
            try:
                run = _create(path, config, corpus)
            except BaseException:
                with suppress(OSError):
                    _clear(path)
                raise
    except OSError as error:
        why = reason(error)
        if os.path.lexists(path) and not path.is_dir():
            why = f"it is not a folder; {ELSEWHERE}"
        raise ConfigError(f"cannot write the run to '{path}': {why}") from error
    return run


def _create(path: Path, config: RunConfig, corpus: Corpus) -> RunDirectory:
    corpus.copy_to(path / "data")
    identity = uuid.uuid4().hex
    body = {"run": identity, "config": config.model_dump(mode="json")}
    write_sealed(path / "config.json", "config", body)
    files = {
        "environment.json": sealed("environment", _environment(corpus)),
        "tokenizer.json": (corpus.folder / "tokenizer.json").read_bytes(),
    }
    for name, data in files.items():
        write_durably(path / name, data)
    write_durably(path / "metrics.jsonl", b"")
    entries = {name: entry_of(data) for name, data in files.items()}
    facts = {"id": identity, "corpus": corpus.checksum, "evaluated": False}
    write_manifest(path, "run", entries, facts)
    run = RunDirectory.open(path)
    if run.id != identity:
        raise ConfigError(f"'{path}' has just been replaced by another run: {ELSEWHERE}")
    return run


def _check_replaceable(path: Path, overwrite: bool) -> None:
    """Raises ConfigError unless a folder is empty or contains a run that may be replaced."""
    if others := list(_other_files(path)):
        raise ConfigError(
            f"'{path}' contains files that do not belong to a run ({others[0]}, ...): {ELSEWHERE}"
        )
    files = [entry for entry in path.rglob("*") if not entry.is_dir()]
    if not files:
        return
    if not _is_marked(path):
        raise ConfigError(
            f"'{path}' contains files that mivae did not write "
            f"({files[0].relative_to(path)}, ...): {ELSEWHERE}"
        )
    names = {entry.name for entry in path.iterdir() if not draft_target(entry.name)}
    if overwrite or not names - {LOCK}:
        return
    if MANIFEST in names or CHECKPOINTS in names:
        raise ConfigError(
            f"'{path}' already contains a run: resume it with --resume (in Python, mivae.resume), "
            f"replace it with --overwrite (overwrite=True), or {ELSEWHERE}"
        )
    if names <= {LOCK, "data"}:
        return  # left by a run that was stopped while it was being created
    try:
        read_sealed(path / "config.json", "config")
    except CheckpointError as error:
        raise ConfigError(
            f"'{path}' is not empty, and its config.json is missing or damaged: replace the "
            f"directory with --overwrite (in Python, overwrite=True), or {ELSEWHERE}"
        ) from error


def _is_marked(path: Path) -> bool:
    """Whether mivae wrote a file in a folder; other programs also write a `config.json`."""
    if any(claimed_kind(path / name) == kind for name, kind in MARKERS.items()):
        return True
    manifests = (path / CHECKPOINTS).glob(f"*/{MANIFEST}")
    return is_lock(path / LOCK) or any(claimed_kind(each) == "checkpoint" for each in manifests)


def _other_files(path: Path) -> Iterator[str]:
    """Yields the names of files and folders that do not belong to a run."""
    for entry in path.iterdir():
        if entry.name == "data":
            own = holds_only(entry, CORPUS_FILE)
        elif entry.name == SENTENCES:
            own = holds_only(entry, SENTENCE_FILE)
        elif entry.name == CHECKPOINTS:
            own = not entry.is_symlink() and entry.is_dir()
            for inner in entry.iterdir() if own else ():
                name = draft_target(inner.name) or inner.name
                if not NAME.fullmatch(name) or not holds_only(inner, CHECKPOINT_FILE):
                    yield f"{CHECKPOINTS}/{inner.name}"
        else:
            plain = entry.name == LOCK or (entry.is_file() and not entry.is_symlink())
            own = plain and bool(RUN_FILE.fullmatch(draft_target(entry.name) or entry.name))
        if not own:
            yield entry.name


def _clear(path: Path) -> None:
    """Removes a run; its manifest goes first, so that an interrupted removal leaves no run."""
    (path / MANIFEST).unlink(missing_ok=True)
    for entry in list(path.iterdir()):
        if entry.name == "data":
            remove_folder(entry, CORPUS_FILE)
        elif entry.name == SENTENCES:
            remove_folder(entry, SENTENCE_FILE)
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
