"""Collect what a report shows from run directories.

A run that lacks something gives a report that says so: only paths that are no runs are errors.
"""

__all__ = ["ReportOptions", "collect_report", "run_contents"]

import shlex
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..choices import MapMethod
from ..errors import CheckpointError, MivaeError
from ..experiments.paired import compare_paired
from ..experiments.status import find_runs, outcome
from ..experiments.summary import WORDS, Outcome
from ..runs.checkpoints import CHECKPOINTS
from ..runs.directory import RunDirectory
from ..runs.loading import load_checkpoint
from ..stages import Stage
from ..storage.metrics_log import Metrics, read_metrics
from ..storage.sealed_json import read_sealed
from .command import training_command
from .description import facts_of, settings_of, sources_of, splits_of, summary_of, weights_of
from .headline import estimates_of, has_collapsed, headline, notes
from .latent import LatentSample, latent_map, latent_sample, unit_densities
from .records import Missing, ReportData, RunContents
from .texts import interpolations, reconstructions, samples

Labels = Sequence[str | float | None]


@dataclass(frozen=True)
class ReportOptions:
    """What a report contains.

    Attributes:
        points: The maximum number of sentences on the map.
        map: How the map is made.
        seed: Seeds the choice of sentences, and all draws.
        labels: One label for each sentence of the test split, and their name.
    """

    points: int = 2000
    map: MapMethod = "pca"
    seed: int = 0
    labels: tuple[str, Labels] | None = None


def collect_report(
    paths: Sequence[Path], options: ReportOptions = ReportOptions()
) -> Generator[Stage, None, ReportData]:
    """Yields stages, and returns the contents of a report on one run or several.

    Arguments:
        paths: Run directories, or folders of runs.
        options: What the report contains.

    Raises:
        CheckpointError: There is no run at a path.
        ConfigError: An option is out of range, or a package is missing.
    """
    found = find_runs(paths)
    outcomes = [outcome(path, name) for name, path in found.items()]
    alone = len(outcomes) == 1
    if alone:  # the record with the tightest importance-weighted bound
        outcomes = [each.sampled(max(each.evaluations.sampled, default=0)) for each in outcomes]
    runs = []
    for place, each in enumerate(outcomes):
        yield Stage(f"reading {each.path}", place, len(outcomes))
        contents = run_contents(each)
        if alone and each.standing != "damaged":
            contents = yield from _with_latents(contents, options)
        runs.append(contents)
    title = f"Report on {runs[0].name}" if alone else f"Report on {len(runs)} runs"
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    compared = None if alone else compare_paired(outcomes)
    return ReportData(title, tuple(runs), compared, __version__, written)


def run_contents(found: Outcome) -> RunContents:
    """Returns what a report shows of a run without loading its model."""
    state = WORDS.get(found.standing, found.standing)
    config = found.config
    if config is None:
        gap = Missing("Everything", found.problem, _command("mivae verify", found.path))
        return RunContents(
            found.name, found.path, state, "This run cannot be read.", missing=(gap,)
        )
    run = RunDirectory.open(Path(found.path))
    missing: list[Missing] = []
    metrics = Metrics()
    try:
        metrics = read_metrics(run.metrics_path)
    except MivaeError as error:
        missing.append(
            Missing("Curves of training", str(error), _command("mivae verify", run.path))
        )
    environment: Mapping[str, Any] = {}
    try:
        path = run.manifest.checked_path("environment.json")
        environment = read_sealed(path, "environment")
    except MivaeError as error:
        missing.append(Missing("Machine and data", str(error), _command("mivae verify", run.path)))
    if found.standing in ("interrupted", "failed", "running"):
        command = (
            "" if found.standing == "running" else _command("mivae train --resume --out", run.path)
        )
        what = "The end of training, and all figures of the test split"
        missing.append(Missing(what, found.problem, command))
    elif not found.measured:
        what = "All figures of the test split"
        missing.append(Missing(what, found.problem, _command("mivae eval", run.path)))
    elif not metrics.validations and not any(each.what.startswith("Curves") for each in missing):
        missing.append(Missing("Curves of training", "the log has no validation"))
    record = found.evaluation if found.measured else None
    contents = RunContents(
        name=found.name,
        path=found.path,
        standing=state,
        summary=summary_of(found, environment),
        language_model=not config.model.latent_size,
        command=training_command(config),
        settings=settings_of(config),
        splits=splits_of(environment),
        sources=sources_of(environment),
        facts=facts_of(found, environment, metrics),
        metrics=metrics,
        weights=weights_of(config, metrics),
        missing=tuple(missing),
    )
    if record is None:
        return replace(contents, notes=notes(found, metrics))
    rates = [rate for rate in record.get("rates") or () if rate is not None]
    return replace(
        contents,
        checkpoint=str((record.get("checkpoint") or {}).get("name") or ""),
        headline=headline(found),
        notes=notes(found, metrics),
        # on the sphere, there is one rate for all units
        rates=tuple(map(float, rates)) if len(rates) == config.model.latent_size else (),
        rate=record.get("rate"),
        collapsed=has_collapsed(found),
        aggregated_divergence=record.get("kl_aggregated_prior"),
        estimates=estimates_of(found),
    )


def _with_latents(
    contents: RunContents, options: ReportOptions
) -> Generator[Stage, None, RunContents]:
    """Yields stages, and returns contents with those parts that need the model."""
    run = RunDirectory.open(Path(contents.path))
    try:
        yield Stage("loading the model", 0, 4)
        try:
            loaded = load_checkpoint(run, "cpu")
        except CheckpointError:  # while the objective changes, no checkpoint is the best
            loaded = load_checkpoint(RunDirectory.open(run.path / CHECKPOINTS / "last"), "cpu")
        corpus = run.open_corpus()
        config = run.load_config()
        longest = config.data.max_tokens
        generation = loaded.model, corpus, longest, options.seed
        contents = replace(contents, checkpoint=loaded.run.name)
        if contents.language_model:
            yield Stage("generating text", 1, 4)
            return replace(contents, samples=samples(*generation))
        yield Stage("encoding sentences", 1, 4)
        sample: LatentSample = latent_sample(loaded.model, corpus, options.points, options.seed)
        yield Stage("drawing the map", 2, 4)
        label_name, labels = options.labels or ("", None)
        contents = replace(
            contents,
            rates=contents.rates or (() if sample.scales is None else sample.unit_rates),
            densities=unit_densities(sample),
            map=latent_map(sample, options.map, options.seed, label_name, labels),
        )
        yield Stage("generating text", 3, 4)
        return replace(
            contents,
            reconstructions=reconstructions(*generation),
            interpolations=interpolations(*generation),
            samples=samples(*generation),
        )
    except MivaeError as error:
        if options.labels is not None or options.map != "pca":
            raise  # the options may be at fault
        saved = any(run.checkpoints.folders())
        command = (
            _command("mivae verify", run.path)
            if saved
            else _command("mivae train --resume --out", run.path)
        )
        gap = Missing("The latent space and generated text", str(error), command)
        return replace(contents, missing=(*contents.missing, gap))


def _command(name: str, path: str | Path) -> str:
    """Returns a command for a run, as a shell takes it."""
    return f"{name} {shlex.quote(str(path))}"
