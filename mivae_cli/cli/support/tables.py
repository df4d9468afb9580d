"""Records as tables."""

__all__ = [
    "comparison_table",
    "demos_table",
    "dry_run_table",
    "estimates_table",
    "evaluation_table",
    "timing_table",
    "validation_line",
    "verification_table",
]

import math
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.highlighter import ReprHighlighter
from rich.table import Table
from rich.text import Text

from ...choices import Direction
from ...estimators import Report
from ...estimators.diagnostics import at_ceiling, missing_pairs
from ...estimators.held_out_dual import CriticEstimate
from ...evaluation.evaluate import Evaluation, TextFigures
from ...evaluation.mutual_information import Figure
from ...evaluation.rounding import two_decimals
from ...experiments.export import Sheet
from ...experiments.verify import Verification
from ...training.profiler import Timing
from ...training.trainer import Validation
from .console import plain
from .text_tables import full_sections, protocol_lines

HIGHLIGHTED = ReprHighlighter()
WIDEST = 40  # characters of a column of words in a comparison
DIRECTIONS: dict[Direction, str] = {"lower": "lower", "upper": "upper", "neither": "-"}


def evaluation_table(evaluation: Evaluation, title: str) -> RenderableType:
    """Shows an evaluation record: rate, information, active units and perplexity first."""
    table = _table(
        title, f"{_count(evaluation.sentences, 'sentence')}, {_count(evaluation.tokens, 'token')}"
    )
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("±", justify="right")
    table.add_column("", style="dim")
    for row in _evaluation_rows(evaluation):
        table.add_row(*row)
    warnings = [Text(f"note: {plain(line)}") for line in evaluation.warnings]
    if evaluation.full is None:
        return Group(table, *warnings) if warnings else table
    for section in full_sections(evaluation.full):
        table.add_section()
        for name, value, remark in section:
            table.add_row(name, value, "", remark)
    lines = [Text(plain(line), style="dim") for line in protocol_lines(evaluation.full)]
    return Group(table, *warnings, *lines)


def _evaluation_rows(evaluation: Evaluation) -> list[tuple[str, str, str, str]]:
    samples, mi = evaluation.iw_samples, evaluation.mi
    if mi is None:
        return [
            (
                "perplexity",
                two_decimals(evaluation.ppl_iw),
                "",
                "language model: exact, no latent",
            ),
            ("NLL", two_decimals(evaluation.nll), "", "nats a sentence"),
            *_text_rows(evaluation.text),
        ]
    likelihood = [
        ("perplexity (IW)", two_decimals(evaluation.ppl_iw), "", f"{samples} samples a sentence"),
        ("perplexity (ELBO)", two_decimals(evaluation.ppl_elbo), "", ""),
        *_text_rows(evaluation.text),
        ("NLL (IW)", two_decimals(evaluation.iw_nll), "", "nats a sentence"),
        ("NLL (-ELBO)", two_decimals(evaluation.nll), "", "distortion + KL"),
        ("distortion", two_decimals(evaluation.distortion), "", "-log p(x|z)"),
    ]
    rows = [("KL (rate)", two_decimals(evaluation.rate), "", "nats; never below the MI")]
    if mi.dual is not None:
        few = missing_pairs(mi.dual.unseen, mi.dual.n)
        remark = "rough: too few product pairs" if few else "held-out critic (dual)"
        # seldom near it, so that it is no news elsewhere
        ceiling = mi.dual.ceiling if at_ceiling(mi.dual.value, mi.dual.ceiling) else None
        rows.append(_estimate_row("MI lower bound", mi.dual, ceiling, remark))
    known = mi.known_posterior
    if known.n < 2:
        rows.append(("MI", "", "", "needs more than one sentence"))
        return rows + likelihood
    rows.append(_estimate_row("MI (known posterior)", known, known.ceiling, f"N = {known.n:,}"))
    if mi.leave_one_out is not None:
        rows.append(_estimate_row("MI upper bound", mi.leave_one_out, None, "leave-one-out"))
    rows.append(_estimate_row(f"MI@{mi.batch32.n}", mi.batch32, mi.batch32.ceiling, "in batches"))
    units = f"{evaluation.active_units}/{evaluation.latent_units}"
    above = f"{evaluation.units_above}/{evaluation.latent_units}"
    effective = f"{evaluation.effective_units:.1f}"
    rows.append(("active units", units, "", "variance of the means ≥ 0.01"))
    rows.append(("units above 0.1 nats", above, "", "by their mean rate"))
    rows.append(("effective units", effective, "", "entropy of the rate shares"))
    rows += likelihood
    # of what is shown above, to its last digit
    rest = round(evaluation.rate, 2) - round(known.value, 2)
    rows.append(("KL(q(z)‖p(z))", two_decimals(rest), "", "KL (rate) - MI (known posterior)"))
    return rows


