r"""I(x; z) of a model on held-out sentences, by routes that should agree.

| known posterior   exact up to Monte Carlo, at most log N
| leave-one-out     an upper bound of the population's, in expectation
| dual              a lower bound by a critic that never saw these sentences
| decomposition     :math:`R - \mathrm{KL}(q(z) \,\|\, p(z))` (Hoffman & Johnson, 2016)

All in nats; N sentences.
"""

__all__ = [
    "Figure",
    "Information",
    "MutualInformation",
    "draws_of",
    "measure",
    "report",
]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..choices import Direction, Profile
from ..data.prepared_corpus import TokenStore
from ..estimators import Estimate, Recommendation, Report
from ..estimators.diagnostics import at_ceiling, missing_pairs
from ..estimators.held_out_dual import CriticEstimate, SampledPosteriors, held_out_dual
from ..estimators.intervals import Interval, mean_interval
from ..estimators.known_posterior import (
    THE_POPULATION,
    THESE_SENTENCES,
    aggregated_posterior,
    batched_empirical,
)
from ..estimators.report import stopwatch
from ..limits import MAX_DRAWS, check_range
from ..models.vae import VAE
from .encode import Encoded, encode_split, posteriors

FIT_SENTENCES = 50_000  # of the training split that the held-out critic is fitted on
BATCH = 32  # the batches of He et al. (2019)
# draws of z, of all sentences together and of each: see `draws_of`
DRAWS, MAX_OF_EACH, MIN_OF_EACH = 100_000, 32, 4
TOO_FEW = "below the dual's interval: so few sentences cannot show all there is; see its ceiling"


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval, the sentences n behind it, and where it must stop."""

    value: float  # the estimate
    ci_low: float  # lower end of the 95 % interval
    ci_high: float  # upper end of the 95 % interval
    n: int  # number of sentences
    ceiling: float | None  # largest possible value, ln n; null for an upper bound

    @classmethod
    def of(cls, interval: Interval, n: int, ceiling: float | None) -> "Figure":
        """Adds what an interval does not say."""
        return cls(interval.value, interval.low, interval.high, n, ceiling)


@dataclass(frozen=True)
class MutualInformation:
    """I(x; z) by routes that should agree; its fields are keys of the evaluation's JSON form."""

    known_posterior: Figure  # from the known posteriors q(z|x)
    leave_one_out: Figure | None  # upper bound; null for a single sentence
    batch32: Figure  # the known posterior's estimate in batches of 32 sentences
    dual: CriticEstimate | None  # held-out lower bound of a critic; null without data to fit it


@dataclass(frozen=True)
class Information:
    """What is known of I(x; z) on a set of sentences, and how the rate divides."""

    mi: MutualInformation
    kl_aggregated_prior: float  # KL(q(z) || p(z))
    rate: float  # in closed form; what it exceeds the known posterior's value by is the above


def measure(
    model: VAE,
    store: TokenStore,
    reading: Encoded,
    fitting: tuple[TokenStore, TokenStore] | None,
    seed: int,
    draws: int | None = None,
) -> Information:
    """Returns all that can be said of I(x; z) on the sentences of a store.

    Arguments:
        model: A model with a latent.
        store: The sentences.
        reading: The model's reading of them.
        fitting: Training and validation sentences for the critic of the dual bound.
        seed: Seeds every draw.
        draws: Of z for each sentence; by default `draws_of` their number.

    Raises:
        ConfigError: The draws are fewer than 1 or more than 1,000.
    """
    count, size = len(store), min(BATCH, len(store))
    draws = draws_of(count) if draws is None else draws
    check_range("the number of draws", draws, 1, MAX_DRAWS)
    posterior, rate = reading.posterior.double(), float(reading.rate.mean())
    z = posterior.rsample(torch.Generator().manual_seed(seed), count=draws)
    densities = aggregated_posterior(posterior, z)
    by_length = torch.from_numpy(store.lengths.copy()).argsort(stable=True)
    alike = posterior[by_length]
    batched = torch.stack([batched_empirical(alike, drawn[by_length], size) for drawn in z])
    known, leave_one_out = densities.empirical(True), densities.leave_one_out(True)
    mi = MutualInformation(
        known_posterior=Figure.of(known, count, math.log(count)),
        leave_one_out=None if leave_one_out is None else Figure.of(leave_one_out, count, None),
        batch32=Figure.of(mean_interval(batched.mean(dim=0)), size, math.log(size)),
        dual=None if fitting is None else _dual(model, reading, fitting, seed),
    )
    return Information(mi, kl_aggregated_prior=rate - known.value, rate=rate)


