"""Records of a ranking of features; the fields are the keys of the JSON form.

Does not import torch.
"""

__all__ = ["FeatureRank", "Ranking"]

from dataclasses import dataclass, field
from typing import Any

from .report_views import ranking_frame, ranking_html


@dataclass(frozen=True)
class FeatureRank:
    """The mutual information of one feature with the target, in nats.

    Attributes:
        feature: The name of the feature.
        value: The estimate.
        ci_low: The lower end of its 95 % interval.
        ci_high: The upper end.
        p_value: The p-value of independence by permutation.
        q_value: The smallest false-discovery rate at which the feature is selected.
        estimator: The name of the estimator; "constant" for a constant feature.
        redundancy: The largest mutual information with a feature ranked above; None if not
            requested.
        redundant_with: The name of that feature.
        mrmr: The place of the feature in the order of minimum redundancy and maximum relevance.

    >>> from mivae_cli.estimators import FeatureRank
    >>> FeatureRank("age", 0.1, 0.05, 0.15, 0.001, 0.01, "copula+knn").feature
    'age'
    """

    feature: str
    value: float
    ci_low: float | None
    ci_high: float | None
    p_value: float
    q_value: float
    estimator: str
    redundancy: float | None = None
    redundant_with: str | None = None
    mrmr: int | None = None

    @classmethod
    def constant(cls, feature: str) -> "FeatureRank":
        """Returns the record of a constant feature, whose mutual information is 0."""
        return cls(feature, 0.0, 0.0, 0.0, 1.0, 1.0, "constant")


@dataclass(frozen=True)
class Ranking:
    """Features by their mutual information with a target, the largest first.

    Attributes:
        features: One record for each feature.
        target: The name of the target.
        n: The number of rows.
        permutations: The number of permutations of the target.
        seconds: Wall time.
        warnings: Problems of the rows.
        notes: How to read the figures.
        unit: Always "nats".

    >>> from mivae_cli.estimators import Ranking
    >>> Ranking([], target="income", n=100, permutations=1000, seconds=0.1).unit
    'nats'
    """

    features: list[FeatureRank]
    target: str
    n: int
    permutations: int
    seconds: float
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unit: str = "nats"

    def to_frame(self) -> Any:  # noqa: ANN401  # a pandas.DataFrame
        """Returns a pandas data frame with a row for each feature.

        Raises:
            ConfigError: pandas is not installed.
        """
        return ranking_frame(self)

    def _repr_html_(self) -> str:
        """Returns the table that a notebook shows."""
        return ranking_html(self)
