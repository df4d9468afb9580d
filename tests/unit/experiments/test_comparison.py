"""Comparisons of records with known figures, and their output formats."""

import copy
import csv
import io
import json
import math
import re
import statistics
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.errors import ConfigError
from mivae_cli.experiments.columns import COLUMNS
from mivae_cli.experiments.comparison import Comparison, compare, select
from mivae_cli.experiments.export import csv_text, markdown_text, records, sheet
from mivae_cli.experiments.latex import latex_text
from mivae_cli.experiments.summary import Outcome, Standing
from support.evaluated import HOSTILE, record, run, weight
from support.mutations import NUMBERS


def figures(comparison: Comparison, place: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = records(comparison)[place]["figures"]
    return found


def test_a_row_has_the_figures_of_its_record_and_the_settings_that_differ() -> None:
    compared = compare([run("a", weight(0.0)), run("b", weight(0.5))])
    assert dict(compared.settings) == {"objective.mi_weight": "mi_weight"}
    assert [row.settings["objective.mi_weight"] for row in compared.rows] == [0.0, 0.5]
    values = {key: figure and figure["value"] for key, figure in figures(compared).items()}
    assert values == {
        "ppl_iw": 18.0, "iw_nll": 35.5, "nll_difference": None, "nll": 36.0, "distortion": 31.0, "rate": 5.0, "mi_known_posterior": 4.5,
        "mi_dual": 4.25, "mi_leave_one_out": 4.75, "mi_batch32": 3.45, "active_units": 8.0,
        "units_above": None, "effective_units": None, "parameters": 1e6, "minutes": 12.5,
    }  # fmt: skip
    assert figures(compared)["active_units"]["of"] == 32
    assert compared.warnings == ()


def test_names_and_seeds_are_not_settings_but_kinds_are() -> None:
    tables: list[dict[str, Any]] = [
        {"name": "a", "training": {"optimizer": {"kind": "sgd"}}},
        {"name": "b", "seed": 1, "training": {"optimizer": {"kind": "sgd"}}},
        {"training": {"optimizer": {"kind": "adam", "learning_rate": 1.0}}},
    ]
    compared = compare([run(str(number), table) for number, table in enumerate(tables)])
    assert dict(compared.settings) == {"training.optimizer.kind": "optimizer.kind"}


def test_seeds_form_a_row_with_mean_and_deviation() -> None:
    ppls = [17.0, 18.0, 20.5]
    seeds = [
        run(f"mi_weight=1,seed={seed}", weight(1, seed), ppl_iw=ppl, active_units=seed)
        for seed, ppl in enumerate(ppls)
    ]
    compared = compare([seeds[0], run("mi_weight=0,seed=0", weight(0)), *seeds[1:]])
    assert [(row.name, row.seeds) for row in compared.rows] == [
        ("mi_weight=1", (0, 1, 2)),
        ("mi_weight=0,seed=0", (0,)),
    ]
    folded = figures(compared)
    assert folded["ppl_iw"]["value"] == pytest.approx(18.5)
    assert folded["ppl_iw"]["sd"] == pytest.approx(math.sqrt((1.5**2 + 0.5**2 + 2**2) / 2))
    known = folded["mi_known_posterior"]
    assert (known["value"], known["sd"], known["ceiling"]) == (4.5, 0.0, math.log(1000))
    assert known["low"] is None  # the interval of one run is not that of their mean
    assert figures(compared, 1)["mi_known_posterior"]["low"] == 4.0
    assert figures(compared, 1)["ppl_iw"]["sd"] is None
    text = markdown_text(compared)
    assert "| 18.5 ± 1.8 |" in text
    assert "| 1.0 ± 1.0 |" in text
    assert "| active /32 |" in text
    assert "± 0" not in text  # of what is the same for all seeds
    apart = compare(seeds, fold=False)
    assert [row.seeds for row in apart.rows] == [(0,), (1,), (2,)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["s0/lm", "s1/lm", "s2/lm"], "lm"),
        (["seed=0", "seed=1"], "mine"),
        (["mine,seed=0", "mine,seed=1"], "mine"),
        (["out/mi_weight=0.5,seed=0", "out/mi_weight=0.5,seed=1"], "out/mi_weight=0.5"),
        (["text-mine-1", "text-mine-2", "text-mine-10"], "text-mine"),
        (["lm_0", "lm_1"], "lm"),
        (["mine1", "mine2"], "mine"),
        (["a/deep/x", "b/x"], "mine"),
        (["0", "1"], "mine"),
        (["x", "y"], "mine"),
    ],
)
def test_a_row_of_several_seeds_has_their_common_name(names: list[str], expected: str) -> None:
    table = {"name": "mine"}
    runs = [run(name, {**table, "seed": seed}) for seed, name in enumerate(names)]
    [row] = compare(runs).rows
    assert row.name == expected
    named = [run(name, {"name": f"n{name}", "seed": seed}) for seed, name in enumerate("xy")]
    assert compare(named).rows[0].name == "x and 1 more"


