"""Estimates the mutual information between one column of a table and each of the others.

    python examples/data_frame_mi.py table.csv --target price

Reads the table with pandas if it is installed, otherwise with NumPy. Without a table, it draws one
in which the true values are known: x1 is correlated with the target (r = 0.8), x2 is its noisy
square, and x3 is independent of it.
"""

import argparse
import importlib
import importlib.util
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

import mivae_cli as mivae

Frame = Mapping[str, ArrayLike]  # a dict of arrays, or a data frame of pandas or polars


def read_table(path: str) -> Frame:
    """Returns the columns of a CSV file of numbers with a header."""
    if importlib.util.find_spec("pandas"):
        frame: Frame = importlib.import_module("pandas").read_csv(path)
        return frame
    table = np.genfromtxt(path, delimiter=",", names=True)
    return {name: table[name] for name in table.dtype.names or ()}


def example_table(rows: int, seed: int) -> Frame:
    """Returns a table with the columns target, x1, x2 and x3."""
    generator = np.random.default_rng(seed)
    target, noise, other, x3 = generator.normal(size=(4, rows))
    x1 = 0.8 * target + 0.6 * noise  # I = -ln(1 - 0.8^2) / 2 = 0.511 nats
    return {"target": target, "x1": x1, "x2": target**2 + 0.5 * other, "x3": x3}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row per column."""
    parser = argparse.ArgumentParser(description="Mutual information of columns of a table.")
    parser.add_argument("table", nargs="?", help="CSV file with a header.")
    parser.add_argument("--target", default="target", help="Column name (%(default)s).")
    parser.add_argument("--rows", type=int, default=5000, help="Rows of the example table.")
    options = parser.parse_args(arguments)

    frame = read_table(options.table) if options.table else example_table(options.rows, seed=0)
    print("column       I (nats)  95 % interval     estimator  p-value")
    for name in frame:
        if name == options.target:
            continue
        report = mivae.estimate_mutual_information(
            frame[name], frame[options.target], profile="quick", permutations=200
        )
        best = report.recommended
        assert best is not None
        low, high = (np.nan if end is None else end for end in (best.ci_low, best.ci_high))
        interval = f"[{low:.3f}, {high:.3f}]"
        print(
            f"{name:<12} {best.value:8.3f}  {interval:<16}  {best.estimator:<9}  {report.p_value:.3f}"
        )


if __name__ == "__main__":
    main()
