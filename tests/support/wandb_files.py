"""Read the file of an offline run of wandb."""

import json
import struct
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

BLOCK = 32_768  # bytes
HEADER = 7  # bytes of the file's header, and of a record's: checksum, length, type


def records(path: Path) -> Iterator[Any]:
    """Yields the records of a file, as messages of `wandb.proto`.

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
