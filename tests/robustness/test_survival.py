"""Training that is killed, stopped or out of disk space resumes without any loss."""

import contextlib
import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from mivae_cli.config.run import RunConfig
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.errors import StorageError
from mivae_cli.experiments.verify import verify
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.signals import SIGNALS
from mivae_cli.training.events import SaveFailed, TrainingRecord, Validation
from mivae_cli.training.trainer import Trainer
from support.small import small_config, train_to_end, write_scenes

TIMES = ("tokens_per_second", "seconds_left", "seconds", "time")


STEPS = 60  # training steps of the run below
BEGINNING, STEP, END = 250_000, 35_000, 250_000  # calls before the steps, per step, and after


@dataclass(frozen=True)
class Moment:
    """When the program sends signals to itself, counted in its progress, not in time."""

    steps: int  # training steps of this process
    calls: int  # function calls after these steps
    signals: tuple[int, ...]


class Program:
    """The program, forked from a process that has imported everything."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.zygote = subprocess.Popen(
            [sys.executable, str(Path(__file__).parents[1] / "support" / "zygote.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # in the background or under nohup, a test suite inherits ignored signals
            preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in SIGNALS],  # noqa: PLW1509
        )

    def start(self, *arguments: object, moment: Moment | None = None) -> int:
        """Starts the program, and returns its process id."""
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.log.write_text("")
        order = {
            "log": str(self.log),
            "arguments": list(map(str, arguments)),
            "moment": None if moment is None else asdict(moment),
        }
        self.zygote.stdin.write(json.dumps(order) + "\n")
        self.zygote.stdin.flush()
        return int(self.zygote.stdout.readline())

    def wait(self) -> int:
        """Returns the exit code, or the negative number of the signal that ended it."""
        assert self.zygote.stdout is not None
        return int(self.zygote.stdout.readline())

    @property
    def words(self) -> str:
        """Its output."""
        return self.log.read_text()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    program = Program(tmp_path_factory.mktemp("log") / "words")
    yield program
    program.zygote.communicate()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt")


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory, text: Path) -> Path:
    """A file of settings: 12 steps an epoch, a checkpoint after each."""
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(
        f'data = {{ train = "{text}", tokenizer = {{ kind = "word" }} }}\n'
        "model = { latent_size = 4, encoder = { embedding_size = 8, hidden_size = 16 }, "
        "decoder = { embedding_size = 8, hidden_size = 16, dropout = 0.3 } }\n"
        "critic = { queue_size = 64, network = { hidden_size = 8, score_size = 8 } }\n"
        "training = { epochs = 5, batch_size = 32, log_every = 5, save_minutes = 1e-9 }\n"
    )
    return path


@pytest.fixture(scope="module")
def undisturbed(
    program: Program, configuration: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunDirectory:
    place = tmp_path_factory.mktemp("undisturbed") / "run"
    program.start("train", "--config", configuration, "--out", place, "--iw-samples", 1)
    assert program.wait() == 0, program.words
    run = RunDirectory.open(place)
    assert run.checkpoints.newest()[0].step == STEPS
    return run


def ends(run: RunDirectory) -> dict[str, Any]:
    """Returns the result of a run, without times."""
    newest, trouble = run.checkpoints.newest()
    assert trouble == []
    folder = newest.manifest.folder
    state = json.loads((folder / "state.json").read_text())["state"]
    del state["seconds"], state["window"]["seconds"]
    records = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    return {
        "sentences": {path.name: path.read_bytes() for path in run.path.glob("sentences/*")},
        "checkpoints": [found.name for found in run.checkpoints.all()],
        "tensors": [path.read_bytes() for path in sorted(folder.glob("*.safetensors"))],
        "state": state,
        "journal": [{k: v for k, v in line.items() if k not in TIMES} for line in records],
    }


def disturbed(
    program: Program, configuration: Path, place: Path, moments: Callable[[int], Moment | None]
) -> Iterator[int]:
    """Starts and resumes a run until it ends, with a signal each time; yields exit codes.

    Arguments:
        program: The program.
        configuration: The run's settings.
        place: The run's directory.
        moments: Returns the next moment, given the number of steps left.
    """
    arguments = ["train", "--config", configuration, "--out", place, "--iw-samples", 1]
    resume: list[object] = []
    left = STEPS
    while True:
        program.start(*arguments, *resume, moment=moments(left))
        code = program.wait()
        yield code
        if code == 0:
            return
        if (place / "manifest.json").exists():
            resume = ["--resume"]
            run = RunDirectory.open(place)
            left = STEPS - (
                run.checkpoints.newest()[0].step if any(run.checkpoints.folders()) else 0
            )


def moment(chance: random.Random, left: int, signals: tuple[int, ...]) -> Moment | None:
    """Returns a random moment: before the steps, in or between them, or after the last.

    A run without steps left is not signalled.
    """
    if not left:
        return None
    if chance.random() < 0.2:
        return Moment(0, chance.randrange(BEGINNING), signals)
    steps = chance.randint(1, min(15, left))
    return Moment(steps, chance.randrange(END if steps == left else 2 * STEP), signals)


def survive(
    program: Program, configuration: Path, folder: Path, expected: RunDirectory, kills: int
) -> None:
    """Kills training at least `kills` times, in as many runs as necessary."""
    chance = random.Random(kills)
    done = 0

    def kill(left: int) -> Moment | None:
        return moment(chance, left, (signal.SIGKILL,))

    while done < kills:
        place = folder / "run"
        for code in disturbed(program, configuration, place, kill):
            assert code in (0, -signal.SIGKILL), program.words
            done += code != 0
            if (place / "manifest.json").exists():
                result = verify(RunDirectory.open(place))
                assert result.sound, result
        assert ends(RunDirectory.open(place)) == ends(expected)
        shutil.rmtree(place)


def test_kills_at_random_moments_change_nothing(
    program: Program, configuration: Path, tmp_path: Path, undisturbed: RunDirectory
) -> None:
    survive(program, configuration, tmp_path, undisturbed, 8)


@pytest.mark.slow
def test_two_hundred_kills_at_random_moments_change_nothing(
    program: Program, configuration: Path, tmp_path: Path, undisturbed: RunDirectory
) -> None:
    survive(program, configuration, tmp_path, undisturbed, 200)


def stop(
    program: Program, configuration: Path, folder: Path, expected: RunDirectory, stops: int
) -> None:
    """Asks training to stop at least `stops` times between two steps.

    Some signals arrive before the first step or after the last. The run need not be saved then,
    but must still end as the undisturbed run.
    """
    chance = random.Random(stops)
    done, between = 0, False

    def ask(left: int) -> Moment | None:
        nonlocal between
        asked = (chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]),)
        if between := left > 12 and chance.random() < 0.8:
            return Moment(chance.randint(1, 10), chance.randrange(2 * STEP), asked)
        return moment(chance, left, asked)

    while done < stops:
        place = folder / "run"
        for code in disturbed(program, configuration, place, ask):
            if between:
                done += 1
                assert code in (129, 130, 143), program.words
                [step] = re.findall(r"stopped after step (\d+)", program.words)
                newest, trouble = RunDirectory.open(place).checkpoints.newest()
                assert trouble == []
                assert newest.step == int(step)
            else:  # outside training, the system handles the signal
                assert code in (0, 129, 130, 143, -signal.SIGTERM, -signal.SIGHUP), program.words
        assert ends(RunDirectory.open(place)) == ends(expected)
        shutil.rmtree(place)


def test_requests_to_stop_save_and_change_nothing(
    program: Program, configuration: Path, tmp_path: Path, undisturbed: RunDirectory
) -> None:
    stop(program, configuration, tmp_path, undisturbed, 5)


@pytest.mark.slow
def test_fifty_requests_to_stop_save_and_change_nothing(
    program: Program, configuration: Path, tmp_path: Path, undisturbed: RunDirectory
) -> None:
    stop(program, configuration, tmp_path, undisturbed, 50)


def test_a_stopped_sweep_says_how_to_resume(
    program: Program, configuration: Path, tmp_path: Path
) -> None:
    place, endless = tmp_path / "out", ["--epochs", 10_000, "--seeds", "0,1"]
    pid = program.start("sweep", "--config", configuration, "--out", place, *endless)
    while "epoch   1/" not in program.words:
        assert "error" not in program.words
        time.sleep(0.01)
    os.kill(pid, signal.SIGINT)
    assert program.wait() == 130
    assert "the same command" in program.words
    assert [path.name for path in place.iterdir()] == ["seed=0"]
    program.start("compare", place)
    assert program.wait() == 0
    assert "seed=0: interrupted" in program.words


@pytest.mark.parametrize("steps", [1, 7])
def test_a_second_signal_ends_the_program_at_once(
    program: Program, configuration: Path, tmp_path: Path, steps: int
) -> None:
    """With the exit code of the second signal, and without saving."""
    moment = Moment(steps, 0, (signal.SIGTERM, signal.SIGINT))
    unsaved = ["--set", "training.save_minutes=10"]
    arguments = ["--config", configuration, "--out", tmp_path / "run", *unsaved]
    program.start("train", *arguments, moment=moment)
    assert program.wait() == 130, program.words
    assert not any(RunDirectory.open(tmp_path / "run").checkpoints.folders())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    mounted = shutil.which("mount") and subprocess.run(command, capture_output=True, check=False)
    if not mounted or mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def config(text: Path) -> RunConfig:
    return small_config(text, training={"epochs": 4})


@pytest.fixture(scope="module")
def whole(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run, _, _ = train_to_end(config, tmp_path_factory.mktemp("whole") / "run")
    return run


def fill(disk: Path) -> Path:
    """Fills a disk to the last byte."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(1000)):
            pass
    return ballast


