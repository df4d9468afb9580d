r"""One pass over sentences: their posteriors, a sample of each, and what it costs to tell them.

Shapes: N sentences, Z latent units. All in nats.
"""

__all__ = ["Encoded", "encode_split", "posteriors"]

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.batches import ordered_batches
from ..data.prepared_corpus import TokenStore
from ..models.latent import Posterior
from ..models.vae import VAE

AT_ONCE = 128  # sentences


@dataclass(frozen=True)
class Encoded:
    """What one pass with one sample of z a sentence tells, in the order of the store."""

    posterior: Posterior  # of N sentences
    z: Tensor  # (N, Z)
    distortion: Tensor  # (N,)

    @property
    def rate(self) -> Tensor:
        """The rate of each sentence, with shape (N,)."""
        return self.posterior.rates().sum(dim=-1)


@torch.inference_mode()
def encode_split(model: VAE, store: TokenStore, seed: int) -> Encoded:
    """Encodes and scores every sentence once, dropout off.

    The noise is drawn for the whole store at once, so batching does not change the figures.
    """
    posterior = posteriors(model, store)
    z = posterior.rsample(torch.Generator().manual_seed(seed))
    distortion = torch.empty(len(store))
    for indices, batch in ordered_batches(store, AT_ONCE):
        rows = torch.from_numpy(indices)
        drawn = z[rows].to(model.device)
        distortion[rows] = -model.log_likelihood(batch.to(model.device), drawn).cpu()
    return Encoded(posterior, z, distortion)


@torch.inference_mode()
def posteriors(model: VAE, store: TokenStore) -> Posterior:
    """Encodes every sentence, dropout off, in the order of the store, on the CPU."""
    model.eval()
    rows, parts = [], []
    for indices, batch in ordered_batches(store, AT_ONCE):
        rows.append(torch.from_numpy(indices))
        parts.append(model.encode(batch.to(model.device)).posterior.cpu())
    return type(parts[0]).cat(parts)[torch.cat(rows).argsort()]
