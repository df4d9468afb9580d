"""Numbers that are no numbers: the batch is passed over, and nothing of them stays anywhere.

A fault is put into one place of a step; the place that must notice it is known.
"""

import json
import math
import re
import signal
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mivae_cli.config.run import RunConfig
from mivae_cli.data.batches import Batch, prefetch
from mivae_cli.data.prepared_corpus import Corpus, prepare_corpus
from mivae_cli.errors import DivergedError
from mivae_cli.evaluation.validation import HeldOut
from mivae_cli.finite_checks import NonFiniteBatch, Quantity
from mivae_cli.mi_terms.dual import MutualInformationTerm
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.signals import Interrupted, Interruption
from mivae_cli.training.divergence import batch_divergence
from mivae_cli.training.events import Skipped, Step, TrainingRecord
from mivae_cli.training.trainer import Trainer
from support.program import Mivae
from support.small import small_config, write_scenes

ADAM = {"kind": "adam", "learning_rate": 5e-3}
SGD = {"kind": "sgd", "learning_rate": 0.5}
SPLIT = {"kind": "adam-sgd", "learning_rate": 5e-3, "word_learning_rate": 0.5}
CONCATENATED = {"kind": "concatenated", "hidden_size": 16}
BAD = 3  # the step of the fault, counted from 0

Fault = Callable[[Trainer, float, Callable[[], bool]], None]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt", count=150)


def trainer_of(text: Path, mi_weight: float = 1.0, **sections: dict[str, Any]) -> Trainer:
    training = {"epochs": 1, "batch_size": 8, "log_every": 4, **sections.pop("training", {})}
    config = small_config(text, objective={"mi_weight": mi_weight}, training=training, **sections)
    return Trainer(config, with_lines(prepare_corpus(config.data)))


def with_lines(corpus: Corpus) -> Corpus:
    """Gives each sentence the line 1000 + 3 i, which is not its place."""
    stores = {
        split: replace(store, lines=1000 + 3 * np.arange(len(store), dtype=np.uint32))
        for split, store in corpus.stores.items()
    }
    return replace(corpus, stores=stores)


def of_trainer(trainer: Trainer) -> dict[str, Tensor]:
    """Returns copies of every tensor that training moves."""
    tensors = {f"model.{name}": value for name, value in trainer.model.state_dict().items()}
    if trainer.term is not None:
        tensors |= {f"term.{name}": value for name, value in trainer.term.state_dict().items()}
    for owner, optimizer in trainer.optimizers.items():
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"{owner}.{index}.{what}": value for what, value in values.items()}
    return {name: value.clone() for name, value in tensors.items()}


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Returns the owners of the tensors that differ."""
    assert before.keys() == after.keys()
    return {
        ".".join(name.split(".")[: 2 if name.startswith("term") else 1])
        for name in before
        if not torch.equal(before[name], after[name])
    }


def assert_finite(trainer: Trainer) -> None:
    for name, value in of_trainer(trainer).items():
        assert value.isfinite().all(), name
    for owner in (trainer.model, trainer.term or nn.Module()):
        for parameter in owner.parameters():
            assert parameter.grad is None or parameter.grad.to_dense().isfinite().all()


def likelihood(trainer: Trainer, value: float, now: Callable[[], bool]) -> None:
    original = trainer.model.log_likelihood

    def poisoned(batch: Batch, z: Tensor) -> Tensor:
        return original(batch, z) + (value if now() else 0.0)

    trainer.model.log_likelihood = poisoned  # type: ignore[method-assign]


def gradient_only(trainer: Trainer, value: float, now: Callable[[], bool]) -> None:
    original = trainer.model.log_likelihood

    def poisoned(batch: Batch, z: Tensor) -> Tensor:
        found = original(batch, z)
        if now():
            found.register_hook(lambda grad: grad * value)
        return found

    trainer.model.log_likelihood = poisoned  # type: ignore[method-assign]


def one_word_vector(trainer: Trainer, value: float, now: Callable[[], bool]) -> None:
    """A gradient of few rows, of which one number is bad."""
    embedding = trainer.model.encoder.embedding
    assert embedding.sparse

    def hook(_: nn.Module, __: object, vectors: Tensor) -> None:
        if now():
            first = torch.zeros_like(vectors, dtype=torch.bool)
            first[0, 0, 0] = True
            vectors.register_hook(lambda grad: grad.masked_fill(first, value))

    embedding.register_forward_hook(hook)


def features(trainer: Trainer, value: float, now: Callable[[], bool]) -> None:
    def hook(_: nn.Module, __: object, rows: Tensor) -> Tensor:
        return rows.index_fill(0, torch.tensor([1]), value) if now() else rows

    trainer.model.encoder.register_forward_hook(hook)


def scores(trainer: Trainer, value: float, now: Callable[[], bool]) -> None:
    def hook(_: nn.Module, __: object, matrix: Tensor) -> Tensor:
        return matrix + value if now() else matrix

    assert isinstance(trainer.term, MutualInformationTerm)
    trainer.term.critic.register_forward_hook(hook)


def critic_gradient(trainer: Trainer, value: float, now: Callable[[], bool]) -> None:
    def hook(_: nn.Module, __: object, matrix: Tensor) -> None:
        if now():
            matrix.register_hook(lambda grad: grad * value)

    assert isinstance(trainer.term, MutualInformationTerm)
    trainer.term.critic.register_forward_hook(hook)


def phi_gradient(trainer: Trainer, value: float, now: Callable[[], bool]) -> None:
    """The gradient of the bound that reaches the encoder, the critic's own being fine."""

    def hook(critic: nn.Module, __: object, matrix: Tensor) -> None:
        if now() and not next(critic.parameters()).requires_grad:
            matrix.register_hook(lambda grad: grad * value)

    assert isinstance(trainer.term, MutualInformationTerm)
    trainer.term.critic.register_forward_hook(hook)


