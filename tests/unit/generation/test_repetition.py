"""Penalties against repetition, compared with plain Python and hand-computed values."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.generation.decoding import ban_repeated_ngrams, penalize_written

WORDS = 4
sentences = st.integers(0, 12).flatmap(
    lambda length: st.lists(
        st.lists(st.integers(0, WORDS - 1), min_size=length, max_size=length),
        min_size=1,
        max_size=5,
    )
)


def as_ids(rows: list[list[int]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.long).view(len(rows), -1)


def test_positive_scores_are_divided_and_negative_ones_multiplied() -> None:
    scores = torch.tensor([[3.0, -1.0, 0.0, 2.0], [3.0, -1.0, 0.0, 2.0]])
    found = penalize_written(scores, as_ids([[0, 1, 0], [2, 2, 2]]), 2.0)
    assert found.tolist() == [[1.5, -2.0, 0.0, 2.0], [3.0, -1.0, 0.0, 2.0]]
    assert penalize_written(scores, as_ids([[0, 1, 3]] * 2), 0.5)[0].tolist() == [6, -0.5, 0, 4]


def test_the_penalty_equals_the_paper_for_positive_scores() -> None:
    """Keskar et al.: p_i is proportional to exp(x_i / (T I(i))), with I(i) = theta or 1."""
    scores, theta, temperature = torch.tensor([[2.0, 1.0, 0.5]]).double(), 1.2, 0.7
    found = (penalize_written(scores, as_ids([[1]]), theta) / temperature).softmax(dim=-1)
    weights = [math.exp(2 / 0.7), math.exp(1 / (0.7 * 1.2)), math.exp(0.5 / 0.7)]
    assert found[0].tolist() == pytest.approx([weight / sum(weights) for weight in weights])


@given(sentences, st.floats(0.01, 100))
def test_a_higher_penalty_never_makes_a_written_token_likelier(
    written: list[list[int]], penalty: float
) -> None:
    scores = torch.randn(len(written), WORDS, generator=torch.Generator().manual_seed(0)).double()
    found = penalize_written(scores, as_ids(written), penalty)
    for row, ids in enumerate(written):
        for word in range(WORDS):
            change = float(found[row, word] - scores[row, word])
            assert change * (1 - penalty) >= 0 if word in ids else change == 0


@given(sentences, st.integers(1, 5))
def test_exactly_the_tokens_that_repeat_an_ngram_are_banned(
    written: list[list[int]], n: int
) -> None:
    found = ban_repeated_ngrams(torch.zeros(len(written), WORDS), as_ids(written), n)
    for row, ids in enumerate(written):
        ngrams = [ids[start : start + n] for start in range(len(ids) - n + 1)]
        for word in range(WORDS):
            new = [*ids, word][-n:]
            assert (found[row, word] == -math.inf) == (new in ngrams)


def test_the_given_scores_are_not_modified() -> None:
    scores, written = torch.ones(1, WORDS), as_ids([[1, 1, 2]])
    penalize_written(scores, written, 3.0)
    ban_repeated_ngrams(scores, written, 1)
    assert (scores == 1).all()
