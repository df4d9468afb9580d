"""The training loop, as a generator: it computes, and whoever iterates decides what to show."""

__all__ = ["SaveFailed", "Skipped", "Step", "Trainer", "TrainingRecord", "Validation"]

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from ..choices import TrainedPart
from ..config.run import RunConfig
from ..data.batches import Batch, BatchSampler
from ..data.prefetch import prefetch
from ..data.prepared_corpus import Corpus
from ..devices import check_memory, release_memory, resolve_device
from ..errors import CheckpointError, ConfigError, DivergedError, StorageError
from ..evaluation.encode import Encoded, encode_split
from ..evaluation.validation import held_out_figures
from ..finite_checks import NonFiniteBatch
from ..models.vae import build_model
from ..objectives.objective import Terms
from ..objectives.rate_transforms import MinimumRate
from ..runs.checkpoint_writer import CheckpointWriter, check_space, tidy
from ..runs.directory import RunDirectory
from ..runs.training_state import TrainingState, load_training, snapshot
from ..signals import Interrupted, Interruption
from ..storage.metrics_log import Journal
from .collapse import has_collapsed
from .divergence import (
    batch_divergence,
    validation_divergence,
    with_advice,
    with_resume_command,
)
from .events import Meter, SaveFailed, Skipped, Step, TrainingRecord, Validation
from .optimizers import Adam, set_rates
from .train_step import Learner


