"""Compare the recommended estimate with the truth on tasks of all kinds, in nats.

Each part prints Markdown tables and stores every measurement in a JSON file. An interrupted part
resumes from this file, and a finished part prints its tables again. Delete the file to restart.

    python benchmarks/task_suite.py suite      # the recommended estimate on all tasks
    python benchmarks/task_suite.py profiles   # quick, default and thorough on some tasks
    python benchmarks/task_suite.py tests      # p-values: uniformity and power
    python benchmarks/task_suite.py peers      # other packages on the same pairs
    python benchmarks/task_suite.py check      # the truths again, with finer grids and other draws

`--tasks square spiral` or `--tasks heavy` limits a part to some tasks or kinds, `--tasks later` to
the tasks added after the first run. Uses one thread and measures CPU seconds. `peers` needs the
extra 'benchmark'.
"""

import argparse
import math
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kstest

from cells import DRAWS, Cells, Record, table, timed
from mivae_cli.choices import Profile
from mivae_cli.estimators import estimate_mutual_information
from peers import PEERS, Peer
from suite_columns import linked, normal_link, square_link
from suite_curves import cross
from suite_labels import logistic
from suite_tables import (
    Measured,
    by_kind,
    by_peer,
    by_profile,
    by_rows,
    by_size,
    by_task,
    reasons,
    targets,
)
from suite_tasks import KINDS, TASKS
from suite_truths import Pair, Task

TOLERANCE = 0.002  # of a truth, in nats
PERMUTATIONS = 99
LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5)
COMPARED = (  # tasks on which profiles are compared
    "product and sum of 3 columns",
    "3 x 3, three links",
    "2 x 2, correlations 0.985 and 0.996",
    "normals 12 x 12, 3 pairs",
    "Student t 3 x 2, 2 degrees",
    "opposite correlations, 2 x 2",
    "square, 200 rows",
    "spiral",
    "16 x 16, hidden factors",
)
NULLS = {  # tasks and rows for the uniformity of p-values
    "null: Cauchy and normal": 300,
    "null: 3 x 3 Pareto": 300,
    "null: 6 labels, 8 columns": 300,
}
WEAK = {  # weak dependence, for the power of the test
    "normals, correlation 0.2": Task("weak", 300, *linked([normal_link(0.2)])),
    "square with noise 4": Task("weak", 300, *linked([square_link(4.0)])),
    "crossing lines, noise 3": Task("weak", 1_000, *cross(1.0, 3.0)),
    "3 x 3, correlation 0.25": Task("weak", 300, *linked([normal_link(0.25)], spare=2)),
    "label, slope 0.5": Task("weak", 300, *logistic(4, 0.5, 0.0), "z"),
}


def drawn(name: str, task: Task, rows: int, seed: int) -> Pair:
    """Returns x and z of a task; the numbers depend on its name and the seed."""
    return task.draw(rows, np.random.default_rng([DRAWS + seed, zlib.crc32(name.encode())]))


def columns(side: NDArray[Any]) -> int:
    """Returns the number of columns."""
    return 1 if side.ndim == 1 else side.shape[1]


def truth(cells: Cells, name: str, task: Task) -> float:
    """Returns the truth of a task, computed once."""
    return float(cells.at(f"truth/{name}", lambda: {"truth": task.truth(0)})["truth"])


def recommended(name: str, task: Task, exact: float, profile: Profile, seed: int) -> Record:
    """Measures the recommended estimate and the others of the report."""
    x, z = drawn(name, task, task.rows, seed)

    def values() -> Record:
        found = {"truth": exact, "columns": [columns(x), columns(z)]}
        try:
            report = estimate_mutual_information(x, z, profile=profile, seed=seed)
        except Exception as error:  # noqa: BLE001  # a crash is a row of the tables
            return found | {"value": None, "error": f"{type(error).__name__}: {error}"}
        rows = {row.estimator: [row.value, row.ci_low, row.ci_high] for row in report.estimates}
        best = report.recommended
        if best is None:
            return found | {"value": None, "error": "no recommendation", "rows": rows}
        return found | {
            "value": best.value,
            "ci": [best.ci_low, best.ci_high],
            "sampling": [best.sampling_low, best.sampling_high],
            "at_least": best.at_least,
            "estimator": best.estimator,
            "reason": best.reason,
            "rows": rows,
            "warnings": report.warnings,
        }

    return timed(values)


def measured(
    cells: Cells, given: argparse.Namespace, names: Sequence[str], profile: Profile = "default"
) -> list[Measured]:
    """Returns the recommended estimates, measured seed by seed."""
    for seed in given.seeds:
        for name in names:
            task = TASKS[name]
            exact = truth(cells, name, task)
            cells.at(
                f"{profile}/{name}/{seed}",
                partial(recommended, name, task, exact, profile, seed),
            )
    return [
        Measured(name, TASKS[name], [cells.at(f"{profile}/{name}/{s}", dict) for s in given.seeds])
        for name in names
    ]


def suite(given: argparse.Namespace) -> None:
    """Prints the tables of the recommended estimate."""
    found = measured(Cells(given.out / "suite.json"), given, chosen(given))
    for printed in (targets, by_kind, by_size, by_rows, reasons, by_task):
        printed(found)


def profiles(given: argparse.Namespace) -> None:
    """Prints the errors of the three profiles."""
    cells = Cells(given.out / "suite.json")
    names = [name for name in COMPARED if name in chosen(given)]
    default = measured(cells, given, names)
    others = Cells(given.out / "profiles.json")
    found = {"quick": measured(others, given, names, "quick"), "default": default}
    by_profile(found | {"thorough": measured(others, given, names, "thorough")})


