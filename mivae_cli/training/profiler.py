"""Where the time of a training step goes, part by part, forwards and backwards together."""

__all__ = ["PARTS", "Timing", "profile"]

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from ..data.batches import Batch, BatchSampler
from ..mi_terms.dual import MutualInformationTerm
from .trainer import Trainer

PARTS = ("data", "encoder", "decoder", "output layer", "critic", "optimizer", "rest")


@dataclass(frozen=True)
class Timing:
    """What the parts of a step take, on average over some steps."""

    seconds: dict[str, float]  # of each part, a step
    tokens_per_second: float

    @property
    def step_seconds(self) -> float:
        """What a whole step takes."""
        return sum(self.seconds.values())


def profile(trainer: Trainer, steps: int = 30, warm_up: int = 3) -> Timing:
    """Trains for some steps and times their parts.

    Where a part begins is told by hooks on modules and optimizer, which are gone afterwards.
    A CUDA device is waited for at each of these points, so that a step takes longer there than
    it does in training.

    Arguments:
        trainer: The trainer; it goes on by so many steps.
        steps: Steps that are timed.
        warm_up: Steps before them, that allocate.
    """
    batches = _batches(trainer.sampler)
    for batch in islice(batches, warm_up):
        trainer.step(batch)
    clock = _Clock(trainer.device)
    tokens = 0
    with _watched(trainer, clock):
        for batch in islice(batches, steps):
            clock.begin("rest")
            trainer.step(batch)
            clock.begin("data")
            tokens += int(batch.lengths.sum()) + len(batch)
    seconds = {part: spent / steps for part, spent in clock.spent.items()}
    return Timing(seconds, tokens / sum(clock.spent.values()))


class _Clock:
    """Adds time to one part after the other."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.spent = dict.fromkeys(PARTS, 0.0)
        self.part, self.since = "data", self._now()

    def begin(self, part: str) -> None:
        """Has the time from now on belong to a part."""
        now = self._now()
        self.spent[self.part] += now - self.since
        self.part, self.since = part, now

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


@contextmanager
def _watched(trainer: Trainer, clock: _Clock) -> Iterator[None]:
    """Has the clock told, for a while, which part of the trainer is at work."""

    def to(part: str) -> Callable[..., None]:
        return lambda *_: clock.begin(part)

    model = trainer.model
    modules: list[tuple[nn.Module, str]] = [(model.decoder, "decoder")]
    words = model.decoder.embedding  # whose gradient comes last of all
    if model.latent_size:
        modules += [(model.encoder, "encoder"), (model.head, "encoder")]
        words = model.encoder.embedding
    recorder, trainer.learner.recorder = trainer.learner.recorder, None  # hooks are not replayed
    with ExitStack() as stack:
        stack.callback(setattr, trainer.learner, "recorder", recorder)
        stack.enter_context(warnings.catch_warnings())  # of hooks on what takes no gradient in
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        handles: list[RemovableHandle] = [
            # backwards: the output layer's is over when the states that it reads have their gradient
            model.decoder.network.register_full_backward_pre_hook(to("decoder")),
            words.weight.register_post_accumulate_grad_hook(to("rest")),
        ]
        for optimizer in trainer.learner.model_optimizers.values():
            handles.append(optimizer.register_step_pre_hook(to("optimizer")))
            handles.append(optimizer.register_step_post_hook(to("rest")))
        for module, part in modules:
            handles.append(module.register_forward_pre_hook(to(part)))
            handles.append(module.register_forward_hook(to("rest")))
        if model.latent_size:
            handles.append(model.encoder.register_full_backward_pre_hook(to("encoder")))
        for handle in handles:
            stack.callback(handle.remove)
        _within(stack, clock, model.decoder.output, "log_prob", "output layer")
        if (term := trainer.term) is not None:
            for method in ("ascend", "lower_bound", "push"):
                if hasattr(term, method):
                    _within(stack, clock, term, method, "critic")
        if isinstance(term, MutualInformationTerm):
            hook = term.critic.register_full_backward_pre_hook(to("critic"))
            stack.callback(hook.remove)
        yield


def _within(stack: ExitStack, clock: _Clock, owner: nn.Module, method: str, part: str) -> None:
    """Counts the time within a method as a part, and what follows as the part before."""
    original = getattr(owner, method)

    def timed(*given: Any) -> Any:  # noqa: ANN401  # whatever the method takes and gives
        outer = clock.part
        clock.begin(part)
        try:
            return original(*given)
        finally:
            clock.begin(outer)

    setattr(owner, method, timed)
    stack.callback(delattr, owner, method)


def _batches(sampler: BatchSampler) -> Iterator[Batch]:
    for epoch in count():
        yield from sampler.batches(epoch)
