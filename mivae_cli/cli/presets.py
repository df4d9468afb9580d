"""The 'presets' command."""

from typing import Annotated

import typer

from .support.options import AsJSON


def presets(
    name: Annotated[str | None, typer.Argument(help="Print the TOML of this preset.")] = None,
    as_json: AsJSON = False,
) -> None:
    """List all presets (methods of papers and recipes for corpora), or print one.

    Example: [bold]mivae presets mine[/]
    """
    from ..config.resolve import describe_preset, preset_kind, preset_names, preset_text
    from .support.console import print_json, print_line, print_text

    if name is not None:
        print_text(preset_text(name).rstrip())
        return
    described = {known: describe_preset(known) for known in preset_names()}
    if as_json:
        print_json(described, indent=2)
        return
    width = max(map(len, described))
    for kind in ("method", "recipe"):
        print_line(f"{kind}s")
        for known, description in described.items():
            if preset_kind(known) == kind:
                print_line(f"  {known:<{width}}  {description}")
