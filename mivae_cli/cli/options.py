"""Arguments that several commands share, so that each reads and helps the same everywhere."""

__all__ = [
    "MOST",
    "AsJSON",
    "Data",
    "Device",
    "Run",
    "RunAndTexts",
    "RunArgument",
    "Seed",
    "Sets",
]

from pathlib import Path
from typing import Annotated

import typer

MOST = 10_000_000  # sentences to write, whose latents are held at once

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run directory; left out, the newest under runs/.",
        show_default=False,
    ),
]
RunAndTexts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN] [SENTENCE]...",
        help="A run directory (left out, the newest under runs/), then sentences.",
        show_default=False,
    ),
]
Run = Annotated[
    Path | None, typer.Option("--run", metavar="RUN", help="The run, said in another way.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="Other sentences than the run's test split."),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seeds every random draw.")]
Device = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.", show_default=True)
]
Sets = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Set any key, e.g. training.epochs=5."),
]
