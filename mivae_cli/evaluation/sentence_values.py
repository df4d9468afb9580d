"""Figures of every sentence of an evaluation, for paired comparisons of runs.

They are stored beside the evaluation record, in a file that the record names with its checksum.
Sentences are in an order that depends only on their token ids (`TokenStore.canonical`), so runs
with the same tokens and the same test split have the same order.

Shapes: N sentences. All in nats.
"""

__all__ = ["SentenceFile", "SentenceValues", "file_of"]

import hashlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

FIGURES = ("distortion", "rate", "iw_nll")


@dataclass(frozen=True)
class SentenceFile:
    """The file of an evaluation's figures per sentence, in `RUN/sentences/`."""

    file: str  # name of the file
    size: int  # its bytes
    sha256: str  # its checksum


@dataclass(frozen=True, eq=False)
class SentenceValues:
    """The figures of N sentences, in single precision."""

    distortion: NDArray[np.float32]  # -log p(x|z) at one draw of z, (N,)
    rate: NDArray[np.float32]  # the KL divergence of q(z|x) from the prior, (N,)
    iw_nll: NDArray[np.float32]  # the negative importance-weighted bound, (N,)
    line: NDArray[np.uint32] | None = None  # line numbers in the source, (N,); None if unknown

    def __len__(self) -> int:
        return len(self.distortion)

    @property
    def nll(self) -> NDArray[np.float64]:
        """The negative ELBO of each sentence, D + R, with shape (N,)."""
        return self.distortion.astype(np.float64) + self.rate

    @property
    def finite(self) -> bool:
        """Whether all figures are finite."""
        return all(np.isfinite(getattr(self, name)).all() for name in FIGURES)

    def content(self) -> bytes:
        """Returns the content of a file with these figures (safetensors)."""
        tensors: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in FIGURES}
        if self.line is not None:
            tensors["line"] = self.line
        return save({name: np.ascontiguousarray(values) for name, values in tensors.items()})

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Returns the figures in a file.

        Raises:
            ValueError: The content is not valid.
        """
        try:
            tensors = load(content)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"not a safetensors file ({error})") from error
        for name in (*FIGURES, "line"):
            if (found := tensors.get(name)) is None and name != "line":
                raise ValueError(f"'{name}' is missing")
            kind = np.uint32 if name == "line" else np.float32
            if found is None or (found.dtype == kind and found.shape == tensors[FIGURES[0]].shape):
                continue
            raise ValueError(f"'{name}' has another shape or type")
        values = cls(
            tensors["distortion"], tensors["rate"], tensors["iw_nll"], line=tensors.get("line")
        )
        if values.distortion.ndim != 1 or not values.finite:
            raise ValueError("figures are not a list of finite numbers")
        return values


def file_of(content: bytes, checkpoint: str) -> SentenceFile:
    """Returns the entry of a file; its name repeats a part of its checksum.

    A new evaluation with other figures therefore has another file, and a crash while it is stored
    leaves the record and the file of the earlier one intact.
    """
    digest = hashlib.sha256(content).hexdigest()
    return SentenceFile(f"{checkpoint}-{digest[:16]}.safetensors", len(content), digest)