def phi_scores(trainer: Trainer, value: float, now: Callable[[], bool]) -> None:
    """The scores after the critic's step."""

    def hook(critic: nn.Module, __: object, matrix: Tensor) -> Tensor:
        spoilt = now() and not next(critic.parameters()).requires_grad
        return matrix + value if spoilt else matrix

    assert isinstance(trainer.term, MutualInformationTerm)
    trainer.term.critic.register_forward_hook(hook)


# fault: (the number that gives it away, what may have moved by then)
CRITIC = {"critic", "term.critic", "term.log_partition"}
FAULTS: dict[Fault, tuple[Quantity, set[str]]] = {
    likelihood: (Quantity.LOSS, CRITIC),
    gradient_only: (Quantity.GRADIENT, CRITIC),
    one_word_vector: (Quantity.GRADIENT, CRITIC),
    phi_gradient: (Quantity.GRADIENT, CRITIC),
    phi_scores: (Quantity.LOG_XI, CRITIC),
    features: (Quantity.CRITIC_LOSS, set()),
    scores: (Quantity.CRITIC_LOSS, set()),
    critic_gradient: (Quantity.CRITIC_GRADIENT, set()),
}
PLAIN_FAULTS: dict[Fault, Quantity] = {
    likelihood: Quantity.LOSS,
    gradient_only: Quantity.GRADIENT,
    one_word_vector: Quantity.GRADIENT,
    features: Quantity.LOSS,
}


def name_of(value: object) -> str | None:
    return getattr(value, "__name__", None)


def steps(trainer: Trainer, count: int) -> list[NonFiniteBatch | None]:
    """Makes so many steps from the trainer's place on; returns what each stumbled over."""
    found: list[NonFiniteBatch | None] = []
    batches = trainer.sampler.batches(trainer.state.epoch, trainer.state.position)
    for batch in islice(batches, count):
        try:
            trainer.step(batch)
            found.append(None)
        except NonFiniteBatch as bad:
            found.append(bad)
    return found


def at(trainer: Trainer, *places: int) -> Callable[[], bool]:
    return lambda: trainer.state.step in places