class Trainer:
    """A model, its critic and their optimizers, at some point of a run."""

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        self.config, self.corpus = config, corpus
        self.device = resolve_device(config.device)
        with torch.device("meta"):  # which takes no memory
            weights = build_model(config.model, corpus.tokenizer.size).parameters()
        check_memory(sum(16 * weight.numel() for weight in weights), self.device)
        torch.manual_seed(config.seed)
        size, sentences = corpus.tokenizer.size, len(corpus["train"])
        self.learner = Learner(config, size, sentences, self.device)
        self.model, self.term = self.learner.model, self.learner.term
        self.optimizers = self.learner.optimizers
        self.sampler = BatchSampler(corpus["train"], config.training.batch_size, config.seed)
        self.state = TrainingState(batch_size=config.training.batch_size)
        self._part = self.sampler.epoch_part(self.state.epoch)
        self._kept = self.state.name  # the checkpoint on disk of this very state; none is needed
        self._journal: Journal | None = None
        self._run: RunDirectory | None = None
        self._meter = Meter()
        self._started = time.monotonic()
        self._factor = 1.0  # of the learning rates

    def read_from(self, corpus: Corpus) -> None:
        """Reads sentences from another copy of the same corpus from now on."""
        self.corpus = corpus
        self.sampler = BatchSampler(corpus["train"], self.sampler.batch_size, self.config.seed)

    @property
    def parameters(self) -> int:
        """The number of the model's weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def finished(self) -> bool:
        """Whether no epoch follows."""
        return self.state.finished(self.config.training)

    @property
    def checkpoint_bytes(self) -> int:
        """About the size of a checkpoint."""
        tensors: list[Tensor] = list(self.model.parameters())
        if self.term is not None:
            tensors += [*self.term.parameters(), *self.term.buffers()]
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return size * (3 if isinstance(self.optimizers["model"], Adam) else 1) + 2**16

    def resume(self, run: RunDirectory) -> list[str]:
        """Goes back to where the run's newest whole checkpoint was saved, or to the beginning.

        Returns:
            What was found damaged, and is gone without.

        Raises:
            CheckpointError: None of its checkpoints is whole.
            ConfigError: Another process is writing the run, it cannot be written, or the batch size
                cannot change at this checkpoint.
        """
        with run.writing():
            if not any(run.checkpoints.folders()):
                return [f"'{run.path}' was stopped before its first checkpoint"]
            found, trouble = run.checkpoints.newest()
            self.state = load_training(found.manifest, self.model, self.term, self.optimizers)
            try:
                run.checkpoints.check_best(found)
            except CheckpointError as error:  # else the end of training would find nothing to use
                trouble.append(f"{error}; the best from now on takes its place")
                self.state.best = None
            try:
                self._journal = Journal.resume(run.journal, found.journal)
            except CheckpointError as error:
                trouble.append(f"{error}; it is begun anew")
                run.set_journal_aside()
            if self.finished and not trouble:  # no save follows that would; what is damaged stays
                tidy(run, found, self.config.training.keep)
        self._resume_epoch(run.load_config().training.batch_size, found.manifest.folder)
        self._meter = Meter(self.state.window)
        self._kept = self.state.name
        return trouble

    def _resume_epoch(self, begun: int, folder: Path) -> None:
        """Has batches of the present size follow those of the epoch that are done.

        Arguments:
            begun: The batch size of the run so far.
            folder: The checkpoint's.
        """
        size, state = self.config.training.batch_size, self.state
        if state.batch_size is None and state.position and begun != size:
            raise ConfigError(
                f"'training.batch_size' cannot change from {begun} to {size} here: '{folder}' was "
                "saved within an epoch, by a mivae that did not note the batch size. Resume "
                "without --batch-size until the next checkpoint."
            )
        state.change_batch_size(size)
        try:
            self._part = self.sampler.epoch_part(state.epoch, state.earlier)
            place = state.position - self._part.before
        except ValueError:
            place = -1
        if not 0 <= place <= self._part.batches:
            raise CheckpointError(f"'{folder}' is of another corpus")

    def fit(
        self, run: RunDirectory, interruption: Interruption | None = None
    ) -> Generator[TrainingRecord, None, None]:
        """Trains to the end, keeping checkpoints and metrics in the run's directory.

        Arguments:
            run: Where; this trainer's own, fresh or resumed.
            interruption: Tells when to stop; what is there then has been saved.

        Raises:
            DivergedError: Too many batches in a row had no finite numbers, or the validation.
            Interrupted: A signal asked to stop.
            StorageError: At the end, the last checkpoint is not on disk; or another run has been
                begun in the place of this one.
            ConfigError: There is no room for checkpoints, the run cannot be written, or another
                process writes it.
        """
        training = self.config.training
        interruption = interruption or Interruption()
        with run.writing():
            check_space(run, self.checkpoint_bytes, training.keep)
            keeper = CheckpointWriter(run, training.keep, training.save_minutes)
            self._run = run
            self._journal = self._journal or Journal(run.journal)
            try:
                while not self.finished:
                    yield from self._epoch(keeper, interruption)
            except DivergedError as error:
                raise with_resume_command(error, run) from error
            except Interrupted:
                if self._kept != self.state.name:
                    yield from self._save(keeper)
                if keeper.trouble is None:
                    raise
            if keeper.trouble is not None:
                raise StorageError(
                    f"step {self.state.step} could not be saved to '{run.path}': {keeper.trouble}; "
                    "what was saved before is whole: when the disk is well again, go on with "
                    f"mivae train --resume --out {run.path}"
                )

    def step(self, batch: Batch) -> tuple[Terms, float]:
        """Makes one step of the critic's and the model's optimizers on a batch.

        A batch without finite numbers is passed over: the run's place moves on, and the random
        numbers drawn stay drawn, but neither the model's weights, moving averages and moments
        nor the queue move. Of the critic, its moments and xi, what moved on finite numbers before
        stays: nothing where the critic's own loss or gradient gave the batch away (at one critic
        step a batch), one batch's worth where the bound or the model's loss or gradient did. Where
        the step was replayed (`recording`) all of these stay too.

        Raises:
            NonFiniteBatch: The batch was passed over.
        """
        self._set_learning_rate()
        state, buffers = self.state, [buffer.clone() for buffer in self.model.buffers()]
        lagging = self._lagging
        try:
            if lagging:
                self._catch_up(batch)
            side: TrainedPart = "decoder" if lagging else "both"
            terms, loss = self.learner.step(batch, self.epoch, state.multiplier, side)
        except NonFiniteBatch:
            self.learner.forget()
            for buffer, before in zip(self.model.buffers(), buffers, strict=True):
                buffer.copy_(before)
            self._advance(state.bad + 1)
            raise
        if isinstance(rate := self.config.objective.rate, MinimumRate):
            mean = float(terms.rates.sum(dim=-1).mean())
            state.multiplier = rate.moved(state.multiplier, mean)
        self._advance(0)
        return terms, loss

    @property
    def done(self) -> float:
        """Epochs that are done, in fractions."""
        return self.state.epoch + self._part.fraction_done(self.state.position)

    @property
    def steps_left(self) -> int:
        """The steps that follow if training does not stop early."""
        state, part = self.state, self._part
        epochs = self.config.training.epochs - state.epoch - 1
        return max(0, part.before + part.batches - state.position + epochs * len(self.sampler))

    @property
    def epoch(self) -> float:
        """Epochs of the objective that are done, in fractions; below zero it is not yet used."""
        return self.done - self.config.training.autoencoder_epochs

    @property
    def _lagging(self) -> bool:
        """Whether the encoder makes steps of its own before each step of the decoder."""
        return bool(self.config.training.encoder_steps and self.state.lagging and self.epoch >= 0)

    def _catch_up(self, batch: Batch) -> None:
        """Has the encoder learn alone, on this batch and others, until its loss falls no more.

        The rule is that of He et al. (2019): after every few steps their mean loss a token is
        held against that of the steps before.
        """
        training, before, total, tokens = self.config.training, math.inf, 0.0, 0
        for step in range(1, training.encoder_steps + 1):
            _, loss = self.learner.step(batch, self.epoch, self.state.multiplier, "encoder")
            self.state.encoder_steps += 1
            total += loss * len(batch)
            tokens += int(batch.lengths.sum()) + len(batch)
            if step % training.encoder_check == 0:
                if total / tokens > before:
                    return
                before, total, tokens = total / tokens, 0.0, 0
            place = int(torch.randint(len(self.sampler), ()))
            batch = next(self.sampler.batches(self.state.epoch, place))

    def _advance(self, bad: int) -> None:
        """Goes on to the next batch, after so many bad ones in a row."""
        self.state.step += 1
        self.state.position += 1
        self.state.bad = bad

    def _epoch(
        self, keeper: CheckpointWriter, interruption: Interruption
    ) -> Iterator[TrainingRecord]:
        """Trains from the present position to the epoch's end and validates."""
        self._started = time.monotonic()
        training = self.config.training
        # not by `self.epoch`, which is 0 as well where only the last validation is still to come
        first = (self.state.epoch, self.state.position) == (training.autoencoder_epochs, 0)
        if first and training.reset_decoder and training.autoencoder_epochs:
            self.learner.reset_decoder()
        state = self.state
        batches = self.sampler.batches(state.epoch, state.position, state.earlier)
        if self.device.type == "cuda":  # a CPU would only take time from itself
            batches = prefetch(batch.pin() for batch in batches)
        interruption.check()
        for batch in batches:
            try:
                self._meter.add(*self.step(batch), batch)
            except NonFiniteBatch as bad:
                skipped = self._skipped(batch, bad)
                yield self._noted(skipped)
                if self.state.bad >= self.config.training.max_bad_batches:
                    raise batch_divergence(skipped, bad, self.config) from None
            if self.state.step % self.config.training.log_every == 0:
                if self._meter.steps:
                    yield self._noted(self._progress())
                self._meter = Meter()
            if keeper.due:
                yield from self._save(keeper)
            interruption.check()
        with interruption.breakable():
            reading = encode_split(self.model, self.corpus["valid"], self.config.seed)
        steps = state.position
        state.epoch += 1
        state.position, state.earlier = 0, ()
        self._part = self.sampler.epoch_part(state.epoch)
        self._meter = Meter()
        validation = self._noted(
            self._validation(reading, steps)
        )  # before the save, which is to know it
        yield from self._save(keeper)
        yield validation

    def _save(self, keeper: CheckpointWriter) -> Iterator[TrainingRecord]:
        """Saves the present state; where that fails, a record says so and training goes on."""
        assert self._journal is not None
        self._check_place()
        self._count_seconds()
        self.state.window = self._meter.window()
        self._journal.flush()
        entry = self._journal.entry
        try:
            taken = snapshot(self.state, self.model, self.term, self.optimizers, entry)
        except DivergedError as error:
            raise with_advice(error, self.config) from error
        saved = keeper.save(taken)
        release_memory()
        if saved:
            self._kept = taken.name
        else:
            yield self._noted(SaveFailed(self.state.step, str(keeper.trouble)))

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self._started
        self._started = now

    def _check_place(self) -> None:
        """Raises StorageError where what is written would go into another run."""
        if self._run is not None and self._run.is_replaced():
            raise StorageError(
                f"'{self._run.path}' is another run by now: this one was deleted while it trained; "
                "to train it again, choose another place with --out"
            )

    def _noted(self, record: TrainingRecord) -> TrainingRecord:
        """Puts a record into the journal."""
        assert self._journal is not None
        self._check_place()
        self._journal.append({"kind": type(record).__name__.lower(), **asdict(record)})
        return record

    def _skipped(self, batch: Batch, bad: NonFiniteBatch) -> Skipped:
        indices, lines = batch.indices, self.corpus["train"].lines
        assert indices is not None  # as the sampler gives them
        return Skipped(
            step=self.state.step,
            epoch=self.done,
            reason=bad.reason,
            lines=None if lines is None else tuple(lines[indices].tolist()),
            sentences=tuple(indices.tolist()),
        )

    def _progress(self) -> Step:
        meter = self._meter
        loss, distortion, rate, bound = meter.means()
        return Step(
            step=self.state.step,
            epoch=self.done,
            loss=loss,
            distortion=distortion,
            rate=rate,
            mi_bound=bound if self.term is not None else None,
            tokens_per_second=meter.tokens_per_second,
            seconds_left=self.steps_left * meter.seconds_per_step,
        )

    def _validation(self, reading: Encoded, steps: int) -> Validation:
        """Returns what a pass over the validation split tells, and follows it.

        Arguments:
            reading: The pass.
            steps: The steps of the epoch that it follows.
        """
        found = held_out_figures(self.model, reading, self.config.objective)
        if not (math.isfinite(found.elbo) and math.isfinite(found.loss)):
            raise validation_divergence(self.state.epoch, found, self.config)
        training = self.config.training
        settled = self.state.epoch >= min(
            self.config.objective.settled + training.autoencoder_epochs, training.epochs
        )
        self._set_learning_rate()  # before it follows: the rate that this epoch came to
        rate_used = self.optimizers["model"].param_groups[0]["initial_lr"] * self._factor
        best = settled and (self.state.best is None or -found.loss > self.state.best)
        self._follow(-found.loss, settled, best)
        extra = self.state.encoder_steps / steps
        if self._lagging:
            self.state.lagging = found.mi >= self.state.lagging_mi
            self.state.lagging_mi = found.mi
        self.state.encoder_steps = 0
        collapsed = bool(self.model.latent_size) and has_collapsed(
            found.mi,
            self.state.peak_mi,
            self.config.objective,
            self.epoch,
            self.state.step,
            last=self.finished,
        )
        self.state.peak_mi = max(self.state.peak_mi, found.mi)
        self._count_seconds()
        return Validation(
            step=self.state.step,
            epoch=self.state.epoch,
            **asdict(found),
            learning_rate=rate_used,
            best=best,
            collapsed=collapsed,
            stopped=self.finished,
            seconds=self.state.seconds,
            encoder_steps=extra,
        )

    def _follow(self, value: float, settled: bool, best: bool) -> None:
        """Keeps the best, decays the learning rate on a plateau, and ends the training.

        While the objective still changes, nothing is best and nothing a plateau: its values do
        not compare with later ones.
        """
        training, state = self.config.training, self.state
        if best:
            state.best, state.best_epoch, state.worse = value, state.epoch, 0
        elif settled:
            state.worse += 1
        if state.worse >= training.patience:
            state.worse = 0
            state.decays += 1

    def _set_learning_rate(self) -> None:
        """Gives the model's optimizers the rates that are due at this place."""
        training = self.config.training
        factor = training.decay**self.state.decays
        if training.cooldown_epochs:
            factor *= min(1.0, (training.epochs - self.done) / training.cooldown_epochs)
        if factor != self._factor:
            set_rates(self.learner.model_optimizers.values(), factor)
            self._factor = factor
