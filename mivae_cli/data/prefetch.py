"""Work done ahead: the next batch is made while a device computes on this one."""

__all__ = ["ahead"]

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item], count: int = 2) -> Iterator[Item]:
    """Yields the items of an iterator, of which a thread makes the next ones meanwhile.

    What the iterator raises is raised when its turn comes.

    Arguments:
        items: The iterator; the thread alone may use it from now on.
        count: Items that are made before they are asked for.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="mivae-ahead") as worker:
        made: list[Future[Item | object]] = [worker.submit(next, items, end) for _ in range(count)]
        while (item := made.pop(0).result()) is not end:
            made.append(worker.submit(next, items, end))
            yield item  # type: ignore[misc]  # all but the end is an item
