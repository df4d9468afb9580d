r"""I(x; z) of a model on held-out sentences, by routes that should agree.

| known posterior   exact up to Monte Carlo, at most log N
| leave-one-out     an upper bound of the population's, in expectation
| dual              a lower bound by a critic that never saw these sentences
| decomposition     :math:`R - \mathrm{KL}(q(z) \,\|\, p(z))` (Hoffman & Johnson, 2016)

All in nats; N sentences.
"""

__all__ = [
    "Estimate",
    "Information",
    "MIEstimate",
    "MIReport",
    "MutualInformation",
    "measure",
    "report",
]

import math
from dataclasses import dataclass
from typing import Literal

import torch

from .data.store import TokenStore
from .estimators.estimate import CriticEstimate, Encodings, held_out_dual
from .estimators.known_posterior import aggregated_posterior, batched_empirical
from .metrics import Interval, mean_interval
from .models.vae import VAE
from .reading import Reading, posteriors, read

FIT_SENTENCES = 50_000  # of the training split that the held-out critic is fitted on
BATCH = 32  # the batches of He et al. (2019)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, the sentences n behind it, and where it must stop."""

    value: float
    ci_low: float
    ci_high: float
    n: int
    ceiling: float | None  # log n; none for an upper bound

    @classmethod
    def of(cls, interval: Interval, n: int, ceiling: float | None) -> "Estimate":
        """Adds what an interval does not say."""
        return cls(interval.value, interval.low, interval.high, n, ceiling)


@dataclass(frozen=True)
class MutualInformation:
    """I(x; z) by routes that should agree; its fields are keys of the evaluation's JSON form."""

    known_posterior: Estimate
    leave_one_out: Estimate | None  # none for a single sentence
    batch32: Estimate
    dual: CriticEstimate | None  # none where there is nothing to fit a critic on


@dataclass(frozen=True)
class Information:
    """What is known of I(x; z) on a set of sentences, and how the rate divides."""

    mi: MutualInformation
    kl_aggregated_prior: float  # KL(q(z) || p(z))
    rate: float  # from the samples that the others use


@dataclass(frozen=True)
class MIEstimate:
    """One row of a report; what does not apply is None."""

    estimator: str
    value: float
    ci_low: float | None
    ci_high: float | None
    direction: Literal["lower", "upper", "neither"]
    ceiling: float | None
    held_out: bool


@dataclass(frozen=True)
class MIReport:
    """Estimates side by side; its fields are the keys of the JSON form."""

    estimates: list[MIEstimate]
    n: int
    z_dim: int
    unit: str = "nats"


def measure(
    model: VAE,
    store: TokenStore,
    reading: Reading,
    fitting: tuple[TokenStore, TokenStore] | None,
    seed: int,
) -> Information:
    """Returns all that can be said of I(x; z) on the sentences of a store.

    Arguments:
        model: A model with a latent.
        store: The sentences.
        reading: The model's reading of them.
        fitting: Training and validation sentences for the critic of the dual bound.
        seed: Seeds every draw.
    """
    count, size = len(store), min(BATCH, len(store))
    densities = aggregated_posterior(reading.posterior, reading.z)
    by_length = torch.from_numpy(store.lengths.copy()).argsort(stable=True)
    batched = batched_empirical(reading.posterior[by_length], reading.z[by_length], size)
    leave_one_out = densities.leave_one_out()
    mi = MutualInformation(
        known_posterior=Estimate.of(densities.empirical(), count, math.log(count)),
        leave_one_out=None if leave_one_out is None else Estimate.of(leave_one_out, count, None),
        batch32=Estimate.of(mean_interval(batched), size, math.log(size)),
        dual=None if fitting is None else _dual(model, reading, fitting, seed),
    )
    return Information(
        mi,
        kl_aggregated_prior=float(densities.prior_divergence_terms.mean()),
        rate=float(densities.rate_terms.mean()),
    )


def report(
    model: VAE, store: TokenStore, fitting: tuple[TokenStore, TokenStore], seed: int = 0
) -> MIReport:
    """Returns the estimates of I(x; z) on the sentences of a store, side by side."""
    found = measure(model, store, read(model, store, seed), fitting, seed)
    known, upper, dual = found.mi.known_posterior, found.mi.leave_one_out, found.mi.dual
    rows = [_row("known-posterior", known, "lower", known.ceiling)]
    if upper is not None:
        rows.append(_row("leave-one-out", upper, "upper"))
    if dual is not None:
        rows.append(_row("dual", dual, "lower"))
    split = found.rate - found.kl_aggregated_prior
    name = "rate - KL(q(z)||p(z))"
    rows.append(MIEstimate(name, split, None, None, "lower", known.ceiling, held_out=True))
    return MIReport(rows, len(store), model.latent_size)


def _row(
    name: str,
    found: Estimate | CriticEstimate,
    direction: Literal["lower", "upper"],
    ceiling: float | None = None,
) -> MIEstimate:
    return MIEstimate(
        name, found.value, found.ci_low, found.ci_high, direction, ceiling, held_out=True
    )


def _dual(
    model: VAE, reading: Reading, fitting: tuple[TokenStore, TokenStore], seed: int
) -> CriticEstimate | None:
    train, valid = (posteriors(model, split) for split in fitting)
    if len(train) > FIT_SENTENCES:
        generator = torch.Generator().manual_seed(seed)
        train = train[torch.randperm(len(train), generator=generator)[:FIT_SENTENCES]]
    return held_out_dual(
        Encodings.draw(train, seed),
        Encodings.draw(valid, seed),
        Encodings(reading.posterior, reading.z),
        seed,
    )
