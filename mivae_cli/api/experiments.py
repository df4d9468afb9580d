"""Work with several runs: compare, sweep, and verify."""

__all__ = ["compare", "sweep", "verify"]

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..config.grid import configurations, expand
from ..config.toml import toml_text
from ..devices import kept_torch_state
from ..errors import ConfigError
from ..experiments import verify as verification
from ..experiments.comparison import Comparison
from ..experiments.paired import compare_paired
from ..experiments.status import find_runs, outcome
from ..experiments.sweep import PlannedRun, prepare_corpora, run_sweep
from ..experiments.train_run import unused_path
from ..experiments.verify import Verification
from ..generation.evaluate_text import Plan
from ..runs.directory import RunDirectory
from ..signals import CtrlC, Interrupted
from ..stages import finish
from ..storage.manifest import MANIFEST
from ..tracking.trackers import Tracking
from .configuration import checked_settings, plain_value
from .progress import Progress, callback
from .texts import text_paths


def compare(
    *paths: str | Path, fold: bool = True, baseline: str | Path | None = None
) -> Comparison:
    """Returns runs side by side: the settings that differ, perplexity, mutual information.

    `row.figures["nll_difference"]` is the difference in negative log-likelihood to a baseline, with
    its 95 % interval: paired over the test sentences, and over seeds if a row has several.

    Arguments:
        paths: Run directories, or folders of runs; by default `runs`.
        fold: Whether runs that differ only in their seed become one row, with mean and standard
            deviation.
        baseline: The row, by its name or the path of a run, that the differences refer to; by
            default the row with the lowest negative log-likelihood.

    Returns:
        A record with `rows`, `columns`, `settings`, `warnings`, and the `pairing` of the
        differences. The figures of a row are by column key, such as
        `row.figures["mi_known_posterior"].value`, in nats per sentence.

    Raises:
        CheckpointError: There is no run at a path.
        ConfigError: The baseline is not one of the evaluated rows.

    >>> compared = mivae.compare("runs/mine", "runs/vae")
    >>> [row.name for row in compared.rows]
    ['mine', 'vae']
    >>> compared.rows[0].figures["ppl_iw"].value > 1
    True
    >>> compared = mivae.compare("runs/mine", "runs/vae", baseline="runs/vae")
    >>> compared.pairing.baseline
    'vae'
    >>> difference = compared.rows[0].figures["nll_difference"]
    >>> difference.low < difference.value < difference.high
    True
    """
    found = find_runs([Path(path) for path in paths or ("runs",)])
    outcomes = [outcome(path, name) for name, path in found.items()]
    return compare_paired(outcomes, fold, None if baseline is None else str(baseline))


@kept_torch_state()
def sweep(
    corpus: str | Path | Sequence[Path],
    settings: Mapping[str, object] | None = None,
    presets: str | Sequence[str] = (),
    *,
    seeds: int | Iterable[int] | None = None,
    config: str | Path | None = None,
    out: str | Path | None = None,
    full: bool = False,
    track: str | Iterable[str] = (),
    track_dir: str | Path | None = None,
    progress: Progress = None,
) -> Comparison:
    """Trains and evaluates a run for each combination of settings, and compares them.

    An interrupted sweep continues when it is called again with the same `out`. A failed run does
    not stop the sweep; its row has the standing `failed`.

    Arguments:
        corpus: A text file, a folder, a pattern such as `"shards/*.txt"`, or a list of
            `pathlib.Path`.
        settings: A value or a list of alternatives by key: `{"objective.mi_weight": [0, 1]}`.
        presets: Presets to combine, with alternatives separated by commas: `["mine,vae", "ptb"]`.
        seeds: A value of `seed`, or several; by default that of the settings.
        config: A TOML file for all runs.
        out: The folder of the runs; by default a new one under `runs/`.
        full: Whether to evaluate generated text, too.
        track: A tracker (tensorboard, wandb, trackio) that also gets curves and texts, or several.
        track_dir: The folder for trackers; by default `tracking` in `out`.
        progress: True to print a line per epoch, or a callback that receives all records.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed. The current run stops after a step and is saved.
        ConfigError: A setting does not exist, or `out` cannot be used.
        DataError: The text cannot be read.

    >>> grid = {**small, "objective.beta": [0.5, 1.0]}
    >>> len(mivae.sweep("corpus.txt", grid, "vae", out="runs/sweep").rows)
    2
    """
    if (paths := text_paths(corpus)) is None:
        raise ConfigError("the corpus of a sweep must be a path or a list of paths")
    show, tracking = callback(progress), Tracking.of(track, track_dir)
    grid = {**checked_settings(settings), **({} if seeds is None else {"seed": seeds})}
    overrides = [f"{key}={_alternatives(key, value)}" for key, value in grid.items()]
    members = expand(presets, overrides)
    file = None if config is None else Path(config)
    configs = configurations(members, file, {"data.train": paths})
    folder = unused_path(configs[0], "sweep-{corpus}") if out is None else Path(out)
    if (folder / MANIFEST).exists():
        raise ConfigError(f"'{folder}' is a run: `out` must name a folder for several runs")
    planned = [
        PlannedRun(member.name, resolved, folder / member.name)
        for member, resolved in zip(members, configs, strict=True)
    ]
    corpora = finish(prepare_corpora(planned))
    try:
        with CtrlC() as interruption:
            plan = Plan() if full else None
            work = run_sweep(
                planned, corpora, full=plan, interruption=interruption, tracking=tracking
            )
            return compare_paired(finish(work, show))
    except Interrupted:
        raise KeyboardInterrupt(
            f"the runs are saved; call sweep again with out='{folder}' to continue"
        ) from None


@kept_torch_state()
def verify(path: str | Path) -> Verification:
    """Checks every file of a run against its checksum, and loads its checkpoints.

    Returns:
        A record with `sound` (whether there are no problems), `findings`, and the names of the
        `best` and the last `resumable` checkpoint.

    Raises:
        CheckpointError: There is no run at this path, or its manifest is damaged.

    >>> mivae.verify("runs/mine").sound
    True
    """
    return verification.verify(RunDirectory.open(Path(path)))


def _alternatives(key: str, values: object) -> str:
    """Returns one value, or several separated by commas, as TOML."""
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        values = [values]
    listed = [toml_text(plain_value(value)) for value in values]
    if not listed:
        raise ConfigError(f"'{key}' has no alternatives")
    return ",".join(listed)
