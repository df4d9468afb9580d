"""`mivae report` and `mivae.report`: complete runs, and runs that lack something."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mivae_cli
from mivae_cli.errors import ConfigError
from mivae_cli.reports import page, run_report
from mivae_cli.reports.contents import collect_report
from mivae_cli.reports.records import RunContents
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.stages import finish
from mivae_cli.training.events import Step
from support.program import Mivae, shorten_critics
from support.small import SMALL, write_scenes

pytest.importorskip("vl_convert")

SETTINGS = {
    f"{section}.{key}": value for section, table in SMALL.items() for key, value in table.items()
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run that is not evaluated, and the same run evaluated."""
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        shorten_critics(patched)
        text = write_scenes(folder / "corpus.txt")
        settings = {**SETTINGS, "evaluation.iw_samples": 1}
        run = mivae_cli.train(text, settings=settings, out="runs/new", evaluate=False)
        shutil.copytree(run.path, "runs/done")
        mivae_cli.load("runs/done").evaluate(iw_samples=2)
        yield folder


@pytest.fixture(autouse=True)
def _inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def contents(path: str) -> RunContents:
    [run] = finish(collect_report([Path(path)])).runs
    return run


def test_a_page_with_figures_and_the_same_as_json(mivae: Mivae) -> None:
    lines = Path("corpus.txt").read_text(encoding="utf-8").splitlines()
    Path("labels.txt").write_text("".join(f"{line.split()[0]}\n" for line in lines), "utf-8")
    ran = mivae("report", "runs/done", "-o", "page.html", "--svg", "figures", "--json",
                "--labels", "labels.txt", "--points", "10")  # fmt: skip
    assert ran.code == 0
    assert "page.html" in ran.err
    page = Path("page.html").read_text(encoding="utf-8")
    names = sorted(path.name for path in Path("figures").iterdir())
    assert {"map-length.svg", "map-rate.svg", "map-labels.svg", "estimates.svg"} <= set(names)
    assert all(path.read_bytes().startswith(b"<svg") for path in Path("figures").iterdir())
    [run] = json.loads(ran.out)["runs"]
    assert run["missing"] == []
    assert len(run["map"]["points"]) == 10
    assert {point["label"] for point in run["map"]["points"]} <= {
        line.split()[0] for line in lines
    }
    assert {row["key"] for row in run["headline"]} >= {"rate", "mi_dual", "ppl_iw", "active_units"}
    assert all(row["meaning"] in page for row in run["headline"] if "|" not in row["meaning"])


def test_the_figures_are_those_of_the_evaluation() -> None:
    run, record = contents("runs/done"), mivae_cli.load("runs/done").load_evaluation()
    assert run.rate == record["rate"]
    assert list(run.rates) == record["rates"]
    values = {each.estimator: each.value for each in run.estimates}
    assert values["known posterior"] == record["mi"]["known_posterior"]["value"]
    shown = {row.key: row.value for row in run.headline}
    assert shown["ppl_iw"] == f"{record['ppl_iw']:.2f}"
    changed = {row.key: (row.value, row.default) for row in run.settings if row.changed}
    assert changed["training.epochs"] == ("2", "25")
    assert [row.changed for row in run.settings] == sorted((row.changed for row in run.settings),
                                                          reverse=True)  # fmt: skip
    assert [split.split for split in run.splits] == ["train", "valid", "test"]
    assert [len(path) for path in run.interpolations] == [9, 9]
    for path in run.interpolations:
        texts = [[each.word for each in row.words] for row in path]
        assert not any(each.changed for each in path[0].words)
        for row, words, above in zip(path[1:], texts[1:], texts, strict=False):
            assert all(each.changed for each in row.words if each.word not in above)
            assert words != above or not any(each.changed for each in row.words)
    assert len(run.metrics.validations) == 2


def test_the_record_with_the_most_samples_is_shown(tmp_path: Path) -> None:
    shutil.copytree("runs/done", tmp_path / "run")
    mivae_cli.load(tmp_path / "run").evaluate()  # with one sample, as configured
    [perplexity] = [row for row in contents(str(tmp_path / "run")).headline if row.key == "ppl_iw"]
    assert perplexity.meaning.startswith("2 samples")


def test_the_same_seed_gives_the_same_report() -> None:
    assert contents("runs/done") == contents("runs/done")


