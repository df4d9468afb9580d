r"""What learns: a model and its mutual-information term, and how a batch moves them.

A step is the algorithm of `estimators.term` around the objective's loss. Two regimes move only
one side of the model by it:

| encoder alone   the inner loop of He et al. (2019), while the encoder lags behind the decoder
| decoder alone   the outer step of that loop

Shapes: B sentences, F features, Z latent units.

References:
    | Lagging Inference Networks and Posterior Collapse (He et al., 2019)
"""

__all__ = ["Learner", "Side"]

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from .config import RunConfig
from .data.batches import Batch
from .devices import reduced_precision
from .estimators.discrepancy import maximum_mean_discrepancy
from .estimators.posterior_term import KnownPosteriorTerm
from .estimators.term import MutualInformationTerm
from .estimators.terms import build_term
from .models.vae import Encoding, build_model
from .objectives import Terms
from .optimizers import Adam, build_optimizers, clip_gradients, finite, sparsify_embeddings

Side = Literal["both", "encoder", "decoder"]


class Learner:
    """A model, its term and their optimizers.

    Arguments:
        config: The run's settings.
        vocab_size: Types of the vocabulary.
        sentences: Of the training split.
        device: Where it computes.
    """

    def __init__(
        self, config: RunConfig, vocab_size: int, sentences: int, device: torch.device
    ) -> None:
        self.config, self.device = config, device
        self.precision = reduced_precision(device, config.training.precision)
        self.model = build_model(config.model, vocab_size).to(device)
        if device.type == "cpu":  # elsewhere finding the rows costs more than it saves
            sparsify_embeddings(self.model)
        self.model_optimizers = build_optimizers(
            config.training.optimizer, self.model.parameters(), self.model.word_parameters()
        )
        self.optimizers = dict(self.model_optimizers)
        self.term = build_term(config, self.model.features, sentences)
        if self.term is not None:
            self.term.to(device)
        if isinstance(self.term, MutualInformationTerm):
            parameters = self.term.critic.parameters()
            self.optimizers["critic"] = Adam(parameters, config.critic.learning_rate)

    def step(
        self, batch: Batch, epoch: float, multiplier: float = 0.0, side: Side = "both"
    ) -> tuple[Terms, float]:
        """Moves the critic and the model on a batch, each on finite numbers alone.

        Arguments:
            batch: The sentences.
            epoch: Of the objective, in fractions.
            multiplier: Lagrange's, where the objective has one.
            side: What of the model is moved; the critic always is.

        Returns:
            The terms, and the loss in nats a sentence.

        Raises:
            BadBatch: A number is not finite or not possible. The model's weights and moments have
                not moved.
        """
        self.model.train()
        batch = batch.to(self.device)
        self.model.decoder.requires_grad_(side != "encoder")
        try:
            terms, loss, encoding = self._forward(batch, epoch, multiplier)
            for optimizer in self.model_optimizers.values():
                optimizer.zero_grad(set_to_none=True)
            loss.backward()
        finally:
            self.model.decoder.requires_grad_(True)
        if side == "decoder":
            for module in (self.model.encoder, self.model.head):
                module.zero_grad(set_to_none=True)
        norms = [
            clip_gradients(_parameters(optimizer), self.config.training.max_norm)
            for optimizer in self.model_optimizers.values()
        ]
        norm = torch.stack(norms).sum()
        # the rate is not part of a loss with beta = 0, but of what is reported; CUDA is waited
        # for here, once a step, and by the critic for its own step and for its bound
        value, *_ = finite({"the loss": loss, "the rate": terms.rates.sum(), "the gradient": norm})
        for optimizer in self.model_optimizers.values():
            optimizer.step()
        match self.term:
            case MutualInformationTerm():
                self.term.push(encoding.features)
            case KnownPosteriorTerm():
                self.term.push(encoding.posterior.parameters())
        return Terms(*(torch.as_tensor(term).detach() for term in terms)), value

    def forget(self) -> None:
        """Drops what gradients a batch has left."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def reset_decoder(self) -> None:
        """Draws the decoder's weights anew, and forgets how they moved."""
        fresh = build_model(self.config.model, self.model.decoder.embedding.num_embeddings)
        _take(self.model.decoder, fresh.decoder)
        for parameter in self.model.decoder.parameters():
            for optimizer in self.model_optimizers.values():
                optimizer.state.pop(parameter, None)

    def _forward(
        self, batch: Batch, epoch: float, multiplier: float
    ) -> tuple[Terms, Tensor, Encoding]:
        with self.precision:
            encoding = self.model.encode(batch)
        z = encoding.posterior.rsample()
        bound = self._bound(encoding, z)
        with self.precision:
            likelihood = self.model.log_likelihood(batch, z)
        terms = Terms(-likelihood, encoding.posterior.rates(), bound, self._discrepancy(z))
        return terms, self.config.objective(terms, epoch, multiplier), encoding

    def _bound(self, encoding: Encoding, z: Tensor) -> Tensor | float:
        """Returns the bound on I(x; z) of a batch, after the critic has followed."""
        match self.term:
            case None:
                return 0.0
            case KnownPosteriorTerm():
                return self.term.lower_bound(encoding.posterior, z)
        features, max_norm = encoding.features.detach(), self.config.training.max_norm
        self.term.ascend(features, z.detach(), self.optimizers["critic"], max_norm)
        return self.term.lower_bound(features, z)

    def _discrepancy(self, z: Tensor) -> Tensor | float:
        """Returns how far a batch's codes are from as many samples of the prior."""
        if not self.config.objective.mmd_weight:
            return 0.0
        return maximum_mean_discrepancy(z, self.model.prior.sample(len(z), device=z.device))


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    """Yields what an optimizer moves."""
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


@torch.no_grad()
def _take(module: nn.Module, other: nn.Module) -> None:
    """Gives a module the weights of another, in place: optimizers know them by identity."""
    for mine, theirs in zip(module.parameters(), other.parameters(), strict=True):
        mine.copy_(theirs)
