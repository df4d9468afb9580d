"""The 'estimate-mi' command."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from ..choices import EstimatorName, PairNetwork, Profile, Transform
from ..errors import ConfigError
from ..limits import MAX_DRAWS, MAX_KSG_NEIGHBOURS, MAX_PAIRS, MAX_PERMUTATIONS
from .support.options import AsJSON, Data, Device, Run, Seed

if TYPE_CHECKING:
    from ..estimators import Report
    from ..estimators.io.pairs import Pairs

PAIRS = "Of pairs"  # a panel of the help page
SUFFIXES = {".npz", ".npy", ".safetensors", ".csv", ".tsv", ".parquet", ".gz"}

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN | PAIRS",
        help="A run directory (left out, the newest under runs/), or pairs: one .npz, "
        ".safetensors, .csv, .tsv or .parquet file, or two .npy files, first x, then z.",
        show_default=False,
    ),
]
Estimators = Annotated[
    list[str] | None,
    typer.Option(
        "--estimator",
        "-e",
        metavar="NAME",
        help=f"What to report, again for more: {', '.join(get_args(EstimatorName))}. Left out: "
        "several, and one recommended.",
        rich_help_panel=PAIRS,
        show_default=False,
    ),
]
Permutations = Annotated[
    int,
    typer.Option(
        min=0,
        max=MAX_PERMUTATIONS,
        help="Shuffles for a p-value of independence.",
        rich_help_panel=PAIRS,
    ),
]
ArrayX = Annotated[
    str | None,
    typer.Option("--x", metavar="NAME", help="Arrays: x's name.", rich_help_panel=PAIRS),
]
ArrayZ = Annotated[
    str | None,
    typer.Option("--z", metavar="NAME", help="Arrays: z's name.", rich_help_panel=PAIRS),
]
ColumnsX = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMNS", help="Tables: x, as a,b or 1-20.", rich_help_panel=PAIRS),
]
ColumnsZ = Annotated[
    list[str] | None, typer.Option(metavar="COLUMNS", help="Tables: z.", rich_help_panel=PAIRS)
]
View = Annotated[
    Transform, typer.Option(help="How critics see each coordinate.", rich_help_panel=PAIRS)
]
Critic = Annotated[
    PairNetwork, typer.Option("--critic", help="What critics learn with.", rich_help_panel=PAIRS)
]
Demo = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Draw pairs of known information; 'list' lists them.",
        rich_help_panel=PAIRS,
    ),
]
Plot = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a .png, .svg or .pdf.")]


def estimate_mi(
    sources: Sources = None,
    run_option: Run = None,
    data: Data = None,
    estimator: Estimators = None,
    profile: Annotated[Profile, typer.Option(help="How long critics are fitted.")] = "default",
    draws: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_DRAWS,
            help="Samples of z per sentence of a run; by default 32, fewer from 3,125 sentences on.",
            show_default=False,
        ),
    ] = None,
    permutations: Permutations = 0,
    x: ArrayX = None,
    z: ArrayZ = None,
    x_columns: ColumnsX = None,
    z_columns: ColumnsZ = None,
    transform: View = "rank",
    network: Critic = "separable",
    neighbours: Annotated[
        int,
        typer.Option(
            "--k",
            min=1,
            max=MAX_KSG_NEIGHBOURS,
            help="Neighbours of ksg.",
            rich_help_panel=PAIRS,
        ),
    ] = 3,
    demo: Demo = None,
    count: Annotated[
        int,
        typer.Option(
            "--n",
            min=1,
            max=MAX_PAIRS,
            help="How many pairs --demo draws.",
            rich_help_panel=PAIRS,
        ),
    ] = 10_000,
    plot: Plot = None,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Estimate the mutual information of a run's sentences and latents, or of any pairs.

    Every figure comes with the way it errs, its ceiling and a 95 % interval.

    Example: [bold]mivae estimate-mi runs/mine[/], or [bold]mivae estimate-mi pairs.npz[/].
    """
    paths = sources or []
    truth: float | None = None
    if demo == "list":
        return _list_demos()
    if demo is None and not _are_pairs(paths):
        of_pairs = [estimator, permutations, x, z, x_columns, z_columns, transform != "rank"]
        if any([*of_pairs, network != "separable", neighbours != 3]):
            raise ConfigError(
                "the options 'of pairs' need a file of pairs or --demo: a run's estimates are "
                "always the same"
            )
        if len(paths) > 1:
            raise ConfigError(f"one run at a time: '{paths[0]}' or '{paths[1]}'")
        with _waiting():
            report, title = _of_run(paths, run_option, data, profile, draws, seed, device)
    else:
        if run_option or data or draws is not None or (demo is not None and paths):
            raise ConfigError(
                "pairs come from one place, a file or --demo, without the options of runs"
            )
        if demo is not None:
            pairs, truth = _drawn(demo, count, seed)
        else:
            from ..estimators.io.pairs import read_pairs

            pairs = read_pairs(paths, x, z, x_columns or (), z_columns or ())
        from ..estimators import estimate_mutual_information

        title = demo or ", ".join(map(str, paths))
        with _waiting():
            report = estimate_mutual_information(
                pairs.x,
                pairs.z,
                _named(estimator or []),
                profile=profile,
                transform=transform,
                network=network,
                neighbours=neighbours,
                permutations=permutations,
                seed=seed,
            )
    return _show(report, title, truth, plot, as_json)


def _waiting() -> AbstractContextManager[object]:
    """Shows on a terminal that something goes on."""
    from .support.console import stderr

    return stderr.status("reading, fitting, measuring")


def _named(names: list[str]) -> list[EstimatorName]:
    known: tuple[EstimatorName, ...] = get_args(EstimatorName)
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"there is no estimator '{unknown[0]}'; there are {', '.join(known)}")
    return [name for wanted in names for name in known if name == wanted]


def _are_pairs(paths: list[Path]) -> bool:
    """Tells pairs from a run: a directory or a name without a data file's ending is a run."""
    return (
        bool(paths)
        and not paths[0].is_dir()
        and (paths[0].is_file() or paths[0].suffix.lower() in SUFFIXES)
    )


def _of_run(
    paths: list[Path],
    run_option: Path | None,
    data: Path | None,
    profile: Profile,
    draws: int | None,
    seed: int,
    device: str,
) -> "tuple[Report, str]":
    from .support.run_lookup import locate, open_run, open_sentences

    found = locate(str(paths[0]) if paths else None, run_option)
    store = open_sentences(found, data, {})
    run = open_run(found, device)
    report = run.estimate_mutual_information(store, draws=draws, profile=profile, seed=seed)
    return report, f"{found.path}, {data or 'test split'}"


def _drawn(demo: str, count: int, seed: int) -> "tuple[Pairs, float]":
    from ..estimators.io.pairs import Pairs
    from ..estimators.samplers import SAMPLERS

    if demo not in SAMPLERS:
        raise ConfigError(f"there is no demo '{demo}'; there are {', '.join(SAMPLERS)}")
    sampler = SAMPLERS[demo]
    x, z = sampler.draw(count, seed)
    return Pairs(x.numpy(), z.numpy()), sampler.mutual_information


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
        note(f"picture: {plot}")
    if as_json:
        print_json(asdict(report) | ({} if truth is None else {"truth": truth}), indent=2)
    else:
        stdout.print(estimates_table(report, title, truth))
