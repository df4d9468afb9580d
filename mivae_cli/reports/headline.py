"""The headline table of a run, and notes on it in plain words. All in nats per sentence."""

__all__ = ["estimates_of", "has_collapsed", "headline", "notes"]

from collections.abc import Iterator, Mapping
from typing import Any

from ..choices import Direction
from ..estimators.report import Estimate
from ..evaluation.rounding import two_decimals
from ..experiments.summary import Figure, Outcome
from ..limits import MAX_SUMMARY_VALUE
from ..storage.metrics_log import Metrics
from ..training.collapse import COLLAPSED, remedies
from .records import Note, Quantity

# key of the figure, name in the report, the side on which it errs
ESTIMATES: tuple[tuple[str, str, Direction], ...] = (
    ("mi_known_posterior", "known posterior", "lower"),
    ("mi_leave_one_out", "leave-one-out", "upper"),
    ("mi_dual", "dual (critic)", "lower"),
    ("mi_batch32", "batches of 32", "lower"),
)
MI_ROWS = (
    ("mi_dual", "MI, lower bound", "dual bound of a critic fitted to other sentences"),
    ("mi_known_posterior", "MI, known posterior", "exact for these sentences, at most ln N"),
    ("mi_leave_one_out", "MI, upper bound", "leave-one-out, for the population"),
)
FEW_UNITS = 0.25  # of all units: fewer active ones are worth a note


def headline(found: Outcome) -> tuple[Quantity, ...]:
    """Returns the rows of the headline table of an evaluated run."""
    figures, record = found.figures, found.evaluation or {}
    rows: list[Quantity] = []

    def add(key: str, name: str, unit: str, meaning: str) -> None:
        figure = figures.get(key)
        if figure is None:
            return
        value = two_decimals(figure.value)
        if figure.of is not None:
            digits = 1 if key == "effective_units" else 0
            value = f"{figure.value:.{digits}f} of {figure.of}"
        rows.append(Quantity(key, name, value, _interval(figure), unit, meaning))

    if not record.get("latent_units"):
        add("ppl_iw", "Perplexity", "", "exact: a language model has no latent")
        rows += _per_word(record, "exact")
        add("nll", "Negative log-likelihood", "nats", "per sentence")
        return tuple(rows)
    add("rate", "Rate R (KL)", "nats", "an upper bound on the mutual information")
    for key, name, meaning in MI_ROWS:
        add(key, name, "nats", meaning)
    add("active_units", "Active units", "", "variance of the posterior mean at least 0.01")
    meaning = "units with a mean rate above 0.1 nats, an upper bound on their information"
    above = figures.get("units_above")
    if above is not None and above.value and has_collapsed(found):
        meaning += "; collapsed: they carry almost none"
    add("units_above", "Units above 0.1 nats", "", meaning)
    add("effective_units", "Effective units", "", "number over which the rate is spread")
    prior = record.get("kl_aggregated_prior")
    if prior is not None:
        text = "distance of the codes in use from the prior, R - MI"
        rows.append(
            Quantity("kl_aggregated_prior", "KL(q(z)‖p(z))", two_decimals(prior), "", "nats", text)
        )
    samples = record.get("iw_samples")
    drawn = "1 sample" if samples == 1 else f"{samples} samples"
    drawn += " per sentence"
    add("ppl_iw", "Perplexity, importance-weighted", "", drawn)
    rows += _per_word(record, drawn)
    add("iw_nll", "Negative log-likelihood, importance-weighted", "nats", f"{drawn}; per sentence")
    add("nll", "Negative ELBO, D + R", "nats", "an upper bound on the negative log-likelihood")
    add("distortion", "Distortion D", "nats", "reconstruction error, -log p(x|z)")
    return tuple(rows)


def _per_word(record: Mapping[str, Any], meaning: str) -> Iterator[Quantity]:
    """Yields the perplexity per word, if tokens are not words."""
    text = record.get("text")
    if not isinstance(text, Mapping) or text.get("bits_per_character_iw") is None:
        return
    value = text.get("ppl_word_iw")
    if isinstance(value, int | float) and abs(value) <= MAX_SUMMARY_VALUE:  # false for NaN
        name, meaning = "Perplexity per word", f"{meaning}; comparable between tokenizers"
        yield Quantity("ppl_word_iw", name, two_decimals(value), "", "", meaning)


def has_collapsed(found: Outcome) -> bool:
    """Returns whether the code of an evaluated run carries almost no information."""
    known = found.figures.get("mi_known_posterior")
    return known is not None and known.value < COLLAPSED


def estimates_of(found: Outcome) -> tuple[Estimate, ...]:
    """Returns the estimates of mutual information of an evaluated run."""
    figures = found.figures
    rows = []
    for key, name, direction in ESTIMATES:
        figure = figures.get(key)
        if figure is not None:
            ends = figure.low, figure.high
            rows.append(Estimate(name, figure.value, *ends, direction, figure.ceiling, True))
    return tuple(rows)


def notes(found: Outcome, metrics: Metrics) -> tuple[Note, ...]:
    """Returns remarks on the figures of a run in plain words, warnings first."""
    warnings = [Note("warning", text) for text in _warnings(found, metrics)]
    if warnings or not found.measured:
        return tuple(warnings)
    if not (found.evaluation or {}).get("latent_units"):
        return ()
    text = "The posterior has not collapsed, the bounds agree, and no estimate is at its ceiling."
    return (Note("good", text),)


def _warnings(found: Outcome, metrics: Metrics) -> Iterator[str]:
    figures, config = found.figures, found.config
    record: Mapping[str, Any] = (found.evaluation if found.measured else None) or {}
    known = figures.get("mi_known_posterior")
    collapse = next((each for each in metrics.validations if each.collapsed), None)
    if known is not None and has_collapsed(found):
        advice = f" Try {' or '.join(remedies(config)[:2])}." if config is not None else ""
        yield (
            f"The posterior has collapsed: the latent code carries {two_decimals(known.value)} nats "
            f"about the sentence, which is almost nothing. Samples are those of a language model."
            f"{advice}"
        )
    elif collapse is not None and known is not None:
        yield (
            f"Training met a collapsed posterior after epoch {collapse.epoch}; the best checkpoint "
            f"has {two_decimals(known.value)} nats."
        )
    elif collapse is not None:
        yield f"The posterior collapsed after epoch {collapse.epoch}."
    for key, name, _ in ESTIMATES:
        figure = figures.get(key)
        if figure is None:
            continue
        if key != "mi_batch32" and figure.at_ceiling and figure.ceiling is not None:
            yield (
                f"The estimate “{name}” is at its ceiling of {figure.ceiling:.2f} nats, the largest "
                "value it can take with so few sentences: the true information may be higher."
            )
        if figure.too_high:
            yield (
                f"The estimate “{name}” is probably too high: there are too few pairs of sentences "
                "for so much information."
            )
    for text in record.get("warnings") or ():
        yield str(text)
    active = figures.get("active_units")
    if active is not None and active.of and 0 < active.value < FEW_UNITS * active.of:
        yield f"Only {active.value:.0f} of {active.of} latent units are active."


def _interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{two_decimals(figure.low)} to {two_decimals(figure.high)}"
