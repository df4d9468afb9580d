"""The run directory: self-contained, refused where damaged, careful with what it replaces."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small import small_config, train_to_end, write_scenes

from mivae_cli.checkpoint import RunDirectory, newest_run
from mivae_cli.data.store import Corpus
from mivae_cli.errors import CheckpointError, ConfigError
from mivae_cli.trainer import Trainer


@pytest.fixture
def trained(tmp_path: Path) -> tuple[RunDirectory, Corpus]:
    text = write_scenes(tmp_path / "scenes.txt", count=300)
    config = small_config(text, training={"epochs": 1})
    run, corpus, _ = train_to_end(config, tmp_path / "runs" / "one")
    return run, corpus


def test_a_run_holds_all_that_its_model_needs(trained: tuple[RunDirectory, Corpus]) -> None:
    run, corpus = trained
    for path in corpus.folder.iterdir():  # the cache and the text may go
        path.unlink()
    next(run.path.parent.parent.glob("*.txt")).unlink()
    opened = RunDirectory.open(run.path)
    model = opened.load_model()
    assert not model.training
    assert opened.tokenizer.size == len(model.decoder.output.bias)
    assert len(opened.corpus["train"]) > len(opened.corpus["test"]) > 0


def test_no_file_of_a_run_is_a_pickle(trained: tuple[RunDirectory, Corpus]) -> None:
    run, _ = trained
    files = [path for path in run.path.rglob("*") if path.is_file()]
    endings = {".json", ".jsonl", ".safetensors", ".npy", ".tokens"}
    assert {path.suffix for path in files} == endings
    assert not any(path.read_bytes().startswith((b"\x80", b"PK")) for path in files)


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_checkpoint_inside_a_run_can_be_named(
    trained: tuple[RunDirectory, Corpus], name: str
) -> None:
    run, _ = trained
    opened = RunDirectory.open(run.path / "checkpoints" / name)
    assert opened.name == name
    assert opened.path == run.path
    assert opened.load_model().latent_size == 4


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no run"):
        RunDirectory.open(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        RunDirectory.open(tmp_path)


def test_a_run_without_a_checkpoint_is_refused(trained: tuple[RunDirectory, Corpus]) -> None:
    run, _ = trained
    (run.checkpoint / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        run.load_model()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(
    trained: tuple[RunDirectory, Corpus], value: float
) -> None:
    run, _ = trained
    path = run.checkpoint / "model.safetensors"
    tensors = load_file(str(path))
    tensors["decoder.output.bias"][3] = value
    save_file(tensors, str(path))
    with pytest.raises(CheckpointError, match=r"decoder\.output\.bias"):
        run.load_model()


@pytest.mark.parametrize("keep", [0, 7, 1000])
def test_truncated_weights_are_refused(trained: tuple[RunDirectory, Corpus], keep: int) -> None:
    run, _ = trained
    path = run.checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="damaged"):
        run.load_model()


def test_weights_of_another_model_are_refused(trained: tuple[RunDirectory, Corpus]) -> None:
    run, _ = trained
    table = json.loads((run.path / "config.json").read_text())
    table["model"]["latent_size"] = 5
    (run.path / "config.json").write_text(json.dumps(table))
    with pytest.raises(CheckpointError, match="another model"):
        run.load_model()


@pytest.mark.parametrize("text", ["", "{", '{"seed": -1}', '{"nonsense": 1}'])
def test_a_damaged_configuration_is_refused(
    trained: tuple[RunDirectory, Corpus], text: str
) -> None:
    run, _ = trained
    (run.path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        RunDirectory.open(run.path).load_model()


@pytest.mark.parametrize("text", ["", "{}", '{"state": {}, "optimizers": {}}', '{"state": 3}'])
def test_a_damaged_training_state_is_refused(
    trained: tuple[RunDirectory, Corpus], text: str
) -> None:
    run, corpus = trained
    (run.path / "checkpoints" / "last" / "state.json").write_text(text)
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        Trainer(run.config, corpus).resume(run)


def test_a_run_is_not_replaced_unless_asked_and_then_wholly(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, corpus = trained
    config = run.config
    with pytest.raises(ConfigError, match="--overwrite"):
        RunDirectory.create(run.path, config, corpus)
    assert run.load_model().latent_size == 4
    RunDirectory.create(run.path, config, corpus, overwrite=True)
    assert not run.checkpoint.exists()
    assert (run.path / "metrics.jsonl").read_text() == ""


def test_a_folder_with_other_files_is_never_replaced(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, corpus = trained
    place = tmp_path / "precious"
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"thesis\.txt"):
        RunDirectory.create(place, run.config, corpus, overwrite=True)
    assert (place / "thesis.txt").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_an_error(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, corpus = trained
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        RunDirectory.create(tmp_path / "file" / "run", run.config, corpus)


def test_the_newest_run_is_the_one_that_changed_last(
    trained: tuple[RunDirectory, Corpus], tmp_path: Path
) -> None:
    run, corpus = trained
    folder = run.path.parent
    second = RunDirectory.create(folder / "two", run.config, corpus)
    os.utime(run.path / "metrics.jsonl", (1, 1))
    assert newest_run(folder).path == second.path
    os.utime(second.path / "metrics.jsonl", (0, 0))
    assert newest_run(folder).path == run.path
    with pytest.raises(CheckpointError, match="there is no run under"):
        newest_run(tmp_path / "empty")


def test_saving_replaces_a_checkpoint_and_leaves_no_drafts(
    trained: tuple[RunDirectory, Corpus],
) -> None:
    run, corpus = trained
    trainer = Trainer(run.config, corpus)
    trainer.resume(run)
    with torch.no_grad():
        trainer.model.decoder.output.bias.fill_(0.25)
    run.save("best", trainer.state, trainer.model, trainer.term, trainer.optimizers)
    assert run.load_model().decoder.output.bias.unique().tolist() == [0.25]
    assert sorted(path.name for path in run.checkpoint.parent.iterdir()) == ["best", "last"]
