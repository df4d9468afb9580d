"""Compare estimates for labels, tables and mixed variables with exact values, in nats.

Prints Markdown tables and stores every measurement in a JSON file; delete it to restart.

    python benchmarks/labels.py labels    # a label against numbers
    python benchmarks/labels.py tables    # codes against codes
    python benchmarks/labels.py mixed     # numbers with atoms

Uses one thread and measures CPU seconds.
"""

import argparse
import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import entr, gammaln, log_softmax, xlogy
from scipy.stats import norm

from cells import DRAWS, Cells, Record, table, timed
from mivae_cli.estimators.discrete.estimates import discrete_estimates
from mivae_cli.estimators.variables import Variable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Random = np.random.Generator
EXACT = 200_000  # rows that measure the truth where there is no closed form

Pair = tuple[Variable, Variable, float]
Draw = Callable[[int, int], Pair]
# Draws x and returns it with the exact log-probabilities of the labels at each row
LabelTask = Callable[[int, Random], tuple[Floats, Floats]]


def normals(
    rows: int, random: Random, centres: Floats, scale: float = 1.0, dof: float = math.inf
) -> tuple[Floats, Floats]:
    """Draws equally likely classes, each normal or Student t with equal scales."""
    labels, dim = random.integers(len(centres), size=rows), centres.shape[1]
    noise = random.standard_normal((rows, dim)) * scale
    if not math.isinf(dof):
        noise *= np.sqrt(dof / random.chisquare(dof, (rows, 1)))
    x = centres[labels] + noise
    squares = np.stack([np.square((x - centre) / scale).sum(axis=1) for centre in centres], axis=1)
    if math.isinf(dof):
        return x, log_softmax(-0.5 * squares, axis=1)
    return x, log_softmax(-0.5 * (dof + dim) * np.log1p(squares / dof), axis=1)


def ring(labels: int) -> Floats:
    """Returns points on a circle."""
    angle = 2 * np.pi * np.arange(labels) / labels
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def scattered(classes: int, dim: int, distance: float) -> Floats:
    """Returns random centres."""
    centres = np.random.default_rng(classes).standard_normal((classes, dim))
    return centres * distance / math.sqrt(dim)


def by_rule(
    rows: int, random: Random, dim: int, rule: Callable[[Floats], Ints], classes: int
) -> tuple[Floats, Floats]:
    """Draws normal columns with a label that is a function of them."""
    x = random.standard_normal((rows, dim))
    return x, np.where(np.eye(classes)[rule(x)] > 0, 0.0, -math.inf)


def soft(rows: int, random: Random, dim: int, classes: int, size: float) -> tuple[Floats, Floats]:
    """Draws labels from a logistic regression on normal columns."""
    weights = np.random.default_rng(dim).standard_normal((dim, classes)) * size / math.sqrt(dim)
    x = random.standard_normal((rows, dim))
    return x, log_softmax(x @ weights, axis=1)


def sign(x: Floats, column: int) -> Ints:
    """Returns which values of a column are positive."""
    return (x[:, column] > 0).astype(np.int64)


def fifths(x: Floats) -> Ints:
    """Returns which fifth of a normal distribution contains the second column."""
    places: Ints = (5 * norm.cdf(x[:, 1])).astype(np.int64)
    return places


def exclusive_or(x: Floats) -> Ints:
    """Returns whether two columns have the same sign."""
    return (x[:, 0] * x[:, 1] > 0).astype(np.int64)


