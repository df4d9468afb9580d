"""Unsupported operating systems: an error of one line, not a traceback."""

import subprocess
import sys

import pytest

WINDOWS = """
import signal, sys
sys.modules["fcntl"] = sys.modules["resource"] = None  # as if not installed
del signal.SIGHUP
sys.argv = ["mivae", *{arguments}]
from mivae_cli.cli import main
main()
"""


@pytest.mark.parametrize("arguments", [["presets"], ["train", "corpus.txt"], ["verify", "runs/a"]])
def test_without_posix_locks_every_command_fails_with_one_line(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WINDOWS.format(arguments=arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    [line] = ran.stderr.splitlines()
    assert "Linux and macOS" in line


def test_without_posix_locks_the_python_api_raises_the_same_error() -> None:
    script = """
import sys
sys.modules["fcntl"] = None
from importlib import import_module
import mivae_cli
try:
    mivae_cli.load
except import_module("mivae_cli.errors").ConfigError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "Linux and macOS" in ran.stdout


def test_the_version_is_printed_on_every_system() -> None:
    script = WINDOWS.format(arguments=["--version"])
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert ran.returncode == 0
