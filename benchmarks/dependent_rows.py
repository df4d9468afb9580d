"""Measure tests, intervals and warnings for rows that are not independent.

Prints Markdown tables. Uses one thread.

    python benchmarks/dependent_rows.py tests      # p-values under independence
    python benchmarks/dependent_rows.py intervals  # coverage of 95 % intervals
    python benchmarks/dependent_rows.py warnings   # false alarms and detections
    python benchmarks/dependent_rows.py ranking    # seconds, p-values and false discoveries
"""

import argparse
import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import Tensor

from cells import table
from mivae_cli.estimators.gaussian_estimators import closed_form
from mivae_cli.estimators.near_copies import near_copies
from mivae_cli.estimators.nearest_neighbours import ksg_estimate
from mivae_cli.estimators.permutation_tests import permutation_p_values
from mivae_cli.estimators.ranking import rank_variables
from mivae_cli.estimators.row_checks import serial_dependence
from mivae_cli.estimators.rows import Rows
from mivae_cli.estimators.variables import Variable

Array = NDArray[np.float64]
Random = np.random.Generator

ROWS = 2000
SIZES: dict[str, Callable[[Random], NDArray[np.int64]]] = {
    "100 groups of 10": lambda r: np.full(100, 10),
    "100 groups, geometric sizes": lambda r: r.geometric(0.1, 100),
    "60 groups, 3 of which have most rows": lambda r: np.r_[np.full(57, 3), 200, 300, 500],
}


def series(count: int, share: float, number: int, random: Random) -> Array:
    """Returns stationary autoregressive series with shape (count, number)."""
    noise = random.standard_normal((count + 1000, number))
    return np.asarray(lfilter([1], [1, -share], noise, axis=0)[1000:])


def effects(group: NDArray[np.int64], share: float, number: int, random: Random) -> Array:
    """Returns rows of variance 1, of which a share is the same for the rows of a group."""
    common = random.standard_normal((group.max() + 1, number))[group]
    own = random.standard_normal((len(group), number))
    return np.asarray(math.sqrt(share) * common + math.sqrt(1 - share) * own)


def kinds() -> dict[str, Callable[[Random, int], tuple[Array, Rows]]]:
    """Returns samplers of independent columns with dependent rows."""
    found: dict[str, Callable[[Random, int], tuple[Array, Rows]]] = {}
    for share, length in ((0.5, 10), (0.9, 50), (0.99, 200)):

        def autoregressive(
            random: Random, number: int, share: float = share, length: int = length
        ) -> tuple[Array, Rows]:
            return series(ROWS, share, number, random), Rows.by_blocks(ROWS, length)

        found[f"AR({share}), blocks of {length}"] = autoregressive
    for name, sizes in SIZES.items():
        for share in (0.5, 0.9):

            def grouped(
                random: Random,
                number: int,
                share: float = share,
                sizes: Callable[[Random], NDArray[np.int64]] = sizes,
            ) -> tuple[Array, Rows]:
                size = sizes(random)
                group = np.repeat(np.arange(len(size)), size)
                return effects(group, share, number, random), Rows.by_group(group)

            found[f"{name}, {share:.0%} common"] = grouped
    return found


def measure_tests(repetitions: int) -> None:
    """Prints rejection rates of independent pairs, for permutations of rows and of units."""
    rows_of_table = []
    for name, sample in kinds().items():
        rates = []
        for by_unit in (False, True):
            p_values = []
            for seed in range(repetitions):
                columns, rows = sample(np.random.default_rng(seed), 2)
                x, z = (Variable.of("", torch.from_numpy(columns[:, [i]])) for i in (0, 1))
                rows = rows if by_unit else Rows.independent(len(columns))
                p_values += permutation_p_values([x], z, rows, 199, seed).tolist()
            rates += [np.mean(np.array(p_values) <= level) for level in (0.05, 0.1, 0.5)]
        rows_of_table.append([name, *(f"{rate:.3f}" for rate in rates)])
        print(rows_of_table[-1], flush=True)
    heads = [
        "rows",
        *(f"{by}: p <= {level}" for by in ("rows", "units") for level in (0.05, 0.1, 0.5)),
    ]
    table(heads, rows_of_table)


