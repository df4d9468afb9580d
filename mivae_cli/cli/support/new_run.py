"""From a configuration to a run that is ready to train."""

__all__ = ["RUNS", "begin", "fresh_place", "prepare", "resumed"]

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from ...config.resolve import check_resumable, differences
from ...config.run import RunConfig
from ...data.corpus import locate_splits
from ...data.prepared_corpus import Corpus, prepare_corpus
from ...devices import tune_cpu
from ...errors import ConfigError
from ...experiments.status import with_own_paths
from ...runs.checkpoint_writer import check_space
from ...runs.create import create_run
from ...runs.directory import RunDirectory
from ...runs.latest import newest_interrupted
from ...training.trainer import Trainer
from .console import note
from .text_input import note_rows

RUNS = Path("runs")
MANY_UNKNOWN = 0.2
FEW_WORDS = 2.0  # a sentence, on average


def prepare(config: RunConfig) -> Corpus:
    """Prepares the corpus and says what came of it."""
    tune_cpu()
    started = time.monotonic()
    corpus = prepare_corpus(config.data)
    for warning in corpus.warnings:
        note(f"warning: {warning}")
    piped = config.data.train == "-"
    files = {} if piped else locate_splits(config.data)
    for split, rows in corpus.rows.items():
        note_rows(files.get(split, "-"), rows)
    for split, summary in corpus.summaries.items():
        remarks = [f"{summary.sentences:,} sentences", f"{summary.tokens:,} tokens"]
        if summary.unknown:
            remarks.append(f"{summary.unknown_share:.1%} unknown")
        if summary.truncated:
            remarks.append(f"{summary.truncated:,} cut to {config.data.max_tokens} tokens")
        if summary.skipped:
            remarks.append(f"{summary.skipped:,} longer than {config.data.max_tokens} left out")
        note(f"{split + ':':<7}{', '.join(remarks)}")
        if corpus.tokenizer.by_word and summary.tokens < FEW_WORDS * summary.sentences:
            note(
                f"warning: the sentences of {split} have fewer than two words on average; for text "
                "written without spaces, such as Chinese, Japanese or Thai, use --tokenizer bpe"
            )
        elif summary.unknown_share > MANY_UNKNOWN:
            note(
                f"warning: {summary.unknown_share:.0%} of the words of {split} are not in the "
                "vocabulary; a larger one, a lower data.tokenizer.min_count or --tokenizer bpe "
                "keeps more"
            )
    kind = config.data.tokenizer.kind
    seconds = time.monotonic() - started
    note(f"vocabulary: {corpus.tokenizer.size:,} ({kind}); prepared in {seconds:.1f} s")
    return corpus


def begin(
    config: RunConfig, corpus: Corpus, out: Path | None, overwrite: bool
) -> tuple[RunDirectory, Trainer]:
    """Makes the directory of a new run and its trainer."""
    trainer = Trainer(config, corpus)  # first, so that a device that is not there leaves no run
    place = out or fresh_place(config, "{corpus}-{name}")
    # before a run that is there is gone; what it takes is room
    size, keep = trainer.checkpoint_bytes, config.training.keep
    check_space(RunDirectory(place), size, keep, corpus.disk_bytes)
    run = create_run(place, config, corpus, overwrite)
    trainer.read_from(
        run.open_corpus()
    )  # its own copy: what happens to the cache does not concern it
    return run, trainer


def resumed(
    out: Path | None, settings: Callable[[RunConfig], RunConfig]
) -> tuple[RunDirectory, Trainer]:
    """Opens a run that was interrupted, at its last checkpoint.

    Arguments:
        out: The run; by default the newest interrupted one.
        settings: Lays what the command line says over the run's own settings.

    Raises:
        ConfigError: The settings asked for make another run than the one that was begun.
    """
    if out is None:
        newest = newest_interrupted(RUNS)
        run = newest.run
        note(f"run: {run.path} ({newest.reason})")
    else:
        run = RunDirectory.open(out)
    begun = run.load_config()
    config = with_own_paths(run, settings(begun))
    try:
        check_resumable(begun, config)
    except ConfigError as error:
        raise ConfigError(f"'{run.path}' cannot be resumed: {error}") from error
    tune_cpu()
    if any(run.checkpoints.folders()):
        run.check_network(config)
    trainer = Trainer(config, run.open_corpus())
    for problem in trainer.resume(run):
        note(f"warning: {problem}")
    if changed := differences(begun, config):
        run.update_config(config)
        note(f"changed: {'; '.join(changed.values())}")
    state = trainer.state
    done = f"epoch {state.epoch}" + (f" and {state.position:,} batches" if state.position else "")
    note(f"resuming {run.path} after {done}, step {state.step:,}")
    return run, trainer


def fresh_place(config: RunConfig, form: str) -> Path:
    """Returns the first of runs/FORM-1, -2, ... that is not there.

    Arguments:
        config: Where the names of the corpus and of the run are from.
        form: What becomes of them, such as `{corpus}-{name}`.
    """
    source = config.data.train.rstrip("/")
    corpus = "stdin" if source == "-" else Path(source).name.partition(".")[0]
    stem = re.sub(r"[^\w.+-]+", "-", form.format(corpus=corpus, name=config.name))
    number = 1
    while os.path.lexists(path := RUNS / f"{stem}-{number}"):
        number += 1
    return path
