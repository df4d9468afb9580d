r"""Estimates of I(x; z) of a model on held-out sentences.

| known posterior   exact up to Monte Carlo error for these sentences; at most log N
| leave-one-out     an upper bound of I(x; z) of the population, in expectation
| dual              a lower bound from a critic trained on other sentences
| decomposition     :math:`R - \mathrm{KL}(q(z) \,\|\, p(z))` (Hoffman & Johnson, 2016)

All in nats; N sentences.
"""

__all__ = ["Figure", "MutualInformation", "default_draws", "measure_information", "report"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..choices import Direction, Profile
from ..data.prepared_corpus import TokenStore
from ..estimators import Estimate, Recommendation, Report
from ..estimators.held_out_dual import CriticEstimate, SampledPosteriors, held_out_dual
from ..estimators.intervals import mean_interval
from ..estimators.known_posterior import aggregated_posterior, batched_empirical
from ..estimators.report import at_ceiling, missing_pairs, stopwatch
from ..limits import MAX_DRAWS, check_count
from ..models.vae import VAE
from .encode import Encoded, encode_split, posteriors

FIT_SENTENCES = 50_000  # maximum number of training sentences for the critic
BATCH = 32  # as in He et al. (2019)
# samples of z: in total, and at most and at least per sentence; see `default_draws`
DRAWS, MAX_PER_SENTENCE, MIN_PER_SENTENCE = 100_000, 32, 4
TOO_FEW = (
    "below the interval of the dual bound: too few sentences, the ceiling limits the estimate"
)
DECOMPOSITION = "decomposition: R - KL(q(z)||p(z)), equal to the known posterior's value"
THESE_SENTENCES = (
    "known-posterior of these N sentences: the information between z and the sentence index; "
    "exact up to the draws of z, at most ln N"
)
THE_POPULATION = (
    "known-posterior of the population they come from: in expectation, the same value is a lower "
    "bound, leave-one-out an upper bound"
)


@dataclass(frozen=True)
class Figure:
    """An estimate with its 95 % interval, the number of sentences, and its ceiling."""

    value: float  # the estimate
    ci_low: float  # lower end of the 95 % interval
    ci_high: float  # upper end of the 95 % interval
    n: int  # number of sentences
    ceiling: float | None  # largest possible value, ln n; null for an upper bound


@dataclass(frozen=True)
class MutualInformation:
    """Estimates of I(x; z); the fields are keys of the JSON form of an evaluation."""

    known_posterior: Figure  # from the known posteriors q(z|x)
    leave_one_out: Figure | None  # upper bound; null for a single sentence
    batch32: Figure  # the known posterior's estimate in batches of 32 sentences
    dual: CriticEstimate | None  # held-out lower bound of a critic; null without data to fit it


def measure_information(
    model: VAE,
    store: TokenStore,
    encoded: Encoded,
    fitting: tuple[TokenStore, TokenStore] | None,
    seed: int,
    draws: int | None = None,
) -> MutualInformation:
    """Returns the estimates of I(x; z) on the sentences of a store.

    Arguments:
        model: A model with a latent.
        store: The sentences.
        encoded: The encoded sentences.
        fitting: Training and validation sentences for the critic of the dual bound, if wanted.
        seed: Seed of all samples.
        draws: Samples of z per sentence; by default `default_draws` of the number of sentences.

    Raises:
        ConfigError: `draws` is out of range.
    """
    count, size = len(store), min(BATCH, len(store))
    draws = default_draws(count) if draws is None else draws
    draws = check_count("the number of draws", draws, 1, MAX_DRAWS)
    posterior = encoded.posterior.double()
    z = posterior.rsample(torch.Generator().manual_seed(seed), count=draws)
    densities = aggregated_posterior(posterior, z)
    by_length = torch.from_numpy(store.lengths.copy()).argsort(stable=True)
    alike = posterior[by_length]
    batched = torch.stack([batched_empirical(alike, drawn[by_length], size) for drawn in z])
    known, leave_one_out = densities.empirical(True), densities.leave_one_out(True)
    return MutualInformation(
        known_posterior=Figure(*known, count, math.log(count)),
        leave_one_out=None if leave_one_out is None else Figure(*leave_one_out, count, None),
        batch32=Figure(*mean_interval(batched.mean(dim=0)), size, math.log(size)),
        dual=None if fitting is None else _dual(model, encoded, fitting, seed),
    )


def default_draws(sentences: int) -> int:
    """Returns the default number of samples of z per sentence.

    The cost is proportional to this number and to the square of the number of sentences. With 32
    samples, the standard error from sampling z is below a tenth of the interval's width. Above
    3,125 sentences, fewer samples limit the cost.
    """
    return min(MAX_PER_SENTENCE, max(MIN_PER_SENTENCE, DRAWS // sentences))


def report(
    model: VAE,
    store: TokenStore,
    fitting: tuple[TokenStore, TokenStore],
    seed: int = 0,
    profile: Profile = "default",
    draws: int | None = None,
) -> Report:
    """Returns a report of all estimates of I(x; z) on the sentences of a store.

    It recommends the known posterior's estimate, which is exact except for the sampling of z. The
    arguments are those of `measure_information`; `profile` is the training time and size of the
    critic of the dual bound, which has its own draws.
    """
    store = store.canonical()
    with stopwatch() as encoding_seconds:
        encoded = encode_split(model, store, seed)
        found = measure_information(model, store, encoded, None, seed, draws)
    with stopwatch() as fitting_seconds:
        dual = _dual(model, encoded, fitting, seed, profile)
    known, upper, batched = found.known_posterior, found.leave_one_out, found.batch32
    seconds = encoding_seconds()
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
    rate = float(encoded.rate.mean())
    split = "decomposition", rate - (rate - known.value)  # R - KL(q(z) || p(z))
    rows.append(Estimate(*split, None, None, "lower", known.ceiling, True, seconds))
    reason = "exact except for the sampling of z; nothing is trained"
    if best.warnings:
        reason = "limited by the number of sentences"
    recommended = Recommendation.of(best, reason)
    notes = [DECOMPOSITION, THESE_SENTENCES, THE_POPULATION]
    return Report(recommended, rows, len(store), None, model.latent_size, notes=notes)


def _row(
    name: str, found: Figure, direction: Direction, seconds: float, doubts: Sequence[str] = ()
) -> Estimate:
    warnings = list(doubts)
    if at_ceiling(found.value, found.ceiling):
        warnings.append(
            f"at its ceiling, ln {found.n:,} = {found.ceiling:.2f}; the true value may be higher"
        )
    interval = found.value, found.ci_low, found.ci_high
    return Estimate(name, *interval, direction, found.ceiling, True, seconds, warnings)


def _dual(
    model: VAE,
    encoded: Encoded,
    fitting: tuple[TokenStore, TokenStore],
    seed: int,
    profile: Profile = "default",
) -> CriticEstimate | None:
    train, valid = (posteriors(model, split.sample(FIT_SENTENCES, seed)) for split in fitting)
    return held_out_dual(
        SampledPosteriors.draw(train, seed),
        SampledPosteriors.draw(valid, seed),
        SampledPosteriors(encoded.posterior, encoded.z),
        seed,
        profile,
    )
