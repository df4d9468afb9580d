"""Answers of the explorer, compared with the model itself."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from mivae_cli.data.tokenizer import BOUNDARY
from mivae_cli.errors import DataError
from mivae_cli.explorer import requests as ask
from mivae_cli.explorer.sentences import Label
from mivae_cli.explorer.session import Explorer
from support.explored import scene_explorer, scene_texts

LABELS = (
    Label("topic", [f"topic {row % 3}" for row in range(60)]),
    Label("score", [None, *(row / 7 for row in range(59))]),
)


@pytest.fixture(scope="module")
def explorer() -> Iterator[Explorer]:
    made = scene_explorer(labels=LABELS)
    yield made
    made.close()


def text_end(text: str) -> ask.TextEnd:
    return ask.TextEnd(text=text)


def greedy(explorer: Explorer, latent: np.ndarray) -> str:
    [row] = explorer.worker.decode(np.asarray(latent, np.float32)[None])
    return row.text


def test_the_overview_describes_map_colours_and_units(explorer: Explorer) -> None:
    found = explorer.overview()
    assert found["corpus"] == {"name": "scenes.txt", "total": 60, "loaded": 60}
    x0, x1, y0, y1 = found["map"]["bounds"]
    assert x0 < x1
    assert y0 < y1
    colours = {colour["key"]: colour for colour in found["colours"]}
    assert colours["label:topic"]["categories"] == ["topic 0", "topic 1", "topic 2"]
    assert colours["label:score"]["kind"] == "number"
    assert {f"unit:{unit['unit']}" for unit in found["units"]} <= set(colours)
    assert found["metric"] == "euclidean"


def test_every_colour_has_a_value_per_point_within_its_range(explorer: Explorer) -> None:
    for colour in explorer.overview()["colours"]:
        values = explorer.colours.values(colour["key"])
        assert values.shape == (60,)
        if colour["kind"] == "number":
            low, high = colour["range"]
            inside = np.mean((values >= low) & (values <= high))
            assert inside >= 0.9
    words = [len(text.split()) for text in scene_texts(60)]
    assert explorer.colours.values("length").tolist() == words
    assert np.isnan(explorer.colours.values("label:score")[0])


def test_a_sentence_has_its_posterior_and_neighbours(explorer: Explorer) -> None:
    found = explorer.sentence(ask.SentenceRequest(index=5))
    text = scene_texts(60)[5]
    posterior = explorer._model.encode([text])
    assert (found["text"], found["line"], found["labels"]["topic"]) == (text, 15, "topic 2")
    assert found["rate"] == pytest.approx(float(posterior.rates().sum()), rel=1e-4)
    assert found["reconstruction"] == greedy(explorer, posterior.mean[0].numpy())
    distances = [row["distance"] for row in found["neighbours"]]
    assert len(distances) == 8
    assert distances == sorted(distances)
    assert text not in [row["text"] for row in found["neighbours"]]


def test_a_typed_sentence_is_placed_where_the_corpus_has_it(explorer: Explorer) -> None:
    text = scene_texts(60)[5]
    found = explorer.place(ask.PlaceRequest(text=f" {text} zebra "))
    assert found["unknown"] == 1
    found = explorer.place(ask.PlaceRequest(text=text))
    np.testing.assert_allclose([found["x"], found["y"]], explorer.codes.places[5], atol=1e-4)
    assert found["index"] is None
    with pytest.raises(DataError):
        explorer.place(ask.PlaceRequest(text="  "))


def test_the_place_of_a_sentence_decodes_to_its_reconstruction(explorer: Explorer) -> None:
    x, y = explorer.codes.places[7].tolist()
    found = explorer.point(ask.PointRequest(x=x, y=y, sequence=1))
    expected = explorer.sentence(ask.SentenceRequest(index=7))["reconstruction"]
    assert found["text"] == expected
    assert (found["nearest"]["index"], found["nearest"]["distance"]) == (7, 0)


def test_units_replace_coordinates(explorer: Explorer) -> None:
    asked = {"from": {"index": 4}, "units": {"2": 1.5}, "sequence": 1}
    found = explorer.decode(ask.DecodeRequest.model_validate_json(str(asked).replace("'", '"')))
    latent = explorer.codes.vectors[4].copy()
    latent[1] = 1.5
    assert found["text"] == greedy(explorer, latent)
    assert found["units"]["2"] == 1.5
    expected = explorer.map.place(latent[None])[0]
    np.testing.assert_allclose([found["x"], found["y"]], expected, atol=1e-5)
    assert not np.array_equal(explorer.codes.vectors[4], latent)  # the corpus is unchanged
    with pytest.raises(DataError, match="unit 5"):
        explorer.decode(
            ask.DecodeRequest.model_validate({"from": ask.PriorEnd(prior=True), "units": {5: 0.0}})
        )


def test_a_path_joins_its_ends_and_lists_likelihoods(explorer: Explorer) -> None:
    ends = {"from": ask.IndexEnd(index=1), "to": ask.IndexEnd(index=2)}
    rows = explorer.interpolate(ask.InterpolateRequest.model_validate({**ends, "steps": 4}))[
        "rows"
    ]
    assert [row["t"] for row in rows] == [0, 1 / 3, 2 / 3, 1]
    for row, index in ((rows[0], 1), (rows[-1], 2)):
        latent = explorer.codes.vectors[index]
        assert row["text"] == greedy(explorer, latent)
        np.testing.assert_allclose([row["x"], row["y"]], explorer.codes.places[index], atol=1e-4)
        expected = log_likelihood(explorer, row["text"], latent)
        assert row["log_likelihood"] == pytest.approx(expected, abs=1e-3)


@torch.inference_mode()
def log_likelihood(explorer: Explorer, text: str, latent: np.ndarray) -> float:
    """Returns log p(x|z), summed word by word."""
    decoder = explorer._model.vae.decoder
    [ids] = explorer._model.tokenizer.encode([text])
    state = decoder.start(torch.from_numpy(latent)[None])
    total, previous = 0.0, BOUNDARY
    for index in [*ids, BOUNDARY]:
        logits, state = decoder.step(torch.tensor([previous]), state)
        total += float(logits.log_softmax(dim=-1)[0, index])
        previous = index
    return total


def test_an_analogy_of_equal_sentences_is_the_third(explorer: Explorer) -> None:
    a, _, c = scene_texts(60)[3:6]
    found = explorer.analogy(ask.AnalogyRequest(a=a, b=a, c=c))
    assert (
        found["rows"][0]["text"]
        == explorer.sentence(ask.SentenceRequest(index=5))["reconstruction"]
    )
    np.testing.assert_allclose(
        [found["ends"]["a"]["x"], found["ends"]["a"]["y"]], explorer.codes.places[3], atol=1e-4
    )


@pytest.mark.parametrize(
    "end",
    [ask.IndexEnd(index=5), text_end(scene_texts(60)[5]), ask.PlaceEnd(x=0.1, y=0.2)],
    ids=["index", "text", "place"],
)
def test_variations_without_a_spread_are_the_reconstruction(
    explorer: Explorer, end: ask.End
) -> None:
    [row] = explorer.vary(ask.VaryRequest.model_validate({"from": end, "spread": 0.0}))["rows"]
    assert row["text"] == greedy(explorer, explorer.latent(end))
    assert row["distance"] == pytest.approx(0, abs=1e-5)


def test_variations_differ_and_repeat_with_the_seed(explorer: Explorer) -> None:
    request = ask.VaryRequest.model_validate(
        {"from": ask.PriorEnd(prior=True), "count": 6, "spread": 5.0}
    )
    rows = explorer.vary(request)["rows"]
    texts = [row["text"] for row in rows]
    assert len(set(texts)) == len(texts) > 1
    assert [row["distance"] for row in rows] == sorted(row["distance"] for row in rows)
    assert explorer.vary(request)["rows"] == rows


def test_samples_repeat_with_the_seed(explorer: Explorer) -> None:
    first, again, other = (
        explorer.sample(ask.SampleRequest(count=5, temperature=0.9, seed=seed))["rows"]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_search_ignores_case_and_counts_all(explorer: Explorer) -> None:
    word = scene_texts(60)[9].split()[1]
    found = explorer.search(ask.SearchRequest(query=word.upper(), limit=2))
    expected = [row for row, text in enumerate(scene_texts(60)) if word in text]
    assert found["indices"] == expected
    assert found["total"] == len(expected)
    assert [row["index"] for row in found["rows"]] == expected[:2]


def test_sentences_that_are_not_on_the_map_are_named(explorer: Explorer) -> None:
    chosen = explorer.chosen(ask.SentencesRequest(indices=[3, 1]))["rows"]
    assert [row["index"] for row in chosen] == [3, 1]
    with pytest.raises(DataError, match="60"):
        explorer.chosen(ask.SentencesRequest(indices=[60]))


def test_directions_on_a_sphere_are_compared_by_cosine() -> None:
    explorer = scene_explorer(posterior="von-mises-fisher", count=30)
    try:
        assert explorer.overview()["metric"] == "cosine"
        found = explorer.sentence(ask.SentenceRequest(index=0))
        assert all(0 <= row["distance"] <= 2 for row in found["neighbours"])
        rows = explorer.vary(ask.VaryRequest.model_validate({"from": ask.PriorEnd(prior=True)}))[
            "rows"
        ]
        assert rows
        assert explorer.point(ask.PointRequest(x=0.0, y=0.0, sequence=1))["text"]
        asked = {"from": {"index": 0}, "units": {1: 4.0}}
        row = explorer.decode(ask.DecodeRequest.model_validate(asked))
        latent = explorer.codes.vectors[0].copy()
        latent[0] = 4
        expected = explorer.map.place(latent[None] / np.linalg.norm(latent))[0]
        np.testing.assert_allclose([row["x"], row["y"]], expected, atol=1e-5)
    finally:
        explorer.close()


def test_a_map_of_one_sentence_answers() -> None:
    explorer = scene_explorer(count=1)
    try:
        found = explorer.sentence(ask.SentenceRequest(index=0))
        assert found["neighbours"] == []
        point = explorer.point(ask.PointRequest(x=3.0, y=4.0, sequence=1))
        assert point["nearest"]["index"] == 0
        assert all(np.isfinite(explorer.overview()["map"]["bounds"]))
        assert explorer.vary(ask.VaryRequest.model_validate({"from": {"x": 0.0, "y": 0.0}}))[
            "rows"
        ]
    finally:
        explorer.close()
