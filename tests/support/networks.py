"""Tiny networks of every kind in double precision, and batches for them."""

from typing import Any, get_args

import torch

from mivae_cli.choices import Pooling
from mivae_cli.config.model import ModelConfig
from mivae_cli.data.batches import Batch
from mivae_cli.data.tokenizer import BOUNDARY
from mivae_cli.models.vae import VAE, build_model

VOCABULARY = 7
SENTENCES = ([2, 3, 4, 5], [6], [3, 3, 2])
SIZES: dict[str, dict[str, int]] = {
    "lstm": {"embedding_size": 6, "hidden_size": 6},
    "gru": {"embedding_size": 6, "hidden_size": 6},
    "transformer": {"width": 6, "heads": 3, "feedforward_size": 9},
}
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
ENCODERS: list[dict[str, Any]] = [
    *(
        {"kind": kind, "layers": layers, "bidirectional": both, "pooling": pooling}
        for kind in ("lstm", "gru")
        for layers in (1, 2)
        for both in (False, True)
        for pooling in POOLINGS
    ),
    *({"kind": "transformer", "layers": 2, "pooling": pooling} for pooling in POOLINGS),
]
DECODERS: list[dict[str, Any]] = [
    {"kind": "lstm"},
    {"kind": "lstm", "layers": 3},
    {"kind": "gru"},
    {"kind": "gru", "layers": 2, "tie_weights": True},
    {"kind": "transformer", "layers": 1, "tie_weights": True},
    {"kind": "transformer", "layers": 3},
]


def name_of(settings: dict[str, Any]) -> str:
    """Names a case, such as gru-2-max."""
    return "-".join(str(value) for value in settings.values())


def model_of(
    encoder: dict[str, Any] | None = None,
    decoder: dict[str, Any] | None = None,
    latent_size: int = 3,
) -> VAE:
    """Returns a model whose networks have these settings."""
    tables = [{"kind": "lstm", "dropout": 0.0, **(table or {})} for table in (encoder, decoder)]
    first, second = ({**SIZES[table["kind"]], **table} for table in tables)
    table = {"latent_size": latent_size, "encoder": first, "decoder": second}
    return build_model(ModelConfig.model_validate(table), VOCABULARY).double()


def batch_of(*sentences: list[int], padding: int = 0) -> Batch:
    """Returns sentences as a batch with `padding` extra columns."""
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    width = int(lengths.max()) + padding
    rows = [sentence + [BOUNDARY] * (width - len(sentence)) for sentence in sentences]
    return Batch(torch.tensor(rows), lengths)
