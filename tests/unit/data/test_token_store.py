"""Memory-mapped token stores: damage by other processes is detected, and the file named."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mivae_cli.data.batches import BatchSampler, ordered_batches
from mivae_cli.data.prepared_corpus import Corpus, prepare_corpus
from mivae_cli.data.token_store import TokenStore, longest_sentence
from mivae_cli.errors import CheckpointError
from mivae_cli.evaluation.evaluate import evaluate
from mivae_cli.experiments.train_run import create_training
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.stages import finish
from mivae_cli.training.trainer import Trainer
from support.small import small_config, train_to_end, write_scenes


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    folder = tmp_path_factory.mktemp("tokens")
    text = write_scenes(folder / "scenes.txt", count=300)
    config = small_config(text, training={"epochs": 1}, objective={"mi_weight": 0.0})
    return train_to_end(config, folder / "run")[0]


@pytest.fixture
def run(sound: RunDirectory, tmp_path: Path) -> RunDirectory:
    return RunDirectory.open(shutil.copytree(sound.path, tmp_path / "run"))


def overwrite(path: Path, place: int, data: bytes) -> None:
    """Writes into a file that may be memory-mapped."""
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), data, place)


def ids(run: RunDirectory, split: str, value: int) -> str:
    """Sets the last id of a split, or one near the middle."""
    path = run.path / "data" / f"{split}.tokens"
    place = path.stat().st_size // 2 & ~1
    overwrite(path, place, np.array([value], "<u2").tobytes())
    return path.name


def offset(run: RunDirectory, split: str, value: int) -> str:
    """Sets the offset of a sentence near the middle of a split."""
    path = run.path / "data" / f"{split}.offsets.npy"
    count = len(np.load(path))
    place = path.stat().st_size - 8 * (count - count // 2)
    overwrite(path, place, np.array([value], "<i8").tobytes())
    return path.name


DAMAGE: dict[str, Callable[[RunDirectory, str], str]] = {
    "the greatest id": lambda run, split: ids(run, split, 0xFFFF),
    "the first id beyond": lambda run, split: ids(run, split, run.load_tokenizer().size),
    "an offset of 0": lambda run, split: offset(run, split, 0),
    "a negative offset": lambda run, split: offset(run, split, -5),
    "the least offset": lambda run, split: offset(run, split, -(2**63)),
    "an offset beyond the end": lambda run, split: offset(run, split, 10**6),
    "an enormous offset": lambda run, split: offset(run, split, 2**62),
}
USES: dict[str, tuple[str, Callable[[RunDirectory, Corpus], object]]] = {
    "training": ("train", lambda run, corpus: fitted(run, corpus)),
    "sampling": (
        "train",
        lambda run, corpus: list(BatchSampler(corpus["train"], 8, 0).batches(0)),
    ),
    "validation": ("valid", lambda run, corpus: fitted(run, corpus)),
    "batches in order": ("test", lambda run, corpus: list(ordered_batches(corpus["test"], 4))),
    "evaluation": (
        "test",
        lambda run, corpus: finish(
            evaluate(run.load_model(), corpus["test"], (corpus["train"], corpus["valid"]), 1, 0)
        ),
    ),
    "sentences": ("test", lambda run, corpus: sentences(corpus["test"])),
    "a sample": ("train", lambda run, corpus: corpus["train"].sample(len(corpus["train"]) - 1, 0)),
}


def sentences(store: TokenStore) -> list[list[int]]:
    return [store.sentence(place) for place in range(len(store))]


def fitted(run: RunDirectory, corpus: Corpus) -> object:
    training = run.load_config().training.model_copy(update={"epochs": 2})
    trainer = Trainer(run.load_config().model_copy(update={"training": training}), corpus)
    trainer.resume(run)
    return list(trainer.fit(run))


@pytest.mark.parametrize(("split", "use"), USES.values(), ids=USES)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_beneath_an_open_corpus_is_an_error_that_names_the_file(
    run: RunDirectory,
    damage: Callable[[RunDirectory, str], str],
    split: str,
    use: Callable[[RunDirectory, Corpus], object],
) -> None:
    corpus = run.open_corpus()
    name = damage(run, split)
    with pytest.raises(CheckpointError) as caught:
        use(run, corpus)
    assert f"'{run.path / 'data' / name}'" in str(caught.value)
    assert f"mivae verify {run.path}" in str(caught.value)


def test_valid_files_are_used_without_warnings(run: RunDirectory) -> None:
    for _, use in list(USES.values())[1:]:  # training reads like validation
        assert use(run, run.open_corpus()) is not None


def test_a_new_run_trains_on_its_own_copy(sound: RunDirectory, tmp_path: Path) -> None:
    """Damage to the cache, or to another run on the same text, does not affect it."""
    config = sound.load_config()
    corpus = prepare_corpus(config.data, tmp_path / "cache")
    one, two = (create_training(config, corpus, tmp_path / name) for name in ("one", "two"))
    before = [sentences(each.trainer.corpus["train"]) for each in (one, two)]
    for path in corpus.folder.glob("*.tokens"):
        path.write_bytes(b"\xff" * path.stat().st_size)
    ids(one.run, "train", 0xFFFF)
    with pytest.raises(CheckpointError, match="one"):
        list(one.trainer.fit(one.run))
    assert sentences(two.trainer.corpus["train"]) == before[0] == before[1]
    assert list(two.trainer.fit(two.run))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.stat().st_nlink for path in files} == {1}


def test_the_longest_sentence_is_found_in_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    for block in (1, 2, 3, 8, 100):
        monkeypatch.setattr("mivae_cli.data.token_store.BLOCK", block)
        assert longest_sentence(offsets) == 9
    assert longest_sentence(offsets[:1]) == 0