def _text_rows(text: TextFigures | None) -> list[tuple[str, str, str, str]]:
    """Shows what does not depend on the tokenizer, where its tokens are not words anyway."""
    if text is None or text.bits_per_character_iw is None:
        return []
    bits = f"{text.bits_per_character_iw:.3f}"
    return [
        (
            "perplexity a word",
            two_decimals(text.ppl_word_iw),
            "",
            f"ELBO: {two_decimals(text.ppl_word_elbo)}",
        ),
        ("bits a character", bits, "", f"ELBO: {text.bits_per_character_elbo:.3f}"),
    ]


def estimates_table(report: Report, title: str, truth: float | None = None) -> RenderableType:
    """Shows estimates of mutual information side by side, and which one to quote."""
    recommended = report.recommended
    table = _table(title, "")
    table.padding = (0, 1, 0, 0)  # to fit into 80 columns
    table.add_column("estimator")
    table.add_column("nats", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("bits", justify="right", no_wrap=True)
    table.add_column("bound")
    table.add_column("held out")
    table.add_column("ceiling", justify="right")
    table.add_column("s", justify="right", style="dim")
    for row in report.estimates:
        chosen = recommended is not None and row.estimator == recommended.estimator
        table.add_row(
            _cell(row.estimator),
            _nats(row.value),
            "" if row.ci_low is None else _cell(f"[{_nats(row.ci_low)}, {_nats(row.ci_high)}]"),
            _nats(row.value / math.log(2)),
            DIRECTIONS[row.direction],
            "yes" if row.held_out else "no",
            "" if row.ceiling is None else f"{row.ceiling:.2f}",
            "" if row.seconds is None else f"{row.seconds:.1f}",
            style="bold" if chosen else None,
        )
    return Group(table, *_remarks(report, truth))


def _remarks(report: Report, truth: float | None) -> list[Text]:
    """Returns what stands below the estimates."""
    size = f"{report.n:,} pairs, {report.x_dim} x {report.z_dim} dimensions"
    if report.x_dim is None:
        size = f"{_count(report.n, 'sentence')}, {_count(report.z_dim, 'latent unit')}"
    lines = [size if truth is None else f"{size}; the truth is {truth:.3f} nats"]
    if (best := report.recommended) is not None:
        interval = "" if best.ci_low is None else f" [{_nats(best.ci_low)}, {_nats(best.ci_high)}]"
        lines.append(f"recommended: {best.estimator}, {_nats(best.value)}{interval} nats")
        lines.append(f"  {best.reason}")
    if report.p_value is not None:
        lines.append(f"independence: p = {report.p_value:.3g}, by permutation of the test pairs")
    lines += [f"{row.estimator}: {text}" for row in report.estimates for text in row.warnings]
    lines += [*report.warnings, *report.notes]
    return [Text(plain(line)) for line in lines]


def demos_table(
    rows: Sequence[tuple[str, int, int, float]], descriptions: Mapping[str, str]
) -> Table:
    """Shows the pairs of known information: name, dimensions and nats."""
    table = _table("pairs of known mutual information", "")
    table.add_column("name")
    table.add_column("x", justify="right")
    table.add_column("z", justify="right")
    table.add_column("nats", justify="right")
    table.add_column("")
    for name, x_dim, z_dim, nats in rows:
        table.add_row(
            _cell(name), str(x_dim), str(z_dim), f"{nats:.3f}", _cell(descriptions[name])
        )
    return table


def dry_run_table(rows: Sequence[tuple[str, str]], title: str) -> Table:
    """Shows what a run would be and cost."""
    table = _table(title, "nothing was written")
    table.add_column("", style="dim")
    table.add_column("")
    for name, value in rows:
        table.add_row(_cell(name), _cell(value))
    return table


def verification_table(result: Verification, title: str) -> Table:
    """Shows what was found of every file of a run."""
    table = _table(title, "")
    table.add_column("file", overflow="fold")
    table.add_column("found", overflow="fold")
    for finding in result.findings:
        if finding.problem:
            found = Text(plain(finding.problem), style="red")
        else:
            found = Text(plain(finding.remark) or "sound", style="dim")
        table.add_row(Text(plain(finding.what)), found)
    return table


def comparison_table(sheet: Sheet, columns: Sequence[int], title: str) -> Table:
    """Shows some columns of a comparison."""
    table = _table(title, "")
    table.padding = (0, 1, 0, 0)  # to get more of them beside each other
    for column in columns:
        heading = Text(plain(sheet.headings[column]))
        if sheet.numeric[column]:
            table.add_column(heading, justify="right", no_wrap=True)
        else:
            table.add_column(heading, overflow="fold", max_width=WIDEST)
    for row in sheet.rows:
        cells = (row[column] for column in columns)
        table.add_row(*(Text(plain(cell.text), "bold" if cell.bold else "") for cell in cells))
    return table


def timing_table(timing: Timing, title: str) -> Table:
    """Shows where the time of a training step goes."""
    total = timing.step_seconds
    table = _table(title, "nothing was written")
    table.add_column("part", style="dim")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    for part, seconds in timing.seconds.items():
        if seconds:
            table.add_row(_cell(part), f"{1e3 * seconds:,.1f}", f"{seconds / total:.0%}")
    table.add_section()
    table.add_row("step", f"{1e3 * total:,.1f}", "")
    table.add_row("tokens/s", f"{timing.tokens_per_second:,.0f}", "")
    return table


def validation_line(record: Validation, epochs: int, latent_units: int) -> str:
    """Returns an epoch's figures in one line of fixed columns."""
    latent = (
        f"  KL {two_decimals(record.rate):>7}  MI {two_decimals(record.mi):>5}"
        f"  units {record.active_units:>3}/{latent_units} active, {record.units_above:>3} > 0.1 nats, "
        f"{record.effective_units:5.1f} effective"
    )
    ahead = f"  {record.encoder_steps:.0f} encoder steps a step" if record.encoder_steps else ""
    return (
        f"epoch {record.epoch:>3}/{epochs}  ELBO {two_decimals(record.elbo):>8}  "
        f"D {two_decimals(record.distortion):>7}"
        f"{latent if latent_units else ''}{ahead}  {record.seconds:5.0f} s"
        f"{'  best' if record.best else ''}"
    )


def _estimate_row(
    name: str, estimate: Figure | CriticEstimate, ceiling: float | None, remark: str
) -> tuple[str, str, str, str]:
    margin = (estimate.ci_high - estimate.ci_low) / 2
    at = _ceiling_note(estimate.value, ceiling)
    return (
        name,
        two_decimals(estimate.value),
        two_decimals(margin),
        f"{remark}{'; ' if at else ''}{at}",
    )


def _ceiling_note(value: float, ceiling: float | None) -> str:
    if ceiling is None:
        return ""
    if at_ceiling(value, ceiling):
        return f"at its ceiling, {ceiling:.2f}: the true value may be higher"
    return f"ceiling {ceiling:.2f}"


def _nats(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if abs(value) < 1e4 else f"{value:.1e}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _cell(text: str) -> Text:
    """Returns text that is not markup, whatever stands in it, and that steers no terminal."""
    return HIGHLIGHTED(plain(text))


def _table(title: str, caption: str) -> Table:
    return Table(
        title=Text(plain(title), style="table.title"),
        caption=caption,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
