"""Mixed variables against closed forms, and the choice of estimator."""

import math

import numpy as np
import pytest
import torch
from scipy.special import gammaln, xlogy
from torch import Tensor

from mivae_cli.errors import DataError
from mivae_cli.estimators.discrete import mixed as module
from mivae_cli.estimators.discrete.chain import chain, split_atoms
from mivae_cli.estimators.discrete.estimates import discrete_estimates
from mivae_cli.estimators.discrete.mixed import has_atoms, mixed, mixed_terms
from mivae_cli.estimators.variables import Variable

RANDOM = np.random.default_rng


def variables(x: np.ndarray, z: np.ndarray) -> tuple[Variable, Variable]:
    return Variable.of("x", torch.from_numpy(x)), Variable.of("z", torch.from_numpy(z))


def uniform_noise(rows: int, seed: int = 0) -> tuple[Variable, Variable, float]:
    """X is one of 0 to 4 and z is x plus uniform noise of width 2 (Gao et al., section 5)."""
    random = RANDOM(seed)
    x = random.integers(5, size=rows).astype(float)
    return *variables(x, x + 2 * random.random(rows)), math.log(5) - 0.8 * math.log(2)


def atoms_and_normals(rows: int, seed: int = 0) -> tuple[Variable, Variable, float]:
    """A correlated normal pair, or one of four atoms, with equal probability."""
    random, rho = RANDOM(seed), 0.9
    x, noise = random.standard_normal((2, rows))
    z = rho * x + math.sqrt(1 - rho**2) * noise
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    pairs = signs[random.choice(4, size=rows, p=[0.4, 0.1, 0.1, 0.4])]
    atom = random.random(rows) < 0.5
    of_atoms = math.log(2) + 0.8 * math.log(0.8) + 0.2 * math.log(0.2)
    truth = math.log(2) + 0.5 * of_atoms - 0.25 * math.log1p(-(rho**2))
    return *variables(np.where(atom, pairs[:, 0], x), np.where(atom, pairs[:, 1], z)), truth


def zero_inflated_counts(rows: int, seed: int = 0) -> tuple[Variable, Variable, float]:
    """X is exponential, and z is 0 or a Poisson count of mean x; the truth by integration."""
    random, zero, counts = RANDOM(seed), 0.15, np.arange(80)
    x = random.exponential(size=rows)
    z = np.where(random.random(rows) < zero, 0, random.poisson(x)).astype(float)
    means = -np.log((np.arange(20_000) + 0.5) / 20_000)[:, None]
    given = (1 - zero) * np.exp(counts * np.log(means) - means - gammaln(counts + 1))
    given[:, 0] += zero
    margin = given.mean(axis=0)
    truth = xlogy(given, given).sum(axis=1).mean() - xlogy(margin, margin).sum()
    return *variables(x, z), float(truth)


def psi(number: int) -> float:
    return float(torch.tensor(number, dtype=torch.float64).digamma())


def test_the_terms_are_those_of_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 200)
    random = RANDOM(0)
    numbers = np.round(random.standard_normal((60, 2)), 0)
    numbers[:, 1] += random.standard_normal(60)
    codes = torch.from_numpy(random.integers(3, size=60))
    x = Variable.of("x", torch.from_numpy(numbers[:, 0]), codes)
    z = Variable.of("z", torch.from_numpy(numbers[:, 1]))
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)

    def apart(i: int, j: int) -> tuple[float, float]:
        levels = 2.0 * float(codes[i] != codes[j])
        of_x, of_z = np.abs(scaled[i] - scaled[j])
        return max(float(of_x), levels), float(of_z)

    expected = []
    for i in range(60):
        every = [apart(i, j) for j in range(60)]
        radius = sorted(max(pair) for pair in every)[3]
        near = 3 if radius else sum(max(pair) == 0 for pair in every)
        closer = [
            sum(d < radius or d == radius == 0 for d in side) for side in zip(*every, strict=True)
        ]
        expected.append(psi(near) + psi(60) - psi(closer[0]) - psi(closer[1]))
    found = mixed_terms(x, z, 3)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("pairs", [uniform_noise, zero_inflated_counts])
