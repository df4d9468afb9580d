"""Tells a sentence from a path among a command's arguments, so that a mistyped run is an error."""

__all__ = ["check_sentences"]

import os
from collections.abc import Sequence
from pathlib import Path

from ...errors import ConfigError
from ...runs.directory import nearest_run
from ...storage.manifest import MANIFEST

HINT = "if it is a sentence, name the run with --run RUN"
BEGINNINGS = (f"runs{os.sep}", f".{os.sep}", f"..{os.sep}", f"~{os.sep}")
ENDINGS = (".txt", ".jsonl", ".json", ".csv", ".tsv", ".parquet", ".gz", ".npz", ".npy",
           ".safetensors", ".toml", ".pt")  # fmt: skip


def check_sentences(texts: Sequence[str]) -> None:
    """Refuses what is likelier a path than a sentence.

    Raises:
        ConfigError: An argument names a folder or a file, or looks as if it should.
    """
    for text in filter(None, texts):
        try:
            problem = _problem(text)
        except (OSError, ValueError):  # too long for a path, or holds what no path can
            continue
        if problem:
            raise ConfigError(f"{problem}; {HINT}")


def _problem(text: str) -> str:
    path = Path(text)
    if path.is_dir():
        runs = sorted(path.glob(f"*/{MANIFEST}"))
        inside = f" (it holds runs, such as '{runs[0].parent}')" if runs else ""
        return f"'{text}' is a folder, but not a run{inside}"
    if path.exists():
        return f"'{text}' is a file, not a run (to read sentences from a file, see --help)"
    if (Path("runs") / text / MANIFEST).exists() and os.sep not in text:
        return f"there is no run '{text}' (did you mean '{Path('runs') / text}'?)"
    if _looks_like_path(text):
        near = nearest_run(path)
        return f"there is no run '{text}'" + (f" (did you mean '{near}'?)" if near else "")
    return ""


def _looks_like_path(text: str) -> bool:
    """Tells whether text that is no path yet is written as one; 'his and/or hers' is not."""
    if text.startswith(BEGINNINGS) or text == "~":
        return True
    if any(char.isspace() for char in text):
        # with spaces in it, a path is known by a folder that exists
        return os.sep in text and Path(text).parent.is_dir() and Path(text).parent != Path("/")
    return os.sep in text or text.lower().endswith(ENDINGS)
