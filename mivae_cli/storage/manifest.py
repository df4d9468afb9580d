"""Manifests: sealed documents with the size and checksum of every file in a folder.

A manifest is written last, so a folder without one is incomplete; unlisted files are not read.
"""

__all__ = ["MANIFEST", "Entry", "Manifest", "entry_of", "write_manifest"]

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from .. import limits
from ..errors import CheckpointError
from .files import PLAIN_NAME, check_not_sparse, open_checked
from .sealed_json import Kind, read_sealed, write_sealed

MANIFEST = "manifest.json"


class Entry(BaseModel):
    """The size and checksum of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int = Field(ge=0, le=2**53)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


ENTRIES = TypeAdapter(dict[str, Entry])


@dataclass(frozen=True)
class Manifest:
    """The entries of a folder's `manifest.json`, and the other fields of that document."""

    folder: Path
    files: Mapping[str, Entry]
    body: Mapping[str, Any]
    _verified: dict[str, object] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, folder: Path, kind: Kind, name: str = MANIFEST) -> Self:
        """Reads a folder's manifest, but none of the files that it lists.

        Raises:
            CheckpointError: The manifest is missing, damaged, or lists a path outside the folder.
        """
        path = folder / name
        if kind != "run" and folder.is_symlink():  # only a run itself may be a link
            raise CheckpointError(f"'{folder}' is a link: replace it by the folder it points to")
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"'{folder}' is damaged: it is not a folder")
        body = read_sealed(path, kind)
        try:
            files = ENTRIES.validate_python(body.get("files"))
        except ValidationError as error:
            raise CheckpointError(f"'{path}' is damaged: {error.errors()[0]['msg']}") from error
        for file in files:
            if not PLAIN_NAME.fullmatch(file):  # neither '../x' nor '/x' nor 'x/y'
                raise CheckpointError(f"'{path}' is damaged: it lists a file named {file[:80]!r}")
        if len(files) > limits.MAX_MANIFEST_FILES:
            raise CheckpointError(f"'{path}' is damaged: it lists {len(files):,} files")
        return cls(folder, files, body)

    def checked_path(self, name: str) -> Path:
        """Returns the path of a file after verifying its size and checksum.

        A file is not read again by this object unless its inode, size or time has changed.

        Raises:
            CheckpointError: The manifest does not list the file, or it is missing or damaged.
        """
        path = self.folder / name
        if name not in self.files:
            raise CheckpointError(f"'{path}' is not listed in the manifest")
        if name not in self._verified or self._verified[name] != _identity(path):
            self._verified[name] = _verify(path, self.files[name])
        return path


def entry_of(data: bytes | Path) -> Entry:
    """Returns the size and checksum of bytes or of a file."""
    if isinstance(data, bytes):
        return Entry(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    with data.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Entry(size=file.tell(), sha256=digest)


def write_manifest(
    folder: Path,
    kind: Kind,
    files: Mapping[str, Entry],
    body: Mapping[str, Any],
    name: str = MANIFEST,
) -> None:
    """Writes a folder's manifest, which makes the folder complete."""
    entries = {name: entry.model_dump() for name, entry in files.items()}
    write_sealed(folder / name, kind, {**body, "files": entries})


def _identity(path: Path) -> object:
    try:
        return _identity_of(path.lstat())
    except OSError:
        return None


def _identity_of(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _verify(path: Path, expected: Entry) -> tuple[int, ...]:
    """Returns the identity of a file after comparing its content with an entry."""
    limit = limits.MAX_FILE_BYTES.get(path.suffix, limits.MAX_OTHER_FILE_BYTES)
    with open_checked(path, limit) as file:
        status = os.fstat(file.fileno())
        if status.st_size != expected.size:
            raise CheckpointError(
                f"'{path}' is damaged: it has {status.st_size:,} bytes instead of "
                f"{expected.size:,}"
            )
        check_not_sparse(file, path)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected.sha256:
        raise CheckpointError(f"'{path}' is damaged: checksum mismatch")
    return _identity_of(status)
