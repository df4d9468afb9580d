"""Warnings about schedules longer than training, and whether their advice works."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.epoch_budget import budget_warnings, shared_budget_warnings
from mivae_cli.config.resolve import preset_kind, preset_names, read_config
from mivae_cli.config.run import RunConfig
from mivae_cli.experiments.comparison import compare
from mivae_cli.experiments.summary import Outcome
from mivae_cli.objectives.schedules import Cyclical
from support.program import Mivae
from support.small import write_scenes

OPTION = re.compile(r"--set (\S+=[\d.]+)")


def mended(presets: list[str], overrides: list[str]) -> list[list[str]]:
    """Returns the remaining warnings after following each advice of the first warning."""
    [first, *_] = budget_warnings(read_config(presets, overrides=overrides))
    return [
        budget_warnings(read_config(presets, overrides=[*overrides, option]))
        for option in OPTION.findall(first)
    ]


FITTING = [
    ["training.epochs=25"],
    ["training.epochs=6"],
    ["training.epochs=22", "training.cooldown_epochs=5"],
    ["training.epochs=1", "objective.beta_schedule.kind=constant"],
    ["training.epochs=3", "objective.beta_schedule.end=0.1"],  # equal to the start
    ["training.epochs=2", "model.latent_size=0"],
    ["training.epochs=2", "objective.beta=0"],
]
TOO_SHORT = [
    ["training.epochs=1"],
    ["training.epochs=5"],
    ["objective.beta_schedule.over=24.5"],
    ["objective.beta_schedule.delay=21"],
    ["objective.mi_schedule.kind=linear", "objective.mi_schedule.over=40"],
    ["training.epochs=12", "training.cooldown_epochs=10"],
    ["training.cooldown_epochs=25"],
    ["training.epochs=12", "training.autoencoder_epochs=8"],
    ["training.autoencoder_epochs=25"],
    ["training.epochs=4", "training.autoencoder_epochs=10"],
    ["training.epochs=9", "training.autoencoder_epochs=6", "training.cooldown_epochs=5"],
    ["training.autoencoder_epochs=23", "training.cooldown_epochs=5",
     "objective.beta_schedule.kind=constant"],
]  # fmt: skip


@pytest.mark.parametrize("overrides", FITTING, ids=str)
def test_a_complete_schedule_gives_no_warning(overrides: list[str]) -> None:
    assert budget_warnings(read_config(["mine"], overrides=overrides)) == []


@pytest.mark.parametrize("overrides", TOO_SHORT, ids=str)
def test_following_the_advice_removes_the_warning(overrides: list[str]) -> None:
    left = mended(["mine"], overrides)
    assert left
    assert all(warnings == [] for warnings in left)


@pytest.mark.parametrize(
    "name", [name for name in preset_names() if preset_kind(name) == "method"]
)
def test_methods_fit_the_default_epochs_but_not_fewer(name: str) -> None:
    assert budget_warnings(read_config([name])) == []
    short = read_config([name], overrides=["training.epochs=4"])
    constant = name in ("lm", "ae", "wae", "beta", "infovae", "mdr")
    assert bool(budget_warnings(short)) is not constant


@given(st.integers(1, 40), st.integers(1, 6), st.floats(0.5, 12), st.floats(0.1, 1))
def test_cycles_are_warned_of_unless_the_last_epoch_is_at_one(
    epochs: int, cycles: int, period: float, rise: float
) -> None:
    ramps = Cyclical(cycles=cycles, period=period, rise=rise)
    table: dict[str, Any] = {"training": {"epochs": epochs}}
    config = RunConfig.model_validate(
        {**table, "objective": {"beta_schedule": ramps.model_dump()}}
    )
    assert bool(budget_warnings(config)) is (ramps.settled > epochs - 1)


def test_a_warning_of_several_runs_names_them_once() -> None:
    short = read_config(["vae"], overrides=["training.epochs=8"])
    configs = {f"seed={seed}": short.model_copy(update={"seed": seed}) for seed in range(5)}
    [warning] = shared_budget_warnings({**configs, "long": read_config(["vae"])})
    assert warning.startswith("seed=0, seed=1, seed=2 and 2 more: objective.beta_schedule")
    evaluation = {"ppl_iw": 1.0, "latent_units": 32, "iw_samples": 1}
    outcomes = [
        Outcome(name, name, "evaluated", config=config, evaluation=evaluation)
        for name, config in configs.items()
    ]
    assert compare(outcomes).warnings == (warning,)


@pytest.mark.parametrize(
    "command",
    [["train", "--epochs", "8", "--dry-run"], ["sweep", "--seeds", "0,1", "--epochs", "8", "--dry-run"]],
    ids=lambda command: command[0],
)  # fmt: skip
def test_commands_warn_before_they_train(
    mivae: Mivae, tmp_path_factory: pytest.TempPathFactory, command: list[str]
) -> None:
    text = write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt", count=100)
    ran = mivae(command[0], text, "--preset", "vae", *command[1:])
    assert ran.code == 0
    assert ran.err.count("warning: ") == 1
    assert "objective.beta_schedule.over=7" in ran.err
    assert "warning" not in ran.out
