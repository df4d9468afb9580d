"""Codes of a corpus: the posteriors of its sentences, block by block, and from the cache."""

from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from mivae_cli.evaluation.projection import fit_components
from mivae_cli.explorer import codes as module
from mivae_cli.explorer.codes import CorpusCodes
from mivae_cli.explorer.model import ExploredModel
from mivae_cli.explorer.sentences import Sentences
from support.explored import scene_model, scene_sentences, scene_texts


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST", 16)
    monkeypatch.setattr(module, "BATCH", 4)
    monkeypatch.setattr(module, "PLACED", 8)


@pytest.fixture
def model() -> ExploredModel:
    return scene_model(scene_texts(40))


@pytest.fixture
def sentences(model: ExploredModel) -> Sentences:
    return scene_sentences(scene_texts(40), model.tokenizer)


@pytest.mark.usefixtures("small_blocks")
def test_codes_are_posteriors_in_the_order_of_the_sentences(
    model: ExploredModel, sentences: Sentences
) -> None:
    codes = CorpusCodes(model.vae, sentences)
    assert list(codes.encode())[-1] == codes.loaded == 40
    expected = model.encode(list(sentences.texts))
    np.testing.assert_allclose(codes.vectors, expected.mean.numpy(), atol=1e-5)
    rates = expected.rates().sum(dim=-1).numpy()
    np.testing.assert_allclose(codes.rates, rates, rtol=1e-4)


@pytest.mark.usefixtures("small_blocks")
def test_the_first_block_determines_the_map_and_places_never_change(
    model: ExploredModel, sentences: Sentences
) -> None:
    codes = CorpusCodes(model.vae, sentences)
    seen: list[int] = []
    earlier = np.zeros((0, 2), np.float32)
    for loaded in codes.encode():
        seen.append(loaded)
        np.testing.assert_array_equal(codes.places[: len(earlier)], earlier)
        earlier = codes.places.copy()
    assert sorted(set(seen)) == [0, 16, 32, 40]
    assert seen.count(16) >= 4  # other work is possible between two batches
    first = fit_components(codes.vectors[:16])
    np.testing.assert_allclose(codes.places, first.apply(codes.vectors), atol=1e-5)
    assert codes.map().components is not None


def test_units_are_sorted_by_rate(model: ExploredModel, sentences: Sentences) -> None:
    codes = CorpusCodes(model.vae, sentences)
    list(codes.encode())
    units = codes.units()
    assert [unit.rate for unit in units] == sorted((unit.rate for unit in units), reverse=True)
    assert {unit.unit for unit in units} == {1, 2, 3, 4}
    column = codes.vectors[:, units[0].unit - 1]
    assert (units[0].low, units[0].high) == (float(column.min()), float(column.max()))
    assert units[0].deviation == pytest.approx(float(column.std()), rel=1e-5)


def never(*_: object) -> NoReturn:
    raise AssertionError("the model was used")


@pytest.mark.usefixtures("small_blocks")
def test_the_second_start_does_not_encode(
    model: ExploredModel, sentences: Sentences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = CorpusCodes(model.vae, sentences, weights="a", cache=tmp_path)
    list(first.encode())
    monkeypatch.setattr(CorpusCodes, "_posterior", never)
    second = CorpusCodes(model.vae, sentences, weights="a", cache=tmp_path)
    assert list(second.encode()) == [40]
    assert second.cached
    np.testing.assert_array_equal(second.places, first.places)
    assert second.units() == first.units()
    assert second.axis_names == first.axis_names
    latents = first.vectors[:3] + 1
    np.testing.assert_allclose(second.map().place(latents), first.map().place(latents), atol=1e-5)
    other = CorpusCodes(model.vae, sentences, weights="b", cache=tmp_path)
    with pytest.raises(AssertionError, match="the model was used"):
        list(other.encode())


@pytest.mark.usefixtures("small_blocks")
def test_a_start_that_was_interrupted_leaves_no_cache(
    model: ExploredModel, sentences: Sentences, tmp_path: Path
) -> None:
    steps = CorpusCodes(model.vae, sentences, weights="a", cache=tmp_path).encode()
    for _ in range(5):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []
