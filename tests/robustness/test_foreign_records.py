"""Documents with a valid checksum and invalid content, deeply nested folders, long paths."""

import contextlib
import copy
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mivae_cli.config.run import RunConfig
from mivae_cli.errors import CheckpointError
from mivae_cli.estimators.report import missing_pairs
from mivae_cli.evaluation.metrics import effective_units
from mivae_cli.evaluation.records import EvaluationRecords
from mivae_cli.experiments.comparison import compare
from mivae_cli.experiments.export import csv_text, markdown_text, records, sheet
from mivae_cli.experiments.latex import latex_text
from mivae_cli.experiments.status import find_runs, outcome
from mivae_cli.experiments.summary import Outcome
from mivae_cli.experiments.verify import verify
from mivae_cli.reports.charts.plane import plane
from mivae_cli.reports.headline import estimates_of, headline, notes
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.storage.manifest import MANIFEST, Manifest, entry_of, write_manifest
from mivae_cli.storage.metrics_log import Metrics
from mivae_cli.storage.sealed_json import read_sealed, write_sealed
from support.program import Mivae
from support.small import small_config, train_to_end, write_scenes

ESTIMATE = {"value": 4.5, "ci_low": 4.0, "ci_high": 5.0, "n": 100, "ceiling": 4.6, "unseen": 0.1}
RECORD: dict[str, Any] = {
    "elbo": -36.0, "nll": 36.0, "iw_nll": 35.0, "ppl_elbo": 19.0, "ppl_iw": 18.0,
    "distortion": 31.0, "rate": 5.0, "rates": [2.5, 2.5], "active_units": 2, "latent_units": 2,
    "units_above": 2, "effective_units": 2.0, "iw_samples": 100, "sentences": 100, "tokens": 900,
    "seed": 0, "kl_aggregated_prior": 0.5, "text": {"words": 900, "ppl_word_iw": 20.0},
    "checkpoint": {"name": "epoch-0002", "step": 20}, "full": None,
    "mi": {key: ESTIMATE for key in ("known_posterior", "leave_one_out", "batch32", "dual")},
}  # fmt: skip
FULL = {"protocol": {"seed": 0, "samples": 9}, "reconstruction": {"bleu": 30.5}}
ODD: list[Any] = [
    10**400, -(10**400), 2**63, -1, 1e308, -1e308, 5e-324, 0, True, "", "31", "\ud800", "x" * 5000,
    [], [1], [[[]]], {}, {"value": []}, {"": {"": 10**400}}, None, [None], 1.5, 2**53,
]  # fmt: skip
PATHS = [
    (key,) for key in RECORD
] + [("mi", "dual"), ("mi", "dual", "value"), ("mi", "dual", "unseen"), ("mi", "dual", "n"),
     ("mi", "batch32", "ceiling"), ("mi", "known_posterior", "ci_low"), ("rates", 0),
     ("checkpoint", "name"), ("checkpoint", "step"), ("text", "words")]  # fmt: skip


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """Returns the record with another value at a path."""
    record = copy.deepcopy(RECORD)
    place: Any = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return record


def shown(body: dict[str, Any]) -> str:
    """Returns a comparison with two valid runs in every format, or "refused"."""
    config = RunConfig()
    try:
        found = EvaluationRecords.of(body)
    except ValueError:
        return "refused"
    own = Outcome(
        "odd", "runs/odd", "evaluated", "", config, found.best(100, 0), found, tested="t"
    )
    others = [
        Outcome(f"r{n}", f"runs/r{n}", "evaluated", "", config.model_copy(update={"seed": n}),
                RECORD, EvaluationRecords((RECORD,)), tested="t")
        for n in (1, 2)
    ]  # fmt: skip
    headline(own), notes(own, Metrics()), estimates_of(own)
    for fold in (True, False):
        made = compare([own, *others], fold)
        text = csv_text(made) + markdown_text(made) + latex_text(made)
        sheet(made), plane(made)
        json.dumps(records(made), allow_nan=False)
    return text


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_a_record_with_any_odd_value_is_shown_or_rejected(path: tuple[str | int, ...]) -> None:
    for value in ODD:
        record = changed(path, value)
        shown({"evaluations": [record], "full": []})
        shown({"evaluations": [record, RECORD], "full": [{"checkpoint": None, "full": FULL}]})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
) | st.sampled_from(ODD)


@settings(max_examples=150)
@given(st.sampled_from(PATHS), JSON, JSON)
def test_a_record_with_any_json_is_shown_or_rejected(
    path: tuple[str | int, ...], value: object, full: object
) -> None:
    fulls: list[Any] = [{"checkpoint": RECORD["checkpoint"], "full": full}]
    shown({"evaluations": [changed(path, value)], "full": fulls})
    shown({"evaluations": [changed(("full",), full)], "full": full})
    shown({"evaluations": value, "full": []})


def test_valid_records_are_shown() -> None:
    body: dict[str, Any] = {"evaluations": [RECORD, {}], "full": [{"full": FULL}]}
    assert "18.0" in shown(body)
    assert shown({"evaluations": [changed(("full",), FULL)]}) != "refused"
    nulls = dict.fromkeys(RECORD)
    assert shown({"evaluations": [nulls]}) != "refused"


@pytest.mark.parametrize("count", [1, 2**53, 10**18])
@pytest.mark.parametrize("unseen", [0.0, 1.0, -1e300, 1e300])
def test_the_check_for_missing_pairs_takes_any_count(unseen: float, count: int) -> None:
    assert isinstance(missing_pairs(unseen, count), list)


