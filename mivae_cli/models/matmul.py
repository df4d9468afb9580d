"""Matrix products, by the quicker of the two libraries that torch brings along."""

__all__ = ["product"]

import torch
from torch import Tensor
from torch.nn.functional import linear

ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""Returns :math:`A B^\top`, plus a bias, as `torch.nn.functional.linear` does.

    In single precision torch leaves products to MKL, which does not do its best on CPUs that
    Intel has not made; oneDNN, which torch takes for LSTMs and half precision, is a fifth
    faster there, but has no gradients, so it is taken where none are recorded.

    Arguments:
        left: A, with shape (M, K).
        right: B, with shape (N, K); its rows or its columns may be contiguous.
        bias: Added to each row, with shape (N,).

    Returns:
        The product, with shape (M, N).
    """
    single = left.device.type == "cpu" and left.dtype == torch.float32
    if ONEDNN and single and len(left) and not torch.is_grad_enabled():
        found: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
        return found
    return linear(left, right, bias)
