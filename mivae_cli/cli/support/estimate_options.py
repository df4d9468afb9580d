"""Options of 'estimate-mi' for its input, its estimators and its output."""

__all__ = [
    "ArrayX",
    "ArrayZ",
    "ColumnsX",
    "ColumnsZ",
    "Count",
    "Demo",
    "Draws",
    "Estimators",
    "FitProfile",
    "Given",
    "InputTransform",
    "LabelColumn",
    "LabelFile",
    "Neighbours",
    "Network",
    "Permutations",
    "Plot",
    "Sources",
]

from functools import partial
from pathlib import Path
from typing import Annotated, get_args

import typer

from ...choices import EstimatorName, PairNetwork, Profile, Transform
from ...limits import MAX_DRAWS, MAX_KSG_NEIGHBOURS, MAX_PAIRS, MAX_PERMUTATIONS

pair_option = partial(typer.Option, rich_help_panel="Options for paired samples")

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN | PAIRS",
        help="Run directory (default: the newest finished run in runs/), or paired samples: one "
        ".npz, .safetensors, .csv, .tsv or .parquet file, or two .npy files, first x, then z.",
    ),
]
Estimators = Annotated[
    list[str] | None,
    pair_option(
        "--estimator",
        "-e",
        metavar="NAME",
        help=f"Estimator; repeat for several: {', '.join(get_args(EstimatorName))}. Default: "
        "several, with a recommendation.",
    ),
]
FitProfile = Annotated[
    Profile, typer.Option(help="Size of trained critics and length of their training.")
]
Draws = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MAX_DRAWS,
        help="Samples of z per sentence of a run; default: 32, fewer for 3,125 or more sentences.",
    ),
]
Permutations = Annotated[
    int,
    typer.Option(
        min=0, max=MAX_PERMUTATIONS, help="Shuffles for a p-value of independence; 0: none."
    ),
]
ArrayX = Annotated[
    str | None, pair_option("--x", metavar="NAME", help="Array of x in the file; default: x.")
]
ArrayZ = Annotated[
    str | None, pair_option("--z", metavar="NAME", help="Array of z in the file; default: z.")
]
ColumnsX = Annotated[
    list[str] | None, pair_option(metavar="COLUMNS", help="Table columns of x, as in a,b or 1-20.")
]
ColumnsZ = Annotated[list[str] | None, pair_option(metavar="COLUMNS", help="Table columns of z.")]
Given = Annotated[
    list[str] | None,
    pair_option(
        metavar="COLUMNS",
        help="Table columns (or arrays) of a variable w, such as a confounder: estimates the "
        "conditional mutual information I(x; z | w).",
    ),
]
LabelFile = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="Labels of the sentences of a run, one per line, or a .csv or .tsv table: estimates "
        "I(label; z).",
    ),
]
LabelColumn = Annotated[
    str, typer.Option(metavar="COLUMN", help="Column of the table of --labels.")
]
InputTransform = Annotated[
    Transform, pair_option(help="Map of each coordinate of the critics' inputs.")
]
Network = Annotated[PairNetwork, pair_option("--critic", help="Network of the critics.")]
Neighbours = Annotated[
    int, pair_option("--k", min=1, max=MAX_KSG_NEIGHBOURS, help="Number of neighbours of ksg.")
]
Demo = Annotated[
    str | None,
    pair_option(
        metavar="NAME", help="Draw pairs with known mutual information; 'list' lists the names."
    ),
]
Count = Annotated[
    int, pair_option("--n", min=1, max=MAX_PAIRS, help="Number of pairs that --demo draws.")
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw a figure: .png, .svg or .pdf.")
]
