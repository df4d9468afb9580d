r"""A straightforward implementation of the same VAE, the reference of the speed benchmarks.

It is not optimised: batches of random sentences, padded to the longest; logits at every position,
including padding; the loss copied to the host at every step; importance weighting of one sentence
at a time. A test checks that its values equal those of the package, step by step.

Shapes: B sentences, T tokens, V vocabulary, E embedding, H hidden units, Z latent units,
K samples of z.
"""

__all__ = [
    "PlainVAE",
    "counterparts",
    "importance_weighted",
    "log_weights",
    "plain_copy",
    "plain_step",
    "random_batches",
]

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence

from mivae_cli.choices import Pooling
from mivae_cli.data.prepared_corpus import TokenStore
from mivae_cli.data.tokenizer import BOUNDARY
from mivae_cli.models.decoders import RecurrentDecoder
from mivae_cli.models.encoders import RecurrentEncoder
from mivae_cli.models.vae import VAE

IGNORED = -100  # the target of padding
CHUNK = 100  # samples of z per decoder call, as in the code of He et al. (2019)


class PlainVAE(nn.Module):
    """A VAE with an LSTM encoder and an LSTM decoder."""

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        hidden_size: int,
        latent_size: int,
        pooling: Pooling = "last",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)  # of the decoder, in and out
        self.encoder_embedding = nn.Embedding(vocab_size, embedding_size)
        self.encoder = nn.LSTM(embedding_size, hidden_size, batch_first=True)
        self.posterior = nn.Linear(hidden_size, 2 * latent_size)
        self.decoder_embedding = nn.Embedding(vocab_size, embedding_size)
        self.initial = nn.Linear(latent_size, hidden_size)
        self.decoder = nn.LSTM(embedding_size + latent_size, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, vocab_size)

    def encode(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and log scale of q(z | x), each with shape (B, Z)."""
        states, _ = self.encoder(self.encoder_embedding(tokens))  # (B, T, H)
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        padding = (steps >= lengths[:, None])[..., None]
        if self.pooling == "last":
            pooled = states[torch.arange(len(states), device=states.device), lengths - 1]
        elif self.pooling == "mean":
            pooled = states.masked_fill(padding, 0.0).sum(dim=1) / lengths[:, None]
        else:
            pooled = states.masked_fill(padding, -math.inf).max(dim=1).values
        mean, log_scale = self.posterior(pooled).chunk(2, dim=-1)
        return mean, log_scale

    def decode(self, tokens: Tensor, z: Tensor) -> Tensor:
        """Returns the logits at every position, with shape (B, T + 1, V)."""
        inputs = F.pad(tokens, (1, 0), value=BOUNDARY)
        words = self.dropout(self.decoder_embedding(inputs))  # (B, T + 1, E)
        repeated = z[:, None].expand(-1, words.shape[1], -1)
        cell = self.initial(z)[None]
        states, _ = self.decoder(torch.cat([words, repeated], dim=-1), (cell.tanh(), cell))
        logits: Tensor = self.output(self.dropout(states))
        return logits

    def loss(self, tokens: Tensor, lengths: Tensor, beta: float = 1.0) -> Tensor:
        r"""Returns :math:`D + \beta R` of a batch in nats per sentence, with one sample of z.

        Arguments:
            tokens: The ids, padded on the right, with shape (B, T).
            lengths: The number of tokens of each sentence, with shape (B,).
            beta: The weight of the rate.
        """
        mean, log_scale = self.encode(tokens, lengths)
        z = mean + log_scale.exp() * torch.randn_like(mean)
        logits = self.decode(tokens, z)
        distortion = F.cross_entropy(
            logits.flatten(0, 1),
            _targets(tokens, lengths).flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )
        rate = 0.5 * (mean**2 + (2 * log_scale).exp() - 2 * log_scale - 1).sum()
        return (distortion + beta * rate) / len(tokens)


def plain_step(
    model: PlainVAE,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    lengths: Tensor,
    beta: float = 1.0,
    max_norm: float = 5.0,
) -> float:
    """Makes one optimizer step; returns the loss before it."""
    model.train()
    device = model.output.weight.device
    loss = model.loss(tokens.to(device), lengths.to(device), beta)
    optimizer.zero_grad()
    loss.backward()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


def random_batches(store: TokenStore, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields tokens (B, T) and lengths (B,) of all sentences in random order."""
    order = torch.randperm(len(store), generator=torch.Generator().manual_seed(seed)).tolist()
    for start in range(0, len(order), size):
        rows = [torch.tensor(store.sentence(place)) for place in order[start : start + size]]
        lengths = torch.tensor([len(row) for row in rows])
        yield pad_sequence(rows, batch_first=True, padding_value=BOUNDARY), lengths


@torch.no_grad()
def log_weights(model: PlainVAE, sentence: Tensor, samples: int) -> Tensor:
    r"""Returns :math:`\log p(x, z_k) - \log q(z_k \mid x)` for samples of q, with shape (K,).

    Arguments:
        model: The model.
        sentence: The ids of one sentence, with shape (T,).
        samples: The number K of samples.
    """
    model.eval()
    lengths = torch.tensor([len(sentence)], device=sentence.device)
    parts = []
    for start in range(0, samples, CHUNK):
        count = min(CHUNK, samples - start)
        mean, log_scale = model.encode(sentence[None], lengths)
        posterior = Normal(mean, log_scale.exp())
        z = posterior.sample((count,))[:, 0]  # (K, Z)
        copies = sentence.expand(count, -1)
        losses = F.cross_entropy(
            model.decode(copies, z).flatten(0, 1),
            _targets(copies, lengths.expand(count)).flatten(),
            reduction="none",
        )
        likelihood = -losses.view(count, -1).sum(dim=1)
        prior = Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z).sum(dim=1)
        parts.append(likelihood + prior - posterior.log_prob(z).sum(dim=1))
    return torch.cat(parts)


