"""Stop and resume trainings, and compare them with an uninterrupted one."""

import json
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mivae_cli.config.run import RunConfig
from mivae_cli.data.prepared_corpus import Corpus
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.signals import Interrupted, Interruption
from mivae_cli.training.trainer import Trainer

CLOCK = ("tokens_per_second", "seconds_left", "seconds", "time")


class AfterSteps(Interruption):
    """Interrupts training at check number `looks` + 1; the first is before the first step."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            raise Interrupted(signal.SIGTERM)


def train_with_stops(
    config: RunConfig, corpus: Corpus, place: Path, looks: Iterable[int]
) -> RunDirectory:
    """Trains a run with interruptions after each of these numbers of checks, then to its end."""
    run = create_run(place, config, corpus)
    for count in looks:
        trainer = Trainer(config, corpus)
        trainer.resume(run)
        with pytest.raises(Interrupted):
            list(trainer.fit(run, AfterSteps(count)))
        torch.manual_seed(count)  # a new process has other random numbers
    resumed = Trainer(config, corpus)
    resumed.resume(run)
    list(resumed.fit(run))
    return run


def weights_of(run: RunDirectory) -> dict[str, torch.Tensor]:
    """Returns every tensor of the newest checkpoint."""
    folder = run.checkpoints.newest()[0].manifest.folder
    return {
        f"{file}:{name}": tensor
        for file in ("model", "critic", "training")
        if (folder / f"{file}.safetensors").exists()
        for name, tensor in load_file(str(folder / f"{file}.safetensors")).items()
    }


def assert_same_end(run: RunDirectory, other: RunDirectory) -> None:
    """Fails unless two runs have bit-identical last checkpoints and the same metrics log."""
    expected, found = weights_of(other), weights_of(run)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor.nan_to_num(), found[name].nan_to_num()), name
    assert _timeless(run) == _timeless(other)


def _timeless(run: RunDirectory) -> list[dict[str, object]]:
    """Returns the records of the metrics log without times."""
    lines = map(json.loads, run.metrics_path.read_text().splitlines())
    return [{key: value for key, value in line.items() if key not in CLOCK} for line in lines]