def test_no_two_rows_have_the_same_name() -> None:
    runs = [run(f"{w}{seed}/m", weight(w, seed)) for w in (1, 2) for seed in (0, 1)]
    runs += [run(f"3{seed}/m", weight(3, seed), iw_samples=7) for seed in (0, 1)]
    names = [row.name for row in compare(runs).rows]
    assert len(set(names)) == 3
    assert names[0] == "m (mi_weight=1.0)"
    alike = [run(f"{letter}{seed}/m", {"seed": seed}, iw_samples=ord(letter))
             for letter in "ab" for seed in (0, 1)]  # fmt: skip
    assert len({row.name for row in compare(alike).rows}) == 2


def test_columns_are_selected_by_key_in_every_form() -> None:
    compared = compare([run("a", weight(0)), run("b", {**weight(1), "training": {"epochs": 3}})])
    some = select(compared, ["nll", "epochs", "ppl_iw"])
    assert sheet(some).headings == ("run", "epochs", "-ELBO", "IW-PPL")
    assert [list(row["figures"]) for row in records(some)] == [["nll", "ppl_iw"]] * 2
    assert [list(row["settings"]) for row in records(some)] == [["training.epochs"]] * 2
    assert next(csv.reader(io.StringIO(csv_text(some))))[4:] == [
        "training.epochs", "nll", "nll_sd", "ppl_iw", "ppl_iw_sd",
    ]  # fmt: skip
    assert "-ELBO" in markdown_text(some)
    assert "IW-PPL" not in markdown_text(select(compared, ["nll"]))
    everything = select(compared, ["settings", "mi_dual"])
    assert sheet(everything).headings == ("run", "mi_weight", "epochs", "MI lower")
    for key, words in (
        ("pll_iw", "ppl_iw"), ("objective.beta", "the same in all runs"), ("", "list"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            select(compared, [key])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6))
def test_folding_keeps_every_run_once(values: list[float]) -> None:
    runs = [run(f"r{seed}", {"seed": seed}, nll=value) for seed, value in enumerate(values)]
    [row] = compare(runs).rows
    assert len(row.paths) == len(values)
    assert row.figures["nll"] is not None
    assert row.figures["nll"].value == pytest.approx(statistics.mean(values))
    assert row.figures["nll"].sd == pytest.approx(statistics.stdev(values))


@pytest.mark.parametrize(
    "other",
    [
        run("b", {"seed": 0}),  # the same seed twice is no sample of seeds
        run("b", {"seed": 1}, iw_samples=5),
        replace(run("b", {"seed": 1}), tested="others"),
        replace(run("b", {"seed": 1}), standing="interrupted", evaluation=None),
        run("b", {"seed": 1, "training": {"epochs": 3}}),
    ],
    ids=["seed", "samples", "test", "interrupted", "setting"],
)
def test_runs_that_differ_in_more_than_the_seed_are_not_folded(other: Outcome) -> None:
    assert len(compare([run("a", {"seed": 0}), other]).rows) == 2


