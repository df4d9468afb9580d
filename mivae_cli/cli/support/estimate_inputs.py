"""The input of 'estimate-mi', and the options that apply to it."""

__all__ = ["Input", "Task", "check_options", "demo_pairs", "input_of"]

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from ...errors import ConfigError
from .text_options import OPTIONS as READING_OPTIONS

if TYPE_CHECKING:
    from ...estimators.io.pairs import Pairs

Input = Literal["run", "files", "demo"]
Task = Literal["estimate", "given", "labels", "rank"]

SUFFIXES = {".npz", ".npy", ".safetensors", ".csv", ".tsv", ".parquet", ".gz"}
NAMES: dict[Input | Task, str] = {
    "run": "a run",
    "files": "paired samples from files",
    "demo": "--demo",
    "estimate": "the estimate of I(x; z)",
    "given": "--given",
    "labels": "--labels",
    "rank": "--rank",
}
TABLES = {"header", "delimiter"}
RUN = {"run_option", "data", "draws", "device", "labels", *READING_OPTIONS} - TABLES
FILES = {"x", "z", "x_columns", "z_columns", "given", "groups"}
PAIRS = {
    *("estimator", "transform", "network", "neighbours", "demo", "blocks"),
    *("pointwise", "rank", "redundancy", "fdr"),
}
# These apply to a run only if it has labels
LABELLED = {"permutations", "discrete", "drop_missing"}
CRITICS = {"estimator", "profile", "transform", "network", "pointwise"}
# The parameters that do not apply to an input or a task
EXCLUDED: dict[Input | Task, set[str]] = {
    "run": PAIRS | FILES | {"count"},
    "files": RUN | {"count"},
    "demo": RUN | FILES | TABLES | {"sources", "discrete", "drop_missing"},
    "estimate": {"redundancy", "fdr", "label_column"},
    "given": CRITICS | {"redundancy", "fdr", "label_column"},
    "labels": CRITICS | {"draws"},
    "rank": CRITICS | {"given", "plot", "label_column"},
}

# What an option that is rejected needs, and otherwise what to do instead
NEEDS = {"count": "--demo", "redundancy": "--rank", "fdr": "--rank", "label_column": "--labels"}
ADVICE: dict[Input | Task, str] = {
    "run": "to use it with latent codes, write them with 'mivae encode RUN TEXT.csv -o codes.csv', "
    "which keeps the other columns of the text, and estimate from that table",
    "files": "it applies to a run",
    "given": "its estimators, model and k-NN, have no such choice",
    "labels": "its estimators have no such choice",
    "rank": "estimate one feature at a time, without --rank",
}
ADVICE_FOR: dict[tuple[Input | Task, str], str] = {
    ("files", "labels"): "choose the columns of labels with --z-columns",
    ("given", "pointwise"): "the terms are those of I(x; z); leave out --given",
    ("demo", "sources"): "leave out one of them",
}


def input_of(sources: list[Path], demo: str | None) -> Input:
    """Returns the kind of the input: the first path is a data file by existence or extension."""
    if demo is not None:
        return "demo"
    if not sources or sources[0].is_dir():
        return "run"
    known = sources[0].is_file() or sources[0].suffix.lower() in SUFFIXES
    return "files" if known else "run"


def check_options(context: typer.Context, source: Input, task: Task) -> None:
    """Raises ConfigError if an option on the command line does not apply, whatever its value."""
    for parameter in context.command.params:
        name = parameter.name or ""
        origin = context.get_parameter_source(name)
        if origin is None or origin.name != "COMMANDLINE":
            continue
        option = parameter.opts[0] if name != "sources" else "a file or run"
        for kind in (source, task):
            if name in EXCLUDED[kind]:
                raise ConfigError(_rejection(option, name, kind))
        if name in LABELLED and source == "run" and task != "labels":
            raise ConfigError(f"{option} applies to a run with --labels, or to paired samples")


def _rejection(option: str, name: str, kind: Input | Task) -> str:
    """Returns why an option does not apply, and what to do instead."""
    if name in NEEDS:
        return f"{option} needs {NEEDS[name]}"
    advice = ADVICE_FOR.get((kind, name), ADVICE.get(kind))
    return f"{option} cannot be combined with {NAMES[kind]}" + (f"; {advice}" if advice else "")


def demo_pairs(demo: str, count: int, seed: int) -> "tuple[Pairs, float]":
    """Returns draws from a demo distribution, and their mutual information in nats.

    Raises:
        ConfigError: There is no such demo.
    """
    from ...estimators.io.data_frames import frame_of
    from ...estimators.io.pairs import Pairs
    from ...estimators.samplers import SAMPLERS

    if demo not in SAMPLERS:
        raise ConfigError(f"unknown demo '{demo}'; choose {', '.join(SAMPLERS)}")
    sampler = SAMPLERS[demo]
    x, z = sampler.draw(count, seed)
    return Pairs(frame_of(x, "x"), frame_of(z, "z")), sampler.mutual_information
