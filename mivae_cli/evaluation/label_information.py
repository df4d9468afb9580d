r"""Mutual information of labels of sentences and their latents, in nats.

.. math:: I(c; z) = \mathbb{E}\Big[\log \frac{q(z \mid c)}{q(z)}\Big], \qquad
    q(z \mid c) = \mathbb{E}_{p(x \mid c)}\, q(z \mid x)

for the label c of a sentence x. The pairs (c, z) are those of sentences with one draw z ~ q(z|x) each,
which are exact samples of their joint distribution. By the data-processing inequality,
I(c; z) <= I(x; z).

Shapes: N sentences, Z latent units.
"""

__all__ = ["label_report"]

from dataclasses import replace

import numpy as np
import torch

from ..choices import Discrete
from ..data.prepared_corpus import TokenStore
from ..errors import ConfigError, DataError
from ..estimators import Report, estimate_mutual_information
from ..estimators.io.frames import Frame
from ..models.vae import VAE
from .encode import posteriors

MAX_CLASSES = 50  # distinct fractions that still are labels
DRAWN = (
    "z is one draw from q(z|x) for each sentence; the means of q(z|x) may carry more information"
)


def label_report(
    model: VAE,
    store: TokenStore,
    labels: Frame,
    *,
    discrete: Discrete = "auto",
    drop_missing: bool = False,
    permutations: int = 0,
    seed: int = 0,
) -> Report:
    """Returns estimates of I(label; z) on the sentences of a store, in nats.

    Arguments:
        model: A model with a latent.
        store: N >= 50 sentences.
        labels: One column with the label of each sentence.
        discrete: "x": all values are labels; "none": they are numbers; "auto": they are numbers if
            some are fractions and there are over 50 distinct ones.
        drop_missing: Whether to drop sentences without a label; otherwise they are errors.
        permutations: Number of permutations for a p-value of independence; 0 for none.
        seed: Seed of the draws of z and of the estimates.

    Raises:
        DataError: There are several columns, labels are missing or all the same, or there are
            fewer than 50 sentences.
        ConfigError: A number is out of range, or `discrete` is another choice.
    """
    if len(labels.names) != 1:
        raise DataError(f"{labels.name} has {len(labels.names)} columns; provide one label each")
    if discrete in ("z", "both"):
        raise ConfigError(f"latents are continuous: choose auto, x or none, not {discrete}")
    numeric = _are_numbers(labels) if discrete == "auto" else discrete == "none"
    z = posteriors(model, store).double().rsample(torch.Generator().manual_seed(seed))
    found = estimate_mutual_information(
        labels,
        z.numpy(),
        discrete="none" if numeric else "x",
        drop_missing=drop_missing,
        permutations=permutations,
        seed=seed,
        names=("the labels", "z"),
    )
    notes = [DRAWN, *found.notes]
    if numeric and discrete == "auto":
        notes.append(
            "the labels are numbers; to treat each value as a label of its own, use --discrete x "
            "(in Python, discrete='x')"
        )
    return replace(found, notes=notes)


def _are_numbers(labels: Frame) -> bool:
    """Returns whether labels have fractions and many distinct values."""
    values = labels.blocks[0].values
    if labels.blocks[0].kind != "numbers":
        return False
    values = values[np.isfinite(values)]
    return bool((values != np.floor(values)).any()) and len(np.unique(values)) > MAX_CLASSES
