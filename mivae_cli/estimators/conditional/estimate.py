r"""Estimate I(x; z | w) of any three variables with several estimators, and recommend one.

Continuous columns of x and z are first reduced to what w does not predict (module `residuals`),
which does not change I(x; z | w). Every column is then replaced by its normal scores.

| `plug-in`        counts of levels, if all columns are discrete
| `corrected-knn`  a mixture model, corrected by nearest neighbours, if any column is continuous
| `knn`            nearest neighbours alone
| `copula`         partial canonical correlations, if x and z have no discrete columns

If rows depend on each other, `mixture` takes the place of `corrected-knn`, and the others have versions
that permute and exclude whole units (`across_units`).

The first that applies is recommended. If columns of x or z repeat many values, or have almost as many
levels as rows, no mixture fits them, and `knn` is recommended.
"""

__all__ = ["conditional_report", "independence_of"]

from ...errors import DataError
from ...limits import MAX_PERMUTATIONS, check_count, check_seed
from ..intervals import Interval, mean_interval
from ..nearest_neighbours import INFLATION, KSG_DIMENSIONS, check_neighbours
from ..report import Estimate, Recommendation, Report, stopwatch
from ..rows import Rows
from ..variables import Variable
from .across_units import unit_mixture_interval, unit_neighbour_interval
from .corrected import MAX_ROWS, CorrectedNeighbours, few_rows
from .neighbours import neighbour_terms
from .partial_copula import partial_interval
from .plug_in import plug_in_interval, remaining_entropy
from .preparation import PreparedSamples, check_rows
from .samples import Samples

ALMOST_INFINITE = 4.0  # nats of a fitted model for each column of x or z
REASONS = {
    "plug-in": "all columns are discrete, so their counts are used, adjusted for chance",
    "knn": "no density model fits columns that repeat values or have very many levels",
    "corrected-knn": "a density model chosen on held-out rows, corrected by nearest neighbours",
    "mixture": "a density model chosen on held-out units of rows",
}


def conditional_report(
    x: Variable,
    z: Variable,
    given: Variable,
    *,
    neighbours: int = 3,
    permutations: int = 0,
    rows: Rows | None = None,
    seed: int = 0,
) -> Report:
    r"""Estimates the conditional mutual information of x and z given w, in nats.

    .. math:: I(x; z \mid w) = \mathbb{E}\Big[\log \frac{q(x, z \mid w)}{q(x \mid w) \, q(z \mid w)}
        \Big]

    It is 0 if and only if x and z are independent given w. The notes compare it with I(x; z).

    Arguments:
        x: N >= 50 samples.
        z: The samples drawn with them.
        given: The variable w on which both are conditioned.
        neighbours: The number k of neighbours of the row "knn".
        permutations: Number of permutations of x among rows with similar w, for a p-value of
            independence given w; 0 for none.
        rows: Which rows depend on each other; default: none.
        seed: Seed of folds, models and permutations; the global random state does not change.

    Raises:
        DataError: The numbers of rows differ or are below 50, or x or z is constant.
        ConfigError: A number is out of range.

    References:
        | Partial mutual information for coupling analysis of multivariate time series (Frenzel &
          Pompe, 2007)
        | Conditional mutual information estimation for mixed, discrete and continuous data (Mesner
          & Shalizi, 2020)
    """
    permutations = check_count("the number of permutations", permutations, 0, MAX_PERMUTATIONS)
    seed = check_seed(seed)
    neighbours = check_neighbours(neighbours, check_rows(x, z, given))
    shape = len(x), len(x.columns), len(z.columns)
    ready = PreparedSamples.of(x, z, given, seed, rows)
    p_value = ready.p_value(permutations, seed) if permutations else None
    empty = next(
        (v.name for v, part in ((x, ready.samples.x), (z, ready.samples.z)) if part.empty),
        None,
    )
    if empty is not None:
        nothing = Estimate("exact", 0.0, 0.0, 0.0, "neither", None, False)
        best = Recommendation.of(nothing, f"'{given.name}' determines '{empty}'")
        columns = list(given.columns)
        return Report(best, [nothing], *shape, p_value, ready.warnings, given=columns)
    estimates = _estimates(ready, neighbours, seed)
    first = estimates[0].estimator
    best = Recommendation.of(estimates[0].at_least_zero(), REASONS[first])
    without = _unconditional(ready, neighbours, seed)
    notes = [_comparison(best, without, x.name, z.name, given.name)]
    columns = list(given.columns)
    return Report(best, estimates, *shape, p_value, ready.warnings, notes, given=columns)


