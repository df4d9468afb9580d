"""The nearest-neighbour estimator against closed forms and against its definition."""

import math

import pytest
import torch
from torch import Tensor

from mivae_cli.estimators import nearest_neighbours as neighbours
from mivae_cli.estimators.nearest_neighbours import ksg_interval, ksg_terms


def correlated(size: int, rho: float, dim: int = 1) -> tuple[Tensor, Tensor]:
    """Draws normals x and z whose k-th coordinates have correlation rho."""
    x = torch.randn(size, dim, dtype=torch.float64)
    return x, rho * x + math.sqrt(1 - rho**2) * torch.randn_like(x)


def information(rho: float, dim: int = 1) -> float:
    return -0.5 * dim * math.log1p(-(rho**2))


def psi(number: float) -> float:
    return float(torch.tensor(number, dtype=torch.float64).digamma())


def by_definition(x: Tensor, z: Tensor, k: int) -> Tensor:
    """Algorithm 1 of Kraskov et al., one pair of numbers at a time."""
    x, z = ((side - side.mean(dim=0)) / side.std(dim=0, correction=0) for side in (x, z))
    terms = []
    for i in range(len(x)):
        apart = []
        for j in range(len(x)):
            if j != i:
                of_x = max(abs(float(a - b)) for a, b in zip(x[i], x[j], strict=True))
                of_z = max(abs(float(a - b)) for a, b in zip(z[i], z[j], strict=True))
                apart.append((of_x, of_z))
        radius = sorted(max(pair) for pair in apart)[k - 1]
        n_x = sum(of_x < radius for of_x, _ in apart)
        n_z = sum(of_z < radius for _, of_z in apart)
        terms.append(psi(k) + psi(len(x)) - psi(n_x + 1) - psi(n_z + 1))
    return torch.tensor(terms, dtype=torch.float64)


