"""Verification: no problem in an intact run, and every kind of damage by file name."""

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.errors import CheckpointError
from mivae_cli.experiments.verify import Finding, verify
from mivae_cli.runs.checkpoints import Checkpoints
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.runs.training_state import load_training
from mivae_cli.storage.manifest import Manifest, entry_of, write_manifest
from mivae_cli.storage.ownership import draft_path
from mivae_cli.storage.sealed_json import Kind, read_sealed, write_sealed
from mivae_cli.training.trainer import Trainer
from support.evaluated import sentence_values, stored
from support.locks import held_elsewhere
from support.program import Mivae
from support.small import small_config, train_to_end, write_scenes

FIRST, SECOND, THIRD = "epoch-0001", "epoch-0002", "epoch-0003"
FILES = ("model.safetensors", "critic.safetensors", "training.safetensors", "state.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run of three epochs whose best checkpoint is the second."""
    folder = tmp_path_factory.mktemp("verification")
    text = write_scenes(folder / "scenes.txt", count=200)
    config = small_config(text, training={"epochs": 2})
    run, corpus, _ = train_to_end(config, folder / "run")
    training = config.training.model_copy(update={"epochs": 3})
    trainer = Trainer(config.model_copy(update={"training": training}), corpus)
    trainer.resume(run)
    trainer.state.best = 0.0  # an ELBO that no text has
    list(trainer.fit(run))
    run = RunDirectory.open(run.path)
    run.write_evaluation(*stored(sentence_values(), SECOND, rate=1.0))
    assert [found.name for found in run.checkpoints.all()] == [FIRST, SECOND, THIRD]
    assert run.find_checkpoint().name == SECOND
    return run


@pytest.fixture
def run(whole: RunDirectory, tmp_path: Path) -> RunDirectory:
    shutil.copytree(whole.path, tmp_path / "run")
    return RunDirectory.open(tmp_path / "run")


def test_nan_and_infinite_figures_are_stored_as_null(run: RunDirectory) -> None:
    run.write_evaluation({"ppl_iw": math.inf, "mi": {"ci": (math.nan, 1.0)}, "rate": 2.0})
    assert run.load_evaluation() == {"ppl_iw": None, "mi": {"ci": [None, 1.0]}, "rate": 2.0}


def problems(run: RunDirectory) -> dict[str, str]:
    result = verify(RunDirectory.open(run.path))
    found = {finding.what: finding.problem for finding in result.findings if finding.problem}
    assert result.sound == (not found)
    return found


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_every_file_of_an_intact_run_is_checked(run: RunDirectory) -> None:
    result = verify(run)
    assert result.sound
    assert (result.best, result.resumable) == (SECOND, THIRD)
    assert not any(finding.problem or finding.remark for finding in result.findings)
    there = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert {finding.what for finding in result.findings} == there
    assert len(result.findings) == len(there)


def test_verifying_changes_nothing_and_draws_no_random_numbers(run: RunDirectory) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    state = torch.get_rng_state()
    verify(run)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before
    assert torch.equal(torch.get_rng_state(), state)


VALUES = stored(sentence_values(), SECOND)[0]["sentence_values"]["file"]
ALL = [
    f"sentences/{VALUES}",
    "config.json",
    "environment.json",
    "tokenizer.json",
    "eval.json",
    "metrics.jsonl",
    "data/corpus.json",
    "data/tokenizer.json",
    "data/train.tokens",
    "data/test.offsets.npy",
    *(f"checkpoints/{SECOND}/{name}" for name in (*FILES, "manifest.json")),
]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("damage", [flipped, Path.unlink, lambda path: os.truncate(path, 5)])
def test_damage_is_reported_for_the_damaged_file_only(
    run: RunDirectory, name: str, damage: Callable[[Path], object]
) -> None:
    damage(run.path / name)
    found = problems(run)
    assert list(found) == [name]
    assert f"{Path(name).name}'" in found[name]


@pytest.mark.parametrize("damage", [flipped, Path.unlink])
def test_a_run_whose_own_manifest_is_damaged_cannot_be_verified(
    run: RunDirectory, damage: Callable[[Path], object]
) -> None:
    path = run.path
    damage(path / "manifest.json")
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        verify(RunDirectory.open(path))


@pytest.mark.parametrize(
    ("damaged", "best", "resumable"),
    [([FIRST], SECOND, THIRD), ([SECOND], None, THIRD), ([THIRD], SECOND, SECOND)],
)
@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_the_usable_checkpoints_are_reported(
    run: RunDirectory, damaged: list[str], best: str | None, resumable: str, name: str
) -> None:
    for folder in damaged:
        flipped(run.path / "checkpoints" / folder / name)
    result = verify(run)
    assert not result.sound
    assert (result.best, result.resumable) == (best, resumable)
    trainer = Trainer(run.load_config(), run.open_corpus())
    trainer.resume(run)
    assert trainer.state.name == resumable


def test_no_checkpoint_is_usable_if_all_are_damaged(run: RunDirectory) -> None:
    for folder in (FIRST, SECOND, THIRD):
        flipped(run.path / "checkpoints" / folder / "state.json")
    result = verify(run)
    assert (result.best, result.resumable) == (None, None)
    assert sum(bool(finding.problem) for finding in result.findings) == 3


def test_a_missing_best_checkpoint_is_reported(run: RunDirectory) -> None:
    shutil.rmtree(run.path / "checkpoints" / SECOND)
    [(what, problem)] = problems(run).items()
    assert what == f"checkpoints/{SECOND}"
    assert "best" in problem
    assert verify(run).best is None


def test_another_checkpoint_may_be_missing(run: RunDirectory) -> None:
    shutil.rmtree(run.path / "checkpoints" / FIRST)
    assert problems(run) == {}


def test_a_run_before_its_first_checkpoint_is_intact(run: RunDirectory) -> None:
    shutil.rmtree(run.path / "checkpoints")
    result = verify(run)
    assert result.sound
    assert (result.best, result.resumable) == (None, None)


def test_an_evaluation_is_missing_only_if_the_run_was_evaluated(run: RunDirectory) -> None:
    (run.path / "eval.json").unlink()
    assert list(problems(run)) == ["eval.json"]
    run.write_evaluation({"rate": 2.0})
    assert problems(run) == {}
    never = create_run(run.path.parent / "new", run.load_config(), run.open_corpus())
    assert problems(never) == {}


def test_files_of_another_run_are_reported(run: RunDirectory, tmp_path: Path) -> None:
    other = create_run(tmp_path / "other", run.load_config(), run.open_corpus())
    other.write_evaluation({"rate": 2.0})
    shutil.copytree(run.path / "checkpoints" / FIRST, other.path / "checkpoints" / FIRST)
    for name in ("config.json", "eval.json"):
        shutil.copy(run.path / name, other.path / name)
    found = problems(other)
    assert list(found) == ["config.json", "eval.json", f"checkpoints/{FIRST}/manifest.json"]
    assert all("another run" in problem for problem in found.values())


def test_an_intact_corpus_of_another_run_is_reported(run: RunDirectory, tmp_path: Path) -> None:
    text = write_scenes(tmp_path / "other.txt", count=200, seed=5)
    other, _, _ = train_to_end(small_config(text, training={"epochs": 1}), tmp_path / "other")
    shutil.rmtree(run.path / "data")
    shutil.copytree(other.path / "data", run.path / "data")
    [(what, problem)] = problems(run).items()
    assert what == "data/corpus.json"
    assert "another run" in problem


def resealed(path: Path, kind: Kind, **changes: object) -> None:
    """Changes a document and seals it again, as an attacker could."""
    own = ("kind", "format", "mivae", "checksum")
    body = {key: value for key, value in read_sealed(path, kind).items() if key not in own}
    write_sealed(path, kind, {**body, **changes})


def test_a_vocabulary_that_differs_from_the_corpus_is_reported(
    run: RunDirectory, tmp_path: Path
) -> None:
    text = write_scenes(tmp_path / "other.txt", count=200)
    corpus = prepare_corpus(small_config(text, data={"tokenizer": {"kind": "bpe"}}).data)
    shutil.rmtree(run.path / "data")
    corpus.copy_to(run.path / "data")
    resealed(run.path / "manifest.json", "run", corpus=corpus.checksum)
    [(what, problem)] = problems(run).items()
    assert what == "data/corpus.json"
    assert "another vocabulary" in problem


def test_weights_that_do_not_fit_the_configuration_are_reported(run: RunDirectory) -> None:
    config = run.load_config().model_dump(mode="json")
    config["model"]["decoder"]["hidden_size"] += 1
    resealed(run.path / "config.json", "config", config=config)
    found = problems(run)
    assert list(found) == [f"checkpoints/{name}/manifest.json" for name in (FIRST, SECOND, THIRD)]
    assert all("another model" in problem for problem in found.values())
    result = verify(RunDirectory.open(run.path))
    assert (result.best, result.resumable) == (None, None)


def rewrite_manifest(folder: Path) -> None:
    """Rewrites a manifest for the current files, as an attacker could."""
    manifest = Manifest.read(folder, "checkpoint")
    own = ("kind", "format", "mivae", "files", "checksum")
    body = {key: value for key, value in manifest.body.items() if key not in own}
    write_manifest(folder, "checkpoint", {n: entry_of(folder / n) for n in manifest.files}, body)


def nan_weights(folder: Path) -> None:
    tensors = load_file(str(folder / "model.safetensors"))
    tensors["decoder.output.bias"][0] = torch.nan
    save_file(tensors, str(folder / "model.safetensors"))


def lost_moments(folder: Path) -> None:
    tensors = load_file(str(folder / "training.safetensors"))
    del tensors["random.cpu"]
    save_file(tensors, str(folder / "training.safetensors"))


def mad_state(folder: Path) -> None:
    body = read_sealed(folder / "state.json", "state")["state"]
    write_sealed(folder / "state.json", "state", {"state": {**body, "step": -1}})


@pytest.mark.parametrize(
    ("change", "match"),
    [(nan_weights, "NaN"), (lost_moments, "cannot be resumed"), (mad_state, "'step'")],
)
def test_listed_files_that_cannot_be_loaded_are_reported(
    run: RunDirectory, change: Callable[[Path], None], match: str
) -> None:
    folder = run.path / "checkpoints" / THIRD
    change(folder)
    rewrite_manifest(folder)
    [(what, problem)] = problems(run).items()
    assert what == f"checkpoints/{THIRD}/manifest.json"
    assert match in problem
    assert verify(run).resumable == SECOND


def test_a_run_that_is_being_written_is_intact(run: RunDirectory) -> None:
    with held_elsewhere(run.path) as holder:
        with run.metrics_path.open("a") as file:
            file.write('{"kind": "st')
        result = verify(run)
        assert result.sound
        [remark] = [finding for finding in result.findings if finding.remark]
        assert remark.what == "lock.json"
        assert remark.remark.startswith(f"process {holder} on ")
    result = verify(run)  # its holder was killed and has left the lock behind
    assert result.sound
    assert not any(finding.remark for finding in result.findings)


def test_a_checkpoint_deleted_while_it_is_loaded_is_no_problem(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(manifest: Manifest, *rest: Any) -> object:  # noqa: ANN401  # passed on
        if manifest.folder.name == FIRST:
            shutil.rmtree(manifest.folder)
        return load_training(manifest, *rest)

    monkeypatch.setattr("mivae_cli.experiments.verify.load_training", late)
    result = verify(run)
    assert result.sound
    assert not any(FIRST in finding.what for finding in result.findings)


def test_a_checkpoint_deleted_while_it_is_checked_is_no_problem(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training removes the first checkpoint while its files are checked."""
    path, complete = Manifest.checked_path, Checkpoints.load
    looked: list[str] = []

    def late_path(manifest: Manifest, name: str) -> Path:
        if manifest.folder.name == FIRST and name == FILES[0]:
            shutil.rmtree(manifest.folder, ignore_errors=True)
        return path(manifest, name)

    def late_complete(run: Checkpoints, folder: Path) -> object:
        looked.append(folder.name)
        return complete(run, folder)

    monkeypatch.setattr(Manifest, "checked_path", late_path)
    monkeypatch.setattr(Checkpoints, "load", late_complete)
    result = verify(run)
    assert FIRST in looked
    assert result.sound
    assert not any(FIRST in finding.what for finding in result.findings)
    assert (result.best, result.resumable) == (SECOND, THIRD)


def test_leftover_drafts_are_remarked(run: RunDirectory) -> None:
    drafts = [draft_path(run.path / "checkpoints/epoch-0004"), draft_path(run.path / "eval.json")]
    drafts[0].mkdir()
    drafts[1].write_text("{")
    result = verify(run)
    assert result.sound
    assert {finding for finding in result.findings if finding.remark} == {
        Finding(str(draft.relative_to(run.path)), remark="left by an interrupted save")
        for draft in drafts
    }


def test_a_file_instead_of_the_checkpoints_folder_is_an_error(run: RunDirectory) -> None:
    shutil.rmtree(run.path / "checkpoints")
    (run.path / "checkpoints").touch()
    with pytest.raises(CheckpointError, match="checkpoints"):
        verify(run)


# ------------------------------------------------------------------------------ the program


def test_verify_prints_a_table_or_json(run: RunDirectory, mivae: Mivae) -> None:
    ran = mivae("verify", run.path)
    assert ran.code == 0
    assert "checkpoints/epoch-0002/model.safetensors" in ran.out
    assert f"best: {SECOND}; training would resume from: {THIRD}" in ran.err
    ran = mivae("verify", run.path / "checkpoints" / "best", "--json")
    assert ran.code == 0
    record = json.loads(ran.out)
    assert set(record) == {"findings", "best", "resumable", "sound"}
    assert (record["sound"], record["best"], record["resumable"]) == (True, SECOND, THIRD)
    assert {"what": "config.json", "problem": None, "remark": ""} in record["findings"]


@pytest.mark.parametrize("as_json", [False, True])
def test_verify_names_damaged_files_and_exits_with_4(
    run: RunDirectory, mivae: Mivae, as_json: bool
) -> None:
    flipped(run.path / "tokenizer.json")
    flipped(run.path / "eval.json")
    ran = mivae("verify", "--run", run.path, *(["--json"] if as_json else []))
    assert ran.code == 4
    assert "tokenizer.json' is damaged" in ran.err
    assert "and 1 more" in ran.err
    assert "Traceback" not in ran.err
    if as_json:
        record = json.loads(ran.out)
        assert record["sound"] is False
        found = {each["what"] for each in record["findings"] if each["problem"]}
        assert found == {"tokenizer.json", "eval.json"}


def test_verify_rejects_a_folder_that_is_not_a_run(tmp_path: Path, mivae: Mivae) -> None:
    ran = mivae("verify", tmp_path, "--json")
    assert (ran.code, ran.out) == (4, "")
    assert "manifest.json" in ran.err
