"""Prefetching keeps all items, their order, and the order of errors."""

import threading
from collections.abc import Iterator

import pytest

from mivae_cli.data.batches import prefetch


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_all_items_come_once_and_in_order(length: int) -> None:
    assert list(prefetch(iter(range(length)))) == list(range(length))


def test_the_next_items_are_made_before_they_are_asked_for() -> None:
    made = [threading.Event() for _ in range(5)]

    def items() -> Iterator[int]:
        for place, event in enumerate(made):
            event.set()
            yield place

    stream = prefetch(items(), count=2)
    assert next(stream) == 0
    assert made[2].wait(timeout=600)  # computed before it is requested
    assert not made[4].wait(timeout=0.05)
    assert list(stream) == [1, 2, 3, 4]


def test_an_error_is_raised_when_its_turn_comes() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    stream = prefetch(items())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broken"):
        next(stream)


def test_one_may_stop_before_the_end() -> None:
    before = threading.active_count()
    stream = prefetch(iter(range(1000)))
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert threading.active_count() == before
