"""When a training is said to have collapsed, and what is named against it."""

import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.resolve import preset_names, read_config
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.evaluation.validation import HeldOut
from mivae_cli.experiments.comparison import compare
from mivae_cli.experiments.summary import Outcome
from mivae_cli.objectives.objective import Objective
from mivae_cli.objectives.schedules import Cyclical, Linear
from mivae_cli.runs.create import create_run
from mivae_cli.signals import Interrupted, Interruption
from mivae_cli.training.collapse import COLLAPSED, has_collapsed, remedies
from mivae_cli.training.events import Validation
from mivae_cli.training.trainer import Trainer
from support.program import Mivae
from support.small import small_config, write_scenes

VAE = read_config(["vae"]).objective  # beta from 0.1 to 1 over ten epochs
MINE = read_config(["mine"]).objective  # over five
CYCLES = read_config(["cyclical"]).objective  # the last of four begins at epoch 15
LATE = MINE.model_copy(update={"mi_schedule": Linear(start=0.0, end=1.0, over=8.0)})


def first_warned(
    mi: list[float], objective: Objective, steps: int = 500, before: int = 0, more: bool = True
) -> int | None:
    """Returns the first epoch, counted from 1, after which a training is said to have collapsed.

    Arguments:
        mi: The information at the end of each epoch.
        objective: What is minimised.
        steps: Steps of an epoch.
        before: Autoencoder epochs.
        more: Whether further epochs follow.
    """
    peak = 0.0
    for epoch, value in enumerate(mi, start=1):
        last = epoch == len(mi) and not more
        if has_collapsed(value, peak, objective, epoch - before, epoch * steps, last):
            return epoch
        peak = max(peak, value)
    return None


@pytest.mark.parametrize(
    ("mi", "objective", "expected"),
    [
        ([2.0, 1.4, 0.9, 0.4, 0.3], VAE, 4),  # lost: at once, though beta is far from 1
        ([0.02] * 10, VAE, 5),  # never gained: when beta has done half of its rise
        ([0.02] * 10, MINE, 3),
        ([0.02, 0.03, 0.07, 0.14, 0.2, 0.2, 0.17], VAE, 6),  # grew for a while
        ([0.0, 0.0, 0.04, 0.68, 1.4], VAE, None),
        ([0.7, 0.4, 0.6, 0.45, 0.6], MINE, 4),
        ([0.1, 0.2, 0.3, 0.4, 0.45, 0.49], MINE, None),  # still grows
        ([3.0, 2.0, 0.1, 0.1], CYCLES, None),  # beta will fall again
        ([3.0, *[0.1] * 16], CYCLES, 15),
        ([1.5, *[0.1] * 9], LATE, 8),  # lambda still rises before
    ],
    ids=str,
)
def test_a_collapse_is_told_when_it_is_certain(
    mi: list[float], objective: Objective, expected: int | None
) -> None:
    assert first_warned(mi, objective) == expected


def test_few_steps_are_no_proof_before_the_training_is_over() -> None:
    slow = [0.06, 0.05, 0.03, 0.04, 0.04, 0.08, 0.16, 0.35, 0.4, 0.38, 0.6, 1.2]
    assert first_warned(slow, MINE, steps=11) is None
    assert first_warned(slow[:5], MINE, steps=11, more=False) == 5


def test_autoencoder_epochs_prove_nothing() -> None:
    assert first_warned([0.1] * 12, MINE, before=10) is None
    assert first_warned([0.1] * 14, MINE, before=10) == 13


@given(
    st.lists(st.floats(-0.1, 5), min_size=1, max_size=30),
    st.integers(1, 5000),
    st.sampled_from([VAE, MINE, CYCLES, LATE]),
    st.booleans(),
)
def test_information_is_never_called_collapsed_and_a_collapsed_end_always_is(
    mi: list[float], steps: int, objective: Objective, more: bool
) -> None:
    found = first_warned(mi, objective, steps, more=more)
    if found is not None:
        assert mi[found - 1] < COLLAPSED
    if not more and mi[-1] < COLLAPSED:
        assert found is not None


