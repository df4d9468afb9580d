"""Evaluation of a run's checkpoint, by the same function for every command and the API."""

__all__ = ["EvaluatedRun", "evaluate_run"]

from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..config.run import EvaluationConfig
from ..data.token_store import TokenStore
from ..errors import MivaeError
from ..evaluation.evaluate import CheckpointName, Evaluation, evaluate_sentences
from ..evaluation.records import EvaluationRecords
from ..evaluation.sentence_values import SentenceValues, file_of
from ..generation.evaluate_text import Plan, evaluate_text
from ..runs.directory import RunDirectory
from ..runs.loading import LoadedCheckpoint, default_device, load_checkpoint, load_language_model
from ..signals import Interruption
from ..stages import Stage, interruptible


@dataclass(frozen=True)
class EvaluatedRun:
    """The evaluation of a run's checkpoint, and the records now stored for that checkpoint."""

    checkpoint: LoadedCheckpoint
    record: Evaluation
    sentences: SentenceValues  # figures of each sentence
    stored: EvaluationRecords | None = None  # None: the record was not stored
    store_error: MivaeError | None = None  # why storing failed

    def table(self) -> dict[str, Any]:
        """Returns the record in JSON form, with a text evaluation that was stored earlier."""
        table, record = asdict(self.record), self.record
        if record.full is None and self.stored is not None:
            same_protocol = self.stored.exactly(record.iw_samples, record.seed)
            table["full"] = (same_protocol or {}).get("full")
        return table


def evaluate_run(
    run: RunDirectory,
    *,
    device: str | None = None,
    sentences: TokenStore | None = None,
    protocol: EvaluationConfig | None = None,
    full: Plan | None = None,
    lm: RunDirectory | None = None,
    store: bool = False,
    interruption: Interruption | None = None,
) -> Generator[Stage, None, EvaluatedRun]:
    """Loads a run's checkpoint, yields the stages of its evaluation, and returns its record.

    The same checkpoint, sentences, protocol and device give the same record, to the last digit.

    Arguments:
        run: The run, opened at the checkpoint to evaluate: `best` by default.
        device: Where to compute; by default where the run was trained, if this machine has it.
        sentences: The held-out sentences; by default the run's test split.
        protocol: Number of importance samples, and seed; by default the run's settings.
        full: Sizes of a text evaluation; by default there is none.
        lm: The language model that scores samples in the text evaluation; by default a new one.
        store: Whether to add a record of `best` on the test split to eval.json. A failure is
            returned, not raised, so that the record is not lost.
        interruption: Signals that stop the evaluation at once.

    Raises:
        CheckpointError: The checkpoint cannot be read, or the language model does not match the run.
        ConfigError: The device does not exist, the protocol is out of range, or sacrebleu is
            missing.
        DivergedError: Training of a reference language model diverged.
        StorageError: There is no room for a reference language model.
        Interrupted: A signal arrived.
    """

    def work() -> Generator[Stage, None, EvaluatedRun]:
        config, corpus = run.load_config(), run.open_corpus()
        where = device or default_device(config)
        loaded = load_checkpoint(run, where)
        model, checkpoint = loaded.model, loaded.run.find_checkpoint()
        forward_lm = None
        if lm is not None:
            forward_lm = f"the run {lm.path}", load_language_model(lm, run, where).model
        sizes, tokenizer = protocol or config.evaluation, corpus.tokenizer
        tested = corpus["test"] if sentences is None else sentences
        fitting = corpus["train"], corpus["valid"]
        record, values = yield from evaluate_sentences(
            model, tested, fitting, sizes.iw_samples, sizes.seed, tokenizer
        )
        record = replace(record, checkpoint=CheckpointName(checkpoint.name, checkpoint.step))
        if full is not None:
            longest = config.data.max_tokens
            text = evaluate_text(model, corpus, tested, longest, sizes.seed, full, forward_lm)
            record = replace(record, full=(yield from text))
        return EvaluatedRun(loaded, record, values)

    evaluated = yield from interruptible(work(), interruption or Interruption())
    if not store or sentences is not None or run.name != "best":
        return evaluated
    record, values = evaluated.record, evaluated.sentences
    content = values.content() if values.finite else None
    if content is not None and record.checkpoint is not None:
        record = replace(record, sentence_values=file_of(content, record.checkpoint.name))
    try:
        records = run.write_evaluation(asdict(record), content)
    except MivaeError as error:
        return replace(evaluated, store_error=error)
    name = record.checkpoint and record.checkpoint.name
    return replace(evaluated, record=record, stored=records.about(name))
