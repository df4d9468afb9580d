"""Charts as .png, .svg and .pdf files, drawn without a browser.

Altair and vl-convert are optional dependencies, imported when drawing.
"""

__all__ = ["check_figure_path", "drawn", "require_charts", "write_chart"]

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..storage.files import atomic_file
from ..storage.sealed_json import check_output
from .charts.style import LIGHT, configuration

SUFFIXES = (".png", ".svg", ".pdf")
SCALE = 2  # pixels of a .png file per pixel of a page
PADDING = 10  # pixels around a figure


def require_charts() -> None:
    """Raises ConfigError unless Altair and vl-convert are installed."""
    try:
        import altair  # noqa: F401  # check that it is installed
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "figures need Altair and vl-convert; install them with: pip install 'mivae[report]'"
        ) from error


def check_figure_path(path: Path) -> None:
    """Raises ConfigError if a figure cannot be drawn to a path, or a package is missing."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"cannot draw '{path}'; choose a .png, .svg or .pdf file")
    check_output(path)
    require_charts()


def write_chart(chart: Mapping[str, Any], path: Path) -> None:
    """Draws a chart, as a Vega-Lite object, into a file, on white.

    Raises:
        ConfigError: See `check_figure_path`, or the file cannot be written.
    """
    check_figure_path(path)
    content = drawn(chart, path.suffix.lower())
    with atomic_file(path) as draft:
        draft.write_bytes(content)


def drawn(chart: Mapping[str, Any], suffix: str) -> bytes:
    """Returns a chart as the content of a .png, .svg or .pdf file."""
    import vl_convert

    config = configuration(LIGHT) | {"background": "white", "padding": PADDING}
    whole = {**chart, "config": config}
    match suffix:
        case ".svg":
            return str(vl_convert.vegalite_to_svg(whole)).encode()
        case ".pdf":
            return bytes(vl_convert.vegalite_to_pdf(whole))
        case _:
            return bytes(vl_convert.vegalite_to_png(whole, scale=SCALE))
