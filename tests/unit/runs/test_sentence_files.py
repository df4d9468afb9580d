"""Files of figures per sentence: stored with their record, removed with it, never half."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mivae_cli import limits
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.errors import CheckpointError, ConfigError
from mivae_cli.experiments.verify import Finding, verify
from mivae_cli.runs import directory
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from support.evaluated import sentence_values, stored
from support.small import small_config, write_scenes


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sentences")
    config = small_config(write_scenes(folder / "scenes.txt", count=100))
    return create_run(folder / "run", config, prepare_corpus(config.data)).path


@pytest.fixture
def run(created: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory.open(shutil.copytree(created, tmp_path / "run"))


def names(run: RunDirectory) -> list[str]:
    return sorted(path.name for path in (run.path / "sentences").iterdir())


def name_of(record: dict[str, object]) -> str:
    entry = record["sentence_values"]
    assert isinstance(entry, dict)
    return str(entry["file"])


def replace(run: RunDirectory) -> None:
    config = run.load_config()
    create_run(run.path, config, prepare_corpus(config.data), overwrite=True)


def test_figures_are_stored_with_their_record(run: RunDirectory) -> None:
    values = sentence_values()
    run.write_evaluation(*stored(values, nll=30.0))
    record = run.load_evaluation()
    found = run.load_sentence_values(record)
    assert found is not None
    assert np.array_equal(found.iw_nll, values.iw_nll)
    assert names(run) == [name_of(record)]
    assert run.load_sentence_values({"nll": 30.0}) is None


def test_figures_are_removed_with_their_record(run: RunDirectory) -> None:
    other, content = stored(sentence_values(seed=1), seed=1)
    run.write_evaluation(other, content)
    first, content = stored(sentence_values(seed=2), seed=2)
    run.write_evaluation(first, content)
    assert names(run) == sorted([name_of(other), name_of(first)])
    second, content = stored(sentence_values(seed=3), seed=2)  # the same protocol
    run.write_evaluation(second, content)
    assert names(run) == sorted([name_of(other), name_of(second)])
    run.write_evaluation({"seed": 2})
    assert names(run) == [name_of(other)]


def test_records_of_equal_figures_share_a_file(run: RunDirectory) -> None:
    for seed in (1, 2):
        run.write_evaluation(*stored(sentence_values(), seed=seed))
    assert len(names(run)) == 1
    run.write_evaluation({"seed": 1})
    assert run.load_sentence_values(run.load_evaluations().records[0]) is not None


def test_only_files_of_figures_are_removed(run: RunDirectory) -> None:
    run.write_evaluation(*stored(sentence_values(), seed=1))
    folder = run.path / "sentences"
    (folder / "notes.txt").write_text("years of work")
    (folder / "epoch-0001-0000000000000000.safetensors").mkdir()
    run.write_evaluation({"seed": 1})
    assert names(run) == ["epoch-0001-0000000000000000.safetensors", "notes.txt"]
    with pytest.raises(ConfigError, match=r"\(sentences"):
        replace(run)
    assert (folder / "notes.txt").read_text() == "years of work"


def replaced_by(put: Callable[[Path], object]) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        path.rename(path.with_name("moved"))
        put(path)

    return damage


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "shorter": lambda path: os.truncate(path, 100),
    "changed": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
    "a folder": replaced_by(Path.mkdir),
    "a pipe": replaced_by(os.mkfifo),
    "a link": replaced_by(lambda path: path.symlink_to("moved")),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_figures_are_named_and_the_record_is_still_read(
    run: RunDirectory, damage: Callable[[Path], object]
) -> None:
    run.write_evaluation(*stored(sentence_values(), nll=30.0))
    name = name_of(run.load_evaluation())
    damage(run.path / "sentences" / name)
    record = run.load_evaluation()
    assert record["nll"] == 30.0
    with pytest.raises(CheckpointError, match=name):
        run.load_sentence_values(record)
    problems = [each.what for each in verify(run).findings if each.problem]
    assert problems == [f"sentences/{name}"]


def test_a_new_evaluation_repairs_damaged_figures(run: RunDirectory) -> None:
    run.write_evaluation(*stored(sentence_values()))
    record = run.load_evaluation()
    (run.path / "sentences" / name_of(record)).write_bytes(b"x")
    run.write_evaluation(*stored(sentence_values()))
    assert run.load_sentence_values(record) is not None


def test_figures_of_other_sentences_are_rejected(run: RunDirectory) -> None:
    record, content = stored(sentence_values(20))
    run.write_evaluation(record | {"sentences": 21}, content)
    with pytest.raises(CheckpointError, match=name_of(record)):
        run.load_sentence_values(run.load_evaluation())


def test_files_that_are_too_large_are_not_read(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, content = stored(sentence_values())
    run.write_evaluation(record, content)
    monkeypatch.setattr(limits, "MAX_SENTENCE_VALUES_BYTES", len(content) - 1)
    with pytest.raises(CheckpointError, match=name_of(record)):
        run.load_sentence_values(record)


@pytest.mark.parametrize("call", ["write_sealed", "write_manifest", "remove_unlisted"])
def test_a_crash_leaves_every_record_with_its_figures(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """After the new file is written: before the record is, before the manifest, before the end."""
    run.write_evaluation(*stored(sentence_values(seed=1)))
    before = run.load_evaluation()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    changed, content = stored(sentence_values(seed=2))
    with monkeypatch.context() as patched:
        patched.setattr(directory, call, crash)
        with pytest.raises(KeyboardInterrupt):
            run.write_evaluation(changed, content)
    (run.path / "lock.json").unlink(missing_ok=True)
    assert run.load_evaluation() == (before if call == "write_sealed" else changed)
    assert run.load_sentence_values(run.load_evaluation()) is not None
    result = verify(run)
    assert result.sound
    unused = changed if call == "write_sealed" else before
    assert [each for each in result.findings if each.remark] == [
        Finding(
            f"sentences/{name_of(unused)}",
            remark="not listed in eval.json; left by an interrupted save",
        )
    ]
    run.write_evaluation(changed, content)
    assert names(run) == [name_of(changed)]


def test_nothing_is_written_if_the_folder_is_a_link(run: RunDirectory, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run.path / "sentences").symlink_to(elsewhere)
    with pytest.raises(CheckpointError, match="sentences"):
        run.write_evaluation(*stored(sentence_values()))
    assert not list(elsewhere.iterdir())
    assert not (run.path / "eval.json").exists()


def test_figures_are_not_read_through_a_link(run: RunDirectory, tmp_path: Path) -> None:
    run.write_evaluation(*stored(sentence_values()))
    (run.path / "sentences").rename(tmp_path / "elsewhere")
    (run.path / "sentences").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="sentences"):
        run.load_sentence_values(run.load_evaluation())


def test_a_replaced_run_loses_its_figures(run: RunDirectory) -> None:
    run.write_evaluation(*stored(sentence_values()))
    replace(run)
    assert not (run.path / "sentences").exists()
