"""Metrics of text: hand-computed values, laws, and comparison with sacrebleu."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from mivae_cli.errors import ConfigError
from mivae_cli.generation.text_metrics import (
    bleu,
    copied,
    distinct,
    edit_distance,
    exact_matches,
    mean_length,
    normalised_distance,
    require_sacrebleu,
    self_bleu,
    token_accuracy,
)

ids = st.lists(st.integers(2, 5), max_size=8)
collections = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=7), min_size=2)


def test_exact_matches_are_counted() -> None:
    assert exact_matches(["a b", "c", "d"], ["a b", "c ", "d"]) == 2 / 3


@pytest.mark.parametrize(
    ("output", "right"),
    [
        ([5, 6, 7], 4),  # the end as well
        ([5, 6], 2),  # it has ended: a word and the end are missed
        ([5, 6, 7, 8], 3),  # it goes on: the end is missed
        ([6, 7], 0),  # one word too few at the beginning shifts all
        ([9, 6, 7], 3),
    ],
)
def test_token_accuracy_counts_the_references_positions(output: list[int], right: int) -> None:
    assert token_accuracy([[5, 6, 7]], [output]) == right / 4
    assert token_accuracy([[5, 6, 7], [8]], [output, [8]]) == (right + 2) / 6


def test_bleu_by_hand() -> None:
    """Precisions 4/5, 2/4, 1/3 and (1/2)/2 for zero matches: the fourth root of their product."""
    score, signature = bleu(["a b c d e"], ["a b c x e"], tokenised=True)
    assert score == pytest.approx(100 * (4 / 5 * 2 / 4 * 1 / 3 * 1 / 4) ** 0.25)
    assert "tok:none" in signature
    assert "case:mixed" in signature


def test_bleu_tokenises_raw_text() -> None:
    said = ["Well, here it is."], ["Well , here it is ."]
    assert bleu(*said, tokenised=False)[0] == pytest.approx(100)
    assert bleu(*said, tokenised=True)[0] < 50
    assert "tok:13a" in bleu(*said, tokenised=False)[1]


def test_a_missing_sacrebleu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ConfigError, match="sacrebleu"):
        require_sacrebleu()


def test_distinct_by_hand() -> None:
    sentences = [["a", "b", "a", "b"], ["a", "b"], ["c"]]
    assert distinct(sentences, 1) == 3 / 7
    assert distinct(sentences, 2) == 2 / 4  # a b three times and b a
    assert distinct(sentences, 3) == 2 / 2
    assert distinct(sentences, 5) == 0.0


@pytest.mark.parametrize("order", [2, 3, 4])
def test_self_bleu_is_100_for_copies_and_low_for_unrelated_sentences(order: int) -> None:
    assert self_bleu([["a", "b", "c", "d", "e"]] * 3, order) == pytest.approx(100)
    assert self_bleu([["a"], ["a"]], order) == pytest.approx(100)
    assert self_bleu([["a", "b"], ["c", "d"], ["e", "f"]], order) == 0.0
    assert self_bleu([["a", "b"]], order) == 0.0


@given(collections, st.integers(1, 4))
def test_self_bleu_equals_the_mean_of_sacrebleu(sentences: list[list[str]], order: int) -> None:
    metric = BLEU(tokenize="none", effective_order=True, max_ngram_order=order, force=True)
    texts = [" ".join(words) for words in sentences]
    scores = [
        metric.sentence_score(text, texts[:place] + texts[place + 1 :]).score
        for place, text in enumerate(texts)
    ]
    assert self_bleu(sentences, order) == pytest.approx(sum(scores) / len(scores), abs=1e-9)


def test_copies_equal_a_training_sentence_token_by_token() -> None:
    training = [[1, 2, 3], [4], [4]]
    assert copied([[1, 2, 3], [1, 2], [4], [4]], training) == 3 / 4
    assert copied([[3, 2, 1]], training) == 0.0


def test_mean_length() -> None:
    assert mean_length([["a"], ["a", "b", "c"]]) == 2


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("abcd", "bcd", 1), ("ab", "ba", 2)],
)
def test_edit_distance_by_hand(first: str, second: str, distance: int) -> None:
    one, other = list(map(ord, first)), list(map(ord, second))
    assert edit_distance(one, other) == distance
    longer = max(len(first), len(second), 1)
    assert normalised_distance(one, other) == distance / longer


@given(ids, ids, ids)
def test_the_edit_distance_is_a_metric(one: list[int], two: list[int], three: list[int]) -> None:
    assert (edit_distance(one, two) == 0) == (one == two)
    assert edit_distance(one, two) == edit_distance(two, one)
    assert edit_distance(one, three) <= edit_distance(one, two) + edit_distance(two, three)


@given(ids, ids)
def test_the_edit_distance_is_bounded_by_the_lengths(one: list[int], two: list[int]) -> None:
    found = edit_distance(one, two)
    assert abs(len(one) - len(two)) <= found <= max(len(one), len(two))
    assert 0 <= normalised_distance(one, two) <= 1
    assert edit_distance(one, [*one, *two]) == len(two)
