"""The report on three variables: figures, recommendations and warnings."""

import pytest
import torch

from conditional_cases import CASES
from mivae_cli.errors import ConfigError, DataError
from mivae_cli.estimators import Report
from mivae_cli.estimators.conditional.estimate import conditional_report
from mivae_cli.estimators.variables import Variable
from support.conditional import variables_of


def report_of(name: str, rows: int, permutations: int = 0) -> Report:
    return conditional_report(*variables_of(CASES[name], rows, 0), permutations=permutations)


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("common cause, w 2-d", 0.05),
        ("collider, noise 1", 0.1),
        ("normals 2+2+3", 0.25),
        ("product with w", 0.2),
        ("label, shift 1, w 3-d", 0.12),
        ("two labels, w 2-d", 0.05),
        ("xor", 0.12),
    ],
)
def test_the_recommended_figure_is_near_the_truth(name: str, within: float) -> None:
    report = report_of(name, 500)
    assert report.recommended is not None
    assert report.recommended.value == pytest.approx(CASES[name].truth, abs=within)
    assert len(report.estimates) >= 2
    assert report.recommended.estimator == report.estimates[0].estimator


def test_the_notes_compare_with_the_pairs_alone() -> None:
    assert "account for" in report_of("common cause, w 1-d", 200).notes[0]
    assert "reveal" in report_of("xor", 500).notes[0]


def test_figures_below_zero_are_not_recommended() -> None:
    for seed in range(2):
        best = conditional_report(*variables_of(CASES["labels, independent"], 100, seed))
        assert best.recommended is not None
        assert best.recommended.value >= 0


def test_the_p_value_is_small_for_dependence_only() -> None:
    assert report_of("collider, noise 0.3", 200, permutations=19).p_value == 0.05
    assert report_of("groups, independent", 200).p_value is None


def test_the_seed_determines_the_report() -> None:
    state = torch.get_rng_state()
    variables = variables_of(CASES["label, shift 1"], 200, 0)
    first, second = (conditional_report(*variables, permutations=9, seed=3) for _ in range(2))
    for one, other in zip(first.estimates, second.estimates, strict=True):
        assert one.value == other.value
    assert first.p_value == second.p_value
    assert torch.get_rng_state().equal(state)


def test_what_w_determines_has_no_information_left() -> None:
    w, z = torch.randn(2, 200).double()
    given = Variable.of("w", w, columns=["a"])
    report = conditional_report(Variable.of("x", -w.exp()), Variable.of("z", z + w), given)
    assert report.recommended is not None
    assert (report.recommended.value, report.recommended.ci_high) == (0.0, 0.0)
    assert any("function of" in warning for warning in report.warnings)
    code = torch.arange(200) % 6
    labels = [Variable.of(name, codes=each) for name, each in (("x", code // 2), ("w", code))]
    report = conditional_report(labels[0], Variable.of("z", z), labels[1], permutations=9)
    assert report.recommended is not None
    assert (report.recommended.value, report.p_value) == (0.0, 1.0)


def test_almost_complete_explanation_is_reported() -> None:
    w, z, noise = torch.randn(3, 300).double()
    x = w + 1e-3 * noise
    report = conditional_report(
        *(Variable.of(n, v) for n, v in zip("xzw", (x, z, w), strict=True))
    )
    assert any("predicts" in warning for warning in report.warnings)


def test_levels_of_single_rows_are_reported() -> None:
    x, z = torch.randn(2, 100).double()
    given = Variable.of("w", codes=torch.arange(100) // 2 * (torch.arange(100) % 2))
    warnings = conditional_report(Variable.of("x", x), Variable.of("z", z), given).warnings
    assert any("no other row" in warning for warning in warnings)


def test_constant_columns_are_left_out() -> None:
    x, z, w = torch.randn(3, 100).double()
    ones = torch.ones(100)
    given = Variable.of("w", torch.stack([w, ones], dim=1), columns=["a", "b"])
    report = conditional_report(Variable.of("x", x), Variable.of("z", z), given)
    assert "'b' of w" in report.warnings[0]
    with pytest.raises(DataError, match="every column of x"):
        conditional_report(Variable.of("x", ones), Variable.of("z", z), given)


def test_wrong_inputs_are_rejected() -> None:
    many, few = (Variable.of("v", torch.randn(rows)) for rows in (60, 40))
    with pytest.raises(DataError, match="rows"):
        conditional_report(many, many, few)
    with pytest.raises(DataError, match="at least 50"):
        conditional_report(few, few, few)
    with pytest.raises(ConfigError, match="neighbours"):
        conditional_report(many, many, many, neighbours=60)
    with pytest.raises(ConfigError, match="seed"):
        conditional_report(many, many, many, seed=-1)


def test_columns_without_a_density_are_left_to_nearest_neighbours() -> None:
    """Counts and values cut off at 0, independent given w; a mixture would find dependence."""
    w, one, two = torch.randn(3, 400).double()
    given = Variable.of("w", w)
    counts = [Variable.of(name, torch.poisson(w.exp())) for name in "xz"]
    cut = [Variable.of(name, (w + noise).clamp_min(0)) for name, noise in (("x", one), ("z", two))]
    for x, z in (counts, cut):
        report = conditional_report(x, z, given)
        assert report.recommended is not None
        assert report.recommended.estimator == "knn"
        assert report.recommended.value < 0.1
        assert any("repeats" in warning for warning in report.warnings)


def test_almost_as_many_levels_as_rows_tell_nothing() -> None:
    x = Variable.of("x", codes=torch.arange(100))
    report = conditional_report(x, *(Variable.of(name, torch.randn(100)) for name in "zw"))
    assert report.recommended is not None
    assert report.recommended.value == 0
    assert any("levels" in warning for warning in report.warnings)


def test_a_function_of_x_is_reported_as_almost_infinite() -> None:
    x, w = torch.randn(2, 200).double()
    variables = [Variable.of(name, each) for name, each in (("x", x), ("z", x + w), ("w", w))]
    assert "infinite" in conditional_report(*variables).estimates[0].warnings[0]
