"""A cache of encoded corpora, so that an explorer that starts again does not encode again.

    CACHE/explorer/KEY.map    vectors, rates and places of one corpus under one model

KEY is a hash of the checkpoint, the token ids and the kind of map. A file has a checksum (SHA-256, 32
bytes), then arrays in the safetensors format; it is complete or absent. A file that is damaged, too large or of another shape is ignored and replaced.
The cache keeps the most recently used files.
"""

__all__ = ["CachedArrays", "cache_folder", "cache_key", "load_arrays", "store_arrays"]

import hashlib
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from .. import limits
from ..data.prepared_corpus import default_cache
from ..errors import CheckpointError, ConfigError
from ..storage.files import read_plain, write_durably
from ..storage.ownership import draft_target

FORMAT = 1  # of these files; a file of another format has another key
NAME = re.compile(r"[0-9a-f]{32}\.map")
ABANDONED = 86_400  # seconds after which a draft belongs to no process
CachedArrays = dict[str, NDArray[np.float32]]


def cache_folder() -> Path | None:
    """Returns the folder of cached maps; None without a home directory."""
    with suppress(ConfigError):
        return default_cache() / "explorer"
    return None


def cache_key(*parts: object) -> str:
    """Returns the key for everything that determines the arrays."""
    return hashlib.sha256(repr((FORMAT, *parts)).encode()).hexdigest()[:32]


def load_arrays(
    folder: Path, key: str, shapes: Mapping[str, tuple[int, ...]]
) -> CachedArrays | None:
    """Returns the arrays stored under a key if they are intact and have these shapes."""
    path = folder / f"{key}.map"
    try:
        data = read_plain(path, limits.MAX_MAP_FILE_BYTES)
        digest, content = data[:32], data[32:]
        if hashlib.sha256(content).digest() != digest:
            return None
        arrays = load(content)
    except (CheckpointError, SafetensorError, ValueError, KeyError, OSError):
        return None
    if {name: array.shape for name, array in arrays.items()} != dict(shapes):
        return None
    for array in arrays.values():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            return None
    with suppress(OSError):
        os.utime(path)  # the cache keeps what was used last
    return arrays


def store_arrays(folder: Path, key: str, arrays: CachedArrays) -> bool:
    """Stores arrays, and removes the oldest files; returns whether they were stored.

    A full disk or a read-only folder is no error: the next start encodes again.
    """
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    data = hashlib.sha256(content).digest() + content
    if len(data) > limits.MAX_MAP_FILE_BYTES:
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / f"{key}.map", data)
        _remove_oldest(folder)
    except OSError:
        return False
    return True


def _remove_oldest(folder: Path) -> None:
    """Removes the files used least recently, above the limit on their number."""
    own: list[tuple[float, Path]] = []
    for path in folder.iterdir():
        target = draft_target(path.name)
        if not NAME.fullmatch(target or path.name) or path.is_symlink():
            continue
        with suppress(OSError):
            used = path.stat().st_mtime
            if target is None:
                own.append((used, path))
            elif time.time() - used > ABANDONED:
                path.unlink()
    for _, path in sorted(own)[: -limits.MAX_MAP_FILES]:
        path.unlink(missing_ok=True)
