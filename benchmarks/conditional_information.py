"""Compare estimates of conditional mutual information with exact values, in nats.

Each part prints Markdown tables and stores every measurement in a JSON file. An interrupted part
resumes from this file, and a finished part prints its tables again. Delete the file to restart.

    python benchmarks/conditional_information.py figures  # errors and coverage of all rows
    python benchmarks/conditional_information.py test     # false-positive rates and power

Uses one thread and measures CPU seconds.
"""

import argparse
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from cells import DRAWS, Cells, Record, table, timed
from conditional_cases import CASES, Case
from mivae_cli.estimators.conditional.estimate import conditional_report, independence_of
from mivae_cli.estimators.variables import Variable

ROWS = ("plug-in", "corrected-knn", "knn", "copula")
LEVELS = (0.05, 0.1, 0.5)
PERMUTATIONS = 99


def variables(case: Case, rows: int, seed: int) -> list[Variable]:
    """Returns x, z and w of a case."""
    drawn = case.draw(rows, np.random.default_rng(DRAWS + seed))
    found = []
    for name, values in zip("xzw", drawn, strict=True):
        columns = torch.from_numpy(values)
        if name in case.discrete:
            found.append(Variable.of(name, codes=columns.long()))
        else:
            found.append(Variable.of(name, columns))
    return found


def figures(case: Case, rows: int, seed: int) -> Record:
    """Measures every row of the report, and the recommended estimate."""
    x, z, w = variables(case, rows, seed)

    def values() -> Record:
        report = conditional_report(x, z, w, seed=seed)
        best = report.recommended
        assert best is not None
        return {
            "truth": case.truth,
            "value": best.value,
            "ci": [best.ci_low, best.ci_high],
            "rows": {row.estimator: row.value for row in report.estimates},
        }

    return timed(values)


def p_value(case: Case, rows: int, seed: int) -> Record:
    """Measures the p-value of conditional independence."""
    x, z, w = variables(case, rows, seed)
    return timed(lambda: {"p": independence_of(x, z, w, PERMUTATIONS, seed)})


def figures_tables(cells: Cells, given: argparse.Namespace) -> None:
    """Prints mean absolute errors of each row, and the coverage of the recommended interval."""
    for rows in given.rows:
        found = {
            name: [
                cells.at(f"figures/{name}/{rows}/{seed}", partial(figures, case, rows, seed))
                for seed in range(given.seeds)
            ]
            for name, case in CASES.items()
        }
        print(f"\n{rows:,} rows, {given.seeds} seeds.")
        lines = [_figures_line(name, records) for name, records in found.items()]
        every = [record for records in found.values() for record in records]
        lines.append(["all", "", *_figures_line("", every)[2:]])
        head = ["case", "truth", "recommended", "mean error", *ROWS, "covered", "CPU-s"]
        table(head, lines)


def _figures_line(name: str, records: list[Record]) -> list[str]:
    errors = [record["value"] - record["truth"] for record in records]
    covered = [
        record["ci"][0] - 1e-12 <= record["truth"] <= record["ci"][1] + 1e-12 for record in records
    ]
    rows = [
        _absolute(
            record["rows"][row] - record["truth"] for record in records if row in record["rows"]
        )
        for row in ROWS
    ]
    seconds = fmean(record["cpu_seconds"] for record in records)
    return [
        name,
        f"{records[0]['truth']:.3f}",
        _absolute(errors),
        f"{fmean(errors):+.3f}",
        *rows,
        f"{sum(covered)}/{len(covered)}",
        f"{seconds:.1f}",
    ]


def _absolute(errors: Iterable[float]) -> str:
    found = [abs(error) for error in errors]
    return f"{fmean(found):.3f}" if found else "-"


def test_tables(cells: Cells, given: argparse.Namespace) -> None:
    """Prints the shares of p-values up to each level."""
    for rows in given.rows:
        print(f"\n{rows:,} rows, {given.seeds} seeds.")
        lines = []
        for name, case in CASES.items():
            # power needs fewer repetitions than a false-positive rate
            count = given.seeds if case.truth == 0 else max(10, given.seeds // 5)
            values = [
                cells.at(f"test/{name}/{rows}/{seed}", partial(p_value, case, rows, seed))["p"]
                for seed in range(count)
            ]
            shares = [sum(value <= level for value in values) / count for level in LEVELS]
            lines.append([name, f"{case.truth:.3f}", count, *(f"{share:.3f}" for share in shares)])
        table(["case", "truth", "draws", *(f"p <= {level:g}" for level in LEVELS)], lines)
        nulls = [line for line in lines if line[1] == "0.000"]
        print(
            f"\nLargest rate at 0.05 under independence: {max(float(str(each[3])) for each in nulls)}"
        )


def main() -> None:
    """Measures one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", choices=["figures", "test"])
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1_000, 4_000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--file", type=Path, default=Path("runs/conditional.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    cells = Cells(given.file)
    (figures_tables if given.part == "figures" else test_tables)(cells, given)


if __name__ == "__main__":
    main()
