"""Compare estimates of many columns with known mutual information, in nats.

Prints Markdown tables and stores every measurement in a JSON file; delete it to restart.

    python benchmarks/embeddings.py estimates               # tasks used during development
    python benchmarks/embeddings.py estimates --held-back   # tasks first tried afterwards
    python benchmarks/embeddings.py reductions              # other reductions, by cross-fitted halves

Uses one thread and measures CPU seconds.
"""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor, nn

from cells import Cells, Record, table, timed
from embedding_cases import Task, tasks
from mivae_cli.estimators.canonical_variates import CanonicalMaps
from mivae_cli.estimators.corrected_neighbours import correct_neighbours
from mivae_cli.estimators.model_estimates import ModelEstimates
from mivae_cli.estimators.pair_models.selection import choose_model, split_pairs
from mivae_cli.estimators.principal_features import FeatureKind
from mivae_cli.estimators.reduction import principal_coordinates, shuffled_scores

Pair = tuple[Tensor, Tensor]
Maps = Callable[[Tensor, Tensor], Pair]
NEIGHBOURS = 3
STEPS, BATCH, HIDDEN = 600, 250, 64


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


# Other reductions, fitted to one half of the pairs -----------------------------------------------


def canonical(x: Tensor, z: Tensor, kind: FeatureKind, ridge: float, rank: int) -> Maps:
    """Returns canonical maps; a very large ridge gives partial least squares."""
    scores, mapped = shuffled_scores(x, z, len(x), 0)
    features, pairs = principal_coordinates(*mapped, kind, 0)
    maps = CanonicalMaps.fit(pairs, ridge, rank)

    def reduce(x: Tensor, z: Tensor) -> Pair:
        x, z = scores(x, z)
        return maps(features[0](x), features[1](z))

    return reduce


def network(columns: int, outputs: int) -> nn.Sequential:
    """Returns a small network."""
    sizes = columns, HIDDEN, HIDDEN, outputs
    layers = [nn.Linear(*pair) for pair in pairwise(sizes)]
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


def trained(x: Tensor, z: Tensor, nets: nn.ModuleList, loss: Callable[[Pair], Tensor]) -> None:
    """Trains networks, and keeps the weights of the best validation loss."""
    train, valid = split_pairs(len(x), 0)
    optimizer = torch.optim.Adam(nets.parameters(), 1e-3, weight_decay=1e-4)
    best, kept = float("inf"), nets.state_dict()
    for step in range(STEPS):
        rows = train[torch.randint(len(train), (BATCH,))]
        optimizer.zero_grad()
        loss((x[rows], z[rows])).backward()
        optimizer.step()
        if step % 20 == 19:
            with torch.no_grad():
                value = float(loss((x[valid], z[valid])))
            if value < best:
                best = value
                kept = {name: each.clone() for name, each in nets.state_dict().items()}
    nets.load_state_dict(kept)


def learnt(x: Tensor, z: Tensor, rank: int, kind: str) -> Maps:
    """Returns encoders that predict each other's columns, or those of an InfoNCE critic."""
    torch.manual_seed(0)
    scores, _ = shuffled_scores(x, z, len(x), 0)
    mapped = scores(x, z)
    sizes = x.shape[1], z.shape[1]
    nets = nn.ModuleList([network(size, rank if kind == "bottleneck" else 16) for size in sizes])
    if kind == "bottleneck":
        nets.extend(network(rank, size) for size in (*sizes, *reversed(sizes)))

    def loss(pair: Pair) -> Tensor:
        a, b = nets[0](pair[0]), nets[1](pair[1])
        if kind == "critic":
            products = a @ b.T
            labels = torch.arange(len(products))
            cross = nn.functional.cross_entropy
            return cross(products, labels) + cross(products.T, labels)
        targets = pair[0], pair[1], pair[1], pair[0]
        codes = a, b, a, b
        parts = zip(nets[2:], codes, targets, strict=True)
        return torch.stack([(net(code) - to).square().mean() for net, code, to in parts]).sum()

    trained(mapped[0].float(), mapped[1].float(), nets, loss)

    def encode(x: Tensor, z: Tensor) -> Pair:
        with torch.no_grad():
            mapped = scores(x, z)
            return nets[0](mapped[0].float()).double(), nets[1](mapped[1].float()).double()

    if kind == "bottleneck":
        return encode
    after = canonical(*encode(x, z), "linear", 0.003, rank)
    return lambda x, z: after(*encode(x, z))


def halves(task: Task, rows: int, seed: int) -> Record:
    """Measures reductions to three variates that are fitted to one half and used on the other.

    No shortfall is added. The rank is that of the factors or, for few columns, of the columns.
    """
    x, z = (torch.from_numpy(side) for side in task.draw(rows, seed))
    rank = min(3, x.shape[1], z.shape[1])
    fits: dict[str, Callable[[Tensor, Tensor], Maps]] = {
        "PLS": lambda x, z: canonical(x, z, "linear", 1e6, rank),
        "ridge CCA": lambda x, z: canonical(x, z, "linear", 0.003, rank),
        "CCA of cosines": lambda x, z: canonical(x, z, "cosine", 0.001, rank),
        "bottleneck": lambda x, z: learnt(x, z, rank, "bottleneck"),
        "critic": lambda x, z: learnt(x, z, rank, "critic"),
    }
    record: Record = {}
    parts = torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).chunk(2)
    for name, fit in fits.items():

        def measured(fit: Callable[[Tensor, Tensor], Maps] = fit) -> Record:
            values = []
            for fitted, used in (parts, parts[::-1]):
                a, b = fit(x[fitted], z[fitted])(x[used], z[used])
                train, valid = split_pairs(len(a), seed)
                choice = choose_model((a[train], b[train]), (a[valid], b[valid]), seed)
                assert choice is not None
                found = correct_neighbours(a, b, choice, NEIGHBOURS, seed)
                values.append(found.information)
            return {"value": fmean(values)}

        record[name] = timed(measured)
    return record


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


def print_reductions(cells: Cells, chosen: list[Task], rows: int, seeds: list[int]) -> None:
    """Prints the information that other reductions keep."""
    lines = []
    for task in [each for each in chosen if each.kind in ("embeddings", "few columns")]:
        found = [
            cells.at(
                f"halves/{rows}/{task.kind}/{task.name}/{seed}",
                partial(halves, task, rows, seed),
            )
            for seed in seeds
        ]
        values = [f"{fmean(each[name]['value'] for each in found):.2f}" for name in found[0]]
        lines.append((task.name, f"{task.truth:.2f}", *values))
    table(("task", "truth", *found[0]), lines)
    seconds = [f"{fmean(each[name]['cpu_seconds'] for each in found):.1f}" for name in found[0]]
    print(f"\nCPU-seconds of the last task: {', '.join(seconds)}")


def main() -> None:
    """Measures one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["estimates", "reductions"])
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
    if options.part == "estimates":
        print_estimates(cells, chosen, options.rows, options.seeds)
    else:
        print_reductions(cells, chosen, options.rows[0], options.seeds)


if __name__ == "__main__":
    main()
