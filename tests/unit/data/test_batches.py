"""Batches: each sentence once per epoch, in an order determined by the seed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mivae_cli.data.batches import WINDOW, Batch, BatchSampler, collate, ordered_batches
from mivae_cli.data.permutation import Permutation
from mivae_cli.data.prepared_corpus import TokenStore
from mivae_cli.data.tokenizer import BOUNDARY


def store_of(lengths: list[int]) -> TokenStore:
    """Distinct sentences: sentence i repeats the id i + 2."""
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
    order = list(sampler.order(epoch))
    assert sorted(np.concatenate(order).tolist()) == list(range(len(chosen)))
    assert len(order) == len(sampler)


@given(lengths, sizes)
def test_batches_have_the_size_that_is_asked(chosen: list[int], batch_size: int) -> None:
    order = list(BatchSampler(store_of(chosen), batch_size, 0).order(0))
    found = sorted(len(indices) for indices in order)
    assert found[-1] <= batch_size + 1
    assert sum(size < batch_size for size in found) <= 1


@pytest.mark.parametrize("count", [2, 5, 9, 64 * 4, 64 * 4 + 1, 64 * 4 + 5, 2 * 64 * 4 + 1])
def test_no_sentence_is_alone_in_a_batch(count: int) -> None:
    sampler = BatchSampler(store_of([3] * count), 4, 0)
    order = list(sampler.order(0))
    assert min(len(indices) for indices in order) > 1
    assert len(order) == len(sampler)


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


@given(st.integers(0, 140))
def test_resuming_at_any_position_gives_the_same_tail(position: int) -> None:
    sampler = BatchSampler(uneven(520), 4, 0)  # three windows
    whole = [collate(sampler.store, indices).tokens.tolist() for indices in sampler.order(2)]
    assert tokens(sampler, 2, position) == whole[position:]


@given(
    lengths, st.lists(st.tuples(sizes, st.integers(0, 60)), max_size=4), sizes, st.integers(1, 5)
)
def test_each_sentence_comes_once_whichever_batch_sizes_an_epoch_has(
    chosen: list[int], turns: list[tuple[int, int]], last: int, window: int
) -> None:
    store, epoch = store_of(chosen), 3
    seen: list[NDArray[np.int64]] = []
    earlier: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "mivae_cli.data.batches.WINDOW", window
        )  # small, so that a corpus has many windows
        for size, count in [*turns, (last, len(chosen))]:
            sampler = BatchSampler(store, size, 0)
            part, position = sampler.epoch_part(epoch, earlier), len(seen)
            left = sum(map(len, seen))
            assert part.fraction_done(position) == pytest.approx(left / len(chosen))
            batches = list(sampler.order(epoch, position, earlier))
            assert (part.before, part.batches) == (position, len(batches))
            assert all(len(batch) <= size + 1 for batch in batches)
            assert sum(len(batch) < size for batch in batches) <= 1
            for done in {0, count // 2, min(count, len(batches))}:
                tail = list(sampler.order(epoch, position + done, earlier))
                assert [batch.tolist() for batch in tail] == [
                    batch.tolist() for batch in batches[done:]
                ]
            seen += batches[:count]
            if batches[:count]:
                earlier.append((size, len(batches[:count])))
    assert sorted(np.concatenate(seen).tolist()) == list(range(len(chosen)))
    assert min(map(len, seen)) > 1 or len(chosen) == 1


def test_an_epoch_that_cannot_have_had_such_batches_is_refused() -> None:
    sampler = BatchSampler(uneven(100), 8, 0)
    assert sampler.epoch_part(0, [(50, 2)]).batches == 0
    for earlier in ([(50, 3)], [(8, 5), (2, 60)], [(65_536, 2)]):
        with pytest.raises(ValueError, match="batches"):
            sampler.epoch_part(0, earlier)


def test_only_the_window_of_a_batch_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    permuted = Permutation.__call__

    def counted(self: Permutation, places: NDArray[np.int64]) -> NDArray[np.int64]:
        read.append(len(places))
        return permuted(self, places)

    monkeypatch.setattr(Permutation, "__call__", counted)
    sampler = BatchSampler(store_of([1] * 5000), 4, 0)
    next(sampler.batches(0, 17 * WINDOW + 3))
    assert read == [WINDOW * 4]


def test_every_sentence_comes_at_any_time() -> None:
    count, epochs = 1500, 120
    sampler = BatchSampler(uneven(count), 4, 0)
    found = np.zeros((count, 5))  # visits of each sentence in each fifth of an epoch
    for epoch in range(epochs):
        for position, indices in enumerate(sampler.order(epoch)):
            found[indices, position * 5 // len(sampler)] += 1
    expected = epochs * found.sum(axis=0) / found.sum()
    chi_square = ((found - expected) ** 2 / expected).sum()
    # 4 degrees of freedom per sentence; their sum is nearly normal
    assert abs(chi_square - 4 * count) < 5 * np.sqrt(2 * 4 * count)


def test_neighbours_in_the_corpus_are_not_kept_together() -> None:
    count, epochs, batch_size = 2000, 40, 10
    sampler = BatchSampler(store_of([3] * count), batch_size, 0)
    together = 0
    for epoch in range(epochs):
        for indices in sampler.order(epoch):
            together += int((np.diff(np.sort(indices)) == 1).sum())
    pairs = epochs * (count - 1)
    expected = pairs * (batch_size - 1) / (count - 1)
    assert abs(together - expected) < 5 * np.sqrt(expected)


def test_sentences_of_a_batch_are_of_like_length() -> None:
    store = uneven(4000)
    batches = list(BatchSampler(store, 16, 0).batches(0))
    padded = sum(batch.tokens.numel() for batch in batches)
    assert padded < 1.05 * len(store.tokens)  # random batches would give about 1.9


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
