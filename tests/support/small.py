"""A small corpus of scenes, and a small run on it, for tests of whole trainings."""

from pathlib import Path
from typing import Any

from mivae_cli.config.run import RunConfig
from mivae_cli.data.prepared_corpus import Corpus, prepare_corpus
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.training.events import TrainingRecord
from mivae_cli.training.trainer import Trainer
from support.example_scripts import load

scenes = load("scenes")

SMALL: dict[str, Any] = {
    "data": {"tokenizer": {"kind": "word"}},
    "model": {
        "latent_size": 4,
        "encoder": {"embedding_size": 16, "hidden_size": 32},
        "decoder": {"embedding_size": 16, "hidden_size": 32, "dropout": 0.0},
    },
    "critic": {
        "network": {"kind": "separable", "hidden_size": 16, "score_size": 8},
        "queue_size": 64,
    },
    "training": {"epochs": 2, "batch_size": 32, "log_every": 5},
}
SIZES: dict[str, dict[str, Any]] = {
    "lstm": {"kind": "lstm", "embedding_size": 16, "hidden_size": 32},
    "gru": {"kind": "gru", "embedding_size": 16, "hidden_size": 32, "layers": 2},
    "transformer": {"kind": "transformer", "width": 16, "heads": 2, "feedforward_size": 32},
}


def write_scenes(path: Path, count: int = 400, seed: int = 0) -> Path:
    """Writes a corpus of sentences from the grammar of scenes."""
    lines = [f"{scene.sentence()}\n" for scene in scenes.scenes(count, seed)]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def small_config(text: Path, **sections: dict[str, Any]) -> RunConfig:
    """Returns the small configuration, with settings of the given sections replaced."""
    table = {**SMALL, "data": {**SMALL["data"], "train": str(text)}}
    for name, section in sections.items():
        table[name] = {**table.get(name, {}), **section}
    return RunConfig.model_validate(table)


def networks(kind: str) -> dict[str, Any]:
    """Returns the model section for an encoder and a decoder of one kind."""
    network = {**SIZES[kind], "dropout": 0.1}
    return {"latent_size": 4, "encoder": network, "decoder": {**network, "word_dropout": 0.1}}


def train_to_end(
    config: RunConfig, place: Path
) -> tuple[RunDirectory, Corpus, list[TrainingRecord]]:
    """Trains a run without interruption."""
    corpus = prepare_corpus(config.data)
    run = create_run(place, config, corpus)
    return run, corpus, list(Trainer(config, corpus).fit(run))