@pytest.mark.parametrize(("corpora", "rows"), [(("a", "a"), 1), (("a", "b"), 2), (("", ""), 2)])
def test_another_path_to_the_same_text_is_not_a_setting(
    corpora: tuple[str, str], rows: int
) -> None:
    paths = [{"train": "a.txt"}, {"train": "/b/a.txt", "valid": "v.txt"}]
    runs = [
        replace(run(f"r{seed}", {"seed": seed, "data": data}), corpus=corpus)
        for seed, (data, corpus) in enumerate(zip(paths, corpora, strict=True))
    ]
    compared = compare(runs)
    assert len(compared.rows) == rows
    assert bool(compared.settings) == (rows == 2)


@pytest.mark.parametrize("standing", ["trained", "running", "interrupted", "failed", "damaged"])
def test_a_run_without_figures_has_a_row_with_its_status(standing: Standing) -> None:
    bare = Outcome("broken", "runs/broken", standing, "what is wrong")
    compared = compare([run("a", weight(0)), bare, run("b", weight(1))])
    assert [row.name for row in compared.rows] == ["a", "broken", "b"]
    assert set(figures(compared, 1)) == set(figures(compared))
    assert set(figures(compared, 1).values()) == {None}
    assert records(compared)[1]["problem"] == "what is wrong"
    [line] = [line for line in markdown_text(compared).splitlines() if "broken" in line]
    said = "not evaluated" if standing == "trained" else standing
    assert line.startswith(f"| broken | {said} | - | - |")
    assert len(compare([bare]).rows) == 1


def test_incomplete_records_are_read_as_far_as_possible() -> None:
    broken = record()
    for key in ("ppl_iw", "iw_nll", "rate"):
        del broken[key]
    broken |= {"nll": None, "distortion": "31", "active_units": True}
    broken["mi"] |= {"dual": None, "leave_one_out": 3, "batch32": {}}
    compared = compare([replace(run("a"), evaluation=broken), run("lm", mi=None, latent_units=0)])
    known = {"mi_known_posterior", "parameters", "minutes"}
    assert {key for key, found in figures(compared).items() if found is not None} == known
    assert figures(compared, 1)["mi_dual"] is None
    assert figures(compared, 1)["active_units"] is None
    assert figures(compared, 1)["rate"] is None
    assert figures(compared, 1)["ppl_iw"]["value"] == 18.0


@given(st.lists(st.sampled_from([*NUMBERS, math.nan, math.inf]), min_size=14, max_size=14))
def test_figures_of_any_size_are_shown_or_omitted(numbers: list[float]) -> None:
    outcomes = []
    for seed, values in enumerate((numbers[:7], numbers[7:])):
        ppl, nll, active, value, low, high, unseen = values
        changed = record(ppl_iw=ppl, nll=nll, active_units=active)
        changed["mi"]["dual"] |= {"value": value, "ci_low": low, "ci_high": high, "n": unseen}
        changed["mi"]["dual"]["unseen"] = unseen
        outcomes.append(replace(run(f"s{seed}/a", {"seed": seed}), evaluation=changed))
    for fold in (True, False):
        compared = compare(outcomes, fold)
        for form in (sheet, records, csv_text, markdown_text, latex_text):
            assert form(compared)


def test_a_text_evaluation_adds_its_figures() -> None:
    full = {"reconstruction": {"bleu": 31.25, "sentences": 1000}, "reverse_perplexity": 40.5,
            "reverse_perplexity_real": 9.5, "self_bleu": 20.5, "protocol": "greedy"}  # fmt: skip
    worse = {**full, "reverse_perplexity": 80.5, "reconstruction": {"bleu": 3.25}}
    compared = compare([run("a", full=full), run("b", full=worse), run("c")], fold=False)
    added = set(figures(compared)) - {column.key for column in COLUMNS}
    assert added == {
        "full.reconstruction.bleu",
        "full.reverse_perplexity",
        "full.reverse_perplexity_real",
        "full.self_bleu",
    }
    table = markdown_text(compared)
    assert "reconstruction BLEU | reverse PPL |" in table
    assert "| 31.25 | 40.50 |" in table
    assert "9.50" not in table  # real text's own figure is nothing to be best at
    assert figures(compared, 2)["full.reverse_perplexity"] is None


