"""Measurements stored in a file, and Markdown tables, for the parts of a benchmark."""

__all__ = ["DRAWS", "Cells", "Record", "table", "timed"]

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Record = dict[str, Any]

DRAWS = 1_000  # added to the seed of training, so that pairs and weights use different seeds


class Cells:
    """Measurements stored in a JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Record] = json.loads(path.read_text()) if path.is_file() else {}

    def at(self, key: str, measure: Callable[[], Record]) -> Record:
        """Returns the measurement of a key; measures it if it is not stored."""
        if key not in self.records:
            self.records[key] = measure()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft = self.path.with_suffix(".draft")
            draft.write_text(json.dumps(self.records, indent=1))
            os.replace(draft, self.path)
        return self.records[key]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a Markdown table."""
    print(f"\n| {' | '.join(head)} |", "|" + "---|" * len(head), sep="\n")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def timed(values: Callable[[], Record]) -> Record:
    """Returns a record with the CPU seconds of its computation."""
    start = time.process_time()
    return {**values(), "cpu_seconds": time.process_time() - start}
