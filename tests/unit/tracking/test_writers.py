"""What each tracker stores, read back from its files, also of a run that stopped and resumed."""

import html
import json
import re
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.choices import TrackerName
from mivae_cli.experiments.train_run import create_training, prepare, resume_training
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.stages import finish
from mivae_cli.tracking.follow import TrackerFailed, follow
from mivae_cli.tracking.tensorboard import escaped, markdown_table
from mivae_cli.tracking.trackers import Tracking, open_writer
from mivae_cli.tracking.writer import TrackedRun
from mivae_cli.training.events import Step, Validation
from support.small import small_config, write_scenes
from support.wandb_files import history, records

HOSTILE = '<script>alert(1)</script> | *a* _b_ `c` [d](javascript:e) &lt; # "\\'


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "wandb-own"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The database of trackio, which reads its folder when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(tmp_path_factory.mktemp("trackio")))
        trackio = pytest.importorskip("trackio")
        yield Path(trackio.utils.TRACKIO_DIR) / "mivae.db"


def stopped_and_resumed(tmp_path: Path, tracker: TrackerName) -> tuple[RunDirectory, list[Any]]:
    """Trains a run that is killed between two checkpoints, and resumes it.

    Returns the run and the records that an uninterrupted training would have yielded.
    """
    text = write_scenes(tmp_path / "scenes.txt", count=200)
    training = {"epochs": 2, "keep": 0, "log_every": 2}
    data = {"max_tokens": 12}  # soon decoded
    config = small_config(text, data=data, training=training, objective={"mi_weight": 0.0})
    tracking = Tracking((tracker,))
    killed = create_training(config, prepare(config).corpus, tmp_path / "run")
    work = follow(killed.trainer.fit(killed.run), tracking, killed.run, killed.trainer)
    seen: list[Any] = []
    for record in work:
        assert not isinstance(record, TrackerFailed), record
        seen.append(record)
        if len(seen) > 2 and isinstance(seen[-2], Step) and isinstance(seen[-3], Validation):
            break  # one record after the checkpoint has been written
    work.close()
    saved = [record for record in seen if isinstance(record, Validation)][-1].step
    resumed = resume_training(RunDirectory.open(tmp_path / "run"))
    assert resumed.trainer.state.step == saved < seen[-2].step
    again: list[Any] = []
    fit = resumed.trainer.fit(resumed.run)
    finish(follow(fit, tracking, resumed.run, resumed.trainer), again.append)
    assert not any(isinstance(record, TrackerFailed) for record in again)
    kept = [record for record in seen[1:] if record.step <= saved]
    return resumed.run, [*kept, *again[1:]]


def losses(found: list[Any], kind: type[Step | Validation]) -> list[tuple[int, float]]:
    return [(record.step, record.loss) for record in found if isinstance(record, kind)]


def hostile(tmp_path: Path, tracker: TrackerName) -> None:
    """Writes a table and a warning of untrusted text."""
    run = TrackedRun("odd", "ab" * 16, tmp_path / "tracking", {"name": HOSTILE}, 0)
    writer = open_writer(tracker, run)
    writer.table(1, "texts", ("one", "two"), [(HOSTILE, "x" * 5000)])
    writer.warning(1, "posterior collapse", HOSTILE)
    writer.close(completed=True)