def test_effective_units_of_very_unequal_rates() -> None:
    assert effective_units([1e300, 5e-324, 0.0]) == pytest.approx(1.0)
    assert math.isfinite(effective_units([1e-300] * 5 + [1.0]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("trained")
    text = write_scenes(place / "scenes.txt", count=200)
    return train_to_end(small_config(text), place / "run")[0].path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> RunDirectory:
    """A copy of a trained run, with an evaluation record."""
    path = tmp_path / "run"
    shutil.copytree(trained, path)
    found = RunDirectory.open(path)
    found.write_evaluation(changed(("checkpoint", "name"), found.find_checkpoint().name))
    return found


def reseal(path: Path, kind: Any, change: dict[str, Any]) -> None:  # noqa: ANN401  # a Literal
    """Changes a document, and renews its checksum."""
    body = read_sealed(path, kind)
    del body["checksum"]
    write_sealed(path, kind, body | change)


@pytest.mark.parametrize(
    ("key", "value"),
    [("iw_samples", [1]), ("ppl_iw", 10**400), ("latent_units", 10**400), ("rates", [[]]),
     ("mi", [3]), ("full", {"a": [1e301]}), ("sentences", True)],
)  # fmt: skip
def test_a_comparison_shows_the_other_runs(
    run: RunDirectory, trained: Path, mivae: Mivae, key: str, value: object
) -> None:
    record = changed((key,), value)
    reseal(run.path / "eval.json", "evaluation", {"evaluations": [record]})
    ran = mivae("compare", run.path, trained, "--json")
    assert ran.code == 0
    standings = [row["standing"] for row in json.loads(ran.out)]
    assert standings == ["damaged", "trained"]
    assert "eval.json" in ran.err
    assert f"'{key}" in ran.err
    assert mivae("verify", run.path).code == 4


COUNTS = [2**53 + 1, 10**400, -1, True, 1.5, None, "1", [1]]


@pytest.mark.parametrize("value", COUNTS, ids=lambda value: str(value)[:12])
@pytest.mark.parametrize("key", ["step", "epoch"])
def test_steps_of_a_manifest_must_be_counts(run: RunDirectory, key: str, value: object) -> None:
    checkpoint = run.checkpoints.named("last")
    reseal(checkpoint.manifest.folder / MANIFEST, "checkpoint", {key: value})
    with pytest.raises(CheckpointError, match=f"'{key}'"):
        run.checkpoints.named("last")
    assert outcome(run.path, "run").standing == "damaged"


def restate(run: RunDirectory, change: dict[str, Any]) -> Manifest:
    """Changes a training state and its manifest consistently, and renews the checksums."""
    folder = run.checkpoints.named("last").manifest.folder
    state = read_sealed(folder / "state.json", "state")["state"]
    window = state["window"] | {k: v for k, v in change.items() if k in ("steps", "tokens")}
    own = {k: v for k, v in change.items() if k in state}
    reseal(folder / "state.json", "state", {"state": state | own | {"window": window}})
    found = Manifest.read(folder, "checkpoint")
    body = {k: found.body[k] for k in ("run", "best", "step", "epoch", "journal")}
    body |= {k: v for k, v in change.items() if k in ("step", "epoch")}
    files = {**found.files, "state.json": entry_of(folder / "state.json")}
    write_manifest(folder, "checkpoint", files, body)
    return found


@pytest.mark.parametrize("key", ["step", "position", "encoder_steps", "steps", "tokens"])
@pytest.mark.parametrize("value", [2**53, 2**52 + 1])
def test_counts_near_the_limit_are_rejected(
    run: RunDirectory, mivae: Mivae, key: str, value: int
) -> None:
    restate(run, {key: value})
    found = [finding.problem or "" for finding in verify(run).findings]
    assert any("state.json" in problem and f"{key}'" in problem for problem in found)
    assert outcome(run.path, "run").standing in ("evaluated", "interrupted")


def test_a_state_of_another_step_than_its_manifest_is_damage(run: RunDirectory) -> None:
    folder = run.checkpoints.named("last").manifest.folder
    reseal(folder / MANIFEST, "checkpoint", {"step": 2**40})
    assert outcome(run.path, "run").standing == "damaged"


def nest(folder: Path, depth: int = 1500) -> None:
    """Nests folders deeper than the longest path."""
    folder.mkdir(exist_ok=True)
    with contextlib.chdir(folder):
        for _ in range(depth):
            os.mkdir("aaaa")
            os.chdir("aaaa")


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder nested deeper than the recursion limit."""
    place = tmp_path / "deep"
    nest(place)
    yield place
    subprocess.run(["rm", "-rf", place], check=True)  # pytest's own removal is recursive


def test_deeply_nested_folders_are_searched(
    deep: Path, run: RunDirectory, trained: Path, mivae: Mivae
) -> None:
    ran = mivae("compare", deep)
    assert ran.code == 4
    assert "deep" in ran.err
    shutil.move(run.path, deep / "run")
    assert list(find_runs([deep])) == ["run"]
    assert mivae("compare", deep, trained).code == 0
    for arguments in (["verify"], ["sample"], ["encode", "-o", "x.npz"], ["reconstruct"]):
        assert mivae(*arguments, deep).code in (2, 3, 4)
    shutil.move(deep / "aaaa", deep / "run" / "aaaa")
    assert mivae("verify", deep / "run").code == 0
    shutil.move(deep / "run" / "aaaa", deep / "aaaa")


@pytest.mark.parametrize("length", [256, 5000, 100_000])
def test_paths_that_are_too_long_are_named(mivae: Mivae, length: int) -> None:
    for command in (
        ["compare"],
        ["verify"],
        ["sample"],
        ["eval", "--run"],
        ["sample", "--run"],
        ["estimate-mi"],
        ["config", "validate"],
        ["train"],
        ["config", "show"],
    ):
        ran = mivae(*command, "x/" + "y" * length)
        assert ran.code in (2, 3, 4, 6)
        assert ran.err.startswith("error: ")
