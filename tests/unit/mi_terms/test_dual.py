"""The mutual-information term: its gradients, its dual variable and its queue."""

import math
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from mivae_cli.config.model import ConcatenatedCriticConfig, SeparableCriticConfig
from mivae_cli.config.training import CriticConfig
from mivae_cli.estimators.bounds import dual
from mivae_cli.finite_checks import NonFiniteBatch, Quantity
from mivae_cli.mi_terms.critics import build_critic
from mivae_cli.mi_terms.dual import MARGIN, MutualInformationTerm
from support.gaussian import GaussianChannel, assert_near


@pytest.mark.parametrize("log_xi", [-1.0, 0.0, 1.0])
def test_the_gradient_through_the_sample_path_alone_is_that_of_the_information(
    log_xi: float,
) -> None:
    """Q 5-10 on z = a x + s e: with f = f* frozen, it equals dI/da = a / (a^2 + s^2)."""
    gain, scale = 0.8, 0.6
    channel = GaussianChannel(1, scale, gain)  # frozen: its gain is a plain number
    gradients = []
    for _ in range(400):
        a = torch.tensor(gain, dtype=torch.float64, requires_grad=True)
        x = torch.randn(128, 1, dtype=torch.float64)
        z = a * x + scale * torch.randn_like(x)
        (gradient,) = torch.autograd.grad(dual(channel.log_ratios(x, z) - log_xi, log_xi), a)
        gradients.append(gradient)
    assert_near(torch.stack(gradients), gain / (gain**2 + scale**2))


def test_a_critic_of_another_channel_gives_another_gradient() -> None:
    """The check above can fail: it needs the optimal critic."""
    gain, scale = 0.8, 0.6
    wrong = GaussianChannel(1, scale, gain=0.3)
    a = torch.tensor(gain, dtype=torch.float64, requires_grad=True)
    x = torch.randn(20_000, 1, dtype=torch.float64)
    z = a * x + scale * torch.randn_like(x)
    joint = torch.stack([wrong.log_ratios(x[i : i + 200], z[i : i + 200]) for i in (0, 200, 400)])
    (gradient,) = torch.autograd.grad(torch.stack([dual(s, 0.0) for s in joint]).mean(), a)
    assert abs(float(gradient) - gain / (gain**2 + scale**2)) > 0.2


def _term(queue_size: int = 8, steps: int = 1, **changes: float) -> MutualInformationTerm:
    config = CriticConfig(
        network=SeparableCriticConfig(hidden_size=16, score_size=8),
        queue_size=queue_size,
        steps=steps,
        **changes,
    )
    return MutualInformationTerm(config, features=3, latent_size=2)


def test_the_model_step_moves_neither_critic_nor_features() -> None:
    term = _term()
    features = torch.randn(4, 3, requires_grad=True)
    z = torch.randn(4, 2, requires_grad=True)
    term.lower_bound(features, z).backward()
    assert features.grad is None
    assert all(parameter.grad is None for parameter in term.critic.parameters())
    assert all(parameter.requires_grad for parameter in term.critic.parameters())
    assert z.grad is not None
    assert z.grad.abs().sum() > 0


WIDE = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))


def _features(x: Tensor) -> Tensor:
    """Spreads x over many features, as an encoder does: (B, 1 or 2) -> (B, 32)."""
    return torch.tanh(x.float() @ WIDE[: x.shape[1]] + WIDE[0].roll(7))


def test_the_critic_learns_most_of_a_known_information() -> None:
    channel = GaussianChannel(2, 0.5)
    config = CriticConfig(
        network=SeparableCriticConfig(hidden_size=64, score_size=32), queue_size=256
    )
    term = MutualInformationTerm(config, features=32, latent_size=2)
    optimizer = torch.optim.Adam(term.critic.parameters(), lr=3e-3)
    bounds = []
    for step in range(600):
        x, z = channel.draw(64)
        features, z = _features(x), z.float()
        term.update_critic(features, z, optimizer, max_norm=5.0)
        term.push(features)
        if step >= 500:
            bounds.append(term.lower_bound(features, z))
    value = float(torch.stack(bounds).mean())
    assert 0.7 * channel.mutual_information < value < 1.1 * channel.mutual_information


class OptimalCritic(nn.Module):
    """The pointwise information of a channel, plus a constant."""

    def __init__(self, channel: GaussianChannel, constant: float) -> None:
        super().__init__()
        self.channel, self.constant = channel, constant

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.channel.log_ratios(x, z) + self.constant


@pytest.mark.parametrize("constant", [0.0, 3.0])
def test_the_held_out_bound_of_the_optimal_critic_is_the_information(constant: float) -> None:
    channel = GaussianChannel(2, 0.5)
    term = _term()
    term.critic = OptimalCritic(channel, constant)  # type: ignore[assignment]
    term.log_partition.fill_(constant)  # the optimal xi
    found = term.held_out_bound(*channel.draw(3000))
    assert found == pytest.approx(channel.mutual_information, abs=0.06)
    term.log_partition.fill_(constant + 0.7)  # loses e^-0.7 - 1 + 0.7 nats
    lower = term.held_out_bound(*channel.draw(3000))
    expected = channel.mutual_information + 0.3 - math.exp(-0.7)
    assert lower == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("network", [SeparableCriticConfig(), ConcatenatedCriticConfig()])
