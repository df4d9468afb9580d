"""Optimizers for sparse gradients of embeddings, of whose rows a batch touches a few hundred.

The others need not be cleared, measured or clipped, nor, in plain SGD, updated.
"""

__all__ = ["Adam", "build_optimizers", "clip_gradients", "set_rates", "sparsify_embeddings"]

from collections import Counter
from collections.abc import Iterable
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from ..config.training import AdamConfig, SGDConfig, SplitConfig


class Adam(torch.optim.Adam):
    """Adam with sparse gradients, identical to dense Adam: moments move rows without a gradient.

    A sparse gradient is written into a dense buffer that is reused and otherwise zero.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        parameters = list(parameters)
        on_cuda = any(parameter.is_cuda for parameter in parameters)
        super().__init__(parameters, lr=learning_rate, fused=True, capturable=on_cuda)
        self._dense: dict[Tensor, Tensor] = {}

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Updates the weights."""
        sparse = [
            (parameter, parameter.grad.coalesce())
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None and parameter.grad.is_sparse
        ]
        for parameter, grad in sparse:
            if parameter not in self._dense:
                self._dense[parameter] = torch.zeros_like(parameter)
            parameter.grad = self._dense[parameter]
            parameter.grad[grad.indices()[0]] = grad.values()
        super().step()
        for parameter, grad in sparse:
            self._dense[parameter][grad.indices()[0]] = 0
            parameter.grad = None


def build_optimizers(
    settings: AdamConfig | SGDConfig | SplitConfig,
    parameters: Iterable[nn.Parameter],
    words: Iterable[nn.Parameter],
) -> dict[str, torch.optim.Optimizer]:
    """Builds the configured optimizers, by name; `words` are the parameters with a row per word.

    Each parameter group also stores its initial learning rate, as torch's schedulers do. On a CUDA
    device the current rate is a tensor, which recorded steps read.
    """
    optimizers: dict[str, torch.optim.Optimizer]
    match settings:
        case AdamConfig():
            optimizers = {"model": Adam(parameters, settings.learning_rate)}
        case SGDConfig():
            optimizers = {"model": _sgd(parameters, settings.learning_rate)}
        case SplitConfig():
            tables = dict.fromkeys(words)  # without duplicates of a tied weight
            rest = [parameter for parameter in parameters if parameter not in tables]
            optimizers = {
                "model": Adam(rest, settings.learning_rate),
                "words": _sgd(tables, settings.word_learning_rate),
            }
        case _:
            assert_never(settings)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
            if group["params"][0].is_cuda:
                group["lr"] = torch.tensor(group["lr"], device=group["params"][0].device)
    return optimizers


def set_rates(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Sets the learning rates of optimizers to a fraction of their initial values."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rate = group["initial_lr"] * factor
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def _sgd(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.SGD:
    """Returns plain SGD; on a CUDA device fused, so that its rate can be a tensor."""
    parameters = list(parameters)
    on_cuda = any(parameter.is_cuda for parameter in parameters)
    return torch.optim.SGD(parameters, lr=learning_rate, fused=on_cuda or None)


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """Clips gradients to a maximum Euclidean norm like torch, and keeps sparse ones sparse.

    Returns the norm before clipping, with shape (). At least one parameter needs a gradient.
    """
    values = []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            values.append(parameter.grad.values())
        else:
            values.append(parameter.grad)
    norm = get_total_norm(values)
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(values, scale)  # one kernel for all tensors, as in torch
    return norm


def sparsify_embeddings(model: nn.Module) -> None:
    """Makes the gradients of embeddings sparse, unless tied to the output layer."""
    owners: Counter[Tensor] = Counter(
        parameter for module in model.modules() for parameter in module.parameters(recurse=False)
    )
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.sparse = owners[module.weight] == 1
