"""The 'config' commands."""

from pathlib import Path
from typing import Annotated

import typer

from .support.options import Run, RunArgument, Sets

config = typer.Typer(
    no_args_is_help=True, help="Write, show and validate configurations.", rich_markup_mode="rich"
)
Presets = Annotated[
    list[str], typer.Option("--preset", help="Start from a preset; may be repeated.")
]


@config.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("mivae.toml"),
    preset: Presets = [],
) -> None:
    """Write a TOML file with all settings explained, for 'mivae train --config'.

    Example: [bold]mivae config init mine.toml --preset mine[/]
    """
    from ..config.resolve import read_config, template
    from ..errors import ConfigError
    from ..storage.files import atomic_file
    from .support.console import note

    if path.exists():
        raise ConfigError(f"'{path}' already exists; choose another file")
    text = template(read_config(preset))
    with atomic_file(path) as draft:
        draft.write_text(text, encoding="utf-8")
    note(f"wrote {path}; to train: mivae train corpus.txt --config {path}")


@config.command()
def show(
    run: RunArgument = None,
    run_option: Run = None,
    preset: Presets = [],
    file: Annotated[Path | None, typer.Option("--config", help="A TOML file.")] = None,
    set_: Sets = [],
) -> None:
    """Print the settings of a run, or of presets, a file and --set combined.

    Example: [bold]mivae config show --preset mine --set objective.mi_weight=2[/]
    """
    from ..config.resolve import read_config, template
    from .support.console import print_text
    from .support.run_lookup import locate

    if run is not None or run_option is not None:
        print_text(template(locate(run, run_option).load_config()).rstrip())
    else:
        print_text(template(read_config(preset, file, overrides=set_)).rstrip())


@config.command()
def validate(file: Annotated[Path, typer.Argument(help="A TOML file.")]) -> None:
    """Check that a TOML file has only known settings with valid values.

    Example: [bold]mivae config validate mine.toml[/]
    """
    from ..config.resolve import read_config
    from .support.console import note

    read_config(file=file)
    note(f"{file} is a valid configuration")
