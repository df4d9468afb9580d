"""Sweeps and comparisons as a user meets them: stopped, repeated, failed, and always the same."""

import csv
import io
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mivae_cli.cli.support.console import plain
from mivae_cli.estimators.critic_training import PROFILES
from mivae_cli.evaluation.evaluate import Evaluation
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.training.trainer import Trainer
from support.program import Mivae, Ran
from support.small import write_scenes

TINY = """
data = { tokenizer = { kind = "word" } }
model = { latent_size = 4, encoder = { embedding_size = 8, hidden_size = 8 }, \
decoder = { embedding_size = 8, hidden_size = 8, dropout = 0.3 } }
critic = { queue_size = 64, network = { hidden_size = 8, score_size = 8 } }
objective = { beta_schedule = { kind = "constant" } }  # no ramp that two epochs would cut short
training = { epochs = 2, batch_size = 32, log_every = 5 }
"""
GRID = ["--set", "objective.mi_weight=0,1", "--seeds", "0,1", "--iw-samples", "2"]
NAMES = [f"mi_weight={weight},seed={seed}" for weight in (0, 1) for seed in (0, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sweeps")
    write_scenes(place / "scenes.txt", count=250)
    (place / "tiny.toml").write_text(TINY)
    return place


@pytest.fixture(autouse=True)
def inside(brief: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A suite that runs in the background inherits an ignored SIGINT: here it is answered."""
    monkeypatch.chdir(folder)
    plan = replace(PROFILES["default"], steps=5)  # what a critic finds is beside the point
    monkeypatch.setitem(PROFILES, "default", plan)
    monkeypatch.setattr(
        "mivae_cli.experiments.comparability.COLLAPSED", -1.0
    )  # as these tiny models all have
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def sweep(mivae: Mivae, out: Path | str, *arguments: object, grid: list[str] = GRID) -> Ran:
    given = ["sweep", "scenes.txt", "--config", "tiny.toml", "--out", out, *grid, *arguments]
    return mivae(*map(str, given))


def evaluations(place: Path | str, names: list[str] = NAMES) -> dict[str, Any]:
    return {name: RunDirectory.open(Path(place) / name).load_evaluation() for name in names}


def without_times(text: str) -> list[dict[str, Any]]:
    """Returns the records of a JSON table, less its places and what the clock says."""
    rows: list[dict[str, Any]] = json.loads(text)
    for row in rows:
        del row["paths"], row["figures"]["minutes"]
    return rows


@pytest.fixture
def undisturbed(mivae: Mivae, folder: Path) -> Path:
    """A sweep of two weights and two seeds that nothing has disturbed, made once."""
    place = folder / "undisturbed"
    if not place.exists():
        ran = sweep(mivae, place, "--json")
        assert ran.code == 0, ran.err
        (folder / "undisturbed.json").write_text(ran.out)
    return place


def test_a_sweep_is_the_runs_that_train_makes(
    mivae: Mivae, undisturbed: Path, tmp_path: Path
) -> None:
    assert sorted(path.name for path in undisturbed.iterdir()) == NAMES
    alone = mivae(
        "train", "scenes.txt", "--config", "tiny.toml", "--out", tmp_path / "run", "--seed", "1",
        "--mi-weight", "1", "--iw-samples", "2", "--json",
    )  # fmt: skip
    assert json.loads(alone.out) == evaluations(undisturbed)["mi_weight=1,seed=1"]


def test_eval_gives_the_record_of_train_and_sweep_to_the_last_digit(
    mivae: Mivae, undisturbed: Path, tmp_path: Path
) -> None:
    name, place = "mi_weight=1,seed=1", tmp_path / "run"
    shutil.copytree(undisturbed / name, place)
    before = RunDirectory.open(place).load_evaluation()
    assert before["iw_samples"] == 2  # of the sweep's --iw-samples, kept with the run
    assert before["seed"] == 0  # an evaluation's, not the training's
    ran = mivae("eval", place, "--json")
    assert json.loads(ran.out) == RunDirectory.open(place).load_evaluation() == before
    resumed = mivae("train", "--resume", "--out", place, "--json")
    assert json.loads(resumed.out) == before
    assert RunDirectory.open(place).load_config().evaluation.iw_samples == 2
    other = mivae("eval", place, "--json", "--seed", "5", "--iw-samples", "1")
    found = json.loads(other.out)
    assert (found["seed"], found["iw_samples"]) == (5, 1)
    assert found["ppl_iw"] != before["ppl_iw"]
    assert found["rate"] == before["rate"]


def test_a_sweep_ends_in_the_table_that_compare_shows(mivae: Mivae, undisturbed: Path) -> None:
    rows = json.loads((undisturbed.parent / "undisturbed.json").read_text())
    assert [row["run"] for row in rows] == ["mi_weight=0", "mi_weight=1"]
    assert [row["seeds"] for row in rows] == [[0, 1], [0, 1]]
    assert [row["settings"] for row in rows] == [
        {"objective.mi_weight": 0.0},
        {"objective.mi_weight": 1.0},
    ]
    compared = mivae("compare", undisturbed, "--json")
    assert compared.code == 0
    assert json.loads(compared.out) == rows
    assert compared.err == ""
    found = evaluations(undisturbed)
    ppl = [found[f"mi_weight=0,seed={seed}"]["ppl_iw"] for seed in (0, 1)]
    assert rows[0]["figures"]["ppl_iw"]["value"] == pytest.approx(sum(ppl) / 2)
    apart = json.loads(mivae("compare", undisturbed, "--json", "--no-fold").out)
    assert [row["run"] for row in apart] == NAMES
    assert [row["figures"]["ppl_iw"]["value"] for row in apart[:2]] == ppl


def test_a_sweep_that_is_done_does_nothing_more(mivae: Mivae, undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.is_file()}
    again = sweep(mivae, undisturbed, "--json")
    assert again.code == 0
    assert again.err.count("already complete") == 4
    assert again.out == (undisturbed.parent / "undisturbed.json").read_text()
    after = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.is_file()}
    assert before == after


def test_interrupted_wherever_and_started_again_it_ends_with_the_same_figures(
    mivae: Mivae, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a step of the first, second and last run, and in an evaluation."""
    steps, evaluated, begun = 0, 0, 0
    step, init = Trainer.step, Trainer.__init__
    evaluate = Evaluation.__init__

    def counted_step(self: Trainer, batch: Any) -> Any:  # noqa: ANN401
        nonlocal steps
        steps += 1
        if steps in (4, 40, 41, 50):
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch)

    def counted_evaluation(self: Evaluation, *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        nonlocal evaluated
        evaluated += 1
        if evaluated == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)
        evaluate(self, *arguments, **named)

    def counted_init(self: Trainer, *arguments: Any) -> None:  # noqa: ANN401
        nonlocal begun
        begun += 1
        if begun == 4:
            os.kill(os.getpid(), signal.SIGINT)
        init(self, *arguments)

    monkeypatch.setattr(Trainer, "step", counted_step)
    monkeypatch.setattr(Trainer, "__init__", counted_init)
    monkeypatch.setattr(Evaluation, "__init__", counted_evaluation)
    place = tmp_path / "out"
    codes: list[int] = []
    while not codes or codes[-1]:
        ran = sweep(mivae, place, "--json")
        codes.append(ran.code)
        if ran.code:
            assert ran.code == 130
            assert ran.out == ""
            assert "the same command" in ran.err
            assert ran.err.rstrip().endswith("error: interrupted")
        assert len(codes) < 10
    assert len(codes) == 7
    assert "resuming" in ran.err
    assert evaluations(place) == evaluations(undisturbed)
    expected = (undisturbed.parent / "undisturbed.json").read_text()
    assert without_times(ran.out) == without_times(expected)


def test_a_run_that_fails_does_not_keep_the_others(mivae: Mivae, tmp_path: Path) -> None:
    grid = ["--set", "training.optimizer.kind=sgd", "--set", "training.max_bad_batches=1"]
    grid += ["--set", "training.optimizer.learning_rate=1e30,0.1", "--iw-samples", "1"]
    ran = sweep(mivae, tmp_path, "--json", grid=grid)
    assert ran.code == 1
    failed, done = json.loads(ran.out)
    assert (failed["run"], failed["standing"]) == ("learning_rate=1e30", "failed")
    assert "diverged" in failed["problem"]
    assert (done["run"], done["standing"]) == ("learning_rate=0.1", "evaluated")
    assert "error: learning_rate=1e30: training diverged" in ran.err
    assert "error: 1 of 2 runs failed (learning_rate=1e30)" in ran.err
    assert "Traceback" not in ran.err
    again = sweep(mivae, tmp_path, grid=grid)
    assert again.code == 1
    assert "already complete" in again.err
    assert "failed" in again.out


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), ["out of memory"]),
        (ValueError("of seven"), ["internal error", "ValueError: of seven", "mivae-error-"]),
    ],
)
def test_what_nobody_foresaw_fails_alone(
    error: Exception,
    words: list[str],
    mivae: Mivae,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit = Trainer.fit

    def starved(self: Trainer, *arguments: Any) -> Any:  # noqa: ANN401
        if self.config.seed == 0:
            raise error
        return fit(self, *arguments)

    monkeypatch.setattr(Trainer, "fit", starved)
    ran = sweep(mivae, tmp_path, "--json", grid=["--seeds", "0,1", "--iw-samples", "1"])
    assert ran.code == 1
    assert [row["standing"] for row in json.loads(ran.out)] == ["failed", "evaluated"]
    assert all(word in ran.err for word in words)


def test_other_settings_and_other_text_are_not_mixed_with_what_is_there(
    mivae: Mivae, undisturbed: Path, tmp_path: Path
) -> None:
    place = tmp_path / "out"
    shutil.copytree(undisturbed, place)
    before = evaluations(place)
    ran = sweep(mivae, place, "--epochs", "3", "--json")
    assert ran.code == 1
    assert {row["standing"] for row in json.loads(ran.out)} == {"failed"}
    assert ran.err.count("(training.epochs from 2 to 3)") == 8
    listed = sweep(mivae, place, "--epochs", "3", "--dry-run")
    assert listed.out.count("failed: ") == 4
    text = Path("scenes.txt").read_text()
    try:
        Path("scenes.txt").write_text(text + "one more line .\n")
        other = sweep(mivae, place, "--json")
    finally:
        Path("scenes.txt").write_text(text)
    assert other.code == 1
    assert other.err.count("scenes.txt'") >= 4
    assert evaluations(place) == before


def test_what_is_missing_or_damaged_in_a_run_is_made_anew(
    mivae: Mivae, undisturbed: Path, tmp_path: Path
) -> None:
    place = tmp_path / "out"
    shutil.copytree(undisturbed, place)
    lost, spoilt, gone, unmanned = (place / name for name in NAMES)
    (lost / "eval.json").unlink()
    (spoilt / "eval.json").write_text("{}")
    shutil.rmtree(gone)
    (unmanned / "config.json").write_text("{}")
    shown = mivae("compare", place, "--json")
    assert shown.code == 0
    assert [row["standing"] for row in json.loads(shown.out)] == ["damaged"] * 3
    assert "eval.json' is missing" in shown.err
    ran = sweep(mivae, place, "--json")
    assert ran.code == 1  # the settings of a run are not made up
    rows = json.loads(ran.out)
    assert [row["standing"] for row in rows] == ["evaluated", "evaluated", "failed"]
    assert evaluations(place, NAMES[:3]) == evaluations(undisturbed, NAMES[:3])


def test_no_later_evaluation_loses_what_was_measured_in_full(
    mivae: Mivae, undisturbed: Path, tmp_path: Path
) -> None:
    place, one = tmp_path / "out", ["--set", "objective.mi_weight=1", "--seeds", "0,1"]
    shutil.copytree(undisturbed / NAMES[2], place / "seed=0")
    shutil.copytree(undisturbed / NAMES[3], place / "seed=1")
    run = RunDirectory.open(place / "seed=1")
    full = {"protocol": {"seed": 0, "samples": 9}, "generation": {"reverse_ppl": 12.5}}
    run.write_evaluation({**run.load_evaluation(), "full": full})
    for command in (
        [
            "sweep",
            "scenes.txt",
            "--config",
            "tiny.toml",
            "--out",
            place,
            *one,
            "--iw-samples",
            "3",
        ],
        ["eval", run.path, "--iw-samples", "1"],
        ["eval", run.path, "--iw-samples", "4", "--seed", "7"],
        ["eval", run.path / "checkpoints" / "epoch-0001", "--iw-samples", "50"],
        ["train", "--resume", "--out", run.path, "--iw-samples", "2"],
    ):
        ran = mivae(*map(str, command))
        assert ran.code == 0, ran.err
        _, row = json.loads(mivae("compare", place, "--json", "--no-fold").out)
        assert row["figures"]["full.generation.reverse_ppl"]["value"] == 12.5
    assert RunDirectory.open(run.path).load_evaluations().sampled == {1, 2, 3, 4}
    assert RunDirectory.open(run.path).load_evaluation()["full"] == full
    done = sweep(mivae, place, "--full", "--lm", "judge", "--dry-run", "--json", grid=one)
    states = [row["state"] for row in json.loads(done.out)]
    assert states == ["trained", "trained"]  # 100 samples are asked for
    done = sweep(mivae, place, "--full", "--iw-samples", "3", "--dry-run", "--json", grid=one)
    assert [row["state"] for row in json.loads(done.out)] == ["trained", "evaluated"]


def test_another_number_of_samples_evaluates_anew(
    mivae: Mivae, undisturbed: Path, tmp_path: Path
) -> None:
    place = tmp_path / "out"
    shutil.copytree(undisturbed, place)
    trained = sweep(mivae, place, "--iw-samples", "3", "--dry-run", "--json")
    assert {row["state"] for row in json.loads(trained.out)} == {"trained"}
    one = ["--set", "objective.mi_weight=0", "--seeds", "0,1"]
    ran = sweep(mivae, tmp_path / "few", "--iw-samples", "3", grid=one)
    assert ran.code == 0
    few = sweep(mivae, tmp_path / "few", "--iw-samples", "2", "--json", grid=one)
    found = evaluations(tmp_path / "few", ["seed=0", "seed=1"])
    assert "epoch   " not in few.err
    assert list(found.values()) == [evaluations(undisturbed)[name] for name in NAMES[:2]]
    both = mivae("compare", tmp_path / "few" / "seed=0", place / NAMES[0])
    assert both.err == ""
    records = RunDirectory.open(tmp_path / "few" / "seed=0").load_evaluations()
    assert records.sampled == {2, 3}
    again = sweep(mivae, tmp_path / "few", "--iw-samples", "3", grid=one)
    assert again.err.count("already complete") == 2  # no record was lost
    mivae("eval", tmp_path / "few" / "seed=0", "--iw-samples", "1")
    folded = json.loads(mivae("compare", tmp_path / "few", "--json").out)
    assert [row["seeds"] for row in folded] == [[0, 1]]
    shutil.copytree(tmp_path / "few" / "seed=0", tmp_path / "lone")
    (tmp_path / "lone" / "eval.json").unlink()
    mivae("eval", tmp_path / "lone", "--iw-samples", "1")
    both = mivae("compare", tmp_path / "lone", place / NAMES[0])
    assert "IW-PPL" in both.err


def test_a_dry_run_lists_the_commands_and_writes_nothing(
    mivae: Mivae, undisturbed: Path, tmp_path: Path
) -> None:
    place = tmp_path / "out"
    shutil.copytree(undisturbed / NAMES[0], place / NAMES[0])
    before = sorted(tmp_path.rglob("*"))
    ran = sweep(mivae, place, "--dry-run")
    assert ran.code == 0
    assert sorted(tmp_path.rglob("*")) == before
    lines = ran.out.splitlines()
    assert lines[0] == f"# {NAMES[0]}: evaluated"
    assert lines[1].startswith("# mivae train scenes.txt")
    assert lines[2] == f"# {NAMES[1]}: new"
    assert len(lines) == 8
    records = json.loads(sweep(mivae, place, "--dry-run", "--json").out)
    (command,) = records[3]["commands"]
    assert mivae(*command[1:]).code == 0
    assert evaluations(place, NAMES[3:]) == evaluations(undisturbed, NAMES[3:])
    full = sweep(mivae, place, "--full", "--lm", "judge", "--dry-run", "--json")
    for row in json.loads(full.out):
        assert row["commands"][0][:2] == ["mivae", "train"]
        assert row["commands"][1][:3] == ["mivae", "eval", str(place / row["run"])]
        assert row["commands"][1][-3:] == ["--full", "--lm", "judge"]


def test_forms_are_printed_and_read_back(mivae: Mivae, undisturbed: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(mivae("compare", undisturbed, "--csv").out)))
    assert [row["objective.mi_weight"] for row in rows] == ["0.0", "1.0"]
    assert [row["seeds"] for row in rows] == ["0 1", "0 1"]
    assert mivae("compare", undisturbed, "--markdown").out.startswith("| run | n | mi\\_weight |")
    assert "\\toprule" in mivae("compare", undisturbed, "--latex").out
    bare = mivae("compare", undisturbed, "--markdown", "--no-settings")
    assert bare.out.startswith("| run | n | IW-PPL |")
    listed = mivae("compare", undisturbed, "--columns", "list").out
    assert {"ppl_iw", "effective_units", "objective.mi_weight"} <= set(listed.split())
    chosen = mivae("compare", undisturbed, "--markdown", "--columns", "rate, ppl_iw,mi_weight")
    assert chosen.out.startswith("| run | n | mi\\_weight | KL | IW-PPL |\n")
    wrong = mivae("compare", undisturbed, "--columns", "rat")
    assert wrong.code == 2
    assert "'rate'" in wrong.err
    assert mivae("compare", undisturbed, "--no-settings", "--columns", "rate").code == 2
    both = mivae("compare", undisturbed, "--latex", "--json")
    assert both.code == 2
    assert "--json" in both.err
    assert "--latex" in both.err


