"""The training loop, as a generator: it computes, and whoever iterates decides what to show."""

__all__ = ["Record", "Skipped", "Step", "Trainer", "Validation"]

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from .checkpoint import RunDirectory, TrainingState
from .config import RunConfig
from .data.ahead import ahead
from .data.batches import Batch, BatchSampler
from .data.store import Corpus
from .devices import reduced_precision, resolve_device
from .divergence import Skipped, divergence
from .errors import BadBatch, DivergedError
from .estimators.known_posterior import aggregated_posterior
from .estimators.term import MutualInformationTerm
from .metrics import active_units
from .models.vae import build_model
from .objectives import Terms
from .optimizers import Adam, build_optimizer, clip_gradients, finite, sparsify_embeddings
from .reading import read

VALIDATION_MI_SENTENCES = 4096  # the known-posterior estimate is quadratic in them
COLLAPSED = 0.5  # nats: below it, z tells sentences hardly apart


@dataclass(frozen=True)
class Step:
    """Means over the steps since the last such record, in nats a sentence."""

    step: int
    epoch: float
    loss: float
    distortion: float
    rate: float
    mi_bound: float | None  # the training batches' own bound: for watching, not for reporting
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Validation:
    """An epoch's end: held-out figures with beta = 1, in nats a sentence."""

    step: int
    epoch: int
    elbo: float
    distortion: float
    rate: float
    mi: float  # known posterior, empirical
    mi_ceiling: float
    active_units: int
    learning_rate: float
    best: bool
    collapsed: bool
    stopped: bool  # no further epoch follows
    seconds: float


Record = Step | Validation | Skipped


