"""The columns of a comparison: heading, rounding, and whether low or high is better."""

__all__ = [
    "COLUMNS",
    "IMPORTANCE_WEIGHTED",
    "NLL_DIFFERENCE",
    "Column",
    "best_rows",
    "further_columns",
    "shown",
]

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..evaluation.rounding import Rounded, rounded
from .summary import Figure


@dataclass(frozen=True)
class Column:
    """The key, heading and digits of a figure, and whether low or high values are better."""

    key: str
    heading: str
    digits: int = 2
    better: Literal["low", "high"] | None = None
    limit: Literal["ceiling", "of"] | None = None  # the attribute of Figure with its limit
    interval: bool = False  # whether figures are shown with their interval


NLL_DIFFERENCE = "nll_difference"  # the key of the column that `paired` computes
IMPORTANCE_WEIGHTED = ("ppl_iw", "iw_nll")  # the more samples, the lower

# Rate, distortion and information have no best value by themselves. Nor has the ELBO, which
# charges the whole rate: a collapsed run would be the best.
COLUMNS = (
    Column("ppl_iw", "IW-PPL", better="low"),
    Column("iw_nll", "NLL (IW)", better="low"),
    Column(NLL_DIFFERENCE, "ΔNLL", interval=True),
    Column("nll", "-ELBO"),
    Column("distortion", "D"),
    Column("rate", "KL"),
    Column("mi_known_posterior", "MI", limit="ceiling"),
    Column("mi_dual", "MI lower", limit="ceiling"),
    Column("mi_leave_one_out", "MI upper"),
    Column("mi_batch32", "MI@32", limit="ceiling"),
    Column("active_units", "active", 0, limit="of"),
    Column("units_above", "> 0.1 nats", 0, limit="of"),
    Column("effective_units", "effective", 1, limit="of"),
    Column("parameters", "weights", 0),
    Column("minutes", "min", 1),
)


def further_columns(keys: Iterable[str]) -> list[Column]:
    """Returns columns for the figures of text evaluations, which have no fixed column."""
    known = {column.key for column in COLUMNS}
    further = dict.fromkeys(key for key in keys if key not in known)
    return [Column(key, _heading(key), better=_better(key)) for key in further]


def _heading(key: str) -> str:
    words = key.removeprefix("full.").replace("_", " ").replace(".", " ")
    words = words.removeprefix("generation ").replace("perplexity", "PPL").replace("ppl", "PPL")
    return words.replace("bleu", "BLEU")


def _better(key: str) -> Literal["low", "high"] | None:
    """Returns whether low or high values are better, or None if the literature disagrees."""
    name = key.lower()
    if name.endswith("real"):  # a reference value of human-written text
        return None
    if "bleu" in name and "self" not in name:
        return "high"
    return "low" if "reverse" in name and ("ppl" in name or "perplexity" in name) else None


def best_rows(figures: Mapping[int, Figure], column: Column) -> frozenset[int]:
    """Returns the rows with the best figure of a column, if the difference is significant.

    A figure is the best if its interval overlaps no other interval; equally displayed figures are
    the best together. There is no best row if intervals overlap, if all figures are equal, or if
    no figure has an interval, because a difference between single seeds may be chance.
    """
    if len(figures) < 2:
        return frozenset()
    # a single run is assumed to vary over seeds as much as the figures with known spread
    spread = max(figure.sd or 0.0 for figure in figures.values())
    own = {row: f.half_width if f.sd is None else f.sd for row, f in figures.items()}
    widths = {row: spread if width is None else width for row, width in own.items()}
    if not any(widths.values()):
        return frozenset()
    sign = 1 if column.better == "low" else -1
    first = min(figures, key=lambda row: sign * figures[row].value)
    texts = {row: shown(f, column)._replace(uncertainty="") for row, f in figures.items()}
    near = [
        row
        for row, figure in figures.items()
        if abs(figure.value - figures[first].value) <= widths[row] + widths[first]
        or texts[row] == texts[first]
    ]
    equal = len({texts[row] for row in near}) == 1
    return frozenset(near) if equal and len(near) < len(figures) else frozenset()


def shown(figure: Figure, column: Column) -> Rounded:
    """Returns a figure rounded for its column and its uncertainty."""
    return rounded(figure.value, column.digits, figure.sd, figure.half_width)
