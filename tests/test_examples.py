"""The example corpora: scenes can be read back, docstrings give plain sentences."""

import importlib.util
import itertools
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str) -> ModuleType:
    """Imports a script of the examples."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


docstrings, scenes = example("docstrings"), example("scenes")


def test_every_scene_can_be_read_back_from_its_sentence() -> None:
    sentences = set()
    for values in itertools.product(*scenes.FACTORS.values()):
        scene = scenes.Scene(**dict(zip(scenes.FACTORS, values, strict=True)))
        sentence = scene.sentence()
        assert scenes.parse(sentence) == scene
        assert 5 <= len(sentence.split()) <= 14
        sentences.add(sentence)
    assert len(sentences) == 23_040


@pytest.mark.parametrize("sentence", ["", "one dog", "two dog slept on the hill at dawn ."])
def test_what_is_no_scene_is_refused(sentence: str) -> None:
    with pytest.raises(ValueError, match="no scene"):
        scenes.parse(sentence)


def test_factors_are_drawn_uniformly_and_the_same_for_the_same_seed() -> None:
    drawn = list(scenes.scenes(6000, seed=1))
    assert drawn == list(scenes.scenes(6000, seed=1))
    assert drawn != list(scenes.scenes(6000, seed=2))
    for name, values in scenes.FACTORS.items():
        counts = Counter(getattr(scene, name) for scene in drawn)
        for value in values:
            assert counts[value] == pytest.approx(6000 / len(values), rel=0.15)


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Return the first item of a list.", "return the first item of a list ."),
        ("Does this work without a stop at the end", "does this work without a stop at the end ."),
        ("Returns ``True`` if *x* is a number. Else not.", "returns true if x is a number ."),
        ("Uses :class:`Path` for the names of files.", "uses path for the names of files ."),
        ("Don't use this, it's for the old code.", "do n't use this , it 's for the old code ."),
        (">>> f(1)\n2", None),
        ("f(x, y) -> z", None),
        (".. versionadded:: 3.1", None),
        ("Args:\n    x: the first.", None),
        ("Too short.", None),
        ("See https://example.org for all of the details.", None),
        ("Überaus gut, and not in the alphabet that we use.", None),
        ("word " * 40 + "and the end.", None),
    ],
)
def test_docstrings_give_plain_sentences_or_nothing(docstring: str, sentence: str | None) -> None:
    assert docstrings.first_sentence(docstring) == sentence


def test_a_corpus_is_built_from_sources_that_parse_and_holds_no_sentence_twice(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    (root / "tests").mkdir(parents=True)
    (root / "a.py").write_text('"""Opens all the doors of the house."""\n')
    (root / "b.py").write_text('def f():\n    """Closes all the doors of the house."""\n')
    (root / "c.py").write_text('"""Opens all the doors of the house."""\n')
    (root / "broken.py").write_text('"""This file is not one that parses."""\ndef (\n')
    (root / "tests" / "d.py").write_text('"""Checks that all the doors are shut."""\n')
    out = tmp_path / "corpus.txt"
    command = [sys.executable, str(EXAMPLES / "docstrings.py"), str(out), "--root", str(root)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.read_text().splitlines() == [
        "opens all the doors of the house .",
        "closes all the doors of the house .",
    ]
    assert "2 sentences" in ran.stderr


def test_a_sample_is_a_part_of_the_corpus_and_grows_with_its_size() -> None:
    corpus = [f"sentence number {number} ." for number in range(100)]
    small, large = docstrings.sample(corpus, 10), docstrings.sample(corpus, 30)
    assert len(small) == 10
    assert set(small) < set(large) < set(corpus)


def test_scenes_and_their_factors_are_written_side_by_side(tmp_path: Path) -> None:
    text, table = tmp_path / "scenes.txt", tmp_path / "factors.tsv"
    command = [sys.executable, str(EXAMPLES / "scenes.py"), str(text), "--count", "20"]
    subprocess.run([*command, "--factors", str(table)], capture_output=True, check=True)
    header, *rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert header == list(scenes.FACTORS)
    written = [scenes.Scene(**dict(zip(header, row, strict=True))).sentence() for row in rows]
    assert text.read_text().splitlines() == written
