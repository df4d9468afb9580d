"""Figures as text, with as many digits as their uncertainty leaves.

An uncertainty has two significant digits, and its figure ends at the same place: 18.2371 ± 0.1094
is 18.24 ± 0.11.
"""

__all__ = ["Rounded", "grouped", "rounded", "two_decimals"]

import math
from typing import NamedTuple

MAX_DIGITS = 6  # after the point; an uncertainty below is none
LARGE = 1e6  # from there on a figure is written with a power of ten


class Rounded(NamedTuple):
    """A figure without thousands separators, and its uncertainty ('' for none)."""

    value: str
    uncertainty: str
    power: int = 0  # of ten, that both are multiplied by


def rounded(
    value: float, digits: int, sd: float | None = None, half_width: float | None = None
) -> Rounded:
    """Returns a figure and its standard deviation as text.

    Arguments:
        value: The figure.
        digits: Digits after the point where no uncertainty says otherwise.
        sd: Its standard deviation, which is shown unless it is zero.
        half_width: Half its confidence interval, which is not shown: it takes digits away only.
    """
    if sd is not None and sd > max(10.0**-MAX_DIGITS, 1e-12 * abs(value)):
        if digits and max(abs(value), sd) >= LARGE:
            return _large(value, sd)
        digits = min(digits + 1 if digits == 0 else MAX_DIGITS, _digits(sd))
        spread = _text(sd, digits)
        return Rounded(_text(value, digits), spread if float(spread) else "")
    if sd is not None and digits == 0 and value != round(value):
        digits = 1  # a mean of counts that hardly differ
    if half_width is not None and half_width > 0:
        digits = max(0, min(digits, _digits(half_width)))
    if digits and abs(value) >= LARGE:
        return _large(value, 0.0)
    return Rounded(_text(value, digits), "")


def grouped(text: str) -> str:
    """Returns a number as text with commas between thousands, for a reader."""
    whole, point, fraction = text.partition(".")
    return f"{int(whole):,}{point}{fraction}" if len(whole) > 4 and whole.isdigit() else text


def two_decimals(value: float) -> str:
    """Returns a figure with two digits after the point; of one beyond all reason, its size."""
    return f"{value:.3g}" if abs(value) >= LARGE else f"{value:z.2f}"


def _digits(uncertainty: float) -> int:
    """Returns the digits after the point that leave an uncertainty two significant ones."""
    digits = 1 - math.floor(math.log10(uncertainty))
    # 0.0996 is 0.10, which has a digit less
    return digits - (round(uncertainty, digits) >= 10.0 ** (2 - digits))


def _text(value: float, digits: int) -> str:
    return f"{round(value, digits):z.{max(0, digits)}f}"


def _large(value: float, sd: float) -> Rounded:
    """Returns a figure with a power of ten, its uncertainty with the same power."""
    power = int(f"{max(abs(value), sd):.2e}".partition("e")[2])  # of 9.999e6, 7
    scaled, spread = value / 10.0**power, sd / 10.0**power
    if spread < 10.0**-MAX_DIGITS:
        return Rounded(_text(scaled, 2), "", power)
    digits = min(MAX_DIGITS, _digits(spread))
    return Rounded(_text(scaled, digits), _text(spread, digits), power)
