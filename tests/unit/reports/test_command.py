"""The command that trains a run again: it gives the settings of the run, or there is none."""

import shlex
from typing import Any

import pytest

from mivae_cli.config.resolve import read_config
from mivae_cli.config.run import RunConfig
from mivae_cli.reports.command import training_command


def parsed(command: str) -> RunConfig:
    """Returns the configuration of a command, read as the command line reads it."""
    program, train, text, *options = shlex.split(command)
    assert (program, train) == ("mivae", "train")
    found: dict[str, list[str]] = {}
    for name, value in zip(options[::2], options[1::2], strict=True):
        found.setdefault(name, []).append(value)
    paths: dict[str, Any] = {"data.train": text}
    paths |= {f"data.{key}": found.get(f"--{key}", [""])[0] for key in ("valid", "test")}
    return read_config(found.get("--preset", []), None, paths, found.get("--set", []))


@pytest.mark.parametrize(
    ("presets", "overrides"),
    [
        ((), ()),
        ("vae", ("seed=3", "data.tokenizer.kind=word")),
        (("mine-free-bits", "ptb"), ("model.encoder.kind=transformer", "training.epochs=2")),
        ("vae", ('name="my run\'s $(name)"', "model.posterior.kind=von-mises-fisher")),
        ((), ("model.init_scale=0.5", "data.header=false", 'data.column="12"')),
        ("lm", ("objective.beta_schedule.kind=cyclical", "name=vae")),
    ],
)
def test_the_command_gives_the_same_settings(
    presets: str | tuple[str, ...], overrides: tuple[str, ...]
) -> None:
    config = read_config(
        presets, None, {"data.train": "a text.txt", "data.test": "-t.txt"}, overrides
    )
    command = training_command(config)
    assert command
    expected = config.data.model_copy(update={"test": "./-t.txt"})
    assert parsed(command) == config.model_copy(update={"data": expected})


def test_the_command_names_what_differs_and_no_folder() -> None:
    config = read_config("vae", None, {"data.train": "/home/somebody/text.txt"}, ["seed=3"])
    assert training_command(config) == "mivae train text.txt --preset vae --set seed=3"


@pytest.mark.parametrize("train", ["", "-", "a\u202eb.txt", "x" * 3000])
def test_without_a_text_file_that_can_be_named_there_is_no_command(train: str) -> None:
    config = RunConfig()
    data = config.data.model_copy(update={"train": train})
    assert training_command(config.model_copy(update={"data": data})) == ""


def test_all_texts_of_a_corpus_are_named_without_folders() -> None:
    config = read_config(options={"data.train": ["/secret/a.txt", "/secret/shards/*.txt"]})
    assert shlex.split(training_command(config))[:4] == ["mivae", "train", "a.txt", "*.txt"]
