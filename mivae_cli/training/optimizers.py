"""Optimizers that know how few word vectors a batch touches.

An embedding's gradient has as many rows as the vocabulary, and a batch gives a value to a few
hundred of them. The rest need not be cleared, measured, clipped, nor, by plain descent, moved.
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
    """Adam, exactly: rows without a gradient move on by their moments as in torch's own.

    A sparse gradient is written into a dense one that stays between steps and is zero
    everywhere else.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        parameters = list(parameters)
        on_cuda = any(parameter.is_cuda for parameter in parameters)
        super().__init__(parameters, lr=learning_rate, fused=True, capturable=on_cuda)
        self._dense: dict[Tensor, Tensor] = {}

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Moves the weights by their gradients."""
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
    """Builds the optimizers that a configuration describes, by name.

    Each group's initial step size stands beside the present one, as torch's schedulers have it.
    On a CUDA device the present one is a tensor there, which recorded steps read.

    Arguments:
        settings: The configuration.
        parameters: All that learn.
        words: Those of them that belong to single words.
    """
    made: dict[str, torch.optim.Optimizer]
    match settings:
        case AdamConfig():
            made = {"model": Adam(parameters, settings.learning_rate)}
        case SGDConfig():
            made = {"model": _descent(parameters, settings.learning_rate)}
        case SplitConfig():
            tables = dict.fromkeys(words)  # one that is shared, only once
            rest = [parameter for parameter in parameters if parameter not in tables]
            made = {
                "model": Adam(rest, settings.learning_rate),
                "words": _descent(tables, settings.word_learning_rate),
            }
        case _:
            assert_never(settings)
    for optimizer in made.values():
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
            if group["params"][0].is_cuda:
                group["lr"] = torch.tensor(group["lr"], device=group["params"][0].device)
    return made


def set_rates(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Has optimizers go on by a share of their initial step sizes."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rate = group["initial_lr"] * factor
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def _descent(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.SGD:
    """Returns plain descent; on a CUDA device in one kernel, which reads its rate there."""
    parameters = list(parameters)
    on_cuda = any(parameter.is_cuda for parameter in parameters)
    return torch.optim.SGD(parameters, lr=learning_rate, fused=on_cuda or None)


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """Scales gradients down to a Euclidean norm, as torch does, sparse ones as they are.

    Arguments:
        parameters: What has gradients, one at least.
        max_norm: The norm.

    Returns:
        The norm before, with shape ().
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
    torch._foreach_mul_(values, scale)  # as torch's own clipping does: one kernel for all of them
    return norm


def sparsify_embeddings(model: nn.Module) -> None:
    """Has the gradients of embeddings hold only the rows that a batch touched.

    Not those of an embedding that is the output layer too, which touches all rows.
    """
    owners: Counter[Tensor] = Counter(
        parameter for module in model.modules() for parameter in module.parameters(recurse=False)
    )
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.sparse = owners[module.weight] == 1
