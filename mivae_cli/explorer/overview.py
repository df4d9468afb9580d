"""What the page shows first: the run, the corpus, the map, and its colours and sliders."""

__all__ = ["About", "overview"]

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import limits
from .codes import CorpusCodes
from .colours import Colours
from .neighbours import Metric
from .sentences import Sentences


@dataclass(frozen=True)
class About:
    """What the page says of the run."""

    run: str
    checkpoint: str
    title: str
    model: Mapping[str, str | int] = field(default_factory=dict)


def overview(
    about: About, sentences: Sentences, codes: CorpusCodes, colours: Colours, metric: Metric
) -> dict[str, Any]:
    """Returns the answer as a JSON object."""
    places = codes.places
    low, high = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    return {
        "run": about.run,
        "checkpoint": about.checkpoint,
        "title": about.title,
        "live": True,
        "model": dict(about.model),
        "corpus": {"name": sentences.name, "total": codes.total, "loaded": codes.loaded},
        "map": {
            "method": codes.method.upper(),
            "axes": list(codes.axis_names),
            "bounds": [low[0], high[0], low[1], high[1]],
            "note": codes.note,
        },
        "colours": colours.description(),
        "units": [asdict(unit) for unit in codes.units()],
        "limits": {
            "characters": limits.MAX_REQUEST_CHARACTERS,
            "steps": limits.MAX_REQUEST_STEPS,
            "rows": limits.MAX_REQUEST_ROWS,
            "temperature": [0, limits.MAX_REQUEST_TEMPERATURE],
            "spread": [0, limits.MAX_REQUEST_SPREAD],
        },
        "metric": metric,
    }
