"""Evaluation of a run's checkpoint: one function for every command."""

__all__ = ["evaluate_run"]

from collections.abc import Callable
from dataclasses import replace

from ..config.run import EvaluationConfig
from ..data.token_store import TokenStore
from ..evaluation.evaluate import CheckpointName, Evaluation, evaluate
from ..models.vae import VAE
from ..runs.directory import RunDirectory
from ..stages import Stage


def evaluate_run(
    run: RunDirectory,
    model: VAE,
    store: TokenStore | None = None,
    protocol: EvaluationConfig | None = None,
    watch: Callable[[Stage], None] | None = None,
) -> Evaluation:
    """Returns the evaluation record of a run's checkpoint.

    All commands evaluate through this function, so that the same checkpoint, sentences, protocol
    and device give the same record, to the last digit.

    Arguments:
        run: The run, opened at the checkpoint.
        model: The checkpoint's model.
        store: The sentences to report on; by default the run's test split.
        protocol: Samples and seed; by default the run's own.
        watch: Is told how far it has come.
    """
    corpus, checkpoint = run.open_corpus(), run.find_checkpoint()
    protocol = protocol or run.load_config().evaluation
    record = evaluate(
        model,
        corpus["test"] if store is None else store,
        (corpus["train"], corpus["valid"]),
        protocol.iw_samples,
        protocol.seed,
        corpus.tokenizer,
        watch,
    )
    return replace(record, checkpoint=CheckpointName(checkpoint.name, checkpoint.step))
