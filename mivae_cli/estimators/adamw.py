"""AdamW with a cosine learning rate, by the function that `torch.optim.AdamW` calls.

The first use of a class of `torch.optim` imports `torch._dynamo`, which takes about two seconds:
longer than most critics need.

References:
    | Decoupled Weight Decay Regularization (Loshchilov & Hutter, 2019)
    | SGDR: Stochastic Gradient Descent with Warm Restarts (Loshchilov & Hutter, 2017), for the cosine
"""

__all__ = ["AdamW"]

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adamw import adamw

BETAS, EPSILON = (0.9, 0.999), 1e-8


class AdamW:
    """Updates parameters by their gradients.

    Arguments:
        parameters: The parameters.
        learning_rate: Of the first step; it falls to 0 at the last one.
        weight_decay: The decay of a step, in multiples of the learning rate.
        steps: The number of steps.
    """

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, weight_decay: float, steps: int
    ) -> None:
        self.parameters = list(parameters)
        self.learning_rate, self.weight_decay, self.steps = learning_rate, weight_decay, steps
        self._means = [torch.zeros_like(each) for each in self.parameters]
        self._squares = [torch.zeros_like(each) for each in self.parameters]
        self._counts = [torch.zeros(()) for _ in self.parameters]
        self._done = 0

    def zero_grad(self) -> None:
        """Deletes the gradients."""
        for each in self.parameters:
            each.grad = None

    def step(self) -> None:
        """Updates the parameters that have a gradient, then lowers the learning rate."""
        given = [n for n, each in enumerate(self.parameters) if each.grad is not None]
        with torch.no_grad():
            adamw(
                params=[self.parameters[n] for n in given],
                grads=[each.grad for each in self.parameters if each.grad is not None],
                exp_avgs=[self._means[n] for n in given],
                exp_avg_sqs=[self._squares[n] for n in given],
                max_exp_avg_sqs=[],
                state_steps=[self._counts[n] for n in given],
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=self.learning_rate,
                weight_decay=self.weight_decay,
                eps=EPSILON,
                maximize=False,
            )
        before, after = (
            1 + math.cos(math.pi * done / self.steps) for done in (self._done, self._done + 1)
        )
        self.learning_rate *= after / before
        self._done += 1
