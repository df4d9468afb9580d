"""The loop: it learns, resumes exactly, notices collapse and divergence, and stops."""

import contextlib
import json
import math
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mivae_cli.config.resolve import preset_names, read_config
from mivae_cli.config.run import RunConfig
from mivae_cli.config.training import TrainingConfig
from mivae_cli.data.batches import Batch
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.errors import ConfigError, DivergedError
from mivae_cli.experiments.train_run import resume_training
from mivae_cli.experiments.verify import verify
from mivae_cli.objectives.objective import Terms
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.signals import Interrupted
from mivae_cli.storage.metrics_log import read_metrics
from mivae_cli.storage.sealed_json import sealed
from mivae_cli.training.events import Step, Validation
from mivae_cli.training.trainer import Trainer
from support.small import networks, small_config, train_to_end, write_scenes
from support.stops import AfterSteps, assert_same_end, train_with_stops, weights_of

# presets whose trainings differ in what they must save and restore; 'mine' has critic and queue
STATEFUL = {"ae-pretrain", "bn", "lagging", "lm", "mdr", "mine", "vmf"}
LATER = ("batch_size", "earlier")  # what checkpoints did not say of a state at first


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt")


@pytest.fixture(scope="module")
def long_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt", count=1500)


FAST = {"optimizer": {"kind": "adam", "learning_rate": 5e-3}}


@pytest.mark.parametrize(
    ("steps_before", "kind"),
    [(12, "lstm"), (17, "lstm"), (7, "gru"), (13, "transformer")],
)
def test_a_run_resumed_at_any_step_ends_bit_for_bit_as_if_never_stopped(
    text: Path, tmp_path: Path, steps_before: int, kind: str
) -> None:
    config = small_config(text, model=networks(kind), training={"epochs": 3})
    whole, corpus, records = train_to_end(config, tmp_path / "whole")

    run = create_run(tmp_path / "stopped", config, corpus)
    trainer = Trainer(config, corpus)
    looks = steps_before + 2 * ((steps_before - 1) // len(trainer.sampler))  # an epoch has 2 more
    with pytest.raises(Interrupted):
        list(trainer.fit(run, AfterSteps(looks)))
    assert trainer.state.step == steps_before

    torch.manual_seed(999)  # another process, with other random numbers
    resumed = Trainer(config, corpus)
    assert resumed.resume(run) == []
    assert resumed.state.step == steps_before
    list(resumed.fit(run))
    assert_same_end(run, whole)
    assert resumed.state.model_dump(exclude={"seconds"}) == {
        **resumed.state.model_dump(exclude={"seconds"}),
        "step": records[-1].step,
    }


def with_batches_of(config: RunConfig, size: int) -> RunConfig:
    training = config.training.model_copy(update={"batch_size": size})
    return config.model_copy(update={"training": training})


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[list[int]]]:
    """The sentences of every batch that a trainer has made a step on, by epoch."""
    batches: dict[int, list[list[int]]] = {}
    step = Trainer.step

    def noted(self: Trainer, batch: Batch) -> tuple[Terms, float]:
        assert batch.indices is not None
        batches.setdefault(self.state.epoch, []).append(batch.indices.tolist())
        return step(self, batch)

    monkeypatch.setattr(Trainer, "step", noted)
    return batches


@pytest.mark.parametrize(
    ("sizes", "looks"),
    [
        ((16, 48), (5,)),  # within the first epoch
        ((32, 7), (12,)),  # after its last step, before the validation
        ((32, 64), (14,)),  # at its end
        ((32, 16, 8, 16), (3, 0, 4)),  # twice within an epoch, and without a step between
        ((32, 360), (1,)),  # all that is left in one batch
    ],
)
def test_another_batch_size_at_any_step_neither_loses_nor_repeats_a_sentence(
    text: Path,
    tmp_path: Path,
    sizes: tuple[int, ...],
    looks: tuple[int, ...],
    seen: dict[int, list[list[int]]],
) -> None:
    config = small_config(text, training={"epochs": 2})
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", with_batches_of(config, sizes[0]), corpus)
    for size, count in zip(sizes, (*looks, 1000), strict=True):
        trainer = Trainer(with_batches_of(config, size), corpus)
        trainer.resume(run)
        run.update_config(trainer.config)
        left = trainer.steps_left + trainer.state.step
        with contextlib.suppress(Interrupted):
            list(trainer.fit(run, AfterSteps(count)))
    for epoch in (0, 1):
        sentences = [place for batch in seen[epoch] for place in batch]
        assert sorted(sentences) == list(range(len(corpus["train"])))
    assert max(map(len, seen[1])) <= sizes[-1] + 1
    assert trainer.state.step == left == sum(map(len, seen.values()))
    assert trainer.state.earlier == ()
    assert verify(run).sound


