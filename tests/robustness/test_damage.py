"""Damage to any file of a run is detected, the file is named, and no result is wrong."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mivae_cli.errors import CheckpointError
from mivae_cli.experiments.verify import verify
from mivae_cli.generation.decoding import Decoding
from mivae_cli.generation.generate import generated, prior_samples
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.training.trainer import Trainer
from support.evaluated import sentence_values, stored
from support.program import Mivae
from support.small import small_config, train_to_end, write_scenes

Damage = Callable[[Path], None]


class Sound(NamedTuple):
    """An undamaged run, and its output."""

    path: Path
    texts: list[str]
    tokens: list[int]
    weights: dict[str, dict[str, Tensor]]  # by checkpoint


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    folder = tmp_path_factory.mktemp("damage")
    text = write_scenes(folder / "scenes.txt", count=300)
    config = small_config(text, training={"epochs": 2, "save_minutes": 1e-9})
    run, _, _ = train_to_end(config, folder / "first")
    run.write_evaluation(*stored(sentence_values(), nll=1.0))
    path = shutil.copytree(
        run.path, folder / "run"
    )  # the cache must not be damaged through hard links
    texts, tokens = used(path)
    weights = {
        found.name: load_file(str(found.manifest.checked_path("model.safetensors")))
        for found in run.checkpoints.all()
    }
    return Sound(path, texts, tokens, weights)


def used(path: Path) -> tuple[list[str], list[int]]:
    """Returns samples of a run and the tokens of its test split."""
    run = RunDirectory.open(path)
    model = run.load_model()
    z = prior_samples(3, model.prior, seed=1)
    texts = list(generated(model, run.load_tokenizer(), z, Decoding(beam=1, max_tokens=15), 0))
    return texts, run.open_corpus()["test"].tokens.tolist()


def resumed(path: Path) -> tuple[str, dict[str, Tensor], list[str]]:
    """Returns the checkpoint that training resumes from, its weights, and the warnings."""
    run = RunDirectory.open(path)
    trainer = Trainer(run.load_config(), run.open_corpus())
    trouble = trainer.resume(run)
    return trainer.state.name, trainer.model.state_dict(), trouble


def files(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def truncated(share: float) -> Damage:
    def damage(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return damage


def flipped(share: float, bit: int) -> Damage:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[int(share * len(data))] ^= 1 << bit
        path.write_bytes(data)

    return damage


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    path.unlink()
    path.mkdir()


def damages(seed: int, cuts: int, flips: int) -> Iterator[Damage]:
    chance = random.Random(seed)
    for _ in range(cuts):
        yield truncated(chance.random())
    for _ in range(flips):
        yield flipped(chance.random(), chance.randrange(8))


def check(sound: Sound, file: str, damage: Damage) -> None:
    """Damages a file, checks every reader, and restores the file."""
    path = sound.path / file
    content = path.read_bytes()
    damage(path)
    try:
        assert is_detected(sound.path, file), (file, damage)
        shown = tried(lambda: used(sound.path))
        if isinstance(shown, CheckpointError):
            assert file in str(shown)
        else:
            assert shown == (sound.texts, sound.tokens)
        continued = tried(lambda: resumed(sound.path))
        if isinstance(continued, CheckpointError):
            assert file in str(continued)
        else:
            name, weights, trouble = continued
            assert all(torch.equal(weights[key], sound.weights[name][key]) for key in weights)
            if name != list(sound.weights)[-1] or file == "metrics.jsonl":
                assert file in trouble[0]
    finally:
        for aside in sound.path.glob("metrics.damaged.jsonl"):
            shutil.rmtree(aside) if aside.is_dir() else aside.unlink()
        if path.is_dir():
            path.rmdir()
        path.write_bytes(content)


T = TypeVar("T")


def tried(attempt: Callable[[], T]) -> T | CheckpointError:
    try:
        return attempt()
    except CheckpointError as error:
        return error


def is_detected(path: Path, file: str) -> bool:
    try:
        findings = verify(RunDirectory.open(path)).findings
    except CheckpointError as error:  # from the manifest of the run
        return file in str(error)
    return any(file in finding.problem for finding in findings if finding.problem)


def harm(sound: Sound, cuts: int, flips: int) -> None:
    assert is_detected(sound.path, "") is False
    names = files(sound.path)
    assert len(names) > 25
    structural = (emptied, removed, replaced)
    for place, file in enumerate(names):
        chosen = structural if cuts > 1 else structural[place % 3 :][:1]
        for damage in (*chosen, *damages(place, cuts, flips)):
            check(sound, file, damage)
    assert is_detected(sound.path, "") is False
    assert files(sound.path) == names


def test_damage_to_any_file_is_detected_and_named_and_no_result_is_wrong(sound: Sound) -> None:
    harm(sound, 1, 1)


@pytest.mark.slow
def test_much_damage_to_any_file_is_detected_and_named(sound: Sound) -> None:
    harm(sound, 20, 50)


def test_verify_names_every_damaged_file_and_exits_with_4(sound: Sound, mivae: Mivae) -> None:
    assert mivae("verify", sound.path).code == 0
    for file in files(sound.path):
        path = sound.path / file
        content = path.read_bytes()
        flipped(0.5, 3)(path)
        ran = mivae("verify", sound.path)
        path.write_bytes(content)
        assert ran.code == 4, file
        assert file in ran.err
        assert "Traceback" not in ran.err
