"""The 'estimate-mi' command."""

from typing import cast

import typer

from ..choices import EstimatorName
from ..errors import ConfigError
from .support.estimate_inputs import Task, check_options, demo_pairs, input_of
from .support.estimate_options import (
    ArrayX,
    ArrayZ,
    ColumnsX,
    ColumnsZ,
    Count,
    Demo,
    Draws,
    Estimators,
    FitProfile,
    Given,
    InputTransform,
    LabelColumn,
    LabelFile,
    Neighbours,
    Network,
    Permutations,
    Plot,
    Sources,
)
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
from .support.text_options import Reading, reads_text

STATUS = "estimating mutual information"  # beside a spinner on a terminal
RANK_PERMUTATIONS = 1000  # by default


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
    labels: LabelFile = None,
    label_column: LabelColumn = "label",
    permutations: Permutations = 0,
    x: ArrayX = None,
    z: ArrayZ = None,
    x_columns: ColumnsX = None,
    z_columns: ColumnsZ = None,
    given: Given = None,
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
    neither), its ceiling and a 95 % interval. With --labels, of labels of
    sentences and latents; with --given, conditional on other columns.

    Example: [bold]mivae estimate-mi runs/mine[/], or [bold]mivae estimate-mi pairs.npz[/].
    """
    from .support.console import stderr
    from .support.estimate_output import show_demos, show_report

    if demo == "list":
        return show_demos()
    paths = sources or []
    source = input_of(paths, demo)
    tasks: dict[Task, object] = {"rank": rank, "given": given, "labels": labels}
    task: Task = next((name for name, wanted in tasks.items() if wanted), "estimate")
    check_options(context, source, task)
    if source == "run":
        if len(paths) > 1:
            raise ConfigError(f"choose one run, '{paths[0]}' or '{paths[1]}'")
        from .support.run_lookup import locate, open_run, open_sentences
        from .support.text_input import opened_sentences

        found = locate(str(paths[0]) if paths else None, run_option)
        title = f"{found.path}, {data or 'test split'}"
        with stderr.status(STATUS):
            if labels is None:
                store = open_sentences(found, data, reading)
                run = open_run(found, device)
                report = run.estimate_mutual_information(
                    store, draws=draws, profile=profile, seed=seed
                )
            else:
                run, title = open_run(found, device), f"{title}: I(label; z)"
                with opened_sentences(run, data, reading) as sentences:
                    report = run.estimate_label_information(
                        labels,
                        sentences,
                        column=label_column,
                        discrete=discrete,
                        drop_missing=drop_missing,
                        permutations=permutations,
                        seed=seed,
                    )
        return show_report(report, title, None, plot, as_json)

    truth: float | None = None
    if demo is not None:
        pairs, truth = demo_pairs(demo, count, seed)
    else:
        from ..estimators.io.pairs import read_pairs

        pairs = read_pairs(
            paths,
            x,
            z,
            x_columns or (),
            z_columns or (),
            given or (),
            groups,
            header=cast(bool | None, reading.get("data.header")),
            delimiter=cast(str | None, reading.get("data.delimiter")),
            discrete=discrete,
        )
    title = demo or ", ".join(map(str, paths))
    if rank:
        from ..estimators import rank_features
        from .support.ranking_output import show_ranking

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
    from ..estimators import estimate_mutual_information

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
            given=pairs.given,
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
    return show_report(report, title, truth, plot, as_json)
