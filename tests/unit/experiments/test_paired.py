"""Paired differences: known answers, coverage in simulations, and which rows are paired."""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mivae_cli.errors import ConfigError
from mivae_cli.evaluation.sentence_values import SentenceValues
from mivae_cli.experiments.comparison import Comparison
from mivae_cli.experiments.export import csv_text, markdown_text, records, sheet
from mivae_cli.experiments.latex import latex_text
from mivae_cli.experiments.paired import SeedValues, compare_paired, difference
from mivae_cli.experiments.summary import Figure, Outcome
from mivae_cli.runs.sentence_files import write_values
from support import evaluated

Floats = NDArray[np.float64]


def values(*runs: list[float]) -> SeedValues:
    return SeedValues.of(np.array(run) for run in runs)


def ends(figure: Figure) -> tuple[float, float]:
    assert figure.low is not None
    assert figure.high is not None
    return figure.low, figure.high


def half_width(figure: Figure) -> float:
    return (ends(figure)[1] - ends(figure)[0]) / 2


def test_the_difference_of_single_runs_has_the_interval_of_a_mean() -> None:
    found = difference(values([31.0, 42.0, 50.0, 63.0]), values([30.0, 40.0, 50.0, 60.0]))
    assert found.value == 1.5
    assert found.sd is None
    error = math.sqrt((0.25 + 0.25 + 2.25 + 2.25) / 3 / 4)
    assert half_width(found) == pytest.approx(3.182446 * error, rel=1e-6)  # t, 3 degrees
    assert not found.significant
    many = difference(values([1.0, 3.0] * 50_000), values([0.0] * 100_000))
    assert half_width(many) == pytest.approx(1.96 / math.sqrt(100_000), rel=1e-3)


def test_one_sentence_has_no_interval() -> None:
    found = difference(values([31.0]), values([30.0]))
    assert (found.value, found.low, found.high) == (1.0, None, None)
    assert not found.significant


def test_a_constant_difference_is_certain() -> None:
    found = difference(values([31.0, 42.0]), values([30.0, 41.0]))
    assert (found.value, *ends(found)) == pytest.approx((1.0, 1.0, 1.0))
    assert found.significant
    same = difference(values([31.0, 42.0]), values([31.0, 42.0]))
    assert not same.significant


def test_seeds_widen_the_interval() -> None:
    """Constant differences over sentences, so that only the seeds count: Welch's interval."""
    row = values([11.0, 21.0], [13.0, 23.0])
    baseline = values([10.0, 20.0], [10.5, 20.5], [11.0, 21.0])
    found = difference(row, baseline)
    assert found.value == pytest.approx(1.5)
    assert found.sd == pytest.approx(math.sqrt(2 + 0.25))
    first, second = 2 / 2, 0.25 / 3
    degrees = (first + second) ** 2 / (first**2 / 1 + second**2 / 2)
    from scipy.stats import t

    expected = t.ppf(0.975, degrees) * math.sqrt(first + second)
    assert half_width(found) == pytest.approx(expected, rel=1e-6)


def test_a_single_run_is_assumed_to_vary_as_much_as_the_others() -> None:
    found = difference(values([10.0, 20.0]), values([11.0, 21.0], [13.0, 23.0]))
    assert found.sd == pytest.approx(2.0)
    assert half_width(found) == pytest.approx(12.7062 * math.sqrt(2 + 2 / 2), rel=1e-4)


