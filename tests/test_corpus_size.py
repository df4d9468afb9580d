"""The measurement of corpus sizes and of nats: it trains what is missing, and counts right."""

import json
from pathlib import Path

import corpus_size
import pytest
from small import scenes, write_scenes

from mivae_cli.trainer import Trainer

TINY = [
    *("--set", "model.latent_size=2", "--set", "evaluation.iw_samples=2"),
    *("--set", "model.encoder.hidden_size=8", "--set", "model.decoder.hidden_size=8"),
    *("--set", "model.encoder.embedding_size=8", "--set", "model.decoder.embedding_size=8"),
]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    for seed, (name, count) in enumerate({"train": 150, "valid": 20, "test": 30}.items()):
        write_scenes(folder / f"{name}.txt", count, seed)
    return folder


def test_each_run_is_a_row_and_nothing_is_trained_twice(
    brief: None,
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = [str(text), "--out", str(tmp_path / "out"), "--epochs", "1", "--device", "cpu"]
    command += ["--sizes", "40", "--nats", "2", *TINY]
    corpus_size.main(command)
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "corpus_size.json").read_text())
    assert [row["run"] for row in record["rows"]] == ["size=40", "nats=2"]
    assert [row["sentences"] for row in record["rows"]] == [40, 150]
    for row in record["rows"]:
        assert row["ppl_iw"] > 1
        assert row["rate"] >= 0
        assert all(0 <= row[name] <= 1 for name in ("exact", "content"))
        assert 0 <= row["bleu"] <= 100
    assert printed.count("\n  > ") == 2 * corpus_size.SHOWN
    monkeypatch.setattr(Trainer, "step", lambda *_: pytest.fail("a step"))
    corpus_size.main(command)
    assert capsys.readouterr().out == printed


def test_smaller_subsets_are_part_of_larger_ones(text: Path, tmp_path: Path) -> None:
    few, many, every = (
        (corpus_size.write_subset(text, tmp_path / str(size), size, 0) / "train.txt").read_text()
        for size in (10, 50, 10**9)
    )
    assert len(few.splitlines()) == 10
    assert set(few.splitlines()) < set(many.splitlines()) < set(every.splitlines())
    assert every == (text / "train.txt").read_text()


def test_content_words_are_the_rare_ones_and_each_counts_once() -> None:
    frequent = {"a", "the", "."}
    texts = ["a red dog sees a dog .", "the man ."]
    outputs = ["a dog runs .", "the man . man"]
    # of red, dog, sees, dog and man: a dog and a man
    assert corpus_size.content_kept(texts, outputs, frequent) == pytest.approx(2 / 5)
    assert corpus_size.content_kept(["the ."], ["the ."], frequent) == 0
    found = corpus_size.frequent_words(scene.sentence() for scene in scenes.scenes(200, 0))
    assert len(found) == corpus_size.FREQUENT
    assert "the" in found
