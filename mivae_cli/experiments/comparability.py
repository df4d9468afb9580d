"""What keeps the figures of runs from being compared, and what there is to say of some runs."""

__all__ = ["comparability_warnings"]

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..config.epoch_budget import shared_budget_warnings
from ..errors import listing
from ..training.collapse import COLLAPSED
from .summary import Outcome


def comparability_warnings(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yields what keeps the figures of some runs from being compared."""
    read = [outcome for outcome in outcomes if outcome.measured]
    if len(tests := _sets(read, lambda outcome: outcome.tested)) > 1:
        yield (
            f"not all were tested on the same sentences and tokens ({_told(tests, _size)}): figures "
            "of different test sets do not compare, and none is marked as the best"
        )
    latent = [outcome for outcome in read if outcome.samples is not None]
    if len(counts := _sets(latent, lambda outcome: outcome.samples)) > 1:
        told = _told(counts, lambda outcome: f"{outcome.samples} samples")
        yield (
            f"IW-PPL was taken with different numbers of samples ({told}), which do not compare: "
            "more give a lower figure"
        )
    collapsed = [
        outcome.name
        for outcome in latent
        if (mi := outcome.figures["mi_known_posterior"]) is not None and mi.value < COLLAPSED
    ]
    if collapsed:
        yield (
            f"the posterior has collapsed, I(x; z) is below {COLLAPSED:g} nats: {listing(collapsed, 3)}"
        )
    yield from shared_budget_warnings(
        {outcome.name: outcome.config for outcome in read if outcome.config is not None}
    )


def _sets(
    outcomes: Sequence[Outcome], key: Callable[[Outcome], object]
) -> dict[object, list[Outcome]]:
    sets: dict[object, list[Outcome]] = {}
    for outcome in outcomes:
        sets.setdefault(key(outcome), []).append(outcome)
    return sets


def _told(sets: Mapping[object, Sequence[Outcome]], say: Callable[[Outcome], str]) -> str:
    """Returns of some sets what they have in common, each with a run to look at."""
    several = [
        f"{say(members[0])}: {members[0].name}"
        + (f" and {len(members) - 1} more" if len(members) > 1 else "")
        for members in sets.values()
    ]
    more = f"; and {len(several) - 3} others" if len(several) > 3 else ""
    return "; ".join(several[:3]) + more


def _size(outcome: Outcome) -> str:
    record = outcome.evaluation or {}
    return f"{record.get('sentences')} sentences, {record.get('tokens')} tokens"