@pytest.mark.parametrize(
    ("optimizer", "value"),
    [(ADAM, math.inf), (SGD, math.nan), (SPLIT, math.nan)],
    ids=["adam-inf", "sgd-nan", "split-nan"],
)
@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_a_bad_number_moves_no_more_than_it_may_and_the_run_goes_on(
    text: Path, fault: Fault, optimizer: dict[str, Any], value: float
) -> None:
    trainer = trainer_of(text, training={"optimizer": optimizer})
    fault(trainer, value, at(trainer, BAD))
    assert steps(trainer, BAD) == [None] * BAD
    before = of_trainer(trainer)
    [bad] = steps(trainer, 1)
    assert bad is not None
    quantity, may_move = FAULTS[fault]
    assert bad.quantity == quantity
    assert moved(before, of_trainer(trainer)) == may_move
    assert_finite(trainer)
    assert (trainer.state.step, trainer.state.position, trainer.state.skipped_batches) == (
        BAD + 1,
        BAD + 1,
        1,
    )
    assert steps(trainer, 2) == [None, None]
    assert_finite(trainer)
    assert trainer.state.skipped_batches == 0
    assert moved(before, of_trainer(trainer)) == {
        "model",
        "term.queue",
        "term.pushed",
        *CRITIC,
    } - ({"model.state"})


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_moving_averages_stay_where_they_were(text: Path, fault: Fault) -> None:
    trainer = trainer_of(text, model={"posterior": {"kind": "batch-norm"}})
    fault(trainer, math.nan, at(trainer, BAD))
    steps(trainer, BAD)
    before = of_trainer(trainer)
    [bad] = steps(trainer, 1)
    assert bad is not None
    assert bad.quantity == FAULTS[fault][0]
    assert moved(before, of_trainer(trainer)) == FAULTS[fault][1]
    assert_finite(trainer)
    assert steps(trainer, 2) == [None, None]
    after = of_trainer(trainer)  # the comparison can fail: good batches move them
    for name in ("running_mean", "running_variance"):
        assert not torch.equal(before[f"model.head.{name}"], after[f"model.head.{name}"])


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_a_first_batch_that_is_bad_leaves_all_as_it_was_born(text: Path, fault: Fault) -> None:
    trainer = trainer_of(text)
    born = deepcopy(trainer.model.state_dict())
    fault(trainer, math.nan, at(trainer, 0))
    [bad] = steps(trainer, 1)
    assert bad is not None
    assert all(torch.equal(born[name], w) for name, w in trainer.model.state_dict().items())
    assert not trainer.optimizers["model"].state
    assert steps(trainer, 3) == [None] * 3
    assert_finite(trainer)


def ending(text: Path, optimizer: dict[str, Any], mi_weight: float, count: int = 8) -> Trainer:
    """A run whose batch at BAD does nothing: what it moved is put back by hand."""
    trainer = trainer_of(text, mi_weight, training={"optimizer": optimizer})
    steps(trainer, BAD)
    owners: list[nn.Module | torch.optim.Optimizer] = [trainer.model, *trainer.optimizers.values()]
    if trainer.term is not None:
        owners.append(trainer.term)
    kept = deepcopy([owner.state_dict() for owner in owners])
    steps(trainer, 1)
    for owner, state in zip(owners, kept, strict=True):
        owner.load_state_dict(state)
    steps(trainer, count)
    return trainer


@pytest.mark.parametrize("optimizer", [ADAM, SPLIT], ids=["adam", "split"])
@pytest.mark.parametrize("fault", PLAIN_FAULTS, ids=name_of)
def test_without_a_critic_a_bad_batch_does_nothing_to_the_bit(
    text: Path, fault: Fault, optimizer: dict[str, Any]
) -> None:
    expected = ending(text, optimizer, mi_weight=0.0)
    trainer = trainer_of(text, mi_weight=0.0, training={"optimizer": optimizer})
    fault(trainer, math.nan, at(trainer, BAD))
    found = steps(trainer, BAD + 1 + 8)
    assert [bad and bad.quantity for bad in found] == [
        PLAIN_FAULTS[fault] if place == BAD else None for place in range(BAD + 9)
    ]
    assert moved(of_trainer(expected), of_trainer(trainer)) == set()
    whole = trainer_of(text, mi_weight=0.0, training={"optimizer": optimizer})
    steps(whole, BAD + 9)  # the comparison can fail: the batch would have done something
    assert "model" in moved(of_trainer(expected), of_trainer(whole))


