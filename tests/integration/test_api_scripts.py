"""The scripts of `examples/` that use the Python API."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import mivae_cli as mivae
from mivae_cli.models.latent import DiagonalGaussian
from support.example_scripts import EXAMPLES, load


@pytest.fixture(autouse=True)
def examples_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets scripts import each other, as they can when Python runs them."""
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.mark.usefixtures("brief")
class TestScripts:
    small = ("--epochs", "1", "--count", "300")

    def test_train_and_sample(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        load("train_and_sample").main([*self.small, "--out", str(tmp_path / "run")])
        lines = capsys.readouterr().out.splitlines()
        places = [lines.index(f"{head}:") for head in ("Reconstructions", "Interpolation")]
        assert (lines[0], *places) == ("Samples from the prior:", 6, 11)
        assert len(lines[12:]) >= 6

    def test_compare_runs_of_a_file(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = tmp_path / "corpus.txt"
        text.write_text("".join(f"{number} dogs and {number} cats\n" for number in range(300)) * 2)
        load("compare_runs").main([str(text), "--epochs", "1", "--out", str(tmp_path / "runs")])
        head, *rows = capsys.readouterr().out.splitlines()
        assert "perplexity" in head
        assert [row.split()[0] for row in rows[:2]] == ["mine", "vae"]
        assert all(float(cell) >= 0 for row in rows[:2] for cell in row.split()[1:])

    def test_mutual_information_of_a_table(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        script = load("data_frame_mi")
        frame = script.example_table(1000, seed=1)
        np.savetxt(
            tmp_path / "t.csv", np.stack(list(frame.values()), axis=1), delimiter=",",
            header=",".join(frame), comments="",
        )  # fmt: skip
        script.main([str(tmp_path / "t.csv")])
        rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
        assert [row[0] for row in rows] == ["x1", "x2", "x3"]
        assert float(rows[0][1]) == pytest.approx(0.511, abs=0.15)
        assert float(rows[0][-1]) < 0.05 < float(rows[2][-1])


def test_factors_has_a_row_per_factor(capsys: pytest.CaptureFixture[str]) -> None:
    load("factors").main(["--epochs", "1", "--count", "300"])
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == list(load("scenes").FACTORS)


def test_a_latent_with_one_factor_has_no_information_about_another() -> None:
    colour = ["red", "green", "blue", "black"] * 100
    size = (["large"] * 4 + ["small"] * 4) * 50
    means = torch.tensor([[50.0 * colour.index(c)] for c in colour])
    codes = mivae.Codes(DiagonalGaussian(means, torch.zeros_like(means)))
    z = codes.posterior.rsample()
    information = load("factors").factor_information
    assert information(codes, z, colour) == pytest.approx(math.log(4), abs=1e-4)
    assert information(codes, z, size) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.slow
def test_factors_runs_and_finds_most_of_every_factor() -> None:
    command = [sys.executable, str(EXAMPLES / "factors.py")]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads would wait for each other
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
    rows = [line.split() for line in ran.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["who", "action", "place", "time", "number", "tense"]
    for name, found, entropy, _ in rows:
        assert 0.7 * float(entropy) < float(found) <= float(entropy) + 0.02, name
