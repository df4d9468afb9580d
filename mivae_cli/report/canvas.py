"""Where pictures are drawn: matplotlib, when it is there, and a file that is whole or not there.

matplotlib is an extra, imported where a picture is drawn. Figures are objects of their own: no
backend is chosen and no window opened, whatever else the process draws.
"""

__all__ = ["canvas", "check_picture"]

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..storage.files import whole
from ..storage.sealed_json import check_output

if TYPE_CHECKING:  # an extra: absent where no picture is drawn
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")


def check_picture(path: Path) -> None:
    """Raises ConfigError where a picture cannot be drawn.

    Its suffix is another, it would lie inside a checkpoint, or matplotlib is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"cannot draw '{path}': name it .png, .svg or .pdf")
    check_output(path)
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise ConfigError("pictures need matplotlib: pip install 'mivae[plot]'") from error


@contextmanager
def canvas(path: Path, width: float, height: float) -> Iterator["Figure"]:
    """Gives a figure of so many inches, and writes what was drawn on it to a file.

    Raises:
        ConfigError: As of `check_picture`, or the file cannot be written.
    """
    check_picture(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # a dollar sign in a name is a dollar sign, and a letter that the font lacks is drawn as a box
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(width, height))
        figure.set_layout_engine("constrained")
        yield figure
        with whole(path) as draft:
            figure.savefig(draft, dpi=150)
