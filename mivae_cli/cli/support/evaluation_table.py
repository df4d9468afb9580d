"""The evaluation of a run, printed as a table or as JSON."""

__all__ = ["evaluation_table", "show_evaluation"]

from rich.console import Group, RenderableType
from rich.table import Column
from rich.text import Text

from ...estimators.held_out_dual import CriticEstimate
from ...estimators.report import at_ceiling, missing_pairs
from ...evaluation.evaluate import Evaluation, TextFigures
from ...evaluation.mutual_information import Figure
from ...evaluation.records import samples_of
from ...evaluation.rounding import two_decimals
from ...evaluation.text_record import Full, Generation, Interpolation, Reconstruction
from ...experiments.evaluate_run import EvaluatedRun
from .console import counted, note, plain, print_json, stdout, warn
from .tables import new_table, right

Row = tuple[str, str, str, str]  # metric, value, half of its interval, note


def show_evaluation(evaluated: EvaluatedRun, title: str, as_json: bool) -> None:
    """Prints a record on stdout, and on stderr what else eval.json holds."""
    record, stored, table = evaluated.record, evaluated.stored, evaluated.table()
    warn(*evaluated.checkpoint.warnings, style="dim")
    if evaluated.store_error is not None:
        warn(f"eval.json was not written: {evaluated.store_error}", style="dim")
    if stored is not None:
        others = [each for each in stored.records[:-1] if samples_of(each) is not None]
        if others:
            names = (f"{samples_of(each)} samples, seed {each.get('seed')}" for each in others)
            note(f"other records in eval.json: {'; '.join(names)}")
        if record.full is None and table["full"] is not None:
            note("eval.json also contains the text evaluation of 'mivae eval --full'")
    if as_json:
        print_json(table, indent=2)
    else:
        stdout.print(evaluation_table(record, title))


def evaluation_table(evaluation: Evaluation, title: str) -> RenderableType:
    """Returns a table that starts with rate, mutual information and active units."""
    size = f"{counted(evaluation.sentences, 'sentence')}, {counted(evaluation.tokens, 'token')}"
    columns = ("metric", right("value"), right("±"), Column(style="dim"))
    table = new_table(title, *columns, caption=size)
    full = evaluation.full
    lines = [Text(f"note: {plain(line)}") for line in evaluation.warnings]
    sections = [_rows(evaluation)]
    if full is not None:
        sections += [
            _reconstruction_rows(full.reconstruction),
            _generation_rows(full.generation),
            _interpolation_rows(full.interpolation),
        ]
        lines += [Text(plain(line), style="dim") for line in _protocol_lines(full)]
    for section in sections:
        for row in section:
            table.add_row(*row)
        table.add_section()
    return Group(table, *lines)


def _rows(evaluation: Evaluation) -> list[Row]:
    if evaluation.mi is None:
        perplexity = two_decimals(evaluation.ppl_iw)
        return [
            ("perplexity", perplexity, "", "language model: exact, without a latent code"),
            ("NLL", two_decimals(evaluation.nll), "", "nats per sentence"),
            *_text_rows(evaluation.text),
        ]
    mi, known = evaluation.mi, evaluation.mi.known_posterior
    rows = [("KL (rate)", two_decimals(evaluation.rate), "", "nats; an upper bound of the MI")]
    if mi.dual is not None:
        few = missing_pairs(mi.dual.unseen, mi.dual.n)
        remark = "imprecise: too few product pairs" if few else "held-out critic (dual)"
        # shown only where it matters, which is seldom
        ceiling = mi.dual.ceiling if at_ceiling(mi.dual.value, mi.dual.ceiling) else None
        rows.append(_estimate_row("MI lower bound", mi.dual, ceiling, remark))
    if known.n < 2:
        return [*rows, ("MI", "", "", "needs two or more sentences"), *_likelihood(evaluation)]
    rows.append(_estimate_row("MI (known posterior)", known, known.ceiling, f"N = {known.n:,}"))
    if mi.leave_one_out is not None:
        rows.append(_estimate_row("MI upper bound", mi.leave_one_out, None, "leave-one-out"))
    batches = mi.batch32
    rows.append(_estimate_row(f"MI@{batches.n}", batches, batches.ceiling, "in batches"))
    units = evaluation.latent_units
    # the difference of the two rounded values above
    prior = two_decimals(round(evaluation.rate, 2) - round(known.value, 2))
    return [
        *rows,
        ("active units", f"{evaluation.active_units}/{units}", "", "variance of the means ≥ 0.01"),
        ("units above 0.1 nats", f"{evaluation.units_above}/{units}", "", "mean rate of the unit"),
        ("effective units", f"{evaluation.effective_units:.1f}", "", "entropy of the rate shares"),
        *_likelihood(evaluation),
        ("KL(q(z)‖p(z))", prior, "", "KL (rate) - MI (known posterior)"),
    ]


