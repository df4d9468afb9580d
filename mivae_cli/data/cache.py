"""The cache of prepared corpora: its entries and drafts.

    CACHE/KEY              an entry: a prepared corpus, see `data.prepared_corpus`
    CACHE/KEY-2, ...       the same, if another file or folder occupies CACHE/KEY
    CACHE/KEY.RANDOM       a draft: an entry that a process is writing

KEY has 32 hexadecimal digits. The cache may share its folder with other files, so a name does not
prove that mivae made a folder. An entry must have a manifest of a corpus, a draft must contain the
marker `draft.lock`, and neither may contain any other file. Only such folders are ever removed.

The process that writes a draft locks the marker until the draft has become an entry. The kernel
releases the lock when the process dies: a draft whose marker can be locked is abandoned.

A draft of a large text has a plan, `plan.json`. If it is abandoned, the next process that prepares
the same corpus adopts it and continues; after a week without a change it is removed like others.
"""

__all__ = [
    "CORPUS_FILE",
    "MANIFEST",
    "PLAN",
    "clear_draft",
    "new_draft",
    "publish",
    "remove_abandoned",
    "remove_entry",
    "slots",
]

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CheckpointError, DataError
from ..storage.ownership import holds_only, open_own, remove_folder
from ..storage.sealed_json import claimed_kind

MANIFEST = "corpus.json"
MARKER = "draft.lock"
PLAN = "plan.json"
PLAN_SECONDS = 7 * 24 * 3600  # for which an abandoned draft with a plan is kept
SLOTS = 9  # possible folders of an entry
CORPUS_FILE = re.compile(
    r"(train|valid|test)\.(tokens|(offsets|lines)\.npy)|tokenizer\.json|corpus\.json"
)
SHARD_FILE = re.compile(r"shard-\d{6}\.(json|(train|valid|test)\.(ids|lengths|lines))(\.\d+)?")
CACHE_FILE = re.compile(
    rf"{CORPUS_FILE.pattern}|{SHARD_FILE.pattern}|{re.escape(PLAN)}|(\w+\.)?{re.escape(MARKER)}"
)
DRAFT_NAME = re.compile(r"[0-9a-f]{32}\.[0-9a-z_]{8}")


def slots(cache: Path, key: str) -> list[Path]:
    """Returns the possible folders of an entry, in the order in which they are tried."""
    return [cache / key, *(cache / f"{key}-{number}" for number in range(2, SLOTS + 1))]


@contextmanager
def new_draft(cache: Path, key: str) -> Iterator[Path]:
    """Context manager that creates a draft, or adopts an abandoned one of the same key.

    It is removed at the end unless published. If it is interrupted, a draft with a plan is kept.

    Raises:
        OSError: The draft cannot be created.
    """
    folder, marker = _adopted(cache, key) or (_draft_name(cache, key), -1)
    if marker < 0:
        folder.mkdir()  # with the umask's permissions, so that users can share a cache
    kept = False
    try:
        marker = marker if marker >= 0 else _mark(folder)
        yield folder
    except BaseException as error:
        kept = not isinstance(error, DataError) and (folder / PLAN).exists()
        raise
    finally:
        if not kept:
            with suppress(OSError):
                remove_folder(folder, CACHE_FILE, last=MARKER)
        if marker >= 0:
            os.close(marker)


def clear_draft(draft: Path) -> None:
    """Removes the plan and the shards of a draft, the plan first."""
    (draft / PLAN).unlink(missing_ok=True)
    for path in draft.iterdir():
        if SHARD_FILE.fullmatch(path.name):
            path.unlink()


def publish(draft: Path, entry: Path) -> bool:
    """Renames a draft to an entry; returns False if that path already exists.

    Raises:
        OSError: The draft cannot be renamed.
    """
    try:
        if os.path.lexists(entry):
            return False
        draft.rename(entry)
    except OSError:
        if os.path.lexists(entry):  # another process has just created it
            return False
        raise
    with suppress(OSError):  # the lock must last until the draft is renamed
        (entry / MARKER).unlink()
    return True


def remove_abandoned(cache: Path) -> None:
    """Removes the drafts of dead processes."""
    with suppress(OSError):
        for path in sorted(cache.iterdir()):
            if DRAFT_NAME.fullmatch(path.name) and not path.is_symlink():
                with suppress(OSError, CheckpointError):
                    _remove_abandoned(path)


def remove_entry(entry: Path) -> bool:
    """Removes an unusable entry; returns whether its path is free.

    Files and folders that mivae did not create are left alone.
    """
    try:
        before = entry.lstat()
        if not holds_only(entry, CACHE_FILE) or claimed_kind(entry / MANIFEST) != "corpus":
            return False
        marker = _mark(entry)
    except FileNotFoundError:  # another process has removed it
        return not os.path.lexists(entry)
    except (OSError, CheckpointError):
        return False
    try:
        discarded = _draft_name(entry.parent, entry.name[:32])
        entry.rename(discarded)
        if os.path.samestat(discarded.lstat(), before):
            remove_folder(discarded, CACHE_FILE, last=MARKER)
        else:  # another process has just created this one: put it back
            publish(discarded, entry)
    except OSError:
        return not os.path.lexists(entry)
    finally:
        os.close(marker)
    return True


def _draft_name(cache: Path, key: str) -> Path:
    return cache / f"{key}.{secrets.token_hex(4)}"


def _mark(folder: Path) -> int:
    """Creates the marker of a draft and returns a descriptor that keeps it locked.

    The marker gets its name only after it is locked, so that no process can find it unlocked.
    """
    unlocked = folder / f"{secrets.token_hex(4)}.{MARKER}"
    descriptor = open_own(unlocked)
    with suppress(OSError):  # without file locks, other processes cannot remove the draft either
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.replace(unlocked, folder / MARKER)
    return descriptor


def _remove_abandoned(draft: Path) -> None:
    with suppress(FileNotFoundError):  # it has no plan
        if time.time() - (draft / PLAN).lstat().st_mtime < PLAN_SECONDS:
            return
    descriptor = _lock_abandoned(draft)
    try:
        remove_folder(draft, CACHE_FILE, last=MARKER)
    finally:
        os.close(descriptor)


def _adopted(cache: Path, key: str) -> tuple[Path, int] | None:
    """Returns an abandoned draft of a key that has a plan, and its locked marker."""
    for path in sorted(cache.glob(f"{key}.*")):
        if DRAFT_NAME.fullmatch(path.name) and (path / PLAN).exists():
            with suppress(OSError, CheckpointError):
                if holds_only(path, CACHE_FILE):
                    return path, _lock_abandoned(path)
    return None


def _lock_abandoned(draft: Path) -> int:
    """Locks the marker of an abandoned draft; returns its descriptor.

    Raises:
        CheckpointError: The marker is a link.
        OSError: There is no marker, or the owner of the draft is alive.
    """
    marker = draft / MARKER
    descriptor = open_own(marker, create=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), marker.lstat()):
            raise FileNotFoundError(str(marker))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