def p_value(name: str, task: Task, rows: int, seed: int) -> Record:
    """Measures the p-value of the report."""
    x, z = drawn(name, task, rows, seed)

    def values() -> Record:
        report = estimate_mutual_information(
            x, z, profile="quick", permutations=PERMUTATIONS, seed=seed
        )
        return {"p": report.p_value}

    return timed(values)


def tests(given: argparse.Namespace) -> None:
    """Prints the distribution of p-values under independence and under weak dependence."""
    cells = Cells(given.out / "tests.json")
    head = [*("pairs", "rows", "repetitions"), *(f"p <= {level:g}" for level in LEVELS)]
    for title, tasks, repetitions in (
        ("independent", {name: (TASKS[name], rows) for name, rows in NULLS.items()}, 200),
        ("dependent", {name: (task, task.rows) for name, task in WEAK.items()}, 60),
    ):
        rows = []
        for name, (task, count) in tasks.items():
            found = [
                cells.at(f"{name}/{count}/{seed}", partial(p_value, name, task, count, seed))
                for seed in range(min(repetitions, given.repetitions))
            ]
            p = np.array([record["p"] for record in found])
            shares = [f"{(p <= level + 1e-9).mean():.2f}" for level in LEVELS]
            row = [name, f"{count:,}", len(p), *shares]
            if title == "independent":
                # uniform within the steps of 1 / 100, so that the test is exact
                spread = p - np.random.default_rng(0).random(len(p)) / (PERMUTATIONS + 1)
                row.append(f"{kstest(spread, 'uniform').pvalue:.2f}")
            else:
                row.append(f"{task.truth(0):.3f}")
            rows.append(row)
        table([*head, "Kolmogorov-Smirnov p" if title == "independent" else "truth"], rows)


def of_peer(peer: Peer, name: str, task: Task, exact: float, seed: int) -> Record:
    """Measures the estimate of another package."""
    x, z = drawn(name, task, task.rows, seed)
    sides = [side.reshape(len(side), -1) for side in (x, z)]
    if task.labels == "xz":
        sides = [
            np.stack([np.unique(part, return_inverse=True)[1] for part in side.T], axis=1)
            for side in sides
        ]
    record: Record = {"truth": exact, "columns": [columns(x), columns(z)]}
    try:
        return record | peer.measure(sides[0], sides[1], task.labels, seed)
    except Exception as error:  # noqa: BLE001  # a crash is a row of the tables
        failed = f"{type(error).__name__}: {error}"
        return record | {"value": None, "error": failed, "cpu_seconds": 0.0}


def of_packages(peer: Peer, given: argparse.Namespace) -> list[str]:
    """Returns the tasks that a package is given."""
    names = []
    for name in chosen(given):
        task = TASKS[name]
        x, z = drawn(name, task, task.rows, 0)
        slow = peer.seeds == 1 and task.rows > 1_000 and task.kind != "embedding"
        plain = task.kind not in ("mixed", "null")
        few = plain and not slow and task.rows <= peer.most
        if few and peer.applies(columns(x), columns(z), task.labels):
            names.append(name)
    return names


def peers(given: argparse.Namespace) -> None:
    """Prints the errors of other packages on the same pairs."""
    ours, cells = Cells(given.out / "suite.json"), Cells(given.out / "peers.json")
    for package, peer in PEERS.items():
        if peer.missing is not None:
            print(f"\n{package}: {peer.missing}")
            continue
        seeds = given.seeds[: peer.seeds]
        theirs, same = [], []
        for name in of_packages(peer, given):
            task = TASKS[name]
            exact = truth(cells, name, task)
            records = [
                cells.at(
                    f"{package}/{name}/{seed}",
                    partial(of_peer, peer, name, task, exact, seed),
                )
                for seed in seeds
            ]
            keys = [f"default/{name}/{seed}" for seed in seeds]
            if all(key in ours.records for key in keys):
                theirs.append(Measured(name, task, records))
                same.append(Measured(name, task, [ours.records[key] for key in keys]))
        by_peer(package, theirs, same)


def check(given: argparse.Namespace) -> None:
    """Prints the difference between two computations of each truth."""
    rows, worst = [], 0.0
    for name in chosen(given):
        values = [TASKS[name].truth(level) for level in (0, 1)]
        worst = max(worst, abs(values[1] - values[0]))
        rows.append([name, f"{values[0]:.5f}", f"{values[1] - values[0]:+.5f}"])
    table(["task", "truth", "difference"], rows)
    print(f"\nLargest difference: {worst:.5f} nats")
    if worst > TOLERANCE or math.isnan(worst):
        raise SystemExit("the truths are not accurate enough")


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "suite": suite,
    "profiles": profiles,
    "tests": tests,
    "peers": peers,
    "check": check,
}


def chosen(given: argparse.Namespace) -> list[str]:
    """Returns the names of the tasks to measure."""
    named = set(given.tasks or KINDS)
    return [n for n, t in TASKS.items() if named & {n, t.kind, "later" if t.later else n}]


def main() -> None:
    """Runs missing measurements and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--tasks", nargs="+", choices=[*KINDS, "later", *TASKS], metavar="TASK")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--repetitions", type=int, default=200, help="Most p-values of a task.")
    parser.add_argument("--out", type=Path, default=Path("runs/task-suite"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    for part in given.parts:
        PARTS[part](given)


if __name__ == "__main__":
    main()
