"""The training loop: a generator of records, which the caller displays or collects."""

__all__ = ["Trainer"]

import math
import time
from collections.abc import Generator, Iterator

import torch

from ..choices import TrainedPart
from ..config.run import RunConfig
from ..data.batches import Batch, BatchSampler, prefetch
from ..data.prepared_corpus import Corpus
from ..devices import check_memory, release_memory, resolve_device
from ..errors import DivergedError
from ..evaluation.encode import encode_split
from ..evaluation.validation import SENTENCES, held_out_figures
from ..finite_checks import NonFiniteBatch
from ..mi_terms.dual import MutualInformationTerm
from ..models.vae import build_model
from ..objectives.objective import Terms
from ..objectives.rate_transforms import MinimumRate
from ..runs.checkpoint_writer import check_space
from ..runs.directory import RunDirectory
from ..runs.training_state import TrainingState, snapshot
from ..signals import Interrupted, Interruption
from ..storage.metrics_log import MetricsLog
from .divergence import batch_divergence, validation_divergence, with_advice, with_resume_command
from .epoch_end import finish_epoch, learning_rate_factor
from .events import Meter, SaveFailed, Skipped, TrainingRecord
from .resume import load_newest
from .run_writer import RunWriter
from .train_step import Learner, train_encoder


class Trainer:
    """Trains a model on a corpus, from the start or from a checkpoint."""

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        self.config, self.corpus = config, corpus
        self.device = resolve_device(config.device)
        with torch.device("meta"):  # allocates no memory
            weights = build_model(config.model, corpus.tokenizer.size).parameters()
        check_memory(sum(16 * weight.numel() for weight in weights), self.device)
        torch.manual_seed(config.seed)
        self.learner = Learner(config, corpus.tokenizer.size, len(corpus["train"]), self.device)
        self.model, self.term = self.learner.model, self.learner.term
        self.optimizers = self.learner.optimizers
        self.sampler = BatchSampler(corpus["train"], config.training.batch_size, config.seed)
        self.state = TrainingState(batch_size=config.training.batch_size)
        self._part = self.sampler.epoch_part(self.state.epoch)
        self._saved = self.state.name  # the newest checkpoint; the initial state needs none
        self._journal: MetricsLog | None = None
        self._meter = Meter()
        self._started = time.monotonic()

    def read_from(self, corpus: Corpus) -> None:
        """Switches to another copy of the same corpus."""
        self.corpus = corpus
        self.sampler = BatchSampler(corpus["train"], self.sampler.batch_size, self.config.seed)

    @property
    def parameters(self) -> int:
        """The number of weights of the model."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def finished(self) -> bool:
        """Whether training has ended: no epoch follows."""
        return self.state.finished(self.config.training)

    @property
    def checkpoint_bytes(self) -> int:
        """The approximate size of a checkpoint."""
        return self.learner.checkpoint_bytes

    @property
    def done(self) -> float:
        """Finished epochs, including the fraction of the current one."""
        return self.state.epoch + self._part.fraction_done(self.state.position)

    @property
    def steps_left(self) -> int:
        """The number of steps that remain if training does not stop early."""
        state, part = self.state, self._part
        epochs = self.config.training.epochs - state.epoch - 1
        return max(0, part.before + part.batches - state.position + epochs * len(self.sampler))

    @property
    def epoch(self) -> float:
        """Finished epochs with the objective; negative during the autoencoder epochs."""
        return self.done - self.config.training.autoencoder_epochs

    def resume(self, run: RunDirectory) -> list[str]:
        """Restores the newest intact checkpoint, if any; returns warnings about damaged files.

        Raises:
            CheckpointError: No checkpoint is intact.
            ConfigError: Another process is writing the run, the run is not writable, or the batch
                size cannot change at this checkpoint.
        """
        with run.writing():
            if not any(run.checkpoints.folders()):
                return [f"'{run.path}' has no checkpoint yet: training starts from the beginning"]
            self.state, self._part, self._journal, warnings = load_newest(
                run, self.learner, self.sampler, self.config.training
            )
        self._meter = Meter(self.state.window)
        self._saved = self.state.name
        return warnings

    def fit(
        self, run: RunDirectory, interruption: Interruption | None = None
    ) -> Generator[TrainingRecord, None, None]:
        """Trains to the end, and writes metrics and checkpoints to the run directory.

        Arguments:
            run: The run of this trainer, new or resumed.
            interruption: Signals that stop training; the current state is saved first.

        Raises:
            DivergedError: Too many batches in a row, or a validation, had non-finite figures.
            Interrupted: A signal asked to stop.
            StorageError: The last checkpoint could not be saved, or another run has replaced this
                one.
            ConfigError: The disk has too little space, the run is not writable, or another
                process is writing it.
        """
        training = self.config.training
        interruption = interruption or Interruption()
        with run.writing():
            check_space(run.path, self.checkpoint_bytes, training.keep)
            self._journal = self._journal or MetricsLog(run.metrics_path)
            writer = RunWriter(run, self._journal, training)
            try:
                while not self.finished:
                    yield from self._epoch(writer, interruption)
            except DivergedError as error:
                raise with_resume_command(error, run) from error
            except Interrupted:
                if self._saved != self.state.name:
                    yield from self._save(writer)
                if writer.problem is None:
                    raise
            writer.check_saved(self.state.step)

    def step(self, batch: Batch) -> tuple[Terms, float]:
        """Makes one step of the critic and of the model; returns the terms and the loss in nats.

        A batch that fails a check is skipped: position and random state advance, but the model's
        weights, running averages and moments, and the queue, do not change. The critic, its
        moments and xi keep steps that passed their own checks; a replayed step (`cuda_graphs`)
        restores these as well.

        Raises:
            NonFiniteBatch: The batch was skipped.
        """
        self._set_learning_rate()
        state, training = self.state, self.config.training
        buffers = [buffer.clone() for buffer in self.model.buffers()]
        lagging = bool(training.encoder_steps and state.lagging and self.epoch >= 0)
        try:
            if lagging:
                limits = training.encoder_steps, training.encoder_check
                train_encoder(self._encoder_step, batch, self._random_batch, *limits)
            moved: TrainedPart = "decoder" if lagging else "both"
            terms, loss = self.learner.step(batch, self.epoch, state.multiplier, moved)
        except NonFiniteBatch:
            self.learner.clear_gradients()
            for buffer, before in zip(self.model.buffers(), buffers, strict=True):
                buffer.copy_(before)
            self._advance(state.skipped_batches + 1)
            raise
        if isinstance(rate := self.config.objective.rate, MinimumRate):
            mean = float(terms.rates.sum(dim=-1).mean())
            state.multiplier = rate.moved(state.multiplier, mean)
        self._advance(bad=0)
        return terms, loss

    @property
    def _multiplier(self) -> float | None:
        """The Lagrange multiplier, if the objective constrains the rate."""
        constrained = isinstance(self.config.objective.rate, MinimumRate)
        return self.state.multiplier if constrained else None

    def _encoder_step(self, batch: Batch) -> float:
        """Makes one step of the encoder alone; returns the loss in nats per sentence."""
        _, loss = self.learner.step(batch, self.epoch, self.state.multiplier, "encoder")
        self.state.encoder_steps += 1
        return loss

    def _random_batch(self) -> Batch:
        place = int(torch.randint(len(self.sampler), ()))
        return next(self.sampler.batches(self.state.epoch, place))

    def _advance(self, bad: int) -> None:
        """Moves to the next batch; `bad` counts the skipped batches in a row."""
        self.state.step += 1
        self.state.position += 1
        self.state.skipped_batches = bad

    def _set_learning_rate(self) -> None:
        factor = learning_rate_factor(self.config.training, self.state.decays, self.done)
        self.learner.set_learning_rate(factor)

    def _epoch(self, writer: RunWriter, interruption: Interruption) -> Iterator[TrainingRecord]:
        """Trains from the current position to the end of the epoch, and validates."""
        self._started = time.monotonic()
        training, state = self.config.training, self.state
        # `self.epoch` is also 0 if only the validation of the previous epoch remains
        first = (state.epoch, state.position) == (training.autoencoder_epochs, 0)
        if first and training.reset_decoder and training.autoencoder_epochs:
            self.learner.reset_decoder()
        batches = self.sampler.batches(state.epoch, state.position, state.earlier)
        if self.device.type == "cuda":  # on a CPU this would slow down the training itself
            batches = prefetch(batch.pin() for batch in batches)
        interruption.check()
        for batch in batches:
            try:
                self._meter.add(*self.step(batch), batch)
            except NonFiniteBatch as bad:
                skipped = self._skipped(batch, bad)
                yield writer.append(skipped)
                if state.skipped_batches >= training.max_bad_batches:
                    raise batch_divergence(skipped, bad, self.config) from None
            if state.step % training.log_every == 0:
                if self._meter.steps:
                    place = state.step, self.done, self.steps_left
                    yield writer.append(self._meter.means(*place, self.term, self._multiplier))
                self._meter = Meter()
            if writer.due:
                yield from self._save(writer)
            interruption.check()
        yield from self._validate(writer, interruption)

    def _validate(self, writer: RunWriter, interruption: Interruption) -> Iterator[TrainingRecord]:
        """Ends the epoch: evaluates the validation split, updates the schedules, and saves."""
        state, steps = self.state, self.state.position
        with interruption.breakable():
            # features are the input of a critic
            featured = SENTENCES if isinstance(self.term, MutualInformationTerm) else 0
            encoded = encode_split(self.model, self.corpus["valid"], self.config.seed, featured)
        state.epoch += 1
        state.position, state.earlier = 0, ()
        self._part = self.sampler.epoch_part(state.epoch)
        self._meter = Meter()
        found = held_out_figures(self.model, encoded, self.config.objective, self.term)
        if not (math.isfinite(found.elbo) and math.isfinite(found.loss)):
            raise validation_divergence(state.epoch, found, self.config)
        self._set_learning_rate()  # before the plateau rule: the rate at the end of this epoch
        self._count_seconds()
        rate, device = self.learner.learning_rate, str(self.device)
        validation = finish_epoch(state, found, self.config, rate, steps, device)
        writer.append(validation)  # before the save, so that the checkpoint covers the record
        yield from self._save(writer)
        yield validation

    def _save(self, writer: RunWriter) -> Iterator[TrainingRecord]:
        """Saves the current state; if that fails, yields a record and training continues."""
        entry = writer.journal_entry()
        self._count_seconds()
        self.state.window = self._meter.window()
        try:
            taken = snapshot(self.state, self.model, self.term, self.optimizers, entry)
        except DivergedError as error:
            raise with_advice(error, self.config) from error
        saved = writer.save(taken)
        release_memory()
        if saved:
            self._saved = taken.name
        else:
            yield writer.append(SaveFailed(self.state.step, str(writer.problem)))

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self._started
        self._started = now

    def _skipped(self, batch: Batch, bad: NonFiniteBatch) -> Skipped:
        indices, lines = batch.indices, self.corpus["train"].lines
        assert indices is not None  # the sampler always sets them
        return Skipped(
            step=self.state.step,
            epoch=self.done,
            reason=bad.reason,
            lines=None if lines is None else tuple(lines[indices].tolist()),
            sentences=tuple(indices.tolist()),
            files=self.corpus.files_of("train", indices),
        )
