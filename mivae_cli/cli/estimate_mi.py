"""The 'estimate-mi' command."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from ..choices import EstimatorName, PairNetwork, Profile, Transform
from ..errors import ConfigError
from ..limits import MAX_DRAWS, MAX_KSG_NEIGHBOURS, MAX_PAIRS, MAX_PERMUTATIONS
from .support.options import AsJSON, Data, Device, Run, Seed
from .support.row_options import (
    Blocks,
    DiscreteSides,
    DropMissing,
    FalseDiscoveries,
    Groups,
    Pointwise,
    Rank,
    Redundancy,
)
from .support.text_options import OPTIONS as READING_OPTIONS
from .support.text_options import Reading, reads_text

if TYPE_CHECKING:
    from ..estimators import Report
    from ..estimators.io.pairs import Pairs

STATUS = "estimating mutual information"  # beside a spinner on a terminal
SUFFIXES = {".npz", ".npy", ".safetensors", ".csv", ".tsv", ".parquet", ".gz"}
# Parameters that apply to one kind of input only; all others apply to every input
RUN_ONLY = {"run_option", "data", "draws", "device", *READING_OPTIONS} - {"header"}
PAIRS_ONLY = {
    *("estimator", "permutations", "transform", "network", "neighbours", "demo"),
    *("blocks", "pointwise", "rank", "redundancy", "fdr"),
}
FILES_ONLY = {
    *("sources", "x", "z", "x_columns", "z_columns"),
    *("drop_missing", "discrete", "groups"),
}
DEMO_ONLY = {"count"}
RANK_ONLY = {"redundancy", "fdr"}
NOT_RANK = {"estimator", "profile", "transform", "network", "plot", "pointwise"}
RANK_PERMUTATIONS = 1000  # by default
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
    pair_option(
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


@reads_text
def estimate_mi(
    context: typer.Context,
    sources: Sources = None,
    run_option: Run = None,
    data: Data = None,
    reading: Reading = {},
    estimator: Estimators = None,
    profile: FitProfile = "default",
    draws: Draws = None,
    permutations: Permutations = 0,
    x: ArrayX = None,
    z: ArrayZ = None,
    x_columns: ColumnsX = None,
    z_columns: ColumnsZ = None,
    discrete: DiscreteSides = "auto",
    drop_missing: DropMissing = False,
    groups: Groups = None,
    blocks: Blocks = None,
    rank: Rank = False,
    redundancy: Redundancy = False,
    fdr: FalseDiscoveries = "bh",
    pointwise: Pointwise = None,
    transform: InputTransform = "rank",
    network: Network = "separable",
    neighbours: Neighbours = 3,
    demo: Demo = None,
    count: Count = 10_000,
    plot: Plot = None,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Estimate the mutual information of sentences and latents of a run, or of paired samples.

    Shows the direction of each estimate (lower bound, upper bound or
    neither), its ceiling and a 95 % interval.

    Example: [bold]mivae estimate-mi runs/mine[/], or [bold]mivae estimate-mi pairs.npz[/].
    """
    from .support.console import stderr

    paths = sources or []
    truth: float | None = None
    if demo == "list":
        return _list_demos()
    if demo is None and not _are_pairs(paths):
        _reject(context, PAIRS_ONLY | FILES_ONLY - {"sources"} | DEMO_ONLY, "a run")
        if len(paths) > 1:
            raise ConfigError(f"choose one run, '{paths[0]}' or '{paths[1]}'")
        from .support.run_lookup import locate, open_run, open_sentences

        found = locate(str(paths[0]) if paths else None, run_option)
        title = f"{found.path}, {data or 'test split'}"
        with stderr.status(STATUS):
            store = open_sentences(found, data, reading)
            run = open_run(found, device)
            report = run.estimate_mutual_information(
                store, draws=draws, profile=profile, seed=seed
            )
    else:
        if demo is not None:
            _reject(context, RUN_ONLY | FILES_ONLY | {"header"}, "--demo")
            pairs, truth = _demo_pairs(demo, count, seed)
        else:
            from ..estimators.io.pairs import read_pairs

            _reject(context, RUN_ONLY | DEMO_ONLY, "paired samples from files")
            pairs = read_pairs(
                paths,
                x,
                z,
                x_columns or (),
                z_columns or (),
                groups_column=groups,
                header=cast(bool | None, reading.get("data.header")),
                discrete=discrete,
            )
        from ..estimators import estimate_mutual_information, rank_features

        title = demo or ", ".join(map(str, paths))
        if rank:
            from .support.ranking_output import show_ranking

            _reject(context, NOT_RANK, "--rank")
            with stderr.status("ranking features"):
                ranking = rank_features(
                    pairs.x,
                    pairs.z,
                    permutations=permutations or RANK_PERMUTATIONS,
                    correction=fdr,
                    redundancy=redundancy,
                    groups=pairs.groups,
                    blocks=blocks,
                    discrete=discrete,
                    drop_missing=drop_missing,
                    neighbours=neighbours,
                    seed=seed,
                    names=("x", z_columns[0] if z_columns else "z"),
                )
            return show_ranking(ranking, title, as_json)
        _reject(context, RANK_ONLY, "estimates without --rank")
        with stderr.status(STATUS):
            report = estimate_mutual_information(
                pairs.x,
                pairs.z,
                cast(list[EstimatorName], estimator or []),
                profile=profile,
                transform=transform,
                network=network,
                neighbours=neighbours,
                permutations=permutations,
                discrete=discrete,
                drop_missing=drop_missing,
                groups=pairs.groups,
                blocks=blocks,
                seed=seed,
            )
            if pointwise is not None:
                from ..estimators.pointwise import write_pairs_pointwise

                write_pairs_pointwise(
                    pointwise,
                    pairs,
                    blocks=blocks,
                    discrete=discrete,
                    drop_missing=drop_missing,
                    seed=seed,
                )
    return _show(report, title, truth, plot, as_json)


