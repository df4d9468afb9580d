"""Coverage-guided fuzzing of the readers of untrusted files, with `tests/support/targets.py`.

atheris records which lines of mivae and its libraries an input reaches, and mutates inputs that
reach new lines. An input that fails ends the run; it is stored as crash-..., and --again runs it
once more.

    pip install atheris
    python benchmarks/fuzz.py --target weights --runs 20000
    python benchmarks/fuzz.py --target weights --again crash-3f2a...
"""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
INSTRUMENTED = ["mivae_cli", "tomllib", "csv", "gzip", "zipfile", "json", "numpy.lib"]
SECONDS, MEBIBYTES = 10, 2048  # limits per input


def main() -> None:
    """Fuzzes a target until an input fails, or for a number of inputs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", required=True)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=Path, help="an input to run once more")
    chosen = parser.parse_args()
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("atheris is missing; install it with pip install atheris")
    sys.path.insert(0, str(ROOT / "tests"))
    with atheris.instrument_imports(include=INSTRUMENTED):
        targets = importlib.import_module("support.targets")
    if chosen.target not in targets.TARGETS:
        parser.error(f"the targets are {', '.join(targets.TARGETS)}")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        workshop = targets.FuzzTargets(Path(folder))

        def attempt(data: bytes) -> None:
            workshop(chosen.target, data)

        if chosen.again:
            attempt(chosen.again.read_bytes())
            return
        limits = (
            f"-timeout={SECONDS}",
            f"-rss_limit_mb={MEBIBYTES}",
            "-max_len=400",
            "-len_control=0",
        )
        atheris.Setup(
            [sys.argv[0], f"-runs={chosen.runs}", f"-seed={chosen.seed}", *limits], attempt
        )
        atheris.Fuzz()  # which ends the process


if __name__ == "__main__":
    main()