def test_the_best_figure_is_bold_if_there_is_one() -> None:
    runs = [
        run("a", weight(0), ppl_iw=17.94, nll=30.0),
        run("b", weight(1), ppl_iw=17.94, nll=36.0),
        *(run(f"s{seed}/c", weight(2, seed), ppl_iw=18.2 + 0.01 * seed) for seed in range(2)),
    ]
    made = sheet(compare(runs))
    bold = [[cell.text for cell in row if cell.bold] for row in made.rows]
    assert bold == [["17.94"], ["17.94"], []]
    assert not any(cell.bold for cell in sheet(compare(runs[:1])).rows[0])


@pytest.mark.parametrize(
    ("ppls", "bold"),
    [
        ({"a": [17.0, 17.2, 17.4], "b": [17.1, 17.3, 17.6]}, set()),  # their intervals overlap
        ({"a": [17.0, 17.2, 17.4], "b": [19.1, 19.3, 19.6]}, {"a"}),
        ({"a": [17.0, 17.2, 17.4], "b": [17.3]}, set()),  # b's seeds would vary as much
        ({"a": [17.0, 17.2, 17.4], "b": [16.0]}, {"b"}),
        ({"a": [17.0], "b": [17.0], "c": [17.1]}, set()),  # nothing tells how much seeds vary
        ({"a": [17.0], "b": [17.0], "c": [18.1, 18.0]}, {"a", "b"}),
        ({"a": [17.0], "b": [17.0]}, set()),  # all are the best
        ({"a": [17.0, 17.2], "b": [17.0, 17.2], "c": [18.1, 18.0]}, {"a", "b"}),
        ({"a": [17.0, 17.2], "b": [17.0, 17.204], "c": [18.1, 18.0]}, {"a", "b"}),
        ({"a": [17.0, 17.2], "b": [17.05, 17.2], "c": [18.1, 18.0]}, set()),
    ],
)
def test_only_a_significant_difference_is_bold(
    ppls: dict[str, list[float]], bold: set[str]
) -> None:
    runs = [
        run(f"s{seed}/{name}", weight(place, seed), ppl_iw=ppl)
        for place, (name, found) in enumerate(ppls.items())
        for seed, ppl in enumerate(found)
    ]
    made = sheet(compare(runs))
    place = made.headings.index("IW-PPL")
    assert {row[0].text[-1] for row in made.rows if row[place].bold} == bold


def test_a_figure_at_its_ceiling_is_marked() -> None:
    high = record()
    high["mi"]["known_posterior"]["value"] = 6.85
    made = sheet(compare([replace(run("a"), evaluation=high), run("b", weight(0.5))]))
    place = made.headings.index("MI")
    assert [row[place].text for row in made.rows] == ["6.85†", "4.50"]
    assert made.rows[1][made.headings.index("MI@32")].text == "3.45†"
    assert any("ceiling" in note for note in made.notes)
    assert made.rows[0][made.headings.index("active /32")].text == "8"


def test_the_total_of_counts_has_a_column_if_it_differs() -> None:
    made = sheet(compare([run("a", weight(0)), run("b", weight(1), latent_units=16)]))
    assert [row[made.headings.index("Z")].text for row in made.rows] == ["32", "16"]
    assert [row[made.headings.index("active")].text for row in made.rows] == ["8", "8"]


