"""Mutual information: bounds, critics, and the estimates made with them."""

__all__ = ["Estimate", "Recommendation", "Report", "estimate_mutual_information"]

from .pairs import estimate_mutual_information
from .records import Estimate, Recommendation, Report