def _likelihood(evaluation: Evaluation) -> list[Row]:
    samples = f"{evaluation.iw_samples} samples per sentence"
    return [
        ("perplexity (IW)", two_decimals(evaluation.ppl_iw), "", samples),
        ("perplexity (ELBO)", two_decimals(evaluation.ppl_elbo), "", ""),
        *_text_rows(evaluation.text),
        ("NLL (IW)", two_decimals(evaluation.iw_nll), "", "nats per sentence"),
        ("NLL (-ELBO)", two_decimals(evaluation.nll), "", "distortion + KL"),
        ("distortion", two_decimals(evaluation.distortion), "", "-log p(x|z)"),
    ]


def _text_rows(text: TextFigures | None) -> list[Row]:
    """Returns perplexity per word and bits per character, if tokens are not words."""
    if text is None or text.bits_per_character_iw is None:
        return []
    word, elbo = two_decimals(text.ppl_word_iw), two_decimals(text.ppl_word_elbo)
    bits = f"{text.bits_per_character_iw:.3f}"
    return [
        ("perplexity per word", word, "", f"ELBO: {elbo}"),
        ("bits per character", bits, "", f"ELBO: {text.bits_per_character_elbo:.3f}"),
    ]


def _estimate_row(
    name: str, estimate: Figure | CriticEstimate, ceiling: float | None, remark: str
) -> Row:
    half = (estimate.ci_high - estimate.ci_low) / 2
    if ceiling is not None and at_ceiling(estimate.value, ceiling):
        remark += f"; at its ceiling {ceiling:.2f}: the true value may be higher"
    elif ceiling is not None:
        remark += f"; ceiling {ceiling:.2f}"
    return name, two_decimals(estimate.value), two_decimals(half), remark


def _reconstruction_rows(found: Reconstruction | None) -> list[Row]:
    if found is None:
        return []
    exact = f"{found.exact_match:.1%}"
    accuracy = f"{found.token_accuracy:.1%}"
    return [
        ("reconstructed exactly", exact, "", "greedy, from the posterior mean"),
        ("token accuracy", accuracy, "", "by position, including end tokens"),
        ("reconstruction BLEU", f"{found.bleu:.2f}", "", ""),
    ]


def _generation_rows(found: Generation) -> list[Row]:
    drawn, real = found.samples, found.real
    forward, reverse = f"{found.forward_ppl_real:.2f}", f"{found.reverse_ppl_real:.2f}"
    rows = [
        ("forward perplexity", f"{found.forward_ppl:.2f}", "", f"real text {forward}"),
        ("reverse perplexity", f"{found.reverse_ppl:.2f}", "", f"real text {reverse}"),
    ]
    for name, digits in (("self_bleu", 1), ("distinct", 3)):
        for n in range(2 if name == "self_bleu" else 1, 5):
            mine, theirs = (f"{getattr(each, f'{name}_{n}'):.{digits}f}" for each in (drawn, real))
            title = f"{name.replace('_bleu', '-BLEU')}-{n}"
            rows.append((title, mine, "", f"real text {theirs}"))
    copies, length = f"{drawn.copies:.1%}", f"{drawn.mean_length:.1f}"
    return [
        *rows,
        ("copied training sentences", copies, "", f"held-out text {real.copies:.1%}"),
        ("mean length", length, "", f"words; real text {real.mean_length:.1f}"),
    ]


def _interpolation_rows(found: Interpolation | None) -> list[Row]:
    if found is None:
        return []
    nll, steps = found.nll_per_token, found.steps
    even = f"{found.ends / (steps - 1):.3f}"
    paths = f"{found.pairs:,} paths of {steps} steps; equal steps: {even}"
    rows = [
        ("edit distance per step", f"{found.neighbours:.3f}", "", paths),
        ("largest step of a path", f"{found.largest_jump:.3f}", "", "mean over the paths"),
        ("edit distance of the ends", f"{found.ends:.3f}", "", "1: nothing in common"),
    ]
    if between := nll[1:-1]:
        mean, ends = sum(between) / len(between), (nll[0] + nll[-1]) / 2
        rows.append(("NLL per token between", f"{mean:.2f}", "", f"at the ends {ends:.2f}"))
    return rows


def _protocol_lines(full: Full) -> list[str]:
    """Returns how the full evaluation was made, one line per part."""
    found = full.protocol
    drawn = f"{found.samples:,} at temperature {found.temperature:g}, seed {found.seed}"
    compared = f"{found.self_bleu_sentences:,} sentences, each against the others"
    lines = [
        f"samples: {drawn}, with unknown words; real text: {found.real:,} training sentences",
        f"language model, forward: {found.forward_lm}",
        f"language model, reverse: {found.reverse_lm}",
        f"self-BLEU: {compared}; like distinct-n, it counts words between spaces",
    ]
    return lines + ([] if found.bleu is None else [f"BLEU: {found.bleu}"])
