"""Options of 'estimate-mi' for the rows and columns of paired samples."""

__all__ = [
    "Blocks",
    "DiscreteSides",
    "DropMissing",
    "FalseDiscoveries",
    "Groups",
    "Pointwise",
    "Rank",
    "Redundancy",
]

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...choices import Correction, Discrete
from ...limits import MAX_PAIRS

row_option = partial(typer.Option, rich_help_panel="Options for paired samples")

DropMissing = Annotated[
    bool, row_option("--drop-missing", help="Drop rows with missing values, such as NaN or NA.")
]
DiscreteSides = Annotated[
    Discrete,
    row_option(
        "--discrete",
        help="Which of x and z contain labels; auto: strings, booleans, and integers with few "
        "levels.",
    ),
]
Groups = Annotated[
    str | None,
    row_option(
        metavar="COLUMN",
        help="Table column (or array) of labels; rows with the same label may depend on each "
        "other, as those of one person.",
    ),
]
Blocks = Annotated[
    int | None,
    row_option(
        metavar="ROWS",
        min=1,
        max=MAX_PAIRS,
        help="For time series: number of successive rows after which rows are nearly independent.",
    ),
]
Rank = Annotated[
    bool, row_option("--rank", help="Rank the columns of x by mutual information with z.")
]
Redundancy = Annotated[
    bool,
    row_option("--redundancy", help="With --rank: compare columns of x with each other, too."),
]
FalseDiscoveries = Annotated[
    Correction,
    row_option(
        "--fdr",
        help="With --rank: q-values by Benjamini-Hochberg (bh) or Benjamini-Yekutieli (by).",
    ),
]
Pointwise = Annotated[
    Path | None,
    row_option(metavar="FILE", help="Write the log-ratio of every row to a CSV file."),
]
