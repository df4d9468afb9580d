"""AdamW against that of torch."""

import subprocess
import sys

import torch

from mivae_cli.estimators.adamw import AdamW


def test_steps_equal_those_of_torch() -> None:
    start = [torch.randn(4, 3), torch.randn(()), torch.randn(2)]
    own, theirs = ([each.clone().requires_grad_() for each in start] for _ in range(2))
    ours = AdamW(own, 0.01, 0.1, 40)
    optimizer = torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    for step in range(40):
        ours.zero_grad()
        optimizer.zero_grad()
        for a, b, c in (own, theirs):
            loss = (a - 1).square().sum() + (b * step).sin()
            (loss if step % 2 else loss + c.exp().sum()).backward()
        ours.step()
        optimizer.step()
        schedule.step()
    for a, b in zip(own, theirs, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(own[2], start[2])


def test_no_slow_import() -> None:
    code = (
        "import sys, torch; from mivae_cli.estimators.adamw import AdamW; "
        "x = torch.zeros(2, requires_grad=True); x.grad = torch.ones(2); "
        "AdamW([x], 0.1, 0.0, 5).step(); sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
