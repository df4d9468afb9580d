"""Collect what a report shows from run directories.

A run that lacks something gives a report that says so: only paths that are no runs are errors.
"""

__all__ = ["ReportOptions", "collect_report", "run_contents"]

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..choices import MapMethod
from ..config.resolve import flattened
from ..config.run import RunConfig
from ..config.toml import toml_text
from ..errors import MivaeError
from ..experiments.paired import compare_paired
from ..experiments.status import find_runs, outcome
from ..experiments.summary import WORDS, Outcome
from ..runs.directory import RunDirectory
from ..runs.loading import load_checkpoint
from ..schema import NONE
from ..stages import Stage
from ..storage.metrics_log import Metrics, read_metrics
from ..storage.sealed_json import read_sealed
from .headline import estimates_of, headline, notes
from .latent import LatentSample, latent_map, latent_sample, unit_densities
from .records import (
    Fact,
    Missing,
    ReportData,
    RunContents,
    SettingRow,
    SplitSize,
    Weighting,
)
from .texts import interpolations, reconstructions, samples

KINDS = {"lstm": "LSTM", "gru": "GRU", "transformer": "Transformer"}
POSTERIORS = {
    "gaussian": "Gaussian",
    "batch-norm": "batch-normalised Gaussian",
    "committed-rate": "committed-rate",
    "von-mises-fisher": "von Mises-Fisher",
}
WEIGHT_POINTS = 100  # of the curves of beta and lambda
OWN_SECTION = ("data.train", "data.valid", "data.test", "name")  # settings that other parts show

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
    name = Path(found.path).resolve().name
    config = found.config
    if config is None:
        gap = Missing("Everything", found.problem, f"mivae verify {found.path}")
        return RunContents(name, found.path, state, "This run cannot be read.", missing=(gap,))
    run = RunDirectory.open(Path(found.path))
    missing: list[Missing] = []
    metrics = Metrics()
    try:
        metrics = read_metrics(run.metrics_path)
    except MivaeError as error:
        missing.append(Missing("Curves of training", str(error), f"mivae verify {run.path}"))
    environment: Mapping[str, Any] = {}
    try:
        path = run.manifest.checked_path("environment.json")
        environment = read_sealed(path, "environment")
    except MivaeError as error:
        missing.append(Missing("Machine and data", str(error), f"mivae verify {run.path}"))
    if found.standing in ("interrupted", "failed", "running"):
        command = "" if found.standing == "running" else f"mivae train --resume --out {run.path}"
        missing.append(Missing("The end of training", found.problem, command))
    if not found.measured:
        reason = found.problem if found.standing == "trained" else "training has not ended"
        missing.append(Missing("All figures of the test split", reason, f"mivae eval {run.path}"))
    elif not metrics.validations and not any(each.what.startswith("Curves") for each in missing):
        missing.append(Missing("Curves of training", "the log has no validation"))
    record = found.evaluation if found.measured else None
    contents = RunContents(
        name=name,
        path=found.path,
        standing=state,
        summary=_summary(found, environment),
        language_model=not config.model.latent_size,
        settings=settings_of(config),
        splits=_splits(environment),
        # a page that is sent around does not tell where its author keeps files
        sources=tuple(Path(path).name for path in map(str, _table(environment.get("sources")))),
        facts=_facts(found, environment, metrics),
        metrics=metrics,
        weights=_weights(config, metrics),
        missing=tuple(missing),
    )
    if record is None:
        return replace(contents, notes=notes(found, metrics))
    rates = record.get("rates") or ()
    return replace(
        contents,
        checkpoint=str((record.get("checkpoint") or {}).get("name") or ""),
        headline=headline(found),
        notes=notes(found, metrics),
        rates=tuple(map(float, rates)) if all(each is not None for each in rates) else (),
        rate=record.get("rate"),
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
        loaded = load_checkpoint(run, "cpu")
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
            rates=contents.rates or sample.unit_rates,
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
        command = f"mivae verify {run.path}" if saved else f"mivae train --resume --out {run.path}"
        gap = Missing("The latent space and generated text", str(error), command)
        return replace(contents, missing=(*contents.missing, gap))


def settings_of(config: RunConfig) -> tuple[SettingRow, ...]:
    """Returns the settings of a run, those that differ from the defaults first."""
    own, defaults = flattened(config), flattened(RunConfig())
    rows = [
        SettingRow(key, _toml(value), _toml(defaults[key]) if key in defaults else "")
        for key, value in own.items()
        if key not in OWN_SECTION
    ]
    return tuple(sorted(rows, key=lambda row: not row.changed))


def _toml(value: object) -> str:
    return toml_text(NONE if value is None else value)


def _summary(found: Outcome, environment: Mapping[str, Any]) -> str:
    """Returns one sentence about model, data, duration and machine."""
    config = found.config
    assert config is not None
    decoder = KINDS[config.model.decoder.kind]
    if config.model.latent_size:
        encoder = KINDS[config.model.encoder.kind]
        networks = f"{encoder} encoder and {decoder} decoder"
        units = config.model.latent_size
        posterior = POSTERIORS[config.model.posterior.kind]
        model = f"a text VAE with {units:,} latent units ({posterior} posterior, {networks})"
    else:
        model = f"a language model without a latent ({decoder})"
    size = f", {found.parameters:,} weights" if found.parameters else ""
    splits = _splits(environment)
    data = ""
    if splits:
        data = f", trained on {splits[0].sentences:,} sentences"
        if config.data.train not in ("", "-"):
            data += f" of {Path(config.data.train).name}"
    text = f"{model}{size}{data}"
    if found.minutes is not None:
        text += " in " + duration(found.minutes * 60).replace(" ", "\u00a0")
    return f"{text[0].upper()}{text[1:]}."


def _splits(environment: Mapping[str, Any]) -> tuple[SplitSize, ...]:
    found = []
    for split, table in _table(environment.get("splits")).items():
        counts = _table(table)
        keys = ("sentences", "tokens", "unknown", "truncated")
        sizes = [size for key in keys if isinstance(size := counts.get(key), int)]
        if len(sizes) == len(keys):
            found.append(SplitSize(str(split), *sizes))
    return tuple(found)


def _facts(found: Outcome, environment: Mapping[str, Any], metrics: Metrics) -> tuple[Fact, ...]:
    """Returns when, how long and where a run was trained."""
    config = found.config
    assert config is not None
    device = environment.get("device") or config.device
    gpu = environment.get("gpu")
    cpus = environment.get("cpus")
    where = f"{gpu}" if gpu and device != "cpu" else f"CPU, {cpus} cores" if cpus else str(device)
    facts = [Fact("Preset", config.name), Fact("Seed", str(config.seed))]
    if metrics.validations:
        last = metrics.validations[-1]
        facts.append(Fact("Trained", f"{last.epoch:,} epochs, {last.step:,} steps"))
    if found.minutes is not None:
        facts.append(Fact("Duration", duration(60 * found.minutes)))
    speeds = [each.tokens_per_second for each in metrics.steps if each.tokens_per_second]
    if speeds:
        facts.append(Fact("Speed", f"{sorted(speeds)[len(speeds) // 2]:,.0f} tokens per second"))
    if environment:
        facts += [
            Fact("Started", str(environment.get("started", "")).replace("T", " ")[:19] + " UTC"),
            Fact("Device", where),
            Fact("System", str(environment.get("platform", ""))),
            Fact("Python, torch", f"{environment.get('python')}, {environment.get('torch')}"),
            Fact("mivae", str(environment.get("mivae", ""))),
        ]
    return tuple(facts)


def duration(seconds: float) -> str:
    """Returns a duration as text, such as `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _weights(config: RunConfig, metrics: Metrics) -> tuple[Weighting, ...]:
    """Returns beta and lambda over the epochs that were trained."""
    epochs = [float(each.epoch) for each in metrics.steps]
    last = max([*epochs, *(float(each.epoch) for each in metrics.validations)], default=0.0)
    if not last or not math.isfinite(last):
        return ()
    found = []
    for place in range(WEIGHT_POINTS + 1):
        epoch = last * place / WEIGHT_POINTS
        weights = config.objective.weights(epoch - config.training.autoencoder_epochs)
        beta, information = weights.rate or 0.0, weights.information or 0.0
        found.append(Weighting(round(epoch, 4), float(beta), float(information)))
    return tuple(found)


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
