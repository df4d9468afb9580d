"""I(factor; z) in the example that trains with the library."""

import math
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mivae_cli.models.latent import DiagonalGaussian

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_latent_that_tells_one_factor_apart_knows_it_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    information = runpy.run_path(str(EXAMPLES / "factors.py"))["factor_information"]
    colour = ["red", "green", "blue", "black"] * 100
    size = (["large"] * 4 + ["small"] * 4) * 50
    means = torch.tensor([[50.0 * colour.index(c)] for c in colour])
    posterior = DiagonalGaussian(means, torch.zeros_like(means))
    z = posterior.rsample()
    assert information(posterior, z, colour) == pytest.approx(math.log(4), abs=1e-4)
    assert information(posterior, z, size) == pytest.approx(0.0, abs=1e-4)


def test_the_example_runs_and_finds_most_of_every_factor() -> None:
    command = [sys.executable, str(EXAMPLES / "factors.py")]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads would wait for each other
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
    rows = [line.split() for line in ran.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["who", "action", "place", "time", "number", "tense"]
    for name, found, entropy, _ in rows:
        assert 0.7 * float(entropy) < float(found) <= float(entropy) + 0.02, name
