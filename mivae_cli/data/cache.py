"""The cache of prepared corpora: which folders are mivae's own, and which are being written.

    CACHE/KEY              an entry: a corpus in the form that `data.store` describes
    CACHE/KEY-2, ...       the same, where something else takes up CACHE/KEY
    CACHE/KEY.RANDOM       a draft: an entry that a process is writing

KEY has 32 hexadecimal digits. A cache may lie in any folder, so a name alone proves nothing. An
entry is mivae's own if its manifest says that it is a corpus, a draft if it holds the marker
`draft.lock`, and either only if there is nothing else in it. Nothing but these is ever removed.

The owner of a draft keeps its marker locked in the kernel until the draft has become an entry.
The kernel lets go when a process dies, so a draft whose marker can be locked is abandoned.
"""

__all__ = [
    "CORPUS_FILE",
    "MANIFEST",
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CheckpointError
from ..storage.ownership import holds_only, open_own, remove_folder
from ..storage.sealed_json import claimed_kind

MANIFEST = "corpus.json"
MARKER = "draft.lock"
SLOTS = 9  # in which an entry may lie
CORPUS_FILE = re.compile(
    r"(train|valid|test)\.(tokens|(offsets|lines)\.npy)|tokenizer\.json|corpus\.json"
)
CACHE_FILE = re.compile(rf"{CORPUS_FILE.pattern}|(\w+\.)?{re.escape(MARKER)}")
DRAFT_NAME = re.compile(r"[0-9a-f]{32}\.[0-9a-z_]{8}")


def slots(cache: Path, key: str) -> list[Path]:
    """Returns the folders in which the entry of a key may lie, in the order in which to look."""
    return [cache / key, *(cache / f"{key}-{number}" for number in range(2, SLOTS + 1))]


@contextmanager
def new_draft(cache: Path, key: str) -> Iterator[Path]:
    """Makes a draft, which is removed in the end unless it has been published.

    Raises:
        OSError: It cannot be made.
    """
    folder = _draft_name(cache, key)
    folder.mkdir()  # as the umask has it, so that users can share a cache
    marker = -1
    try:
        marker = _mark(folder)
        yield folder
    finally:
        with suppress(OSError):
            remove_folder(folder, CACHE_FILE, last=MARKER)
        if marker >= 0:
            os.close(marker)


def publish(draft: Path, entry: Path) -> bool:
    """Makes a draft an entry; returns whether nothing was in its place.

    Raises:
        OSError: It cannot be renamed.
    """
    try:
        if os.path.lexists(entry):
            return False
        draft.rename(entry)
    except OSError:
        if os.path.lexists(entry):  # by another process, a moment ago
            return False
        raise
    with suppress(OSError):  # its owner's lock holds until the draft's name is gone
        (entry / MARKER).unlink()
    return True


def remove_abandoned(cache: Path) -> None:
    """Removes the drafts of processes that are dead, and nothing else."""
    with suppress(OSError):
        for path in sorted(cache.iterdir()):
            if DRAFT_NAME.fullmatch(path.name):
                with suppress(OSError, CheckpointError):
                    _remove_abandoned(path)


def remove_entry(entry: Path) -> bool:
    """Removes an entry of the cache that cannot be used; returns whether it is gone.

    What is not an entry that mivae made is left as it is.
    """
    try:
        before = entry.lstat()
        if not holds_only(entry, CACHE_FILE) or claimed_kind(entry / MANIFEST) != "corpus":
            return False
        marker = _mark(entry)
    except FileNotFoundError:  # another process was faster
        return not os.path.lexists(entry)
    except (OSError, CheckpointError):
        return False
    try:
        dropped = _draft_name(entry.parent, entry.name[:32])
        entry.rename(dropped)
        if os.path.samestat(dropped.lstat(), before):
            remove_folder(dropped, CACHE_FILE, last=MARKER)
        else:  # what another process has just put in its place
            publish(dropped, entry)
    except OSError:
        return not os.path.lexists(entry)
    finally:
        os.close(marker)
    return True


def _draft_name(cache: Path, key: str) -> Path:
    return cache / f"{key}.{secrets.token_hex(4)}"


def _mark(folder: Path) -> int:
    """Puts the marker into a folder, and returns a descriptor that keeps it locked.

    It is renamed only once it is locked, so that no process can find it unlocked.
    """
    unlocked = folder / f"{secrets.token_hex(4)}.{MARKER}"
    descriptor = open_own(unlocked)
    with suppress(OSError):  # without locks on this file system, no other process removes it
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.replace(unlocked, folder / MARKER)
    return descriptor


def _remove_abandoned(draft: Path) -> None:
    if draft.is_symlink():
        return
    marker = draft / MARKER
    descriptor = open_own(marker, create=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), marker.lstat()):
            remove_folder(draft, CACHE_FILE, last=MARKER)
    finally:
        os.close(descriptor)
