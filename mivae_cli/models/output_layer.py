r"""The output layer: from the decoder's states to the probabilities of words.

It is by far the largest product of a small model, and its logits by far the largest tensor.
So they are never kept: a chunk of tokens at a time, one buffer holds logits, then
probabilities, then what the gradients are made from,

.. math:: \frac{\partial \ell_i}{\partial h_i} = W (p_i - e_{x_i}), \qquad
    \frac{\partial \sum_i \ell_i}{\partial W} = \sum_i h_i \, (p_i - e_{x_i})^\top, \qquad
    \ell_i = -\log p_i(x_i)

Shapes: N tokens, H hidden units, V vocabulary.
"""

__all__ = ["OutputLayer"]

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .matmul import product

# Logits at a time: 31 MiB, for above 32 MiB the C library returns memory to the system at
# once, and to be given fresh pages for every buffer costs a fifth of the product that fills it.
# Without gradients half of that, which a cache may hold.
LOGITS = 8_000_000
# oneDNN keeps a third of a mebibyte for every shape of a product, a thousand shapes at most: in
# multiples of sixteen tokens there are fewer.
TOGETHER = 16

# Of states (N, H), weight (H, V) and bias (V,); none of the last two where they are not asked for.
Gradients = tuple[Tensor, Tensor | None, Tensor | None]


class OutputLayer(nn.Module):
    """Logits of words; and log-probabilities of given words, for which no logits are kept.

    The weight has shape (H, V), the transpose of what `torch.nn.Linear` holds: so its gradient,
    the largest of all, comes out of the quickest product as it is.
    """

    def __init__(self, hidden_size: int, vocab_size: int, words: Tensor | None = None) -> None:
        """Draws the weight, or takes word vectors, with shape (V, H), in its place."""
        super().__init__()
        drawn = nn.Linear(hidden_size, vocab_size)
        self.bias = drawn.bias
        self.words = words
        if words is None:
            self.weight = nn.Parameter(drawn.weight.detach().T.contiguous())

    @property
    def matrix(self) -> Tensor:
        """The weight, with shape (H, V)."""
        return self.weight if self.words is None else self.words.T

    def forward(self, states: Tensor) -> Tensor:
        """Returns logits: from (M, H) to (M, V)."""
        return product(states, self.matrix.T, self.bias)

    def log_prob(self, states: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the log-probability of each target in nats, 0 where there is none.

        Arguments:
            states: The decoder's states, with shape (..., H).
            targets: The ids of the words that follow, with shape (...).
            mask: Where a target counts, with shape (...); by default everywhere.
        """
        if mask is None:
            mask = torch.ones_like(targets, dtype=torch.bool)
        states, targets = states.flatten(end_dim=-2), targets.flatten()
        if states.is_cuda:  # to choose the real tokens, the processor would have to wait for it
            logits = self(states)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float))
            everywhere = -cross_entropy(logits, targets, reduction="none")
            return torch.where(mask, everywhere.view(mask.shape), 0.0)
        real = mask.flatten().nonzero()[:, 0]
        states, targets = states[real], targets[real]
        weight: Tensor = self.matrix
        bias: Tensor = self.bias
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            states, weight, bias = states.to(dtype), weight.to(dtype), bias.to(dtype)
        losses: Tensor
        if torch.is_grad_enabled() and (states.requires_grad or weight.requires_grad):
            losses = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
                states, weight, bias, targets
            )
        else:
            losses = _losses(states, weight, bias, targets)
        return losses.new_zeros(mask.numel()).index_copy(0, real, -losses).view(mask.shape)


class _CrossEntropy(torch.autograd.Function):
    """The losses of tokens, with shape (N,), whose gradients are made along with them.

    The gradients are made as if every token weighed the same, as in a mean over sentences;
    where that turns out otherwise, or they are asked for again, they are made anew.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  # a context takes what it is given
        states: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(states, weight, bias, targets)
        wanted = ctx.needs_input_grad[1]
        losses, ctx.gradients = _differentiated(states, weight, bias, targets, wanted)
        return losses

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401
        *grads: Tensor,
    ) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        (grad,) = grads
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None or (grad != grad[:1]).any():
            states, weight, bias, targets = ctx.saved_tensors
            wanted = ctx.needs_input_grad[1]
            _, gradients = _differentiated(states, weight, bias, targets, wanted, grad)
        else:
            gradients = tuple(None if each is None else each.mul_(grad[0]) for each in gradients)
        return *gradients, None


def _losses(states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Returns the losses, with shape (N,)."""
    count = len(states)
    states, targets = _filled(states), _filled(targets)
    losses = _losses_like(states)
    for rows in _chunks(states, weight, LOGITS // 2):
        logits = _logits(states[rows], weight, bias)
        log_probs = torch.log_softmax(logits, dim=-1, out=logits)
        losses[rows] = -log_probs.gather(1, targets[rows, None])[:, 0]
    return losses[:count]


def _differentiated(
    states: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    wanted: bool,
    grad: Tensor | None = None,
) -> tuple[Tensor, Gradients]:
    """Returns the losses (N,) and the gradients of their sum, weighted by grad (N,).

    Those of weight and bias, more than half of the work, only where they are wanted.
    """
    count = len(states)
    states, targets = _filled(states), _filled(targets)
    grad = None if grad is None else _filled(grad)
    losses = _losses_like(states)
    of_states, of_bias = torch.empty_like(states), torch.zeros_like(bias)
    of_weight: Tensor | None = None
    for rows in _chunks(states, weight, LOGITS):
        losses[rows], residual = _softmax(states[rows], weight, bias, targets[rows])
        residual[torch.arange(len(residual)), targets[rows]] -= 1  # p - e, in place of p
        if grad is not None:
            residual *= grad[rows, None]
        residual[max(0, count - rows.start) :] = 0  # of rows that are no tokens
        residual = residual.to(states.dtype)
        of_states[rows] = product(residual, weight)
        if not wanted:
            continue
        part = product(states[rows].T.contiguous(), residual.T)
        of_weight = part if of_weight is None else of_weight.add_(part)
        of_bias += residual.sum(dim=0)
    return losses[:count], (of_states[:count], of_weight, of_bias if wanted else None)


def _filled(rows: Tensor) -> Tensor:
    """Returns N rows, and zeros after them up to a multiple of `TOGETHER`."""
    missing = -len(rows) % TOGETHER
    return torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])]) if missing else rows


def _softmax(
    states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the losses (N,) and the probabilities (N, V)."""
    logits = _logits(states, weight, bias)
    largest = logits.amax(dim=-1)
    said = logits.gather(1, targets[:, None])[:, 0]
    probs = torch.softmax(logits, dim=-1, out=logits)
    # The likeliest word's probability is at least 1 / V, so its logarithm is always there.
    return largest - probs.amax(dim=-1).log() - said, probs


def _logits(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Returns logits (N, V), in single precision at least."""
    logits = product(states, weight.T, bias)
    return logits.to(torch.promote_types(logits.dtype, torch.float))


def _losses_like(states: Tensor) -> Tensor:
    return states.new_empty(len(states), dtype=torch.promote_types(states.dtype, torch.float))


def _chunks(states: Tensor, weight: Tensor, most: int) -> list[slice]:
    """Divides N rows into parts of like size, that have about so many logits at most."""
    count = max(1, -(-len(states) * weight.shape[1] // most))
    size = -(-len(states) // (count * TOGETHER)) * TOGETHER
    return [slice(start, start + size) for start in range(0, len(states), size)]
