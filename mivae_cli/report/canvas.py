"""Draw figures into a file with matplotlib, without a backend or a window.

matplotlib is an optional dependency, imported when drawing.
"""

__all__ = ["canvas", "check_figure_path"]

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..storage.files import atomic_file
from ..storage.sealed_json import check_output

if TYPE_CHECKING:  # optional dependency
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")


def check_figure_path(path: Path) -> None:
    """Raises ConfigError if a figure cannot be drawn to a path, or matplotlib is missing."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"cannot draw '{path}'; choose a .png, .svg or .pdf file")
    check_output(path)
    try:
        import matplotlib  # noqa: F401  # check that it is installed
    except ImportError as error:
        raise ConfigError(
            "figures need matplotlib; install it with: pip install matplotlib"
        ) from error


@contextmanager
def canvas(path: Path, width: float, height: float) -> Iterator["Figure"]:
    """Context manager that yields a figure, its size in inches, and then writes it to a file.

    Raises:
        ConfigError: See `check_figure_path`, or the file cannot be written.
    """
    check_figure_path(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # names may contain dollar signs, and letters that the font lacks, which are drawn as boxes
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(width, height))
        figure.set_layout_engine("constrained")
        yield figure
        with atomic_file(path) as draft:
            figure.savefig(draft, dpi=150)