def importance_weighted(model: PlainVAE, store: TokenStore, samples: int) -> Tensor:
    """Returns the importance-weighted bound of each sentence, with shape (N,)."""
    device = model.output.weight.device
    bounds = []
    for place in range(len(store)):
        sentence = torch.tensor(store.sentence(place), device=device)
        weights = log_weights(model, sentence, samples)
        bounds.append((weights.logsumexp(dim=0) - math.log(samples)).item())
    return torch.tensor(bounds)


def counterparts(model: VAE) -> dict[str, Tensor]:
    """Returns the weights of the package's model under the names of `PlainVAE`."""
    encoder, decoder = model.encoder, model.decoder
    assert isinstance(encoder, RecurrentEncoder)
    assert isinstance(decoder, RecurrentDecoder)
    parts = {
        "encoder_embedding": encoder.embedding,
        "encoder": encoder.network,
        "posterior": model.head.linear,
        "decoder_embedding": decoder.embedding,
        "initial": decoder.initial,
        "decoder": decoder.network,
    }
    output = decoder.output
    return {"output.weight": output.matrix.T.detach(), "output.bias": output.bias.detach()} | {
        f"{part}.{name}": weight.detach()
        for part, module in parts.items()
        if module is not None
        for name, weight in module.named_parameters()
    }


def plain_copy(model: VAE) -> PlainVAE:
    """Returns a plain model with the weights, pooling and dropout of a model of the package.

    The encoder must be unidirectional and without dropout.
    """
    weights = counterparts(model)
    vocab_size, embedding_size = weights["decoder_embedding.weight"].shape
    hidden_size, latent_size = weights["initial.weight"].shape
    plain = PlainVAE(
        vocab_size,
        embedding_size,
        hidden_size,
        latent_size,
        model.encoder.pooling,
        model.decoder.dropout.p,
    )
    plain.load_state_dict(weights)
    return plain.to(weights["output.weight"])


def _targets(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Returns the tokens, the boundary, then ignored padding: (B, T + 1)."""
    targets = F.pad(tokens, (0, 1), value=BOUNDARY)
    steps = torch.arange(targets.shape[1], device=tokens.device)
    targets = torch.where(steps == lengths[:, None], BOUNDARY, targets)
    return targets.masked_fill(steps > lengths[:, None], IGNORED)
