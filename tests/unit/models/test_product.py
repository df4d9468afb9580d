"""Matrix products by either library against those in double precision."""

import pytest
import torch

from mivae_cli.models import output_layer as products
from mivae_cli.models.output_layer import product


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 7, 130])
def test_the_product_is_that_of_double_precision(
    rows: int, biased: bool, transposed: bool, onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "ONEDNN", onednn and products.ONEDNN)
    left = torch.randn(rows, 33)
    right = torch.randn(33, 50).T if transposed else torch.randn(50, 33)
    bias = torch.randn(50) if biased else None
    expected = left.double() @ right.double().T + (0 if bias is None else bias.double())
    with torch.no_grad():
        found = product(left, right, bias)
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-5)


def test_where_gradients_are_recorded_they_are_there() -> None:
    left, right = torch.randn(4, 3, requires_grad=True), torch.randn(5, 3, requires_grad=True)
    product(left, right).sum().backward()
    assert left.grad is not None
    torch.testing.assert_close(left.grad, right.detach().sum(dim=0).expand(4, 3))
    assert right.grad is not None
    torch.testing.assert_close(right.grad, left.detach().sum(dim=0).expand(5, 3))
