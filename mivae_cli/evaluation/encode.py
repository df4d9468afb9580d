r"""One pass over sentences: posteriors, one sample of each, and the distortions.

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

BATCH = 128  # sentences


@dataclass(frozen=True)
class Encoded:
    """The results of a pass with one sample of z per sentence, in the order of the store."""

    posterior: Posterior  # N posteriors
    z: Tensor  # (N, Z)
    distortion: Tensor  # -log p(x|z), (N,)

    @property
    def rate(self) -> Tensor:
        """The rate of each sentence in nats, with shape (N,)."""
        return self.posterior.rates().sum(dim=-1)


@torch.inference_mode()
def encode_split(model: VAE, store: TokenStore, seed: int) -> Encoded:
    """Returns posterior, sample and distortion of every sentence, without dropout.

    The noise is drawn for the whole store at once, so batching does not change the results.
    """
    posterior = posteriors(model, store)
    z = posterior.rsample(torch.Generator().manual_seed(seed))
    distortion = torch.empty(len(store))
    for indices, batch in ordered_batches(store, BATCH):
        rows = torch.from_numpy(indices)
        samples = z[rows].to(model.device)
        distortion[rows] = -model.log_likelihood(batch.to(model.device), samples).cpu()
    return Encoded(posterior, z, distortion)


@torch.inference_mode()
def posteriors(model: VAE, store: TokenStore) -> Posterior:
    """Returns the posterior of every sentence, without dropout, in store order, on the CPU."""
    model.eval()
    rows, parts = [], []
    for indices, batch in ordered_batches(store, BATCH):
        rows.append(torch.from_numpy(indices))
        parts.append(model.encode(batch.to(model.device)).posterior.cpu())
    return type(parts[0]).cat(parts)[torch.cat(rows).argsort()]
