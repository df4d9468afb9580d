"""Warnings about comparisons of runs that are not comparable, or collapsed."""

__all__ = ["comparability_warnings"]

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..config.epoch_budget import shared_budget_warnings
from ..errors import listing
from ..training.collapse import COLLAPSED
from .summary import Outcome


def comparability_warnings(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yields warnings about the figures of some runs."""
    read = [outcome for outcome in outcomes if outcome.measured]
    if len(tests := _grouped(read, lambda outcome: outcome.tested)) > 1:
        yield (
            f"the runs have different test sets ({_described(tests, _size)}), so their figures are "
            "not comparable, and none is marked as the best"
        )
    latent = [outcome for outcome in read if outcome.samples is not None]
    if len(counts := _grouped(latent, lambda outcome: outcome.samples)) > 1:
        found = _described(counts, lambda outcome: f"{outcome.samples} samples")
        yield (
            f"IW-PPL is not comparable: the numbers of importance samples differ ({found}), and "
            "more samples give a lower value"
        )
    collapsed = [
        outcome.name
        for outcome in latent
        if (mi := outcome.figures["mi_known_posterior"]) is not None and mi.value < COLLAPSED
    ]
    if collapsed:
        yield (f"posterior collapse, I(x; z) below {COLLAPSED:g} nats: {listing(collapsed, 3)}")
    yield from shared_budget_warnings(
        {outcome.name: outcome.config for outcome in read if outcome.config is not None}
    )


def _grouped(
    outcomes: Sequence[Outcome], key: Callable[[Outcome], object]
) -> dict[object, list[Outcome]]:
    """Returns the runs grouped by a key."""
    groups: dict[object, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return groups


def _described(groups: Mapping[object, Sequence[Outcome]], label: Callable[[Outcome], str]) -> str:
    """Returns the label and an example of each group."""
    several = [
        f"{label(members[0])}: {members[0].name}"
        + (f" and {len(members) - 1} more" if len(members) > 1 else "")
        for members in groups.values()
    ]
    more = f"; and {len(several) - 3} others" if len(several) > 3 else ""
    return "; ".join(several[:3]) + more


def _size(outcome: Outcome) -> str:
    record = outcome.evaluation or {}
    return f"{record.get('sentences')} sentences, {record.get('tokens')} tokens"
