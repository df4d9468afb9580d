"""Profile of a training step: time per part, forward and backward pass together."""

__all__ = ["PARTS", "Timing", "profile"]

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from ..mi_terms.dual import MutualInformationTerm
from .trainer import Trainer

PARTS = ("data", "encoder", "decoder", "output layer", "critic", "optimizer", "rest")


@dataclass(frozen=True)
class Timing:
    """Mean times of a training step."""

    seconds: dict[str, float]  # per part and step
    tokens_per_second: float

    @property
    def step_seconds(self) -> float:
        """The time of a whole step."""
        return sum(self.seconds.values())


def profile(trainer: Trainer, steps: int = 30, warm_up: int = 3) -> Timing:
    """Makes `warm_up` steps and then `steps` timed ones; returns the time of their parts.

    Temporary hooks on modules and optimizers mark where parts start. They synchronise a CUDA
    device, so steps are slower there than in training. The trainer's model is trained.
    """
    batches = chain.from_iterable(map(trainer.sampler.batches, count()))
    for batch in islice(batches, warm_up):
        trainer.step(batch)
    clock = _Clock(trainer.device)
    tokens = 0
    with _hooked(trainer, clock):
        for batch in islice(batches, steps):
            clock.start("rest")
            trainer.step(batch)
            clock.start("data")
            tokens += int(batch.lengths.sum()) + len(batch)
    seconds = {part: spent / steps for part, spent in clock.spent.items()}
    return Timing(seconds, tokens / sum(clock.spent.values()))


class _Clock:
    """Measures time per part; exactly one part is active at any time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.spent = dict.fromkeys(PARTS, 0.0)
        self.part, self.since = "data", self._now()

    def start(self, part: str) -> None:
        """Assigns the time from now on to a part."""
        now = self._now()
        self.spent[self.part] += now - self.since
        self.part, self.since = part, now

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


@contextmanager
def _hooked(trainer: Trainer, clock: _Clock) -> Iterator[None]:
    """Context manager with hooks that tell the clock the active part of the trainer."""

    def to(part: str) -> Callable[..., None]:
        return lambda *_: clock.start(part)

    model = trainer.model
    modules: list[tuple[nn.Module, str]] = [(model.decoder, "decoder")]
    words = model.decoder.embedding  # its gradient is the last to be computed
    if model.latent_size:
        modules += [(model.encoder, "encoder"), (model.head, "encoder")]
        words = model.encoder.embedding
    with ExitStack() as stack:
        stack.callback(setattr, trainer.learner, "recorder", trainer.learner.recorder)
        trainer.learner.recorder = None  # graphs would not call hooks
        stack.enter_context(warnings.catch_warnings())
        # about modules whose inputs need no gradient
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        handles: list[RemovableHandle] = [
            # the backward pass of the output layer ends when its input has a gradient
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
        _timed_method(stack, clock, model.decoder.output, "log_prob", "output layer")
        if (term := trainer.term) is not None:
            for method in ("ascend", "lower_bound", "push"):
                if hasattr(term, method):
                    _timed_method(stack, clock, term, method, "critic")
        if isinstance(term, MutualInformationTerm):
            hook = term.critic.register_full_backward_pre_hook(to("critic"))
            stack.callback(hook.remove)
        yield


def _timed_method(
    stack: ExitStack, clock: _Clock, owner: nn.Module, method: str, part: str
) -> None:
    """Assigns the time within a method to a part, and the time after it to the previous part."""
    original = getattr(owner, method)

    def timed(*given: Any) -> Any:  # noqa: ANN401
        outer = clock.part
        clock.start(part)
        try:
            return original(*given)
        finally:
            clock.start(outer)

    setattr(owner, method, timed)
    stack.callback(delattr, owner, method)
