"""Closed or full streams, other encodings, and unexpected errors."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.program import Mivae

Raise = Callable[[Exception], None]
MIVAE = f"{sys.executable} -m mivae_cli"


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a line of bash; `mivae` is the program."""
    line = f'mivae() {{ {MIVAE} "$@"; }}; {command}'
    environment = {**os.environ, **variables}
    return subprocess.run(
        ["bash", "-c", line], env=environment, capture_output=True, check=False, timeout=600
    )


def error_lines(ran: subprocess.CompletedProcess[bytes]) -> list[str]:
    """Returns the lines of stderr; fails if they contain a traceback."""
    lines = ran.stderr.decode().splitlines()
    assert not any("Traceback" in line or "Exception ignored" in line for line in lines)
    return lines


@pytest.mark.parametrize("command", ["presets --json", "train --help"])
def test_a_closed_pipe_is_not_an_error(command: str) -> None:
    ran = shell(f"mivae {command} | true; echo ${{PIPESTATUS[0]}}")
    assert ran.stdout.decode().split() == ["0"]
    assert error_lines(ran) == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("presets >&-", 6),  # the output is lost
        ("presets 2>&-", 0),
        ("presets <&- 2>&-", 0),
        ("presets nothing >&- 2>&- <&-", 2),
        ("presets nothing 2>/dev/full", 2),
        ("presets nothing 2> >(true)", 2),
        ("train - --dry-run <&-", 3),
    ],
)
def test_closed_streams_keep_the_exit_code(command: str, code: int) -> None:
    ran = shell(f"mivae {command}")
    assert ran.returncode == code
    assert len(error_lines(ran)) <= 1


def test_output_to_a_closed_stream_is_not_written_into_another_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert shell(f"mivae config init {path} >&- 2>&- <&-").returncode == 0
    assert "wrote" not in path.read_text(encoding="utf-8")


ENCODINGS: list[dict[str, str]] = [
    {"PYTHONIOENCODING": "ascii:strict"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]
SHOW = """
import sys
from mivae_cli import cli
from mivae_cli.cli.support import console
from rich.table import Table
def run(*_, **__):
    table = Table("\\u2265 \\u732b")
    console.print_line("\\u732b \\U0001f600 \\xe9 \\ud800")
    console.print_json({"text": "\\u732b \\U0001f600 \\xe9"})
    console.stdout.print(table)
    console.note("\\u732b \\ud800")
cli.app = run
cli.main()
"""


@pytest.mark.parametrize("variables", ENCODINGS, ids=str)
def test_characters_that_the_encoding_lacks_are_escaped(variables: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SHOW],
        env={**os.environ, **variables}, capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0
    lines = ran.stdout.splitlines()
    assert b"\\u732b \\U0001f600" in lines[0]
    assert json.loads(lines[1].decode("ascii")) == {"text": "猫 😀 é"}
    assert b"\\u2265" in ran.stdout
    assert b"\\u732b" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [["presets"], ["train"], ["sample"], ["sample", "--run"], ["config", "validate"],
     ["config", "show", "--set"], ["sweep"], ["verify"], ["compare"], ["estimate-mi"],
     ["train", "--preset"], ["train", "--out"], ["eval", "--device"]],
    ids=" ".join,
)  # fmt: skip
def test_arguments_that_are_not_utf_8_are_one_error(
    mivae: Mivae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = mivae(*arguments, "caf\udce9/\udcff")
    assert ran.code in (2, 3, 4)
    assert len(ran.err.splitlines()) <= 2
    assert "error: " in ran.err


ERRORS = [
    ValueError("unexpected"),
    RecursionError("maximum recursion depth exceeded"),
    IndexError("index 16\nis out of bounds"),
    UnicodeEncodeError("ascii", "\ud800", 0, 1, "ordinal not in range"),
    ZeroDivisionError(),
    EOFError(),
]


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Raise:
    """Makes `mivae presets` raise an error, and saves tracebacks in `tmp_path`."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def raise_it(error: Exception) -> None:
        def fail() -> None:
            raise error

        monkeypatch.setattr("mivae_cli.config.resolve.preset_names", fail)

    return raise_it


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_unexpected_error_is_one_line_and_a_saved_traceback(
    mivae: Mivae,
    faulty: Raise,
    tmp_path: Path,
    error: Exception,
) -> None:
    faulty(error)
    ran = mivae("presets")
    assert ran.code == 70
    [saved] = tmp_path.iterdir()
    [line] = [line for line in ran.err.splitlines() if line]
    assert str(saved) in line
    assert "internal error" in line
    text = saved.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert type(error).__name__ in text
    assert saved.stat().st_mode & 0o777 == 0o600
    debugged = mivae("--debug", "presets")
    assert debugged.code == 70
    assert "Traceback" in debugged.err
    assert list(tmp_path.iterdir()) == [saved]


def test_an_unexpected_error_on_a_full_disk_is_one_line(
    mivae: Mivae,
    faulty: Raise,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    faulty(ValueError("unexpected"))
    ran = mivae("presets")
    assert ran.code == 70
    assert len(ran.err.splitlines()) == 1
    assert "unexpected" in ran.err


def test_with_debug_an_error_keeps_its_exit_code(mivae: Mivae) -> None:
    ran = mivae("--debug", "presets", "nothing")
    assert ran.code == 2
    assert "Traceback" in ran.err
