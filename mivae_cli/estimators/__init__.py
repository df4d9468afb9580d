"""Mutual information of any pairs: bounds, critics, and the estimates made with them."""

__all__ = ["Estimate", "Recommendation", "Report", "estimate_mutual_information"]

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .estimate import estimate_mutual_information
    from .report import Estimate, Recommendation, Report


def __getattr__(name: str) -> object:
    """Imports a public name on first use, so that modules without torch load quickly."""
    if name == "estimate_mutual_information":
        from .estimate import estimate_mutual_information

        return estimate_mutual_information
    if name in __all__:
        from . import report

        found: object = getattr(report, name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
