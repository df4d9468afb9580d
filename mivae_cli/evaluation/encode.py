r"""One pass over sentences: posteriors, one sample of each, and the distortions.

Shapes: N sentences, M first sentences, F features, Z latent units. All in nats.
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
    features: Tensor  # of the encoder, for the first M sentences, (M, F)

    @property
    def rate(self) -> Tensor:
        """The rate of each sentence in nats, with shape (N,)."""
        return self.posterior.rates().sum(dim=-1)


@torch.inference_mode()
def encode_split(model: VAE, store: TokenStore, seed: int, featured: int = 0) -> Encoded:
    """Returns posterior, sample and distortion of every sentence, without dropout.

    The noise is drawn for the whole store at once, so batching does not change the results.

    Arguments:
        model: The model.
        store: The sentences.
        seed: Seed of the samples.
        featured: Maximum number M of sentences whose features are kept: the first ones.
    """
    posterior, features = _encode(model, store, featured)
    z = posterior.rsample(torch.Generator().manual_seed(seed))
    distortion = torch.empty(len(store))
    for indices, batch in ordered_batches(store, BATCH):
        rows = torch.from_numpy(indices)
        samples = z[rows].to(model.device)
        distortion[rows] = -model.log_likelihood(batch.to(model.device), samples).cpu()
    return Encoded(posterior, z, distortion, features)


@torch.inference_mode()
def posteriors(model: VAE, store: TokenStore) -> Posterior:
    """Returns the posterior of every sentence, without dropout, in store order, on the CPU."""
    return _encode(model, store, 0)[0]


def _encode(model: VAE, store: TokenStore, featured: int) -> tuple[Posterior, Tensor]:
    """Returns the posterior of every sentence, and the features of the first ones, on the CPU."""
    model.eval()
    rows, parts = [], []
    features = torch.empty(min(featured, len(store)), model.features)
    for indices, batch in ordered_batches(store, BATCH):
        places = torch.from_numpy(indices)
        encoding = model.encode(batch.to(model.device))
        rows.append(places)
        parts.append(encoding.posterior.cpu())
        first = places < len(features)
        features[places[first]] = encoding.features.cpu()[first].float()
    return type(parts[0]).cat(parts)[torch.cat(rows).argsort()], features
