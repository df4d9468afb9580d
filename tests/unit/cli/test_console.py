"""Output keeps ordinary text, and contains nothing that could control a terminal."""

import errno
import io
import json
import math
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import RenderableType

from mivae_cli.cli.support import console, tables, training_output
from mivae_cli.cli.support.console import note, plain, print_json, print_line, print_text
from mivae_cli.cli.support.training_output import show_cost
from mivae_cli.estimators import Report
from mivae_cli.estimators.report import Estimate
from mivae_cli.experiments.cost import RunCost
from mivae_cli.training.profiler import Timing

STEERS = [*map(chr, range(32)), *map(chr, range(127, 160)), "\u2028", "\u2029", "\ud800", "\udfff",
          *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))]  # fmt: skip
HOSTILE = ["[bold]x[/]", "\x1b]0;owned\x07", "[/]", ":bomb:", "[link=file:///etc]a[/link]", "a\\",
           "\x9b2J", "\u202egpj.exe", "[@click=quit]b[/]"]  # fmt: skip
HONEST = ["👩‍👧 and 🏳️‍🌈", "نمی\u200cشود", "co\u00adoperate", "10\u00a0000 km", "猫が\u3000座った",
          "a\u2009b", "\u200fשבת\u200e", "naïve", "e\u0301"]  # fmt: skip

chars = st.characters() | st.sampled_from(STEERS)  # including lone surrogates
strings = st.text(chars)


@given(strings)
def test_plain_text_has_no_control_characters_and_is_stable(text: str) -> None:
    once = plain(text)
    assert not set(once) & (set(STEERS) - {"\n", "\t"})
    assert plain(once) == once
    assert len(once) == len(text)
    assert once.encode("utf-8").decode("utf-8") == once
    assert not set(plain(text, kept="")) & set(STEERS)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "M", "Zs"])))
def test_printable_characters_are_kept(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize("text", HONEST)
def test_joiners_and_spaces_are_kept(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize("char", [*STEERS, "\ufeff", "\ue000", "\U000e0041"])
def test_control_characters_are_replaced(char: str) -> None:
    kept = char in "\n\t"
    assert plain(f"a{char}b") == (f"a{char}b" if kept else "a\ufffdb")


@given(
    st.recursive(
        strings | st.none(), lambda inner: st.lists(inner) | st.dictionaries(strings, inner)
    )
)
def test_json_has_no_control_characters_and_reads_back(value: object) -> None:
    buffer = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", buffer)
        print_json(value)
    text = buffer.getvalue()
    assert not set(text.removesuffix("\n")) & set(STEERS)
    assert text.encode("utf-8")
    # Python reads a pair of escaped surrogates as one character
    assert json.loads(text) == json.loads(json.dumps(value))


def test_json_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": "猫 👩‍👧 \x9b\u202e\x7f\n"})
    assert capsys.readouterr().out == '{"text": "猫 👩‍👧 \\u009b\\u202e\\u007f\\n"}\n'


def test_json_has_no_nan_if_the_encoding_lacks_a_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    print_json({"run": "é", "v": math.nan})
    sys.stdout.flush()
    assert json.loads(buffer.getvalue()) == {"run": "é", "v": None}


@pytest.mark.parametrize("text", HOSTILE)
def test_lines_and_notes_keep_brackets(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for show in (print_line, print_text, note):
        show(text)
        captured = capsys.readouterr()
        assert (captured.out + captured.err).rstrip("\n") == plain(text)


def shown(table: RenderableType, width: int = 500) -> str:
    """Returns a table as a terminal without colours gets it."""
    with pytest.MonkeyPatch.context() as patch, console.stdout.capture() as capture:
        patch.setenv("COLUMNS", str(width))
        console.stdout.print(table)
    found = capture.get()
    assert not set(found) & (set(STEERS) - {"\n"})
    return found


@pytest.mark.parametrize("text", HOSTILE + HONEST)
class TestTables:
    def test_a_title_and_the_parts_of_a_step(self, text: str) -> None:
        found = shown(training_output.timing_table(Timing({text: 1.0}, 1.0), f"runs/{text}"))
        assert found.count(plain(text)) == 2

    def test_a_dry_run(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        cost = RunCost(1, text, 1, 1, 1.0, 1, 1, 1, 1)
        printed: list[Any] = []
        monkeypatch.setattr(training_output, "Trainer", lambda *_: None)
        monkeypatch.setattr(training_output, "estimate_cost", lambda _: cost)
        monkeypatch.setattr(training_output, "stdout", SimpleNamespace(print=printed.append))
        show_cost(None, None)  # type: ignore[arg-type]
        assert shown(*printed).count(plain(text)) == 1

    def test_demos(self, text: str) -> None:
        found = shown(tables.demos_table([(text, 1, 1, 0.5)], {text: f"about {text}"}))
        assert found.count(plain(text)) == 2

    def test_estimates_and_their_notes(self, text: str) -> None:
        estimate = Estimate(text, 1.0, 0.5, 1.5, "lower", None, True, warnings=[f"warned {text}"])
        report = Report(None, [estimate], 9, 1, 1, warnings=[f"of {text}"], notes=[text])
        found = shown(tables.estimates_table(report, text))
        assert found.count(plain(text)) == 6
        assert "[0.500, 1.500]" in found


def test_long_names_of_estimators_fit_into_80_columns() -> None:
    row = Estimate("known-posterior", 13.391, 13.345, 13.437, "lower", None, True, 118.7)
    ceiling = replace(row, estimator="dual", ceiling=13.71)
    found = shown(tables.estimates_table(Report(None, [row, ceiling], 9, 1, 1), "run"), 80)
    assert "known-posterior" in found
    assert "[13.345, 13.437]" in found
    assert "13.71" in found
    assert "118.7" in found


class Failing(io.StringIO):
    """A stream that fails once."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number: int | None = number

    def write(self, text: str) -> int:
        if (number := self.number) is not None:
            self.number = None
            raise OSError(number, "")
        return super().write(text)


@pytest.mark.parametrize(("number", "heard"), [(errno.ENOSPC, True), (errno.EIO, False)])
def test_messages_continue_after_a_full_disk_and_stop_with_the_terminal(
    monkeypatch: pytest.MonkeyPatch, number: int, heard: bool
) -> None:
    stream = Failing(number)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(console.stderr, "quiet", False)
    note("lost")
    note("found")
    assert ("found" in stream.getvalue()) is heard
