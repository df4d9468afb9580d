r"""The output layer: from decoder states to word probabilities.

In a small model this is by far the largest matrix product, and the logits are by far the largest
tensor. They are therefore never stored as a whole: for one chunk of tokens at a time, one buffer
holds the logits, then the probabilities, then the residuals p - e of the gradients

.. math:: \frac{\partial \ell_i}{\partial h_i} = W (p_i - e_{x_i}), \qquad
    \frac{\partial \sum_i \ell_i}{\partial W} = \sum_i h_i \, (p_i - e_{x_i})^\top, \qquad
    \ell_i = -\log p_i(x_i)

Shapes: N tokens, H hidden units, V vocabulary.
"""

__all__ = ["OutputLayer", "product"]

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
# Logits per chunk: 31 MiB. glibc returns buffers above 32 MiB to the system immediately, and new
# pages for each buffer cost a fifth of the product's time. Half of this without gradients, which
# may fit into the cache.
LOGITS = 8_000_000
# oneDNN caches a third of a MiB per shape of a product, for up to a thousand shapes. Multiples of
# sixteen tokens keep the number of shapes low.
ROW_MULTIPLE = 16

# With respect to states (N, H), weight (H, V) and bias (V,); the last two may be omitted.
Gradients = tuple[Tensor, Tensor | None, Tensor | None]


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""Returns :math:`A B^\top + c`, (M, N), for A (M, K), B (N, K) and a bias c (N,).

    In single precision, torch uses MKL, which is slow on CPUs by other makers than Intel. There,
    oneDNN is a fifth faster if rows or columns of B are contiguous. It has no gradients, so it is
    used only if none are recorded.
    """
    single = left.device.type == "cpu" and left.dtype == torch.float32
    if ONEDNN and single and len(left) and not torch.is_grad_enabled():
        found: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
        return found
    return linear(left, right, bias)


class OutputLayer(nn.Module):
    """Computes logits of all words, or log-probabilities of given words without storing logits.

    The weight has shape (H, V), the transpose of `torch.nn.Linear`: the fastest product then
    yields its gradient, the largest of all, without a copy.
    """

    def __init__(self, hidden_size: int, vocab_size: int, words: Tensor | None = None) -> None:
        """Draws a new weight, or uses word vectors with shape (V, H) as a tied weight."""
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
        """Returns the logits (M, V) for states (M, H)."""
        return product(states, self.matrix.T, self.bias)

    def log_prob(self, states: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the log-probability of each target (...) in nats, 0 where the mask is False.

        The states have shape (..., H), the mask (...); by default, all targets are scored.
        """
        if mask is None:
            mask = torch.ones_like(targets, dtype=torch.bool)
        states, targets = states.flatten(end_dim=-2), targets.flatten()
        if states.is_cuda:  # selecting the real tokens would make the CPU wait for the device
            logits = self(states)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float))
            log_probs = -cross_entropy(logits, targets, reduction="none")
            return torch.where(mask, log_probs.view(mask.shape), 0.0)
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
    """The cross entropy of N tokens, with shape (N,); computes its gradients in the forward pass.

    These gradients assume equal weights of all tokens, as in a mean over sentences. With other
    weights, or in a second backward pass, they are recomputed.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  # autograd contexts are untyped
        states: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(states, weight, bias, targets)
        wanted = ctx.needs_input_grad[1]
        losses, ctx.gradients = _losses_and_gradients(states, weight, bias, targets, wanted)
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
            _, gradients = _losses_and_gradients(states, weight, bias, targets, wanted, grad)
        else:
            gradients = tuple(None if each is None else each.mul_(grad[0]) for each in gradients)
        return *gradients, None


def _losses(states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Returns the losses, with shape (N,)."""
    count = len(states)
    states, targets = _padded(states), _padded(targets)
    losses = states.new_empty(len(states), dtype=torch.promote_types(states.dtype, torch.float))
    for rows in _chunks(states, weight, LOGITS // 2):
        logits = _logits(states[rows], weight, bias)
        log_probs = torch.log_softmax(logits, dim=-1, out=logits)
        losses[rows] = -log_probs.gather(1, targets[rows, None])[:, 0]
    return losses[:count]


def _losses_and_gradients(
    states: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    wanted: bool,
    grad: Tensor | None = None,
) -> tuple[Tensor, Gradients]:
    """Returns the losses (N,) and the gradients of their sum, weighted by grad (N,).

    Gradients of weight and bias, more than half of the work, are computed only if wanted.
    """
    count = len(states)
    states, targets = _padded(states), _padded(targets)
    grad = None if grad is None else _padded(grad)
    losses = states.new_empty(len(states), dtype=torch.promote_types(states.dtype, torch.float))
    of_states, of_bias = torch.empty_like(states), torch.zeros_like(bias)
    of_weight: Tensor | None = None
    for rows in _chunks(states, weight, LOGITS):
        losses[rows], residual = _softmax(states[rows], weight, bias, targets[rows])
        residual[torch.arange(len(residual)), targets[rows]] -= 1  # p - e
        if grad is not None:
            residual *= grad[rows, None]
        residual[max(0, count - rows.start) :] = 0  # padding rows
        residual = residual.to(states.dtype)
        of_states[rows] = product(residual, weight)
        if not wanted:
            continue
        part = product(states[rows].T.contiguous(), residual.T)
        of_weight = part if of_weight is None else of_weight.add_(part)
        of_bias += residual.sum(dim=0)
    return losses[:count], (of_states[:count], of_weight, of_bias if wanted else None)


def _padded(rows: Tensor) -> Tensor:
    """Returns the N rows, padded with zeros to a multiple of `ROW_MULTIPLE` rows."""
    missing = -len(rows) % ROW_MULTIPLE
    return torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])]) if missing else rows


def _softmax(
    states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the losses (N,) and the probabilities (N, V)."""
    logits = _logits(states, weight, bias)
    largest = logits.amax(dim=-1)
    of_targets = logits.gather(1, targets[:, None])[:, 0]
    probs = torch.softmax(logits, dim=-1, out=logits)
    # the largest probability is at least 1 / V, so its logarithm is finite
    return largest - probs.amax(dim=-1).log() - of_targets, probs


def _logits(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Returns logits (N, V), at least in single precision."""
    logits = product(states, weight.T, bias)
    return logits.to(torch.promote_types(logits.dtype, torch.float))


def _chunks(states: Tensor, weight: Tensor, max_logits: int) -> list[slice]:
    """Returns chunks of N rows of similar size, with about `max_logits` logits at most each."""
    count = max(1, -(-len(states) * weight.shape[1] // max_logits))
    size = -(-len(states) // (count * ROW_MULTIPLE)) * ROW_MULTIPLE
    return [slice(start, start + size) for start in range(0, len(states), size)]
