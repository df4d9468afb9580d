"""Compare estimates of many columns with known mutual information, in nats.

Prints Markdown tables and stores every measurement in a JSON file; delete it to restart.

    python benchmarks/embeddings.py estimates               # tasks used during development
    python benchmarks/embeddings.py estimates --held-back   # tasks first tried afterwards

Uses one thread and measures CPU seconds.
"""

import argparse
from functools import partial
from pathlib import Path
from statistics import fmean

import torch

from cells import Cells, Record, table, timed
from embedding_cases import Task, tasks
from mivae_cli.estimators.model_estimates import ModelEstimates

NEIGHBOURS = 3


def estimated(task: Task, rows: int, seed: int) -> Record:
    """Measures the density models, as `estimate-mi` does by default."""
    x, z = (torch.from_numpy(side) for side in task.draw(rows, seed))
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    test, valid = round(0.2 * rows), max(100, rows // 10)
    parts = order[test + valid :], order[test : test + valid]
    train, held_out = ((x[part], z[part]) for part in parts)
    models = ModelEstimates((x, z), train, held_out, NEIGHBOURS, seed, dependent=False)
    found = models.corrected
    assert found is not None
    reduction = models.reduction
    return {
        "value": found.interval.value,
        "low": found.interval.low,
        "high": found.interval.high,
        "rank": 0 if reduction is None else reduction.rank,
    }


def print_estimates(cells: Cells, chosen: list[Task], counts: list[int], seeds: list[int]) -> None:
    """Prints errors and coverage of the recommended estimates."""
    lines: list[tuple[str, ...]] = []
    kinds: dict[tuple[int, str], list[tuple[list[float], int]]] = {}
    for rows in counts:
        for task in chosen:
            found = [
                cells.at(
                    f"estimate/{rows}/{task.kind}/{task.name}/{seed}",
                    partial(timed, partial(estimated, task, rows, seed)),
                )
                for seed in seeds
            ]
            errors = [each["value"] - task.truth for each in found]
            covered = sum(each["low"] <= task.truth <= each["high"] for each in found)
            kinds.setdefault((rows, task.kind), []).append((errors, covered))
            lines.append(
                (
                    f"{task.kind}: {task.name}",
                    f"{rows:,}",
                    f"{abs(task.truth):.3f}",
                    f"{fmean(each['value'] for each in found):.3f}",
                    f"{fmean(map(abs, errors)):.3f}",
                    f"{covered} of {len(found)}",
                    f"{fmean(each['high'] - each['low'] for each in found):.2f}",
                    f"{fmean(each['cpu_seconds'] for each in found):.1f}",
                )
            )
    head = ("task", "rows", "truth", "mean", "mean absolute error", "covered", "width", "CPU-s")
    table(head, lines)
    summary = []
    for (rows, kind), members in kinds.items():
        errors = [error for each, _ in members for error in each]
        covered = sum(number for _, number in members)
        share = f"{covered} of {len(errors)}"
        row = f"{fmean(map(abs, errors)):.3f}", f"{max(errors):+.3f}", share
        summary.append((kind, f"{rows:,}", *row))
    table(("kind", "rows", "mean absolute error", "largest error upwards", "covered"), summary)


def main() -> None:
    """Measures the estimates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["estimates"])
    parser.add_argument("--held-back", action="store_true")
    parser.add_argument("--tasks", nargs="+", default=[""], help="parts of names")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("embeddings.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    cells = Cells(options.out)
    chosen = [
        task
        for task in tasks()
        if task.held_back == options.held_back and any(each in task.name for each in options.tasks)
    ]
    print_estimates(cells, chosen, options.rows, options.seeds)


if __name__ == "__main__":
    main()
