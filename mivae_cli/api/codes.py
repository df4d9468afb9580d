"""The posteriors of sentences, as NumPy arrays."""

__all__ = ["Codes"]

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..generation.latent_files import TextRows, check_output_path, write_vectors
from ..models.latent import DiagonalGaussian, Posterior

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class Codes:
    """The posteriors q(z|x) of N sentences with Z latent units.

    >>> codes = run.encode(["a man rides a horse .", "two dogs play ."])
    >>> codes.mean.shape == codes.scale.shape == (len(codes), run.latent_size)
    True
    """

    posterior: Posterior
    """The distributions, as tensors on the CPU, with `log_prob`, `rsample` and `rates`."""
    rows: TextRows | None = None
    """The position of each sentence in its file; None for strings."""
    truncated: int = 0
    """The number of sentences of which only the first `data.max_tokens` tokens were encoded."""

    def __repr__(self) -> str:
        return f"<Codes of {len(self):,} sentences, Z={self.mean.shape[1]}>"

    def __len__(self) -> int:
        return len(self.posterior)

    @property
    def mean(self) -> Array:
        """The posterior means, with shape (N, Z)."""
        return np.asarray(self.posterior.mean.numpy())

    @property
    def scale(self) -> Array:
        """The posterior standard deviations, with shape (N, Z).

        Raises:
            ConfigError: The posteriors are von Mises-Fisher distributions. These have one
                concentration: `codes.posterior.concentration`.
        """
        if not isinstance(self.posterior, DiagonalGaussian):
            raise ConfigError(
                "von Mises-Fisher posteriors have no scale: use codes.posterior.concentration"
            )
        return np.asarray(self.posterior.scale.numpy())

    def save(self, path: str | Path, rows: TextRows | None = None) -> None:
        """Writes the posteriors to a file, one row per sentence.

        `.npz` and `.safetensors` have the arrays row, line, mean and scale (or concentration);
        `.csv` and `.parquet` add the other columns of the text file; `.npy` has the means only.

        Arguments:
            path: The file, which is replaced if it exists.
            rows: The position of each sentence in its file; by default `self.rows`.

        Raises:
            ConfigError: The extension is unknown, pyarrow is missing for .parquet, or the file
                cannot be written.

        >>> run.encode(["a man rides a horse ."]).save("vectors.npz")
        """
        check_output_path(Path(path))
        write_vectors(Path(path), self.posterior, rows or self.rows)