LABELS: dict[str, LabelTask] = {
    "4 labels on a ring": partial(normals, centres=ring(4), scale=0.4),
    "8 labels on a ring": partial(normals, centres=ring(8), scale=0.2),
    "12 labels on a ring": partial(normals, centres=ring(12), scale=0.3),
    "5 normal classes, 1-d": partial(normals, centres=scattered(5, 1, 3.0)),
    "10 normal classes, 16-d": partial(normals, centres=scattered(10, 16, 2.4)),
    "10 normal classes, 30-d": partial(normals, centres=scattered(10, 30, 2.4)),
    "3 Cauchy classes, 1-d": partial(normals, centres=scattered(3, 1, 3.0), dof=1),
    "4 Student t classes, 5-d": partial(normals, centres=scattered(4, 5, 3.0), dof=2),
    "softmax of 10 columns": partial(soft, dim=10, classes=4, size=3.0),
    "softmax of 20 columns": partial(soft, dim=20, classes=3, size=2.0),
    "same sign of 2 columns": partial(by_rule, dim=2, rule=exclusive_or, classes=2),
    "sign of 1 of 10 columns": partial(by_rule, dim=10, rule=partial(sign, column=3), classes=2),
    "fifths of 1 of 3 columns": partial(by_rule, dim=3, rule=fifths, classes=5),
    "sign of 1 of 100 columns": partial(
        by_rule, dim=100, rule=partial(sign, column=37), classes=2
    ),
    "10 normal classes, 64-d": partial(normals, centres=scattered(10, 64, 2.4)),
    "softmax of 50 columns": partial(soft, dim=50, classes=5, size=3.0),
    "independent, 2-d": partial(soft, dim=2, classes=3, size=0.0),
    "independent, 16-d": partial(soft, dim=16, classes=10, size=0.0),
}


def draw_labels(task: LabelTask, rows: int, seed: int) -> tuple[Floats, Ints]:
    """Returns x and labels drawn from the exact probabilities."""
    random = np.random.default_rng(DRAWS + seed)
    x, logs = task(rows, random)
    chances = np.exp(logs).cumsum(axis=1)
    return x, (chances < random.random((rows, 1)) * chances[:, -1:]).sum(axis=1)