@pytest.mark.parametrize(("x_size", "z_size", "k"), [(1, 1, 1), (1, 1, 3), (2, 1, 3), (3, 2, 10)])
def test_the_terms_are_those_of_the_definition(x_size: int, z_size: int, k: int) -> None:
    x = torch.randn(60, x_size, dtype=torch.float64)
    z = torch.randn(60, z_size, dtype=torch.float64) + x[:, :1]
    torch.testing.assert_close(ksg_terms(x, z, k), by_definition(x, z, k), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_it_recovers_the_information_of_a_bivariate_normal(rho: float) -> None:
    """On average; the bias at 1,000 pairs is below 0.02 nats."""
    values = torch.tensor([ksg_interval(*correlated(1000, rho)).value for _ in range(25)])
    error = float(values.std()) / 5
    assert error < 0.012
    assert abs(float(values.mean()) - information(rho)) < 0.02 + 3 * error


def test_it_recovers_the_information_of_vectors() -> None:
    value = ksg_interval(*correlated(3000, 0.6, dim=2)).value
    assert value == pytest.approx(information(0.6, dim=2), abs=0.08)


def test_a_monotone_map_of_a_coordinate_leaves_the_information() -> None:
    x, z = correlated(3000, 0.8)
    assert ksg_interval(x, z.asinh()).value == pytest.approx(information(0.8), abs=0.08)


def test_affine_maps_of_coordinates_change_nothing() -> None:
    x, z = correlated(200, 0.7, dim=3)
    scale, shift = torch.tensor([-4.0, 0.25, 1024.0]), torch.tensor([3.0, -1.0, 50.0])
    torch.testing.assert_close(ksg_terms(x, z), ksg_terms(x * scale + shift, z))
    torch.testing.assert_close(ksg_terms(x, z), ksg_terms(x, z * 1e-6))


@pytest.mark.parametrize("sizes", [(1, 1), (3, 1), (2, 2)])
def test_x_and_z_may_change_places(sizes: tuple[int, int]) -> None:
    x, z = (torch.randn(150, size).double() for size in sizes)
    z += x[:, :1]
    torch.testing.assert_close(ksg_terms(x, z), ksg_terms(z, x))


@pytest.mark.parametrize("dim", [1, 3])
def test_blocks_of_any_size_give_the_same(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "TREE_DIMENSIONS", 0)
    x, z = correlated(130, 0.7, dim)
    whole = ksg_terms(x, z)
    for block in (1, 1000):  # 1 row, 7 rows at a time
        monkeypatch.setattr(neighbours, "BLOCK", block)
        assert ksg_terms(x, z).equal(whole)


@pytest.mark.parametrize(("x_size", "z_size"), [(1, 1), (2, 1), (3, 3)])
@pytest.mark.parametrize("rounded", [False, True])
def test_trees_give_the_same_as_all_distances(
    x_size: int, z_size: int, rounded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(400, x_size, dtype=torch.float64)
    z = torch.randn(400, z_size, dtype=torch.float64) + x[:, :1]
    if rounded:
        x, z = x.round(decimals=1), z.round()
    by_trees = ksg_terms(x, z)
    monkeypatch.setattr(neighbours, "TREE_DIMENSIONS", 0)
    torch.testing.assert_close(by_trees, ksg_terms(x, z), rtol=0, atol=1e-12)


def test_what_is_the_same_reads_as_the_ceiling() -> None:
    x = torch.randn(300, 1).double()
    ceiling = torch.full((300,), psi(300) - psi(3), dtype=torch.float64)
    torch.testing.assert_close(ksg_terms(x, x), ceiling)
    assert (ksg_terms(*correlated(300, 0.999999)) <= ceiling + 1e-9).all()


def test_duplicates_stay_finite() -> None:
    x, z = correlated(100, 0.6)
    value = ksg_interval(x.repeat(6, 1), z.repeat(6, 1)).value  # k copies of every pair
    assert math.isfinite(value)
    assert ksg_terms(torch.zeros(50, 1), torch.zeros(50, 1)).isfinite().all()


def test_a_radius_of_zero_counts_the_pair_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the noise all distances are 0, and none is strictly smaller."""
    monkeypatch.setattr(neighbours, "JITTER", 0.0)
    for dim in (1, 2):
        same = torch.ones(20, dim)
        expected = torch.full((20,), psi(3) + psi(20) - 2 * psi(1), dtype=torch.float64)
        torch.testing.assert_close(ksg_terms(same, same), expected)


def test_a_constant_tells_nothing() -> None:
    _, z = correlated(200, 0.0)
    terms = ksg_terms(torch.full((200, 1), 7.3), z)
    torch.testing.assert_close(terms, torch.zeros_like(terms), rtol=0, atol=1e-9)


def test_fair_coins_tell_of_each_other_what_they_tell() -> None:
    """Discrete x: I(x; z) is ln 2 where z shows which, and 0 where it does not."""
    x = torch.randint(2, (1500, 1)).double()
    noise = torch.randn(1500, 1).double()
    assert ksg_interval(x, noise + 20 * x).value == pytest.approx(math.log(2), abs=0.02)
    assert ksg_interval(x, noise).value == pytest.approx(0.0, abs=0.06)


def test_the_noise_between_equal_values_is_the_same_at_every_call() -> None:
    x, z = correlated(100, 0.6)
    state = torch.get_rng_state()
    first = ksg_terms(x.round(), z.round())
    assert torch.get_rng_state().equal(state)
    assert ksg_terms(x.round(), z.round()).equal(first)


def test_in_many_dimensions_it_reads_far_too_little() -> None:
    rho = math.sqrt(-math.expm1(-6.0 / 10))
    assert information(rho, dim=20) == pytest.approx(6.0)
    interval = ksg_interval(*correlated(1000, rho, dim=20))
    assert interval.high < 3.0  # half the truth, and the interval does not tell


def test_the_interval_covers_the_mean_of_the_estimator() -> None:
    """The plain standard error would cover some 88 % here."""
    rounds = [ksg_interval(*correlated(300, 0.6)) for _ in range(200)]
    mean = sum(interval.value for interval in rounds) / len(rounds)
    covered = sum(low < mean < high for _, low, high in rounds) / len(rounds)
    assert 0.9 <= covered <= 0.995


def test_the_interval_is_the_plain_one_made_wider() -> None:
    x, z = correlated(100, 0.6)
    terms, interval = ksg_terms(x, z), ksg_interval(x, z)
    error = float(terms.std()) / 10
    assert interval.value == pytest.approx(float(terms.mean()))
    assert interval.high - interval.value == pytest.approx(1.4 * 1.96 * error, rel=1e-4)
    assert interval.value - interval.low == pytest.approx(1.4 * 1.96 * error, rel=1e-4)


def test_all_other_pairs_can_be_neighbours() -> None:
    assert ksg_terms(*correlated(5, 0.5), 4).isfinite().all()