@pytest.mark.parametrize("fault", [features, scores, critic_gradient], ids=name_of)
def test_a_batch_that_fails_at_the_critic_does_nothing_to_the_bit(
    text: Path, fault: Fault
) -> None:
    expected = ending(text, ADAM, mi_weight=1.0)
    trainer = trainer_of(text, training={"optimizer": ADAM})
    fault(trainer, math.nan, at(trainer, BAD))
    steps(trainer, BAD + 1 + 8)
    assert moved(of_trainer(expected), of_trainer(trainer)) == set()


@pytest.mark.parametrize("factor", [1e3, 1e20, 1e38])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_critic_that_explodes_is_caught_before_it_reaches_the_encoder(
    text: Path, factor: float, sign: float
) -> None:
    trainer = trainer_of(text, critic={"network": CONCATENATED, "queue_size": 64})
    assert isinstance(trainer.term, MutualInformationTerm)
    steps(trainer, 5)
    critic = trainer.term.critic
    healthy, before = deepcopy(critic.state_dict()), of_trainer(trainer)
    with torch.no_grad():
        list(critic.parameters())[-2].mul_(sign * factor)  # the last layer's weight
    found = steps(trainer, 2)
    assert all(bad is not None for bad in found)
    assert moved(before, of_trainer(trainer)) <= {"critic", "term.critic"}
    assert_finite(trainer)
    critic.load_state_dict(healthy)  # xi and the queue have not suffered
    assert steps(trainer, 3) == [None] * 3


def test_a_bounded_critic_that_explodes_spoils_nothing_either(text: Path) -> None:
    """Its scores are normalised: they stay small, or are no numbers."""
    trainer = trainer_of(text)
    assert isinstance(trainer.term, MutualInformationTerm)
    steps(trainer, 5)
    with torch.no_grad():
        for parameter in trainer.term.critic.parameters():
            parameter.mul_(1e20)
    before = of_trainer(trainer)
    assert all(bad is not None for bad in steps(trainer, 3))
    assert moved(before, of_trainer(trainer)) == set()


def test_a_critic_that_tells_pairs_apart_impossibly_well_is_refused(text: Path) -> None:
    """The way up: joint pairs score a thousand nats above the others."""
    trainer = trainer_of(text)
    count = len(trainer.corpus["train"])

    def hook(critic: nn.Module, __: object, matrix: Tensor) -> Tensor:
        if trainer.state.step != BAD:
            return matrix
        return matrix + 1000 * torch.eye(*matrix.shape)

    assert isinstance(trainer.term, MutualInformationTerm)
    trainer.term.critic.register_forward_hook(hook)
    steps(trainer, BAD)
    before = of_trainer(trainer)
    [bad] = steps(trainer, 1)
    assert bad is not None
    assert bad.quantity == Quantity.BOUND
    assert bad.value == pytest.approx(1000, abs=10)
    assert f"{math.log(count) + 20:.0f}" in bad.reason
    assert moved(before, of_trainer(trainer)) == {"critic", "term.critic"}


def test_features_that_are_no_numbers_never_enter_the_queue(text: Path) -> None:
    trainer = trainer_of(text)
    features(trainer, math.nan, at(trainer, 1, 2, 4))
    steps(trainer, 6)
    assert isinstance(trainer.term, MutualInformationTerm)
    assert int(trainer.term.pushed) == 3 * 8
    assert trainer.term.queue.isfinite().all()
    assert (trainer.term.queue[: 3 * 8] != 0).any(dim=1).all()


def run_of(trainer: Trainer, place: Path) -> RunDirectory:
    return create_run(place, trainer.config, trainer.corpus)


def until_diverged(
    trainer: Trainer, run: RunDirectory
) -> tuple[list[TrainingRecord], DivergedError]:
    records: list[TrainingRecord] = []
    with pytest.raises(DivergedError) as caught:
        records.extend(trainer.fit(run))  # keeps what came before the error
    return records, caught.value


