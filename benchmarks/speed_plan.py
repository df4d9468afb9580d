r"""What `speed.py` measures and how often, and how a training step's work is counted.

A token is a predicted one: a sentence's end counts, padding does not. The products of a training
step are counted as

.. math:: 3 \cdot 2 \cdot \big(4 H (E + H) + 4 H (E + Z + H) + H V\big)

FLOP a token (encoder, decoder, output layer; the backward pass twice the forward one), for E
embedding, H hidden, Z latent units and V words. What is computed beyond that, on padding or for
the mutual-information term, is not counted: it lowers the share of the peak.
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

if TYPE_CHECKING:  # the program that starts the parts stays without torch, and small
    import torch


@dataclass(frozen=True)
class Plan:
    """What is measured and how often."""

    device_name: str = "cpu"
    text: str = ""  # a file to train on; generated sentences where it is empty
    sizes: tuple[int, ...] = (256, 1024)  # hidden units H
    products: tuple[int, ...] = (512, 1024, 2048)  # sides of the matrices that show the peak
    vocabulary: int = 10_000
    latent_units: int = 32
    batch_size: int = 32
    dropout: float = 0.5
    learning_rate: float = 1e-3
    max_norm: float = 5.0
    sentences: int = 20_000
    steps: int = 6  # of a block
    repeats: int = 5  # blocks of each contender
    iw_samples: int = 500
    iw_sentences: int = 16
    iw_plain_sentences: int = 4
    drawn: int = 1_000
    drawn_alone: int = 50
    max_tokens: int = 25
    mi_sentences: int = 10_000
    megabytes: float = 50.0
    types: int = 100_000  # words of the text
    launches: int = 5
    stores: tuple[int, ...] = (10_000, 1_000_000)
    rounds: int = 3  # of every store in turn

    @property
    def device(self) -> "torch.device":
        """Where models are measured."""
        import torch

        return torch.device(self.device_name)

    def run(self, size: int, mi_weight: float = 0.0) -> RunConfig:
        """Returns the configuration of a model with so many hidden units."""
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
        """Returns the sentences of the named text, or generated ones."""
        if not self.text:
            return self.generated(folder, self.sentences)
        tokenizer = {"kind": "word", "vocab_size": self.vocabulary, "min_count": 1}
        settings = {"train": self.text, "tokenizer": tokenizer}
        return prepare_corpus(DataConfig.model_validate(settings), folder)

    def generated(self, folder: Path, sentences: int) -> Corpus:
        """Returns so many generated sentences."""
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
    """Returns the width E of the word vectors beside so many hidden units."""
    return min(size, 512)


def training_flops(embedding: int, hidden: int, latent: int, vocabulary: int) -> int:
    """Returns the FLOP of the products of a training step, a token."""
    encoder = 4 * hidden * (embedding + hidden)
    decoder = 4 * hidden * (embedding + latent + hidden)
    return 3 * 2 * (encoder + decoder + hidden * vocabulary)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Returns the median ratio of blocks that were measured one after the other."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))
