"""Prepare the next batches in a thread while the device computes."""

__all__ = ["prefetch"]

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterator[Item], count: int = 2) -> Iterator[Item]:
    """Yields the items of an iterator, computed ahead by a thread.

    An error of the iterator is raised in the order of the items.

    Arguments:
        items: The iterator; only the thread may use it from now on.
        count: The number of items to compute ahead.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="mivae-prefetch") as worker:
        pending: list[Future[Item | object]] = [
            worker.submit(next, items, end) for _ in range(count)
        ]
        while (item := pending.pop(0).result()) is not end:
            pending.append(worker.submit(next, items, end))
            yield item  # type: ignore[misc]  # not the end marker