@pytest.mark.parametrize("log_every", [1, 4])
def test_a_batch_that_was_passed_over_is_recorded_with_its_sentences(
    text: Path, tmp_path: Path, log_every: int
) -> None:
    trainer = trainer_of(text, training={"log_every": log_every})
    likelihood(trainer, math.nan, at(trainer, BAD))
    run = run_of(trainer, tmp_path / "run")
    records = list(trainer.fit(run))
    [skipped] = [record for record in records if isinstance(record, Skipped)]
    indices = list(trainer.sampler.order(0))[BAD].tolist()
    assert skipped == Skipped(
        step=BAD + 1,
        epoch=(BAD + 1) / len(trainer.sampler),
        reason="the loss is nan",
        lines=tuple(1000 + 3 * index for index in indices),
        sentences=tuple(indices),
    )
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == len(records)
    [line] = [line for line in lines if line["kind"] == "skipped"]
    assert line["sentences"] == indices
    means = [record for record in records if isinstance(record, Step)]
    assert all(math.isfinite(record.loss) for record in means)
    assert [record.step for record in means] == [
        step
        for step in range(log_every, len(trainer.sampler) + 1, log_every)
        if log_every > 1 or step != BAD + 1
    ]


def test_lines_that_are_not_known_are_not_made_up(text: Path, tmp_path: Path) -> None:
    trainer = trainer_of(text, training={"max_bad_batches": 1})
    store = replace(trainer.corpus["train"], lines=None)
    trainer.corpus.stores["train"] = store
    likelihood(trainer, math.nan, at(trainer, BAD))
    records, error = until_diverged(trainer, run_of(trainer, tmp_path / "run"))
    assert isinstance(records[-1], Skipped)
    assert records[-1].lines is None
    assert f"sentences {min(records[-1].sentences)}, " in str(error)


def test_advice_names_both_rates_where_there_are_two(text: Path, tmp_path: Path) -> None:
    trainer = trainer_of(text, training={"max_bad_batches": 2, "optimizer": SPLIT})
    likelihood(trainer, math.nan, at(trainer, 1, 2))
    _, error = until_diverged(trainer, run_of(trainer, tmp_path / "run"))
    assert "training.optimizer.learning_rate=0.002" in str(error)
    assert "training.optimizer.word_learning_rate=0.2" in str(error)


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (
            likelihood,
            "--set training.optimizer.learning_rate=0.0003 or --set objective.mi_weight=0.3",
        ),
        (scores, "--set critic.learning_rate=0.0003 or --set training.optimizer"),
        (phi_scores, "--set critic.learning_rate=0.0003 or --set critic.clip=5"),
    ],
    ids=name_of,
)
def test_too_many_in_a_row_end_the_training_with_advice_that_fits(
    text: Path, tmp_path: Path, fault: Fault, advice: str
) -> None:
    trainer = trainer_of(text, training={"epochs": 2, "max_bad_batches": 3})
    epoch = len(trainer.sampler)
    fault(trainer, math.nan, at(trainer, epoch + 2, epoch + 3, epoch + 4))
    run = run_of(trainer, tmp_path / "run")
    records, error = until_diverged(trainer, run)
    assert error.exit_code == 5
    assert not isinstance(error, NonFiniteBatch)
    assert [record.step for record in records if isinstance(record, Skipped)] == [
        epoch + 3, epoch + 4, epoch + 5,
    ]  # fmt: skip
    assert isinstance(records[-1], Skipped)
    assert advice in str(error)
    assert records[-1].reason in str(error)
    lines = sorted(1000 + 3 * index for index in list(trainer.sampler.order(1))[4].tolist())
    assert f"lines {', '.join(map(str, lines[:5]))}, ..." in str(error)
    newest, trouble = run.checkpoints.newest()
    assert trouble == []
    assert newest.step == epoch  # the last good one stays
    assert "epoch-0001" in str(error)
    assert f"mivae train --resume --out {run.path}" in str(error)
    weights = load_file(str(newest.manifest.checked_path("model.safetensors")))
    assert all(weight.isfinite().all() for weight in weights.values())


