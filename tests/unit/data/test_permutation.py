"""The permutation: a bijection of any size, nearly uniform over seeds, in constant memory."""

import itertools
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.data.permutation import Permutation


def laid_out(size: int, seed: int) -> list[int]:
    order: list[int] = Permutation(size, np.random.SeedSequence(seed))(np.arange(size)).tolist()
    return order


def beyond_chance(chi_square: float, freedom: int) -> float:
    """Returns the distance of a chi-square from its mean in standard deviations."""
    return abs(chi_square - freedom) / float(np.sqrt(2 * freedom))


@given(st.integers(1, 3000), st.integers(0, 2**70))
def test_every_number_stands_at_one_place(size: int, seed: int) -> None:
    assert sorted(laid_out(size, seed)) == list(range(size))


@pytest.mark.parametrize("exponent", [4, 5, 8, 9, 16, 17])
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_sizes_beside_a_power_of_two(exponent: int, beside: int) -> None:
    size = 2**exponent + beside
    found = Permutation(size, np.random.SeedSequence(0))(np.arange(size))
    np.testing.assert_array_equal(np.sort(found), np.arange(size))


@given(st.integers(1, 10**12), st.integers(0, 2**32), st.data())
def test_values_do_not_depend_on_the_request(size: int, seed: int, data: st.DataObject) -> None:
    places = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)))
    permutation = Permutation(size, np.random.SeedSequence(seed))
    found = permutation(places)
    assert ((found >= 0) & (found < size)).all()
    assert len(set(found.tolist())) == len(set(places.tolist()))
    assert [permutation(places[i : i + 1])[0] for i in range(len(places))] == found.tolist()


@pytest.mark.parametrize("size", [2, 3, 4])
def test_all_permutations_of_a_few_are_as_likely(size: int) -> None:
    draws = 2400
    found = Counter(tuple(laid_out(size, seed)) for seed in range(draws))
    every = list(itertools.permutations(range(size)))
    expected = draws / len(every)
    chi_square = sum((found[order] - expected) ** 2 / expected for order in every)
    assert beyond_chance(chi_square, len(every) - 1) < 4


@pytest.mark.parametrize("size", [16, 100])
def test_every_number_is_as_likely_at_every_place(size: int) -> None:
    draws = 1000
    found = np.zeros((size, size))
    for seed in range(draws):
        found[np.arange(size), laid_out(size, seed)] += 1
    expected = draws / size
    chi_square = ((found - expected) ** 2 / expected).sum()
    assert beyond_chance(chi_square, (size - 1) ** 2) < 4


def test_the_distance_of_neighbours_is_that_of_any_two() -> None:
    size, draws = 10**7, 50_000
    permutation = Permutation(size, np.random.SeedSequence(0))
    places = np.arange(draws)
    distance = np.abs(permutation(places + 1) - permutation(places))
    # |i - j| of two distinct numbers has mean (N + 1) / 3 and variance of about N^2 / 18
    assert abs(distance.mean() - (size + 1) / 3) < 5 * size / np.sqrt(18 * draws)


def test_seeds_give_permutations_that_have_nothing_in_common() -> None:
    size = 10_000
    orders = np.array([laid_out(size, seed) for seed in range(8)])
    for first, second in itertools.combinations(orders, 2):
        assert (first == second).sum() < 10  # about one match is expected
        assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(size)


def test_a_few_numbers_of_a_huge_permutation_take_no_memory() -> None:
    tracemalloc.start()
    try:
        Permutation(10**12, np.random.SeedSequence(0))(np.arange(1000))
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()
