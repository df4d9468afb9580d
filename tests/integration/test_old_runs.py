"""Runs that earlier versions made, kept as they were: every later one uses them as these did.

`runs/format-N` was trained on 200 sentences of the grammar in examples/, with sizes of a few
units, by the version that its documents name.
"""

import shutil
from pathlib import Path

import pytest

from mivae_cli.evaluation.evaluate import evaluate
from mivae_cli.experiments.verify import verify
from mivae_cli.reports.contents import collect_report
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.stages import finish
from mivae_cli.storage.sealed_json import FORMAT
from support.program import Mivae

RUNS = sorted(Path(__file__).with_name("runs").iterdir())


@pytest.fixture(params=RUNS, ids=lambda path: path.name)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunDirectory:
    path: Path = request.param
    return RunDirectory.open(shutil.copytree(path, tmp_path / path.name))


def test_every_format_so_far_is_kept() -> None:
    assert [path.name for path in RUNS] == [f"format-{number + 1}" for number in range(FORMAT)]


def test_an_old_run_is_sound_and_gives_the_figures_that_it_gave(run: RunDirectory) -> None:
    assert verify(run).sound
    corpus, record = run.open_corpus(), run.load_evaluation()
    seed = record.get("seed", run.load_config().seed)  # of format 1: the training's
    found = finish(evaluate(run.load_model(), corpus["test"], iw_samples=5, seed=seed))
    assert found.sentences == record["sentences"] == 8
    # with format 1, noise was drawn in the order of the lines
    near = 1e-3 if "units_above" in record else 0.2
    assert found.rate == pytest.approx(record["rate"], abs=1e-3)
    for name in ("nll", "iw_nll", "distortion", "kl_aggregated_prior"):
        assert getattr(found, name) == pytest.approx(record[name], abs=near), name
    assert found.mi is not None
    values = run.load_sentence_values(record)
    assert (values is None) == (run.path.name in ("format-1", "format-2"))
    if values is not None:
        assert values.nll.mean() == pytest.approx(record["nll"], abs=1e-4)
        assert values.iw_nll.mean() == pytest.approx(record["iw_nll"], abs=1e-4)
    known = record["mi"]["known_posterior"]["value"]
    assert found.mi.known_posterior.value == pytest.approx(known, abs=near)


def test_an_old_run_has_a_report(run: RunDirectory) -> None:
    [found] = finish(collect_report([run.path])).runs
    assert found.missing == ()
    assert found.map is not None
    assert {"rate", "ppl_iw", "mi_known_posterior"} <= {row.key for row in found.headline}
    assert len(found.metrics.validations) == 3
    assert found.metrics.validations[0].rate is not None


def test_an_old_run_goes_on(run: RunDirectory, mivae: Mivae) -> None:
    step = run.checkpoints.newest()[0].step
    ran = mivae("train", "--resume", "--out", run.path, "--epochs", "4", "--iw-samples", "2")
    assert ran.code == 0
    assert f"resuming {run.path} after epoch 3, step {step}" in ran.err
    assert "training.epochs from 3 to 4" in ran.err
    assert RunDirectory.open(run.path).checkpoints.newest()[0].step == step + step // 3
    for command in ("sample", "verify", "eval", "interpolate"):
        assert mivae(command, run.path).code == 0
