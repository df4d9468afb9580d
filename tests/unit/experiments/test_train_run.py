"""Training, evaluation and sweeps as functions: their records, results and errors."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mivae_cli.config.run import RunConfig
from mivae_cli.data.prepared_corpus import Corpus
from mivae_cli.errors import ConfigError
from mivae_cli.estimators.critic_training import PROFILES
from mivae_cli.experiments.cost import estimate_cost
from mivae_cli.experiments.evaluate_run import evaluate_run
from mivae_cli.experiments.sweep import (
    PlannedRun,
    RunComplete,
    RunFailed,
    RunStarted,
    prepare_corpora,
    run_state,
    run_sweep,
)
from mivae_cli.experiments.train_run import (
    create_training,
    prepare,
    resume_training,
    train_run,
)
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.signals import Interrupted, Interruption
from mivae_cli.stages import Stage, finish
from mivae_cli.training.events import Started, Step, Stopped, Validation
from mivae_cli.training.trainer import Trainer
from support.small import small_config, write_scenes


@pytest.fixture(scope="module", autouse=True)
def short_critics() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "default", replace(PROFILES["default"], steps=5))
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    text = write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt", count=200)
    evaluation = {"iw_samples": 1}
    return small_config(text, training={"epochs": 1, "keep": 0}, evaluation=evaluation)


@pytest.fixture(scope="module")
def corpus(config: RunConfig) -> Corpus:
    return prepare(config).corpus


@pytest.fixture(scope="module")
def trained(
    config: RunConfig, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> RunDirectory:
    path = tmp_path_factory.mktemp("trained") / "run"
    finish(train_run(create_training(config, corpus, path)))
    return RunDirectory.open(path)


def test_training_yields_its_records_then_stages_and_stores_the_evaluation(
    config: RunConfig, corpus: Corpus, tmp_path: Path
) -> None:
    training = create_training(config, corpus, tmp_path / "run")
    seen: list[object] = []
    evaluated = finish(train_run(training), seen.append)
    kinds = list(dict.fromkeys(map(type, seen)))
    assert kinds == [Started, Step, Validation, Stage]
    assert isinstance(seen[0], Started)
    assert (seen[0].step, seen[0].steps, seen[0].resumed) == (
        0,
        training.trainer.state.step,
        False,
    )
    assert RunDirectory.open(tmp_path / "run").load_evaluation() == evaluated.table()
    assert evaluated.record.checkpoint is not None
    assert evaluated.checkpoint.run.name == evaluated.record.checkpoint.name == "epoch-0001"


def test_a_stopped_training_is_resumed_to_the_same_evaluation(
    config: RunConfig, corpus: Corpus, trained: RunDirectory, tmp_path: Path
) -> None:
    class AfterOneStep(Interruption):
        def check(self) -> None:
            if training.trainer.state.step == 1:
                raise Interrupted(signal.SIGTERM)

    seen: list[object] = []
    training = create_training(config, corpus, tmp_path / "run")
    with pytest.raises(Interrupted):
        finish(train_run(training, interruption=AfterOneStep()), seen.append)
    assert seen[-1] == Stopped(step=1, finished=False)
    resumed = resume_training(RunDirectory.open(tmp_path / "run"))
    assert (resumed.resumed, resumed.changes) == (True, ())
    record = finish(train_run(resumed)).table()
    assert record == trained.load_evaluation()


def test_a_record_is_stored_only_if_it_stands_for_the_run(
    trained: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = trained.load_evaluation()
    before = (trained.path / "eval.json").read_bytes()
    last = RunDirectory.open(trained.path / "checkpoints" / "last")
    test = trained.open_corpus()["test"]
    for evaluated in (
        finish(evaluate_run(trained)),
        finish(evaluate_run(last, store=True)),
        finish(evaluate_run(trained, sentences=test, store=True)),
    ):
        assert (evaluated.stored, evaluated.store_error) == (None, None)
        assert evaluated.record.nll == best["nll"]
    assert (trained.path / "eval.json").read_bytes() == before

    def fails(*_: object) -> None:
        raise ConfigError("locked")

    monkeypatch.setattr(RunDirectory, "write_evaluation", fails)
    failed = finish(evaluate_run(trained, store=True))  # its record is not lost
    assert failed.record.nll == best["nll"]
    assert isinstance(failed.store_error, ConfigError)


def test_a_sweep_yields_the_records_of_its_runs_and_skips_complete_ones(
    config: RunConfig, trained: RunDirectory, tmp_path: Path
) -> None:
    bad = config.training.model_copy(update={"max_bad_batches": 1})
    optimizer = {"kind": "sgd", "learning_rate": 1e30}
    diverging = RunConfig.model_validate(
        {**config.model_dump(), "training": {**bad.model_dump(), "optimizer": optimizer}}
    )
    planned = [
        PlannedRun("complete", config, trained.path),
        PlannedRun("diverging", diverging, tmp_path / "diverging"),
        PlannedRun("new", config, tmp_path / "new"),
    ]
    assert [run_state(plan) for plan in planned] == ["evaluated", "new", "new"]
    seen: list[object] = []
    outcomes = finish(run_sweep(planned, finish(prepare_corpora(planned))), seen.append)
    assert [found.standing for found in outcomes] == ["evaluated", "failed", "evaluated"]
    assert [record.name for record in seen if isinstance(record, RunStarted)] == [
        "complete",
        "diverging",
        "new",
    ]
    assert [record for record in seen if isinstance(record, RunComplete)] == [
        RunComplete("complete")
    ]
    (failed,) = (record for record in seen if isinstance(record, RunFailed))
    assert (failed.name, str(failed.error)) == ("diverging", outcomes[1].problem)
    assert outcomes[2].evaluation == trained.load_evaluation()


def test_the_cost_of_a_run_is_estimated_and_nothing_is_written(
    config: RunConfig, corpus: Corpus
) -> None:
    trainer = Trainer(config, corpus)
    cost = estimate_cost(trainer)
    assert cost.steps == cost.steps_per_epoch == len(trainer.sampler)
    assert cost.parameters == trainer.parameters
    assert cost.seconds == cost.seconds_per_step * cost.steps > 0
    assert cost.checkpoint_disk == 2 * trainer.checkpoint_bytes
