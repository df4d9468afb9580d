"""The figures of a report: charts with their titles and captions, in the order of the page."""

__all__ = ["Figure", "figures_of"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..storage.metrics_log import LoggedValidation
from .charts.curves import Curve, Mark, curves_chart, thinned
from .charts.estimates import estimates_chart
from .charts.latent_map import colour_encoding, map_chart, map_colours
from .charts.plane import plane, plane_chart
from .charts.style import distinct
from .charts.units import densities_chart, rate_curves_chart, rates_chart
from .records import ReportData, RunContents

Section = Literal["training", "latent", "comparison"]


@dataclass(frozen=True)
class Figure:
    """A chart as a Vega-Lite object without a width, and the words around it."""

    key: str  # the name of its file
    section: Section
    title: str
    caption: str  # what it shows, and how to read it
    summary: str  # for people who cannot see it
    chart: Mapping[str, Any]
    colours: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Encodings of the colour by name, if readers can choose one; the chart has the first."""
    small: bool = False  # whether two fit beside each other
    canvas: bool = False  # whether it has too many marks for SVG


def figures_of(data: ReportData) -> list[Figure]:
    """Returns the figures of a report."""
    if len(data.runs) == 1:
        [run] = data.runs
        return [*_training(run), *_latent(run)]
    return list(_comparison(data))


def _training(run: RunContents) -> Iterator[Figure]:
    """Yields the curves of one run."""
    found, steps = run.metrics.validations, run.metrics.steps
    marks = _marks(found)

    def validated(name: str, key: str) -> Curve:
        return Curve(name, thinned((each.epoch, getattr(each, key)) for each in found))

    def stepped(name: str, key: str) -> Curve:
        return Curve(name, thinned((each.epoch, getattr(each, key)) for each in steps))

    split, terms = (
        "on the validation split after each epoch",
        "Distortion D and negative ELBO, D + R,",
    )
    distance = ", by KL(q(z)‖p(z)) above the MI of the known posterior"
    if found:
        loss = [validated("distortion D", "distortion"), _negative_elbo(found)]
        information = [
            validated("rate R", "rate"),
            validated("MI, known posterior", "mi"),
            validated("MI, dual bound", "mi_dual"),
        ]
    else:
        split, terms = "on training batches, as no epoch has ended", "Distortion D and loss"
        distance = ""
        loss = [stepped("distortion D", "distortion"), stepped("loss", "loss")]
        information = [stepped("rate R", "rate"), stepped("MI bound", "mi_bound")]
    if run.language_model:
        loss, information = loss[:1], []
        loss = [Curve("negative log-likelihood", curve.points) for curve in loss]
    yield from _curves(
        "likelihood",
        "Likelihood",
        "nats per sentence",
        loss,
        f"{'Negative log-likelihood' if run.language_model else terms} {split}. Lower is better.",
        marks,
    )
    yield from _curves(
        "information",
        "Information",
        "nats per sentence",
        information,
        f"Rate R and mutual information of sentence and code {split}. The rate is an upper "
        f"bound{distance}.",
        marks,
        zero=True,
    )
    yield from _curves(
        "log-xi",
        "Dual variable",
        "log ξ, nats",
        [stepped("log ξ", "log_xi")],
        "Dual variable of the bound in the training loss. It follows the log-partition of the "
        "critic's scores, so it moves while the critic learns.",
        marks,
        small=True,
    )
    yield from _curves(
        "units",
        "Latent units in use",
        "units",
        [
            validated("active", "active_units"),
            validated("above 0.1 nats", "units_above"),
            validated("effective", "effective_units"),
        ]
        if not run.language_model
        else [],
        f"Active units (variance of the mean at least 0.01), units with a rate above 0.1 nats, and "
        f"the effective number of units, {split}.",
        marks,
        small=True,
        zero=True,
    )
    weights = run.weights if not run.language_model else ()
    curves = [
        Curve("β", thinned((each.epoch, each.beta) for each in weights)),
        Curve("λ", thinned((each.epoch, each.information) for each in weights)),
        stepped("multiplier u", "multiplier"),
    ]
    if all(each.information == 0 for each in weights):
        del curves[1]
    yield from _curves(
        "weights",
        "Weights of the objective",
        "weight, no unit",
        curves,
        "Weight β of the rate, and λ of the mutual information, over training.",
        marks,
        small=True,
        zero=True,
    )
    yield from _curves(
        "learning-rate",
        "Learning rate",
        "learning rate, per step",
        [validated("learning rate", "learning_rate")],
        "Learning rate of the model at the end of each epoch.",
        marks,
        small=True,
        zero=True,
    )


def _curves(
    key: str,
    title: str,
    unit: str,
    curves: Sequence[Curve],
    caption: str,
    marks: Sequence[Mark],
    small: bool = False,
    zero: bool = False,
    section: Section = "training",
    domain: Sequence[str] = (),
) -> Iterator[Figure]:
    """Yields a figure of curves, unless all are empty."""
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return
    ends = "; ".join(f"{curve.name} ends at {curve.points[-1][1]:.4g}" for curve in curves)
    chart = curves_chart(curves, unit, marks, zero, domain).to_dict()
    yield Figure(key, section, title, caption, f"{title}: {ends}.", chart, small=small)


def _negative_elbo(found: Sequence[LoggedValidation]) -> Curve:
    points = ((each.epoch, None if each.elbo is None else -each.elbo) for each in found)
    return Curve("negative ELBO, D + R", thinned(points))


def _marks(found: Sequence[LoggedValidation]) -> list[Mark]:
    """Returns the epochs of the first collapse and of the best checkpoint."""
    marks = []
    collapse = next((each for each in found if each.collapsed), None)
    best = next((each for each in reversed(found) if each.best), None)
    if best is not None and best is not found[-1]:
        marks.append(Mark(best.epoch, "best checkpoint"))
    if collapse is not None:
        marks.append(Mark(collapse.epoch, "collapse", alarm=True))
    return marks


def _latent(run: RunContents) -> Iterator[Figure]:
    """Yields the figures of the latent space of one run."""
    if run.estimates:
        lines = {} if run.rate is None else {"rate R": run.rate}
        told = "; ".join(f"{each.estimator} {each.value:.2f} nats" for each in run.estimates)
        yield Figure(
            "estimates",
            "latent",
            "Mutual information of sentence and code",
            "Estimates of I(x; z) on the test split with 95 % intervals. Markers point towards the "
            "true value. The line is the rate R, which no true value exceeds.",
            f"Estimates of mutual information: {told}.",
            estimates_chart(run.estimates, lines).to_dict(),
        )
    if run.rates and any(run.rates):
        meaning = "A rate is an upper bound on the information of a unit, not its information."
        if run.collapsed:
            meaning += " The posterior has collapsed: whatever their rates, the units carry almost nothing."
        active = sum(rate > 0.1 for rate in run.rates)
        yield Figure(
            "rates",
            "latent",
            "Rate of each latent unit",
            "Mean rate of each unit on the test split, largest first. Faint bars are below 0.1 nats. "
            f"{meaning}",
            f"Rates of {len(run.rates)} units: {active} are above 0.1 nats, the largest is "
            f"{max(run.rates):.3f} nats.",
            rates_chart(run.rates).to_dict(),
        )
    if run.densities:
        whole = run.aggregated_divergence
        total = (
            f" KL(q(z)‖p(z)) of all units together, {whole:.2f} nats, also counts their dependence."
            if whole
            else ""
        )
        worst = max(run.densities, key=lambda each: each.divergence)
        yield Figure(
            "aggregated-posterior",
            "latent",
            "Aggregated posterior and prior",
            "Density of z over all test sentences (area) and the prior (dashed), for the units "
            f"with the highest rates. Where they differ, samples from the prior miss the data.{total}",
            f"Aggregated posteriors of {len(run.densities)} units. Unit {worst.unit} is furthest "
            f"from the prior: {worst.divergence:.3f} nats.",
            densities_chart(run.densities).to_dict(),
        )
    if run.map is not None and run.map.points:
        colours = map_colours(run.map)
        shown, total_points = len(run.map.points), run.map.sentences
        size = f"{shown:,}" if shown == total_points else f"{shown:,} of {total_points:,}"
        yield Figure(
            "map",
            "latent",
            "Map of the posterior means",
            f"{size} sentences of the test split; {run.map.note}. Point at a dot to read its sentence.",
            f"A scatter plot of {shown:,} posterior means.",
            map_chart(run.map, colours).to_dict(),
            colours={colour.name: colour_encoding(colour) for colour in colours},
            canvas=True,
        )


def _comparison(data: ReportData) -> Iterator[Figure]:
    """Yields the figures of several runs."""
    assert data.comparison is not None
    points = plane(data.comparison)
    # a line through runs means that one setting changes along it
    connected = len(data.comparison.settings) == 1 and len(points) > 2
    if not connected:  # the colours of the curves
        points = [replace(point, series=point.name) for point in points]
    if points:
        told = "; ".join(f"{p.name} at R = {p.rate:.2f}, D = {p.distortion:.2f}" for p in points)
        yield Figure(
            "rate-distortion",
            "comparison",
            "Rate and distortion",
            "Each point is a run on its test split. Grey lines connect equal negative ELBO: runs "
            "further to the lower left have a better bound, and more rate means more use of the code.",
            f"Rate-distortion plane: {told}.",
            plane_chart(points, connected).to_dict(),
        )
    panels = (
        ("elbo", "Negative ELBO", "nats per sentence", False),
        ("distortion", "Distortion D", "nats per sentence", False),
        ("rate", "Rate R", "nats per sentence", True),
        ("mi", "Mutual information, known posterior", "nats per sentence", True),
    )
    names = distinct(run.name for run in data.runs)  # each has the same colour in all figures
    for key, title, unit, zero in panels:
        curves = []
        for run in data.runs:
            values = ((each.epoch, getattr(each, key)) for each in run.metrics.validations)
            if key == "elbo":
                curves.append(Curve(run.name, _negative_elbo(run.metrics.validations).points))
            else:
                curves.append(Curve(run.name, thinned(values)))
        caption = "On the validation split after each epoch."
        yield from _curves(key, title, unit, curves, caption, [], True, zero, "comparison", names)
    rated = [run for run in data.runs if run.rates]
    if rated:
        yield Figure(
            "rates",
            "comparison",
            "Rates of the latent units",
            "Mean rate of each unit on the test split, largest first. In a steep curve, few units have "
            "almost all of the rate.",
            f"Sorted rates of {len(rated)} runs.",
            rate_curves_chart(
                [run.name for run in rated], [run.rates for run in rated], names
            ).to_dict(),
        )