def measure_intervals(repetitions: int) -> None:
    """Prints the coverage of 95 % intervals that count rows, and of those that count units."""
    rows_of_table = []
    for name, sample in kinds().items():
        for rho in (0.0, 0.7):
            truth = -0.5 * math.log(1 - rho**2)
            cells = []
            for estimator in ("copula", "ksg"):
                for by_unit in (False, True):
                    values, covers = [], []
                    for seed in range(repetitions):
                        columns, rows = sample(np.random.default_rng(seed), 2)
                        x, noise = torch.from_numpy(columns).split(1, dim=1)
                        z = rho * x + math.sqrt(1 - rho**2) * noise
                        units = rows if by_unit else None
                        estimate = (
                            closed_form("copula", x, z, rows=units)
                            if estimator == "copula"
                            else ksg_estimate(x, z, 3, seed, rows=units)
                        )
                        low, high = estimate.ci_low or 0.0, estimate.ci_high or 0.0
                        values.append(estimate.value)
                        # a negative upper end is as good as 0
                        covers.append(low <= truth <= max(high, 0.0))
                    cells.append(f"{np.mean(values) - truth:+.3f}, {np.mean(covers):.0%}")
            rows_of_table.append([name, f"{truth:.3f}", *cells])
            print(rows_of_table[-1], flush=True)
    heads = [
        "rows",
        "truth",
        *(f"{e} by {u}" for e in ("copula", "ksg") for u in ("rows", "units")),
    ]
    table(heads, rows_of_table)


def copied(
    times: int, x_noise: float, z_noise: float, count: int = 1000
) -> Callable[[Random], tuple[Array, Array]]:
    """Returns a sampler of normal pairs, each several times with noise."""

    def sample(random: Random) -> tuple[Array, Array]:
        x, z = np.repeat(random.standard_normal((2, count)), times, axis=1)
        noise = random.standard_normal((2, times * count))
        return x + x_noise * noise[0], z + z_noise * noise[1]

    return sample


def ordinary() -> dict[str, Callable[[Random], tuple[Array, Array]]]:
    """Returns samplers without copies or autocorrelation."""

    def clusters(number: int, scale: float) -> Callable[[Random], tuple[Array, Array]]:
        def sample(random: Random) -> tuple[Array, Array]:
            centres = random.standard_normal((2, number))[:, random.integers(number, size=3000)]
            x, z = centres + scale * random.standard_normal((2, 3000))
            return x, z

        return sample

    def split(values: Callable[[Random], Array]) -> Callable[[Random], tuple[Array, Array]]:
        def sample(random: Random) -> tuple[Array, Array]:
            x, z = values(random)
            return x, z

        return sample

    found = {
        f"normal, {dim} + {dim} dimensions, {count:,} rows": split(
            lambda r, dim=dim, count=count: r.standard_normal((2, count, dim))  # type: ignore[misc]
        )
        for dim in (1, 3, 10)
        for count in (300, 3000)
    }
    found |= {
        f"{number} clusters of width {s}": clusters(number, s)
        for number, s in ((3, 0.1), (10, 0.01), (30, 0.01))
    }
    found |= {
        "Cauchy": split(lambda r: r.standard_cauchy((2, 3000))),
        "log-normal": split(lambda r: np.exp(5 * r.standard_normal((2, 3000)))),
        "integers from 0 to 9": split(lambda r: r.integers(10, size=(2, 3000)).astype(float)),
        "Poisson counts, mean 100": split(lambda r: r.poisson(100, (2, 3000)).astype(float)),
        "rounded to 1 digit": split(lambda r: r.standard_normal((2, 3000)).round(1)),
        "rounded to 2 digits": split(lambda r: r.standard_normal((2, 3000)).round(2)),
        "rounded to 3 digits": split(lambda r: r.standard_normal((2, 3000)).round(3)),
        "half zeros": split(lambda r: (r.random((2, 3000)) < 0.5) * r.standard_normal((2, 3000))),
    }
    return found


