"""Compare estimators of mutual information with exact values, in nats.

Each part prints Markdown tables and stores every measurement in a JSON file. An interrupted part
resumes from this file, and a finished part prints its tables again. Delete the file to restart.

    python benchmarks/mutual_information.py auto          # the recommended estimate
    python benchmarks/mutual_information.py estimators    # each estimator alone
    python benchmarks/mutual_information.py independence  # estimates and p-values at independence
    python benchmarks/mutual_information.py peers         # other packages on the same pairs
    python benchmarks/mutual_information.py staircase     # bounds on new batches, with a figure
    python benchmarks/mutual_information.py known         # time and memory of the known posterior

Uses one thread and measures CPU seconds. `peers` needs the extra 'benchmark'.
"""

import argparse
import math
import multiprocessing
import resource
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import get_args

import torch

import online_staircase
from cells import DRAWS, Cells, Record, table, timed
from mivae_cli.choices import EstimatorName
from mivae_cli.estimators import estimate_mutual_information
from mivae_cli.estimators.known_posterior import aggregated_posterior
from mivae_cli.estimators.samplers import (
    SAMPLERS,
    CorrelatedGaussian,
    Independent,
    Sampler,
    Transformed,
    cube,
)
from mivae_cli.models.latent import DiagonalGaussian
from peers import PEERS, Peer

DIM = 20
LEVELS = (2.0, 4.0, 6.0, 8.0, 10.0)


def linear(nats: float) -> Sampler:
    """Returns correlated normal pairs with a given mutual information."""
    return CorrelatedGaussian.of_information(DIM, nats)


def cubic(nats: float) -> Sampler:
    """Returns correlated normal pairs with z cubed."""
    return Transformed(linear(nats), of_z=cube)


STAIRCASE: dict[str, Sampler] = {
    f"20-d {name}, {nats:g} nats": sampler(nats)
    for name, sampler in (("linear", linear), ("cubic", cubic))
    for nats in LEVELS
}
TASKS: dict[str, Sampler] = {
    "20-d linear, 6 nats": linear(6.0),
    "20-d cubic, 6 nats": cubic(6.0),
    "additive uniform noise 0.1": SAMPLERS["uniform-noise"],
    "half-cube": SAMPLERS["half-cube"],
    "swiss roll": SAMPLERS["swiss-roll"],
    "Student t 5x5, 2 dof": SAMPLERS["student-t"],
    "spiral 3x3": SAMPLERS["spiral"],
    "dense normal 50x50": SAMPLERS["dense"],
}
NULLS: dict[str, Sampler] = {"1x1": Independent(1, 1), "5x5": Independent(5, 5)}
NULL_PAIRS = 500
PERMUTATIONS = 99
LATENT_UNITS = 32


def ours(sampler: Sampler, pairs: int, seed: int, estimators: Sequence[EstimatorName]) -> Record:
    """Measures the recommended estimate, by default or among the named estimators."""
    x, z = sampler.draw(pairs, DRAWS + seed)

    def values() -> Record:
        report = estimate_mutual_information(x, z, estimators, seed=seed)
        found = report.recommended
        assert found is not None
        rows = {row.estimator: row.value for row in report.estimates}
        return {"truth": sampler.mutual_information, "value": found.value, "rows": rows} | {
            "estimator": found.estimator,
            "ci": [found.ci_low, found.ci_high],
        }

    return timed(values)


def recommended(cells: Cells, task: str, given: argparse.Namespace) -> list[Record]:
    """Returns the recommended estimates of a task, one record per seed."""
    sampler = (STAIRCASE | TASKS)[task]
    return [
        cells.at(
            f"auto/{task}/{given.pairs}/{seed}", partial(ours, sampler, given.pairs, seed, ())
        )
        for seed in given.seeds
    ]


def errors(records: Iterable[Record]) -> list[float]:
    """Returns the error of each record: value minus truth."""
    return [record["value"] - record["truth"] for record in records]


def worst(records: Iterable[Record]) -> float:
    """Returns the largest absolute error."""
    return max(map(abs, errors(records)))


def mean_error(records: Iterable[Record]) -> float:
    """Returns the mean absolute error."""
    return fmean(map(abs, errors(records)))


def seconds(records: Iterable[Record]) -> str:
    """Returns the mean CPU seconds, formatted for a table."""
    mean = fmean(record["cpu_seconds"] for record in records)
    return f"{mean:.1f}" if mean >= 1 else f"{mean:.2f}"