class TestTensorBoard:
    def read(self, folder: Path) -> Any:  # noqa: ANN401  # its reader has no types
        reader = pytest.importorskip(
            "tensorboard.backend.event_processing.event_accumulator"
        ).EventAccumulator(str(folder))
        reader.Reload()
        return reader

    def test_a_resumed_run_continues_its_curves(self, tmp_path: Path) -> None:
        pytest.importorskip("tensorboard")
        run, seen = stopped_and_resumed(tmp_path, "tensorboard")
        [folder] = (tmp_path / "tracking" / "tensorboard").iterdir()
        assert folder.name == f"run-{run.id[:8]}"
        reader = self.read(folder)
        for name, kind in (("training/loss", Step), ("validation/loss", Validation)):
            found = [(event.step, event.value) for event in reader.Scalars(name)]
            assert [step for step, _ in found] == [step for step, _ in losses(seen, kind)]
            assert [v for _, v in found] == pytest.approx([v for _, v in losses(seen, kind)])
        tables = reader.Tensors("reconstructions/text_summary")
        assert [event.step for event in tables] == [step for step, _ in losses(seen, Validation)]
        [settings] = reader.Tensors("settings/text_summary")
        assert '"training.epochs": 2' in settings.tensor_proto.string_val[0].decode()

    def test_texts_are_shown_as_they_are(self, tmp_path: Path) -> None:
        pytest.importorskip("tensorboard")
        hostile(tmp_path, "tensorboard")
        reader = self.read(tmp_path / "tracking" / "tensorboard" / "odd-abababab")
        [event] = reader.Tensors("texts/text_summary")
        [row] = self.cells(event.tensor_proto.string_val[0].decode())
        assert row == [HOSTILE, "x" * 1000 + "..."]

    @given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn"))))
    def test_any_text_is_shown_as_it_is(self, text: str) -> None:
        pytest.importorskip("tensorboard")
        [[cell, _]] = self.cells(markdown_table(["a", "b"], [[text, "z"]]))
        assert cell.split() == text.split()

    def cells(self, markdown: str) -> list[list[str]]:
        """Returns the text of a table's cells as a browser shows them."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its sanitizer, on import
            shown = pytest.importorskip("tensorboard.plugin_util").markdown_to_safe_html
        page = shown(markdown)
        rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)[1:]
        found = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in rows]
        assert not re.search("<(?!/?(table|thead|tbody|tr|td|th)>)", page), page
        return [[html.unescape(cell) for cell in row] for row in found]

    def test_escaped_text_has_one_line(self) -> None:
        assert escaped("a\n\n# b\t c") == "a &#35; b c"


class TestWandb:
    def test_a_resumed_run_has_the_same_id(self, tmp_path: Path) -> None:
        pytest.importorskip("wandb")
        run, seen = stopped_and_resumed(tmp_path, "wandb")
        files = sorted((tmp_path / "tracking").glob("wandb/offline-run-*/*.wandb"))
        assert [file.name for file in files] == [f"run-{run.id}.wandb"] * 2
        rows = [row for file in files for row in history(file)]
        for name, kind in (("training/loss", Step), ("validation/loss", Validation)):
            found = {row["_step"]: row[name] for row in rows if name in row}
            assert found == pytest.approx(dict(losses(seen, kind)))
        tables = [row for row in rows if "reconstructions/_type" in row]
        assert [row["_step"] for row in tables] == [s for s, _ in losses(seen, Validation)]
        started = [r for r in records(files[0]) if r.WhichOneof("record_type") == "run"]
        assert (started[0].run.display_name, started[0].run.project) == ("run", "mivae")

    def test_tables_and_alerts_are_stored(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        pytest.importorskip("wandb")
        hostile(tmp_path, "wandb")
        [file] = (tmp_path / "tracking").glob("wandb/offline-run-*/*.wandb")
        [table] = file.parent.glob("files/media/table/texts_*.json")
        assert json.loads(table.read_text())["data"] == [[HOSTILE, "x" * 1000]]
        alerts = [r.alert for r in records(file) if r.WhichOneof("record_type") == "alert"]
        assert [(alert.title, alert.text) for alert in alerts] == [("posterior collapse", HOSTILE)]
        assert capfd.readouterr().out == ""


class TestTrackio:
    def rows(self, database: Path, query: str) -> list[Any]:
        connection = sqlite3.connect(database)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def test_a_resumed_run_continues_its_curves(
        self, tmp_path: Path, database: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        run, seen = stopped_and_resumed(tmp_path, "trackio")
        query = f"select run_id, step, metrics from metrics where run_name = 'run-{run.id[:8]}'"
        found = self.rows(database, query)
        assert len({run_id for run_id, *_ in found}) == 1
        for name, kind in (("training/loss", Step), ("validation/loss", Validation)):
            values = [(step, json.loads(metrics)) for *_, step, metrics in found]
            known = {step: row[name] for step, row in values if name in row}
            assert known == pytest.approx(dict(losses(seen, kind)))
        assert capfd.readouterr().out == ""

    def test_tables_and_alerts_are_stored(
        self, tmp_path: Path, database: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        hostile(tmp_path, "trackio")
        query = "select metrics from metrics where run_name = 'odd-abababab'"
        [(metrics,)] = self.rows(database, query)
        assert json.loads(metrics)["texts"]["_value"] == [{"one": HOSTILE, "two": "x" * 1000}]
        query = "select title, text, step from alerts where run_name = 'odd-abababab'"
        assert self.rows(database, query) == [("posterior collapse", HOSTILE, 1)]
        assert capfd.readouterr().out == ""
