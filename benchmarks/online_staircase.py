r"""The online staircase: bounds on new batches while the mutual information increases in steps.

Each step draws a batch of 64 new pairs and evaluates the bounds on it before training the critic on
it, so no estimate uses training pairs. One critic is trained through all levels, the scalar product
of two perceptrons,

.. math:: f(x, z) = g(x)^\top k(z),

without the Gaussian start of `PairCritic`, which is optimal for these pairs. Inputs are transformed
by asinh, because single outliers of the raw cubes ruin the bounds without a ceiling. The optimiser is
Adam without gradient clipping: with clipping, rare large values of Z would no longer limit the
scores, and with a moving average for xi they would grow without limit.

| bound             critic's objective               estimate
| `dual`            `dual`, xi = 1 / average of Z    `dual`, the average without this batch
| `mine`            the same                         `donsker_varadhan` of the batch
| `nwj`             `nwj` at f + 1                   `dual`, log xi = 0
| `tuba`            `tuba`, a(z) learned              `tuba`
| `interpolated`    `interpolated`, a(z) learned      `interpolated`
| `infonce`         `infonce`                        `infonce`
| `js`              `jensen_shannon`                 `dual`, log xi = 0
| `smile`           the same                         `smile`, clipped at 5

Shapes: B pairs of a batch, S steps of all levels.

References:
    | On Variational Bounds of Mutual Information (Poole et al., 2019), for the task
"""

__all__ = ["ALPHA", "BATCH", "draw", "summary", "traces"]

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from mivae_cli.estimators.bounds import (
    donsker_varadhan,
    dual,
    infonce,
    interpolated,
    jensen_shannon,
    log_mean_exp_product,
    nwj,
    smile,
    tuba,
)
from mivae_cli.estimators.coordinates import CoordinateTransform
from mivae_cli.estimators.samplers import Sampler
from mivae_cli.reports.export import write_chart

if TYPE_CHECKING:
    import altair as alt

Trace = NDArray[np.float64]
Traces = dict[str, dict[str, Trace]]  # by task and bound, each with shape (S,)

BATCH = 64
HIDDEN, VECTORS = 256, 32
LEARNING_RATE = 5e-4
XI_DECAY = 0.9  # of the moving average of Z
ALPHA = 0.5
CLIP = 5.0
SUMMARISED = 1_000  # last estimates of a level
CHUNK = 500  # batches drawn at once
TRANSFORM_PAIRS = 20_000  # pairs to fit the transform on
SMOOTH = 200  # estimates in a running mean
DRAWN = 2_000  # points of a trace in the picture

BOUNDS_OF = {  # bounds by the objective of their critic
    "dual": ("dual", "mine"),
    "nwj": ("nwj",),
    "tuba": ("tuba",),
    "interpolated": ("interpolated",),
    "infonce": ("infonce",),
    "js": ("js", "smile"),
}
ORDER = ("dual", "nwj", "tuba", "js", "interpolated", "infonce", "mine", "smile")


def traces(
    tasks: Mapping[str, Callable[[float], Sampler]],
    levels: Sequence[float],
    steps: int,
    place: Path,
) -> Traces:
    """Returns all estimates of all bounds; reuses the measurements in a directory.

    Arguments:
        tasks: Functions from a level in nats to a sampler, by name.
        levels: The levels in nats, in order.
        steps: The number of steps per level.
        place: The directory.
    """
    place.mkdir(parents=True, exist_ok=True)
    found: Traces = {}
    for task, sampler in tasks.items():
        found[task] = {}
        for objective, names in BOUNDS_OF.items():
            path = place / f"staircase-{task}-{objective}-{steps}.npz"
            if not path.is_file():
                print(f"staircase: {task}, {objective}", file=sys.stderr, flush=True)
                np.savez_compressed(
                    path, allow_pickle=False, **_trace(sampler, levels, steps, objective)
                )
            with np.load(path) as stored:
                found[task] |= {name: stored[name] for name in names}
    return {task: {name: rows[name] for name in ORDER} for task, rows in found.items()}


def summary(values: Trace, nats: float, level: int, levels: int) -> dict[str, float]:
    """Returns bias, standard deviation and mean squared error at the end of a level."""
    steps = len(values) // levels
    end = values[: (level + 1) * steps][-min(SUMMARISED, steps) :]
    bias = float(end.mean() - nats)
    return {
        "truth": nats,
        "bias": bias,
        "sd": float(end.std()),
        "mse": float(((end - nats) ** 2).mean()),
        "standard_error": float(end.std()) / math.sqrt(len(end)),
    }


class _Separable(nn.Module):
    """Scores of all pairs of a batch from one vector each for x and z, and log a(z)."""

    def __init__(self, x_size: int, z_size: int) -> None:
        super().__init__()
        self.of_x = _perceptron(x_size, VECTORS)
        self.of_z = _perceptron(z_size, VECTORS)
        self.log_baseline = _perceptron(z_size, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        scores: Tensor = self.of_x(x) @ self.of_z(z).T
        return scores


def _perceptron(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, outputs),
    )


