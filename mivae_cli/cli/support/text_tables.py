"""An evaluation in full as rows of a table."""

__all__ = ["full_sections", "protocol_lines"]

from ...evaluation.text_record import Full, Generation, Interpolation, Reconstruction

Row = tuple[str, str, str]  # figure, value, remark


def full_sections(full: Full) -> list[list[Row]]:
    """Returns the figures of an evaluation in full, by what they are about."""
    sections = (
        _reconstruction_rows(full.reconstruction),
        _generation_rows(full.generation),
        _interpolation_rows(full.interpolation),
    )
    return [section for section in sections if section]


def _reconstruction_rows(found: Reconstruction | None) -> list[Row]:
    if found is None:
        return []
    return [
        ("reconstructed exactly", f"{found.exact_match:.1%}", "greedy, of the posterior mean"),
        ("token accuracy", f"{found.token_accuracy:.1%}", "by position, ends counted"),
        ("reconstruction BLEU", f"{found.bleu:.2f}", ""),
    ]


def _generation_rows(found: Generation) -> list[Row]:
    said, real = found.samples, found.real
    return [
        ("forward perplexity", f"{found.forward_ppl:.2f}", _real(found.forward_ppl_real)),
        ("reverse perplexity", f"{found.reverse_ppl:.2f}", _real(found.reverse_ppl_real)),
        ("self-BLEU-2", f"{said.self_bleu_2:.1f}", f"real text {real.self_bleu_2:.1f}"),
        ("self-BLEU-3", f"{said.self_bleu_3:.1f}", f"real text {real.self_bleu_3:.1f}"),
        ("self-BLEU-4", f"{said.self_bleu_4:.1f}", f"real text {real.self_bleu_4:.1f}"),
        ("distinct-1", f"{said.distinct_1:.3f}", f"real text {real.distinct_1:.3f}"),
        ("distinct-2", f"{said.distinct_2:.3f}", f"real text {real.distinct_2:.3f}"),
        ("distinct-3", f"{said.distinct_3:.3f}", f"real text {real.distinct_3:.3f}"),
        ("distinct-4", f"{said.distinct_4:.3f}", f"real text {real.distinct_4:.3f}"),
        ("copies of training lines", f"{said.copies:.1%}", f"held-out text {real.copies:.1%}"),
        ("mean length", f"{said.mean_length:.1f}", f"words; real text {real.mean_length:.1f}"),
    ]


def _interpolation_rows(found: Interpolation | None) -> list[Row]:
    if found is None:
        return []
    nll, steps = found.nll_per_token, found.steps
    ends, between = (nll[0] + nll[-1]) / 2, nll[1:-1]
    rows = [
        (
            "edit between neighbours",
            f"{found.neighbours:.3f}",
            f"{found.pairs:,} walks of {steps} steps; even: {found.ends / (steps - 1):.3f}",
        ),
        ("largest jump", f"{found.largest_jump:.3f}", "of a walk, on average"),
        ("edit between ends", f"{found.ends:.3f}", "1: nothing alike"),
    ]
    if between:
        rows.append(
            (
                "NLL a token on the way",
                f"{sum(between) / len(between):.2f}",
                f"at the ends {ends:.2f}",
            )
        )
    return rows


def protocol_lines(full: Full) -> list[str]:
    """Returns how the figures were measured."""
    found = full.protocol
    drawn = f"{found.samples:,} at temperature {found.temperature:g}, seed {found.seed}"
    counted = f"{found.self_bleu_sentences:,} sentences, each against the others"
    lines = [
        f"samples: {drawn}, unknown words kept; real text: {found.real:,} training sentences",
        f"language model, forward: {found.forward_lm}",
        f"language model, reverse: {found.reverse_lm}",
        f"self-BLEU: {counted}; it and distinct-n count words between spaces",
    ]
    return lines + ([] if found.bleu is None else [f"BLEU: {found.bleu}"])


def _real(perplexity: float) -> str:
    return f"real text {perplexity:.2f}"