def test_runs_of_other_lengths_are_not_paired() -> None:
    with pytest.raises(ValueError, match="sentences"):
        difference(values([1.0, 2.0]), values([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="sentences"):
        values([1.0, 2.0], [1.0])


# -------------------------------------------------------------------------------- coverage


def normal(generator: np.random.Generator, size: tuple[int, int]) -> Floats:
    return generator.normal(0.3, 1.0, size)


def of_lengths(generator: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Differences that grow with the length of a sentence, some of them outliers."""
    lengths = generator.geometric(0.1, size)
    return lengths * generator.normal(0.03, 0.1, size) + generator.standard_t(4, size)


@pytest.mark.parametrize("draw", [normal, of_lengths])
def test_the_interval_covers_the_mean_and_a_bootstrap_is_no_better(
    draw: Callable[[np.random.Generator, tuple[int, int]], Floats],
) -> None:
    generator = np.random.default_rng(0)
    trials, count, resamples = 1500, 200, 200
    truth = 0.3
    terms = draw(generator, (trials, count))
    found = [difference(SeedValues(each, (0.0,)), values([0.0] * count)) for each in terms]
    covered = np.mean([low <= truth <= high for low, high in map(ends, found)])
    assert covered == pytest.approx(0.95, abs=0.017)  # 3 standard errors
    # the percentile bootstrap, from multinomial counts
    counts = generator.multinomial(count, np.full(count, 1 / count), resamples)
    means = np.sort(terms @ counts.T / count, axis=1)
    low, high = means[:, int(0.025 * resamples)], means[:, int(0.975 * resamples)]
    bootstrap = np.mean((low <= truth) & (truth <= high))
    assert bootstrap <= covered + 0.01
    assert (high - low).mean() == pytest.approx(
        np.mean([2 * half_width(f) for f in found]), rel=0.05
    )


def test_the_interval_of_several_seeds_covers_the_difference_of_the_methods() -> None:
    """One that ignores the seeds does not: it takes luck with a seed for a better method."""
    generator = np.random.default_rng(1)
    trials, seeds, count = 1000, 3, 100
    covered, ignoring = 0, 0
    for _ in range(trials):
        hard = generator.normal(30, 10, count)  # shared by all models
        rows = []
        for mean in (0.5, 0.0):
            luck = mean + generator.normal(0, 0.2, (seeds, 1))
            rows.append(SeedValues.of(hard + luck + generator.normal(0, 1, (seeds, count))))
        low, high = ends(difference(*rows))
        covered += low <= 0.5 <= high
        low, high = ends(difference(*(replace(row, runs=row.runs[:1]) for row in rows)))
        ignoring += low <= 0.5 <= high
    assert 0.93 < covered / trials < 0.98
    assert ignoring / trials < 0.85


def test_pairing_removes_what_all_models_share() -> None:
    generator = np.random.default_rng(2)
    hard = generator.normal(30, 10, 1000)
    a, b = (hard + generator.normal(mean, 1, 1000) for mean in (0.3, 0.0))
    paired = difference(SeedValues.of([a]), SeedValues.of([b]))
    apart = difference(SeedValues.of([a]), SeedValues.of([generator.permutation(b)]))
    assert half_width(paired) < half_width(apart) / 5
    assert paired.significant
    assert not apart.significant


# ----------------------------------------------------------------------- rows of a comparison

HARD = np.random.default_rng(3).normal(30, 8, 400)


def outcome(
    folder: Path,
    name: str,
    shift: float,
    seed: int = 0,
    luck: float = 0.0,
    **changes: Any,  # noqa: ANN401
) -> Outcome:
    """Returns a run whose NLL is that of the sentences, plus a shift and noise."""
    noise = np.random.default_rng([seed, *name.encode()]).normal(shift + luck, 0.5, len(HARD))
    nll = (HARD + noise).astype(np.float32)
    figures = SentenceValues(nll - 4, np.full_like(nll, 5), iw_nll=nll)
    record, content = evaluated.stored(
        figures, iw_nll=float(nll.mean()), nll=float(nll.mean() + 1)
    )
    samples = changes.pop("iw_samples", 100)
    latent = changes.pop("latent_units", 32)
    path = folder / f"{name},seed={seed}"
    path.mkdir()
    write_values(path, record["sentence_values"]["file"], content)
    settings = {"objective": {"beta": {"a": 0.1, "b": 0.2, "c": 0.3}[name[0]]}, "seed": seed}
    run = evaluated.run(
        path.name, settings, evaluated.record(**record, iw_samples=samples, latent_units=latent)
    )
    return replace(run, path=str(path), **changes)


def shown(comparison: Comparison) -> dict[str, Figure | None]:
    return {row.name: row.figures["nll_difference"] for row in comparison.rows}


def test_rows_are_compared_with_the_one_of_the_lowest_nll(tmp_path: Path) -> None:
    runs = [outcome(tmp_path, "a", 0.3), outcome(tmp_path, "b", 0.0), outcome(tmp_path, "c", 0.01)]
    compared = compare_paired(runs)
    found = shown(compared)
    assert compared.warnings == ()
    assert compared.pairing is not None
    assert compared.pairing.baseline == "b,seed=0"
    assert (compared.pairing.figure, compared.pairing.iw_samples) == ("iw_nll", 100)
    assert compared.pairing.sentences == len(HARD)
    assert found["b,seed=0"] is None
    first, last = found["a,seed=0"], found["c,seed=0"]
    assert first is not None
    assert last is not None
    assert first.value == pytest.approx(0.3, abs=0.1)
    assert first.significant
    assert not last.significant
    # the same from the figures of the sentences
    half = 1.96 * math.sqrt(2 * 0.25 / len(HARD))
    assert half_width(first) == pytest.approx(half, rel=0.15)


@pytest.mark.parametrize("as_path", [False, True])
def test_the_baseline_can_be_chosen(tmp_path: Path, as_path: bool) -> None:
    runs = [outcome(tmp_path, "a", 0.3), outcome(tmp_path, "b", 0.0)]
    name = f"{runs[0].path}/" if as_path else "a,seed=0"
    found = shown(compare_paired(runs, baseline=name))
    assert found["a,seed=0"] is None
    assert found["b,seed=0"] is not None
    assert found["b,seed=0"].value == pytest.approx(-0.3, abs=0.1)


def test_another_baseline_is_an_error(tmp_path: Path) -> None:
    runs = [outcome(tmp_path, "a", 0.3), outcome(tmp_path, "b", 0.0, standing="running")]
    with pytest.raises(ConfigError, match="a,seed=0"):
        compare_paired(runs, baseline="a,seed=1")
    with pytest.raises(ConfigError, match="running"):
        compare_paired(runs, baseline="b,seed=0")


def test_seeds_of_a_row_are_averaged(tmp_path: Path) -> None:
    runs = [
        outcome(tmp_path, name, shift, seed, luck)
        for name, shift in (("a", 0.2), ("b", 0.0))
        for seed, luck in ((0, -0.3), (1, 0.1), (2, 0.2))
    ]
    compared = compare_paired(runs)
    found = shown(compared)["a"]
    assert found is not None
    assert found.value == pytest.approx(0.2, abs=0.05)
    assert found.sd == pytest.approx(math.sqrt(2) * np.std([-0.3, 0.1, 0.2], ddof=1), rel=0.2)
    assert not found.significant  # although it differs significantly on these sentences
    apart = shown(compare_paired(runs, fold=False))
    assert sum(each is not None and each.significant for each in apart.values()) >= 4
    assert any("over seeds" in note for note in sheet(compared).notes)


def test_runs_with_other_numbers_of_samples_are_compared_by_the_elbo(tmp_path: Path) -> None:
    runs = [outcome(tmp_path, "a", 0.3), outcome(tmp_path, "b", 0.0, iw_samples=10)]
    compared = compare_paired(runs)
    assert compared.pairing is not None
    assert (compared.pairing.figure, compared.pairing.iw_samples) == ("nll", None)
    assert "Δ(-ELBO)" in sheet(compared).headings
    assert any(
        note.startswith("Δ(-ELBO): the negative ELBO minus") for note in sheet(compared).notes
    )
    lm = outcome(tmp_path, "c", 0.0, latent_units=0)  # exact: no samples
    compared = compare_paired([runs[0], lm])
    assert compared.pairing is not None
    assert (compared.pairing.figure, compared.pairing.iw_samples) == ("iw_nll", 100)


def test_the_difference_is_that_of_the_likelihood_that_the_pairing_names(tmp_path: Path) -> None:
    runs = [outcome(tmp_path, "a", 0.3), outcome(tmp_path, "b", 0.0)]
    for pair in (runs, [runs[0], outcome(tmp_path, "c", 0.1, iw_samples=10)]):
        compared = compare_paired(pair)
        rows = {row["run"]: row["figures"] for row in records(compared)}
        assert compared.pairing is not None
        baseline, key = rows.pop(compared.pairing.baseline), compared.pairing.figure
        [row] = rows.values()
        expected = row[key]["value"] - baseline[key]["value"]
        assert row["nll_difference"]["value"] == pytest.approx(expected, abs=1e-5)


def test_likelihoods_of_other_numbers_of_samples_have_no_best() -> None:
    several = [
        evaluated.run(f"{value}-{seed}", evaluated.weight(value, seed), iw_nll=30 + value,
                      ppl_iw=10 + value, iw_samples=samples)
        for value, samples in ((0.0, 10), (1.0, 100)) for seed in (0, 1)
    ]  # fmt: skip
    assert compare_paired(several).best == {}


def test_other_test_sets_are_not_paired(tmp_path: Path) -> None:
    runs = [
        outcome(tmp_path, "a", 0.3),
        outcome(tmp_path, "b", 0.0),
        outcome(tmp_path, "c", -9.0, tested="others"),
    ]
    compared = compare_paired(runs)
    assert [name for name, found in shown(compared).items() if found] == ["a,seed=0"]
    assert any("c,seed=0" in warning and "test set" in warning for warning in compared.warnings)


def test_runs_without_figures_per_sentence_are_named(tmp_path: Path) -> None:
    runs = [outcome(tmp_path, "a", 0.3), outcome(tmp_path, "b", 0.0)]
    old = evaluated.run("c", {"objective": {"beta": 0.3}})
    compared = compare_paired([*runs, old])
    [warning] = compared.warnings
    assert "mivae eval" in warning
    assert " c" in warning
    assert [name for name, found in shown(compared).items() if found] == ["a,seed=0"]
    assert compare_paired([runs[0], old]).pairing is None
    with_old_baseline = compare_paired([*runs, old], baseline="c")
    assert with_old_baseline.pairing is None
    assert compare_paired([old]).warnings == ()


def test_damaged_figures_are_named_and_the_other_rows_compared(tmp_path: Path) -> None:
    runs = [outcome(tmp_path, name, 0.1) for name in ("a", "b", "c")]
    [path] = Path(runs[2].path, "sentences").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    compared = compare_paired(runs)
    assert compared.pairing is not None
    [warning] = compared.warnings
    assert path.name in warning
    assert sum(found is not None for found in shown(compared).values()) == 1


def test_every_form_shows_the_difference_its_interval_and_the_baseline(tmp_path: Path) -> None:
    runs = [
        outcome(tmp_path, "a", 0.3),
        outcome(tmp_path, "b", 0.0),
        outcome(tmp_path, "c", 0.001),
    ]
    compared = compare_paired(runs)
    figure = shown(compared)["a,seed=0"]
    assert figure is not None
    low, high = ends(figure)
    text = f"{figure.value:.3f} [{low:.3f}, {high:.3f}]*"
    made = sheet(compared)
    column = [row[made.headings.index("ΔNLL (IW)")].text for row in made.rows]
    assert column[:2] == [text, "baseline"]
    assert not column[2].endswith("*")
    assert any("b,seed=0" in note for note in made.notes)
    assert any(note.startswith("*") for note in made.notes)

    first, baseline, _ = records(compared)
    assert first["figures"]["nll_difference"]["low"] == low
    assert first["figures"]["nll_difference"]["significant"] is True
    assert baseline["figures"]["nll_difference"] is None
    assert first["pairing"]["baseline"] == "b,seed=0"

    [row, _, _] = csv.DictReader(io.StringIO(csv_text(compared)))
    assert float(row["nll_difference"]) == figure.value
    assert (float(row["nll_difference_low"]), float(row["nll_difference_high"])) == (low, high)
    assert row["nll_difference_significant"] == "True"
    assert row["nll_difference_baseline"] == "b,seed=0"

    assert text.replace("[", "\\[").replace("]", "\\]").replace("*", "\\*") in markdown_text(
        compared
    )
    assert f"${figure.value:.3f}\\;[{low:.3f}, {high:.3f}]^*$ &" in latex_text(compared)
    assert " & baseline &" in latex_text(compared)


def test_without_differences_there_is_no_column(tmp_path: Path) -> None:
    made = sheet(compare_paired([outcome(tmp_path, "a", 0.3)]))
    assert not any("ΔNLL" in heading for heading in made.headings)
    assert not any("ΔNLL" in note for note in made.notes)
