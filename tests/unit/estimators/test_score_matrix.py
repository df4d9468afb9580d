"""The reduced score matrix against the matrix itself; the jackknife against closed forms."""

import math

import pytest
import torch

from mivae_cli.estimators import score_matrix as module
from mivae_cli.estimators.bounds import donsker_varadhan, infonce
from mivae_cli.estimators.intervals import jackknife, jackknife_interval
from mivae_cli.estimators.score_matrix import score_summary
from support.gaussian import GaussianChannel


class TestJackknife:
    def test_of_a_mean_it_is_the_textbook_interval(self) -> None:
        terms = torch.randn(30, dtype=torch.float64)
        without = ((terms.sum() - terms) / 29).tolist()
        found = jackknife(float(terms.mean()), without)
        margin = 2.0452 * float(terms.std()) / math.sqrt(30)
        assert found.high - found.value == pytest.approx(margin, rel=1e-4)
        assert found.value - found.low == pytest.approx(margin, rel=1e-4)

    def test_equal_sizes_are_the_default(self) -> None:
        without = torch.randn(12).tolist()
        assert jackknife(0.1, without, [7] * 12) == pytest.approx(jackknife(0.1, without))

    def test_groups_of_unequal_size_measure_the_same_error(self) -> None:
        """The squared error of a mean, averaged over many samples of known variance."""
        sizes = [1, 2, 3, 4] * 10
        starts = torch.tensor([0, *sizes]).cumsum(0)
        squares = []
        for _ in range(400):
            terms = 3.0 * torch.randn(100, dtype=torch.float64)
            without = [
                float((terms.sum() - terms[a:b].sum()) / (100 - (b - a)))
                for a, b in zip(starts.tolist(), starts[1:].tolist(), strict=False)
            ]
            found = jackknife(float(terms.mean()), without, sizes)
            squares.append(((found.high - found.value) / 2.02269) ** 2)
        assert sum(squares) / len(squares) == pytest.approx(9 / 100, rel=0.08)

    def test_a_value_that_depends_on_the_sample_size_alone_has_no_error(self) -> None:
        """As the log of N does: nothing was drawn, though the sizes of groups differ."""
        sizes = [1, 2] * 25
        without = [math.log(75 - size) for size in sizes]
        weighted = jackknife(math.log(75), without, sizes)
        assert weighted.high - weighted.low < 2e-3
        plain = jackknife(math.log(75), without)
        assert plain.high - plain.low > 0.1

    def test_one_group_is_a_point(self) -> None:
        assert jackknife(1.5, [1.2]) == (1.5, 1.5, 1.5)


@pytest.mark.parametrize("draws", [1, 3])
@pytest.mark.parametrize("block", [7, 2**20])
def test_a_tally_holds_what_bounds_need_of_the_matrix(
    draws: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    channel = GaussianChannel(2, 0.7)
    x, z = channel.draw(60)
    rounds = torch.cat([z, *(channel.gain * x + torch.randn_like(x) for _ in range(draws - 1))])
    found = score_summary(channel.log_ratios, x, rounds)
    matrices = [channel.log_ratios(x, part) for part in rounds.split(60)]

    assert len(found) == 60
    assert float(infonce(found.scores)) == pytest.approx(
        sum(float(infonce(matrix)) for matrix in matrices) / draws
    )
    if draws == 1:
        assert float(donsker_varadhan(found.scores)) == pytest.approx(
            float(donsker_varadhan(matrices[0]))
        )
    kept = found.groups[:60] != 4
    assert float(infonce(found.without(4))) == pytest.approx(
        sum(float(infonce(matrix[kept][:, kept])) for matrix in matrices) / draws
    )


def test_the_interval_of_a_tally_is_the_jackknife_of_its_parts() -> None:
    channel = GaussianChannel(1, 1.0)
    x, z = channel.draw(20)
    values = []
    for out in range(20):
        kept = torch.arange(20) != out
        values.append(float(infonce(channel.log_ratios(x[kept], z[kept]))))
    expected = jackknife(float(infonce(channel.log_ratios(x, z))), values)
    found = jackknife_interval(score_summary(channel.log_ratios, x, z), infonce)
    assert found == pytest.approx(expected)
