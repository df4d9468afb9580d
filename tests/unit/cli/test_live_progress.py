"""The display of a training: curves in terminals with room for them, and messages."""

import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from mivae_cli.cli.support.live_curves import LiveCurves, braille
from mivae_cli.cli.support.live_progress import LiveProgress
from mivae_cli.config.run import RunConfig
from mivae_cli.tracking.follow import TrackerFailed, TrackerStarted
from mivae_cli.training.events import Started, Stopped, Validation


def dots(lines: list[str]) -> list[str]:
    """Returns a picture of braille characters with one character per dot."""
    bits = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
    return [
        "".join("#" if ord(char) & bit else "." for char in line for bit in row)
        for line in lines
        for row in bits
    ]


@pytest.mark.parametrize(
    ("values", "picture"),
    [
        ([0, 1, 2, 3], ["...#", "..#.", ".#..", "#..."]),
        ([3, 2, 1, 0], ["#...", ".#..", "..#.", "...#"]),
        ([5, 5], ["....", "####", "....", "...."]),
        ([0, 3], ["...#", "..#.", ".#..", "#..."]),
        ([0, 0, 3, 3], ["..##", "..#.", "..#.", "##.."]),
        ([7], ["....", "####", "....", "...."]),
        ([math.nan, 1, 2, math.inf], ["..#.", "..#.", "..#.", ".#.."]),
        ([math.nan], ["....", "....", "....", "...."]),
    ],
)
def test_a_curve_goes_through_its_values(values: list[float], picture: list[str]) -> None:
    assert dots(braille(values, 2, 1)) == picture


def test_long_curves_fit() -> None:
    lines = braille([math.sin(step / 50) for step in range(1000)], 30, 5)
    assert [len(line) for line in lines] == [30] * 5
    columns = zip(*dots(lines), strict=True)
    assert all("#" in column for column in columns)


def validation(epoch: int) -> Validation:
    return Validation(
        loss=1.0, elbo=-30.0 + epoch, distortion=20.0, rate=float(epoch), mi=0.5 * epoch,
        mi_ceiling=5.0, active_units=epoch, units_above=epoch, effective_units=1.0, step=epoch,
        epoch=epoch, learning_rate=0.1, best=True, collapsed=False, stopped=False, seconds=1.0,
        encoder_steps=0.0, mi_dual=None, rates=(), device="cpu", time="",
    )  # fmt: skip


def shown(
    curves: LiveCurves, width: int = 100, height: int = 30, encoding: str = "utf-8"
) -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(width=width, height=height, file=file, color_system=None)
    with console.capture() as capture:
        console.print(curves)
    return capture.get().splitlines()


def curves(latent_units: int = 32, count: int = 9) -> LiveCurves:
    return LiveCurves(latent_units, [validation(epoch) for epoch in range(1, count + 1)])


def test_titles_ranges_and_epochs_are_shown() -> None:
    lines = shown(curves())
    assert len(lines) == 7
    for text in ("ELBO -21.00 nats", "KL 9.00 nats", "MI 4.50 nats", "active units 9 of 32"):
        assert text in lines[0]
    assert all(text in lines[1] for text in ("-21.00", "9.00", "4.50"))
    assert all(text in lines[5] for text in ("-29.00", "1.00", "0.50"))
    assert lines[6].count("epoch 1") == 4
    language_model = "".join(shown(curves(latent_units=0)))
    assert "NLL 21.00 nats" in language_model
    assert "KL" not in language_model


def test_they_follow_new_validations_and_the_width_of_the_terminal() -> None:
    same = curves(count=3)
    first = shown(same)
    assert shown(same) == first
    same.seen.append(validation(4))
    assert "ELBO -26.00 nats" in shown(same)[0]
    assert len(shown(same, width=160)[0].rstrip()) > 100


@pytest.mark.parametrize("width", [100, 101, 119, 160, 400])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = shown(curves(), width)
    assert len(lines) == 7
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("width", "height", "encoding", "count"),
    [(99, 30, "utf-8", 9), (100, 29, "utf-8", 9), (120, 40, "ascii", 9), (120, 40, "utf-8", 1)],
)
def test_without_room_nothing_is_drawn(width: int, height: int, encoding: str, count: int) -> None:
    assert shown(curves(count=count), width, height, encoding) == []


def test_a_stopped_training_says_how_to_resume_it_with_its_trackers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    started = Started(
        path=Path("runs/a"), config=RunConfig(), parameters=1, device="cpu", step=0, epoch=0,
        batches=0, steps=9, finished=True, resumed=False, warnings=(), changes=(),
    )  # fmt: skip
    with LiveProgress(options=" --track wandb") as show:
        for record in (
            started,
            TrackerStarted("wandb", "wandb sync here"),
            TrackerFailed("wandb", "the disk is full"),
            Stopped(step=3, finished=False),
        ):
            show(record)
    messages = capsys.readouterr().err
    assert "wandb sync here" in messages
    assert "the disk is full" in messages
    assert "mivae train --resume --out runs/a --track wandb" in messages
