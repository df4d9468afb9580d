"""Draw figures with matplotlib into a file, which is written completely or not at all.

matplotlib is an optional dependency, imported when drawing. No backend is selected and no window
opened, so other drawing in the process is not affected.
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
    """Raises ConfigError if a figure cannot be drawn to a path.

    The format is not supported, the path is inside a checkpoint, or matplotlib is not installed.
    """
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
    """Context manager that yields a figure and then writes it to a file.

    Arguments:
        path: The file.
        width: The width in inches.
        height: The height in inches.

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
