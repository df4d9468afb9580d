"""The default run of a command, and arguments that are mistyped paths rather than sentences."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mivae_cli.cli.support.run_lookup import check_sentences
from mivae_cli.errors import CheckpointError, ConfigError
from mivae_cli.experiments.status import outcome
from mivae_cli.experiments.train_run import unused_path
from mivae_cli.experiments.verify import verify
from mivae_cli.runs.checkpoints import Checkpoint, Checkpoints
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.runs.latest import newest_interrupted, newest_usable
from mivae_cli.runs.loading import load_checkpoint
from mivae_cli.storage.lock import locked
from mivae_cli.storage.manifest import MANIFEST, Manifest
from mivae_cli.storage.sealed_json import read_sealed, write_sealed
from support.program import Mivae
from support.small import small_config, train_to_end, write_scenes


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("finished")
    text = write_scenes(place / "scenes.txt", count=200)
    config = small_config(text, training={"epochs": 2, "keep": 5, "patience": 100})
    return train_to_end(config, place / "run")[0].path


Make = Callable[..., Path]


@pytest.fixture
def make(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Creates runs in runs/, each newer than the one before."""
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    made: list[Path] = []
    with ExitStack() as locks:

        def make_run(name: str, kind: str = "finished") -> Path:
            path = Path("runs") / name
            shutil.copytree(finished, path)
            run = RunDirectory.open(path)
            match kind:
                case "interrupted":
                    training = run.load_config().training.model_copy(update={"epochs": 9})
                    run.update_config(run.load_config().model_copy(update={"training": training}))
                case "without checkpoint" | "before its first checkpoint":
                    shutil.rmtree(path / "checkpoints")
                case "damaged":
                    (path / "config.json").write_text("{}")
            if kind in ("training", "before its first checkpoint"):
                locks.enter_context(locked(path))
            made.append(path)
            for age, each in enumerate(made):
                for inner in each.iterdir():
                    os.utime(inner, (1000 + age, 1000 + age))
            return path

        yield make_run


def test_the_newest_finished_run_is_chosen_and_skipped_ones_are_listed(make: Make) -> None:
    make("old")
    path = make("a")
    assert newest_usable().run.path == path
    assert "runs/" not in newest_usable().reason
    make("b", "before its first checkpoint")
    assert newest_usable().run.path == path
    assert "runs/b is still training" in newest_usable().reason
    for name, kind in (("c", "interrupted"), ("d", "training"), ("e", "damaged")):
        make(name, kind)
        assert newest_usable().run.path == path
        assert f"runs/{name}" in newest_usable().reason
    assert newest_usable().run.path != make("f", "without checkpoint")
    assert newest_usable().run.path != newest_interrupted().run.path
    newest = make("g")
    assert newest_usable().run.path == newest


def test_without_a_finished_run_one_with_a_checkpoint_is_chosen(make: Make) -> None:
    make("a", "damaged")
    make("b", "without checkpoint")
    with pytest.raises(CheckpointError, match="runs/b"):
        newest_usable()
    path = make("c", "interrupted")
    make("d", "before its first checkpoint")
    assert newest_usable().run.path == path
    assert "runs/d" in newest_usable().reason
    newest = make("e", "training")
    assert newest_usable().run.path == newest


def test_the_newest_interrupted_run_is_resumed(make: Make) -> None:
    path = make("a", "interrupted")
    make("b")
    make("c", "training")
    assert newest_interrupted().run.path == path
    assert "runs/c is still training" in newest_interrupted().reason
    newer = make("d", "without checkpoint")
    assert newest_interrupted().run.path == newer


def test_without_an_interrupted_run_the_newest_finished_one_is_resumed(make: Make) -> None:
    make("old")
    path = make("a")
    make("b", "training")
    assert newest_interrupted().run.path == path
    shutil.rmtree("runs/a")
    shutil.rmtree("runs/old")
    with pytest.raises(CheckpointError, match="runs/b"):
        newest_interrupted()
    shutil.rmtree("runs")
    for choose in (newest_interrupted, newest_usable):
        with pytest.raises(CheckpointError, match="mivae train"):
            choose()


