"""What was trained: settings, weights over epochs, and facts of an untrusted environment."""

import pytest

from mivae_cli.config.run import RunConfig
from mivae_cli.experiments.summary import Outcome
from mivae_cli.reports.description import (
    SHOWN,
    duration,
    facts_of,
    settings_of,
    sources_of,
    splits_of,
    summary_of,
    weights_of,
)
from mivae_cli.storage.metrics_log import LoggedStep, LoggedValidation, Metrics

CONFIG = RunConfig.model_validate(
    {
        "data": {"train": "/home/somebody/text.txt"},
        "objective": {
            "beta": 2.0,
            "beta_schedule": {"kind": "linear", "start": 0.0, "end": 1.0, "over": 4},
            "mi_weight": 0.5,
        },
        "training": {"autoencoder_epochs": 2},
    }
)
OUTCOME = Outcome("a", "runs/a", "evaluated", config=CONFIG, minutes=2.5, parameters=1234)


def test_settings_that_differ_come_first() -> None:
    rows = settings_of(CONFIG)
    changed = [row.key for row in rows if row.changed]
    assert changed == [row.key for row in rows[: len(changed)]]
    assert set(changed) == {
        "objective.beta",
        "objective.beta_schedule.start",
        "objective.beta_schedule.over",
        "objective.mi_weight",
        "training.autoencoder_epochs",
    }


def test_weights_follow_their_schedules_after_the_autoencoder_epochs() -> None:
    found = {each.epoch: each for each in weights_of(CONFIG, Metrics((LoggedStep(9, 10.0),)))}
    assert [found[epoch].beta for epoch in (0, 1.9, 4, 6, 10)] == pytest.approx([0, 0, 1, 2, 2])
    assert [found[epoch].information for epoch in (1.9, 2, 10)] == [0, 0.5, 0.5]
    assert weights_of(CONFIG, Metrics()) == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.2, "3 s"), (150, "2 min 30 s"), (3599.6, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations_are_told_with_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_summary_names_the_file_without_its_folder() -> None:
    splits = {"train": {"sentences": 5000, "tokens": 9, "unknown": 0, "truncated": 0}}
    environment = {"splits": splits, "sources": {"/home/somebody/text.txt": "hash"}}
    told = summary_of(OUTCOME, environment)
    assert "1,234 weights, trained on 5,000 sentences of text.txt in 2\u00a0min" in told
    assert "somebody" not in told
    assert sources_of(environment) == ("text.txt",)


@pytest.mark.parametrize("odd", [None, 3, [1], "x" * 10**5, {"train": {"sentences": "many"}}])
def test_any_environment_gives_facts_of_limited_length(odd: object) -> None:
    keys = ("splits", "sources", "gpu", "cpus", "started", "platform", "python", "device")
    environment = dict.fromkeys(keys, odd)
    facts = facts_of(OUTCOME, environment, Metrics((), (LoggedValidation(2**53, 2**53),)))
    assert max(len(fact.value) for fact in facts) <= SHOWN + len("...")
    assert splits_of(environment) == ()
    assert len(sources_of(environment)) <= 1
