"""Stages of a long computation, as records that it yields or passes to a callback."""

__all__ = ["Stage"]

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """The current stage of a long computation, and how much of it is done."""

    name: str
    done: int
    total: int
