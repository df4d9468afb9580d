r"""Estimates of the mutual information of two variables, at least one with levels or atoms.

| two discrete variables              the plug-in estimate
| a discrete one and numbers          a classifier with nearest neighbours, and its parts
| anything else                       the chain rule over levels and atoms, and nearest neighbours

If rows depend on each other, the first two have versions that hold out, permute and exclude whole
units (`Rows`). There is none for variables with both numbers and levels.
"""

__all__ = ["discrete_estimates"]

from ...errors import DataError
from ..nearest_neighbours import ksg_interval
from ..report import Estimate, Recommendation, stopwatch
from ..rows import Rows
from ..variables import Variable
from .chain import PairEstimate, chain, split_atoms
from .labels import DiscreteEstimates, label_estimates
from .mixed import has_atoms, mixed
from .plug_in import entropy, plug_in
from .unit_labels import unit_label_estimates
from .unit_tables import unit_plug_in


def discrete_estimates(
    x: Variable,
    z: Variable,
    neighbours: int = 3,
    *,
    continuous: PairEstimate = ksg_interval,
    rows: Rows | None = None,
    seed: int = 0,
) -> DiscreteEstimates:
    """Returns the estimates that apply to two variables, in nats, and the recommended one.

    Arguments:
        x: N >= 50 rows of levels, of numbers, or of both.
        z: The rows observed with them.
        neighbours: The number k of neighbours.
        continuous: Estimates the information of numbers (N, X) and numbers (N, Z) within a level.
        rows: Which rows depend on each other; default: none.
        seed: Seed of all draws; the global random state does not change.

    Raises:
        DataError: The numbers of rows differ, or there are fewer than 50; or rows depend on each
            other, and a variable has both numbers and levels.
        ConfigError: `neighbours` or `seed` is out of range.
    """
    if len(x) != len(z):
        raise DataError(f"{len(x):,} rows of x, but {len(z):,} of z")
    if len(x) < 50:
        raise DataError(f"{len(x)} rows are too few; provide at least 50")
    if rows is not None and rows.dependent:
        return _across_units(x, z, rows, neighbours, seed)
    if x.kind == z.kind == "discrete":
        return _of_codes(x, z, seed)
    for label, numbers in ((x, z), (z, x)):
        if label.kind == "discrete" and numbers.kind == "continuous" and not has_atoms(numbers):
            return label_estimates(numbers.continuous, label.joint_code(), neighbours, seed=seed)
    return _of_mixed(x, z, neighbours, continuous, seed)


def _of_codes(x: Variable, z: Variable, seed: int) -> DiscreteEstimates:
    found = plug_in(x.joint_code(), z.joint_code(), seed=seed)
    reason = "the plug-in estimate, corrected by its bias on draws from a model of the table"
    return _collected(Recommendation.of(found, reason), [found], found.ceiling)


def _across_units(
    x: Variable, z: Variable, rows: Rows, neighbours: int, seed: int
) -> DiscreteEstimates:
    if x.kind == z.kind == "discrete":
        found = unit_plug_in(x.joint_code(), z.joint_code(), rows, seed=seed)
        reason = f"the plug-in estimate, without that of permuted {rows.kind}"
        return _collected(Recommendation.of(found, reason), [found], found.ceiling)
    for label, numbers in ((x, z), (z, x)):
        if label.kind == "discrete" and numbers.kind == "continuous":
            return unit_label_estimates(
                numbers.continuous, label.joint_code(), rows, neighbours, seed=seed
            )
    raise DataError(
        f"{x.name} or {z.name} has columns of numbers and of levels, for which there is no estimate "
        f"by {rows.kind}; choose columns of one type, or make them numbers with --discrete none "
        "(in Python, discrete='none')"
    )


def _of_mixed(
    x: Variable, z: Variable, neighbours: int, continuous: PairEstimate, seed: int
) -> DiscreteEstimates:
    nearest = mixed(x, z, max(neighbours, 5), seed=seed)
    with stopwatch() as seconds:
        sides = split_atoms(x), split_atoms(z)
        found = chain(*sides, neighbours, continuous=continuous, seed=seed)
    limit = min((entropy(s.joint_code()) for s in sides if s.kind == "discrete"), default=None)
    notes = [
        f"{name} has atoms: values that many rows repeat are levels of their own"
        for name, before, after in zip((x.name, z.name), (x, z), sides, strict=True)
        if after.codes.shape[1] > before.codes.shape[1]
    ]
    if found is None:
        reason = "nearest neighbours; some levels have too few rows for the chain rule"
        return _collected(Recommendation.of(nearest, reason), [nearest], limit, notes)
    value = max(found.value, 0.0)
    low, high = max(found.low, 0.0), max(found.high, 0.0)
    exact = Estimate("chain", value, low, high, "neither", limit, False, seconds())
    reason = "the sum of the information of the levels and of the numbers within levels"
    return _collected(Recommendation.of(exact, reason), [exact, nearest], limit, notes)


def _collected(
    recommended: Recommendation,
    estimates: list[Estimate],
    limit: float | None,
    notes: list[str] | None = None,
) -> DiscreteEstimates:
    share = min(max(recommended.value / limit, 0.0), 1.0) if limit else None
    return DiscreteEstimates(recommended, estimates, limit, share, [], notes or [])