def auto(cells: Cells, given: argparse.Namespace) -> None:
    """Prints the recommended estimates on the staircase and the eight tasks."""
    head = [f"seed {seed}" for seed in given.seeds]
    head = ["task", "truth", "recommended", *head, "mean abs. error", "largest", "CPU-s"]
    everything: dict[str, list[Record]] = {}
    for tasks in (STAIRCASE, TASKS):
        everything = {task: recommended(cells, task, given) for task in tasks}
        table(
            head,
            (
                (
                    task,
                    f"{records[0]['truth']:.3f}",
                    ", ".join(sorted({record["estimator"] for record in records})),
                    *(f"{record['value']:.3f}" for record in records),
                    f"{mean_error(records):.3f}",
                    f"{worst(records):.3f}",
                    seconds(records),
                )
                for task, records in everything.items()
            ),
        )
    last = max(everything, key=lambda task: mean_error(everything[task]))
    mean = fmean(map(mean_error, everything.values()))
    print(f"\nMean absolute error over the {len(everything)} tasks: {mean:.3f} nats; ", end="")
    print(f"largest of a task: {mean_error(everything[last]):.3f} ({last}).")


def estimators(cells: Cells, given: argparse.Namespace) -> None:
    """Prints the mean signed error of each estimator on the eight tasks."""
    rows = []
    for name in get_args(EstimatorName):
        found = []
        for task, sampler in TASKS.items():
            keys = [f"{name}/{task}/{given.pairs}/{seed}" for seed in given.seeds]
            found.append(
                [
                    cells.at(key, partial(ours, sampler, given.pairs, seed, (name,)))
                    for key, seed in zip(keys, given.seeds, strict=True)
                ]
            )
        spent = seconds(record for records in found for record in records)
        rows.append((name, *(f"{fmean(errors(records)):+.2f}" for records in found), spent))
    table(["estimator", *TASKS, "CPU-s"], rows)


def independence(cells: Cells, given: argparse.Namespace) -> None:
    """Prints p-values and estimates for independent x and z."""

    def tested(sampler: Sampler, seed: int) -> Record:
        x, z = sampler.draw(NULL_PAIRS, DRAWS + seed)

        def values() -> Record:
            report = estimate_mutual_information(
                x, z, profile="quick", permutations=PERMUTATIONS, seed=seed
            )
            assert report.recommended is not None
            return {"truth": 0.0, "value": report.recommended.value, "p": report.p_value}

        return timed(values)

    shares = (0.01, 0.05, 0.1, 0.25, 0.5)
    rows = []
    for name, sampler in NULLS.items():
        found = [
            cells.at(f"null/{name}/{NULL_PAIRS}/{seed}", partial(tested, sampler, seed))
            for seed in range(given.repetitions)
        ]
        p = torch.tensor([record["p"] for record in found], dtype=torch.float64)
        # A correct p-value is uniform on k / 100
        steps = torch.arange(1, PERMUTATIONS + 2, dtype=torch.float64) / (PERMUTATIONS + 1)
        reached = (p[:, None] <= steps + 1e-9).double().mean(dim=0)
        rows.append(
            (
                name,
                len(p),
                *(f"{float((p <= share + 1e-9).double().mean()):.2f}" for share in shares),
                f"{float((reached - steps).abs().max()):.3f}",
                f"{1.358 / math.sqrt(len(p)):.3f}",
                f"{mean_error(found):.4f}",
                f"{worst(found):.4f}",
                seconds(found),
            )
        )
    table(
        [
            *("independent", "repetitions", *(f"p <= {share:g}" for share in shares)),
            *(
                "Kolmogorov-Smirnov",
                "5 % critical value",
                "mean abs. estimate",
                "largest",
                "CPU-s",
            ),
        ],
        rows,
    )
    whole = []
    for name, sampler in NULLS.items():
        records = [
            cells.at(
                f"auto/{name}/{given.pairs}/{seed}", partial(ours, sampler, given.pairs, seed, ())
            )
            for seed in given.seeds
        ]
        whole.append(
            (
                name,
                ", ".join(sorted({record["estimator"] for record in records})),
                *(f"{record['value']:+.4f}" for record in records),
                f"{mean_error(records):.4f}",
                seconds(records),
            )
        )
    head = [f"seed {seed}" for seed in given.seeds]
    table(["independent", "recommended", *head, "mean abs. error", "CPU-s"], whole)


