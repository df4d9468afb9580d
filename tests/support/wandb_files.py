"""Read the file of an offline run of wandb."""

import json
import struct
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

BLOCK = 32_768  # bytes
TRIES = 2000  # 100 seconds
HEADER = 7  # bytes of the file's header, and of a record's: checksum, length, type


def records(path: Path) -> list[Any]:
    """Returns the records of a finished run, as messages of `wandb.proto`.

    wandb writes the file in a process of its own, which may be behind: this waits for the last
    record.
    """
    for _ in range(TRIES):
        found = list(_records(path))
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{path} has no last record")


def _records(path: Path) -> Iterator[Any]:
    """Yields the records written so far.

    A record is stored whole (type 1) or in parts (types 2, 3, ..., 4), which do not cross blocks.
    """
    messages: Any = import_module("wandb.proto.wandb_internal_pb2")
    data, at, part = path.read_bytes(), HEADER, b""
    while at + HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if not kind:
            at += left
            continue
        if at + HEADER + length > len(data):
            return
        part += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):
            yield messages.Record.FromString(part)
            part = b""


def history(path: Path) -> list[dict[str, Any]]:
    """Returns the logged values by name, with the step as `_step`."""
    return [
        {
            item.key or "/".join(item.nested_key): json.loads(item.value_json)
            for item in record.history.item
        }
        for record in records(path)
        if record.WhichOneof("record_type") == "history"
    ]
