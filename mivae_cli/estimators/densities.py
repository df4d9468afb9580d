r"""Conditional densities fitted to paired samples, in nats.

A fitted density :math:`q(z \mid x)` approximates the unknown conditional, for `upper_bounds` and
for the difference of entropies (`doe_terms`), which is not a bound.

Shapes: B pairs, M rows, X and Z coordinates, K components, H hidden units.

References:
    | Mixture density networks (Bishop, 1994)
    | Formal Limitations on the Measurement of Mutual Information (McAllester & Stratos, 2020)
"""

__all__ = ["MixtureDensity", "doe_terms", "fit_density"]

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils import clip_grad_norm_

from ..errors import DivergedError
from ..models.latent import LOG_2_PI
from .critic_training import one_thread
from .critics import perceptron

HIDDEN = 64
MIN_LOG_SCALE = -7.0  # of standardised coordinates; no component collapses onto one point
BLOCK = 2**20  # component densities in memory at a time
BATCH = 512
LEARNING_RATE = 3e-3
FREE_LEARNING_RATE = 3e-2  # of parameters that do not depend on x
CHECK_EVERY = 50  # steps between two validations
PATIENCE = 10  # validations without improvement before stopping
MAX_NORM = 5.0


class MixtureDensity(nn.Module):
    r"""A mixture density network: a mixture of Gaussians with parameters computed from x.

    .. math:: q(z \mid x) = \sum_{k=1}^K w_k(x) \,
        \mathcal{N}(z; \mu_k(x), \mathrm{diag}\, \sigma_k^2(x))

    A network with two hidden layers computes all parameters; the means also have a linear skip
    connection. If x has no coordinates, this is the unconditional mixture q(z). Scales are at least
    :math:`e^{-7}`, so that densities stay bounded; standardise z. See Bishop (1994).
    """

    def __init__(self, x_size: int, z_size: int, components: int) -> None:
        super().__init__()
        self.components, self.z_size = components, z_size
        self.weights = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, z_size))
        self.log_scales = nn.Parameter(torch.zeros(components, z_size))
        if x_size:
            self.skip = nn.Linear(x_size, components * z_size, bias=False)
            outputs = components * (1 + 2 * z_size)
            self.network = perceptron(x_size, HIDDEN, outputs, nn.ReLU, bias=False)
        self.x_size = x_size

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        r"""Returns :math:`\log q(z_i \mid x_i)` in nats: from (B, X) and (B, Z) to (B,)."""
        log_weights, means, log_scales = self._mixture(x)
        squares = ((z[:, None] - means) * (-log_scales).exp()).square()
        exponents = (squares + 2 * log_scales + LOG_2_PI).sum(dim=-1)
        return torch.logsumexp(log_weights - 0.5 * exponents, dim=-1)

    def log_prob_matrix(self, x: Tensor, z: Tensor) -> Tensor:
        r"""Returns :math:`\log q(z_j \mid x_i)` in nats: from (M, X) and (B, Z) to (M, B).

        Expands the exponents into matrix products, as in `known_posterior`, for blocks of rows, in
        double precision because this loses digits. Temporary tensors have at most B K or about a
        million elements.
        """
        left = torch.cat([z.square(), z], dim=1).double()  # (B, 2 Z)
        matrix = torch.empty(len(x), len(z), dtype=left.dtype, device=z.device)
        size = max(1, BLOCK // (self.components * max(len(z), 2 * self.z_size)))
        for rows in torch.arange(len(x), device=x.device).split(size):
            log_weights, means, log_scales = (part.double() for part in self._mixture(x[rows]))
            precision = (-2 * log_scales).exp()  # (rows, K, Z)
            weighted = means * precision
            right = torch.cat([precision, -2 * weighted], dim=-1)  # (rows, K, 2 Z)
            constants = (means * weighted + 2 * log_scales + LOG_2_PI).sum(dim=-1)  # (rows, K)
            exponents = right @ left.T + constants[..., None]  # (rows, K, B)
            matrix[rows] = torch.logsumexp(log_weights[..., None] - 0.5 * exponents, dim=1)
        return matrix

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Returns the optimiser groups: of the networks, and of what does not depend on x."""
        free = [self.weights, self.means, self.log_scales]
        networks = [*self.skip.parameters(), *self.network.parameters()] if self.x_size else []
        groups = (networks, LEARNING_RATE), (free, FREE_LEARNING_RATE)
        return [{"params": params, "lr": rate} for params, rate in groups if params]

    def _mixture(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns log weights (B, K), means (B, K, Z) and log scales (B, K, Z)."""
        shape = len(x), self.components, self.z_size
        weights, means = self.weights.expand(shape[:2]), self.means.expand(shape)
        log_scales = self.log_scales.expand(shape)
        if self.x_size:
            sizes = [self.components, *[self.components * self.z_size] * 2]
            outputs = self.network(x).split(sizes, dim=1)
            weights = weights + outputs[0]
            means = means + (self.skip(x) + outputs[1]).view(shape)
            log_scales = log_scales + outputs[2].view(shape)
        bounded = MIN_LOG_SCALE + softplus(log_scales - MIN_LOG_SCALE)
        return weights.log_softmax(dim=1), means, bounded


@one_thread()
def fit_density(
    x_train: Tensor,
    z_train: Tensor,
    x_valid: Tensor,
    z_valid: Tensor,
    components: int = 8,
    steps: int = 2000,
    seed: int = 0,
) -> MixtureDensity:
    """Returns q(z | x) of best validation likelihood, frozen.

    To fit q(z), pass x of shape (N, 0). Standardise every coordinate with statistics of the
    training pairs; this does not change the mutual information.

    Arguments:
        x_train: Training samples of the condition, with shape (N, X).
        z_train: Training samples of z, with shape (N, Z).
        x_valid: Validation samples for early stopping, with shape (V, X).
        z_valid: Validation samples of z, with shape (V, Z).
        components: The number of Gaussians.
        steps: The maximum number of optimiser steps.
        seed: Seed of weights and batches; the global random state does not change.

    Raises:
        DivergedError: The likelihood is not finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        density = MixtureDensity(x_train.shape[1], z_train.shape[1], components).to(z_train)
        optimizer = torch.optim.Adam(density.parameter_groups())
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", patience=2)
        best, kept, checks_without_improvement = -math.inf, copy.deepcopy(density), 0
        for step in range(1, steps + 1):
            rows = torch.randperm(len(z_train))[:BATCH].to(z_train.device)
            loss = -density.log_prob(x_train[rows], z_train[rows]).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            clip_grad_norm_(density.parameters(), MAX_NORM)
            optimizer.step()
            if step % CHECK_EVERY and step < steps:
                continue
            with torch.no_grad():
                value = float(density.log_prob(x_valid, z_valid).mean())
            if not math.isfinite(value):
                raise DivergedError(
                    f"the density model diverged at step {step}. Remove samples with NaN or "
                    "infinite values, and standardise the others"
                )
            schedule.step(value)
            if value > best:
                best, kept, checks_without_improvement = value, copy.deepcopy(density), 0
            else:
                checks_without_improvement += 1
            if checks_without_improvement >= PATIENCE:
                break
    return kept.requires_grad_(False)


def doe_terms(
    conditional: MixtureDensity, marginal: MixtureDensity, x: Tensor, z: Tensor
) -> Tensor:
    r"""Returns the terms of the difference of entropies (McAllester & Stratos, 2020).

    .. math:: \log q(z_i \mid x_i) - \log q(z_i)

    Their mean on held-out pairs estimates H(z) - H(z | x). Each cross-entropy exceeds its entropy
    by the error of the density. The estimate is therefore not a bound: it is too low if the
    conditional fits worse, too high if the marginal fits worse. It has no ceiling of log B.

    The marginal is fitted without coordinates of x. From (B, X) and (B, Z) to (B,).
    """
    return conditional.log_prob(x, z) - marginal.log_prob(x[:, :0], z)