def test_commands_report_the_chosen_run(make: Make, mivae: Mivae) -> None:
    make("a")
    make("b", "before its first checkpoint")
    ran = mivae("sample", "--n", "1")
    assert ran.code == 0
    assert ran.err.startswith("run: runs/a (")
    assert "runs/b is still training" in ran.err
    assert mivae("sample", "runs/b").code == 4


SENTENCES = ["reconstruct", "interpolate", "neighbours", "analogy"]
PATHS = ["runs/bsae", "./bsae", "../x/y", "~/runs/base", "runs/bsae/checkpoints/last", "/tmp/nowhere",
         "base", "runs", "sub", "notes", "sentences.txt", "missing.jsonl", "my runs/no run", "a/b",
         "runs/", "runs/base/", "RUN/1", "runs/my run", "vectors.npz"]  # fmt: skip


@pytest.mark.parametrize("command", SENTENCES)
def test_a_mistyped_run_is_not_a_sentence(make: Make, mivae: Mivae, command: str) -> None:
    make("base")
    ran = mivae(command, "runs/bsae", "a man walks .")
    assert (ran.code, ran.out) == (2, "")
    assert "'runs/bsae'" in ran.err
    assert "'runs/base'" in ran.err
    assert "--run" in ran.err
    assert mivae(command, "a man walks .", "./bsae", "a cat").code == 2
    ran = mivae("--debug", "reconstruct", "--run", "runs/base", "runs/bsae")
    assert ran.code == 0
    assert ran.out.startswith("runs/bsae\n")


@pytest.mark.parametrize("text", PATHS)
def test_an_argument_that_looks_like_a_path_is_rejected(make: Make, text: str) -> None:
    make("base")
    Path("sub").mkdir()
    Path("my runs").mkdir()
    Path("notes").write_text("")
    Path("sentences.txt").write_text("")
    if text == "runs/base/":
        return check_sentences(["a man"])  # that is a run
    with pytest.raises(ConfigError, match="--run"):
        check_sentences(["a man", text])
    return None


@pytest.mark.parametrize(
    "text",
    ["", "hello", "a man and/or a woman walks .", "5 km/h is slow", "either / or", "/ alone",
     "x" * 5000, "caf\udce9", "a\0b", "- a man", "what ...", "runs fast", "~ about", "yes.", "1.5",
     "/x y z/", "猫が座った", "base jumpers"],
)  # fmt: skip
def test_other_arguments_are_sentences(make: Make, text: str) -> None:
    make("base")
    check_sentences([text])


@pytest.mark.parametrize(
    "arguments",
    [["sample"], ["eval"], ["estimate-mi"], ["verify"], ["compare"], ["config", "show"],
     ["encode", "-o", "v.npz", "text.txt"]],
    ids=" ".join,
)  # fmt: skip
def test_every_command_suggests_the_nearest_run(
    make: Make, mivae: Mivae, arguments: list[str]
) -> None:
    make("base")
    for given in ("runs/bsae", "runs/bsae/checkpoints/best"):
        command = [*arguments, given]
        if arguments[0] == "encode":
            command = ["encode", given, *arguments[1:]]
        ran = mivae(*command)
        assert ran.code == 4
        assert "'runs/base'" in ran.err
    ran = mivae(arguments[0], *(["show"] if "show" in arguments else []), "--run", "runs/bsae")
    if arguments[0] not in ("compare", "encode"):
        assert "'runs/base'" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [["reconstruct", "- a man"], ["interpolate", "- a man", "- a cat"], ["analogy", "a", "b", "-c d"],
     ["neighbours", "-5 degrees"], ["reconstruct", "--a man"], ["reconstruct", "-n"]],
    ids=" ".join,
)  # fmt: skip
def test_a_sentence_that_begins_with_a_dash_needs_two_dashes(
    make: Make, mivae: Mivae, arguments: list[str]
) -> None:
    make("base")
    ran = mivae(*arguments)
    assert ran.code == 2
    assert " -- " in ran.err
    rest = [*arguments[1:], *["a cat"] * (2 if arguments[0] == "analogy" else 0)][:3]
    assert mivae(arguments[0], "--", *rest).code == 0


