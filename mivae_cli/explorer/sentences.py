"""The sentences of a map, in random order, with their labels.

In random order, the first sentences are a sample of the corpus: they determine the map, and
are shown while the others are still being encoded.
"""

__all__ = ["Label", "LabelKind", "Sentences", "drawn_order", "json_label", "label_kind", "shown"]

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..data.permutation import Permutation
from ..data.token_store import TokenStore
from ..errors import cut
from ..limits import MAX_CATEGORIES

LabelKind = Literal["number", "category"]
FEW_NUMBERS = 10  # distinct integers that are taken as categories
OTHER = "other"
LABEL_SHOWN = 200  # characters


@dataclass(frozen=True, eq=False)
class Label:
    """A label of each of N sentences: texts, or numbers; None if it is missing."""

    name: str
    values: Sequence[str | float | None]

    @cached_property
    def kind(self) -> LabelKind:
        """Whether the values are numbers or categories."""
        return label_kind(self.values)

    @cached_property
    def categories(self) -> list[str]:
        """The most frequent categories, and "other" if there are more; sorted."""
        counts: dict[str, int] = {}
        for value in self.values:
            if value is not None:
                counts[shown(value)] = counts.get(shown(value), 0) + 1
        kept = sorted(counts, key=lambda name: (-counts[name], name))
        if len(kept) <= MAX_CATEGORIES:
            return sorted(kept)
        return [*sorted(name for name in kept[:MAX_CATEGORIES] if name != OTHER), OTHER]

    def codes(self) -> NDArray[np.float32]:
        """Returns numbers, or the places of categories in `categories`; NaN if missing, (N,)."""
        if self.kind == "number":
            numbers = [np.nan if value is None else float(value) for value in self.values]
            return np.array(numbers, np.float32)
        places: dict[str, float] = {name: place for place, name in enumerate(self.categories)}
        other = places.get(OTHER, np.nan)
        codes = [
            np.nan if value is None else places.get(shown(value), other) for value in self.values
        ]
        return np.array(codes, np.float32)


@dataclass(frozen=True, eq=False)
class Sentences:
    """N sentences as text and as token ids, which may be truncated."""

    name: str  # such as "test split of corpus.txt"
    texts: Sequence[str]
    store: TokenStore
    lines: NDArray[np.int64] | None = None  # line numbers in the file, (N,)
    labels: tuple[Label, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def digest(self) -> str:
        """A hash of all token ids."""
        digest = hashlib.sha256(np.ascontiguousarray(self.store.offsets, "<i8").tobytes())
        digest.update(np.ascontiguousarray(self.store.tokens, "<u4").tobytes())
        return digest.hexdigest()


def drawn_order(count: int, most: int, seed: int = 0) -> NDArray[np.int64]:
    """Returns the numbers of at most `most` of `count` sentences, in random order."""
    order = Permutation(count, np.random.SeedSequence(seed))(np.arange(min(count, most)))
    return np.asarray(order, np.int64)


def label_kind(values: Sequence[str | float | None]) -> LabelKind:
    """Returns `number` if all values are numbers, except for a few distinct integers."""
    present = {value for value in values if value is not None}
    if not present or any(isinstance(value, str) for value in present):
        return "category"
    few = len(present) <= FEW_NUMBERS and all(float(value) % 1 == 0 for value in present)
    return "category" if few else "number"


def shown(value: str | float) -> str:
    """Returns a label as text; whole numbers without a decimal point."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return str(int(value)) if whole else str(value)


def json_label(value: str | float | None) -> str | int | float | None:
    """Returns a label as a JSON value: long texts are cut, whole numbers are integers."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, str):
        return cut(value, LABEL_SHOWN)
    return int(value) if float(value).is_integer() else value