def until_validation(records: Iterator[TrainingRecord]) -> list[TrainingRecord]:
    """Returns the records until the end of the epoch."""
    seen = []
    for record in records:
        seen.append(record)
        if isinstance(record, Validation):
            break
    return seen


def test_a_disk_that_is_full_for_a_while_changes_nothing(
    small_disk: Path, config: RunConfig, whole: RunDirectory
) -> None:
    corpus = prepare_corpus(config.data)
    run = create_run(small_disk / "run", config, corpus)
    records = Trainer(config, corpus).fit(run)
    until_validation(records)
    ballast = fill(small_disk)
    second = until_validation(records)
    assert [record.reason for record in second if isinstance(record, SaveFailed)] == [
        os.strerror(errno.ENOSPC)
    ]
    assert run.checkpoints.newest()[0].name == "epoch-0001"
    with torch.random.fork_rng():  # training continues with its own random numbers
        assert RunDirectory.open(run.path / "checkpoints" / "last").load_model().latent_size == 4
    ballast.unlink()
    assert not any(isinstance(record, SaveFailed) for record in records)
    assert verify(run).sound
    journal = [line for line in ends(run)["journal"] if line["kind"] != "savefailed"]
    assert {**ends(run), "journal": journal} == ends(whole)


def test_a_full_disk_ends_training_with_code_6_and_it_resumes_later(
    small_disk: Path, config: RunConfig, whole: RunDirectory
) -> None:
    corpus = prepare_corpus(config.data)
    run = create_run(small_disk / "run", config, corpus)
    records = Trainer(config, corpus).fit(run)
    until_validation(records)
    ballast = fill(small_disk)
    with pytest.raises(StorageError, match="--resume") as raised:
        list(records)
    assert raised.value.exit_code == 6
    result = verify(RunDirectory.open(run.path))
    assert result.sound
    assert result.resumable == "epoch-0001"
    ballast.unlink()
    again = Trainer(config, corpus)
    assert again.resume(run) == []
    list(again.fit(run))
    assert ends(run) == ends(whole)
