"""A ranking of features as a table."""

__all__ = ["show_ranking"]

from dataclasses import asdict

from rich.table import Column
from rich.text import Text

from ...estimators import FeatureRank, Ranking
from .console import plain, print_json, stdout
from .tables import cell, new_table, right

SMALL = 1e-4  # p-values below are shown as powers of ten


def show_ranking(ranking: Ranking, title: str, as_json: bool) -> None:
    """Prints a ranking as JSON or as a table."""
    if as_json:
        return print_json(asdict(ranking), indent=2)
    compared = any(feature.mrmr is not None for feature in ranking.features)
    numbers: list[Column | str] = [
        right(head, no_wrap=True) for head in ("nats", "95 % interval", "p", "q")
    ]
    others: list[Column | str] = [right("shared"), "with", right("mrmr")]
    heads: list[Column | str] = ["feature", *numbers, *(others if compared else ["estimator"])]
    table = new_table(f"{title}: mutual information with {ranking.target}", *heads)
    table.padding = (0, 1, 0, 0)  # to fit into 80 columns
    for feature in ranking.features:
        table.add_row(*_cells(feature, compared))
    stdout.print(table)
    count = f"{ranking.n:,} rows, {ranking.permutations:,} permutations"
    for line in (count, *ranking.warnings, *ranking.notes):
        stdout.print(Text(plain(line)))
    return None


def _cells(feature: FeatureRank, compared: bool) -> list[Text]:
    low, high = feature.ci_low, feature.ci_high
    cells = [
        plain(feature.feature),
        f"{feature.value:.3f}",
        "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]",
        _probability(feature.p_value),
        _probability(feature.q_value),
    ]
    shared = feature.redundancy
    if compared:
        cells.append("" if shared is None else f"{shared:.3f}")
        cells += [feature.redundant_with or "", str(feature.mrmr or "")]
    else:
        cells.append(feature.estimator)
    return [cell(text) for text in cells]


def _probability(value: float) -> str:
    return f"{value:.0e}" if value < SMALL else f"{value:.4f}"
