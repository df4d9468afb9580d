"""The columns of a comparison: what they are called, how they are rounded, which end is better."""

__all__ = ["COLUMNS", "Column", "best_places", "further_columns", "shown"]

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..evaluation.rounding import Rounded, rounded
from .summary import Figure


@dataclass(frozen=True)
class Column:
    """A figure's key, heading and digits, and which end of its scale is the better one."""

    key: str
    heading: str
    digits: int = 2
    better: Literal["low", "high"] | None = None
    limit: Literal["ceiling", "of"] | None = None  # which limit its figures have


# Neither rate, distortion nor information is good by itself, so none has a best; nor has the ELBO,
# which charges the whole rate: its best is the run that collapsed.
COLUMNS = (
    Column("ppl_iw", "IW-PPL", better="low"),
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
    """Returns the columns of those figures, of evaluations in full, that are in no other."""
    known = {column.key for column in COLUMNS}
    further = dict.fromkeys(key for key in keys if key not in known)
    return [Column(key, _heading(key), better=_better(key)) for key in further]


def _heading(key: str) -> str:
    words = key.removeprefix("full.").replace("_", " ").replace(".", " ")
    words = words.removeprefix("generation ").replace("perplexity", "PPL").replace("ppl", "PPL")
    return words.replace("bleu", "BLEU")


def _better(key: str) -> Literal["low", "high"] | None:
    """Returns which end is the better one, where the field agrees on it."""
    name = key.lower()
    if name.endswith("real"):  # of text that people wrote, for comparison
        return None
    if "bleu" in name and "self" not in name:
        return "high"
    return "low" if "reverse" in name and ("ppl" in name or "perplexity" in name) else None


def best_places(figures: Mapping[int, Figure], column: Column) -> frozenset[int]:
    """Returns the places of the best of some figures, as far as they differ for certain.

    A figure is the best where its interval overlaps no other's; figures that are shown as the
    same are so together. Where others come as near, none is, nor where all are the same, nor where
    no figure has an interval: what a single seed shows may be chance.
    """
    if len(figures) < 2:
        return frozenset()
    # a single run's figure varies over seeds as much as those that are known to
    spread = max((figure.sd for figure in figures.values() if figure.sd is not None), default=0.0)
    widths = {place: _width(figure, spread) for place, figure in figures.items()}
    if not any(widths.values()):
        return frozenset()
    sign = 1 if column.better == "low" else -1
    first = min(figures, key=lambda place: sign * figures[place].value)
    texts = {
        place: shown(figure, column)._replace(uncertainty="") for place, figure in figures.items()
    }
    near = [
        place
        for place, figure in figures.items()
        if abs(figure.value - figures[first].value) <= widths[place] + widths[first]
        or texts[place] == texts[first]
    ]
    alike = len({texts[place] for place in near}) == 1
    return frozenset(near) if alike and len(near) < len(figures) else frozenset()


def shown(figure: Figure, column: Column) -> Rounded:
    """Returns a figure as its column shows it, with as many digits as its uncertainty leaves."""
    return rounded(figure.value, column.digits, figure.sd, figure.half_width)


def _width(figure: Figure, spread: float) -> float:
    """Returns half the interval of a figure; of one that has none, what others have."""
    own = figure.half_width if figure.sd is None else figure.sd
    return spread if own is None else own
