r"""The sizes and repetitions of `speed.py`, and the FLOP count of a training step.

Tokens are predicted tokens, including the end of each sentence but not padding. The matrix
products of a training step are counted as

.. math:: 3 \cdot 2 \cdot \big(4 H (E + H) + 4 H (E + Z + H) + H V\big)

FLOP per token (encoder, decoder, output layer; the backward pass costs twice the forward pass), for
E embedding, H hidden, Z latent units and V words. Other work, on padding or for the
mutual-information term, is not counted and lowers the fraction of the peak.
"""

__all__ = ["QUICK", "Plan", "embedding_size", "ratio", "training_flops"]

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from generated import corpus_of, write_store
from mivae_cli.config.data import DataConfig
from mivae_cli.config.run import RunConfig
from mivae_cli.data.prepared_corpus import Corpus, prepare_corpus

if TYPE_CHECKING:  # keeps torch out of the process that starts the parts
    import torch


@dataclass(frozen=True)
class Plan:
    """Sizes and repetitions of the measurements."""

    device_name: str = "cpu"
    text: str = ""  # a file to train on; if empty, sentences are generated
    sizes: tuple[int, ...] = (256, 1024)  # hidden units H
    products: tuple[int, ...] = (
        512,
        1024,
        2048,
    )  # sizes of the square matrices that measure the peak
    vocabulary: int = 10_000
    latent_units: int = 32
    batch_size: int = 32
    dropout: float = 0.5
    learning_rate: float = 1e-3
    max_norm: float = 5.0
    sentences: int = 20_000
    steps: int = 6  # per block
    repeats: int = 5  # blocks per program
    iw_samples: int = 500
    iw_sentences: int = 16
    iw_plain_sentences: int = 4
    drawn: int = 1_000
    drawn_alone: int = 50
    max_tokens: int = 25
    mi_sentences: int = 10_000
    megabytes: float = 50.0
    types: int = 100_000  # distinct words of the text
    launches: int = 5
    stores: tuple[int, ...] = (10_000, 1_000_000)
    rounds: int = 3  # per store

    @property
    def device(self) -> "torch.device":
        """The device of the models."""
        import torch

        return torch.device(self.device_name)

    def run(self, size: int, mi_weight: float = 0.0) -> RunConfig:
        """Returns the configuration of a model with `size` hidden units."""
        layers = {"embedding_size": embedding_size(size), "hidden_size": size}
        optimizer = {"kind": "adam", "learning_rate": self.learning_rate}
        return RunConfig.model_validate(
            {
                "device": self.device_name,
                "model": {
                    "latent_size": self.latent_units,
                    "encoder": {**layers, "pooling": "last"},
                    "decoder": {**layers, "dropout": self.dropout},
                },
                "objective": {"mi_weight": mi_weight, "beta_schedule": {"kind": "constant"}},
                "training": {
                    "batch_size": self.batch_size,
                    "max_norm": self.max_norm,
                    "optimizer": optimizer,
                },
            }
        )

    def corpus(self, folder: Path) -> Corpus:
        """Returns the corpus of the text file, or a generated one."""
        if not self.text:
            return self.generated(folder, self.sentences)
        tokenizer = {"kind": "word", "vocab_size": self.vocabulary, "min_count": 1}
        settings = {"train": self.text, "tokenizer": tokenizer}
        return prepare_corpus(DataConfig.model_validate(settings), folder)

    def generated(self, folder: Path, sentences: int) -> Corpus:
        """Returns a corpus of generated sentences."""
        store = write_store(folder, sentences, self.vocabulary, seed=0)
        return corpus_of(store, self.vocabulary, folder)


QUICK = Plan(
    sizes=(64,),
    products=(256, 512),
    vocabulary=2_000,
    sentences=2_000,
    steps=2,
    repeats=2,
    iw_samples=20,
    iw_sentences=4,
    iw_plain_sentences=2,
    drawn=50,
    drawn_alone=5,
    mi_sentences=500,
    megabytes=0.5,
    types=5_000,
    launches=1,
    stores=(1_000, 10_000),
    rounds=1,
)


def embedding_size(size: int) -> int:
    """Returns the embedding size E for a number of hidden units."""
    return min(size, 512)


def training_flops(embedding: int, hidden: int, latent: int, vocabulary: int) -> int:
    """Returns the FLOP per token of a training step."""
    encoder = 4 * hidden * (embedding + hidden)
    decoder = 4 * hidden * (embedding + latent + hidden)
    return 3 * 2 * (encoder + decoder + hidden * vocabulary)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Returns the median ratio of consecutive blocks."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))