def draws_of(sentences: int) -> int:
    """Returns how many draws of z each sentence gets.

    The work grows with their number times the square of the number of sentences. With 32 draws each,
    the standard error that they leave is below a tenth of the interval's width. From 3,125 sentences
    on there are fewer, so that evaluating many sentences stays affordable.
    """
    return min(MAX_OF_EACH, max(MIN_OF_EACH, DRAWS // sentences))


def report(
    model: VAE,
    store: TokenStore,
    fitting: tuple[TokenStore, TokenStore],
    seed: int = 0,
    profile: Profile = "default",
    draws: int | None = None,
) -> Report:
    """Returns the estimates of I(x; z) on the sentences of a store, side by side.

    The known posterior's is the one to quote: it is exact but for the draws of z.

    Arguments:
        model: A model with a latent.
        store: The sentences.
        fitting: Training and validation sentences for the critic of the dual bound.
        seed: Seeds every draw.
        profile: How long and how wide that critic is fitted.
        draws: Of z for each sentence, for all but the dual; by default `draws_of` their number.
    """
    store = store.canonical()
    with stopwatch() as reading_seconds:
        reading = encode_split(model, store, seed)
        found = measure(model, store, reading, None, seed, draws)
    with stopwatch() as fitting_seconds:
        dual = _dual(model, reading, fitting, seed, profile)
    known, upper, batched = found.mi.known_posterior, found.mi.leave_one_out, found.mi.batch32
    seconds = reading_seconds()
    few = [] if dual is None or dual.ci_low <= known.value else [TOO_FEW]
    best = _row("known-posterior", known, "lower", seconds, few)
    rows = [best]
    if upper is not None:
        rows.append(_row("leave-one-out", upper, "upper", seconds))
    if dual is not None:
        doubts = missing_pairs(dual.unseen, dual.n)
        interval = dual.value, dual.ci_low, dual.ci_high
        spent = fitting_seconds()
        rows.append(Estimate("dual", *interval, "lower", dual.ceiling, True, spent, doubts))
    rows.append(_row(f"batch{batched.n}", batched, "lower", seconds))
    split = found.rate - found.kl_aggregated_prior
    name = "decomposition"
    rows.append(Estimate(name, split, None, None, "lower", known.ceiling, True, seconds))
    reason = "exact but for the draws of z; no critic, nothing fitted"
    if best.warnings:
        reason = "the most that so few sentences can show"
    decomposed = "decomposition: R - KL(q(z)||p(z)), the known posterior's value by another road"
    notes = [
        decomposed,
        f"known-posterior of {THESE_SENTENCES}",
        f"known-posterior of {THE_POPULATION}",
    ]
    return Report(
        Recommendation.of(best, reason), rows, len(store), None, model.latent_size, notes=notes
    )


def _row(
    name: str, found: Figure, direction: Direction, seconds: float, doubts: Sequence[str] = ()
) -> Estimate:
    warnings = list(doubts)
    if at_ceiling(found.value, found.ceiling):
        warnings.append(
            f"at its ceiling, ln {found.n:,} = {found.ceiling:.2f}: the true value may be higher"
        )
    interval = found.value, found.ci_low, found.ci_high
    return Estimate(name, *interval, direction, found.ceiling, True, seconds, warnings)


def _dual(
    model: VAE,
    reading: Encoded,
    fitting: tuple[TokenStore, TokenStore],
    seed: int,
    profile: Profile = "default",
) -> CriticEstimate | None:
    train, valid = (posteriors(model, split.sample(FIT_SENTENCES, seed)) for split in fitting)
    return held_out_dual(
        SampledPosteriors.draw(train, seed),
        SampledPosteriors.draw(valid, seed),
        SampledPosteriors(reading.posterior, reading.z),
        seed,
        profile,
    )
