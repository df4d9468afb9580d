"""Variations: samples of known spread, and counts of sentences with known probabilities."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mivae_cli.errors import ConfigError
from mivae_cli.generation import vary as module
from mivae_cli.generation.decoding import Decoding
from mivae_cli.generation.vary import Variations, neighbourhood, vary
from mivae_cli.models.latent import DiagonalGaussian, Posterior
from mivae_cli.models.von_mises_fisher import VonMisesFisher, resultant_length
from support.tiny_models import tiny_model, word_tokenizer

GREEDY = Decoding(beam=1)


def gaussian(mean: list[float], scale: list[float]) -> DiagonalGaussian:
    return DiagonalGaussian(torch.tensor([mean]), torch.tensor([scale]).log())


def direction(concentration: float, size: int = 8) -> VonMisesFisher:
    mean = torch.nn.functional.normalize(torch.arange(1.0, size + 1)[None], dim=1)
    return VonMisesFisher(mean, concentration)


def drawn(posterior: Posterior, spread: float, count: int = 20_000) -> Tensor:
    return neighbourhood(posterior, spread, count, torch.Generator().manual_seed(0))


class TestNeighbourhood:
    @pytest.mark.parametrize("spread", [0.5, 1.0, 3.0])
    def test_the_standard_deviation_is_the_posteriors_times_the_spread(
        self, spread: float
    ) -> None:
        posterior = gaussian([3.0, -1.0, 0.0], [0.01, 0.5, 2.0])
        z = drawn(posterior, spread)
        torch.testing.assert_close(z.std(dim=0), spread * posterior.scale[0], rtol=0.02, atol=0)
        error = (z.mean(dim=0) - posterior.mean[0]) / (spread * posterior.scale[0])
        assert error.abs().max() < 4 / math.sqrt(len(z))

    @pytest.mark.parametrize("spread", [0.5, 1.0, 3.0, 1000.0])
    def test_directions_have_the_resultant_length_of_a_lower_concentration(
        self, spread: float
    ) -> None:
        posterior = direction(60.0)
        z = drawn(posterior, spread)
        torch.testing.assert_close(z.norm(dim=1), torch.ones(len(z)))
        found = float((z @ posterior.mean[0]).mean())
        assert found == pytest.approx(resultant_length(60.0 / spread**2, 8), abs=0.01)

    @pytest.mark.parametrize("posterior", [gaussian([3.0, -1.0], [0.5, 2.0]), direction(1e5)])
    @pytest.mark.parametrize("spread", [0.0, 1e-300])
    def test_without_a_spread_all_samples_are_the_mean(
        self, posterior: Posterior, spread: float
    ) -> None:
        z = drawn(posterior, spread, 5)
        assert torch.equal(z, posterior.mean.expand(5, -1))
        assert posterior.deviations(z[:, None]).max() == 0


class TestDistance:
    def test_of_one_unit_among_four(self) -> None:
        posterior = gaussian([1.0, 0.0, 0.0, 0.0], [0.5, 1.0, 2.0, 3.0])
        z = torch.tensor([[2.0, 0.0, 0.0, 0.0]])  # two standard deviations in one unit of four
        assert posterior.deviations(z).tolist() == pytest.approx([1.0])

    @given(st.integers(0, 2**16), st.integers(1, 9))
    def test_scaling_a_unit_changes_nothing(self, seed: int, size: int) -> None:
        mean, log_scale, z = torch.randn(3, 1, size, generator=torch.Generator().manual_seed(seed))
        one = DiagonalGaussian(mean, log_scale)
        other = DiagonalGaussian(7 * mean, log_scale + math.log(7))
        torch.testing.assert_close(other.deviations(7 * z), one.deviations(z), rtol=1e-4, atol=0)

    @pytest.mark.parametrize(
        ("posterior", "spread", "expected"),
        [
            (gaussian([3.0, -1.0], [0.1, 2.0]), 1.0, 1.0),
            (gaussian([3.0, -1.0], [0.1, 2.0]), 3.0, 9.0),
            (direction(5.0), 1.0, 1.0),
            (direction(500.0), 1.0, 1.0),
            (direction(50_000.0), 2.0, 4.0),
        ],
    )
    def test_its_mean_square_is_that_of_the_spread(
        self, posterior: Posterior, spread: float, expected: float
    ) -> None:
        squares = posterior.deviations(drawn(posterior, spread)[:, None]).square()
        assert float(squares.mean()) == pytest.approx(expected, rel=0.03)

    def test_of_a_point_is_finite(self) -> None:
        point = DiagonalGaussian(torch.tensor([[100.0, -3.0]]), torch.full((1, 2), -200.0))
        assert point.deviations(drawn(point, 1.0, 5)[:, None]).max() == 0


def halves(monkeypatch: pytest.MonkeyPatch, *limits: float) -> None:
    """Decodes z to a word by the interval of its first unit."""

    def decode(model: object, z: Tensor, *others: object) -> list[list[int]]:
        return [[2 + sum(float(value) > limit for limit in limits)] for value in z[:, 0]]

    monkeypatch.setattr(module, "decode", decode)


def varied(posterior: Posterior | None = None, n: int = 3, **settings: Any) -> Variations:  # noqa: ANN401
    posterior = posterior or gaussian([5.0, 0.0], [1.0, 1.0])
    torch.manual_seed(0)  # of the model's weights
    given: dict[str, Any] = {"spread": 1.0, "decoding": GREEDY, "seed": 0, **settings}
    return vary(tiny_model(), word_tokenizer(), "w1", posterior, n, **given)


class TestVary:
    def test_samples_that_give_the_same_sentence_are_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        halves(monkeypatch, 5.0 + 0.6745)  # the upper quartile
        found = varied(n=100)
        assert (len(found), found.missing, found.samples) == (2, 98, 2000)
        often, seldom = found
        assert often.count + seldom.count == 2000
        assert seldom.count == pytest.approx(500, abs=4 * math.sqrt(2000 * 0.25 * 0.75))
        assert often.text != seldom.text
        assert "spread" in found.remark
        # the nearest of 1,500 samples in two units; the other sentence begins at 0.67 / sqrt(2)
        assert often.distance < 0.1
        latents = torch.from_numpy(np.stack([often.latent, seldom.latent]))[:, None]
        distances = gaussian([5.0, 0.0], [1.0, 1.0]).deviations(latents)[:, 0]
        assert distances.tolist() == pytest.approx([often.distance, seldom.distance])
        assert 0.6745 / math.sqrt(2) < seldom.distance < 0.55

    def test_no_more_is_drawn_than_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        halves(monkeypatch, 4.5, 5.0, 5.5)
        found = varied(n=4)
        assert (len(found), found.missing, found.remark) == (4, 0, "")
        assert sum(variation.count for variation in found) == found.samples < 80
        assert min(variation.count for variation in found) == 1

    def test_the_seed_determines_them(self) -> None:
        words = Decoding(temperature=1.0)
        assert varied(decoding=words, seed=1) == varied(decoding=words, seed=1)
        assert varied(decoding=words, seed=1) != varied(decoding=words, seed=2)

    def test_a_posterior_that_is_a_point_gives_one_sentence(self) -> None:
        found = varied(gaussian([5.0, 0.0], [1e-9, 1e-9]))
        assert [variation.count for variation in found] == [60]
        assert "spread" in found.remark

    def test_a_collapsed_posterior_is_reported(self) -> None:
        found = varied(gaussian([0.1, 0.0], [0.99, 1.0]))
        assert found.rate == pytest.approx(0.005, abs=1e-3)
        assert "prior" in found.remark

    @pytest.mark.parametrize("spread", [-0.1, 1001.0, math.nan, None])
    def test_the_spread_has_a_range(self, spread: float) -> None:
        with pytest.raises(ConfigError, match="spread"):
            varied(spread=spread)
