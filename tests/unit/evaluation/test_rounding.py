"""Digits that follow the uncertainty."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.evaluation.rounding import grouped, rounded, two_decimals


@pytest.mark.parametrize(
    ("value", "digits", "sd", "half_width", "expected"),
    [
        (18.2371, 2, 0.1094, None, ("18.24", "0.11", 0)),
        (18.2371, 2, 1.804, None, ("18.2", "1.8", 0)),
        (18.2371, 2, 0.0996, None, ("18.24", "0.10", 0)),
        (18.2371, 2, 9.96, None, ("18", "10", 0)),
        (1234.5, 2, 123.4, None, ("1230", "120", 0)),
        (0.0012, 2, 0.00341, None, ("0.0012", "0.0034", 0)),
        (987_649.0, 0, 0.0, None, ("987649", "", 0)),  # the same for all seeds
        (28.5, 0, 0.7071, None, ("28.5", "0.7", 0)),  # counts
        (28.0, 0, None, None, ("28", "", 0)),
        (4.9, 2, None, None, ("4.90", "", 0)),
        (4.9, 2, None, 2.3, ("4.9", "", 0)),  # its interval leaves a digit less
        (4.9, 2, None, 0.001, ("4.90", "", 0)),
        (3.0, 2, 1e-12, None, ("3.00", "", 0)),
        (-0.0004, 2, None, None, ("0.00", "", 0)),
        (4.3e11, 2, None, None, ("4.30", "", 11)),
        (4.3e11, 2, 1e10, None, ("4.30", "0.10", 11)),
        (9.9999e6, 2, None, None, ("1.00", "", 7)),
        (1.0, 2, 1e300, None, ("0.0", "1.0", 300)),
    ],
)
def test_figures(
    value: float, digits: int, sd: float, half_width: float, expected: tuple[str, str, int]
) -> None:
    assert rounded(value, digits, sd, half_width) == expected


@given(st.floats(-1e8, 1e8), st.floats(1e-4, 1e7), st.integers(1, 3))
def test_a_figure_ends_where_its_uncertainty_does(value: float, sd: float, digits: int) -> None:
    found = rounded(value, digits, sd)
    scale = 10.0**found.power
    assert abs(float(found.value) * scale - value) <= sd + 0.005 * scale
    if found.uncertainty:
        assert float(found.uncertainty) * scale == pytest.approx(sd, rel=0.06)
        ends = {len(text.partition(".")[2]) for text in (found.value, found.uncertainty)}
        assert len(ends) == 1
    else:
        assert sd < 1e-6 * scale


@given(st.integers(-(10**12), 10**12))
def test_thousands_are_grouped_from_the_fifth_digit_on(number: int) -> None:
    text = grouped(str(number))
    assert text.replace(",", "") == str(number)
    assert ("," in text) is (number >= 10_000)
    assert grouped("12345.67") == "12,345.67"
    assert math.isclose(float(grouped("1234.5")), 1234.5)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.346, "12.35"), (-0.001, "0.00"), (999_999.0, "999999.00"), (1e68, "1e+68"),
        (-1.5342184e21, "-1.53e+21"), (math.inf, "inf"), (math.nan, "nan"),
    ],
)  # fmt: skip
def test_two_decimals_unless_they_would_be_lost_among_digits(value: float, text: str) -> None:
    assert two_decimals(value) == text
