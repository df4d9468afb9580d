"""What a report shows: frozen records, without charts.

Missing parts are None or empty, and `RunContents.missing` says how to get them. Information,
rates and likelihoods are in nats per sentence.
"""

__all__ = [
    "Changed",
    "Fact",
    "LatentMap",
    "MapPoint",
    "Missing",
    "Note",
    "Passage",
    "Quantity",
    "ReportData",
    "RunContents",
    "SettingRow",
    "SplitSize",
    "UnitDensity",
    "Weighting",
]

from dataclasses import dataclass, field
from typing import Literal

from ..estimators.report import Estimate
from ..experiments.comparison import Comparison
from ..storage.metrics_log import Metrics


@dataclass(frozen=True)
class SettingRow:
    """A setting of a run and its default, as TOML."""

    key: str
    value: str
    default: str

    @property
    def changed(self) -> bool:
        """Whether the setting differs from its default."""
        return self.value != self.default


@dataclass(frozen=True)
class SplitSize:
    """The size of a split, and how many of its words and sentences are not as in the text."""

    split: str
    sentences: int
    tokens: int
    unknown: int  # tokens
    truncated: int  # sentences


@dataclass(frozen=True)
class Fact:
    """A property of a run, such as its machine."""

    name: str
    value: str


@dataclass(frozen=True)
class Quantity:
    """A figure of the headline table."""

    key: str
    name: str
    value: str
    interval: str  # 95 %; empty if there is none
    unit: str
    meaning: str


@dataclass(frozen=True)
class Note:
    """A remark on the figures in plain words."""

    kind: Literal["good", "warning"]
    text: str


@dataclass(frozen=True)
class Missing:
    """Something that a report lacks, why, and the command that adds it."""

    what: str
    reason: str
    command: str = ""


@dataclass(frozen=True)
class Weighting:
    """The weights of the objective after some epochs."""

    epoch: float
    beta: float
    information: float  # lambda


@dataclass(frozen=True)
class UnitDensity:
    r"""The aggregated posterior of one latent unit, :math:`q(z_k) = \frac1N \sum_n q(z_k | x_n)`."""

    unit: int  # counted from 1
    rate: float
    divergence: float  # KL(q(z_k) || p(z_k))
    z: tuple[float, ...]
    aggregated: tuple[float, ...]  # density at z
    prior: tuple[float, ...]


@dataclass(frozen=True)
class MapPoint:
    """A sentence on the map."""

    x: float
    y: float
    text: str
    words: int
    rate: float
    label: str | float | None = None


@dataclass(frozen=True)
class LatentMap:
    """A map of the posterior means of sentences."""

    method: str
    axes: tuple[str, str]
    note: str
    points: tuple[MapPoint, ...]
    sentences: int  # of the split, of which the points are a sample
    label: str = ""  # the name of the labels, if any


@dataclass(frozen=True)
class Changed:
    """A word, and whether it differs from the text that it is compared with."""

    word: str
    changed: bool


@dataclass(frozen=True)
class Passage:
    """A sentence with the text that it is compared with."""

    head: str  # what the row is, such as "t = 0.25"
    words: tuple[Changed, ...]
    beside: tuple[Changed, ...] = ()
    separator: str = " "  # between words


@dataclass(frozen=True)
class RunContents:
    """Everything that a report shows of a run."""

    name: str
    path: str
    standing: str
    summary: str  # one sentence
    checkpoint: str = ""
    language_model: bool = False
    command: str = ""  # that trains the run again; empty if unknown
    settings: tuple[SettingRow, ...] = ()
    splits: tuple[SplitSize, ...] = ()
    sources: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    headline: tuple[Quantity, ...] = ()
    notes: tuple[Note, ...] = ()
    missing: tuple[Missing, ...] = ()
    metrics: Metrics = field(default_factory=Metrics)
    weights: tuple[Weighting, ...] = ()
    rates: tuple[float, ...] = ()  # by unit
    rate: float | None = None
    collapsed: bool = False  # whether the code carries almost no information
    aggregated_divergence: float | None = None  # KL(q(z) || p(z))
    estimates: tuple[Estimate, ...] = ()
    densities: tuple[UnitDensity, ...] = ()
    map: LatentMap | None = None
    reconstructions: tuple[Passage, ...] = ()
    interpolations: tuple[tuple[Passage, ...], ...] = ()
    samples: tuple[Passage, ...] = ()


@dataclass(frozen=True)
class ReportData:
    """The contents of a report on one run, or on several."""

    title: str
    runs: tuple[RunContents, ...]
    comparison: Comparison | None  # of several runs
    version: str
    written: str  # date and time, UTC
