"""What the points of a map can be coloured by: length, rate, latent units and labels.

Shapes: N sentences that are encoded so far.
"""

__all__ = ["Colours"]

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, cut
from .codes import CorpusCodes
from .sentences import Sentences

Floats = NDArray[np.float32]
SHOWN = 98  # per cent of the values between the ends of a range


class Colours:
    """The colour values of a corpus, by key."""

    def __init__(self, sentences: Sentences, codes: CorpusCodes) -> None:
        self._codes = codes
        self.lengths = np.array([len(text.split()) for text in sentences.texts], np.float32)
        """Words of each sentence, (N,)."""
        self._labels = {f"label:{label.name}": label for label in sentences.labels}
        self._label_codes = {key: label.codes() for key, label in self._labels.items()}
        self._units = {f"unit:{unit.unit}": unit.unit for unit in codes.units()}

    @property
    def keys(self) -> list[str]:
        """The keys of all colours."""
        return ["length", "rate", *self._units, *self._labels]

    def values(self, key: str) -> Floats:
        """Returns the value of each encoded sentence, NaN if missing, with shape (N,).

        Raises:
            ConfigError: There is no such key.
        """
        if key == "length":
            found = self.lengths
        elif key == "rate":
            found = self._codes.rates
        elif key in self._units:
            found = self._codes.vectors[:, self._units[key] - 1]
        elif key in self._label_codes:
            found = self._label_codes[key]
        else:
            raise ConfigError(f"there is no colour '{cut(key, 80)}'")
        return np.asarray(found[: self._codes.loaded], np.float32)

    def description(self) -> list[dict[str, Any]]:
        """Returns key, name, unit, and range or categories of each colour, as JSON objects."""
        rows = [
            self._number("length", "Length", "words"),
            self._number("rate", "Rate", "nats"),
        ]
        for key, unit in self._units.items():
            rows.append(self._number(key, f"Unit {unit}", "posterior mean"))
        for key, label in self._labels.items():
            if label.kind == "number":
                rows.append(self._number(key, label.name, ""))
            else:
                found = {"key": key, "name": label.name, "kind": "category"}
                rows.append({**found, "categories": label.categories})
        return rows

    def _number(self, key: str, name: str, unit: str) -> dict[str, Any]:
        """Returns a colour with a range that leaves out the smallest and largest per cent."""
        values = self.values(key)
        present = values[~np.isnan(values)]
        outside = (100 - SHOWN) / 2
        ends = np.percentile(present, [outside, 100 - outside]) if len(present) else (0.0, 1.0)
        return {
            "key": key,
            "name": name,
            "unit": unit,
            "kind": "number",
            "range": [float(ends[0]), float(ends[1])],
        }
