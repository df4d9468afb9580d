r"""One training step of a model and its mutual-information term on a batch.

A step is the algorithm of `mi_terms.dual` with the objective's loss. While the encoder lags behind
the decoder, the `encoder` trains alone (`train_encoder`) before each step of the `decoder`.

Shapes: B sentences, F features, Z latent units.

References:
    | Lagging Inference Networks and Posterior Collapse (He et al., 2019), algorithm 1
"""

__all__ = ["Learner", "train_encoder"]

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ..choices import TrainedPart
from ..config.model import ModelConfig, RecurrentEncoderConfig, VonMisesFisherPosteriorConfig
from ..config.run import RunConfig
from ..data.batches import Batch
from ..devices import reduced_precision
from ..finite_checks import Checker, FiniteCheck, Quantity, verify_all
from ..mi_terms.build import build_term
from ..mi_terms.dual import MutualInformationTerm
from ..mi_terms.known_posterior import KnownPosteriorTerm
from ..mi_terms.mmd import maximum_mean_discrepancy
from ..models.vae import Encoding, build_model
from ..objectives.objective import Terms, Weights
from .cuda_graphs import Recorder, capture_graphs
from .optimizers import Adam, build_optimizers, clip_gradients, set_rates, sparsify_embeddings


class Learner:
    """A model, its mutual-information term, and their optimizers.

    Arguments:
        config: The run's settings.
        vocab_size: The vocabulary size V.
        sentences: The number of training sentences.
        device: The device of all tensors.
    """

    def __init__(
        self, config: RunConfig, vocab_size: int, sentences: int, device: torch.device
    ) -> None:
        self.config, self.device = config, device
        self.precision = reduced_precision(device, config.training.precision)
        self.model = build_model(config.model, vocab_size).to(device)
        if device.type == "cpu":  # on other devices, finding the rows takes longer than it saves
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
        recorded = device.type == "cuda" and config.training.graphs and _recordable(config.model)
        self.recorder = Recorder(self, capture_graphs) if recorded else None
        self._factor = 1.0

    @property
    def checkpoint_bytes(self) -> int:
        """The approximate size of a checkpoint."""
        tensors: list[Tensor] = list(self.model.parameters())
        if self.term is not None:
            tensors += [*self.term.parameters(), *self.term.buffers()]
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return size * (3 if isinstance(self.optimizers["model"], Adam) else 1) + 2**16

    @property
    def learning_rate(self) -> float:
        """The current learning rate of the model's first optimizer."""
        initial: float = self.optimizers["model"].param_groups[0]["initial_lr"]
        return initial * self._factor

    def set_learning_rate(self, factor: float) -> None:
        """Sets the model's learning rates to a fraction of their initial values."""
        if factor != self._factor:
            set_rates(self.model_optimizers.values(), factor)
            self._factor = factor

    def step(
        self, batch: Batch, epoch: float, multiplier: float = 0.0, part: TrainedPart = "both"
    ) -> tuple[Terms, float]:
        """Makes one step of the critic and of the model on a batch.

        Arguments:
            batch: The sentences.
            epoch: Finished epochs with the objective, including fractions.
            multiplier: The Lagrange multiplier of a constrained rate.
            part: The part of the model to train; the critic is always trained.

        Returns:
            The terms, and the loss in nats per sentence.

        Raises:
            NonFiniteBatch: A check failed. The model's weights and moments have not changed.
        """
        self.model.train()
        weights = self.config.objective.weights(epoch, multiplier)
        if self.recorder is not None:
            return self.recorder.step(batch, weights, part)
        terms, loss = self.advance(batch, weights, part)
        return terms, float(loss)

    def advance(
        self, batch: Batch, weights: Weights, part: TrainedPart, check: Checker = verify_all
    ) -> tuple[Terms, Tensor]:
        """Makes one step, waiting for the device only in `check`; the loss has shape ().

        Raises:
            NonFiniteBatch: `check` verified a number that is not finite or out of range.
        """
        batch = batch.to(self.device)
        self.model.decoder.requires_grad_(part != "encoder")
        try:
            terms, encoding = self._terms(batch, check)
            loss = self.config.objective.loss(terms, weights)
            for optimizer in self.model_optimizers.values():
                optimizer.zero_grad(set_to_none=True)
            loss.backward()
        finally:
            self.model.decoder.requires_grad_(True)
        if part == "decoder":
            for module in (self.model.encoder, self.model.head):
                module.zero_grad(set_to_none=True)
        norms = [
            clip_gradients(trained, self.config.training.max_norm)
            for optimizer in self.model_optimizers.values()
            if (trained := [each for each in _parameters(optimizer) if each.grad is not None])
        ]
        rate = FiniteCheck(Quantity.RATE, terms.rates.sum())  # with beta = 0, not part of the loss
        norm = FiniteCheck(Quantity.GRADIENT, torch.stack(norms).sum())
        check([FiniteCheck(Quantity.LOSS, loss), rate, norm])
        for optimizer in self.model_optimizers.values():
            optimizer.step()
        match self.term:
            case MutualInformationTerm():
                self.term.push(encoding.features)
            case KnownPosteriorTerm():
                self.term.push(encoding.posterior.parameters())
        return Terms(*(torch.as_tensor(term).detach() for term in terms)), loss.detach()

    def mutable_tensors(self) -> Iterator[Tensor]:
        """Yields all tensors that a step changes: weights, buffers, the queue, and moments."""
        for module in (self.model, self.term):
            if module is not None:
                yield from (parameter.detach() for parameter in module.parameters())
                yield from module.buffers()
        for optimizer in self.optimizers.values():
            for state in optimizer.state.values():
                yield from (value for value in state.values() if isinstance(value, Tensor))

    @property
    def started(self) -> bool:
        """Whether the moments of all weights exist, and the queue is full."""
        moments = all(
            parameter in optimizer.state
            for optimizer in self.optimizers.values()
            if isinstance(optimizer, Adam)
            for parameter in _parameters(optimizer)
        )
        return moments and (self.term is None or self.term.full)

    def clear_gradients(self) -> None:
        """Clears all gradients after a failed step."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def reset_decoder(self) -> None:
        """Draws new random weights of the decoder, and deletes their moments."""
        fresh = build_model(self.config.model, self.model.decoder.embedding.num_embeddings)
        self.model.decoder.load_state_dict(fresh.decoder.state_dict())  # copies in place
        for parameter in self.model.decoder.parameters():
            for optimizer in self.model_optimizers.values():
                optimizer.state.pop(parameter, None)
        if self.recorder is not None:
            self.recorder.clear()

    def _terms(self, batch: Batch, check: Checker) -> tuple[Terms, Encoding]:
        with self.precision:
            encoding = self.model.encode(batch)
        z = encoding.posterior.rsample()
        bound = self._bound(encoding, z, check)
        with self.precision:
            likelihood = self.model.log_likelihood(batch, z)
        rates = encoding.posterior.rates()
        discrepancy: Tensor | float = 0.0
        if self.config.objective.mmd_weight:
            prior = self.model.prior.sample(len(z), device=z.device)
            discrepancy = maximum_mean_discrepancy(z, prior)
        return Terms(-likelihood, rates, bound, discrepancy), encoding

    def _bound(self, encoding: Encoding, z: Tensor, check: Checker) -> Tensor | float:
        """Returns the bound on I(x; z) of a batch, after training the critic on it."""
        match self.term:
            case None:
                return 0.0
            case KnownPosteriorTerm():
                return self.term.lower_bound(encoding.posterior, z, check)
        features, max_norm = encoding.features.detach(), self.config.training.max_norm
        self.term.update_critic(features, z.detach(), self.optimizers["critic"], max_norm, check)
        return self.term.lower_bound(features, z, check)


def train_encoder(
    step: Callable[[Batch], float],
    batch: Batch,
    draw: Callable[[], Batch],
    max_steps: int,
    check_every: int,
) -> None:
    """Trains the encoder until its mean loss per token over `check_every` steps increases.

    Arguments:
        step: Makes one step of the encoder; returns the loss in nats per sentence.
        batch: The first batch.
        draw: Returns a random batch for the following step.
        max_steps: Maximum number of steps.
        check_every: Steps between two comparisons of the loss.
    """
    previous, total, tokens = math.inf, 0.0, 0
    for number in range(1, max_steps + 1):
        total += step(batch) * len(batch)
        tokens += int(batch.lengths.sum()) + len(batch)
        if number % check_every == 0:
            if total / tokens > previous:
                return
            previous, total, tokens = total / tokens, 0.0, 0
        batch = draw()


def _recordable(config: ModelConfig) -> bool:
    """Returns whether steps never wait for the device: rejection sampling and packing do."""
    encoder = config.encoder
    bidirectional = isinstance(encoder, RecurrentEncoderConfig) and encoder.bidirectional
    return not (bidirectional or isinstance(config.posterior, VonMisesFisherPosteriorConfig))


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    return (parameter for group in optimizer.param_groups for parameter in group["params"])
