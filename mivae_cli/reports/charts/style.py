"""The style of all charts, for light pages (and print) and for dark ones.

Charts name no colours. They use the scales `category` and `ramp` and the mark styles below, which
a Vega-Lite configuration defines.
"""

__all__ = ["DARK", "FONT", "LIGHT", "Palette", "configuration", "distinct"]

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

FONT = "Helvetica, Arial, sans-serif"
SIZE = 12  # of letters, in pixels


@dataclass(frozen=True)
class Palette:
    """The colours of one theme. Those of `category` can be told apart by the colour-blind."""

    text: str
    muted: str
    grid: str
    alarm: str
    band: str
    category: tuple[str, ...]
    ramp: tuple[str, ...]


LIGHT = Palette(
    text="#1f1f1f",
    muted="#666666",
    grid="#e4e4e4",
    alarm="#b3261e",
    band="#faf3c8",
    category=("#0072b2", "#d55e00", "#00875f", "#b0558d", "#8a6d00", "#4aa3df", "#555555"),
    ramp=("#440154", "#3b528b", "#21918c", "#5ec962", "#e8c81c"),
)
DARK = Palette(
    text="#e8e6e3",
    muted="#a3a7ab",
    grid="#34383d",
    alarm="#ff8a80",
    band="#45401f",
    category=("#62b5e5", "#f0914f", "#55c9a0", "#e29cc6", "#dfc04f", "#a5b8ff", "#b8b8b8"),
    ramp=("#6a5fb0", "#4389bd", "#28b590", "#92d84f", "#fde725"),
)


def configuration(palette: Palette) -> dict[str, Any]:
    """Returns the Vega-Lite configuration of a theme; the background is transparent."""
    words = {"labelColor": palette.text, "titleColor": palette.text}
    sizes = {"labelFontSize": SIZE, "titleFontSize": SIZE, "titleFontWeight": "normal"}
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **words,
            **sizes,
            "domainColor": palette.muted,
            "gridColor": palette.grid,
            "tickColor": palette.muted,
            "tickSize": 4,
            "titlePadding": 8,
        },
        "legend": {
            **words,
            **sizes,
            "orient": "top",
            "labelLimit": 260,
            "titleLimit": 260,
            "symbolOpacity": 1,
        },
        "header": {**words, **sizes, "labelFontWeight": "normal", "labelPadding": 4},
        "title": {"color": palette.text, "fontSize": SIZE + 1, "fontWeight": "normal"},
        "mark": {"color": palette.category[0]},
        "line": {"strokeWidth": 1.8},
        "range": {"category": list(palette.category), "ramp": list(palette.ramp)},
        "style": {
            "reference": {"color": palette.muted, "strokeDash": [5, 3]},
            "frame": {"color": palette.grid},
            "truth": {"color": palette.text},
            "word": {"color": palette.text, "fontSize": SIZE},
            "note": {"color": palette.muted, "fontSize": SIZE - 1},
            "alarm": {"color": palette.alarm, "strokeDash": [4, 3]},
            "alarm-note": {"color": palette.alarm, "fontSize": SIZE - 1},
            "band": {"color": palette.band},
            "quiet": {"color": palette.muted, "opacity": 0.45},
            "faint": {"color": palette.muted, "strokeWidth": 1, "opacity": 0.5},
        },
    }


def distinct(names: Iterable[str]) -> list[str]:
    """Returns the distinct names in their order; legends otherwise sort them by alphabet."""
    return list(dict.fromkeys(names))
