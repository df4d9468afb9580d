"""What eval.json keeps: every protocol's record, and what was measured in full."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.run import RunConfig
from mivae_cli.evaluation.records import EvaluationRecords
from mivae_cli.experiments.comparison import compare
from mivae_cli.experiments.summary import Outcome


def record(samples: int = 100, seed: int = 0, epoch: int = 3, **more: object) -> dict[str, Any]:
    checkpoint = {"name": f"epoch-{epoch:04}", "step": 10 * epoch}
    plain = {"iw_samples": samples, "seed": seed, "checkpoint": checkpoint, "latent_units": 4}
    return {**plain, "ppl_iw": 20.0 - samples / 1000, **more}


def full(samples: int = 1000, seed: int = 0, judge: str = "trained") -> dict[str, Any]:
    return {"protocol": {"samples": samples, "seed": seed, "forward_lm": judge}}


def kept(*records: dict[str, Any]) -> EvaluationRecords:
    found = EvaluationRecords()
    for each in records:
        found = found.with_record(each)
    return found


protocols = st.builds(
    record,
    st.integers(1, 4),
    st.integers(0, 2),
    st.integers(1, 2),
    full=st.none() | st.builds(full),
)


@given(st.lists(protocols, max_size=12))
def test_nothing_is_lost_but_what_is_measured_again(added: list[dict[str, Any]]) -> None:
    found = kept(*added)
    keys = {(r["iw_samples"], r["seed"], r["checkpoint"]["name"]) for r in added}
    assert len(found.records) == len(keys)
    assert len(found.full) == len({r["checkpoint"]["name"] for r in added if r["full"]})
    assert EvaluationRecords.of(json.loads(json.dumps(found.body()))) == found
    for samples, seed, name in keys:
        again = found.about(name).exactly(samples, seed)
        assert again is not None
        assert (again["iw_samples"], again["seed"]) == (samples, seed)


def test_a_record_of_the_same_protocol_is_replaced() -> None:
    found = kept(record(ppl_iw=1.0), record(samples=5), record(ppl_iw=2.0))
    assert [each["iw_samples"] for each in found.records] == [5, 100]
    assert found.best(100, 0) == record(ppl_iw=2.0)


def test_the_best_is_that_of_the_protocol_or_has_the_most_samples() -> None:
    found = kept(record(500), record(100, seed=1), record(100), record(5))
    for wanted, samples, seed in ((100, 100, 0), (5, 5, 0), (7, 500, 0)):
        best = found.best(wanted, 0)
        assert best is not None
        assert (best["iw_samples"], best["seed"]) == (samples, seed)
    assert found.exactly(7, 0) is None
    assert EvaluationRecords().best(100, 0) is None


def test_figures_in_full_go_with_every_record_of_their_checkpoint_alone() -> None:
    found = kept(
        record(100, full=full(1000)), record(5), record(5, seed=1), record(100, epoch=4),
        record(100, full=full(20)), record(100, full=full(20, judge="other")),
    )  # fmt: skip
    assert [each["full"]["protocol"]["samples"] for each in found.full] == [1000, 20, 20]
    for samples, seed in ((100, 0), (5, 0), (5, 1)):
        whole = found.about("epoch-0003").exactly(samples, seed)
        assert whole is not None
        assert whole["full"] == full(1000)  # that with the most samples
    other = found.about("epoch-0004").exactly(100, 0)
    assert other is not None
    assert "full" not in other


def test_a_language_model_takes_no_samples() -> None:
    found = kept(record(100, latent_units=0), record(5, latent_units=0))
    assert len(found.records) == 1
    assert found.sampled == set()
    assert found.exactly(77, 0) is not None


@pytest.mark.parametrize(
    "body", [{}, {"evaluations": 5}, {"evaluations": [5]}, {"evaluations": [], "full": {}}]
)
def test_other_bodies_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="records"):
        EvaluationRecords.of(body)


@pytest.mark.parametrize("odd", [None, [], {}, "text", 10**400, True, -1.5, {"name": []}])
def test_values_of_other_types_do_no_harm(odd: object) -> None:
    found = EvaluationRecords(
        (*({**record(), key: odd} for key in record()), record()),
        ({"checkpoint": odd, "full": odd}, {"full": {"protocol": odd}}, {}),
    )
    for name in ("epoch-0003", None):
        found.about(name).best(100, 0)
    assert found.with_record(record()).exactly(100, 0) is not None


def test_where_there_is_no_room_records_of_other_checkpoints_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mivae_cli.limits.MAX_EVALUATION_BYTES", 450)
    found = kept(*(record(samples, epoch=epoch) for epoch in (1, 2) for samples in (1, 2, 3)))
    assert {each["checkpoint"]["name"] for each in found.records} == {"epoch-0002"}
    assert found.records[-1]["iw_samples"] == 3


class TestComparison:
    """Seeds still make one row, whatever has been measured beside."""

    @staticmethod
    def run(name: str, *records: dict[str, Any], **table: object) -> Outcome:
        config, found = RunConfig.model_validate(table), kept(*records)
        evaluation = found.best(config.evaluation.iw_samples, config.evaluation.seed)
        return Outcome(
            name, name, "evaluated", "", config, evaluation, found, tested="the same sentences"
        )

    def test_the_most_samples_that_all_have_are_compared(self) -> None:
        runs = [
            self.run("a", record(100), record(500), record(5), seed=0),
            self.run("b", record(500), record(100), seed=1),
            self.run("c", record(100), seed=2, evaluation={"iw_samples": 7}),
        ]
        compared = compare(runs)
        (row,) = compared.rows
        assert row.seeds == (0, 1, 2)
        assert compared.warnings == ()
        figure = row.figures["ppl_iw"]
        assert figure is not None
        assert figure.value == pytest.approx(19.9)
        (best,) = compare(runs[:2]).rows
        figure = best.figures["ppl_iw"]
        assert figure is not None
        assert figure.value == pytest.approx(19.5)

    def test_seeds_fold_where_another_run_has_other_samples(self) -> None:
        other = {"objective": {"mi_weight": 0.5}}
        compared = compare(
            [
                self.run("a", record(100), record(5), seed=0),
                self.run("b", record(100), seed=1),
                self.run("c", record(50), **other),
            ]
        )
        assert [row.seeds for row in compared.rows] == [(0, 1), (0,)]
        assert any("samples" in warning for warning in compared.warnings)

    def test_seeds_of_evaluations_are_no_obstacle(self) -> None:
        """Earlier versions evaluated with the seed of the training."""
        compared = compare([self.run(str(n), record(100, seed=n), seed=n) for n in range(3)])
        assert [row.seeds for row in compared.rows] == [(0, 1, 2)]
