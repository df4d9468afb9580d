r"""Variations of a sentence: samples of its posterior, or of wider neighbourhoods, decoded.

With the spread s, z is drawn from :math:`\mathcal{N}(\mu, \mathrm{diag}\, s^2 \sigma^2)`, or on the
sphere with the concentration :math:`\kappa / s^2`.

Shapes: N samples, Z latent units.
"""

__all__ = ["Variation", "Variations", "neighbourhood", "vary"]

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.tokenizer import Tokenizer
from ..limits import MAX_SENTENCES, MAX_SPREAD, check_count, check_range, check_seed
from ..models.latent import Posterior
from ..models.vae import VAE
from ..training.collapse import COLLAPSED
from .decoding import AT_ONCE, Decoding, decode

ATTEMPTS = 20  # samples per sentence asked for
AT_LEAST = 16  # samples per batch
NO_SPREAD = 1e-6  # below, samples equal the mean in single precision


@dataclass(frozen=True)
class Variation:
    """A sentence decoded from samples around the mean of another sentence's posterior."""

    text: str
    """The sentence."""
    distance: float
    """Distance of its nearest sample from the mean, relative to a typical sample of q(z|x).

    For Gaussians this is the root mean square over units, in standard deviations.
    """
    count: int
    """Number of samples that gave this sentence."""
    latent: NDArray[np.float32] = field(compare=False, repr=False)
    """Its nearest sample of z, with shape (Z,)."""


@dataclass(frozen=True)
class Variations:
    """The distinct variations of a sentence, the most frequent first."""

    sentence: str
    """The sentence that is varied."""
    rate: float
    """KL(q(z|x) ‖ p(z)) of its posterior, in nats."""
    samples: int
    """Number of samples drawn."""
    found: tuple[Variation, ...]
    """The variations; the sentence itself may be one of them."""
    missing: int
    """Number of variations that were asked for but not found."""

    def __iter__(self) -> Iterator[Variation]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    @property
    def remark(self) -> str:
        """Why the variations are not what one would expect; empty if they are."""
        if self.rate < COLLAPSED:
            return (
                f"the rate of this sentence is {self.rate:.2f} nats: its posterior is almost the "
                "prior, so the variations have little to do with it"
            )
        if self.missing:
            return (
                f"{self.samples:,} samples gave {len(self):,} different sentence"
                f"{'' if len(self) == 1 else 's'}; a larger spread gives more"
            )
        return ""


def vary(
    model: VAE,
    tokenizer: Tokenizer,
    sentence: str,
    posterior: Posterior,
    n: int,
    spread: float,
    decoding: Decoding,
    seed: int = 0,
) -> Variations:
    """Returns up to n distinct sentences decoded from samples around a posterior's mean.

    Samples are drawn until n sentences are found, at most 20 n.

    Arguments:
        model: The model.
        tokenizer: Its vocabulary.
        sentence: The sentence.
        posterior: Its posterior, with shape (1, Z), on the CPU.
        n: The number of sentences.
        spread: The factor on the posterior's standard deviation; at 0, z is the mean.
        decoding: How words are chosen.
        seed: Seeds z and words.

    Raises:
        ConfigError: n is below 1 or above 10,000,000, or the spread is below 0 or above 1,000.
    """
    n = check_count("the number of variations", n, 1, MAX_SENTENCES)
    check_range("the spread", spread, 0, MAX_SPREAD)
    generator = torch.Generator().manual_seed(check_seed(seed))
    found: dict[str, Variation] = {}
    samples, most = 0, ATTEMPTS * n
    while samples < most and len(found) < n:
        count = min(max(n, AT_LEAST), AT_ONCE, most - samples)
        z = neighbourhood(posterior, spread, count, generator)
        distances = posterior.deviations(z[:, None])[:, 0].tolist()
        decoded = decode(model, z, decoding, generator)
        for ids, distance, latent in zip(decoded, distances, z.numpy(), strict=True):
            samples += 1
            new = Variation(tokenizer.decode(ids), distance, 1, latent)
            before = found.get(new.text, replace(new, count=0))
            nearest = min(new, before, key=lambda variation: variation.distance)
            found[new.text] = replace(nearest, count=before.count + 1)
            if len(found) == n:
                break
    ordered = sorted(found.values(), key=lambda variation: -variation.count)
    rate = float(posterior.rates().sum())
    return Variations(sentence, rate, samples, tuple(ordered), n - len(found))


def neighbourhood(
    posterior: Posterior, spread: float, count: int, generator: torch.Generator
) -> Tensor:
    """Returns samples of a posterior (1, Z) whose scale is multiplied by a spread, (count, Z)."""
    if spread < NO_SPREAD:
        return posterior.mean.expand(count, -1)
    return posterior.widened(spread).rsample(generator, count)[:, 0]
