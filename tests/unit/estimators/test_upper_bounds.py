"""Upper bounds from a conditional density, against Gaussians and closed forms."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal

from mivae_cli.errors import DataError
from mivae_cli.estimators.upper_bounds import club, club_terms, leave_one_out, leave_one_out_terms
from support.gaussian import assert_near


def log_conditional(rho: float, size: int, rows: int = 0) -> Tensor:
    """Draws from a bivariate normal and returns its true log q(z_j | x_i), (size + rows, size)."""
    scale = math.sqrt(1 - rho**2)
    x = torch.randn(size + rows, dtype=torch.float64)
    z = rho * x[:size] + scale * torch.randn(size, dtype=torch.float64)
    matrix: Tensor = Normal(rho * x[:, None], scale).log_prob(z)
    return matrix


def information(rho: float) -> float:
    return -0.5 * math.log1p(-(rho**2))


@st.composite
def matrices(draw: st.DrawFn) -> Tensor:
    """Any matrix of log-densities, with up to 10 extra rows."""
    size, extra = draw(st.integers(2, 12)), draw(st.integers(0, 10))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    scale = draw(st.floats(0, 20))
    return scale * torch.randn(size + extra, size, generator=generator, dtype=torch.float64)


class TestUpperBounds:
    @settings(max_examples=30)
    @given(matrices())
    def test_each_is_what_its_formula_says(self, matrix: Tensor) -> None:
        rows, columns = matrix.shape
        sums = torch.zeros(2)
        for j in range(columns):
            others = [float(matrix[i, j]) for i in range(rows) if i != j]
            peak = max(others)
            mass = sum(math.exp(other - peak) for other in others) / (rows - 1)
            sums[0] += float(matrix[j, j]) - peak - math.log(mass)
            sums[1] += float(matrix[j, j]) - sum(others) / (rows - 1)
        expected = (sums / columns).double()
        actual = torch.stack([leave_one_out(matrix), club(matrix)])
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)

    @given(matrices())
    def test_the_mean_of_the_terms_is_the_estimate(self, matrix: Tensor) -> None:
        square = matrix[: matrix.shape[1]]
        torch.testing.assert_close(leave_one_out_terms(square).mean(), leave_one_out(square))
        torch.testing.assert_close(club_terms(square).mean(), club(square))

    @given(matrices())
    def test_club_is_never_below_leave_one_out(self, matrix: Tensor) -> None:
        """The log of a mean is no less than the mean of logs."""
        assert club(matrix) >= leave_one_out(matrix) - 1e-9

    @given(matrices(), st.floats(-50, 50))
    def test_a_factor_of_z_alone_changes_nothing(self, matrix: Tensor, shift: float) -> None:
        shifted = matrix + shift * torch.randn(matrix.shape[1], dtype=matrix.dtype)
        for estimate in (leave_one_out, club):
            torch.testing.assert_close(estimate(shifted), estimate(matrix), rtol=0, atol=1e-9)

    @pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.9])
    @pytest.mark.parametrize("rows", [0, 40])
    def test_club_is_its_closed_form_on_normals(self, rho: float, rows: int) -> None:
        r"""E(l_jj) = c - 1/2; off the diagonal E(l_ij) = c - (1 + rho^2) / (2 (1 - rho^2))."""
        values = torch.stack([club(log_conditional(rho, 20, rows)) for _ in range(1500)])
        assert_near(values, rho**2 / (1 - rho**2))

    @pytest.mark.parametrize("rho", [0.3, 0.6, 0.9])
    def test_leave_one_out_is_above_the_information_in_expectation(self, rho: float) -> None:
        values = torch.stack([leave_one_out(log_conditional(rho, 3)) for _ in range(2000)])
        error = float(values.std()) / math.sqrt(len(values))
        assert float(values.mean()) > information(rho) + 3 * error

    def test_leave_one_out_is_close_where_conditionals_overlap(self) -> None:
        values = torch.stack([leave_one_out(log_conditional(0.6, 400)) for _ in range(100)])
        assert float(values.mean()) == pytest.approx(information(0.6), abs=0.01)

    def test_more_rows_bring_leave_one_out_nearer(self) -> None:
        few = torch.stack([leave_one_out(log_conditional(0.9, 8)) for _ in range(1000)])
        many = torch.stack([leave_one_out(log_conditional(0.9, 8, 56)) for _ in range(1000)])
        truth = information(0.9)
        assert abs(float(many.mean()) - truth) < 0.5 * (float(few.mean()) - truth)

    def test_both_say_nothing_where_posteriors_do_not_overlap(self) -> None:
        matrix = log_conditional(0.99999, 20)
        assert information(0.99999) < 5.5
        assert leave_one_out(matrix) > 20
        assert club(matrix) > 1000

    @pytest.mark.parametrize("terms", [leave_one_out_terms, club_terms])
    def test_the_spread_of_the_terms_is_that_of_the_estimate(
        self, terms: Callable[[Tensor], Tensor]
    ) -> None:
        """Columns alone, whose rows are the same x, would give 0.7 of it for CLUB."""
        draws = [terms(log_conditional(0.7, 200)) for _ in range(400)]
        spread = torch.stack([draw.mean() for draw in draws]).std()
        error = torch.stack([draw.std() for draw in draws]).mean() / math.sqrt(200)
        assert float(error / spread) == pytest.approx(1.0, abs=0.12)

    @pytest.mark.parametrize("estimate", [leave_one_out, club, leave_one_out_terms, club_terms])
    def test_one_pair_makes_no_bound(self, estimate: Callable[[Tensor], Tensor]) -> None:
        with pytest.raises(DataError, match="log_conditional"):
            estimate(torch.zeros(1, 1))

    @pytest.mark.parametrize("terms", [leave_one_out_terms, club_terms])
    def test_terms_need_joint_pairs_alone(self, terms: Callable[[Tensor], Tensor]) -> None:
        with pytest.raises(DataError, match="log_conditional"):
            terms(torch.zeros(3, 2))
