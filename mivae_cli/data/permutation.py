r"""A random permutation of 0..N-1, computed on demand without storing it.

A balanced Feistel network permutes the numbers of 2b bits, with the smallest b that holds N - 1. It
splits a number into halves L and R of b bits, and each round computes

.. math:: (L, R) \to (R, L \oplus f_k(R)),

a bijection for any function f. Here f is a 64-bit mixing function with a key k per round, drawn
from the seed. A result outside 0..N-1 is permuted again until it is inside (cycle-walking), which
gives a bijection of 0..N-1. As the network permutes at most 4N numbers, this takes at most 4
iterations on average.

References:
    | How to Construct Pseudorandom Permutations from Pseudorandom Functions (Luby & Rackoff,
      1988)
    | Ciphers with Arbitrary Finite Domains (Black & Rogaway, 2002), for cycle-walking
    | Fast Splittable Pseudorandom Number Generators (Steele, Lea & Flood, 2014), for the mix
"""

__all__ = ["Permutation"]

import numpy as np
from numpy.typing import NDArray

ROUNDS = 8
WORD = np.uint64


class Permutation:
    """A permutation of 0..size-1, determined by the seed."""

    def __init__(self, size: int, seed: np.random.SeedSequence) -> None:
        self.size = size
        self._half = WORD(max(1, ((size - 1).bit_length() + 1) // 2))
        self._keys = seed.generate_state(ROUNDS, WORD)

    def __call__(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the numbers at the given positions of the permutation, in the same shape."""
        numbers = self._feistel(places.astype(WORD))
        while (outside := numbers >= self.size).any():
            numbers[outside] = self._feistel(numbers[outside])
        return numbers.astype(np.int64)

    def _feistel(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left = numbers >> self._half
        right = numbers & ((WORD(1) << self._half) - WORD(1))
        for key in self._keys:
            # the high bits of a product are mixed best
            left, right = right, left ^ (_mix(right + key) >> (WORD(64) - self._half))
        return (left << self._half) | right


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns words in which every bit depends on every bit of the input (splitmix64)."""
    words = (words ^ (words >> WORD(30))) * WORD(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> WORD(27))) * WORD(0x94D049BB133111EB)
    return words ^ (words >> WORD(31))