class Trainer:
    """A model, its critic and their optimizers, at some point of a run."""

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        torch.manual_seed(config.seed)
        self.config, self.corpus = config, corpus
        self.device = resolve_device(config.device)
        self.precision = reduced_precision(self.device, config.training.precision)
        self.model = build_model(config.model, corpus.tokenizer.size).to(self.device)
        if self.device.type == "cpu":  # elsewhere finding the rows costs more than it saves
            sparsify_embeddings(self.model)
        parameters = self.model.parameters()
        self.optimizers = {"model": build_optimizer(config.training.optimizer, parameters)}
        self.term: MutualInformationTerm | None = None
        if config.objective.mi_weight and config.model.latent_size:
            self.term = MutualInformationTerm(
                config.critic,
                self.model.features,
                config.model.latent_size,
                len(corpus["train"]),
            ).to(self.device)
            self.optimizers["critic"] = Adam(
                self.term.critic.parameters(), config.critic.learning_rate
            )
        self.sampler = BatchSampler(corpus["train"], config.training.batch_size, config.seed)
        self.state = TrainingState()

    @property
    def parameters(self) -> int:
        """The number of the model's weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def resume(self, run: RunDirectory) -> None:
        """Goes back to where the run's last checkpoint was saved."""
        last = RunDirectory(run.path, "last")
        self.state = last.load_training(self.model, self.term, self.optimizers)
        run.forget_metrics_after(self.state.step)

    def fit(self, run: RunDirectory) -> Iterator[Record]:
        """Trains to the end, keeping checkpoints and metrics in the run's directory.

        Raises:
            DivergedError: Too many batches in a row had no finite numbers, or the validation.
        """
        while not self.state.finished:
            for record in self._epoch(run):
                run.append_metrics({"kind": type(record).__name__.lower(), **asdict(record)})
                yield record

    def step(self, batch: Batch) -> Terms:
        """Makes one step of the critic's and the model's optimizers on a batch.

        A batch without finite numbers is passed over: the run's place moves on, and the random
        numbers drawn stay drawn, but neither the model's weights and moments nor the queue move.
        Of the critic, its moments and xi, what moved on finite numbers before stays: nothing
        where the critic's own loss or gradient gave the batch away (at one critic step a batch),
        one batch's worth where the bound or the model's loss or gradient did.

        Raises:
            BadBatch: The batch was passed over.
        """
        try:
            terms = self._attempt(batch)
        except BadBatch:
            for optimizer in self.optimizers.values():
                optimizer.zero_grad(set_to_none=True)
            self._advance(self.state.bad + 1)
            raise
        self._advance(0)
        return terms

    def _attempt(self, batch: Batch) -> Terms:
        """Moves the critic and the model on a batch, each on finite numbers alone."""
        self.model.train()
        batch = batch.to(self.device)
        epoch = self.state.epoch + self.state.position / len(self.sampler)
        with self.precision:
            encoding = self.model.encode(batch)
        posterior, features = encoding.posterior, encoding.features.detach()
        z = posterior.rsample()
        bound: Tensor | float = 0.0
        if self.term is not None:
            max_norm = self.config.training.max_norm
            self.term.ascend(features, z.detach(), self.optimizers["critic"], max_norm)
            bound = self.term.lower_bound(features, z)
        with self.precision:
            likelihood = self.model.log_likelihood(batch, z)
        terms = Terms(-likelihood, posterior.rates(), bound)
        loss = self.config.objective(terms, epoch)

        optimizer = self.optimizers["model"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = clip_gradients(self.model.parameters(), self.config.training.max_norm)
        # the rate is not part of a loss with beta = 0, but of what is reported; CUDA is waited
        # for here, once a step, and by the critic for its own step and for its bound
        finite({"the loss": loss, "the rate": terms.rates.sum(), "the gradient": norm})
        optimizer.step()
        if self.term is not None:
            self.term.push(features)
        return Terms(*(torch.as_tensor(term).detach() for term in terms))

    def _advance(self, bad: int) -> None:
        """Goes on to the next batch, after so many bad ones in a row."""
        self.state.step += 1
        self.state.position += 1
        self.state.bad = bad

    def _epoch(self, run: RunDirectory) -> Iterator[Record]:
        """Trains from the present position to the epoch's end and validates."""
        started = saved = time.monotonic()
        meter = _Meter()
        batches = self.sampler.batches(self.state.epoch, self.state.position)
        if self.device.type == "cuda":  # a CPU would only take time from itself
            batches = ahead(batch.pin() for batch in batches)
        for batch in batches:
            try:
                meter.add(self.step(batch), batch)
            except BadBatch as bad:
                skipped = self._skipped(batch, bad)
                yield skipped
                if self.state.bad >= self.config.training.max_bad_batches:
                    raise divergence(skipped, bad, self.config) from None
            if self.state.step % self.config.training.log_every:
                continue
            if meter.steps:
                yield self._progress(meter)
            meter = _Meter()
            if time.monotonic() - saved > 60 * self.config.training.save_minutes:
                self.state.seconds += time.monotonic() - started
                started = saved = time.monotonic()
                run.save("last", self.state, self.model, self.term, self.optimizers)
        self.state.epoch += 1
        self.state.position = 0
        validation = self._validate(started)
        if validation.best:
            run.save("best", self.state, self.model, self.term, self.optimizers)
        run.save("last", self.state, self.model, self.term, self.optimizers)
        yield validation

    def _skipped(self, batch: Batch, bad: BadBatch) -> Skipped:
        indices, lines = batch.indices, self.corpus["train"].lines
        assert indices is not None  # as the sampler gives them
        return Skipped(
            step=self.state.step,
            epoch=self.state.epoch + self.state.position / len(self.sampler),
            reason=bad.reason,
            lines=None if lines is None else tuple(lines[indices].tolist()),
            sentences=tuple(indices.tolist()),
        )

    def _progress(self, meter: "_Meter") -> Step:
        steps = len(self.sampler) * self.config.training.epochs - self.state.step
        distortion, rate, bound = meter.means()
        epoch = self.state.epoch + self.state.position / len(self.sampler)
        loss = float(
            self.config.objective(
                Terms(torch.tensor([distortion]), torch.tensor([[rate]]), bound), epoch
            )
        )
        return Step(
            step=self.state.step,
            epoch=epoch,
            loss=loss,
            distortion=distortion,
            rate=rate,
            mi_bound=bound if self.term is not None else None,
            tokens_per_second=meter.tokens_per_second,
            seconds_left=steps * meter.seconds_per_step,
        )

    def _validate(self, started: float) -> Validation:
        reading = read(self.model, self.corpus["valid"], self.config.seed)
        distortion, rate = float(reading.distortion.mean()), float(reading.rate.mean())
        elbo = -distortion - rate
        if not math.isfinite(elbo):
            raise DivergedError(
                f"training diverged in epoch {self.state.epoch}: the validation ELBO is {elbo}"
            )
        chosen = slice(VALIDATION_MI_SENTENCES)
        mi, ceiling = 0.0, 0.0
        if self.model.latent_size:
            densities = aggregated_posterior(reading.posterior[chosen], reading.z[chosen])
            mi = float(densities.empirical_terms.mean())
            ceiling = math.log(len(densities))

        settled = self.state.epoch >= min(
            self.config.objective.settled, self.config.training.epochs
        )
        rate_used = self.optimizers["model"].param_groups[0]["lr"]
        best = settled and elbo > self.state.best
        self._follow(elbo, settled, best)
        self.state.seconds += time.monotonic() - started
        return Validation(
            step=self.state.step,
            epoch=self.state.epoch,
            elbo=elbo,
            distortion=distortion,
            rate=rate,
            mi=mi,
            mi_ceiling=ceiling,
            active_units=active_units(reading.posterior.mean),
            learning_rate=rate_used,
            best=best,
            collapsed=bool(self.model.latent_size) and settled and mi < COLLAPSED,
            stopped=self.state.finished,
            seconds=self.state.seconds,
        )

    def _follow(self, elbo: float, settled: bool, best: bool) -> None:
        """Keeps the best, decays the learning rate on a plateau, and ends the training.

        While the objective still changes, nothing is best and nothing a plateau: its values do
        not compare with later ones.
        """
        training, state = self.config.training, self.state
        if best:
            state.best, state.best_epoch, state.worse = elbo, state.epoch, 0
        elif settled:
            state.worse += 1
        if state.worse >= training.patience:
            state.worse = 0
            state.decays += 1
            for group in self.optimizers["model"].param_groups:
                group["lr"] *= training.decay
        state.finished = state.epoch >= training.epochs or state.decays > training.max_decays


class _Meter:
    """Sums over steps; reads them off the device once."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.sums: Tensor | None = None
        self.steps = self.tokens = 0

    def add(self, terms: Terms, batch: Batch) -> None:
        values = torch.stack(
            [
                terms.distortion.mean(),
                terms.rates.sum(dim=-1).mean(),
                torch.as_tensor(terms.mutual_information).to(terms.rates.device),
            ]
        )
        self.sums = values if self.sums is None else self.sums + values
        self.steps += 1
        self.tokens += int(batch.lengths.sum()) + len(batch)

    def means(self) -> list[float]:
        assert self.sums is not None
        means: list[float] = (self.sums / self.steps).tolist()
        return means

    @property
    def seconds_per_step(self) -> float:
        return (time.monotonic() - self.started) / self.steps

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / (time.monotonic() - self.started)
