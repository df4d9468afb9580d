"""The bias-corrected plug-in estimate against tables with known information."""

import math

import pytest
import torch
from torch import Tensor

from mivae_cli.errors import ConfigError, DataError
from mivae_cli.estimators.discrete.plug_in import _independence, _table, entropy, plug_in


def draw(table: Tensor, rows: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    cells = torch.multinomial(table.flatten(), rows, True, generator=generator)
    return cells // table.shape[1], cells % table.shape[1]


def noisy_copy(levels: int, share: float) -> tuple[Tensor, float]:
    """Returns the table of z = x with a probability of `share`, else any level, and its MI."""
    table = (1 - share) / levels**2 + share / levels * torch.eye(levels, dtype=torch.float64)
    return table, float((table * (table * levels**2).log()).sum())


@pytest.mark.parametrize(("levels", "rows", "error"), [(2, 100, 0.03), (10, 300, 0.05)])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_it_recovers_the_information_of_a_table(
    levels: int, rows: int, error: float, share: float
) -> None:
    table, information = noisy_copy(levels, share)
    values = [plug_in(*draw(table, rows, seed)).value for seed in range(12)]
    mean = sum(values) / len(values)
    assert mean == pytest.approx(information, abs=error)


def test_a_sparse_table_of_independent_levels_carries_almost_nothing() -> None:
    """The uncorrected estimate is 1.1 nats."""
    x, z = draw(torch.ones(50, 50), 1_000, 0)
    estimate = plug_in(x, z)
    assert estimate.value < 0.1
    assert estimate.ci_low == 0
    assert "sparse" in estimate.warnings[0]


def test_the_interval_covers_the_information() -> None:
    for share in (0.0, 0.6):
        table, information = noisy_copy(4, share)
        covered = 0
        for seed in range(40):
            estimate = plug_in(*draw(table, 300, seed))
            assert estimate.ci_low is not None
            assert estimate.ci_high is not None
            covered += estimate.ci_low <= information <= estimate.ci_high
        assert covered >= 34


def test_a_copy_has_the_entropy_as_information_and_as_ceiling() -> None:
    x = torch.arange(3_000) % 7
    estimate = plug_in(x, 6 - x)
    assert estimate.ceiling == pytest.approx(math.log(7), abs=1e-6)
    assert estimate.value == pytest.approx(math.log(7), abs=0.01)
    assert plug_in(x, torch.zeros_like(x)).value == 0.0


def test_identifiers_tell_nothing() -> None:
    rows = torch.arange(200)
    assert plug_in(rows, rows % 2).value == pytest.approx(0.0, abs=1e-9)


def test_the_weight_is_that_of_the_leave_one_out_likelihood() -> None:
    x, z = draw(noisy_copy(3, 0.5)[0], 40, 1)

    def likelihood(weight: float) -> float:
        total = 0.0
        for row in range(40):
            others = torch.arange(40) != row
            same_x, same_z = (x == x[row])[others], (z == z[row])[others]
            product = float(same_x.double().mean() * same_z.double().mean())
            total += math.log(
                (1 - weight) * float((same_x & same_z).double().mean()) + weight * product
            )
        return total

    weight = _independence(_table(x, z))
    assert 0.1 < weight < 0.9
    assert all(likelihood(weight) >= likelihood(weight + step) for step in (-0.03, 0.03))


def test_the_names_of_levels_do_not_matter() -> None:
    x, z = draw(noisy_copy(5, 0.5)[0], 200, 0)
    first = plug_in(x, z)
    assert plug_in(7 * x - 100, z.to(torch.int32)[:, None]).value == first.value
    assert plug_in(x, z, seed=1).value != first.value


def test_the_entropy_of_few_rows_is_nearly_unbiased() -> None:
    """The plug-in entropy of 100 rows of 30 levels is 0.15 nats too low."""
    generator = torch.Generator().manual_seed(0)
    values = [entropy(torch.randint(30, (100,), generator=generator)) for _ in range(100)]
    assert sum(values) / 100 == pytest.approx(math.log(30), abs=0.05)
    assert entropy(torch.zeros(5, dtype=torch.long)) == 0.0


def test_codes_must_be_pairs_of_integers() -> None:
    x = torch.arange(10)
    for wrong in (x.double(), x[:1], x.reshape(5, 2)):
        with pytest.raises(DataError):
            plug_in(wrong, wrong)
    with pytest.raises(DataError, match="10"):
        plug_in(x, x[:8])
    with pytest.raises(ConfigError, match="seed"):
        plug_in(x, x, seed=-1)
