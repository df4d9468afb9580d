"""The command line: each module here is one command, and none of them computes anything.

Commands import the engine inside their bodies: torch takes seconds to import, and --help and
shell completion should not wait for it.
"""

__all__ = ["app", "main"]

import contextlib
import sys
import traceback
from typing import Annotated

import typer

from .. import __version__
from ..errors import INTERNAL_ERROR, LACK_OF_MEMORY, MivaeError, StorageError, lacks_memory
from ..signals import Interrupted
from .analogy import analogy
from .compare import compare
from .config import config
from .encode import encode
from .estimate_mi import estimate_mi
from .eval import evaluate
from .interpolate import interpolate
from .neighbours import neighbours
from .presets import presets
from .reconstruct import reconstruct
from .sample import sample
from .support.streams import discard_output, open_streams, settle_streams
from .sweep import sweep
from .train import train
from .verify import verify

app = typer.Typer(name="mivae", no_args_is_help=True, rich_markup_mode="rich")
app.command()(train)
app.command()(sweep)
app.command(name="eval")(evaluate)
app.command()(compare)
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
    """Runs the app. An error is one line on standard error and an exit code, not a traceback."""
    open_streams()
    arguments = sys.argv[1:]
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = "--debug" in options
    arguments = [each for each in options if each != "--debug"] + arguments[len(options) :]
    try:
        code = _run(arguments)
        sys.stdout.flush()  # here, where it can still be said that a disk is full
    except (KeyboardInterrupt, Interrupted) as stop:
        code = _complain("interrupted", getattr(stop, "exit_code", 130))
    except BrokenPipeError:  # the reader of our output has seen enough
        discard_output(sys.stdout)
        code = 0
    except Exception as error:  # noqa: BLE001  # every fault ends in one line
        message, code = _told(error, debug)
        if debug:
            with contextlib.suppress(OSError):
                traceback.print_exception(error)
        else:
            _complain(message, code)
    settle_streams()
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--version"]:
        print(f"mivae {__version__}")
        return 0
    try:
        code = app(arguments, standalone_mode=False)
    except SystemExit as stop:
        # typer and rich exit like this when the reader of their output has gone
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        raise
    return code if isinstance(code, int) else 0


def _told(error: Exception, debug: bool) -> tuple[str, int]:
    """Returns what to say of an error, and its exit code."""
    from .support.crashes import report_line

    match error:
        case MivaeError():
            return str(error), error.exit_code
        case typer.TyperException():  # an option or argument that does not fit
            return _usage_error(error), 2
        case MemoryError() | RuntimeError() if lacks_memory(error):
            return LACK_OF_MEMORY, 1
        case OSError() if error.filename:
            return f"'{error.filename}': {error.strerror or error}", StorageError.exit_code
        case OSError():
            discard_output(sys.stdout)
            return f"cannot write the output: {error.strerror or error}", StorageError.exit_code
        case _:
            return "" if debug else report_line(error), INTERNAL_ERROR


def _usage_error(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "mivae"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    hint = ""
    params = context.command.params if context else []
    if any(param.name == "arguments" for param in params):  # sentences, or names of files
        known = {option for param in params for option in param.opts} | {"-", "--help"}
        dashed = (each for each in sys.argv[1:] if each.startswith("-"))
        if any(each.partition("=")[0] not in known for each in dashed):
            hint = f"; a sentence that starts with a dash goes after --: {path} -- '- a man'"
    return f"{message.rstrip('.')}{hint}; see '{path} --help'"


def _complain(message: str, code: int) -> int:
    from .support.console import complain

    complain(message)
    return code