def test_after_another_batch_size_a_run_resumes_bit_for_bit(text: Path, tmp_path: Path) -> None:
    config = small_config(text, training={"epochs": 2})
    corpus = prepare_corpus(config.data)
    ended = []
    for name, stops in (("whole", (5,)), ("stopped", (5, 1, 7, 5))):
        run = create_run(tmp_path / name, config, corpus)
        for turn, count in enumerate(stops):
            trainer = Trainer(with_batches_of(config, 12 if turn else 32), corpus)
            trainer.resume(run)
            with pytest.raises(Interrupted):
                list(trainer.fit(run, AfterSteps(count)))
            torch.manual_seed(count)
        trainer = Trainer(with_batches_of(config, 12), corpus)
        trainer.resume(run)
        list(trainer.fit(run))
        ended.append(run)
    assert_same_end(ended[1], ended[0])


@pytest.mark.parametrize("looks", [5, 14])
def test_a_checkpoint_that_does_not_tell_its_batch_size_resumes_with_the_same(
    text: Path, tmp_path: Path, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As earlier versions saved them; within an epoch nothing says what they counted."""
    config = small_config(text, training={"epochs": 2})
    whole, corpus, _ = train_to_end(config, tmp_path / "whole")
    run = create_run(tmp_path / "run", config, corpus)

    def former(kind: Any, body: dict[str, Any]) -> bytes:  # noqa: ANN401
        state = {key: value for key, value in body["state"].items() if key not in LATER}
        return sealed(kind, {"state": state})

    monkeypatch.setattr("mivae_cli.runs.training_state.sealed", former)
    with pytest.raises(Interrupted):
        list(Trainer(config, corpus).fit(run, AfterSteps(looks)))
    monkeypatch.undo()
    other = Trainer(with_batches_of(config, 8), corpus)
    if looks == 5:
        with pytest.raises(ConfigError, match=r"training\.batch_size"):
            other.resume(run)
    else:
        other.resume(run)
        assert other.steps_left == len(other.sampler)
    trainer = Trainer(config, corpus)
    trainer.resume(run)
    list(trainer.fit(run))
    assert_same_end(run, whole)


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(name, marks=() if name in STATEFUL else pytest.mark.slow)
        for name in preset_names()
    ],
)
def test_every_preset_resumes_to_the_same_end(text: Path, tmp_path: Path, preset: str) -> None:
    overrides = [
        'data.tokenizer={kind="word"}',
        "model.encoder.embedding_size=8",
        "model.encoder.hidden_size=16",
        "model.decoder.embedding_size=16",
        "model.decoder.hidden_size=16",
        "training.epochs=3",
        "training.batch_size=32",
    ]
    if preset == "lagging":  # of 99, as in the paper, which take their time
        overrides += ["training.encoder_steps=6", "training.encoder_check=3"]
    config = read_config([preset], options={"data.train": str(text)}, overrides=overrides)
    whole, corpus, _ = train_to_end(config, tmp_path / "whole")
    assert_same_end(train_with_stops(config, corpus, tmp_path / "stopped", (3, 9, 8)), whole)
    if preset == "bn":  # whose moving averages are part of it
        assert "model:head.running_variance" in weights_of(whole)


def test_the_same_seed_trains_the_same_weights_and_another_does_not(
    text: Path, tmp_path: Path
) -> None:
    config = small_config(text, training={"epochs": 1})
    first, _, _ = train_to_end(config, tmp_path / "first")
    second, _, _ = train_to_end(config, tmp_path / "second")
    other, _, _ = train_to_end(config.model_copy(update={"seed": 1}), tmp_path / "other")
    name = "model:decoder.output.weight"
    assert torch.equal(weights_of(first)[name], weights_of(second)[name])
    assert not torch.equal(weights_of(first)[name], weights_of(other)[name])


def test_a_trained_model_tells_sentences_better_than_before(text: Path, tmp_path: Path) -> None:
    config = small_config(text, training={"epochs": 6, **FAST})
    _, _, records = train_to_end(config, tmp_path / "run")
    validations = [record for record in records if isinstance(record, Validation)]
    assert validations[-1].distortion < 0.6 * validations[0].distortion
    assert validations[-1].stopped
    assert not any(record.stopped for record in validations[:-1])


def test_information_is_held_with_the_mi_term_and_lost_without(
    long_text: Path, tmp_path: Path
) -> None:
    """The whole point, in small: the same model and budget, with lambda 0 and 2."""
    training = {"epochs": 6, **FAST}
    found = {}
    for mi_weight in (0.0, 2.0):
        objective = {
            "mi_weight": mi_weight,
            "beta_schedule": {"kind": "linear", "start": 0.1, "over": 3.0},
        }
        config = small_config(long_text, training=training, objective=objective)
        _, _, records = train_to_end(config, tmp_path / f"run{mi_weight}")
        found[mi_weight] = records[-1]
    with_term, without = found[2.0], found[0.0]
    assert isinstance(with_term, Validation)
    assert isinstance(without, Validation)
    assert with_term.mi > without.mi + 0.5
    assert with_term.mi <= with_term.rate + 0.1


def test_a_decoder_that_needs_no_z_collapses_and_the_record_says_so(
    text: Path, tmp_path: Path
) -> None:
    objective = {"mi_weight": 0.0, "beta": 5.0, "beta_schedule": {"kind": "constant"}}
    config = small_config(text, objective=objective, training={"epochs": 4})
    _, _, records = train_to_end(config, tmp_path / "run")
    last = records[-1]
    assert isinstance(last, Validation)
    assert last.collapsed
    assert last.active_units == 0
    assert last.rate < 0.05


def test_the_critic_is_trained_only_where_it_counts(text: Path, tmp_path: Path) -> None:
    config = small_config(text, objective={"mi_weight": 0.0}, training={"epochs": 1})
    run, _, records = train_to_end(config, tmp_path / "run")
    assert "critic.safetensors" not in run.find_checkpoint().manifest.files
    assert all(record.mi_bound is None for record in records if isinstance(record, Step))


def test_a_language_model_trains_on_the_same_code(text: Path, tmp_path: Path) -> None:
    config = small_config(text, model={"latent_size": 0}, training={"epochs": 3, **FAST})
    _, corpus, records = train_to_end(config, tmp_path / "run")
    last = records[-1]
    assert isinstance(last, Validation)
    assert last.rate == last.mi == 0.0
    assert not last.collapsed
    assert -last.elbo < corpus["valid"].lengths.mean() * math.log(corpus.tokenizer.size)


def test_no_checkpoint_is_best_before_the_objective_has_settled(
    text: Path, tmp_path: Path
) -> None:
    objective = {"beta_schedule": {"kind": "linear", "start": 0.0, "over": 2.0}}
    config = small_config(text, objective=objective, training={"epochs": 3})
    _, _, records = train_to_end(config, tmp_path / "run")
    best = [record.best for record in records if isinstance(record, Validation)]
    assert best[0] is False
    assert best[1] is True


def test_fewer_epochs_than_are_done_are_rejected_and_leave_all_checkpoints(
    text: Path, tmp_path: Path
) -> None:
    ramp = {"beta_schedule": {"kind": "linear", "over": 3}}
    config = small_config(text, objective=ramp, training={"epochs": 5})
    corpus = prepare_corpus(config.data)
    run, trainer = create_run(tmp_path / "run", config, corpus), Trainer(config, corpus)
    epochs = 0
    for record in trainer.fit(run):  # stop after the second epoch, before any is the best
        epochs += isinstance(record, Validation)
        if epochs == 2:
            break
    before = sorted(run.checkpoints.folders())
    for fewer in (1, 2):
        training = config.training.model_copy(update={"epochs": fewer})

        def changed(before: RunConfig, training: TrainingConfig = training) -> RunConfig:
            return before.model_copy(update={"training": training})

        with pytest.raises(ConfigError, match=f"epochs {fewer} .*2 epochs are done.*--epochs 3"):
            resume_training(run, changed)
    assert sorted(run.checkpoints.folders()) == before
    assert run.load_config() == config


def test_plateaus_decay_the_learning_rate_and_then_end_the_training(
    text: Path, tmp_path: Path
) -> None:
    training = {
        "epochs": 50,
        "patience": 1,
        "max_decays": 1,
        "optimizer": {"kind": "sgd", "learning_rate": 1e-12},  # nothing improves
    }
    objective = {"mi_weight": 0.0, "beta_schedule": {"kind": "constant"}}
    config = small_config(text, training=training, objective=objective)
    _, _, records = train_to_end(config, tmp_path / "run")
    validations = [record for record in records if isinstance(record, Validation)]
    assert len(validations) < 50
    assert validations[-1].learning_rate == pytest.approx(0.5e-12)
    assert validations[-1].stopped


def test_two_optimizers_resume_to_the_same_end(text: Path, tmp_path: Path) -> None:
    rates = {"learning_rate": 5e-3, "word_learning_rate": 0.3}
    training = {"epochs": 3, "optimizer": {"kind": "adam-sgd", **rates}}
    config = small_config(text, model=networks("transformer"), training=training)
    whole, corpus, _ = train_to_end(config, tmp_path / "whole")
    assert_same_end(train_with_stops(config, corpus, tmp_path / "stopped", [7, 20]), whole)


def test_two_optimizers_decay_together(text: Path, tmp_path: Path) -> None:
    rates = {"learning_rate": 1e-12, "word_learning_rate": 4e-12}  # nothing improves
    training = {"epochs": 3, "patience": 1, "optimizer": {"kind": "adam-sgd", **rates}}
    objective = {"mi_weight": 1.0, "beta_schedule": {"kind": "constant"}}
    config = small_config(text, training=training, objective=objective)
    run, corpus, _ = train_to_end(config, tmp_path / "run")
    trainer = Trainer(config, corpus)
    trainer.resume(run)
    factor = config.training.decay**trainer.state.decays
    trainer.step(next(trainer.sampler.batches(0)))
    found = {name: one.param_groups[0]["lr"] for name, one in trainer.optimizers.items()}
    assert factor < 1
    assert found["model"] == pytest.approx(1e-12 * factor)
    assert found["words"] == pytest.approx(4e-12 * factor)
    assert found["critic"] == config.critic.learning_rate


def test_a_cooldown_takes_the_learning_rate_to_zero(text: Path, tmp_path: Path) -> None:
    optimizer = {"kind": "adam-sgd", "learning_rate": 1e-3, "word_learning_rate": 0.1}
    training = {"epochs": 4, "cooldown_epochs": 2, "optimizer": optimizer}
    config = small_config(text, training=training)
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    trainer = Trainer(config, corpus)
    steps: list[float] = []
    trainer.learner.model_optimizers["words"].register_step_post_hook(
        lambda optimizer, *_: steps.append(optimizer.param_groups[0]["lr"])
    )
    records = list(trainer.fit(run))
    found = [record.learning_rate for record in records if isinstance(record, Validation)]
    assert found == pytest.approx([1e-3, 1e-3, 0.5e-3, 0.0])
    half = len(steps) // 2
    assert steps[:half] == [0.1] * half
    assert steps[half:] == pytest.approx([0.1 * (half - step) / half for step in range(half)])


def test_a_cooldown_resumes_to_the_same_end(text: Path, tmp_path: Path) -> None:
    config = small_config(text, training={"epochs": 3, "cooldown_epochs": 2})
    whole, corpus, _ = train_to_end(config, tmp_path / "whole")
    steps = len(Trainer(config, corpus).sampler)
    stopped = train_with_stops(config, corpus, tmp_path / "stopped", [steps + 2, steps])
    assert_same_end(stopped, whole)


def test_a_loss_that_is_no_number_ends_the_training_and_harms_no_checkpoint(
    text: Path, tmp_path: Path
) -> None:
    config = small_config(text, training={"epochs": 3})
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    trainer = Trainer(config, corpus)
    records = trainer.fit(run)
    while not isinstance(next(records), Validation):
        pass
    with torch.no_grad():
        trainer.model.decoder.output.bias[0] = math.nan
    with pytest.raises(DivergedError, match="diverged"):
        list(records)
    found, trouble = run.checkpoints.newest()
    assert trouble == []
    saved = load_file(str(found.manifest.checked_path("model.safetensors")))
    assert all(tensor.isfinite().all() for tensor in saved.values())


def test_records_are_kept_as_lines_and_not_twice_after_a_resume(
    text: Path, tmp_path: Path
) -> None:
    config = small_config(text)
    run, _, records = train_to_end(config, tmp_path / "run")
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == len(records)
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds.count("validation") == 2
    with run.metrics_path.open("a") as file:
        file.write('{"kind": "step", "step": 10000')  # by a process that was killed then
    trainer = Trainer(config, run.open_corpus())
    assert trainer.resume(run) == []
    list(trainer.fit(run))
    assert run.metrics_path.read_text().splitlines()[: len(lines)] == lines


def test_the_records_of_a_critic_are_those_of_its_run(text: Path, tmp_path: Path) -> None:
    config = small_config(text, training={"epochs": 2, "log_every": 1})
    run, _, records = train_to_end(config, tmp_path / "run")
    steps = [record for record in records if isinstance(record, Step)]
    validations = [record for record in records if isinstance(record, Validation)]
    newest, _ = run.checkpoints.newest()
    critic = load_file(str(newest.manifest.checked_path("critic.safetensors")))
    assert steps[-1].log_xi == -float(critic["log_partition"])
    assert len({step.log_xi for step in steps}) == len(steps)
    assert {step.multiplier for step in steps} == {None}
    for record in validations:
        assert record.mi_dual is not None
        assert -0.5 < record.mi_dual < record.mi_ceiling
        assert record.rates is not None
        assert len(record.rates) == 4
        assert sum(record.rates) == pytest.approx(record.rate, abs=1e-4)
        assert record.device == "cpu"
        assert datetime.fromisoformat(record.time).utcoffset() == timedelta(0)
    found = read_metrics(run.metrics_path)
    assert [asdict(each) for each in found.steps] == [asdict(each) for each in steps]
    assert [asdict(each) for each in found.validations] == [asdict(each) for each in validations]


def test_the_records_of_a_constrained_rate_have_its_multiplier(text: Path, tmp_path: Path) -> None:
    objective = {"mi_weight": 0.0, "rate": {"kind": "minimum-rate", "step_size": 0.1}}
    config = small_config(text, objective=objective, training={"epochs": 1, "log_every": 1})
    corpus = prepare_corpus(config.data)
    trainer = Trainer(config, corpus)
    multipliers = []
    for record in trainer.fit(create_run(tmp_path / "run", config, corpus)):
        if isinstance(record, Step):
            assert record.multiplier == trainer.state.multiplier > 0
            assert record.log_xi is None
            multipliers.append(record.multiplier)
        elif isinstance(record, Validation):
            assert record.mi_dual is None
    assert multipliers == sorted(set(multipliers))  # the rate stays below its minimum


def test_rates_of_many_units_are_not_recorded(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mivae_cli.evaluation.validation.MAX_LOGGED_RATES", 3)
    config = small_config(text, training={"epochs": 1})
    _, _, records = train_to_end(config, tmp_path / "run")
    assert [record.rates for record in records if isinstance(record, Validation)] == [None]


def test_a_save_in_the_middle_of_an_epoch_is_one_to_go_on_from(text: Path, tmp_path: Path) -> None:
    training = {"epochs": 2, "log_every": 4, "save_minutes": 1e-9}  # after every step
    config = small_config(text, training=training)
    whole, corpus, _ = train_to_end(config, tmp_path / "whole")

    run = create_run(tmp_path / "stopped", config, corpus)
    records = Trainer(config, corpus).fit(run)
    for _ in range(2):  # the second record is asked for only after the steps before were saved
        next(records)
    records.close()
    resumed = Trainer(config, corpus)
    resumed.resume(run)
    assert (resumed.state.epoch, resumed.state.position) == (0, 7)
    list(resumed.fit(run))
    expected, found = weights_of(whole), weights_of(run)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_half_precision_trains_to_about_the_same_losses_with_weights_in_single(text: Path) -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        config = small_config(text, training={"precision": precision})
        trainer = Trainer(config, prepare_corpus(config.data))
        steps = [trainer.step(batch)[0] for batch in trainer.sampler.batches(0)]
        losses[precision] = torch.stack([terms.distortion.mean() for terms in steps])
        assert all(weight.dtype == torch.float32 for weight in trainer.model.parameters())
        assert all(terms.rates.dtype == torch.float32 for terms in steps)
    assert not torch.equal(losses["float32"], losses["bfloat16"])
    torch.testing.assert_close(losses["bfloat16"], losses["float32"], rtol=0.02, atol=0)


def test_a_best_checkpoint_that_is_damaged_is_said_on_resuming_and_replaced(
    text: Path, tmp_path: Path
) -> None:
    config = small_config(text, training={"epochs": 3})
    run, corpus, _ = train_to_end(config, tmp_path / "run")
    longer = small_config(text, training={"epochs": 4})
    trainer = Trainer(longer, corpus)
    trainer.resume(run)
    trainer.state.best = 0.0  # an ELBO that no text has, so that the third epoch stays the best
    list(trainer.fit(run))
    assert RunDirectory.open(run.path).find_checkpoint().name == "epoch-0003"
    (run.path / "checkpoints" / "epoch-0003" / "model.safetensors").write_bytes(b"")
    trainer = Trainer(small_config(text, training={"epochs": 5}), corpus)
    [problem] = trainer.resume(run)
    assert "epoch-0003/model.safetensors' is damaged" in problem
    list(trainer.fit(run))
    run = RunDirectory.open(run.path)
    assert run.find_checkpoint().name == "epoch-0005"
    run.load_model()
