"""Manifests: what a folder holds, to the byte.

A manifest is a sealed document beside the files it vouches for, and it is written last: a
folder without one is not complete, and what it does not name is not read.
"""

__all__ = ["MANIFEST", "Entry", "Manifest", "entry_of", "vouch_for"]

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from .. import limits
from ..errors import CheckpointError
from .files import PLAIN_NAME, check_dense, open_plain
from .sealed_json import Kind, read_sealed, write_sealed

MANIFEST = "manifest.json"


class Entry(BaseModel):
    """What a file must be."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int = Field(ge=0, le=2**53)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


ENTRIES = TypeAdapter(dict[str, Entry])


@dataclass(frozen=True)
class Manifest:
    """What is vouched for in a folder; read from its `manifest.json`."""

    folder: Path
    files: Mapping[str, Entry]
    body: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, kind: Kind, name: str = MANIFEST) -> Self:
        """Reads a folder's manifest; of the files only their names are looked at.

        Raises:
            CheckpointError: It is missing or damaged, or names what lies outside the folder.
        """
        path = folder / name
        if kind != "run" and folder.is_symlink():  # a run itself may be reached through one
            raise CheckpointError(f"'{folder}' is a link: a run holds its folders itself")
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"'{folder}' is damaged: it is no folder")
        body = read_sealed(path, kind)
        try:
            files = ENTRIES.validate_python(body.get("files"))
        except ValidationError as error:
            raise CheckpointError(f"'{path}' is damaged: {error.errors()[0]['msg']}") from error
        for file in files:
            if not PLAIN_NAME.fullmatch(file):  # neither '../x' nor '/x' nor 'x/y'
                raise CheckpointError(f"'{path}' is damaged: it names a file {file[:80]!r}")
        if len(files) > limits.MAX_MANIFEST_FILES:
            raise CheckpointError(f"'{path}' is damaged: it names {len(files):,} files")
        return cls(folder, files, body)

    def path(self, name: str) -> Path:
        """Returns the path of a file once its bytes have been found to be what they must be.

        Raises:
            CheckpointError: The manifest does not name it, or it is missing or damaged.
        """
        path = self.folder / name
        if name not in self.files:
            raise CheckpointError(f"'{path}' is vouched for by no manifest")
        expected = self.files[name]
        with open_plain(path) as file:
            try:
                size = os.fstat(file.fileno()).st_size
                if size > (
                    most := limits.MAX_FILE_BYTES.get(path.suffix, limits.MAX_OTHER_FILE_BYTES)
                ):
                    raise CheckpointError(
                        f"'{path}' is damaged: it has {size:,} bytes, and no such file has more "
                        f"than {most:,}"
                    )
                if size != expected.size:
                    raise CheckpointError(
                        f"'{path}' is damaged: it has {size:,} bytes instead of {expected.size:,}"
                    )
                check_dense(file, path)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise CheckpointError(f"cannot read '{path}': {error.strerror}") from error
        if digest != expected.sha256:
            raise CheckpointError(f"'{path}' is damaged: its checksum does not fit")
        return path


def entry_of(data: bytes | Path) -> Entry:
    """Returns what a manifest says of bytes, or of a file as it is now."""
    if isinstance(data, bytes):
        return Entry(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    with data.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Entry(size=file.tell(), sha256=digest)


def vouch_for(
    folder: Path,
    kind: Kind,
    files: Mapping[str, Entry],
    body: Mapping[str, Any],
    name: str = MANIFEST,
) -> None:
    """Writes a folder's manifest, which makes the folder complete."""
    entries = {name: entry.model_dump() for name, entry in files.items()}
    write_sealed(folder / name, kind, {**body, "files": entries})