def test_nearest_neighbours_recover_closed_forms(pairs: object) -> None:
    assert callable(pairs)
    x, z, truth = pairs(2_000)
    assert mixed(x, z).value == pytest.approx(truth, abs=0.05)


@pytest.mark.parametrize("pairs", [uniform_noise, atoms_and_normals, zero_inflated_counts])
def test_the_recommended_estimate_recovers_closed_forms(pairs: object) -> None:
    assert callable(pairs)
    x, z, truth = pairs(2_000)
    found = discrete_estimates(x, z)
    assert found.recommended.value == pytest.approx(truth, abs=0.05)
    assert found.recommended.ci_low is not None
    assert found.recommended.ci_high is not None
    assert found.recommended.ci_low - 0.01 <= truth <= found.recommended.ci_high + 0.01
    assert "atoms" in found.notes[0]


def test_codes_and_numbers_in_one_variable() -> None:
    """Z is a normal shifted by a level of x, plus the number of x: 2 nats by closed forms."""
    random = RANDOM(0)
    codes, number = random.integers(2, size=3_000), random.standard_normal(3_000)
    z = 20.0 * codes + number + 0.3 * random.standard_normal(3_000)
    x = Variable.of("x", torch.from_numpy(number), torch.from_numpy(codes))
    truth = math.log(2) + 0.5 * math.log1p(1 / 0.09)
    found = discrete_estimates(x, Variable.of("z", torch.from_numpy(z)))
    assert found.recommended.estimator == "chain"
    assert found.recommended.value == pytest.approx(truth, abs=0.08)


def test_independent_mixed_variables_carry_nothing() -> None:
    random = RANDOM(0)
    x = np.where(random.random(1_000) < 0.4, 0.0, random.exponential(size=1_000))
    found = discrete_estimates(*variables(x, random.poisson(1.0, 1_000).astype(float)))
    assert 0 <= found.recommended.value < 0.04
    assert found.recommended.ci_low == pytest.approx(0, abs=0.01)


def test_small_levels_leave_the_neighbours() -> None:
    random = RANDOM(0)
    codes = torch.from_numpy(random.integers(40, size=400))
    x = Variable.of("x", torch.from_numpy(random.standard_normal(400)), codes)
    z = Variable.of("z", torch.from_numpy(random.standard_normal(400)))
    assert chain(x, z) is None
    assert discrete_estimates(x, z).recommended.estimator == "mixed"


def test_atoms_become_levels() -> None:
    zeros: Tensor = torch.cat([torch.zeros(100), torch.arange(1, 101)]).double()
    plain = torch.arange(200).double()
    both = Variable.of("x", torch.stack([zeros, plain, plain % 3], dim=1), columns=("a", "b", "c"))
    assert has_atoms(both)
    found = split_atoms(both)
    assert found.columns == ("a", "b", "a", "c")
    assert found.levels == (2, 4)
    assert found.codes[:, 0].tolist() == [1] * 100 + [0] * 100
    assert not has_atoms(Variable.of("x", plain))


def test_the_estimator_follows_the_kinds() -> None:
    random = RANDOM(0)
    codes = Variable.of("x", codes=torch.from_numpy(random.integers(3, size=200)))
    numbers = Variable.of("z", torch.from_numpy(random.standard_normal(200)))
    assert discrete_estimates(codes, codes).recommended.estimator == "plug-in"
    assert discrete_estimates(codes, codes).share == pytest.approx(1, abs=0.02)
    for pair in ((codes, numbers), (numbers, codes)):
        assert discrete_estimates(*pair).recommended.estimator == "corrected-ross"
    with pytest.raises(DataError, match="200"):
        discrete_estimates(codes, numbers.rows(torch.arange(150)))
    with pytest.raises(DataError, match="40"):
        discrete_estimates(codes.rows(torch.arange(40)), numbers.rows(torch.arange(40)))