def independence_of(
    x: Variable,
    z: Variable,
    given: Variable,
    permutations: int,
    seed: int,
    rows: Rows | None = None,
) -> float:
    """Returns the p-value of `conditional_report` alone."""
    check_rows(x, z, given)
    return PreparedSamples.of(x, z, given, seed, rows).p_value(permutations, seed)


def _estimates(ready: PreparedSamples, neighbours: int, seed: int) -> list[Estimate]:
    """Returns the estimates, the recommended one first."""
    rows, samples = [], ready.samples
    if not samples.dimensions:
        with stopwatch() as seconds:
            interval = plug_in_interval(samples, seed, ready.rows)
            x, z, w = samples.x.code, samples.z.code, samples.w.code
            ceiling = min(remaining_entropy(x, w), remaining_entropy(z, w))
        rows.append(Estimate("plug-in", *interval, "neither", ceiling, False, seconds(), []))
    elif ready.smooth and ready.rows.dependent:
        with stopwatch() as seconds:
            interval = unit_mixture_interval(samples, ready.rows, seed)
        rows.append(_row("mixture", interval, seconds(), []))
    elif ready.smooth:
        with stopwatch() as seconds:
            corrected = CorrectedNeighbours.estimate(samples, seed)
        warnings = []
        fewest = min(part.continuous.shape[1] for part in (samples.x, samples.z))
        if fewest and corrected.model > ALMOST_INFINITE * fewest:
            warnings.append(
                "z may contain a function of x and the given columns: for continuous values, the "
                "information is then infinite"
            )
        rows.append(_row("corrected-knn", corrected.interval, seconds(), warnings))
    with stopwatch() as seconds:
        interval = _neighbour_interval(samples, ready.rows, neighbours, seed)
    warnings = []
    if len(few_rows(samples, seed)) < len(samples):
        warnings.append(f"uses {MAX_ROWS:,} of {len(samples):,} rows")
    if samples.dimensions > KSG_DIMENSIONS:
        warnings.append(
            f"nearest-neighbour estimates are far too low in {samples.dimensions} dimensions"
        )
    rows.append(_row("knn", interval, seconds(), warnings))
    if not samples.x.code.any() and not samples.z.code.any():
        with stopwatch() as seconds:
            try:
                interval = partial_interval(samples, ready.rows, seed)
            except DataError:  # too few rows for a covariance
                return rows
        rows.append(_row("copula", interval, seconds(), []))
    return rows


def _neighbour_interval(samples: Samples, rows: Rows, neighbours: int, seed: int) -> Interval:
    if rows.dependent:
        return unit_neighbour_interval(samples, rows, neighbours, seed)
    value, low, high = mean_interval(neighbour_terms(few_rows(samples, seed), neighbours))
    margin = INFLATION * (high - low) / 2
    return Interval(value, value - margin, value + margin)


def _row(name: str, interval: Interval, seconds: float, warnings: list[str]) -> Estimate:
    return Estimate(name, *interval, "neither", None, False, seconds, warnings)


def _unconditional(ready: PreparedSamples, neighbours: int, seed: int) -> Interval:
    """Returns I(x; z), by the method of the recommended row."""
    samples = ready.raw.without_given()
    if not ready.samples.dimensions and not samples.dimensions:
        return plug_in_interval(samples, seed, ready.rows)
    if not ready.smooth or not samples.dimensions:
        return _neighbour_interval(samples, ready.rows, neighbours, seed)
    if ready.rows.dependent:
        return unit_mixture_interval(samples, ready.rows, seed)
    return CorrectedNeighbours.estimate(samples, seed).interval


def _comparison(best: Recommendation, without: Interval, x: str, z: str, given: str) -> str:
    """Returns a sentence that compares I(x; z | w) with I(x; z)."""
    value, before = best.value, max(without.value, 0.0)
    low, high = best.ci_low or 0.0, best.ci_high or 0.0
    figures = f"I({x}; {z}) is {before:.3f} nats, I({x}; {z} | {given}) is {value:.3f} nats"
    if value > before and low > without.high:
        return f"{figures}: the given columns reveal dependence that the pairs alone do not show"
    if high < without.low and before > 0:
        share = 1 - value / before
        return f"{figures}: the given columns account for {share:.0%} of the dependence"
    return f"{figures}: the difference is within the sampling error"
