"""The command line: results on stdout, messages on stderr, exit codes."""

import contextlib
import gzip
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file, save_file

from mivae_cli.cli import app
from mivae_cli.cli.support.console import plain
from mivae_cli.data.batches import Batch
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.training.trainer import Trainer
from support.program import Mivae, run_once
from support.small import write_scenes

COMMANDS = [
    "train", "sweep", "eval", "compare", "estimate-mi", "sample", "interpolate", "analogy",
    "neighbours", "reconstruct", "vary", "encode", "verify", "presets", "config init", "config show",
    "config validate", "report", "explore",
]  # fmt: skip
TINY = [
    "--set", "model.encoder.hidden_size=24", "--set", "model.decoder.hidden_size=24",
    "--set", "data.tokenizer.vocab_size=300", "--epochs", "2", "--latent", "4",
    "--batch-size", "32", "--iw-samples", "3",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a text and a finished run in runs/."""
    place = tmp_path_factory.mktemp("work")
    write_scenes(place / "scenes.txt", count=500)
    with contextlib.chdir(place):
        ran = run_once("train", "scenes.txt", "--json", *TINY, "--tokenizer", "word")
    assert ran.code == 0, ran.err
    (place / "trained.json").write_text(ran.out)
    (place / "trained.err").write_text(ran.err)
    return place


@pytest.fixture
def inside(folder: Path) -> Iterator[Path]:
    with contextlib.chdir(folder):
        yield folder


def test_train_evaluates_and_stores_a_run(inside: Path) -> None:
    record = json.loads((inside / "trained.json").read_text())
    run = inside / "runs" / "scenes-default-1"
    assert RunDirectory.open(run).load_evaluation() == record
    assert record["iw_samples"] == 3
    assert record["latent_units"] == 4
    assert record["mi"]["dual"]["n"] == record["sentences"]
    words = (inside / "trained.err").read_text()
    assert "run: runs/scenes-default-1" in words
    assert "epoch   2/2" in words
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == ["epoch-0001", "epoch-0002"]


def test_eval_starts_with_four_metrics_and_names_the_run_on_stderr(
    mivae: Mivae, inside: Path
) -> None:
    ran = mivae("eval", "--iw-samples", "3")
    assert ran.code == 0
    assert "run: runs/scenes-default-1" in ran.err
    order = [ran.out.index(word) for word in ("KL", "MI lower bound", "active units", "perplex")]
    assert order == sorted(order)


@pytest.mark.parametrize("way", ["argument", "option", "checkpoint"])
def test_a_run_can_be_named_in_three_ways(mivae: Mivae, inside: Path, way: str) -> None:
    run = "runs/scenes-default-1"
    named = {
        "argument": (run,),
        "option": ("--run", run),
        "checkpoint": (f"{run}/checkpoints/last",),
    }[way]
    ran = mivae("eval", *named, "--json", "--iw-samples", "1")
    assert ran.code == 0
    assert json.loads(ran.out)["sentences"] > 0
    assert "run:" not in ran.err


def test_estimate_mi_shows_estimates_that_agree(mivae: Mivae, inside: Path) -> None:
    report = json.loads(mivae("estimate-mi", "--json").out)
    values = {row["estimator"]: row for row in report["estimates"]}
    assert report["unit"] == "nats"
    assert values["dual"]["ci_low"] <= values["leave-one-out"]["ci_high"]
    assert values["known-posterior"]["ceiling"] == pytest.approx(np.log(report["n"]))
    directions = {name: row["direction"] for name, row in values.items()}
    assert directions.pop("leave-one-out") == "upper"
    assert set(directions.values()) == {"lower"}
    assert report["recommended"]["estimator"] == "known-posterior"
    assert report["recommended"]["value"] == values["known-posterior"]["value"]
    assert report["x_dim"] is report["p_value"] is None
    assert report["notes"]
    shown = mivae("estimate-mi", "--draws", "3")
    assert "recommended: known-posterior" in shown.out


@pytest.mark.parametrize(
    "how", [(), ("--greedy",), ("--beam", "3"), ("--top-k", "5", "--top-p", "0.9")]
)
def test_sample_writes_as_many_lines_as_asked_and_the_same_again(
    mivae: Mivae, inside: Path, how: Sequence[str]
) -> None:
    first = mivae("sample", "--n", "4", *how)
    assert first.code == 0
    assert len(first.out.splitlines()) == 4
    assert all(first.out.splitlines())
    assert mivae("sample", "--n", "4", *how).out == first.out
    lines = mivae("sample", "--n", "4", "--json", *how).out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == first.out.splitlines()


def test_another_seed_gives_other_samples(mivae: Mivae, inside: Path) -> None:
    one, two = (mivae("sample", "--temperature", "2", "--seed", seed).out for seed in "12")
    assert one != two


def test_interpolate_between_given_or_chosen_sentences(mivae: Mivae, inside: Path) -> None:
    found = mivae("interpolate")
    assert found.err.count("between: ") == 2
    assert [line.split()[0] for line in found.out.splitlines()] == [
        "0.00", "0.17", "0.33", "0.50", "0.67", "0.83", "1.00",
    ]  # fmt: skip
    given = mivae("interpolate", "one dog runs .", "two cats sing .", "--steps", "3", "--json")
    rows = [json.loads(line) for line in given.out.splitlines()]
    assert [row["t"] for row in rows] == [0.0, 0.5, 1.0]
    named = mivae("interpolate", "runs/scenes-default-1", "one dog runs .", "two cats sing .")
    assert named.code == 0


def test_reconstruct_shows_a_sentence_and_its_reconstruction(mivae: Mivae, inside: Path) -> None:
    row = json.loads(mivae("reconstruct", "one dog slept on the hill at dawn .", "--json").out)
    assert row["text"] == "one dog slept on the hill at dawn ."
    assert row["exact"] == (row["text"] == row["reconstruction"])
    assert len(mivae("reconstruct", "--limit", "3").out.splitlines()) == 6
    whole = mivae("reconstruct", "--data", "scenes.txt", "--json").out.splitlines()
    assert len(whole) == 500


def test_vary_counts_the_samples_of_each_variation(mivae: Mivae, inside: Path) -> None:
    given = ["vary", "one dog slept on the hill at dawn .", "--n", "3", "--spread", "2", "--json"]
    rows = [json.loads(line) for line in mivae(*given).out.splitlines()]
    assert 1 <= len(rows) <= 3
    assert len({row["variation"] for row in rows}) == len(rows)
    assert sum(row["count"] for row in rows) == rows[0]["samples"] <= 60
    assert all(row["exact"] == (row["text"] == row["variation"]) for row in rows)
    several = mivae("vary", "--data", "scenes.txt", "--limit", "4", "--n", "1").out.splitlines()
    assert len(several) == 8
    assert several[2] == (inside / "scenes.txt").read_text().splitlines()[1]


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "npy"])
def test_encode_writes_one_row_per_sentence(mivae: Mivae, inside: Path, suffix: str) -> None:
    out = inside / f"vectors.{suffix}"
    assert mivae("encode", "scenes.txt", "-o", out).code == 0
    match suffix:
        case "npy":
            mean, scale = np.load(out, allow_pickle=False), np.ones((500, 4))
        case "npz":
            arrays = np.load(out, allow_pickle=False)
            mean, scale = arrays["mean"], arrays["scale"]
        case _:
            arrays = load_arrays(str(out))
            mean, scale = arrays["mean"], arrays["scale"]
    assert mean.shape == scale.shape == (500, 4)
    assert (scale > 0).all()


def test_other_sentences_can_be_evaluated(mivae: Mivae, inside: Path) -> None:
    with gzip.open(inside / "more.txt.gz", "wt") as file:
        file.write((inside / "scenes.txt").read_text()[:2000])
    before = (inside / "runs/scenes-default-1/eval.json").read_text()
    ran = mivae("eval", "--data", "more.txt.gz", "--iw-samples", "1", "--json")
    assert 20 < json.loads(ran.out)["sentences"] < 60
    assert (inside / "runs/scenes-default-1/eval.json").read_text() == before


def test_one_sentence_can_be_evaluated(mivae: Mivae, inside: Path) -> None:
    (inside / "one.txt").write_text("one dog slept on the hill at dawn .\n")
    ran = mivae("eval", "--data", "one.txt", "--iw-samples", "1")
    assert ran.code == 0
    assert "1 sentence," in ran.out


def test_a_dry_run_writes_nothing(mivae: Mivae, inside: Path) -> None:
    before = sorted(inside.rglob("*"))
    ran = mivae("train", "scenes.txt", "--dry-run", "--out", "runs/dry", *TINY)
    assert ran.code == 0
    assert "weights" in ran.out
    assert sorted(inside.rglob("*")) == before


def test_a_profile_shows_the_time_of_each_part_and_writes_nothing(
    mivae: Mivae, inside: Path
) -> None:
    before = sorted(inside.rglob("*"))
    ran = mivae("train", "scenes.txt", "--profile", *TINY)
    assert ran.code == 0
    assert all(part in ran.out for part in ("encoder", "output layer", "critic", "tokens/s"))
    assert "Warning" not in ran.err
    record = json.loads(mivae("train", "scenes.txt", "--profile", "--json", *TINY).out)
    assert record["tokens_per_second"] > 0
    assert sorted(inside.rglob("*")) == before


@pytest.mark.parametrize(
    "command",
    [
        ["sample", "--n", "5"],
        ["reconstruct", "--limit", "5"],
        ["interpolate"],
        ["analogy", *"abc"],
    ],
    ids=lambda command: command[0],
)
def test_sentences_without_repetition(command: list[str], mivae: Mivae, inside: Path) -> None:
    def sentences(*options: str) -> list[list[str]]:
        ran = mivae(*command, "--json", *options)
        assert ran.code == 0
        rows = [json.loads(line) for line in ran.out.splitlines()]
        return [row.get("reconstruction", row["text"]).split() for row in rows]

    free = sentences()
    once = sentences("--no-repeat-ngram", "1")
    assert all(len(words) == len(set(words)) for words in once)
    assert sentences("--repetition-penalty", "100") != free
    assert sentences("--no-repeat-ngram", "0", "--repetition-penalty", "1") == free
    drawn = [sentences("--temperature", "1.5", "--seed", seed) for seed in "112"]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] != free


def test_an_interrupted_run_is_resumed(
    mivae: Mivae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=400)
    step, steps = Trainer.step, iter(range(100))

    def interrupted(self: Trainer, batch: Batch) -> object:
        if next(steps) == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "step", interrupted)
        ran = mivae("train", text, "--out", tmp_path / "run", *TINY, "--epochs", "10000")
    assert ran.code == 143
    assert "mivae train --resume" in ran.err
    failed = mivae("train", "--resume", "--out", tmp_path / "run", "--seed", "5")
    assert failed.code == 2
    assert "seed" in failed.err
    assert "Resume without" in failed.err
    same = ["--seed", "0", "--latent", "4", "--iw-samples", "2", "--json", "--epochs", "3"]
    changed = ["--batch-size", "24"]
    other = write_scenes(tmp_path / "other.txt", count=400, seed=1)
    failed = mivae("train", other, "--resume", "--out", tmp_path / "run", *same, *changed)
    assert failed.code == 2
    assert "data.train" in failed.err
    moved = text.rename(tmp_path / "moved.txt")  # still the same text
    ran = mivae("train", moved, "--resume", "--out", tmp_path / "run", *same, *changed)
    assert ran.code == 0
    assert all(key in ran.err for key in ("training.batch_size", "training.epochs"))
    assert json.loads(ran.out)["iw_samples"] == 2


def test_training_that_runs_out_of_memory_is_resumed_as_the_error_says(
    mivae: Mivae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, place = write_scenes(tmp_path / "scenes.txt"), tmp_path / "a run"
    small = [*TINY, "--set", "training.save_minutes=1e-9"]
    steps = 0
    step = Trainer.step

    def failing(self: Trainer, batch: Batch) -> object:
        nonlocal steps
        steps += 1
        if steps == 8 or len(batch) > 33:
            raise MemoryError
        return step(self, batch)

    monkeypatch.setattr(Trainer, "step", failing)
    ran = mivae("train", text, "--out", place, *small)
    assert ran.code == 1
    advice = f"mivae train --resume --out '{place}' --batch-size 16"
    assert advice in ran.err
    ran = mivae(*shlex.split(advice)[1:])
    assert ran.code == 0
    assert "7 batches" in ran.err


def test_presets_and_configurations_are_shown_and_checked(
    mivae: Mivae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = mivae("presets").out
    for name in ("mine", "vae", "lm"):
        assert name in listed
    assert "mi_weight" in mivae("presets", "mine").out
    assert mivae("config", "init", "mine.toml", "--preset", "mine").code == 0
    assert mivae("config", "validate", "mine.toml").code == 0
    assert mivae("config", "init", "mine.toml").code == 2
    shown = mivae("config", "show", "--config", "mine.toml", "--set", "seed=7").out
    assert "seed = 7" in shown


BAD: list[tuple[list[str], int, str]] = [
    (["train", "empty.txt"], 3, "empty.txt"),
    (["train", "binary.txt"], 3, "binary.txt"),
    (["train", "one_line.txt"], 3, "one_line.txt"),
    (["train", "latin1.txt"], 3, "line 2"),
    (["train", "missing.txt"], 3, "missing.txt"),
    (["train", "text.txt", "--out", "file/run"], 2, "file/run"),
    (["train", "text.txt", "--preset", "mien"], 2, "'mine'"),
    (["train", "text.txt", "--track", "mlflow"], 2, "tensorboard"),
    (["sweep", "text.txt", "--track-dir", "here"], 2, "--track"),
    (["train", "text.txt", "--set", "objective.mi_wieght=1"], 2, "objective.mi_weight"),
    (["train", "text.txt", "--set", "training.epochs=-1"], 2, "training.epochs"),
    (["train", "text.txt", "--set", "seed"], 2, "key=value"),
    (["train", "text.txt", "--tokenizer", "wrd"], 2, "word, bpe"),
    (["train", "text.txt", "--device", "cuda:42", *TINY], 2, "cuda:42"),
    (["train"], 2, "mivae train corpus.txt"),
    (["train", "--resume", "--dry-run"], 2, "--resume"),
    (["train", "--resume", "--profile"], 2, "--profile"),
    (["train", "--resume", "--out", "nowhere"], 4, "nowhere"),
    (["sample"], 4, "mivae train"),
    (["sample", "nowhere"], 4, "nowhere"),
    (["sample", "--run", "emptyrun"], 4, "manifest.json"),
    (["sample", "--n", "0"], 2, "--n"),
    (["interpolate", "--steps", "1"], 2, "--steps"),
    (["sample", "--n", "99999999999999999999"], 2, "--n"),
    (["interpolate", "--steps", "99999999999999999999"], 2, "--steps"),
    (["train", "text.txt", "--no-such-option"], 2, "--no-such-option"),
    (["smaple"], 2, "sample"),
    (["config", "validate", "text.txt"], 2, "text.txt"),
    (["config", "validate", "missing.toml"], 2, "missing.toml"),
    (["presets", "nothing"], 2, "nothing"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"), BAD, ids=[" ".join(row[0])[:50] for row in BAD]
)
def test_an_error_of_the_user_is_one_line_with_its_exit_code(
    mivae: Mivae,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_scenes(tmp_path / "text.txt", count=200)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "file").write_text("")
    (tmp_path / "emptyrun").mkdir()
    (tmp_path / "one_line.txt").write_text("only one line\n")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    (tmp_path / "latin1.txt").write_bytes(b"a line\ncaf\xe9\n")
    ran = mivae(*arguments)
    assert ran.code == code
    assert ran.out == ""
    complaint = ran.err[ran.err.index("error: ") :]
    assert words in complaint
    assert len(complaint.strip().splitlines()) <= 2
    assert "Traceback" not in ran.err


RUN_BAD: list[tuple[list[str], int, str]] = [
    (["eval", "--data", "foreign.txt"], 3, "vocabulary"),
    (["eval", "--data", "missing.txt"], 3, "missing.txt"),
    (["interpolate", "only one"], 2, "sentences"),
    (["interpolate", "a", ""], 3, "sentence"),
    (["sample", "--temperature", "0"], 2, "temperature"),
    (["sample", "--top-p", "0"], 2, "top-p"),
    (["sample", "--beam", "99999999999999999999"], 2, "beam"),
    (["sample", "--greedy", "--beam", "3"], 2, "--greedy"),
    (["sample", "--greedy", "--temperature", "0.8"], 2, "--temperature"),
    (["sample", "--beam", "2", "--temperature", "1"], 2, "--temperature"),
    (["sample", "--greedy", "--top-k", "5"], 2, "--top-k"),
    (["sample", "--beam", "1", "--top-p", "0.5"], 2, "--top-p"),
    (["interpolate", "--temperature", "1", "--beam", "3"], 2, "--temperature"),
    (["reconstruct", "a", "--temperature", "1", "--beam", "2"], 2, "--beam"),
    (["reconstruct", "a", "--data", "scenes.txt"], 2, "--data"),
    (["vary", "a", "--data", "scenes.txt"], 2, "--data"),
    (["encode", "scenes.txt", "-o", "vectors.pkl"], 2, "vectors.pkl"),
    (["encode", "scenes.txt", "-o", "nowhere/vectors.npz"], 2, "nowhere/vectors.npz"),
    (["encode", "-o", "vectors.npz"], 2, "FILE"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"), RUN_BAD, ids=[" ".join(row[0])[:50] for row in RUN_BAD]
)
def test_bad_input_to_a_run_is_named(
    mivae: Mivae, inside: Path, arguments: list[str], code: int, words: str
) -> None:
    if "foreign.txt" in arguments:
        made = mivae("train", "scenes.txt", "--out", "words", "--tokenizer", "word", *TINY[:4],
                     *TINY[6:])  # fmt: skip
        assert made.code == 0
        (inside / "foreign.txt").write_text("wovon man nicht sprechen kann\n" * 5)
        arguments = [arguments[0], "words", *arguments[1:]]
    else:
        arguments = [arguments[0], *arguments[1:], "--run", "runs/scenes-default-1"]
    ran = mivae(*arguments)
    assert ran.code == code
    assert words in ran.err[ran.err.index("error: ") :]


def test_weights_that_are_nan_are_rejected(mivae: Mivae, tmp_path: Path) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=300)
    assert mivae("train", text, "--out", tmp_path / "run", *TINY, "--epochs", "1").code == 0
    path = tmp_path / "run" / "checkpoints" / "epoch-0001" / "model.safetensors"
    tensors = load_file(str(path))
    tensors["head.linear.bias"][0] = torch.nan
    save_file(tensors, str(path))
    ran = mivae("sample", tmp_path / "run")
    assert ran.code == 4
    assert "epoch-0001/model.safetensors" in ran.err


def test_a_diverged_training_exits_with_5(mivae: Mivae, tmp_path: Path) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=700)
    ran = mivae(
        "train", text, "--out", tmp_path / "run", *TINY, "--epochs", "3",
        "--set", "training.optimizer.kind=sgd", "--set", "training.optimizer.learning_rate=1e30",
    )  # fmt: skip
    assert ran.code == 5
    assert "diverged" in ran.err


def test_long_lines_line_ends_and_byte_order_marks_are_read(mivae: Mivae, tmp_path: Path) -> None:
    lines = write_scenes(tmp_path / "scenes.txt", count=300).read_text().splitlines()
    data = "\ufeff" + "\r\n".join([*lines, "word " * 200_000, "the last line without an end"])
    (tmp_path / "odd.txt").write_bytes(data.encode())
    ran = mivae("train", tmp_path / "odd.txt", "--out", tmp_path / "run", *TINY, "--json")
    assert ran.code == 0
    assert "100 tokens" in ran.err
    record = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert sum(split["sentences"] for split in record["splits"].values()) == 302


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "command", ["presets", "sample --n 2", "sample --json", "eval --iw-samples 1"]
)
def test_a_full_disk_at_stdout_is_one_error(
    mivae: Mivae, inside: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        ran = mivae(*command.split())
    assert ran.code == 6
    assert "No space left on device" in ran.err
    assert "Traceback" not in ran.err


def test_sizes_beyond_the_memory_are_rejected(mivae: Mivae, inside: Path) -> None:
    sizes = ["decoder.hidden_size", "decoder.embedding_size", "encoder.hidden_size"]
    sets = [part for size in sizes for part in ("--set", f"model.{size}=65536")]
    ran = mivae("train", "scenes.txt", *sets)
    assert ran.code == 2
    assert "GiB" in ran.err
    assert not (inside / "runs" / "scenes-default-2").exists()


def test_lack_of_memory_is_one_error(
    mivae: Mivae, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(*_: object) -> None:
        torch.empty(2**60)

    monkeypatch.setattr("mivae_cli.experiments.evaluate_run.evaluate_sentences", starved)
    ran = mivae("eval")
    assert ran.code == 1
    assert "out of memory" in ran.err


def test_brackets_in_names_are_not_markup(mivae: Mivae, tmp_path: Path) -> None:
    ran = mivae("sample", tmp_path / "[bold]run[/]")
    assert "[bold]run[/]" in ran.err


def test_names_and_sentences_are_shown_without_markup_or_control_characters(
    mivae: Mivae, inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = "[bold]x[/]\x1b]0;owned\x07:bomb:\u202ea\x9b"
    shutil.copytree(inside / "runs/scenes-default-1", tmp_path / odd)
    (tmp_path / "odd.txt").write_text(f"the {odd} dog\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["eval", odd, "--iw-samples", "1"],
        ["reconstruct", odd, "--data", "odd.txt"],
        ["vary", odd, "--data", "odd.txt"],
        ["interpolate", odd, f"the {odd} dog", "a man", "--steps", "2"],
        ["analogy", odd, f"the {odd} dog", "a man", "a dog"],
        ["neighbours", odd, "a man", "--in", "odd.txt"],
        ["train", "--resume", "--out", odd, "--seed", "5"],
        ["sample", f"{odd}/nothing"],
        ["verify", odd],
        ["eval", odd, "--data", f"{odd}.txt"],
        ["config", "validate", f"{odd}.toml"],
        ["config", "show", "--set", f"{odd}=1"],
        ["train", "odd.txt", "--preset", odd],
    ):
        ran = mivae(*arguments)
        shown = ran.out + ran.err
        assert plain(odd) in shown, arguments
        assert plain(shown) == shown
        assert "Traceback" not in shown
    found = mivae("reconstruct", odd, "--data", "odd.txt", "--json").out
    assert json.loads(found)["text"] == f"the {odd} dog"
    assert plain(found) == found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps_with_an_example(mivae: Mivae, command: str) -> None:
    ran = mivae(*command.split(), "--help")
    assert ran.code == 0
    assert f"Example: mivae {command}" in ran.out


def test_the_list_of_commands_is_complete() -> None:
    names = {
        info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands
    }
    assert names == {name for name in COMMANDS if not name.startswith("config")}


def test_version(mivae: Mivae) -> None:
    assert mivae("--version").out.startswith("mivae 0.")
