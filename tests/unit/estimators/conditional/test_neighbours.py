"""Nearest-neighbour terms against their definition, other estimators and exact values."""

import math

import pytest
import torch
from torch import Tensor

from mivae_cli.estimators.conditional.neighbours import neighbour_terms
from mivae_cli.estimators.conditional.samples import Part, Samples
from mivae_cli.estimators.nearest_neighbours import ksg_terms


def part(columns: Tensor | None = None, code: Tensor | None = None, rows: int = 0) -> Part:
    count = rows or len(columns if columns is not None else torch.as_tensor(code))
    numbers = torch.zeros(count, 0) if columns is None else columns.reshape(count, -1)
    levels = torch.zeros(count, dtype=torch.int64) if code is None else code
    return Part(numbers.double(), levels)


def psi(number: float) -> float:
    return float(torch.tensor(number, dtype=torch.float64).digamma())


def by_definition(samples: Samples, k: int) -> Tensor:
    """The sum of the module, one pair of rows at a time."""
    parts = {"x": samples.x, "z": samples.z, "w": samples.w}
    count = len(samples)

    def apart(i: int, j: int, names: str) -> float:
        if any(parts[name].code[i] != parts[name].code[j] for name in names):
            return math.inf
        numbers = torch.cat([parts[name].continuous for name in names], dim=1)
        return float((numbers[i] - numbers[j]).abs().max()) if numbers.shape[1] else 0.0

    terms = []
    for i in range(count):
        others = [apart(i, j, "xzw") for j in range(count) if j != i]
        inside = sorted(distance for distance in others if distance < math.inf)[:k]
        radius = inside[-1] if inside else 0.0
        tied = sum(distance == 0 for distance in others) + 1
        numbers = {}
        for names in ("xw", "zw", "w"):
            distances = [apart(i, j, names) for j in range(count) if j != i]
            numbers[names] = 1 + sum(
                distance < radius or distance == 0 == radius for distance in distances
            )
        first = psi(len(inside)) if radius > 0 else psi(tied)
        terms.append(first - psi(numbers["xw"]) - psi(numbers["zw"]) + psi(numbers["w"]))
    return torch.tensor(terms, dtype=torch.float64)


def mixed(seed: int) -> dict[str, Part]:
    generator = torch.Generator().manual_seed(seed)
    one, two = torch.randn(2, 25, 1, generator=generator).double()
    code = torch.randint(3, (25,), generator=generator)
    return {
        "numbers": part(one),
        "more numbers": part(torch.cat([two, one + two], dim=1)),
        "codes": part(code=code),
        "both": part(two, code // 2),
        "ties": part((one * 2).round()),
    }


@pytest.mark.parametrize(
    "names",
    [
        ("numbers", "more numbers", "both"),
        ("codes", "numbers", "more numbers"),
        ("codes", "both", "codes"),
        ("ties", "numbers", "codes"),
        ("ties", "ties", "ties"),
        ("both", "ties", "numbers"),
    ],
)
@pytest.mark.parametrize("k", [1, 4])
def test_the_terms_are_those_of_the_definition(names: tuple[str, str, str], k: int) -> None:
    samples = Samples(*(mixed(number)[name] for number, name in enumerate(names)))
    torch.testing.assert_close(
        neighbour_terms(samples, k), by_definition(samples, k), rtol=0, atol=1e-12
    )


def test_without_w_the_terms_are_those_of_ksg() -> None:
    x = torch.randn(300, 2).double()
    z = x[:, :1] + torch.randn(300, 1).double()
    x, z = ((side - side.mean(dim=0)) / side.std(dim=0, correction=0) for side in (x, z))
    samples = Samples(part(x), part(z), part(rows=300))
    torch.testing.assert_close(neighbour_terms(samples, 3), ksg_terms(x, z, 3))


def test_given_levels_the_estimate_is_the_mean_of_those_of_the_levels() -> None:
    x, z = torch.randn(2, 300, 1).double()
    level = torch.arange(300) % 3
    samples = Samples(part(x), part(z + level[:, None] * x), part(code=level))
    terms = neighbour_terms(samples, 3)
    for number in range(3):
        alone = samples.rows(level == number).without_given()
        torch.testing.assert_close(terms[level == number], neighbour_terms(alone, 3))


def test_of_a_label_the_terms_are_those_of_ross() -> None:
    label, z = torch.arange(200) % 2, torch.randn(200).double()
    z += label
    k = 3
    expected = []
    for i in range(200):
        apart = (z - z[i]).abs()
        radius = apart[label == label[i]].sort().values[k]
        within = int((apart < radius).sum())
        expected.append(psi(200) + psi(k) - psi(100) - psi(within))
    samples = Samples(part(code=label), part(z), part(rows=200))
    torch.testing.assert_close(
        neighbour_terms(samples, k), torch.tensor(expected, dtype=torch.float64)
    )


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_it_recovers_a_partial_correlation(rho: float) -> None:
    """X and z have w in common; what remains of them has correlation rho."""
    values = []
    for _ in range(8):
        w, x, e = torch.randn(3, 800, 1).double()
        z = rho * x + math.sqrt(1 - rho**2) * e
        samples = Samples(part((x + w) / 2**0.5), part((z - w) / 2**0.5), part(w))
        values.append(float(neighbour_terms(samples, 3).mean()))
    error = float(torch.tensor(values).std()) / 8**0.5
    truth = -0.5 * math.log1p(-(rho**2))
    assert error < 0.03
    assert abs(sum(values) / 8 - truth) < 0.03 + 3 * error


def test_a_row_without_others_of_its_levels_tells_nothing() -> None:
    code = torch.tensor([0] * 20 + [1])
    samples = Samples(part(code=code), part(torch.randn(21)), part(code=code))
    assert neighbour_terms(samples, 3)[-1] == 0