def test_a_narrow_terminal_gets_several_tables_and_every_column(
    mivae: Mivae, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = [
        "IW-PPL",
        "NLL (IW)",
        "-ELBO",
        "D",
        "KL",
        "MI",
        "MI lower",
        "MI upper",
        "MI@32",
        "active",
        "effective",
        "min",
    ]
    for columns, tables in (("80", 5), ("280", 1)):
        monkeypatch.setenv("COLUMNS", columns)
        lines = mivae("compare", undisturbed).out.splitlines()
        assert max(map(len, lines)) <= int(columns)
        titles = [line for line in lines if line.startswith(" run ")]
        assert len(titles) == tables
        assert all(f" {head} " in " ".join(titles) for head in heads)
        assert sum(line.startswith(" mi_weight=1 ") for line in lines) == tables
        assert not any("…" in line for line in lines)


def test_where_names_are_long_the_tables_are_held_together_by_numbers(
    mivae: Mivae, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"{letter}{'-long-name' * 6}" for letter in "ab"]
    for name, run in zip(names, NAMES[1:3], strict=True):
        shutil.copytree(undisturbed / run, tmp_path / name)
    lines = mivae("compare", tmp_path).out.splitlines()
    assert max(map(len, lines)) <= 80
    heads = [line for line in lines if line.startswith(" #  ")]
    assert len(heads) == sum(line.startswith(" 2  ") for line in lines) > 1
    cells = [line for line in lines if line.startswith(" ")]  # without the notes
    shown = "".join(line.split("  ")[1] for line in cells if "name" in line or "-lo" in line)
    assert all(shown.count(name[:40]) == 1 for name in names)


def test_runs_are_found_under_folders_once_and_named_apart(
    mivae: Mivae, undisturbed: Path, tmp_path: Path
) -> None:
    for name in ("a/one", "b/one", "b/deep/two"):
        shutil.copytree(undisturbed / NAMES[0], tmp_path / name)
    (tmp_path / "b" / "notes.txt").write_text("no run")
    (tmp_path / "loop").symlink_to(tmp_path)
    ran = mivae("compare", tmp_path, tmp_path / "a", tmp_path / "a" / "one", "--json")
    assert [row["run"] for row in json.loads(ran.out)] == ["a/one", "b/deep/two", "b/one"]
    one = mivae("compare", tmp_path / "a", "--json")
    assert [row["run"] for row in json.loads(one.out)] == ["one"]


@pytest.mark.parametrize("odd", ["[bold]x[/]", "\x1b]0;owned\x07", "=1+1", "\u202ea"])
@pytest.mark.parametrize("form", ["", "--json", "--csv", "--markdown", "--latex"])
def test_names_steer_nothing(
    mivae: Mivae, undisturbed: Path, tmp_path: Path, odd: str, form: str
) -> None:
    shutil.copytree(undisturbed / NAMES[0], tmp_path / odd)
    (tmp_path / odd / "eval.json").unlink()
    ran = mivae("compare", tmp_path / odd, *filter(None, [form]))
    assert ran.code == 0
    assert plain(ran.out + ran.err) == ran.out + ran.err
    assert plain(odd) in ran.err


BAD: list[tuple[list[str], int, str]] = [
    (["compare"], 4, "runs"),
    (["compare", "nowhere"], 4, "nowhere"),
    (["compare", "scenes.txt"], 4, "scenes.txt"),
    (["compare", "empty"], 4, "'empty'"),
    (
        ["compare", "undisturbed/mi_weight=0,seed=0/checkpoints/best"],
        4,
        "'undisturbed/mi_weight=0,seed=0'",
    ),
    (["sweep"], 2, "mivae sweep corpus.txt"),
    (["sweep", "scenes.txt", "--csv", "--json"], 2, "--json"),
    (["sweep", "scenes.txt", "--preset", "mine,vea"], 2, "did you mean 'vae'"),
    (["sweep", "scenes.txt", "--set", "objective.beta=1,-1"], 2, "beta=-1: 'objective.beta'"),
    (["sweep", "scenes.txt", "--set", "objective.beta='1"], 2, "'1"),
    (["sweep", "scenes.txt", "--seeds", "0,x"], 2, "seed=x: 'seed'"),
    (["sweep", "scenes.txt", "--config", "missing.toml", "--seeds", "0,1"], 2, "missing.toml"),
    (["sweep", "scenes.txt", "--device", "cuda:42"], 2, "cuda:42"),
    (["sweep", "missing.txt", "--seeds", "0,1"], 3, "missing.txt"),
    (["sweep", "-", "--set", "data.max_tokens=9,10"], 2, "standard input"),
    (["sweep", "scenes.txt", "--out", "undisturbed/mi_weight=0,seed=0"], 2, "--out"),
    (["sweep", "scenes.txt", "--no-such-option"], 2, "--no-such-option"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD, ids=[" ".join(b[0]) for b in BAD])
def test_what_the_user_can_mend_is_one_line_and_nothing_is_begun(
    mivae: Mivae, undisturbed: Path, arguments: list[str], code: int, words: str
) -> None:
    Path("empty").mkdir(exist_ok=True)
    ran = mivae(*arguments)
    assert ran.code == code
    assert ran.out == ""
    assert words in ran.err
    assert len(ran.err[ran.err.index("error: ") :].strip().splitlines()) <= 2
    assert not Path("runs").exists()


def test_without_a_place_a_sweep_takes_a_new_one_and_an_odd_folder_is_left_alone(
    mivae: Mivae, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("scenes.txt", "tiny.toml"):
        shutil.copy(folder / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "sweep-scenes-1").mkdir(parents=True)
    (tmp_path / "runs" / "sweep-scenes-2" / "latent_size=0").mkdir(parents=True)
    given = ["sweep", "scenes.txt", "--config", "tiny.toml", "--set", "model.latent_size=0,4"]
    given += ["--iw-samples", "1", "--epochs", "1"]
    ran = mivae(*given)
    assert ran.code == 0
    assert "sweep: runs/sweep-scenes-3, 2 runs" in ran.err
    assert "next: mivae compare runs/sweep-scenes-3" in ran.err
    assert " latent_size=0 " in ran.out
    stranger = tmp_path / "runs" / "sweep-scenes-2" / "latent_size=0" / "thesis.tex"
    stranger.write_text("mine")
    again = mivae(*given, "--out", "runs/sweep-scenes-2", "--json")
    assert again.code == 1
    assert [row["standing"] for row in json.loads(again.out)] == ["failed", "evaluated"]
    assert stranger.read_text() == "mine"
