"""What regressions on w leave of x."""

import torch

from mivae_cli.estimators.conditional.residuals import GivenRegression
from mivae_cli.estimators.conditional.samples import Part


def given(columns: torch.Tensor, code: torch.Tensor | None = None) -> Part:
    return Part(columns, torch.zeros(len(columns), dtype=torch.int64) if code is None else code)


def test_linear_and_curved_means_are_removed() -> None:
    w = torch.randn(800, 2).double()
    noise = torch.randn(800, 2).double()
    means = torch.stack([2 * w[:, 0] - w[:, 1], 2 * torch.sin(2 * w[:, 0])], dim=1)
    found = GivenRegression(given(w), 0).residuals(means + 0.5 * noise)
    correlations = torch.corrcoef(torch.cat([found.scores, noise, means], dim=1).T)
    for column, least in ((0, 0.98), (1, 0.9)):
        assert correlations[column, 2 + column] > least
        assert correlations[column, 4 + column].abs() < 0.15
    assert (found.explained > 0.75).all()


def test_levels_and_scales_are_removed() -> None:
    level = torch.randint(5, (1_000,))
    w = torch.randn(1_000, 1).double()
    noise = torch.randn(1_000, 1).double()
    x = 3.0 * level[:, None] + w.exp() * noise
    found = GivenRegression(given(w, level), 0).residuals(x)
    assert torch.corrcoef(torch.cat([found.scores, noise], dim=1).T)[0, 1] > 0.9


def test_noise_is_not_explained() -> None:
    """Rows are predicted by other rows, so a large number of features explains nothing."""
    x, w = torch.randn(400, 1).double(), torch.randn(400, 4).double()
    assert float(GivenRegression(given(w), 0).residuals(x).explained) < 0.03


def test_without_w_nothing_is_removed() -> None:
    x = torch.randn(100, 1).double()
    found = GivenRegression(given(torch.zeros(100, 0).double()), 0).residuals(x)
    assert found.scores[:, 0].argsort().equal(x[:, 0].argsort())
    assert float(found.explained) == 0
