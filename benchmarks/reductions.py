"""Compare ways of reducing embeddings to a few variates, on pairs of known information, in nats.

Each reduction is fitted to one half of the pairs. The other half is reduced, and its information
measured by the density model with neighbours; then the halves change places, and the two values are
averaged. All reductions but that of mivae are given four variates, or as many as there are columns.

    python benchmarks/reductions.py

Prints Markdown tables and stores every measurement in a JSON file; delete it to restart. Uses one
thread and measures CPU seconds.
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
from mivae_cli.estimators.pair_models.selection import choose_model, split_pairs
from mivae_cli.estimators.principal_features import FeatureKind
from mivae_cli.estimators.reduction import choose_reduction, principal_coordinates, shuffled_scores

Pair = tuple[Tensor, Tensor]
Reduce = Callable[[Tensor, Tensor], Pair]
Loss = Callable[[Tensor, Tensor], Tensor]

KINDS = ("embeddings", "few columns", "independent")
NEIGHBOURS = 3
RANK = 4  # variates
STEPS, EVERY, BATCH, HIDDEN, LEARNT = 300, 20, 250, 64, 16  # of networks
LARGE = 1e6  # a ridge that leaves the covariance alone: partial least squares


def of_mivae(x: Tensor, z: Tensor) -> Reduce:
    """Returns the reduction that is part of the estimate."""
    train, valid = split_pairs(len(x), 0)
    choice = choose_reduction((x[train], z[train]), (x[valid], z[valid]))
    assert choice is not None
    return choice.maps


def canonical(kind: FeatureKind, ridge: float, x: Tensor, z: Tensor) -> Reduce:
    """Returns canonical variates with a fixed ridge."""
    scores, mapped = shuffled_scores(x, z, len(x), 0)
    features, pairs = principal_coordinates(*mapped, kind, 0)
    maps = CanonicalMaps.fit(pairs, ridge, min(RANK, x.shape[1], z.shape[1]))

    def reduce(x: Tensor, z: Tensor) -> Pair:
        x, z = scores(x, z)
        return maps(features[0](x), features[1](z))

    return reduce


def network(columns: int, outputs: int) -> nn.Sequential:
    """Returns a network with two hidden layers."""
    layers: list[nn.Module] = []
    for sizes in pairwise((columns, HIDDEN, HIDDEN, outputs)):
        layers += [nn.Linear(*sizes), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train(x: Tensor, z: Tensor, nets: nn.ModuleList, loss: Loss) -> None:
    """Trains networks, and restores the weights of the least loss on a fifth of the pairs."""
    rows, valid = split_pairs(len(x), 0)
    optimizer = torch.optim.Adam(nets.parameters(), 1e-3, weight_decay=1e-4)
    best, kept = float("inf"), nets.state_dict()
    for step in range(1, STEPS + 1):
        batch = rows[torch.randint(len(rows), (BATCH,))]
        optimizer.zero_grad()
        loss(x[batch], z[batch]).backward()
        optimizer.step()
        if step % EVERY == 0:
            with torch.no_grad():
                value = float(loss(x[valid], z[valid]))
            if value < best:
                best = value
                kept = {name: each.clone() for name, each in nets.state_dict().items()}
    nets.load_state_dict(kept)


def learnt(x: Tensor, z: Tensor, outputs: int, build_loss: Callable[..., Loss]) -> Reduce:
    """Returns encoders of x and of z that minimise a loss."""
    torch.manual_seed(0)
    scores, mapped = shuffled_scores(x, z, len(x), 0)
    nets = nn.ModuleList([network(side.shape[1], outputs) for side in mapped])
    loss = build_loss(nets, x.shape[1], z.shape[1])
    train(mapped[0].float(), mapped[1].float(), nets, loss)

    def encode(x: Tensor, z: Tensor) -> Pair:
        x, z = scores(x, z)
        with torch.no_grad():
            return nets[0](x.float()).double(), nets[1](z.float()).double()

    return encode


def bottleneck(x: Tensor, z: Tensor) -> Reduce:
    """Returns codes that predict the columns of both sides, as in latentmi (Gowri et al., 2024)."""
    rank = min(RANK, x.shape[1], z.shape[1])

    def build_loss(nets: nn.ModuleList, of_x: int, of_z: int) -> Loss:
        nets.extend(network(rank, size) for size in (of_x, of_z, of_z, of_x))

        def loss(x: Tensor, z: Tensor) -> Tensor:
            a, b = nets[0](x), nets[1](z)
            parts = zip(nets[2:], (a, b, a, b), (x, z, z, x), strict=True)
            return torch.stack(
                [(net(code) - target).square().mean() for net, code, target in parts]
            ).sum()

        return loss

    return learnt(x, z, rank, build_loss)


def critic(x: Tensor, z: Tensor) -> Reduce:
    """Returns canonical variates of the features of a critic trained by InfoNCE."""

    def build_loss(nets: nn.ModuleList, of_x: int, of_z: int) -> Loss:
        def loss(x: Tensor, z: Tensor) -> Tensor:
            products = nets[0](x) @ nets[1](z).T
            partners, cross = torch.arange(len(x)), nn.functional.cross_entropy
            return cross(products, partners) + cross(products.T, partners)

        return loss

    encode = learnt(x, z, LEARNT, build_loss)
    maps = canonical("linear", 0.003, *encode(x, z))
    return lambda x, z: maps(*encode(x, z))


REDUCTIONS: dict[str, Callable[[Tensor, Tensor], Reduce]] = {
    "mivae": of_mivae,
    "partial least squares": partial(canonical, "linear", LARGE),
    "CCA, linear": partial(canonical, "linear", 0.003),
    "CCA, cosines": partial(canonical, "cosine", 0.001),
    "bottleneck": bottleneck,
    "critic": critic,
}


def reduced(task: Task, rows: int, seed: int, name: str) -> Record:
    """Measures the information that a reduction keeps."""
    x, z = (torch.from_numpy(side) for side in task.draw(rows, seed))
    halves = torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).chunk(2)
    values = []
    for fitted, used in (halves, halves[::-1]):
        a, b = REDUCTIONS[name](x[fitted], z[fitted])(x[used], z[used])
        of_model, valid = split_pairs(len(a), seed)
        choice = choose_model((a[of_model], b[of_model]), (a[valid], b[valid]), seed)
        assert choice is not None
        found = correct_neighbours(a, b, choice, NEIGHBOURS, seed)
        # as in `reduced_neighbours`: no more than neighbours see without correction
        most = max(0.0, found.neighbours - found.information)
        values.append(found.information + min(found.kept_residual, most))
    return {"value": fmean(values)}


def main() -> None:
    """Measures the reductions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", default=[""], help="parts of names")
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=Path("reductions.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    cells, lines = Cells(given.out), []
    found: dict[tuple[str, str], list[Record]] = {}
    for task in tasks():
        if task.kind not in KINDS or not any(part in task.name for part in given.tasks):
            continue
        row = [f"{task.kind}: {task.name}", f"{abs(task.truth):.2f}"]
        for name in REDUCTIONS:
            records = [
                cells.at(
                    f"{task.kind}/{task.name}/{given.rows}/{seed}/{name}",
                    partial(timed, partial(reduced, task, given.rows, seed, name)),
                )
                for seed in given.seeds
            ]
            row.append(f"{fmean(record['value'] for record in records):.2f}")
            errors = [record | {"error": record["value"] - task.truth} for record in records]
            found[task.kind, name] = [*found.get((task.kind, name), []), *errors]
        lines.append(row)
    table(["task", "truth", *REDUCTIONS], lines)
    print_summary(found)


def print_summary(found: dict[tuple[str, str], list[Record]]) -> None:
    """Prints the mean absolute and the mean error by reduction and kind, and CPU-seconds."""
    kinds = list(dict.fromkeys(kind for kind, _ in found))
    rows = []
    for name in REDUCTIONS:
        row = [name]
        for kind in kinds:
            errors = [float(record["error"]) for record in found[kind, name]]
            row += [f"{fmean(map(abs, errors)):.3f}", f"{fmean(errors):+.3f}"]
        seconds = [record["cpu_seconds"] for kind in kinds for record in found[kind, name]]
        rows.append([*row, f"{fmean(seconds):.1f}"])
    head = [column for kind in kinds for column in (f"{kind}: mean abs. error", "mean error")]
    table(["reduction", *head, "CPU-s"], rows)


if __name__ == "__main__":
    main()
