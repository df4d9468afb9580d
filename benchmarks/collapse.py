"""Who collapses, and what holding information costs: the same model and budget for all.

Trains a language model, the plain VAE and the MI objective at several weights on one corpus,
evaluates each on its test split, and prints a Markdown table. A run that is there already is
not trained again, one that was interrupted is resumed, so the script may be stopped at any time.

    python benchmarks/collapse.py FOLDER --out runs/collapse
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from mivae_cli.run import RunDirectory
from mivae_cli.storage.documents import read_sealed

ROWS = {
    "lm": ["--preset", "lm"],
    "vae": ["--preset", "vae"],
    "mine-0": ["--preset", "mine", "--mi-weight", "0"],
    "mine-0.5": ["--preset", "mine", "--mi-weight", "0.5"],
    "mine-1": ["--preset", "mine", "--mi-weight", "1"],
    "mine-2": ["--preset", "mine", "--mi-weight", "2"],
}
HEAD = (
    "| run | IW-PPL | -ELBO | D | KL | MI | MI lower bound (dual) | MI upper (leave-one-out) | AU "
    "| epochs | minutes |"
)


def mivae(*arguments: object) -> str:
    """Runs a command of the program and returns what it printed."""
    command = [sys.executable, "-m", "mivae_cli", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def trained(place: Path) -> bool:
    """Tells whether a run has come to its end and was evaluated."""
    return (place / "eval.json").is_file()


def evaluated(place: Path, samples: int) -> dict[str, Any]:
    """Returns a run's evaluation record with so many samples, made now unless it is there."""
    record: dict[str, Any] = RunDirectory.open(place).evaluation
    if record["iw_samples"] != samples and record["latent_units"]:
        record = json.loads(mivae("eval", place, "--iw-samples", samples, "--json"))
    return record


def row(name: str, place: Path, record: dict[str, Any]) -> str:
    """Returns a run's line of the table."""
    last = RunDirectory.open(place / "checkpoints" / "last").checkpoint
    state = read_sealed(last.manifest.path("state.json"), "state")["state"]
    cells = [f"{record[key]:.2f}" for key in ("ppl_iw", "nll", "distortion")]
    if (mi := record["mi"]) is None:
        cells += ["-"] * 5
    else:
        dual = mi["dual"]
        cells += [
            f"{record['rate']:.2f}",
            f"{mi['known_posterior']['value']:.2f}",
            f"{dual['value']:.2f} [{dual['ci_low']:.2f}, {dual['ci_high']:.2f}]",
            f"{mi['leave_one_out']['value']:.2f}",
            f"{record['active_units']}/{record['latent_units']}",
        ]
    cells += [str(state["epoch"]), f"{state['seconds'] / 60:.0f}"]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Trains what is not trained, evaluates, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", help="A folder with train, valid and test files.")
    parser.add_argument("--out", type=Path, default=Path("runs/collapse"))
    parser.add_argument("--iw-samples", type=int, default=500)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("options", nargs="*", help="After --: further options of 'mivae train'.")
    given = parser.parse_args()
    lines = []
    for name in given.rows:
        place = given.out / name
        if (place / "checkpoints" / "last").is_dir() and not trained(place):
            mivae("train", "--resume", "--out", place, "--iw-samples", 1)
        elif not trained(place):
            options = ["--tokenizer", "word", "--iw-samples", 1, *ROWS[name], *given.options]
            mivae("train", given.corpus, "--out", place, *options)
        lines.append(row(name, place, evaluated(place, given.iw_samples)))
    columns = HEAD.count("|") - 1
    print(HEAD, "|" + "---|" * columns, *lines, sep="\n")


if __name__ == "__main__":
    main()