def test_the_held_out_bound_is_that_of_the_score_matrix(
    network: SeparableCriticConfig | ConcatenatedCriticConfig,
) -> None:
    term = MutualInformationTerm(CriticConfig(network=network, clip=0.1), 3, 2, sentences=1000)
    features, z = torch.randn(300, 3), torch.randn(300, 2)
    term.log_partition.fill_(0.25)
    count = 300 if isinstance(network, SeparableCriticConfig) else 256
    scores = term.critic(features[:count], z[:count]).double().detach()
    product = (scores.exp().sum() - scores.diag().exp().sum()) / (count * (count - 1))
    expected = scores.diag().mean() - math.exp(-0.25) * product - 0.25 + 1  # not clipped
    random = torch.get_rng_state()
    assert term.held_out_bound(features, z) == pytest.approx(float(expected), abs=1e-5)
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("log_partition", [math.nan, -60.0, 60.0])
def test_an_impossible_held_out_bound_is_not_reported(log_partition: float) -> None:
    term = MutualInformationTerm(CriticConfig(), 3, 2, sentences=1000)
    term.log_partition.fill_(log_partition)
    assert term.held_out_bound(torch.randn(20, 3), torch.randn(20, 2)) is None


def test_one_sentence_has_no_held_out_bound() -> None:
    term = _term()
    term.log_partition.fill_(0.0)
    assert term.held_out_bound(torch.randn(1, 3), torch.randn(1, 2)) is None


def test_xi_times_z_is_bounded_whatever_the_scores_do() -> None:
    term = _term(xi_decay=0.9)
    for log_mean in (0.0, 50.0, -50.0, 80.0):
        term.log_partition = term._moving_average(torch.tensor(log_mean))
        assert log_mean + float(term.log_xi) <= math.log(1 / (1 - 0.9)) + 1e-4


def test_the_partition_function_is_averaged_in_log_space() -> None:
    term = _term(xi_decay=0.75)
    values = [1.0, 4.0, 0.5]
    average = values[0]
    term.log_partition = term._moving_average(torch.tensor(math.log(values[0])))
    for value in values[1:]:
        average = 0.75 * average + 0.25 * value
        term.log_partition = term._moving_average(torch.tensor(math.log(value)))
    assert float(term.log_partition) == pytest.approx(math.log(average), abs=1e-5)