def test_several_runs_are_compared(mivae: Mivae) -> None:
    ran = mivae("report", "runs", "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert [run["name"] for run in found["runs"]] == ["done", "new"]
    assert [row["run"] for row in found["comparison"]] == ["done", "new"]
    assert "Report on 2 runs" in Path("report.html").read_text(encoding="utf-8")
    assert mivae("report", "runs", "--labels", "labels.txt").code == 2


def test_the_page_of_a_run_is_in_the_run(mivae: Mivae, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree("runs/done", tmp_path / name)
    page = tmp_path / "a" / "report.html"
    before = Path("report.html").read_bytes() if Path("report.html").exists() else None
    assert str(page) in mivae("report", str(tmp_path / "a")).err.replace("\n", "")
    mivae_cli.load(tmp_path / "b").report()
    assert "Report on a" in page.read_text(encoding="utf-8")
    assert "Report on b" in (tmp_path / "b" / "report.html").read_text(encoding="utf-8")
    assert before == (Path("report.html").read_bytes() if before else None)
    page.unlink()
    page.symlink_to(tmp_path / "b" / "report.html")
    ran = mivae("report", str(tmp_path / "a"))
    assert ran.code != 0
    assert "report.html" in ran.err
    assert "Report on b" in page.read_text(encoding="utf-8")


def test_a_run_that_is_not_evaluated_says_how_to_evaluate_it() -> None:
    run = contents("runs/new")
    assert [gap.command for gap in run.missing] == ["mivae eval runs/new"]
    shutil.copytree("runs/new", "a copy")
    assert [gap.command for gap in contents("a copy").missing] == ["mivae eval 'a copy'"]
    assert run.map is not None
    assert run.samples
    assert not run.headline


def test_a_run_killed_in_its_first_epoch_is_shown_at_its_last_checkpoint() -> None:
    def kill(record: object) -> None:
        if isinstance(record, Step) and record.step == 4:
            raise RuntimeError

    settings = {**SETTINGS, "training.log_every": 1, "training.save_minutes": 1e-9}
    with pytest.raises(RuntimeError):
        mivae_cli.train("corpus.txt", settings=settings, out="killed", progress=kill)
    run = contents("killed")
    assert [gap.command for gap in run.missing] == ["mivae train --resume --out killed"]
    assert run.checkpoint.startswith("step-")
    assert run.map is not None
    assert run.metrics.steps
    assert not run.metrics.validations


@pytest.mark.parametrize(
    ("lost", "damage", "command"),
    [
        ("checkpoints", "", "mivae train --resume"),
        ("metrics.jsonl", '{"kind": "validation", "epoch": "one"}\n', "mivae verify"),
        ("environment.json", "", "mivae verify"),
        ("config.json", "{}", "mivae verify"),
        ("data/test.tokens", "", "mivae verify"),
        ("eval.json", "{}", "mivae verify"),
    ],
)
def test_a_damaged_run_says_what_is_missing(lost: str, damage: str, command: str) -> None:
    shutil.rmtree("broken", ignore_errors=True)
    shutil.copytree("runs/done", "broken")
    place = Path("broken", lost)
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.write_text(damage, encoding="utf-8")
    run = contents("broken")
    assert run.missing
    assert any(gap.command.startswith(command) for gap in run.missing)


def test_without_the_extra_the_error_says_what_to_install(
    mivae: Mivae, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    ran = mivae("report", "runs/done")
    assert (ran.code, ran.out) == (2, "")
    assert "mivae[report]" in ran.err


def test_what_is_no_run_or_cannot_be_written_is_an_error(mivae: Mivae) -> None:
    assert mivae("report", "corpus.txt").code == 4
    assert mivae("report", "runs/done", "-o", "absent/page.html").code == 2
    ran = mivae("report", "runs/done", "-o", "runs/done/data/page.html")
    assert ran.code == 2
    assert "corpus" in ran.err
    assert mivae("report", "runs/done", "--labels", "absent.txt").code == 3


def test_a_page_never_replaces_a_file_of_another_kind(mivae: Mivae) -> None:
    record = Path("runs/done/eval.json").read_bytes()
    ran = mivae("report", "runs/done", "-o", "runs/done/eval.json")
    assert ran.code == 2
    assert ".html" in ran.err
    with pytest.raises(ConfigError, match="html"):
        mivae_cli.report("runs/done", "runs/done/eval.json")
    assert Path("runs/done/eval.json").read_bytes() == record


class TestTheReportOfATraining:
    @pytest.fixture(autouse=True)
    def _installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run_report, "installed", lambda: True)

    def test_training_ends_with_it_and_a_resume_renews_it(self, mivae: Mivae) -> None:
        shutil.copytree("runs/done", "trained")
        written = Path("trained/report.html")
        ran = mivae("train", "--resume", "--out", "trained", "--epochs", "3", "--iw-samples", "1")
        assert ran.code == 0, ran.err
        assert "trained/report.html" in ran.err
        assert "mivae explore" in ran.err
        assert "epoch-0003" in written.read_text(encoding="utf-8")
        assert mivae("verify", "trained").code == 0
        assert mivae_cli.verify("trained").sound
        # a run with its report can be replaced
        settings = {**SETTINGS, "training.epochs": 1, "training.report": False}
        run = mivae_cli.train("corpus.txt", settings=settings, out="trained", overwrite=True)
        assert run.config.training.epochs == 1
        assert not written.exists()

    def test_a_failure_is_a_warning(self, mivae: Mivae, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> str:
            raise RuntimeError("no memory left")

        monkeypatch.setattr(page, "page_html", fail)
        shutil.copytree("runs/done", "failed")
        ran = mivae("train", "--resume", "--out", "failed", "--epochs", "3", "--iw-samples", "1")
        assert ran.code == 0
        assert "no memory left" in ran.err
        assert "mivae report failed" in " ".join(ran.err.split())
        assert not Path("failed/report.html").exists()
        told: list[object] = []
        mivae_cli.resume("failed", progress=told.append)  # evaluates again
        assert "no memory left" in str(told[-1])

    def test_a_link_is_not_followed(self) -> None:
        shutil.copytree("runs/done", "linked")
        Path("other.html").write_text("mine", encoding="utf-8")
        Path("linked/report.html").symlink_to(Path("other.html").resolve())
        run = RunDirectory.open(Path("linked"))
        assert "report.html" in run_report.write_run_report(run, run.load_config()).problem
        assert Path("other.html").read_text(encoding="utf-8") == "mine"
