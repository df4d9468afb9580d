r"""The Student-t copula as a density model of pairs of normal scores.

A multivariate t distribution with :math:`\nu` degrees of freedom depends even where it is
uncorrelated: its coordinates are extreme together. Its copula stays the same if the margins are
changed, so it suits heavy-tailed data of any margins.

Shapes: N pairs, M rows x, B columns z, X and Z coordinates, D = X + Z.

References:
    | The t copula and related copulas (Demarta & McNeil, 2005)
    | Maximum likelihood estimation of the multivariate t distribution (Liu & Rubin, 1995)
"""

__all__ = ["StudentCopula"]

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...choices import Transform
from ..gaussian_ratio import GaussianRatio, small_sample_bias
from .gaussian import covariance_without_noise
from .model import DRAWS

ITERATIONS = 50
TOLERANCE = 1e-5  # of the scale matrix, whose diagonal is about 1
RIDGE = 1e-8


@dataclass(frozen=True)
class StudentCopula:
    """A Student-t copula; inputs are normal scores."""

    dof: float
    scale: Tensor  # scale matrix of the t scores, with a diagonal of 1, (D, D)
    x_size: int
    plug_in: Tensor  # the scale matrix with the sampling noise of its correlations, (D, D)
    count: int  # N, to which it was fitted
    transform: Transform = "rank"

    @classmethod
    def fit(cls, x: Tensor, z: Tensor, dof: float) -> "StudentCopula":
        """Fits the scale matrix to normal scores x (N, X) and z (N, Z) by the EM algorithm.

        The weights of the algorithm make the rows nearly normal; their canonical correlations are
        corrected for sampling noise.

        Raises:
            DataError: There are not more pairs than coordinates.
        """
        values = _t_scores(torch.cat([x, z], dim=1), dof)
        size = values.shape[1]
        ridge = RIDGE * torch.eye(size, dtype=values.dtype)
        scale = torch.eye(size, dtype=values.dtype)
        for _ in range(ITERATIONS):
            weights = (dof + size) / (dof + _squares(values, scale))
            updated = (values * weights[:, None]).T @ values / len(values) + ridge
            change = float((updated - scale).abs().max())
            scale = updated
            if change < TOLERANCE:
                break
        rows = values * weights.sqrt()[:, None]
        sides = rows[:, : x.shape[1]], rows[:, x.shape[1] :]
        ratio = GaussianRatio.fit(*sides, held_out=True)
        corrected = covariance_without_noise(*sides, ratio) + ridge
        return cls(dof, _correlations(corrected), x.shape[1], _correlations(scale), len(x))

    def log_likelihood(self, x: Tensor, z: Tensor) -> float:
        """Returns the mean log-density of the copula at normal scores x (N, X) and z (N, Z)."""
        values = _t_scores(torch.cat([x, z], dim=1), self.dof)
        margins = self._of_squares(values.square(), torch.eye(1).to(values))
        return float((self._log_density(values, self.scale) - margins.sum(dim=1)).mean())

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of N pairs, with shape (N,)."""
        return self._of_t_scores(_t_scores(torch.cat([x, z], dim=1), self.dof))

    def scores(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of x (M, X) against z (B, Z), with shape (M, B)."""
        x, z = _t_scores(x, self.dof), _t_scores(z, self.dof)
        size = self.x_size
        precision = torch.linalg.inv(self.scale)
        own_x = ((x @ precision[:size, :size]) * x).sum(dim=1, keepdim=True)
        own_z = ((z @ precision[size:, size:]) * z).sum(dim=1, keepdim=True)
        left = torch.cat([2 * x @ precision[:size, size:], own_x, torch.ones_like(own_x)], dim=1)
        right = torch.cat([z, torch.ones_like(own_z), own_z], dim=1)
        # large terms cancel in the product, so only its result is in single precision
        squares = (left @ right.T).float().clamp_(min=0)
        joint = squares.div_(self.dof).log1p_().mul_(-(self.dof + len(self.scale)) / 2)
        of_x = self._log_density(x, self.scale[:size, :size]) - self._log_peak(self.scale)
        return joint.sub_(of_x[:, None]).sub_(self._of_z(z)).to(x)

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns new pairs of normal scores: x (count, X) and z (count, Z)."""
        from scipy.special import ndtri, stdtr  # slow to import

        values = self._draw_t(count, seed)
        # the lower tail keeps its digits near probability 1
        lower = ndtri(stdtr(self.dof, -values.abs().numpy()))
        scores = torch.from_numpy(lower).neg() * values.sign()
        return scores[:, : self.x_size], scores[:, self.x_size :]

    def information(self, seed: int) -> float:
        """Returns the mutual information of the model in nats, by Monte Carlo."""
        return float(self._of_t_scores(self._draw_t(DRAWS, seed)).mean())

    def unbiased_information(self, seed: int) -> float:
        r"""Returns the information without the bias of the scale matrix, in nats.

        The variance of the scale matrix of t is :math:`(\nu + D + 2) / (\nu + D)` times that of a
        sample covariance, and the bias, which is of second order, likewise.
        """
        if not self._correlated:
            return self.information(seed)
        size = len(self.scale)
        bias = small_sample_bias(self.count, self.x_size, size - self.x_size)
        model = replace(self, scale=self.plug_in)
        return model.information(seed) - bias * (self.dof + size + 2) / (self.dof + size)

    @property
    def _correlated(self) -> bool:
        """Whether x and z are correlated beyond sampling noise."""
        return bool(self.scale[: self.x_size, self.x_size :].abs().max() > RIDGE)

    def _draw_t(self, count: int, seed: int) -> Tensor:
        """Returns draws of Student's t with the scale matrix, (count, D)."""
        from scipy.stats import chi2  # slow to import

        generator = torch.Generator().manual_seed(seed)
        factor = torch.linalg.cholesky(self.scale)
        noise = torch.randn(count, len(factor), generator=generator, dtype=factor.dtype)
        uniform = torch.rand(count, generator=generator, dtype=factor.dtype).numpy()
        spread = torch.from_numpy(self.dof / chi2.ppf(uniform, self.dof)).sqrt()
        values: Tensor = noise @ factor.T * spread[:, None]
        return values

    def _of_t_scores(self, values: Tensor) -> Tensor:
        """Returns the log-ratios of t scores (N, D), with shape (N,)."""
        size = self.x_size
        of_x = self._log_density(values[:, :size], self.scale[:size, :size])
        return self._log_density(values, self.scale) - of_x - self._of_z(values[:, size:])

    def _of_z(self, z: Tensor) -> Tensor:
        return self._log_density(z, self.scale[self.x_size :, self.x_size :])

    def _log_density(self, values: Tensor, scale: Tensor) -> Tensor:
        return self._of_squares(_squares(values, scale), scale)

    def _of_squares(self, squares: Tensor, scale: Tensor) -> Tensor:
        """Returns the log-density for squared Mahalanobis distances."""
        power = (self.dof + len(scale)) / 2
        return self._log_peak(scale) - power * torch.log1p(squares / self.dof)

    def _log_peak(self, scale: Tensor) -> float:
        """Returns the largest log-density."""
        size, dof = len(scale), self.dof
        constant = math.lgamma((dof + size) / 2) - math.lgamma(dof / 2)
        return constant - 0.5 * (size * math.log(dof * math.pi) + float(torch.logdet(scale)))


def _correlations(scale: Tensor) -> Tensor:
    """Returns a scale matrix (D, D) with a diagonal of 1."""
    roots = scale.diagonal().sqrt()
    return scale / roots[:, None] / roots


def _t_scores(scores: Tensor, dof: float) -> Tensor:
    """Returns the quantiles of Student's t at the probabilities of normal scores."""
    from scipy.special import log_ndtr, stdtrit  # slow to import

    tail = torch.from_numpy(log_ndtr(-scores.double().abs().numpy())).exp()
    lower = torch.from_numpy(stdtrit(dof, tail.numpy()))
    return lower.neg() * scores.sign()


def _squares(values: Tensor, scale: Tensor) -> Tensor:
    """Returns squared Mahalanobis distances from 0, with shape (N,)."""
    factor = torch.linalg.cholesky(scale)
    whitened: Tensor = torch.linalg.solve_triangular(factor, values.T, upper=False)
    return whitened.square().sum(dim=0)
