"""The mixture of x, z and w: its marginals, its draws and its fit."""

import math

import pytest
import torch

from mivae_cli.estimators.conditional.joint_mixture import JointMixture
from mivae_cli.estimators.conditional.samples import Part, Samples
from mivae_cli.estimators.gaussian_components import NormalComponents


def two_components() -> JointMixture:
    """Two components of one column each of x, z and w, with codes of x and of w."""
    generator = torch.Generator().manual_seed(1)
    factors = torch.eye(3) + 0.5 * torch.randn(2, 3, 3, generator=generator)
    covariances = (factors @ factors.transpose(1, 2)).double()
    means = torch.tensor([[-1.0, 0.5, 0.0], [1.0, -0.5, 1.0]]).double()
    codes = {
        "x": torch.tensor([[0.9, 0.1], [0.2, 0.8]]).double().log(),
        "z": torch.zeros(2, 1).double(),
        "w": torch.tensor([[0.5, 0.5], [0.7, 0.3]]).double().log(),
    }
    columns = {"x": slice(0, 1), "z": slice(1, 2), "w": slice(2, 3)}
    weights = torch.tensor([0.4, 0.6]).double().log()
    return JointMixture(NormalComponents(weights, means, covariances), codes, columns)


@pytest.mark.parametrize(("parts", "removed"), [("zw", "x"), ("xw", "z"), ("w", "z")])
def test_marginals_are_integrals_and_sums(parts: str, removed: str) -> None:
    model = two_components()
    row = model.draw(1, seed=0)
    line = torch.linspace(-15, 15, 3001, dtype=torch.float64)
    many = row.rows(torch.zeros(len(line), dtype=torch.int64))
    total = 0.0
    for code in range(2 if removed == "x" else 1):
        moved = Part(line[:, None], torch.full((len(line),), code))
        sides = {"x": many.x, "z": many.z, "w": many.w} | {removed: moved}
        logs = model.log_prob(Samples(**sides), parts + removed)
        total += float(logs.exp().sum() * (line[1] - line[0]))
    assert total == pytest.approx(float(model.log_prob(row, parts).exp()), rel=1e-6)


def test_draws_follow_the_model() -> None:
    model = two_components()
    drawn = model.draw(40_000, seed=0)
    y = torch.cat([drawn.x.continuous, drawn.z.continuous, drawn.w.continuous], dim=1)
    weights = model.normals.log_weights.exp()
    torch.testing.assert_close(y.mean(dim=0), weights @ model.normals.means, rtol=0, atol=0.05)
    share = float((weights @ model.code_logs["x"].exp())[1])
    assert float(drawn.x.code.double().mean()) == pytest.approx(share, abs=0.01)


def test_one_component_is_the_gaussian_of_the_sample() -> None:
    """The mean log-ratio of its draws is the closed form of its covariance."""
    noise = torch.randn(500, 3).double() @ torch.randn(3, 3).double()
    code = torch.zeros(500, dtype=torch.int64)
    columns = noise.split([1, 1, 1], dim=1)
    model = JointMixture.fit(Samples(*(Part(column, code) for column in columns)), 1, seed=0)
    covariance = torch.cov(noise.T, correction=0)
    torch.testing.assert_close(model.normals.covariances[0], covariance, rtol=0, atol=1e-6)
    minors = [covariance[rows][:, rows].logdet() for rows in ([0, 2], [1, 2], [2], [0, 1, 2])]
    truth = 0.5 * float(minors[0] + minors[1] - minors[2] - minors[3])
    terms = model.log_ratios(model.draw(40_000, seed=0))
    assert float(terms.mean()) == pytest.approx(truth, abs=4 * float(terms.std()) / 200 + 1e-9)


def test_the_fit_recovers_a_mixture() -> None:
    truth = two_components()
    samples = truth.draw(3_000, seed=1)
    other = truth.draw(2_000, seed=2)
    fitted = JointMixture.fit(samples, 2, seed=0)
    gap = float((truth.log_prob(other, "xzw") - fitted.log_prob(other, "xzw")).mean())
    assert abs(gap) < 0.03
    alone = JointMixture.fit(samples, 1, seed=0)
    assert float((fitted.log_prob(other, "xzw") - alone.log_prob(other, "xzw")).mean()) > 0.05


def test_codes_alone_give_the_information_of_their_table() -> None:
    """X = z for given w = 0, independent for w = 1: ln 2 in half of the rows."""
    w, x, other = (torch.randint(2, (2_000,)) for _ in range(3))
    z = torch.where(w == 0, x, other)
    nothing = torch.zeros(2_000, 0).double()
    samples = Samples(*(Part(nothing, code) for code in (x, z, w)))
    model = JointMixture.fit(samples, 8, seed=0)
    value = float(model.log_ratios(model.draw(20_000, seed=0)).mean())
    assert value == pytest.approx(0.5 * math.log(2), abs=0.05)
