r"""Differences in negative log-likelihood (NLL) between the rows of a comparison, with intervals.

Rows a and b have runs of several seeds s, each with the NLL of the same N test sentences.

.. math:: \Delta = \frac{1}{N} \sum_i d_i, \qquad
    d_i = \frac{1}{S_a} \sum_s \mathrm{NLL}_{a,s,i} - \frac{1}{S_b} \sum_s \mathrm{NLL}_{b,s,i}

A long sentence has a high NLL under every model, so the differences vary far less than the NLL.
The standard error is over sentences and over seeds,

.. math:: \mathrm{SE}^2 = \frac{\mathrm{Var}_i(d_i)}{N} + \frac{\mathrm{Var}_s(\bar a_s)}{S_a}
    + \frac{\mathrm{Var}_s(\bar b_s)}{S_b},

with the mean NLL :math:`\bar a_s` of a run. The 95 % interval has the quantile of Student's t with
the degrees of freedom of Welch and Satterthwaite. With one seed per row, only the first term is
known, and the interval is that of a mean; the jackknife gives the same. If only one row has several
seeds, the other is assumed to vary as much.

All in nats per sentence.

References:
    | The Generalization of 'Student's' Problem when Several Different Population Variances Are
      Involved (Welch, 1947)
"""

__all__ = ["NLL_DIFFERENCE", "SeedValues", "compare_paired", "difference"]

import math
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..config.messages import suggestion
from ..errors import CheckpointError, ConfigError, listing
from ..runs.sentence_files import load_values
from .columns import NLL_DIFFERENCE
from .comparison import Comparison, Pairing, compare
from .summary import Figure, Outcome

LISTED = 3  # names in a warning


@dataclass(frozen=True, eq=False)
class SeedValues:
    """The NLL of N sentences under the runs of a row."""

    mean: NDArray[np.float64]  # over runs, with shape (N,)
    runs: tuple[float, ...]  # mean over sentences of each run

    @property
    def several(self) -> bool:
        """Whether there are several runs."""
        return len(self.runs) > 1

    @classmethod
    def of(cls, runs: Iterable[NDArray[np.floating]]) -> "SeedValues":
        """Returns the values of some runs, each with shape (N,)."""
        total, means = np.zeros(()), []
        for values in runs:
            if total.ndim and len(values) != len(total):
                raise ValueError("the runs have different numbers of sentences")
            total = total + values.astype(np.float64)
            means.append(float(values.mean(dtype=np.float64)))
        return cls(total / len(means), tuple(means))


def difference(row: SeedValues, baseline: SeedValues) -> Figure:
    """Returns the mean difference of two rows with its 95 % interval, and its deviation over seeds.

    Raises:
        ValueError: The rows have different numbers of sentences.
    """
    from scipy.special import stdtrit  # slow to import

    if row.mean.shape != baseline.mean.shape:
        raise ValueError("the rows have different numbers of sentences")
    terms, count = row.mean - baseline.mean, len(row.mean)
    value = float(terms.mean())
    if count < 2:
        return Figure(value)
    # variances of the estimate, with their degrees of freedom
    parts = [(float(terms.var(ddof=1)) / count, count - 1)]
    spreads, sd = (
        [statistics.variance(each.runs) for each in (row, baseline) if each.several],
        None,
    )
    sizes = [len(row.runs), len(baseline.runs)]
    if len(spreads) == 2:
        sd = math.sqrt(sum(spreads))
        parts += [(each / n, n - 1) for each, n in zip(spreads, sizes, strict=True)]
    elif spreads:
        sd = math.sqrt(2 * spreads[0])
        parts.append((sum(spreads[0] / n for n in sizes), max(sizes) - 1))
    total = sum(variance for variance, _ in parts)
    shares = sum(variance**2 / freedom for variance, freedom in parts)
    margin = 0.0
    if shares > 0:
        margin = float(stdtrit(total**2 / shares, 0.975)) * math.sqrt(total)
    return Figure(value, sd=sd, low=value - margin, high=value + margin)


