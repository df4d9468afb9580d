"""The profile of a step: time goes to the part that takes it, and nothing stays behind."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.training.profiler import PARTS, profile
from mivae_cli.training.trainer import Trainer
from support.small import SIZES, networks, small_config, write_scenes

PAUSE = 0.06  # seconds


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("profiled") / "scenes.txt")


def trainer_on(text: Path, **sections: dict[str, Any]) -> Trainer:
    config = small_config(text, **sections)
    return Trainer(config, prepare_corpus(config.data))


class Clock:
    """A clock that goes on only when it is told to, so that a busy machine takes no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self) -> None:
        self.now += PAUSE


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("mivae_cli.training.profiler.time.perf_counter", clock)
    return clock


def slow(owner: type, method: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(owner, method)

    def slowed(*given: Any, **named: Any) -> Any:  # noqa: ANN401
        clock.pause()
        return original(*given, **named)

    monkeypatch.setattr(owner, method, slowed)


@pytest.mark.parametrize(
    ("part", "place", "method", "kind"),
    [
        ("data", "sampler", "batches", "lstm"),
        *(("encoder", "model.encoder", "forward", kind) for kind in SIZES),
        *(("decoder", "model.decoder.word_dropout", "forward", kind) for kind in SIZES),
        *(("output layer", "model.decoder.output", "log_prob", kind) for kind in SIZES),
        ("critic", "term", "lower_bound", "lstm"),
    ],
)
def test_time_goes_to_the_part_that_takes_it(
    part: str,
    place: str,
    method: str,
    kind: str,
    text: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = trainer_on(text, model=networks(kind))
    if part == "data":
        batches = trainer.sampler.batches

        def slowly(epoch: int) -> Any:  # noqa: ANN401
            for batch in batches(epoch):
                clock.pause()
                yield batch

        monkeypatch.setattr(trainer.sampler, "batches", slowly)
    else:
        owner: Any = trainer
        for name in place.split("."):
            owner = getattr(owner, name)
        slow(type(owner), method, clock, monkeypatch)
    timing = profile(trainer, steps=3)
    assert set(timing.seconds) == set(PARTS)
    others = {name: spent for name, spent in timing.seconds.items() if name != part}
    assert timing.seconds[part] >= PAUSE * (1 - 1e-9)
    assert max(others.values()) == 0
    assert timing.step_seconds == pytest.approx(sum(timing.seconds.values()))


def test_it_outlasts_the_epoch_and_leaves_no_hook_behind(text: Path) -> None:
    trainer = trainer_on(text)
    steps = len(trainer.sampler) + 2
    profile(trainer, steps=steps, warm_up=1)
    assert trainer.state.step == steps + 1
    for module in [*trainer.model.modules(), *(trainer.term or nn.Module()).modules()]:
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_pre_hooks
    assert "log_prob" not in vars(trainer.model.decoder.output)
    assert "ascend" not in vars(trainer.term)


def test_a_language_model_has_neither_encoder_nor_critic(text: Path) -> None:
    trainer = trainer_on(text, model={"latent_size": 0}, objective={"mi_weight": 0.0})
    timing = profile(trainer, steps=2)
    assert timing.seconds["encoder"] == timing.seconds["critic"] == 0
    assert timing.seconds["decoder"] > 0
