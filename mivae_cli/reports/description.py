"""What was trained, on which data, for how long and where: text and numbers from a run's documents.

The environment is the content of `environment.json`, which may be from an untrusted run.
"""

__all__ = [
    "duration",
    "facts_of",
    "settings_of",
    "sources_of",
    "splits_of",
    "summary_of",
    "weights_of",
]

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.resolve import flattened
from ..config.run import RunConfig
from ..config.toml import toml_text
from ..errors import cut
from ..experiments.summary import Outcome
from ..limits import MAX_COUNT
from ..schema import NONE
from ..storage.metrics_log import Metrics
from .records import Fact, SettingRow, SplitSize, Weighting

KINDS = {"lstm": "LSTM", "gru": "GRU", "transformer": "Transformer"}
POSTERIORS = {
    "gaussian": "Gaussian",
    "batch-norm": "batch-normalised Gaussian",
    "committed-rate": "committed-rate",
    "von-mises-fisher": "von Mises-Fisher",
}
WEIGHT_POINTS = 100  # of the curves of beta and lambda
OWN_SECTION = ("data.train", "data.valid", "data.test", "name")  # settings that other parts show
SHOWN = 200  # characters of a fact
SOURCES = 20  # names of files

Environment = Mapping[str, Any]


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


def summary_of(found: Outcome, environment: Environment) -> str:
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
    splits = splits_of(environment)
    data = ""
    if splits:
        data = f", trained on {splits[0].sentences:,} sentences"
        if config.data.train not in ("", "-"):
            data += f" of {config.data.train_title}"
    text = f"{model}{size}{data}"
    if found.minutes is not None:
        text += " in " + duration(found.minutes * 60).replace(" ", "\u00a0")
    return f"{text[0].upper()}{text[1:]}."


def sources_of(environment: Environment) -> tuple[str, ...]:
    """Returns the names of the text files, without folders, which a shared page need not tell."""
    paths = map(str, _table(environment.get("sources")))
    return tuple(cut(Path(path).name, SHOWN) for path in list(paths)[:SOURCES])


def splits_of(environment: Environment) -> tuple[SplitSize, ...]:
    """Returns the sizes of the splits that the environment gives."""
    found = []
    for split, table in _table(environment.get("splits")).items():
        counts = _table(table)
        keys = ("sentences", "tokens", "unknown", "truncated")
        sizes = [size for key in keys if isinstance(size := counts.get(key), int)]
        if len(sizes) == len(keys):
            found.append(SplitSize(cut(str(split), SHOWN), *sizes))
    return tuple(found)


def facts_of(found: Outcome, environment: Environment, metrics: Metrics) -> tuple[Fact, ...]:
    """Returns when, how long and where a run was trained."""
    config = found.config
    assert config is not None
    device = (metrics.validations and metrics.validations[-1].device) or config.device
    gpu, cpus = environment.get("gpu"), environment.get("cpus")
    if device == "auto":
        device = "cuda" if gpu else "cpu"
    where = f"{device} ({gpu})" if gpu and device.startswith("cuda") else device
    if device == "cpu":
        where = f"CPU, {cpus} cores" if cpus else "CPU"
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
    return tuple(Fact(fact.name, cut(fact.value, SHOWN)) for fact in facts)


def duration(seconds: float) -> str:
    """Returns a duration as text, such as `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def weights_of(config: RunConfig, metrics: Metrics) -> tuple[Weighting, ...]:
    """Returns beta and lambda over the epochs that were trained."""
    epochs = [float(each.epoch) for each in metrics.steps]
    last = max([*epochs, *(float(each.epoch) for each in metrics.validations)], default=0.0)
    if not 0 < last <= MAX_COUNT:
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
