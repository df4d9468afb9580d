"""What the parts of a benchmark share: finished measurements in a file, and Markdown tables."""

__all__ = ["DRAWS", "Cells", "Record", "table", "timed"]

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Record = dict[str, Any]

DRAWS = 1_000  # added to the seed of a fit, so that pairs and weights come from other streams


class Cells:
    """Finished measurements in a JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Record] = json.loads(path.read_text()) if path.is_file() else {}

    def at(self, key: str, measure: Callable[[], Record]) -> Record:
        """Returns what a key holds, measured now unless it is there."""
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
    """Returns a record with the CPU-seconds that it took."""
    start = time.process_time()
    return {**values(), "cpu_seconds": time.process_time() - start}