def _batches(
    sampler: Callable[[float], Sampler], levels: Sequence[float], steps: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields new batches, the same for every critic."""
    for level, nats in enumerate(levels):
        at_level = sampler(nats)
        for start in range(0, steps, CHUNK):
            count = min(CHUNK, steps - start)
            x, z = at_level.draw(count * BATCH, seed=level * steps + start)
            yield from zip(x.split(BATCH), z.split(BATCH), strict=True)


def _trace(
    sampler: Callable[[float], Sampler], levels: Sequence[float], steps: int, objective: str
) -> dict[str, Trace]:
    """Returns the estimates of the bounds of one critic, each with shape (S,)."""
    torch.manual_seed(0)
    first = sampler(levels[0])
    view = CoordinateTransform.fit(
        *first.draw(TRANSFORM_PAIRS, seed=steps * len(levels)), "asinh"
    )  # a seed that no batch uses
    critic = _Separable(first.x_dim, first.z_dim)
    optimizer = torch.optim.Adam(critic.parameters(), lr=LEARNING_RATE, fused=True)
    found: dict[str, list[float]] = {name: [] for name in BOUNDS_OF[objective]}
    log_average: Tensor | None = None
    for step, (x, z) in enumerate(_batches(sampler, levels, steps), start=1):
        x, z = (side.float() for side in view(x, z))
        scores = critic(x, z)
        log_baseline = critic.log_baseline(z)[:, 0] if objective in _WITH_BASELINE else None
        with torch.no_grad():
            log_z = log_mean_exp_product(scores)
            before = log_z if log_average is None else log_average
            for name, values in found.items():
                values.append(float(_read(name, scores, -before, log_baseline)))
            log_average = _averaged(before, log_z, min(XI_DECAY, 1 - 1 / step))
        loss = -_objective(objective, scores, -log_average, log_baseline)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        gradients = [part.grad for part in critic.parameters() if part.grad is not None]
        if torch.isfinite(get_total_norm(gradients)):
            optimizer.step()
    return {name: np.array(values) for name, values in found.items()}


def _averaged(log_average: Tensor, log_mean: Tensor, decay: float) -> Tensor:
    """Returns the log of the updated moving average."""
    if decay == 0:
        return log_mean
    return torch.logaddexp(log_average + math.log(decay), log_mean + math.log1p(-decay))


_WITH_BASELINE = ("tuba", "interpolated")


def _read(name: str, scores: Tensor, log_xi: Tensor, log_baseline: Tensor | None) -> Tensor:
    match name:
        case "dual":
            return dual(scores, log_xi)
        case "mine":
            return donsker_varadhan(scores)
        case "nwj" | "js":  # their optimal f is the pointwise mutual information
            return dual(scores, 0.0)
        case "smile":
            return smile(scores, CLIP)
        case _:
            return _objective(name, scores, log_xi, log_baseline)


def _objective(
    objective: str, scores: Tensor, log_xi: Tensor, log_baseline: Tensor | None
) -> Tensor:
    match objective, log_baseline:
        case "dual", _:
            return dual(scores, log_xi)
        case "nwj", _:
            return nwj(scores + 1)
        case "js", _:
            return jensen_shannon(scores)
        case "infonce", _:
            return infonce(scores)
        case "tuba", Tensor():
            return tuba(scores, log_baseline)
        case "interpolated", Tensor():
            return interpolated(scores, log_baseline, ALPHA)
        case _:
            raise ValueError(f"unknown objective {objective}")


def draw(found: Traces, levels: Sequence[float], path: Path) -> None:
    """Draws one panel per bound: estimates, running mean and true value."""
    import altair as alt

    tasks = [
        alt.layer(*_layers(levels), data=alt.InlineData(values=_rows(bounds, levels)))
        .properties(width=220, height=140)
        .facet(facet=alt.Facet("bound:N", sort=list(bounds), title=None), columns=4)
        .properties(title=f"20-d correlated Gaussian, {task}")
        for task, bounds in found.items()
    ]
    write_chart(alt.vconcat(*tasks).to_dict(), path)


def _layers(levels: Sequence[float]) -> "list[alt.Chart]":
    """Returns the layers of a panel; the ceiling is that of InfoNCE."""
    import altair as alt

    x = alt.X("step:Q", title="step", axis=alt.Axis(grid=False, tickCount=5))
    scale = alt.Scale(domain=[-1, max(levels) + 4], nice=False, clamp=True)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title="nats", scale=scale, axis=alt.Axis(values=[0, *levels]))

    ceiling = alt.Chart().transform_filter("datum.bound === 'infonce'")
    return [
        alt.Chart().mark_line(strokeWidth=0.5, opacity=0.4).encode(x=x, y=y("estimate")),
        alt.Chart().mark_line(strokeWidth=1.6).encode(x=x, y=y("mean")),
        alt.Chart().mark_line(style="truth", strokeWidth=1.1).encode(x=x, y=y("truth")),
        ceiling.mark_line(style="alarm", strokeWidth=1.2).encode(x=x, y=y("ceiling")),
    ]


def _rows(bounds: Mapping[str, Trace], levels: Sequence[float]) -> list[dict[str, float | str]]:
    """Returns about `DRAWN` points of each trace."""
    rows: list[dict[str, float | str]] = []
    for name, values in bounds.items():
        means = np.convolve(values, np.ones(SMOOTH) / SMOOTH)[: len(values)]  # of earlier steps
        truth = np.repeat(levels, len(values) // len(levels))
        for step in range(SMOOTH - 1, len(truth), max(1, len(values) // DRAWN)):
            rows.append(
                {
                    "bound": name,
                    "step": step,
                    "estimate": float(values[step]),
                    "mean": float(means[step]),
                    "truth": float(truth[step]),
                    "ceiling": math.log(BATCH),
                }
            )
    return rows
