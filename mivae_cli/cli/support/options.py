"""Arguments and options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from ... import limits
from ...choices import TrackerName
from ...errors import ConfigError

if TYPE_CHECKING:
    from ...generation.decoding import Decoding

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="Run directory; default: the newest finished run in runs/."
    ),
]
RunAndTexts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN] [SENTENCE]...",
        help="Run directory (default: the newest finished run in runs/), then sentences.",
    ),
]
Run = Annotated[
    Path | None, typer.Option("--run", metavar="RUN", help="Same as the RUN argument.")
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Sentences to use instead of the run's test split; - for standard input.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=limits.MAX_SENTENCES,
        help="Maximum number of sentences; default: 10 for the test split, else all.",
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AsCSV = Annotated[bool, typer.Option("--csv", help="Print CSV with full precision.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")]
AsLaTeX = Annotated[bool, typer.Option("--latex", help="Print a LaTeX table (booktabs).")]
NoFold = Annotated[
    bool, typer.Option("--no-fold", help="Print one row per run, even if only the seeds differ.")
]
Seed = Annotated[int, typer.Option(min=0, max=limits.MAX_SEED, help="Random seed.")]
Epochs = Annotated[
    int | None, typer.Option(min=1, max=limits.MAX_COUNT, help="Maximum number of epochs.")
]
IWSamples = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=limits.MAX_IW_SAMPLES,
        help="Samples per sentence for the importance-weighted bound; default: the run's "
        "evaluation.iw_samples.",
    ),
]
Beam = Annotated[int, typer.Option(min=1, max=limits.MAX_BEAM, help="Beam width; 1 is greedy.")]
WordTemperature = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        min=limits.MIN_TEMPERATURE,
        max=limits.MAX_TEMPERATURE,
        help="Sample words at this temperature instead of decoding the most likely sentence.",
    ),
]
NoRepeatNgram = Annotated[
    int,
    typer.Option(
        min=0,
        max=limits.MAX_NGRAM,
        help="Do not repeat any sequence of N tokens within a sentence; 0: no limit.",
    ),
]
RepetitionPenalty = Annotated[
    float,
    typer.Option(
        min=limits.MIN_PENALTY,
        max=limits.MAX_PENALTY,
        help="Penalty on tokens already in the sentence; above 1 makes them less likely.",
    ),
]
Track = Annotated[
    list[str],
    typer.Option(
        metavar="NAME",
        help=f"Also write curves and texts for {', '.join(get_args(TrackerName))}. May be repeated.",
    ),
]
TrackDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder for trackers; default: tracking/ beside the run directory."
    ),
]
Device = Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps.")]
Sets = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change any setting, e.g. training.epochs=5; may be repeated.",
    ),
]


def greedy_or_drawn(
    temperature: float | None, beam: int, no_repeat_ngram: int, repetition_penalty: float
) -> "Decoding":
    """Returns beam search, or drawing at a temperature if one is given.

    Raises:
        ConfigError: Both a temperature and a beam are given, or a value is out of range.
    """
    from ...generation.decoding import Decoding

    if temperature is not None and beam > 1:
        raise ConfigError("--temperature and --beam exclude each other: remove one of them")
    temperature, beam = (1.0, beam) if temperature is None else (temperature, 0)
    return Decoding(
        temperature,
        beam=beam,
        no_repeat_ngram=no_repeat_ngram,
        repetition_penalty=repetition_penalty,
    )