ramps = st.builds(Linear, start=st.floats(0, 5), end=st.floats(0, 5), over=st.floats(0.1, 20))
cycles = st.builds(Cyclical, cycles=st.integers(1, 5), period=st.integers(1, 8))


@given(ramps | cycles, st.floats(0, 1))
def test_schedules_know_when_they_last_rise_and_fall(
    schedule: Linear | Cyclical, share: float
) -> None:
    times = [schedule.last_fall + step * (0.5 + share) for step in range(50)]
    assert all(schedule(early) <= schedule(late) + 1e-9 for early, late in pairwise(times))
    times = [schedule.last_rise + step * (0.5 + share) for step in range(50)]
    assert all(schedule(early) >= schedule(late) - 1e-9 for early, late in pairwise(times))


@pytest.mark.parametrize(
    ("presets", "named", "left_out"),
    [
        (["vae"], {"mine", "mine-free-bits", "free-bits", "bn"}, set()),
        (["mine"], {"mine-free-bits", "free-bits", "bn"}, {"mine"}),
        (["mine-free-bits"], {"bn"}, {"mine", "mine-free-bits", "free-bits"}),
        (["bn"], {"mine", "mine-free-bits", "free-bits"}, {"bn"}),
        (["free-bits-sentence"], {"mine", "mine-free-bits", "bn"}, {"free-bits"}),
    ],
)  # fmt: skip
def test_remedies_are_presets_that_the_run_does_not_have(
    presets: list[str], named: set[str], left_out: set[str]
) -> None:
    told = [text.split()[1] for text in remedies(read_config(presets)) if "--preset" in text]
    assert named <= set(told) <= set(preset_names())
    assert not left_out & set(told)


class AfterOneEpoch(Interruption):
    def check(self) -> None:
        self.looks = getattr(self, "looks", 0) + 1
        if self.looks > 8:
            raise Interrupted(signal.SIGTERM)


def test_what_was_lost_is_noticed_after_a_resume_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([1.5, 0.4, 0.3])
    monkeypatch.setattr(
        "mivae_cli.training.trainer.held_out_figures",
        lambda *_: HeldOut(1.0, -1.0, 1.0, 1.0, next(found), 5.0, 1, 1, 1.0),
    )
    text = write_scenes(tmp_path / "scenes.txt", count=150)
    ramp = {"beta_schedule": {"kind": "linear", "start": 0.1, "over": 5.0}, "mi_weight": 0.0}
    config = small_config(text, objective=ramp, training={"epochs": 3})
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    records: list[Any] = []
    with pytest.raises(Interrupted):
        records.extend(Trainer(config, corpus).fit(run, AfterOneEpoch()))
    resumed = Trainer(config, corpus)
    resumed.resume(run)
    assert resumed.state.epoch == 1
    records += resumed.fit(run)
    told = [record.collapsed for record in records if isinstance(record, Validation)]
    assert told == [False, True, True]


def test_train_and_compare_say_so(mivae: Mivae, tmp_path: Path) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=100)
    small = [f"--set=model.{side}.hidden_size=8" for side in ("encoder", "decoder")]
    ran = mivae(
        "train", text, "--preset", "vae", "--set=objective.beta=5", "--latent", "2", *small,
        "--epochs", "1", "--iw-samples", "1", "--out", tmp_path / "run",
    )  # fmt: skip
    assert ran.code == 0
    assert "--preset mine " in ran.err
    assert "test split" in ran.err[ran.err.index("--preset mine ") :]
    compared = mivae("compare", tmp_path / "run", "--json")
    assert "collapse" in compared.err


def test_a_comparison_names_what_has_collapsed_and_no_language_model() -> None:
    record = {"iw_samples": 1, "mi": {"known_posterior": {"value": 0.1}}}
    outcomes = [
        Outcome(name, name, "evaluated", evaluation={**record, "latent_units": units})
        for name, units in (("vae", 32), ("lm", 0))
    ]
    [warning] = compare(outcomes).warnings
    assert "vae" in warning
    assert "lm" not in warning
