"""Arguments that several commands share, so that each reads and helps the same everywhere."""

__all__ = [
    "AsCSV",
    "AsJSON",
    "AsLaTeX",
    "AsMarkdown",
    "Beam",
    "Data",
    "Device",
    "Epochs",
    "IWSamples",
    "NoFold",
    "NoRepeatNgram",
    "RepetitionPenalty",
    "Run",
    "RunAndTexts",
    "RunArgument",
    "Seed",
    "Sets",
    "WordTemperature",
]

from pathlib import Path
from typing import Annotated

import typer

from ...limits import (
    MAX_BEAM,
    MAX_COUNT,
    MAX_IW_SAMPLES,
    MAX_NGRAM,
    MAX_PENALTY,
    MAX_SEED,
    MAX_TEMPERATURE,
    MIN_PENALTY,
    MIN_TEMPERATURE,
)

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run directory; left out, the newest finished run under runs/.",
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
    typer.Option(
        "--data",
        metavar="FILE",
        help="Other sentences than the run's test split; - for standard input.",
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AsCSV = Annotated[bool, typer.Option("--csv", help="Print CSV, full precision.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print a table of Markdown.")]
AsLaTeX = Annotated[bool, typer.Option("--latex", help="Print a tabular of LaTeX (booktabs).")]
NoFold = Annotated[
    bool,
    typer.Option("--no-fold", help="A row for every run, also where only seeds differ."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Seeds every random draw.")]
Epochs = Annotated[
    int | None, typer.Option("--epochs", min=1, max=MAX_COUNT, help="Maximum number of epochs.")
]
IWSamples = Annotated[
    int | None,
    typer.Option(
        "--iw-samples",
        min=1,
        max=MAX_IW_SAMPLES,
        help="Samples of the importance-weighted bound; by default the run's own "
        "(evaluation.iw_samples).",
        show_default=False,
    ),
]
Beam = Annotated[int, typer.Option("--beam", min=1, max=MAX_BEAM, help="Beam width; 1 is greedy.")]
WordTemperature = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        min=MIN_TEMPERATURE,
        max=MAX_TEMPERATURE,
        help="Draw words at this temperature instead of writing the likeliest sentence.",
        show_default=False,
    ),
]
NoRepeatNgram = Annotated[
    int,
    typer.Option(
        "--no-repeat-ngram",
        min=0,
        max=MAX_NGRAM,
        help="Write no N tokens in a row twice in a sentence; 0: no limit.",
    ),
]
RepetitionPenalty = Annotated[
    float,
    typer.Option(
        "--repetition-penalty",
        min=MIN_PENALTY,
        max=MAX_PENALTY,
        help="Above 1: tokens already written in the sentence are less likely.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.", show_default=True)
]
Sets = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Set any key, e.g. training.epochs=5."),
]
