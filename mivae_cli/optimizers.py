"""Optimizers that know how few word vectors a batch touches.

An embedding's gradient has as many rows as the vocabulary, and a batch gives a value to a few
hundred of them. The rest need not be cleared, measured, clipped, nor, by plain descent, moved.
"""

__all__ = ["Adam", "build_optimizers", "clip_gradients", "finite", "sparsify_embeddings"]

import math
from collections import Counter
from collections.abc import Iterable
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from .config import AdamConfig, SGDConfig, SplitConfig
from .errors import BadBatch


class Adam(torch.optim.Adam):
    """Adam, exactly: rows without a gradient move on by their moments as in torch's own.

    A sparse gradient is written into a dense one that stays between steps and is zero
    everywhere else.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        super().__init__(parameters, lr=learning_rate, fused=True)
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
            made = {"model": torch.optim.SGD(parameters, lr=settings.learning_rate)}
        case SplitConfig():
            tables = dict.fromkeys(words)  # one that is shared, only once
            rest = [parameter for parameter in parameters if parameter not in tables]
            made = {
                "model": Adam(rest, settings.learning_rate),
                "words": torch.optim.SGD(tables, lr=settings.word_learning_rate),
            }
        case _:
            assert_never(settings)
    for optimizer in made.values():
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return made


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """Scales gradients down to a Euclidean norm, as torch does, sparse ones as they are.

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
    for value in values:
        value *= scale
    return norm


def finite(values: dict[str, Tensor]) -> list[float]:
    """Reads the values on which a step rests, all at once.

    A device is waited for here. Nothing else would do: whether to move the weights is decided
    on the processor.

    Arguments:
        values: The values by their names, each with shape ().

    Raises:
        BadBatch: One of them is NaN or infinite; the first such is named.
    """
    numbers: list[float] = torch.stack([value.detach() for value in values.values()]).tolist()
    for name, number in zip(values, numbers, strict=True):
        if not math.isfinite(number):
            raise BadBatch(name, str(number))
    return numbers


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
