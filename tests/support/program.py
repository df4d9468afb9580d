"""The program, run within the test's own process."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mivae_cli.cli import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass
class Mivae:
    """Runs the program within the test's own process."""

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
