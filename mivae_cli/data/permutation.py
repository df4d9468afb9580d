r"""A permutation of 0..N-1 that is evaluated where it is asked, and never laid out in memory.

A balanced Feistel network permutes the numbers of 2b bits, the fewest that hold N - 1: it cuts
a number into halves L and R of b bits, and each round makes of them

.. math:: (L, R) \to (R, L \oplus f_k(R)),

a bijection whatever the function f is. Here f is a mix of 64 bits under the round's own key k,
drawn from the seed. A number that falls outside 0..N-1 is permuted again until it falls inside
(cycle-walking), which leaves a bijection of 0..N-1; as 4N numbers at most are permuted, that
takes 4 turns on average at most.

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
    """A seeded permutation of `size` numbers; every call sees the same one."""

    def __init__(self, size: int, seed: np.random.SeedSequence) -> None:
        self.size = size
        self._half = WORD(max(1, ((size - 1).bit_length() + 1) // 2))
        self._keys = seed.generate_state(ROUNDS, WORD)

    def __call__(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the numbers that stand at the given places, with the shape of `places`."""
        numbers = self._feistel(places.astype(WORD))
        while (outside := numbers >= self.size).any():
            numbers[outside] = self._feistel(numbers[outside])
        return numbers.astype(np.int64)

    def _feistel(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left = numbers >> self._half
        right = numbers & ((WORD(1) << self._half) - WORD(1))
        for key in self._keys:
            # the upper bits of a product are the best mixed
            left, right = right, left ^ (_mix(right + key) >> (WORD(64) - self._half))
        return (left << self._half) | right


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns words whose every bit depends on every bit of the given ones."""
    words = (words ^ (words >> WORD(30))) * WORD(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> WORD(27))) * WORD(0x94D049BB133111EB)
    return words ^ (words >> WORD(31))