def of_peer(peer: Peer, sampler: Sampler, pairs: int, seed: int) -> Record:
    """Measures the estimate of another package."""
    x, z = (side.numpy() for side in sampler.draw(pairs, DRAWS + seed))
    return {"truth": sampler.mutual_information} | peer.measure(x, z, "", seed)


def peers(cells: Cells, given: argparse.Namespace) -> None:
    """Prints the mean absolute error and CPU seconds of other packages on the same pairs."""
    rows = []
    for task, sampler in TASKS.items():
        found = recommended(cells, task, given)
        row = [task, f"{found[0]['truth']:.3f}", f"{mean_error(found):.3f} ({seconds(found)})"]
        for name, peer in PEERS.items():
            if peer.missing is not None:
                row.append(peer.missing)
                continue
            if not peer.applies(sampler.x_dim, sampler.z_dim):
                row.append("not applicable")
                continue
            keys = [f"{name}/{task}/{given.pairs}/{seed}" for seed in given.seeds]
            records = [
                cells.at(key, partial(of_peer, peer, sampler, given.pairs, seed))
                for key, seed in zip(keys, given.seeds, strict=True)
            ]
            row.append(f"{mean_error(records):.3f} ({seconds(records)})")
        rows.append(row)
    table(["task", "truth", "mivae", *PEERS], rows)


def staircase(cells: Cells, given: argparse.Namespace) -> None:
    """Prints the bounds on new batches for each level, and draws a figure."""
    tasks = {"linear": linear, "cubic": cubic}
    traces = online_staircase.traces(tasks, LEVELS, given.steps, given.out)
    for task, found in traces.items():
        print(f"\n{task}: bias / standard deviation / mean squared error")
        rows = []
        for bound, values in found.items():
            levels = [
                cells.at(
                    f"{task}/{bound}/{nats:g}/{given.steps}",
                    partial(online_staircase.summary, values, nats, level, len(LEVELS)),
                )
                for level, nats in enumerate(LEVELS)
            ]
            rows.append(
                (bound, *(f"{r['bias']:+.2f} / {r['sd']:.2f} / {r['mse']:.2f}" for r in levels))
            )
        table(["bound", *(f"{nats:g} nats" for nats in LEVELS)], rows)
    online_staircase.draw(traces, LEVELS, given.picture)


def posterior_pass(count: int) -> Record:
    """Measures the time and memory of both known-posterior values on random posteriors."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    mean, noise = torch.randn(2, count, LATENT_UNITS, generator=generator)
    posterior = DiagonalGaussian(mean, torch.full_like(mean, -0.5))
    z = mean + posterior.log_scale.exp() * noise
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def values() -> Record:
        found = aggregated_posterior(posterior, z)
        upper = found.leave_one_out()
        assert upper is not None
        return {"value": found.empirical().value, "upper": upper.value}

    record = timed(values)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return record | {"before_mib": before / 1024, "peak_mib": after / 1024}


def known(cells: Cells, given: argparse.Namespace) -> None:
    """Prints CPU seconds and peak memory of the known posterior with 32 latent units."""
    rows = []
    for count in given.sentences:

        def measure(count: int = count) -> Record:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                return pool.apply(posterior_pass, (count,))

        found = cells.at(f"known/{count}", measure)
        rows.append(
            (
                f"{count:,}",
                f"{found['cpu_seconds']:.1f}",
                f"{found['before_mib']:.0f}",
                f"{found['peak_mib']:.0f}",
            )
        )
    table(["sentences", "CPU-s", "MiB before", "peak MiB"], rows)


PARTS: dict[str, Callable[[Cells, argparse.Namespace], None]] = {
    "auto": auto,
    "estimators": estimators,
    "independence": independence,
    "peers": peers,
    "staircase": staircase,
    "known": known,
}


def main() -> None:
    """Runs missing measurements and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument(
        "--repetitions", type=int, default=100, help="Repetitions of the independence test."
    )
    parser.add_argument(
        "--steps", type=int, default=4_000, help="Steps per level of the staircase."
    )
    parser.add_argument("--sentences", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--out", type=Path, default=Path("runs/mutual-information"))
    parser.add_argument("--picture", type=Path, default=Path("docs/images/staircase.png"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    for part in given.parts:
        # these parts share measurements
        name = "auto" if part in ("peers", "independence") else part
        PARTS[part](Cells(given.out / f"{name}.json"), given)


if __name__ == "__main__":
    main()