def test_a_lower_bound_with_too_few_pairs_is_marked_and_over_seeds_as_well() -> None:
    few = record()
    few["mi"]["dual"] |= {"value": 2e5, "unseen": 1.0}
    doubted = replace(run("a", weight(0)), evaluation=few)
    made = sheet(compare([doubted, run("b", weight(1))]))
    place = made.headings.index("MI lower")
    assert [row[place].text for row in made.rows] == ["200,000.00‡", "4.25"]
    assert [note[0] for note in made.notes] == ["†", "‡"]
    folded = compare([run("c", weight(0, seed=1)), doubted])
    made = sheet(folded)
    assert made.rows[0][made.headings.index("MI lower")].text.endswith("‡")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(run("b", weight(2), tokens=7, ppl_iw=1.0), tested="others"), "7 tokens: b"),
        (run("b", weight(2), iw_samples=500, ppl_iw=1.0), "500 samples: b"),
    ],
)
def test_runs_that_are_not_comparable_have_a_warning_and_no_best(
    other: Outcome, words: str
) -> None:
    compared = compare([run("a", weight(0)), run("a2", weight(1)), other])
    [warning] = compared.warnings
    assert words in warning
    assert "a and 1 more" in warning
    assert "**" not in markdown_text(compared)
    lm = run("lm", {"model": {"latent_size": 0}}, iw_samples=1, latent_units=0, mi=None)
    assert compare([run("a"), lm]).warnings == ()


@pytest.mark.parametrize("name", HOSTILE)
def test_csv_round_trips_and_contains_no_formula(name: str) -> None:
    table = {
        "data": {"train": name.replace("\n", " ").replace("\t", " ")},
        "objective": {"beta": 0.1},
    }
    compared = compare([run(name, table, nll=-1.0), run("b")])
    rows = list(csv.reader(io.StringIO(csv_text(compared))))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert len(rows) == 3
    read = dict(zip(rows[0], rows[1], strict=True))
    assert read["run"].removeprefix("'") == name
    assert float(read["nll"]) == -1.0
    assert float(read["objective.beta"]) == 0.1
    assert float(read["mi_batch32_ceiling"]) == math.log(32)
    for row in rows:
        for cell in row:
            if cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d")):
                float(cell)  # a number is no formula


def cells(line: str) -> list[str]:
    """Returns a Markdown row's cells."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.mark.parametrize("name", HOSTILE)
def test_every_markdown_row_has_the_same_number_of_cells(name: str) -> None:
    seeds = [run(f"s{seed}/b", weight(1, seed), ppl_iw=17.0 + seed / 10) for seed in range(2)]
    compared = compare([run(name, weight(0)), *seeds])
    lines = [line for line in markdown_text(compared).splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert {len(cells(line)) for line in lines} == {len(sheet(compared).headings)}
    assert re.sub(r"\\(.)", r"\1", cells(lines[2])[0]) == " ".join(name.split())
    assert "**17.050 ± 0.071**" in cells(lines[3])


def test_json_has_equal_keys_and_full_precision() -> None:
    outcomes = [
        run("a", weight(0), nll=1 / 3),
        Outcome("b", "b", "damaged", "x"),
        run("c", weight(1)),
    ]
    before = copy.deepcopy(outcomes)
    made = json.loads(json.dumps(records(compare(outcomes))))
    assert outcomes == before
    assert made[0]["figures"]["nll"]["value"] == 1 / 3
    for key in ("figures", "settings"):
        assert len({tuple(row[key]) for row in made}) == 1
    assert {tuple(row) for row in made} == {
        ("run", "paths", "standing", "problem", "seeds", "settings", "pairing", "figures")
    }


def test_informative_units_of_old_records_are_counted() -> None:
    rates = [0.5] * 4 + [0.0] * 28
    old, new = record(rates=rates), record(rates=rates, units_above=4, effective_units=4.0)
    compared = compare([run("old", evaluation=old), run("new", evaluation=new)], fold=False)
    for place in (0, 1):
        found = figures(compared, place)
        assert found["units_above"]["value"] == found["effective_units"]["value"] == 4.0
        assert found["units_above"]["of"] == found["effective_units"]["of"] == 32


@pytest.mark.parametrize("rates", [[5.0], None, "many", [0.5] * 31 + ["0.5"], [[0.5]] * 32])
def test_units_are_not_counted_without_a_rate_per_unit(rates: object) -> None:
    compared = compare([run("a", rates=rates)])
    assert figures(compared)["units_above"] is figures(compared)["effective_units"] is None