def test_debug_after_two_dashes_is_a_sentence(make: Make, mivae: Mivae) -> None:
    make("base")
    assert mivae("reconstruct", "--", "--debug").out.startswith("--debug\n")


def replace_checkpoint(folder: Path, name: str) -> None:
    """Adds a best checkpoint and removes another, as training does."""
    place = folder.with_name(name)
    shutil.copytree(folder, place)
    body = read_sealed(place / MANIFEST, "checkpoint")
    body |= {"best": name}
    del body["checksum"]
    write_sealed(place / MANIFEST, "checkpoint", body)
    shutil.rmtree(folder)


class TestRotation:
    """Training removes a checkpoint after it is found and before it is read."""

    @pytest.mark.parametrize(
        ("name", "moment"),
        [
            ("best", (Checkpoints, "load")),
            ("best", (RunDirectory, "load_model")),
            ("last", (Checkpoints, "load")),
            ("last", (Checkpoint, "check")),
            ("last", (RunDirectory, "load_model")),
        ],
        ids=str,
    )
    def test_the_next_checkpoint_is_used(
        self, make: Make, monkeypatch: pytest.MonkeyPatch, moment: tuple[type, str], name: str
    ) -> None:
        run = RunDirectory.open(make("a"))
        former = run.checkpoints.named("best").name
        for folder in list(run.checkpoints.folders()):
            if folder.name != former:
                shutil.rmtree(folder)
        real = getattr(*moment)
        calls: list[int] = []

        def rotated(*arguments: object) -> object:
            calls.append(0)
            if len(calls) == 1:
                replace_checkpoint(run.checkpoints.folder / former, "epoch-0009")
            return real(*arguments)

        monkeypatch.setattr(*moment, rotated)
        chosen = load_checkpoint(RunDirectory.open(run.path / "checkpoints" / name), "cpu").run
        assert chosen.name == "epoch-0009"
        shutil.rmtree(run.checkpoints.folder)
        assert chosen.find_checkpoint().name == "epoch-0009"  # known, though it is gone by now

    def test_a_comparison_and_a_verification_find_no_damage(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = RunDirectory.open(make("a"))
        former = run.checkpoints.named("last").name
        calls: list[int] = []

        def rotated(manifest: Manifest, name: str) -> Path:
            if manifest.folder.name == former and not calls:
                calls.append(0)
                replace_checkpoint(manifest.folder, "epoch-0009")
            return path_of(manifest, name)

        path_of = Manifest.checked_path
        monkeypatch.setattr(Manifest, "checked_path", rotated)
        assert outcome(run.path, "a").standing == "trained"  # its evaluation is of the former
        replace_checkpoint(run.checkpoints.folder / "epoch-0009", former)
        calls.clear()
        assert verify(run).sound

    def test_endless_changes_are_an_error(self, make: Make) -> None:
        path = make("a")
        calls: list[int] = []

        def read() -> None:
            calls.append(len(calls))
            (path / "checkpoints" / f"epoch-{1000 + len(calls)}").mkdir()
            raise CheckpointError("gone")

        with pytest.raises(CheckpointError, match="gone"):
            RunDirectory.open(path).checkpoints.steady(read)
        assert 1 < len(calls) < 10

    def test_damage_is_not_retried(self, make: Make) -> None:
        path = make("a")
        calls: list[int] = []

        def read() -> None:
            calls.append(0)
            raise CheckpointError("damaged")

        with pytest.raises(CheckpointError, match="damaged"):
            RunDirectory.open(path).checkpoints.steady(read)
        assert len(calls) == 1


def test_a_dangling_link_is_not_an_unused_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = small_config(tmp_path / "text.txt")
    taken = unused_path(config, "text")
    taken.parent.mkdir()
    taken.symlink_to("nowhere")
    assert unused_path(config, "text") != taken