@pytest.mark.parametrize(("elbo", "loss"), [(-math.inf, 3.0), (3.0, math.inf), (math.nan,) * 2])
def test_a_validation_that_is_not_finite_ends_the_training_with_the_same_advice(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elbo: float, loss: float
) -> None:
    found = HeldOut(loss, elbo, 1.0, 1.0, 0.0, 1.0, 0, 0, 1.0)
    monkeypatch.setattr("mivae_cli.training.trainer.held_out_figures", lambda *_: found)
    trainer = trainer_of(text, training={"optimizer": SPLIT})
    records, error = until_diverged(trainer, run_of(trainer, tmp_path / "run"))
    assert not any(isinstance(record, Skipped) for record in records)
    assert error.exit_code == 5
    for key in ("training.optimizer.learning_rate=0.002", "word_learning_rate=0.2", "mi_weight="):
        assert key in str(error)
    assert "epoch 1" in str(error)
    assert ("ELBO" in str(error)) is not math.isfinite(elbo)
    assert ("objective is" in str(error)) is not math.isfinite(loss)


@pytest.mark.parametrize(
    ("section", "option"),
    [
        ({"training": {"optimizer": {"kind": "adam", "learning_rate": 1e4}}},
         "training.optimizer.learning_rate=0.001"),
        ({"training": {"optimizer": {"kind": "sgd", "learning_rate": 11.0}}},
         "training.optimizer.learning_rate=1"),
        ({"training": {"optimizer": {"kind": "adam-sgd", "word_learning_rate": 1e9}}},
         "training.optimizer.word_learning_rate=1"),
        ({"critic": {"learning_rate": 0.5}}, "critic.learning_rate=0.001"),
        ({"objective": {"mi_weight": 5e5}}, "objective.mi_weight=1"),
        ({"training": {"max_norm": 1e300}}, "training.max_norm=5"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_far_from_usual_is_named_first_with_its_usual_value(
    section: dict[str, Any], option: str
) -> None:
    skipped, config = Skipped(7, 0.5, "", (3,), (1,)), RunConfig.model_validate(section)
    error = batch_divergence(skipped, NonFiniteBatch(Quantity.CRITIC_LOSS, math.nan), config)
    assert re.findall(r"--set (\S+)", str(error))[0] == option


def test_sentences_of_several_files_are_named_with_their_file(tmp_path: Path) -> None:
    texts = [
        write_scenes(tmp_path / f"{name}.txt", count=80, seed=seed)
        for seed, name in enumerate("ab")
    ]
    config = small_config(texts[0], data={"train": list(map(str, texts))}, training={"epochs": 1})
    trainer = Trainer(config, prepare_corpus(config.data))
    likelihood(trainer, math.nan, at(trainer, 0))
    records = list(trainer.fit(run_of(trainer, tmp_path / "run")))
    [skipped] = [record for record in records if isinstance(record, Skipped)]
    assert skipped.lines is not None
    assert set(skipped.files) == set(map(str, texts))
    written = {str(path): path.read_text().splitlines() for path in texts}
    for file, line, index in zip(skipped.files, skipped.lines, skipped.sentences, strict=True):
        [ids] = trainer.corpus.tokenizer.encode([written[file][line - 1]])
        assert ids == trainer.corpus["train"].sentence(index)
    assert f"{skipped.lines[0]} of '{skipped.files[0]}'" in skipped.places
    few = Skipped(7, 0.5, "", (3, 12, 2), (1, 4, 5), ("b.txt", "a.txt", "b.txt"))
    error = batch_divergence(few, NonFiniteBatch(Quantity.LOSS, math.nan), config)
    assert "12 of 'a.txt', 2 of 'b.txt', 3 of 'b.txt'" in str(error)
    assert Skipped(7, 0.5, "", (12, 3), (1, 4)).places == ["3", "12"]


@pytest.mark.parametrize("option", ["--dry-run", "--profile"])
def test_a_rehearsal_that_diverges_gives_the_same_advice(
    mivae: Mivae, text: Path, option: str
) -> None:
    rate = "training.optimizer.learning_rate"
    ran = mivae("train", text, "--latent", "2", "--set", f"{rate}=1e30", option)
    assert ran.code == 5
    assert f"{rate}=0.001" in ran.err


def test_weights_that_cannot_be_saved_give_the_same_advice(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise DivergedError("'x' holds NaN")

    monkeypatch.setattr("mivae_cli.training.trainer.snapshot", refused)
    trainer = trainer_of(text)
    _, error = until_diverged(trainer, run_of(trainer, tmp_path / "run"))
    assert "'x' holds NaN" in str(error)
    assert "training.optimizer.learning_rate=0.0003" in str(error)


def test_what_is_near_its_usual_value_is_divided_by_three_in_the_usual_order() -> None:
    table = {"training": {"optimizer": {"kind": "sgd", "learning_rate": 10.0}}}
    config = RunConfig.model_validate(table)
    error = batch_divergence(
        Skipped(7, 0.5, "", (3,), (1,)), NonFiniteBatch(Quantity.LOSS, math.nan), config
    )
    first, *_ = re.findall(r"--set (\S+)", str(error))
    assert first == "training.optimizer.learning_rate=3"


def test_a_good_batch_begins_the_count_anew(text: Path, tmp_path: Path) -> None:
    trainer = trainer_of(text, training={"max_bad_batches": 3})
    likelihood(trainer, math.inf, at(trainer, 1, 2, 4, 5, 7, 8))
    records = list(trainer.fit(run_of(trainer, tmp_path / "run")))
    assert sum(isinstance(record, Skipped) for record in records) == 6
    assert trainer.finished


class AfterThreeSteps(Interruption):
    def check(self) -> None:
        self.looks = getattr(self, "looks", 0) + 1
        if self.looks > 3:  # one of them before the first step
            raise Interrupted(signal.SIGTERM)


def test_the_count_survives_a_resume(text: Path, tmp_path: Path) -> None:
    trainer = trainer_of(text, training={"max_bad_batches": 3})
    run = run_of(trainer, tmp_path / "run")
    likelihood(trainer, math.nan, at(trainer, 1, 2))
    with pytest.raises(Interrupted):
        list(trainer.fit(run, AfterThreeSteps()))
    resumed = Trainer(trainer.config, trainer.corpus)
    resumed.resume(run)
    assert resumed.state.skipped_batches == 2
    likelihood(resumed, math.nan, at(resumed, 3))
    records, _ = until_diverged(resumed, run)
    assert [type(record) for record in records] == [Skipped]


def test_a_rate_that_does_not_count_in_the_loss_must_be_finite_too(text: Path) -> None:
    trainer = trainer_of(text, mi_weight=0.0)
    objective = trainer.config.objective.model_copy(update={"beta": 0.0})
    config = trainer.config.model_copy(update={"objective": objective})
    trainer.learner.config = config
    with torch.no_grad():  # means whose squares are too large, with states that tanh bounds
        trainer.model.head.linear.bias[0] = 1e20
        trainer.model.decoder.network.get_parameter("weight_ih_l0")[:, -4:] = 0
    [bad] = steps(trainer, 1)
    assert bad is not None
    assert (bad.quantity, bad.value) == (Quantity.RATE, math.inf)


def test_a_batch_knows_its_sentences_wherever_it_goes(text: Path) -> None:
    trainer = trainer_of(text)
    order = [indices.tolist() for indices in trainer.sampler.order(0)]
    device = torch.device("meta")
    batches = prefetch(batch.to(device) for batch in trainer.sampler.batches(0))
    found = [batch.indices for batch in batches]
    assert [indices.tolist() for indices in found if indices is not None] == order


def test_a_healthy_training_passes_over_nothing(text: Path, tmp_path: Path) -> None:
    trainer = trainer_of(text, mi_weight=20.0, training={"epochs": 4, "optimizer": ADAM})
    records = list(trainer.fit(run_of(trainer, tmp_path / "run")))
    assert not any(isinstance(record, Skipped) for record in records)
