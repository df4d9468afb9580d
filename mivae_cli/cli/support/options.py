"""Arguments and options that several commands share."""

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
        help="Run directory; default: the newest finished run in runs/.",
        show_default=False,
    ),
]
RunAndTexts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN] [SENTENCE]...",
        help="Run directory (default: the newest finished run in runs/), then sentences.",
        show_default=False,
    ),
]
Run = Annotated[
    Path | None, typer.Option("--run", metavar="RUN", help="Same as the RUN argument.")
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FILE",
        help="Sentences to use instead of the run's test split; - for standard input.",
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AsCSV = Annotated[bool, typer.Option("--csv", help="Print CSV with full precision.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")]
AsLaTeX = Annotated[bool, typer.Option("--latex", help="Print a LaTeX table (booktabs).")]
NoFold = Annotated[
    bool,
    typer.Option("--no-fold", help="Print one row per run, even if only the seeds differ."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Random seed.")]
Epochs = Annotated[
    int | None, typer.Option("--epochs", min=1, max=MAX_COUNT, help="Maximum number of epochs.")
]
IWSamples = Annotated[
    int | None,
    typer.Option(
        "--iw-samples",
        min=1,
        max=MAX_IW_SAMPLES,
        help="Samples per sentence for the importance-weighted bound; default: the run's "
        "evaluation.iw_samples.",
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
        help="Sample words at this temperature instead of decoding the most likely sentence.",
        show_default=False,
    ),
]
NoRepeatNgram = Annotated[
    int,
    typer.Option(
        "--no-repeat-ngram",
        min=0,
        max=MAX_NGRAM,
        help="Do not repeat any sequence of N tokens within a sentence; 0: no limit.",
    ),
]
RepetitionPenalty = Annotated[
    float,
    typer.Option(
        "--repetition-penalty",
        min=MIN_PENALTY,
        max=MAX_PENALTY,
        help="Penalty on tokens already in the sentence; above 1 makes them less likely.",
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", help="Device: auto, cpu, cuda, cuda:1 or mps.", show_default=True),
]
Sets = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change any setting, e.g. training.epochs=5; may be repeated.",
    ),
]
