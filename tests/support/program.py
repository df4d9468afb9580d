"""Run the program in the process of the test."""

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from mivae_cli.choices import Profile
from mivae_cli.cli import main
from mivae_cli.estimators.critic_training import PROFILES, FitSettings
from mivae_cli.estimators.pair_models import selection


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass
class Mivae:
    """Runs the program, and returns its exit code and output."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *arguments: str | Path) -> Ran:
        self.monkeypatch.setattr(sys, "argv", ["mivae", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        captured = self.capsys.readouterr()
        return Ran(int(str(code or 0)), captured.out, captured.err)


def run_once(*arguments: str | Path) -> Ran:
    """Runs the program with short critic training, for fixtures of a whole module."""
    with (
        pytest.MonkeyPatch.context() as patched,
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        shorten_critics(patched)
        patched.setattr(sys, "argv", ["mivae", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
    return Ran(int(str(stop.value.code or 0)), out.getvalue(), err.getvalue())


def shorten_critics(patched: pytest.MonkeyPatch) -> None:
    """Trains critics for a few steps only, and tries few mixtures."""
    for profile in get_args(Profile):
        patched.setitem(
            PROFILES, profile, FitSettings(steps=100, hidden=16, batch=128, patience=1)
        )
    patched.setattr(selection, "COMPONENTS", (2, 3))
