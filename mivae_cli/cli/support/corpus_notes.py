"""Sizes of a prepared corpus, and warnings about it, on stderr."""

__all__ = ["note_corpus"]

from ...data.corpus import locate_splits
from ...experiments.train_run import CorpusPrepared
from .console import note
from .text_input import note_rows


def note_corpus(prepared: CorpusPrepared) -> None:
    """Prints rows read, sentences, tokens and unknown words of each split."""
    data, corpus = prepared.config.data, prepared.corpus
    for warning in corpus.warnings:
        note(f"warning: {warning}")
    files = {} if data.train == "-" else locate_splits(data)
    for split, rows in corpus.rows.items():
        note_rows(files.get(split, "-"), rows)
    for split, summary in corpus.summaries.items():
        remarks = [f"{summary.sentences:,} sentences", f"{summary.tokens:,} tokens"]
        if summary.unknown:
            remarks.append(f"{summary.unknown_share:.1%} unknown")
        if summary.truncated:
            remarks.append(f"{summary.truncated:,} cut to {data.max_tokens} tokens")
        if summary.skipped:
            remarks.append(f"{summary.skipped:,} longer than {data.max_tokens} skipped")
        note(f"{split + ':':<7}{', '.join(remarks)}")
    for warning in prepared.warnings():
        note(f"warning: {warning}")
    kind, size = data.tokenizer.kind, corpus.tokenizer.size
    note(f"vocabulary: {size:,} ({kind}); prepared in {prepared.seconds:.1f} s")
