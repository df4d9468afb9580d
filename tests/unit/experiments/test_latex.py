"""LaTeX tables: their content, and escaping of any name."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.resolve import read_config
from mivae_cli.experiments.comparison import compare, select
from mivae_cli.experiments.latex import ESCAPED, latex_text
from mivae_cli.experiments.summary import Outcome
from support.evaluated import HOSTILE, record, run, weight

MORE = ["[0.5] mine", "*", "**", "[", "]{", "λ=1, β†κ", "a--b ,, ''", "%", "x\\\\[1em]", "日本", "é ü",
        "\x07\u200b\u202e", "?`!`", "C:\\dir~1", "-", "--", "&&", "#1", "\\end{tabular}", "$$", "^^M",
        "{", "}", "{}}{", "0", "1e5", "\\relax", "…“”\u2019", "{--}"]  # fmt: skip
NAMES = [*HOSTILE, *MORE]
CELL = re.compile(r"(?<!\\)&")


def latex_is_installed() -> bool:
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        return False
    return not subprocess.run(
        ["kpsewhich", "siunitx.sty"], capture_output=True, check=False
    ).returncode


def rows(text: str) -> list[list[str]]:
    """Returns the cells of a tabular, headings first."""
    body = text[text.index("\\toprule") : text.index("\\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(" \\\\")]
    return [[cell.strip() for cell in CELL.split(line.removesuffix("\\\\"))] for line in lines]


def columns(text: str) -> list[str]:
    """Returns the types of a tabular's columns."""
    [preamble] = re.findall(r"\\begin\{tabular\}\{@\{\}\n((?:  .*\n)*)@\{\}\}", text)
    return [line.strip() for line in preamble.splitlines()]


def as_printed(text: str) -> str:
    """Returns what LaTeX prints for escaped words; fails if a character is not escaped."""
    back = {escaped: char for char, escaped in ESCAPED.items()}
    known = sorted((*back, "{}"), key=len, reverse=True)
    printed, place = "", 0
    while place < len(text):
        for escaped in known:
            if text.startswith(escaped, place):
                printed += back.get(escaped, "")
                place += len(escaped)
                break
        else:
            assert text[place] not in set("\\&%$#_{}~^<>|[]*")
            printed += text[place]
            place += 1
    return printed


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_the_same_number_of_cells_and_names_are_escaped(name: str) -> None:
    seeds = [run(f"s{seed}/b", weight(1, seed), ppl_iw=17.0 + seed / 10) for seed in range(2)]
    text = latex_text(compare([run(name, weight(0)), *seeds]))
    table = rows(text)
    assert [len(row) for row in table] == [len(columns(text))] * 3
    said = "".join(char if char.isprintable() else "?" for char in " ".join(name.split()))
    assert as_printed(table[1][0]) == said
    assert not table[1][0].startswith(("[", "*"))
    assert "\\bfseries 17.050 \\pm 0.071" in table[2]


@given(st.text(max_size=30))
def test_any_name_is_printed_literally(name: str) -> None:
    said = "".join(char if char.isprintable() else "?" for char in " ".join(name.split()))
    text = latex_text(compare([run(name)]))
    assert as_printed(rows(text)[1][0]) == said
    assert ("LuaLaTeX" in text) is not all(char in ESCAPED or char.isascii() for char in said)


@pytest.mark.skipif(not latex_is_installed(), reason="LaTeX with siunitx is not installed")
def test_latex_compiles_the_tables(tmp_path: Path) -> None:
    high = record()
    high["mi"]["dual"] |= {"value": 2e7, "unseen": 1.0}
    latin = [name for name in NAMES if "日" not in name and "\uff1d" not in name]
    table = {"data": {"column": "[_&"}}
    runs = [
        *(run(f"{name} {place}", table | weight(place)) for place, name in enumerate(latin)),
        replace(run("*high", weight(0)), evaluation=high),
        *(run(f"s{seed}/[x", weight(2000, seed), ppl_iw=9 + seed / 9) for seed in (0, 1)),
        Outcome("[broken", "broken", "failed"),
    ]
    compared = compare(runs)
    everything = [column.key for column in compared.columns]
    document = "\n".join(
        [
            "\\documentclass{article}\\usepackage{booktabs}\\usepackage{siunitx}\\begin{document}",
            latex_text(compared),
            latex_text(select(compared, ["settings", *everything])),
            "\\end{document}",
        ]
    )
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    ran = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
    )
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert (tmp_path / "table.pdf").exists()


def test_number_columns_are_as_wide_as_the_longest_number() -> None:
    high = record()
    high["mi"]["dual"] |= {"value": 2e7, "unseen": 1.0}
    runs = [
        *(run(f"s{seed}/a", weight(0, seed), ppl_iw=17 + seed, rate=0.0) for seed in (0, 1, 2)),
        *(run(f"s{seed}/b", weight(1, seed), ppl_iw=1234 + seed * 100) for seed in (0, 1, 2)),
        replace(run("c", weight(2)), evaluation={**high, "ppl_iw": 987_649.5}),
    ]
    text = latex_text(compare(runs))
    table = rows(text)
    assert table[0][:4] == ["model", "{n}", "mi\\_weight", "{IW-PPL}"]
    assert [row[:4] for row in table[1:]] == [
        ["a", "3", "0", "\\bfseries 18.0 \\pm 1.0"],
        ["b", "3", "1", "1330 \\pm 100"],
        ["c", "1", "2", "987649.50"],
    ]
    assert columns(text)[3].startswith(
        "S[table-format=6.2(3), detect-weight, separate-uncertainty"
    )
    assert [row[5] for row in table[1:3]] == ["4.25", "4.25"]
    assert table[3][5].startswith("{\\num[")
    assert table[3][5].endswith("{2.00 e7}$^\\ddagger$}")
    assert not re.search(r"\d,\d", text)


def test_a_paper_has_few_columns_by_default() -> None:
    presets = ["lm", "vae", "mine", "mine-free-bits", "bn"]
    compared = compare([replace(run(name), config=read_config([name])) for name in presets])
    text = latex_text(compared)
    assert [as_printed(row[0]) for row in rows(text)[1:]] == presets
    heads = rows(text)[0]
    assert "{IW-PPL}" in heads
    assert len(heads) <= 8
    assert len(compared.settings) > 3  # and none of them has a column, but all are named
    [comment] = [line for line in text.splitlines() if "--columns" in line]
    assert "objective.mi_weight" in comment
    chosen = latex_text(select(compared, ["nll", "mi_weight", "ppl_iw"]))
    assert rows(chosen)[0] == ["model", "mi\\_weight", "{-ELBO}", "{IW-PPL}"]
    few = latex_text(compare([run("a", weight(0)), run("b", weight(1))]))
    assert rows(few)[0][1] == "mi\\_weight"
    long = [run(name, {"data": {"train": name * 20}}) for name in ("a", "b")]
    assert len(rows(latex_text(compare(long)))[0]) == len(rows(few)[0]) - 1
