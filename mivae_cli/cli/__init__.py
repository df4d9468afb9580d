"""The command line: one command per module; commands call the engine and display its records.

Commands import the engine inside their bodies: torch takes seconds to import, and --help and
shell completion should not wait for it.
"""

__all__ = ["app", "main"]

import contextlib
import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from .. import __version__, _check_platform
from ..errors import INTERNAL_ERROR, OUT_OF_MEMORY, MivaeError, StorageError, is_out_of_memory
from ..signals import Interrupted
from .analogy import analogy
from .compare import compare
from .config import config
from .encode import encode
from .estimate_mi import estimate_mi
from .eval import evaluate
from .explore import explore
from .interpolate import interpolate
from .neighbours import neighbours
from .presets import presets
from .reconstruct import reconstruct
from .report import report
from .sample import sample
from .support.streams import discard_output, open_streams, settle_streams
from .sweep import sweep
from .train import train
from .vary import vary
from .verify import verify

PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Train and evaluate": (train, sweep, evaluate, report, compare, estimate_mi),
    "Use a trained model": (
        *(sample, reconstruct, interpolate, analogy, vary, neighbours, encode),
        explore,
    ),
    "Runs and settings": (presets, verify),
}
app = typer.Typer(name="mivae", no_args_is_help=True, rich_markup_mode="rich")
for panel, commands in PANELS.items():
    for command in commands:
        name = "eval" if command is evaluate else command.__name__.replace("_", "-")
        app.command(name, rich_help_panel=panel)(command)
app.add_typer(config, name="config", rich_help_panel="Runs and settings")


@app.callback()
def mivae(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Train text VAEs that avoid posterior collapse, and measure mutual information.

    Example: [bold]mivae train corpus.txt[/], then [bold]mivae sample --n 10[/].
    """


def main() -> None:
    """Runs the command line: an error prints one line on stderr and sets the exit code."""
    open_streams()
    arguments = sys.argv[1:]
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = "--debug" in options
    arguments = [each for each in options if each != "--debug"] + arguments[len(options) :]
    try:
        code = _run(arguments)
        sys.stdout.flush()  # a full disk raises here, where it can still be reported
    except (KeyboardInterrupt, Interrupted) as stop:
        code = _report("interrupted", getattr(stop, "exit_code", 130))
    except BrokenPipeError:  # the reader closed the pipe, as 'head' does
        discard_output(sys.stdout)
        code = 0
    except Exception as error:  # noqa: BLE001  # every other error ends in one line
        message, code = _message(error, debug)
        if debug:
            with contextlib.suppress(OSError):
                traceback.print_exception(error)
        elif message:
            _report(message, code)
    settle_streams()
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--version"]:
        print(f"mivae {__version__}")
        return 0
    _check_platform()
    try:
        code = app(arguments, standalone_mode=False)
    except SystemExit as stop:
        # typer and rich exit when the reader of their output closes the pipe
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        raise
    return code if isinstance(code, int) else 0


def _message(error: Exception, debug: bool) -> tuple[str, int]:
    """Returns the message and the exit code of an error."""
    from .support.console import report_line

    match error:
        case MivaeError():
            return str(error), error.exit_code
        case typer.TyperException():  # an invalid command line
            return _usage_message(error), 2
        case MemoryError() | RuntimeError() if is_out_of_memory(error):
            return OUT_OF_MEMORY, 1
        case OSError() if error.filename:
            return f"'{error.filename}': {error.strerror or error}", StorageError.exit_code
        case OSError():
            discard_output(sys.stdout)
            return f"cannot write the output: {error.strerror or error}", StorageError.exit_code
        case _:
            return "" if debug else report_line(error), INTERNAL_ERROR


def _usage_message(error: typer.TyperException) -> str:
    """Returns the message of an invalid command line, which names the command's help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "mivae"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    if not message:  # a group without a command: its help has been printed
        return ""
    if near := getattr(error, "possibilities", None):
        message = f"{getattr(error, 'message', message)}. Did you mean '{near[0]}'?"
    hint = ""
    params = context.command.params if context else []
    if any(param.name == "arguments" for param in params):  # of sentences or file names
        known = {option for param in params for option in param.opts} | {"-", "--help"}
        dashed = (each for each in sys.argv[1:] if each.startswith("-"))
        if any(each.partition("=")[0] not in known for each in dashed):
            hint = f" Put a sentence that starts with '-' after '--': {path} -- '- a man'."
    end = "" if message.endswith((".", "?")) else "."
    return f"{message}{end}{hint} See '{path} --help'."


def _report(message: str, code: int) -> int:
    from .support.console import complain

    complain(message)
    return code
