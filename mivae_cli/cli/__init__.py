"""The command line: each module here is one command, and none of them computes anything.

Commands import the engine inside their bodies: torch takes seconds to import, and --help and
shell completion should not wait for it.
"""

__all__ = ["app", "main"]

import contextlib
import os
import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import MivaeError, StorageError
from ..interruption import Interrupted
from .analogy import analogy
from .config import config
from .encode import encode
from .estimate_mi import estimate_mi
from .eval import evaluate
from .interpolate import interpolate
from .neighbours import neighbours
from .presets import presets
from .reconstruct import reconstruct
from .sample import sample
from .train import train
from .verify import verify

app = typer.Typer(name="mivae", no_args_is_help=True, rich_markup_mode="rich")
app.command()(train)
app.command(name="eval")(evaluate)
app.command(name="estimate-mi")(estimate_mi)
app.command()(sample)
app.command()(interpolate)
app.command()(analogy)
app.command()(neighbours)
app.command()(reconstruct)
app.command()(encode)
app.command()(verify)
app.command()(presets)
app.add_typer(config, name="config")


@app.callback()
def mivae(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Train text VAEs that are held to carry information, and measure how much they do.

    Example: [bold]mivae train corpus.txt[/], then [bold]mivae sample --n 10[/].
    """


def main() -> None:
    """Runs the app; what the user can mend is one line on standard error, not a traceback."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if arguments[:1] == ["--version"]:
        print(f"mivae {__version__}")
        return
    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()  # here, where it can still be said that a disk is full
    except MivaeError as error:
        if debug:
            raise
        code = _complain(str(error), error.exit_code)
    except typer.TyperException as error:  # an option or argument that does not fit
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "mivae"
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        code = _complain(f"{message.rstrip('.')}; see '{path} --help'", 2)
    except (KeyboardInterrupt, Interrupted) as stop:
        code = _complain("interrupted", getattr(stop, "exit_code", 130))
    except (MemoryError, RuntimeError) as error:
        # torch has its own words for it, on each device others
        lacking = isinstance(error, MemoryError) or "memory" in str(error).partition("\n")[0]
        if debug or not lacking:
            raise
        code = _complain(
            "there is not enough memory for this: choose a smaller batch or model, or fewer samples",
            1,
        )
    except BrokenPipeError:  # the reader of our output has seen enough
        _close_output()
        code = 0
    except OSError as error:
        if debug:
            raise
        named = f"'{error.filename}'" if error.filename else "cannot write the output"
        code = _complain(f"{named}: {error.strerror or error}", StorageError.exit_code)
        if not error.filename:
            _close_output()
    sys.exit(code if isinstance(code, int) else 0)


def _close_output() -> None:
    """Lets what is still to be written go nowhere, or the interpreter would try it at its end."""
    with contextlib.suppress(OSError):  # it may be no file of the system
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, code: int) -> int:
    from rich.text import Text

    from .console import plain, stderr

    stderr.print(Text.assemble(("error:", "bold red"), f" {plain(message)}"), soft_wrap=True)
    return code