def _reject(context: typer.Context, names: set[str], given: str) -> None:
    """Raises ConfigError if one of the parameters is on the command line, whatever its value."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            option = parameter.opts[0] if parameter.name != "sources" else "a file or run"
            raise ConfigError(f"{option} cannot be combined with {given}")


def _are_pairs(paths: list[Path]) -> bool:
    """Returns whether the first path is a data file, by existence or extension, and not a run."""
    if not paths or paths[0].is_dir():
        return False
    return paths[0].is_file() or paths[0].suffix.lower() in SUFFIXES


def _demo_pairs(demo: str, count: int, seed: int) -> "tuple[Pairs, float]":
    from ..estimators.io.data_frames import frame_of
    from ..estimators.io.pairs import Pairs
    from ..estimators.samplers import SAMPLERS

    if demo not in SAMPLERS:
        raise ConfigError(f"unknown demo '{demo}'; choose {', '.join(SAMPLERS)}")
    sampler = SAMPLERS[demo]
    x, z = sampler.draw(count, seed)
    return Pairs(frame_of(x, "x"), frame_of(z, "z")), sampler.mutual_information


def _list_demos() -> None:
    from ..estimators.samplers import DESCRIPTIONS, SAMPLERS
    from .support.console import stdout
    from .support.tables import demos_table

    rows = [(name, s.x_dim, s.z_dim, s.mutual_information) for name, s in SAMPLERS.items()]
    stdout.print(demos_table(rows, DESCRIPTIONS))


def _show(
    report: "Report", title: str, truth: float | None, plot: Path | None, as_json: bool
) -> None:
    from dataclasses import asdict

    from .support.console import note, print_json, stdout
    from .support.tables import estimates_table

    if plot is not None:
        from ..report.estimates import draw_estimates

        best = report.recommended.estimator if report.recommended else None
        draw_estimates(report.estimates, plot, truth, title, best)
        note(f"figure: {plot}")
    if as_json:
        print_json(asdict(report) | ({} if truth is None else {"truth": truth}), indent=2)
    else:
        stdout.print(estimates_table(report, title, truth))