def compare_paired(
    outcomes: Sequence[Outcome], fold: bool = True, baseline: str | None = None
) -> Comparison:
    """Returns the comparison of some runs, with paired differences in NLL to one of its rows.

    The NLL is importance-weighted if all rows have the same number of samples, or else the
    negative ELBO.

    Arguments:
        outcomes: The runs.
        fold: Whether to join runs that differ only in the seed.
        baseline: The name of a row, or the path of one of its runs; by default the row with the
            lowest NLL.

    Raises:
        ConfigError: No evaluated row has this name or path.
    """
    comparison = compare(outcomes, fold)
    chosen = None if baseline is None else _row(comparison, baseline)
    measured = [n for n, row in enumerate(comparison.rows) if row.standing == "evaluated"]
    if len(measured) < 2:
        return comparison
    members = {n: comparison.rows[n].members for n in measured}
    samples = {each.samples for n in measured for each in members[n]} - {None}
    figure: Literal["iw_nll", "nll"] = "iw_nll" if len(samples) < 2 else "nll"
    found, warnings = _values(members, figure)
    tested = {n: members[n][0].tested for n in found}
    if chosen is None and found:
        # of several test sets, the one with the most rows
        common = statistics.mode(tested.values())
        chosen = min(
            (n for n in found if tested[n] == common),
            key=lambda n: statistics.fmean(found[n].runs),
        )
    if chosen is None or chosen not in found:
        return replace(comparison, warnings=(*comparison.warnings, *warnings))
    differences, others = {}, []
    for n in found:
        if n == chosen:
            continue
        try:
            if tested[n] != tested[chosen]:
                raise ValueError("different test sets")
            differences[n] = difference(found[n], found[chosen])
        except ValueError:
            others.append(comparison.rows[n].name)
    if others:
        warnings.append(
            f"no paired difference for {listing(others, LISTED)}: the test set or the vocabulary "
            f"is not that of {comparison.rows[chosen].name}"
        )
    warned = replace(
        _with_figures(comparison, differences), warnings=(*comparison.warnings, *warnings)
    )
    if not differences:
        return warned
    pairing = Pairing(
        baseline=comparison.rows[chosen].name,
        figure=figure,
        iw_samples=next(iter(samples), None) if figure == "iw_nll" else None,
        sentences=len(found[chosen].mean),
    )
    columns = tuple(
        replace(column, heading=pairing.heading) if column.key == NLL_DIFFERENCE else column
        for column in comparison.columns
    )
    return replace(warned, columns=columns, pairing=pairing)


def _with_figures(comparison: Comparison, differences: Mapping[int, Figure]) -> Comparison:
    rows = [
        replace(row, figures={**row.figures, NLL_DIFFERENCE: differences.get(n)})
        for n, row in enumerate(comparison.rows)
    ]
    return replace(comparison, rows=tuple(rows))


def _row(comparison: Comparison, baseline: str) -> int:
    """Returns the row with a name or with a run at a path."""
    path = os.path.realpath(baseline)
    for n, row in enumerate(comparison.rows):
        if baseline == row.name or path in map(os.path.realpath, row.paths):
            if row.standing != "evaluated":
                raise ConfigError(
                    f"the baseline '{row.name}' has no figures: it is {row.standing}"
                )
            return n
    names = [row.name for row in comparison.rows]
    raise ConfigError(
        f"no row '{baseline[:80]}' in this comparison{suggestion(baseline, names)}; the rows are "
        f"{listing(names)}"
    )


def _values(
    members: Mapping[int, Sequence[Outcome]], figure: Literal["iw_nll", "nll"]
) -> tuple[dict[int, SeedValues], list[str]]:
    """Returns the values of rows whose runs all have figures per sentence, and warnings."""
    found, without, warnings = {}, [], []
    for n, outcomes in members.items():
        try:
            values = [load_values(Path(each.path), each.evaluation or {}) for each in outcomes]
            known = [getattr(each, figure) for each in values if each is not None]
            if len(known) == len(values):
                found[n] = SeedValues.of(known)
            without += [o.name for o, each in zip(outcomes, values, strict=True) if each is None]
        except (CheckpointError, ValueError) as error:
            warnings.append(f"no paired difference for {outcomes[0].name}: {error}")
    if without:
        warnings.append(
            f"no paired intervals for {listing(without, LISTED)}, evaluated by an earlier version: "
            "run 'mivae eval RUN' for paired intervals"
        )
    return found, warnings
