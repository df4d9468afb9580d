"""Matrix products on a CPU, by the faster of the two libraries in torch."""

__all__ = ["product"]

import torch
from torch import Tensor
from torch.nn.functional import linear

ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""Returns :math:`A B^\top`, plus a bias, as `torch.nn.functional.linear` does.

    In single precision, torch uses MKL, which is slow on CPUs by other makers than Intel. There,
    oneDNN is a fifth faster. It has no gradients, so it is used only if none are recorded.

    Arguments:
        left: A, with shape (M, K).
        right: B, with shape (N, K), with contiguous rows or columns.
        bias: A vector added to each row, with shape (N,).

    Returns:
        The product, with shape (M, N).
    """
    single = left.device.type == "cpu" and left.dtype == torch.float32
    if ONEDNN and single and len(left) and not torch.is_grad_enabled():
        found: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
        return found
    return linear(left, right, bias)