def label_truth(task: LabelTask) -> float:
    """Returns H(C) - H(C | x), averaged over many rows."""
    chances = np.exp(task(EXACT // 4, np.random.default_rng(1))[1])
    return float(entr(chances.mean(axis=0)).sum() - entr(chances).sum(axis=1).mean())


def tables(seed: int) -> dict[str, Floats]:
    """Returns tables of probabilities of several shapes, margins and strengths."""
    random, found = np.random.default_rng(seed), {}
    for rows, columns in ((2, 2), (3, 5), (10, 10), (4, 50), (50, 50)):
        for power in (0.0, 1.0):
            margins = [(1 + np.arange(n)) ** -power for n in (rows, columns)]
            product = np.outer(*margins)
            for name, strength in (("independent", 0.0), ("weak", 0.3), ("strong", 2.0)):
                weights = product * np.exp(strength * random.standard_normal((rows, columns)))
                key = f"{rows} x {columns}, {'Zipf' if power else 'even'} margins, {name}"
                found[key] = weights / weights.sum()
    return found


def draw_mixed(name: str, rows: int, seed: int) -> tuple[Floats, Floats, float]:
    """Returns pairs with atoms, and their mutual information."""
    random, rho = np.random.default_rng(DRAWS + seed), 0.9
    if name == "uniform noise on 5 values":
        x = random.integers(5, size=rows).astype(float)
        return x, x + 2 * random.random(rows), math.log(5) - 0.8 * math.log(2)
    if name == "counts with zeros":
        x, counts = random.exponential(size=rows), np.arange(80)
        z = np.where(random.random(rows) < 0.15, 0, random.poisson(x)).astype(float)
        means = -np.log((np.arange(20_000) + 0.5) / 20_000)[:, None]
        given = 0.85 * np.exp(counts * np.log(means) - means - gammaln(counts + 1))
        given[:, 0] += 0.15
        margin = given.mean(axis=0)
        return x, z, float(xlogy(given, given).sum(axis=1).mean() - xlogy(margin, margin).sum())
    x, noise = random.standard_normal((2, rows))
    if name == "independent with zeros":
        return np.where(random.random(rows) < 0.4, 0, x), np.maximum(noise, 0), 0.0
    z = rho * x + math.sqrt(1 - rho**2) * noise
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    pairs = signs[random.choice(4, size=rows, p=[0.4, 0.1, 0.1, 0.4])]
    atom = random.random(rows) < 0.5
    of_atoms = math.log(2) + 0.8 * math.log(0.8) + 0.2 * math.log(0.2)
    truth = math.log(2) + 0.5 * of_atoms - 0.25 * math.log1p(-(rho**2))
    return np.where(atom, pairs[:, 0], x), np.where(atom, pairs[:, 1], z), truth


MIXED = (
    "uniform noise on 5 values",
    "counts with zeros",
    "normal pairs and four atoms",
    "independent with zeros",
)


def estimated(x: Variable, z: Variable, truth: float, seed: int) -> Record:
    """Measures the errors of all estimates, and whether the recommended interval covers."""
    found = discrete_estimates(x, z, seed=seed)
    best = found.recommended
    errors = {each.estimator: each.value - truth for each in found.estimates}
    assert best.ci_low is not None
    assert best.ci_high is not None
    covered = best.ci_low - 1e-9 <= truth <= best.ci_high + 1e-9
    return {
        "truth": truth,
        "errors": errors,
        "covered": covered,
        "width": best.ci_high - best.ci_low,
    }


def label_pair(task: LabelTask, truth: float, rows: int, seed: int) -> Pair:
    """Draws numbers and labels."""
    x, label = (torch.from_numpy(side) for side in draw_labels(task, rows, seed))
    return Variable.of("x", x), Variable.of("z", codes=label), truth


def table_pair(chances: Floats, rows: int, seed: int) -> Pair:
    """Draws codes from a table."""
    cells = np.random.default_rng(DRAWS + seed).choice(chances.size, rows, p=chances.ravel())
    x, z = (torch.from_numpy(side) for side in np.divmod(cells, chances.shape[1]))
    margins = chances.sum(axis=1), chances.sum(axis=0)
    truth = float(sum(entr(side).sum() for side in margins) - entr(chances).sum())
    return Variable.of("x", codes=x), Variable.of("z", codes=z), truth


def mixed_pair(name: str, rows: int, seed: int) -> Pair:
    """Draws pairs with atoms."""
    x, z, truth = draw_mixed(name, rows, seed)
    return Variable.of("x", torch.from_numpy(x)), Variable.of("z", torch.from_numpy(z)), truth


def measured(draw: Draw, rows: int, seed: int) -> Record:
    """Measures the errors of all estimates of one draw."""
    x, z, truth = draw(rows, seed)
    return timed(lambda: estimated(x, z, truth, seed))


def print_rows(rows: Iterable[tuple[str, int, list[Record]]]) -> None:
    """Prints the mean absolute errors, the coverage and the CPU-seconds of each task."""
    found = list(rows)
    names = list(dict.fromkeys(name for *_, cells in found for name in cells[0]["errors"]))
    head = ["task", "rows", "truth", *names, "covered", "mean width", "CPU-s"]
    table(head, (
        [
            task,
            f"{count:,}",
            f"{cells[0]['truth']:.3f}",
            *(
                f"{fmean(abs(cell['errors'][name]) for cell in cells):.3f}"
                if name in cells[0]["errors"]
                else ""
                for name in names
            ),
            f"{sum(cell['covered'] for cell in cells)} of {len(cells)}",
            f"{fmean(cell['width'] for cell in cells):.3f}",
            f"{fmean(cell['cpu_seconds'] for cell in cells):.1f}",
        ]
        for task, count, cells in found
    ))  # fmt: skip
    every = [cell for *_, cells in found for cell in cells]
    error = fmean(abs(next(iter(cell["errors"].values()))) for cell in every)
    covered = fmean(cell["covered"] for cell in every)
    print(f"\nMean absolute error of the first column: {error:.4f}; covered: {covered:.0%}.")


def tasks(part: str) -> dict[str, Draw]:
    """Returns the tasks of a part: functions of the number of rows and the seed."""
    found: dict[str, Draw] = {}
    if part == "labels":
        for name, task in LABELS.items():
            found[name] = partial(label_pair, task, label_truth(task))
    elif part == "tables":
        for name, chances in tables(0).items():
            found[name] = partial(table_pair, chances)
    else:
        found = {name: partial(mixed_pair, name) for name in MIXED}
    return found


def main() -> None:
    """Measures one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("labels", "tables", "mixed"))
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 4_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("labels.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    cells = Cells(options.out)
    found = []
    for rows in options.rows:
        for name, draw in tasks(options.part).items():
            records = [
                cells.at(
                    f"{options.part} {name} {rows} {seed}", partial(measured, draw, rows, seed)
                )
                for seed in options.seeds
            ]
            found.append((name, rows, records))
    print_rows(found)


if __name__ == "__main__":
    main()
