"""Warnings about comparisons of runs that are not comparable, or collapsed."""

__all__ = ["comparability_warnings"]

from collections.abc import Callable, Iterator, Sequence

from ..config.epoch_budget import shared_budget_warnings
from ..errors import listing
from ..training.collapse import COLLAPSED
from .summary import Outcome


def comparability_warnings(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yields warnings about the figures of some runs."""
    read = [outcome for outcome in outcomes if outcome.measured]
    if tests := _differing(read, lambda outcome: outcome.tested, _size):
        yield (
            f"the runs have different test sets ({tests}), so their figures are not comparable, "
            "and none is marked as the best"
        )
    latent = [outcome for outcome in read if outcome.samples is not None]
    if found := _differing(latent, lambda each: each.samples, lambda e: f"{e.samples} samples"):
        yield (
            f"IW-PPL and NLL (IW) are not comparable: the numbers of importance samples differ ({found}), and "
            "more samples give a lower value"
        )
    collapsed = [
        outcome.name
        for outcome in latent
        if (mi := outcome.figures["mi_known_posterior"]) is not None and mi.value < COLLAPSED
    ]
    if collapsed:
        yield f"posterior collapse, I(x; z) below {COLLAPSED:g} nats: {listing(collapsed, 3)}"
    yield from shared_budget_warnings(
        {outcome.name: outcome.config for outcome in read if outcome.config is not None}
    )


def _differing(
    outcomes: Sequence[Outcome], key: Callable[[Outcome], object], label: Callable[[Outcome], str]
) -> str:
    """Returns the label and an example of each group of runs by key; empty if there is only one."""
    groups: dict[object, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    if len(groups) < 2:
        return ""
    several = [
        f"{label(first)}: {first.name}" + (f" and {len(others)} more" if others else "")
        for first, *others in groups.values()
    ]
    more = f"; and {len(several) - 3} others" if len(several) > 3 else ""
    return "; ".join(several[:3]) + more


def _size(outcome: Outcome) -> str:
    record = outcome.evaluation or {}
    return f"{record.get('sentences')} sentences, {record.get('tokens')} tokens"
