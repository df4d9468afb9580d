"""What the explorer asks of a model; only the thread that owns the model calls these functions.

Shapes: M latents, Z latent units.
"""

__all__ = ["ExploredModel", "at_mean"]

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.batches import collate
from ..data.token_store import TokenStore
from ..data.tokenizer import UNKNOWN, Tokenizer
from ..devices import tune_cpu
from ..generation.decoding import Decoding, decode
from ..generation.generate import encode_texts, token_ids
from ..generation.vary import Variation, vary
from ..models.latent import DiagonalGaussian, Posterior
from ..models.vae import VAE
from .worker import Decoded

Latents = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ExploredModel:
    """A model with its vocabulary."""

    vae: VAE
    tokenizer: Tokenizer
    max_tokens: int
    weights: str = ""
    """Identifies the checkpoint in the cache."""

    def start(self) -> None:
        """Sets up a thread that is about to use the model."""
        tune_cpu()  # how subnormal numbers are treated is a setting of the thread

    def encode(self, texts: list[str]) -> Posterior:
        """Returns the posteriors of sentences, on the CPU."""
        return encode_texts(self.vae, self.tokenizer, texts, self.max_tokens).cpu()

    def decode(self, latents: Latents, temperature: float, seed: int) -> list[Decoded]:
        """Returns the sentences of latents (M, Z); greedily at temperature 0."""
        how = self._decoding(temperature)
        z = self.projected(torch.from_numpy(np.ascontiguousarray(latents)))
        generator = torch.Generator().manual_seed(seed + 1)  # as `generate.generated`
        rows = decode(self.vae, z, how, generator)
        return [Decoded(self.tokenizer.decode(ids), ids) for ids in rows]

    def vary(
        self, posterior: Posterior, count: int, spread: float, temperature: float, seed: int
    ) -> list[Variation]:
        """Returns at most `count` different sentences from samples of a posterior (1, Z).

        The nearest come first. The standard deviations are multiplied by the spread.
        """
        how = self._decoding(temperature)
        found = vary(self.vae, self.tokenizer, "", posterior, count, spread, how, seed)
        return sorted(found, key=lambda variation: variation.distance)

    @torch.inference_mode()
    def log_likelihoods(self, rows: list[Decoded], latents: Latents) -> list[float]:
        r"""Returns :math:`\log p(x \mid z)` of each sentence at its latent, in nats."""
        store = TokenStore.from_ids(row.ids for row in rows)
        batch = collate(store, np.arange(len(rows))).to(self.vae.device)
        z = self.projected(torch.from_numpy(np.ascontiguousarray(latents)))
        found: list[float] = self.vae.log_likelihood(batch, z.to(self.vae.device)).cpu().tolist()
        return found

    def _decoding(self, temperature: float) -> Decoding:
        how = Decoding(beam=1) if temperature == 0 else Decoding(temperature=temperature)
        return replace(how, max_tokens=self.max_tokens)

    def projected(self, latents: torch.Tensor) -> torch.Tensor:
        """Returns the nearest latents in the support of the prior."""
        return self.vae.prior.projected(latents)

    def unknown_words(self, text: str) -> int:
        """Returns the number of words of a sentence that the vocabulary lacks."""
        if not self.tokenizer.by_word:
            return 0
        return sum(index == UNKNOWN for index in token_ids(self.tokenizer, [text])[0])

    @property
    def spherical(self) -> bool:
        """Whether latents are directions, which cosines compare."""
        probe = torch.zeros(1, self.vae.latent_size)
        probe[0, 0] = 2.0
        return not torch.equal(self.projected(probe), probe)


def at_mean(posterior: Posterior, latent: torch.Tensor) -> Posterior:
    """Returns a posterior (1, Z) moved to another mean, with shape (1, Z)."""
    if isinstance(posterior, DiagonalGaussian):
        return replace(posterior, mean=latent)
    direction = torch.nn.functional.normalize(latent, dim=-1)
    return replace(posterior, mean=direction) if latent.any() else posterior
