"""Detect paths among arguments that should be sentences, so that a mistyped run is an error."""

__all__ = ["check_sentences"]

import os
from collections.abc import Sequence
from pathlib import Path

from ...errors import ConfigError
from ...runs.find import nearest_run
from ...storage.manifest import MANIFEST

HINT = "if this is a sentence, name the run with --run RUN"
BEGINNINGS = (f"runs{os.sep}", f".{os.sep}", f"..{os.sep}", f"~{os.sep}")
ENDINGS = (".txt", ".jsonl", ".json", ".csv", ".tsv", ".parquet", ".gz", ".npz", ".npy",
           ".safetensors", ".toml", ".pt")  # fmt: skip


def check_sentences(texts: Sequence[str]) -> None:
    """Checks that arguments are sentences.

    Raises:
        ConfigError: An argument is the path of a file or folder, or looks like one.
    """
    for text in filter(None, texts):
        try:
            problem = _problem(text)
        except (
            OSError,
            ValueError,
        ):  # too long for a path, or has characters that no path can have
            continue
        if problem:
            raise ConfigError(f"{problem}; {HINT}")


def _problem(text: str) -> str:
    path = Path(text)
    if path.is_dir():
        runs = sorted(path.glob(f"*/{MANIFEST}"))
        inside = f" (it contains runs, such as '{runs[0].parent}')" if runs else ""
        return f"'{text}' is a folder, but not a run{inside}"
    if path.exists():
        return f"'{text}' is a file, not a run (for sentences from a file, see --help)"
    if (Path("runs") / text / MANIFEST).exists() and os.sep not in text:
        return f"no run at '{text}' (did you mean '{Path('runs') / text}'?)"
    if _looks_like_path(text):
        near = nearest_run(path)
        return f"no run at '{text}'" + (f" (did you mean '{near}'?)" if near else "")
    return ""


def _looks_like_path(text: str) -> bool:
    """Returns whether text that is not an existing path looks like one; 'and/or' does not."""
    if text.startswith(BEGINNINGS) or text == "~":
        return True
    if any(char.isspace() for char in text):
        # text with spaces is a path only if its parent folder exists
        return os.sep in text and Path(text).parent.is_dir() and Path(text).parent != Path("/")
    return os.sep in text or text.lower().endswith(ENDINGS)