def _state(
    term: MutualInformationTerm, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[int, dict[str, Tensor]]]:
    moments: dict[int, dict[str, Tensor]] = deepcopy(optimizer.state_dict()["state"])
    return deepcopy(term.state_dict()), moments


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", ["features", "z"])
def test_what_is_not_finite_moves_neither_critic_nor_moments_nor_xi(
    part: str, value: float, fresh: bool, steps: int
) -> None:
    term = _term(steps=steps)
    optimizer = torch.optim.Adam(term.critic.parameters(), lr=1e-3)
    if not fresh:
        term.update_critic(torch.randn(4, 3), torch.randn(4, 2), optimizer, max_norm=5.0)
    before, moments = _state(term, optimizer)
    features, z = torch.randn(4, 3), torch.randn(4, 2)
    (features if part == "features" else z)[1, 1] = value
    with pytest.raises(NonFiniteBatch) as caught:
        term.update_critic(features, z, optimizer, max_norm=5.0)
    assert caught.value.quantity is Quantity.CRITIC_LOSS
    with pytest.raises(NonFiniteBatch) as caught:
        term.lower_bound(features, z)
    assert caught.value.quantity is Quantity.LOG_XI
    after, moments_after = _state(term, optimizer)
    torch.testing.assert_close(after, before, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(moments_after, moments, rtol=0, atol=0)
    assert bool(term.log_partition.isnan()) == fresh
    term.update_critic(torch.randn(4, 3), torch.randn(4, 2), optimizer, max_norm=5.0)
    assert term.log_partition.isfinite()


class _GivenScores(nn.Module):
    """A critic that says what it is told to."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores)

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        return self.scores.expand(len(features), len(z))


@pytest.mark.parametrize("sentences", [4, 1000])
@pytest.mark.parametrize(
    ("joint", "possible"), [(0.0, True), (0.99, True), (1.01, False), (-1.0, True), (-1.6, False)]
)
def test_a_bound_far_beyond_the_information_of_n_sentences_is_refused(
    joint: float, possible: bool, sentences: int
) -> None:
    """With other pairs at 0, ln Z = ln xi = 0: the bound is the joint pairs' score itself."""
    limit = math.log(sentences) + MARGIN
    term = MutualInformationTerm(CriticConfig(queue_size=0), 3, 2, sentences)
    term.critic = _GivenScores(torch.eye(4) * joint * limit)  # type: ignore[assignment]
    term.log_partition.fill_(0.0)
    features, z = torch.randn(4, 3), torch.randn(4, 2)
    if possible:
        assert term.lower_bound(features, z).item() == pytest.approx(joint * limit, abs=1e-4)
    else:
        with pytest.raises(NonFiniteBatch) as caught:
            term.lower_bound(features, z)
        assert caught.value.quantity is Quantity.BOUND
        assert caught.value.value == pytest.approx(joint * limit, abs=1e-4)
        assert float(term.log_partition) == 0.0


def test_an_optimal_critic_of_sentences_that_z_tells_apart_is_not_refused() -> None:
    """I(x; z) = ln N, attained by f = ln N on the diagonal and -inf, here -1000, elsewhere."""
    count = 64
    scores = torch.full((count, count), -1000.0).fill_diagonal_(math.log(count))
    term = MutualInformationTerm(CriticConfig(queue_size=0), 3, 2, sentences=count)
    term.critic = _GivenScores(scores)  # type: ignore[assignment]
    term.log_partition.fill_(0.0)  # E[exp f] over all N^2 pairs is 1
    bound = term.lower_bound(torch.randn(count, 3), torch.randn(count, 2)).item()
    # the diagonal is left out of the batch's Z, which is 0 then, and of EMA(Z) 0.9 are left
    assert bound == pytest.approx(math.log(count) - math.log(0.9) + 1, abs=1e-4)


def test_scores_that_explode_do_not_spoil_xi_and_the_critic_unlearns_them() -> None:
    scores = torch.zeros(4, 4)
    scores[0, 1] = 500.0
    term = MutualInformationTerm(CriticConfig(queue_size=0), 3, 2, sentences=1000)
    term.critic = _GivenScores(scores)  # type: ignore[assignment]
    term.log_partition.fill_(0.25)
    optimizer = torch.optim.SGD(term.critic.parameters(), lr=100.0)
    features, z = torch.randn(4, 3), torch.randn(4, 2)
    term.update_critic(features, z, optimizer, max_norm=5.0)
    assert float(term.log_partition) == 0.25
    assert float(scores[0, 1]) < 100.0
    assert scores.isfinite().all()


def test_the_queue_holds_the_latest_features_and_overwrites_the_oldest() -> None:
    term = _term(queue_size=5)
    for start in (0, 3, 6):
        term.push(torch.arange(start, start + 3.0)[:, None].expand(3, 3))
    rows = term.with_queued(torch.full((1, 3), -1.0))[:, 0].tolist()
    assert rows[0] == -1.0
    assert sorted(rows[1:]) == [4.0, 5.0, 6.0, 7.0, 8.0]


def test_an_unfilled_queue_contributes_no_rows() -> None:
    term = _term(queue_size=5)
    term.push(torch.ones(2, 3))
    assert term.with_queued(torch.zeros(4, 3)).shape == (6, 3)


def test_a_queue_across_lengths_sees_information_that_batches_of_one_length_hide() -> None:
    """The trap of like-length batches: I(x; z) counts the length, I(x; z | length) does not."""

    def bound(batches: Callable[[], Tensor], queue_size: int) -> float:
        config = CriticConfig(
            network=SeparableCriticConfig(hidden_size=32, score_size=16), queue_size=queue_size
        )
        term = MutualInformationTerm(config, features=32, latent_size=1)
        optimizer = torch.optim.Adam(term.critic.parameters(), lr=3e-3)
        values = []
        for step in range(500):
            length = batches()
            z = length + 0.05 * torch.randn_like(length)  # z tells the length and nothing else
            features = _features(length)
            term.update_critic(features, z, optimizer, max_norm=5.0)
            term.push(features)
            if step >= 400:
                values.append(term.lower_bound(features, z))
        return float(torch.stack(values).mean())

    def one_length_a_batch() -> Tensor:
        return torch.randint(4, (1, 1)).float().expand(32, 1)

    assert bound(one_length_a_batch, queue_size=0) < 0.2
    assert bound(one_length_a_batch, queue_size=256) > 0.6  # of ln 4 = 1.39


@pytest.mark.parametrize("config", [SeparableCriticConfig(), ConcatenatedCriticConfig()])
def test_every_entry_of_a_score_matrix_is_the_score_of_its_pair(
    config: SeparableCriticConfig | ConcatenatedCriticConfig,
) -> None:
    critic: nn.Module = build_critic(config, features=5, latent_size=3)
    features, z = torch.randn(6, 5), torch.randn(4, 3)
    scores = critic(features, z)
    assert scores.shape == (6, 4)
    alone = torch.stack([torch.cat([critic(f[None], k[None])[0] for k in z]) for f in features])
    torch.testing.assert_close(scores, alone, rtol=1e-4, atol=1e-5)
