"""Batches: every sentence once an epoch, in an order that depends on nothing but the seed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.data.batches import Batch, BatchSampler, collate, ordered_batches
from mivae_cli.data.store import TokenStore
from mivae_cli.data.tokenizer import BOUNDARY


def store_of(lengths: list[int]) -> TokenStore:
    """Sentences that can be told apart: the one at place i repeats the id i + 2."""
    return TokenStore.from_ids([place + 2] * length for place, length in enumerate(lengths))


def uneven(count: int, longest: int = 50) -> TokenStore:
    return store_of(np.random.default_rng(0).integers(1, longest + 1, size=count).tolist())


lengths = st.lists(st.integers(1, 9), min_size=1, max_size=300)
sizes = st.integers(2, 20)


@given(lengths, sizes, st.integers(0, 2**32), st.integers(0, 5))
def test_an_epoch_is_a_permutation_of_the_corpus(
    chosen: list[int], batch_size: int, seed: int, epoch: int
) -> None:
    sampler = BatchSampler(store_of(chosen), batch_size, seed)
    order = sampler.order(epoch)
    assert sorted(np.concatenate(order).tolist()) == list(range(len(chosen)))
    assert len(order) == len(sampler)


@given(lengths, sizes)
def test_batches_have_the_size_that_is_asked(chosen: list[int], batch_size: int) -> None:
    order = BatchSampler(store_of(chosen), batch_size, 0).order(0)
    found = sorted(len(indices) for indices in order)
    assert found[-1] <= batch_size + 1
    assert sum(size < batch_size for size in found) <= 1


@pytest.mark.parametrize("count", [2, 5, 9, 64 * 4, 64 * 4 + 1, 64 * 4 + 5, 2 * 64 * 4 + 1])
def test_no_sentence_is_alone_in_a_batch(count: int) -> None:
    sampler = BatchSampler(store_of([3] * count), 4, 0)
    assert min(len(indices) for indices in sampler.order(0)) > 1
    assert len(sampler.order(0)) == len(sampler)


def test_a_corpus_of_one_sentence_has_one_batch() -> None:
    sampler = BatchSampler(store_of([3]), 4, 0)
    assert [indices.tolist() for indices in sampler.order(0)] == [[0]]
    assert len(sampler) == 1


def tokens(sampler: BatchSampler, epoch: int, position: int = 0) -> list[list[list[int]]]:
    return [batch.tokens.tolist() for batch in sampler.batches(epoch, position)]


def test_the_same_seed_gives_the_same_batches() -> None:
    store = uneven(300)
    assert tokens(BatchSampler(store, 8, 3), 1) == tokens(BatchSampler(store, 8, 3), 1)


def test_other_seeds_and_epochs_give_other_batches() -> None:
    store = uneven(300)
    orders = [tokens(BatchSampler(store, 8, seed), epoch) for seed in (0, 1) for epoch in (0, 1)]
    for place, order in enumerate(orders):
        assert order not in orders[:place]


def test_torch_s_generator_neither_decides_the_order_nor_is_moved_by_it() -> None:
    sampler = BatchSampler(uneven(100), 8, 0)
    before = torch.get_rng_state()
    first = tokens(sampler, 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert tokens(sampler, 0) == first


@given(st.integers(0, 60))
def test_resuming_at_any_position_gives_the_same_tail(position: int) -> None:
    sampler = BatchSampler(uneven(400), 8, 0)
    whole = [collate(sampler.store, indices).tokens.tolist() for indices in sampler.order(2)]
    assert tokens(sampler, 2, position) == whole[position:]


def test_sentences_of_a_batch_are_of_like_length() -> None:
    store = uneven(4000)
    batches = list(BatchSampler(store, 16, 0).batches(0))
    padded = sum(batch.tokens.numel() for batch in batches)
    assert padded < 1.05 * len(store.tokens)  # at random it would be near 1.9


def test_batches_of_short_and_long_sentences_are_mixed() -> None:
    batches = BatchSampler(uneven(4000), 16, 0).batches(0)
    means = [float(batch.lengths.double().mean()) for batch in batches]
    halves = np.array_split(np.array(means), 2)
    assert abs(halves[0].mean() - halves[1].mean()) < 5


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 2**16))
def test_collate_pads_with_the_boundary(chosen: list[int], seed: int) -> None:
    store = store_of(chosen)
    indices = np.random.default_rng(seed).permutation(len(chosen))
    batch = collate(store, indices)
    assert batch.tokens.shape == (len(chosen), max(chosen))
    assert batch.lengths.tolist() == [chosen[place] for place in indices]
    for row, place in zip(batch.tokens.tolist(), indices.tolist(), strict=True):
        padding = [BOUNDARY] * (max(chosen) - chosen[place])
        assert row == store.sentence(place) + padding


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_masks_count_lengths(chosen: list[int]) -> None:
    batch = collate(store_of(chosen), np.arange(len(chosen)))
    assert batch.mask.sum(dim=1).tolist() == chosen
    assert batch.target_mask().sum(dim=1).tolist() == [length + 1 for length in chosen]
    assert (batch.tokens[~batch.mask] == BOUNDARY).all()
    assert (batch.tokens[batch.mask] != BOUNDARY).all()


def test_the_decoder_reads_from_the_boundary_and_is_to_say_it_last() -> None:
    batch = collate(TokenStore.from_ids([[5, 6], [7]]), np.array([0, 1]))
    assert batch.inputs().tolist() == [[BOUNDARY, 5, 6], [BOUNDARY, 7, BOUNDARY]]
    assert batch.targets().tolist() == [[5, 6, BOUNDARY], [7, BOUNDARY, BOUNDARY]]
    assert batch.target_mask().tolist() == [[True, True, True], [True, True, False]]


@given(lengths, st.integers(1, 20))
def test_ordered_batches_visit_every_sentence_once_shortest_first(
    chosen: list[int], batch_size: int
) -> None:
    store = store_of(chosen)
    visited: list[int] = []
    for indices, batch in ordered_batches(store, batch_size):
        assert len(batch) == len(indices) <= batch_size
        assert batch.tokens[:, 0].tolist() == [place + 2 for place in indices]
        visited += indices.tolist()
    assert sorted(visited) == list(range(len(chosen)))
    assert [chosen[place] for place in visited] == sorted(chosen)


def test_a_batch_moves_as_a_whole() -> None:
    batch = collate(uneven(4), np.arange(4)).to(torch.device("meta"))
    assert isinstance(batch, Batch)
    assert batch.tokens.device == batch.lengths.device == torch.device("meta")
