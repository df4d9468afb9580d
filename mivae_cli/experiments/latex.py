r"""Comparisons for a paper: a LaTeX tabular with booktabs rules and siunitx columns.

Numbers have the input format of siunitx, `18.24 \pm 0.11`. Names are escaped, so that they
contain no command, no ligature and no optional argument of `\\`.
"""

__all__ = ["latex_text"]

from collections.abc import Sequence

from .columns import NLL_DIFFERENCE
from .comparison import Comparison, select
from .export import AT_CEILING, MISSING, SIGNIFICANT, TOO_HIGH, Cell, setting_text, sheet

PAPER = (
    "ppl_iw",
    NLL_DIFFERENCE,
    "rate",
    "mi_dual",
    "mi_known_posterior",
    "active_units",
    "effective_units",
)
MAX_SETTINGS = 3  # columns of settings that are shown by default
LONGEST = 16  # characters of a setting that is shown by default
LISTED = 10  # settings that a comment lists
MARKS = {AT_CEILING: r"$^\dagger$", TOO_HIGH: r"$^\ddagger$", SIGNIFICANT: "$^*$"}
LETTERS = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
GREEK = {
    char: rf"\ensuremath{{\{name}}}"
    for char, name in zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ", LETTERS.split(), strict=True)
}
SYMBOLS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",
    "[": "{[}",  # after \\ it would start an optional argument
    "]": "{]}",
    "*": "{*}",  # after \\ it would be part of the command
    "`": r"\textasciigrave{}",
    "±": r"\ensuremath{\pm}",
    "\u00d7": r"\ensuremath{\times}",
    "·": r"\ensuremath{\cdot}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "∞": r"\ensuremath{\infty}",
    "→": r"\ensuremath{\to}",
    "‖": r"\ensuremath{\Vert}",
    "\u2212": r"\ensuremath{-}",
    "µ": r"\ensuremath{\mu}",
    "†": r"\ensuremath{\dagger}",
    "‡": r"\ensuremath{\ddagger}",
    "\u2013": "--",
    "—": "---",
    "…": r"\dots{}",
    "\u2018": "{`}",
    "\u2019": "{'}",
    "“": "{``}",
    "”": "{''}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
}
ESCAPED = GREEK | SYMBOLS
LIGATURES = "-',"  # characters that LaTeX joins if repeated


def latex_text(comparison: Comparison) -> str:
    """Returns a comparison as a LaTeX tabular, the best figures in bold.

    Unless columns were selected, it contains the figures in `PAPER`, and at most three differing
    settings with short values.
    """
    remarks = ["% Requires \\usepackage{booktabs} and \\usepackage{siunitx}"]
    if not comparison.selected:
        comparison, hidden = _for_paper(comparison)
        if hidden:
            more = ", ..." if len(hidden) > LISTED else ""
            remarks.append(
                f"% {len(hidden)} differing settings are not shown (choose with --columns): "
                f"{', '.join(hidden[:LISTED])}{more}"
            )
    made = sheet(comparison)
    types = [
        f"  {_number_type(cells) if numeric else 'l'}"
        for numeric, cells in zip(made.numeric, zip(*made.rows, strict=True), strict=True)
    ]
    body = [[_escaped(row[0].words), *map(_latex_cell, row[1:])] for row in made.rows]
    heads = [
        f"{{{_escaped(heading)}}}" if numeric else _escaped(heading)
        for heading, numeric in zip(("model", *made.headings[1:]), made.numeric, strict=True)
    ]
    if not "".join(map("".join, [heads, *body])).isascii():
        remarks.append("% Compile with LuaLaTeX or XeLaTeX: pdfLaTeX may lack some characters")
    lines = [
        *remarks,
        "\\begin{tabular}{@{}",
        *types,
        "@{}}",
        "\\toprule",
        _row(heads),
        "\\midrule",
        *map(_row, body),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    if made.notes:
        notes = " \\\\\n".join(map(_note, made.notes))
        lines.append(f"\\par\\smallskip\n{{\\noindent\\footnotesize\n{notes}\\par}}")
    return "\n".join(lines) + "\n"


def _for_paper(comparison: Comparison) -> tuple[Comparison, list[str]]:
    """Returns a comparison with the default columns of a paper, and the hidden settings."""
    rows = comparison.rows
    found = [key for key in PAPER if any(row.figures[key] is not None for row in rows)]
    short = [
        key
        for key in comparison.settings
        if all(len(setting_text(row.settings.get(key))) <= LONGEST for row in rows)
    ]
    settings = short if len(comparison.settings) <= MAX_SETTINGS else []
    hidden = [key for key in comparison.settings if key not in settings]
    return select(comparison, [*settings, *found]), hidden


def _number_type(cells: Sequence[Cell]) -> str:
    """Returns the LaTeX type of a column of numbers, as wide as the longest."""
    numbers = [cell.number for cell in cells if cell.number and not cell.number.power]
    if not numbers or any(cell.interval for cell in cells):
        return "r"
    parts = [number.value.lstrip("-").partition(".") for number in numbers]
    sign = "-" if any(number.value.startswith("-") for number in numbers) else ""
    form = f"{sign}{max(len(whole) for whole, _, _ in parts)}"
    if digits := max(len(fraction) for _, _, fraction in parts):
        form += f".{digits}"
    options = ["detect-weight"] if any(cell.bold for cell in cells) else []
    uncertainties = [number.uncertainty.replace(".", "").lstrip("0") for number in numbers]
    if any(uncertainties):
        form += f"({max(map(len, uncertainties))})"
        options += ["separate-uncertainty", "table-align-uncertainty=false"]
    if marks := [cell.mark for cell in cells if cell.mark]:
        options.append(f"table-space-text-post={{{MARKS[marks[0]]}}}")
    return f"S[{', '.join([f'table-format={form}', *options])}]"


def _latex_cell(cell: Cell) -> str:
    if cell.number is None:
        return "{--}" if cell.words == MISSING else _escaped(cell.words)
    if cell.interval:
        spread = f" \\pm {cell.number.uncertainty}" if cell.number.uncertainty else ""
        mark = "^*" if cell.mark else ""
        return f"${cell.number.value}{spread}\\;[{', '.join(cell.interval)}]{mark}$"
    number, mark = cell.number, MARKS.get(cell.mark, "")
    weight = "\\bfseries " if cell.bold else ""
    text = number.value + (f" \\pm {number.uncertainty}" if number.uncertainty else "")
    if number.power:  # which does not fit the column type
        options = "detect-weight, separate-uncertainty"
        return f"{{{weight}\\num[{options}]{{{text} e{number.power}}}{mark}}}"
    return f"{weight}{text}" + (f" {{{mark}}}" if mark else "")


def _note(text: str) -> str:
    """Returns a note in LaTeX, with a leading mark as superscript."""
    mark = MARKS.get(text[:1])
    return _escaped(text) if mark is None else f"{mark}{_escaped(text[1:])}"


def _escaped(text: str) -> str:
    r"""Returns LaTeX that prints a text literally, anywhere in a table."""
    words = "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
    return "".join(
        ESCAPED.get(char, char) + ("{}" if char == following and char in LIGATURES else "")
        for char, following in zip(words, f"{words[1:]} ", strict=False)
    )


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
