"""Format numbers with as many digits as their uncertainty justifies.

An uncertainty is rounded to two significant digits, and the value to the same decimal place:
18.2371 ± 0.1094 becomes 18.24 ± 0.11.
"""

__all__ = ["Rounded", "grouped", "rounded", "rounded_interval", "two_decimals"]

import math
from typing import NamedTuple

MAX_DIGITS = 6  # after the decimal point; smaller uncertainties are not shown
LARGE = 1e6  # larger values are shown with a power of ten


class Rounded(NamedTuple):
    """A number without thousands separators, and its uncertainty ('' for none)."""

    value: str
    uncertainty: str
    power: int = 0  # both are multiplied by this power of ten


def rounded(
    value: float, digits: int, sd: float | None = None, half_width: float | None = None
) -> Rounded:
    """Returns a number and its standard deviation as text.

    Arguments:
        value: The number.
        digits: Digits after the decimal point, unless an uncertainty changes them.
        sd: The standard deviation; shown unless it is zero.
        half_width: Half the confidence interval; not shown, but may reduce the digits.
    """
    if sd is not None and sd > max(10.0**-MAX_DIGITS, 1e-12 * abs(value)):
        if digits and max(abs(value), sd) >= LARGE:
            return _large(value, sd)
        digits = min(digits + 1 if digits == 0 else MAX_DIGITS, _digits(sd))
        spread = _text(sd, digits)
        return Rounded(_text(value, digits), spread if float(spread) else "")
    if sd is not None and digits == 0 and value != round(value):
        digits = 1  # a mean of counts
    if half_width is not None and half_width > 0:
        digits = max(0, min(digits, _digits(half_width)))
    if digits and abs(value) >= LARGE:
        return _large(value, 0.0)
    return Rounded(_text(value, digits), "")


def rounded_interval(
    value: float, low: float, high: float, sd: float | None = None
) -> tuple[Rounded, tuple[str, str]]:
    """Returns a number with its standard deviation, and the ends of its interval, as text.

    All have the digits that half the interval's width justifies.
    """
    half = (high - low) / 2
    if max(map(abs, (value, low, high))) >= LARGE:
        ends = f"{low:.3g}", f"{high:.3g}"
        return Rounded(f"{value:.3g}", "" if sd is None else f"{sd:.2g}"), ends
    digits = max(0, min(MAX_DIGITS, _digits(half))) if half > 10.0**-MAX_DIGITS else 2
    spread = "" if sd is None else _text(sd, digits)
    spread = spread if float(spread or 0) else ""
    return Rounded(_text(value, digits), spread), (_text(low, digits), _text(high, digits))


def grouped(text: str) -> str:
    """Returns a number with commas between thousands."""
    whole, point, fraction = text.partition(".")
    return f"{int(whole):,}{point}{fraction}" if len(whole) > 4 and whole.isdigit() else text


def two_decimals(value: float) -> str:
    """Returns a number with two decimals; if very large, with three significant digits."""
    return f"{value:.3g}" if abs(value) >= LARGE else f"{value:z.2f}"


def _digits(uncertainty: float) -> int:
    """Returns the digits after the decimal point for two significant digits of uncertainty."""
    digits = 1 - math.floor(math.log10(uncertainty))
    # 0.0996 rounds to 0.10: one digit less
    return digits - (round(uncertainty, digits) >= 10.0 ** (2 - digits))


def _text(value: float, digits: int) -> str:
    return f"{round(value, digits):z.{max(0, digits)}f}"


def _large(value: float, sd: float) -> Rounded:
    """Returns a number and its uncertainty with a common power of ten."""
    power = int(f"{max(abs(value), sd):.2e}".partition("e")[2])  # 7 for 9.999e6
    scaled, spread = value / 10.0**power, sd / 10.0**power
    if spread < 10.0**-MAX_DIGITS:
        return Rounded(_text(scaled, 2), "", power)
    digits = min(MAX_DIGITS, _digits(spread))
    return Rounded(_text(scaled, digits), _text(spread, digits), power)
