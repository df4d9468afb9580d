"""Contrast of the explorer's page (WCAG 2.2): text 4.5 to 1, borders of controls 3 to 1."""

import re

import pytest

from mivae_cli.explorer.server import static_text

THEMES = {"light": ":root {", "dark": ':root[data-theme="dark"] {'}


def variables(theme: str) -> dict[str, str]:
    block = static_text("style.css").split(THEMES[theme], 1)[1].split("}", 1)[0]
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_largest_contrast() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("ink", "paper", "least"),
    [
        *(
            (ink, paper, 4.5)
            for ink in ("ink", "muted", "alert")
            for paper in ("paper", "surface")
        ),
        ("on-accent", "accent", 4.5),
        ("ink", "mark", 4.5),
        ("accent", "paper", 3.0),
        ("control", "paper", 3.0),
        ("control", "surface", 3.0),
    ],
)
def test_contrast(theme: str, ink: str, paper: str, least: float) -> None:
    colours = variables(theme)
    assert contrast(colours[ink], colours[paper]) >= least