def two_series(share: float, random: Random) -> tuple[Array, Array]:
    """Returns two independent autoregressive series."""
    x, z = series(ROWS, share, 2, random).T
    return x, z


def measure_warnings(repetitions: int) -> None:
    """Prints how often the warnings appear."""
    rows_of_table = []
    copies = {
        f"{times} copies, noise {noise:g}": copied(times, noise, noise)
        for times in (2, 3, 5, 10, 20)
        for noise in (1e-2, 1e-4, 1e-6)
    }
    copies |= {
        f"{times} copies, exact x, z with noise 0.001": copied(times, 0, 1e-3) for times in (2, 10)
    }
    copies |= {
        f"{times} copies, x with noise 0.001, exact z": copied(times, 1e-3, 0) for times in (2, 10)
    }
    samplers: dict[str, Callable[[Random], tuple[Array, Array]]] = ordinary() | copies
    for share in (0.1, 0.2, 0.5, 0.9, 0.99):
        samplers[f"AR({share}), {ROWS:,} rows"] = partial(two_series, share)
    samplers["AR(0.9) and independent z"] = lambda r: (
        series(ROWS, 0.9, 1, r),
        r.standard_normal(ROWS),
    )
    for name, sample in samplers.items():
        near = serial = 0
        for seed in range(repetitions):
            x, z = (tensor(side) for side in sample(np.random.default_rng(seed)))
            near += near_copies(x, z, seed) is not None
            serial += serial_dependence(x, z) is not None
        rows_of_table.append([name, f"{near / repetitions:.1%}", f"{serial / repetitions:.1%}"])
        print(rows_of_table[-1], flush=True)
    table(["sample", "nearly repeated", "correlated"], rows_of_table)


def tensor(values: Array) -> Tensor:
    """Returns values as a matrix of rows."""
    return torch.from_numpy(np.ascontiguousarray(values.reshape(len(values), -1)))


def measure_ranking(repetitions: int) -> None:
    """Prints the seconds of a ranking, and discoveries among 100 features of which ten matter."""
    strengths = (0.9, 0.5, 0.3, 0.2, 0.1, 0.07, 0.05, 0.05, 0.03, 0.03)
    false, true, seconds = [], [], []
    tails = []
    for seed in range(repetitions):
        random = np.random.default_rng(seed)
        x, z = random.standard_normal((10_000, 100)), random.standard_normal(10_000)
        for column, rho in enumerate(strengths):
            x[:, column] = rho * z + math.sqrt(1 - rho**2) * x[:, column]
        start = time.process_time()
        found = rank_variables(
            Variable.of("x", torch.from_numpy(x)), Variable.of("z", torch.from_numpy(z)), seed=seed
        )
        seconds.append(time.process_time() - start)
        selected = [int(each.feature) - 1 for each in found.features if each.q_value <= 0.05]
        false.append(sum(column >= 10 for column in selected) / max(1, len(selected)))
        true.append([column in selected for column in range(10)])
        tails += [each.p_value for each in found.features if int(each.feature) > 10]
    p = np.array(tails)
    print(
        f"CPU-seconds {np.mean(seconds):.1f}; false-discovery rate {np.mean(false):.3f} at q <= 0.05"
    )
    print(
        "power by correlation:",
        dict(enumerate(np.mean(true, axis=0).round(2).tolist())),
        strengths,
    )
    levels = (0.1, 0.05, 0.01, 0.001)
    print("null p-values:", len(p), [(level, float((p <= level).mean())) for level in levels])


def main() -> None:
    """Runs one part."""
    parts = {
        "tests": measure_tests,
        "intervals": measure_intervals,
        "warnings": measure_warnings,
        "ranking": measure_ranking,
    }
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=parts)
    parser.add_argument("--repetitions", type=int, default=200)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    parts[chosen.part](chosen.repetitions)


if __name__ == "__main__":
    main()
