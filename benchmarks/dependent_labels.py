"""Measure labels and conditional mutual information of groups of rows and of time series.

Prints Markdown tables. Uses one thread.

    python benchmarks/dependent_labels.py labels       # I(x; label)
    python benchmarks/dependent_labels.py conditional  # I(x; z | w)
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from cells import table
from dependent_rows import Random, effects, series
from mivae_cli.estimators.conditional.estimate import conditional_report
from mivae_cli.estimators.discrete.estimates import discrete_estimates
from mivae_cli.estimators.permutation_tests import independence_p_value
from mivae_cli.estimators.report import Recommendation
from mivae_cli.estimators.rows import Rows
from mivae_cli.estimators.variables import Variable

Array = NDArray[np.float64]
Found = tuple[Recommendation, float]
COUNT, PERMUTATIONS = 1_500, 39
COUPLINGS = 0.0, 0.7


def sampler(share: float, length: int) -> Callable[[Random, int], tuple[Array, Rows]]:
    """Returns a sampler of independent series of variance 1, in blocks."""
    scale = math.sqrt(1 - share**2)
    return lambda random, number: (
        scale * series(COUNT, share, number, random),
        Rows.by_blocks(COUNT, length),
    )


def groups(random: Random, number: int) -> tuple[Array, Rows]:
    """Returns columns of variance 1 in 100 groups of 15 rows."""
    group = np.repeat(np.arange(COUNT // 15), 15)
    return effects(group, 0.9, number, random), Rows.by_group(group)


KINDS = {
    "AR(0.9), blocks of 50": sampler(0.9, 50),
    "AR(0.95), blocks of 75": sampler(0.95, 75),
    "100 groups of 15, 90% common": groups,
}


def coupled(columns: Array, rho: float) -> Array:
    """Returns a column with the correlation rho with the first, from the first and the last."""
    return np.asarray(rho * columns[:, 0] + math.sqrt(1 - rho**2) * columns[:, -1])


def label_information(rho: float, classes: int) -> float:
    """Returns the information of a normal x and of the quantile class of a correlated normal."""
    x = np.linspace(-8, 8, 8_001)
    ends = np.r_[-np.inf, norm.ppf(np.arange(1, classes) / classes), np.inf]
    shares = np.diff(norm.cdf((ends[:, None] - rho * x) / math.sqrt(1 - rho**2)), axis=0)
    lost = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=0)
    return math.log(classes) - float(np.average(lost, weights=norm.pdf(x)))


def labels(random: Random, kind: str, rho: float, seed: int, by_unit: bool) -> Found:
    """Returns the recommended estimate and the p-value of three columns and four classes."""
    columns, rows = KINDS[kind](random, 4)
    classes = np.searchsorted(norm.ppf([0.25, 0.5, 0.75]), coupled(columns, rho))
    x = Variable.of("x", torch.from_numpy(columns[:, :3].copy()))
    label = Variable.of("label", codes=torch.from_numpy(classes))
    rows = rows if by_unit else Rows.independent(COUNT)
    best = discrete_estimates(x, label, rows=rows, seed=seed).recommended
    return best, independence_p_value(x, label, rows, PERMUTATIONS, seed)


def conditional(random: Random, kind: str, rho: float, seed: int, by_unit: bool) -> Found:
    """Returns the same for x and z with a common cause w along curves."""
    columns, rows = KINDS[kind](random, 3)
    w = columns[:, 1]
    sides = w + columns[:, 0], np.sin(2 * w) + coupled(columns, rho), w
    x, z, given = (
        Variable.of(name, torch.from_numpy(side)) for name, side in zip("xzw", sides, strict=True)
    )
    rows = rows if by_unit else Rows.independent(COUNT)
    report = conditional_report(x, z, given, permutations=PERMUTATIONS, rows=rows, seed=seed)
    assert report.recommended is not None
    assert report.p_value is not None
    return report.recommended, report.p_value


def main() -> None:
    """Prints mean errors, coverage and shares of small p-values, by rows and by units."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["labels", "conditional"])
    parser.add_argument("--repetitions", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    measure = labels if arguments.what == "labels" else conditional
    rows_of_table = []
    for kind in KINDS:
        for rho in COUPLINGS:
            normal = 0.5 * math.log(1 / (1 - rho**2))
            truth = label_information(rho, 4) if arguments.what == "labels" else normal
            cells = []
            for by_unit in (False, True):
                values, covers, small = [], [], []
                for seed in range(arguments.repetitions):
                    best, p_value = measure(np.random.default_rng(seed), kind, rho, seed, by_unit)
                    values.append(best.value)
                    covers.append(
                        (best.ci_low or 0.0) <= truth + 1e-9 <= (best.ci_high or 0.0) + 2e-9
                    )
                    small.append(p_value <= 0.05)
                error = np.mean(values) - truth
                cells.append(f"{error:+.3f}, {np.mean(covers):.0%}")
                cells.append(f"{np.mean(small):.2f}")
            rows_of_table.append([kind, f"{truth:.3f}", *cells])
            print(rows_of_table[-1], flush=True)
    heads = [head for by in ("rows", "units") for head in (f"by {by}", f"{by}: p <= 0.05")]
    table(["rows", "truth", *heads], rows_of_table)


if __name__ == "__main__":
    main()
