"""Sentences with labels for a map: of the test split, and of files."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import mivae_cli
from mivae_cli.api import exploration as module
from mivae_cli.api.exploration import explored_sentences, map_sentences, open_explorer
from mivae_cli.api.run import Run
from mivae_cli.errors import CheckpointError, ConfigError, DataError
from mivae_cli.evaluation.projection import fit_components
from support.small import small_config, train_to_end, write_scenes


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes") / "scenes.txt", count=300)


@pytest.fixture(scope="module")
def run(corpus: Path) -> Run:
    place = corpus.with_name("run")
    train_to_end(small_config(corpus, training={"epochs": 1}), place)
    return mivae_cli.load(place, device="cpu")


def test_the_test_split_is_mapped_with_its_lines(run: Run, corpus: Path) -> None:
    found = explored_sentences(run)
    assert sorted(found.texts) == sorted(run.sentences("test"))
    assert list(found.texts) != list(run.sentences("test"))  # in random order
    lines = corpus.read_text().splitlines()
    assert found.lines is not None
    shown = [run._tokenizer.decode(found.store.sentence(row)) for row in range(len(found))]
    assert shown == list(found.texts)
    known = {line for word in lines for line in word.split()}
    for line, text in zip(found.lines.tolist(), found.texts, strict=True):
        words = zip(text.split(), lines[line - 1].split(), strict=False)
        assert all(a == b for a, b in words if a in known)
    assert "scenes.txt" in found.name


def test_labels_of_the_file_follow_the_lines(run: Run, corpus: Path) -> None:
    labels = corpus.with_name("labels.txt")
    labels.write_text("".join(f"line {number}\n" for number in range(1, 301)))
    found = explored_sentences(run, labels=labels)
    assert found.lines is not None
    [label] = found.labels
    assert label.name == "label"
    assert list(label.values) == [f"line {line}" for line in found.lines]
    labels.write_text("too\nfew\n")
    with pytest.raises(DataError, match=r"labels\.txt"):
        explored_sentences(run, labels=labels)


def test_columns_of_a_table_are_labels(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    rows = [f"{row},a man sleeps {row},{row % 3},kind {row % 2},title {row}" for row in range(60)]
    table.write_text("number,caption,grade,kind,title\n" + "\n".join(rows))
    records = run.read_file(table, {"data.column": "caption"})
    found = explored_sentences(run, records)
    labels = {label.name: label for label in found.labels}
    assert set(labels) == {"number", "grade", "kind"}  # titles differ in every row
    assert (labels["number"].kind, labels["grade"].kind) == ("number", "category")
    for place, text in enumerate(found.texts):
        row = int(text.split()[-1])
        assert labels["number"].values[place] == row
        assert labels["kind"].values[place] == f"kind {row % 2}"


def test_a_label_file_replaces_a_column_of_the_same_name(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    table.write_text("text,topic\n" + "".join(f"a man {n},old\n" for n in range(4)))
    other = tmp_path / "topics.csv"
    other.write_text("topic\n" + "".join(f"new {n}\n" for n in range(4)))
    records = run.read_file(table, {"data.column": "text"})
    found = explored_sentences(run, records, labels=other, column="topic")
    [label] = found.labels
    expected = [f"new {text.split()[-1]}" for text in found.texts]
    assert (label.name, list(label.values)) == ("topic", expected)


def test_a_long_file_is_sampled_without_bias(run: Run, tmp_path: Path) -> None:
    text = tmp_path / "lines.txt"
    text.write_text("".join(f"a man {number}\n" for number in range(1, 41)))
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"{number}\n" for number in range(1, 41)))
    found = explored_sentences(run, run.read_file(text), labels=labels, points=10)
    assert found.lines is not None
    assert len(set(found.lines.tolist())) == len(found) == 10
    assert max(found.lines) > 20
    assert [int(value or 0) for value in found.labels[0].values] == found.lines.tolist()


def test_long_sentences_are_cut_as_the_run_cuts_them(run: Run, tmp_path: Path) -> None:
    longest = run.config.data.max_tokens
    text = tmp_path / "long.txt"
    words = ["a", "man", "sings"]
    lines = [" ".join(words * (longest // 2)), "a man sings", " ".join(words * longest)]
    text.write_text("\n".join(lines))
    found = explored_sentences(run, run.read_file(text), shuffled=False)
    assert found.store.lengths.tolist() == [longest, 3, longest]
    expected = run.encode(lines)
    assert expected.truncated == 2
    vectors = map_sentences(run, run.read_file(text)).vectors
    np.testing.assert_allclose(vectors, expected.mean, atol=1e-5)


def test_every_line_is_drawn_equally_often(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "lines.txt"
    text.write_text("".join(f"line {number}\n" for number in range(10)))
    drawn: Counter[int] = Counter()
    for seed in range(400):
        monkeypatch.setattr(module, "SEED", seed)
        drawn.update(ordinal for ordinal, _ in module._drawn(run.read_file(text), 4)[0])
    counts = np.array([drawn[number] for number in range(10)])
    assert counts.sum() == 1600
    # binomial with mean 160 and standard deviation 9.8
    assert np.abs(counts - 160).max() < 4 * 9.8


def test_a_map_of_a_file_keeps_its_order(run: Run, corpus: Path) -> None:
    found = map_sentences(run, run.read_file(corpus))
    texts = corpus.read_text().splitlines()
    assert list(found.sentences.texts) == texts
    codes = run.encode(texts)
    np.testing.assert_allclose(found.vectors, codes.mean, atol=1e-5)
    np.testing.assert_allclose(found.rates, codes.posterior.rates().sum(dim=-1), rtol=1e-4)
    expected = fit_components(codes.mean).apply(codes.mean)
    np.testing.assert_allclose(found.places, expected, atol=1e-3)


def test_an_explorer_of_a_run_uses_the_cache(run: Run, cache: Path) -> None:
    first = open_explorer(run)
    first.worker.call(lambda: None)
    while first.codes.loaded < first.codes.total:
        first.worker.call(lambda: None)
    first.close()
    second = open_explorer(run)
    second.close()
    assert second.codes.cached
    assert list((cache / "explorer").glob("*.map"))
    about = second.overview()
    assert about["checkpoint"] == run.checkpoint
    assert about["model"]["Latent units"] == run.latent_size


def test_what_cannot_be_explored_is_named(run: Run, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="points"):
        explored_sentences(run, points=0)
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"empty\.txt"):
        explored_sentences(run, run.read_file(tmp_path / "empty.txt"))
    train_to_end(
        small_config(corpus, model={"latent_size": 0}, training={"epochs": 1}), tmp_path / "lm"
    )
    with pytest.raises(CheckpointError, match="language model"):
        open_explorer(mivae_cli.load(tmp_path / "lm", device="cpu"))
    shutil.copytree(run.path, tmp_path / "copy")
    (tmp_path / "copy" / "data" / "test.tokens").unlink()
    with pytest.raises(CheckpointError, match="--data"):
        open_explorer(mivae_cli.load(tmp_path / "copy", device="cpu"))
