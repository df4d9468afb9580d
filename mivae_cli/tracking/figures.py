"""What trackers show of the records of a training: numbers by name, and tables of texts."""

__all__ = ["Examples", "test_figures", "training_figures", "validation_figures"]

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import islice

from ..config.run import RunConfig
from ..data.prepared_corpus import Corpus
from ..evaluation.evaluate import Evaluation
from ..generation.decoding import Decoding
from ..generation.generate import encode_ids, generated, prior_samples
from ..models.vae import VAE
from ..training.events import Step, Validation

SENTENCES = 8  # in each table
OTHERS = {"step", "seconds_left", "seed", "iw_samples", "latent_units", "sentences", "tokens"}
DECODED = Decoding(beam=1)
DRAWN = Decoding(temperature=0.8)  # as by 'mivae sample'


def training_figures(record: Step, config: RunConfig) -> dict[str, float]:
    """Returns the numbers of training steps, with the weights of the loss at their end."""
    epoch = record.epoch - config.training.autoencoder_epochs
    weights = config.objective.weights(epoch)
    scheduled = {"beta": float(weights.rate or 0), "lambda": float(weights.information or 0)}
    return dict(_named("training", _numbers(record) | scheduled))


def validation_figures(record: Validation) -> dict[str, float]:
    """Returns the numbers of a validation."""
    return dict(_named("validation", _numbers(record)))


def test_figures(record: Evaluation) -> dict[str, float]:
    """Returns the numbers of the evaluation that follows a training."""
    found = _numbers(record)
    if record.mi is not None:
        found["mi_known_posterior"] = record.mi.known_posterior.value
        if record.mi.dual is not None:
            found["mi_dual"] = record.mi.dual.value
    return dict(_named("test", found))


class Examples:
    """Sentences of the validation split that are reconstructed at each validation, and samples.

    The same sentences, latents and draws of words are used each time, and the random state of
    training does not change.
    """

    def __init__(self, corpus: Corpus, config: RunConfig) -> None:
        store, self._tokenizer = corpus["valid"], corpus.tokenizer
        rows = (tuple(store.sentence(place)) for place in range(len(store)))
        self._ids = list(islice(dict.fromkeys(islice(rows, 10 * SENTENCES)), SENTENCES))
        self._seed, self._length = config.seed, config.data.max_tokens

    def reconstructions(self, model: VAE) -> list[tuple[str, str]]:
        """Returns sentences, and what the model decodes from their posterior means."""
        ids = [list(map(int, row)) for row in self._ids]
        means = encode_ids(model, ids).mean
        decoded = generated(model, self._tokenizer, means, self._with_length(DECODED))
        return list(zip(map(self._tokenizer.decode, ids), decoded, strict=True))

    def samples(self, model: VAE) -> list[tuple[str]]:
        """Returns sentences decoded from latents drawn from the prior."""
        z = prior_samples(SENTENCES, model.prior, self._seed)
        decoding = self._with_length(DRAWN)
        return [(text,) for text in generated(model, self._tokenizer, z, decoding, self._seed)]

    def _with_length(self, decoding: Decoding) -> Decoding:
        return Decoding(decoding.temperature, beam=decoding.beam, max_tokens=self._length)


def _numbers(record: Step | Validation | Evaluation) -> dict[str, float]:
    """Returns the numeric fields of a record that are results."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in OTHERS
    }


def _named(group: str, values: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    return ((f"{group}/{name}", value) for name, value in values.items() if math.isfinite(value))
