"""Commands that read text: the same options everywhere, standard input, and rows that stay aligned."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mivae_cli.api.texts import text_paths
from mivae_cli.config.resolve import read_config
from mivae_cli.experiments.train_run import unused_path
from support.program import Mivae
from support.small import scenes, small_config, train_to_end, write_scenes

SENTENCES = [scene.sentence() for scene in scenes.scenes(3, seed=0)]
TABLE = "id;sentence\n" + "".join(f"{place};{text}\n" for place, text in enumerate(SENTENCES))
READ = ("--delimiter", ";", "--column", "sentence")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    text = write_scenes(folder / "scenes.txt", count=300)
    config = small_config(text, data={"tokenizer": {"kind": "bpe"}}, training={"epochs": 1})
    return train_to_end(config, folder / "run")[0].path


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Gives the program a standard input."""
    return lambda text: monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()))
    )


COMMANDS = [
    ("eval", "--iw-samples", "1", "--data"),
    ("neighbours", SENTENCES[0], "--in"),
    ("reconstruct", "--data"),
    ("reconstruct",),
    ("vary", "--data"),
    ("vary",),
    ("encode", "-o", "vectors.npz"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_reads_standard_input(
    mivae: Mivae, typed: Callable[[str], None], run: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    name, *rest = command
    typed("\n".join(["", *SENTENCES]))
    ran = mivae(name, *rest, "-", "--run", run)
    assert ran.code == 0
    assert "standard input: 4 rows, 1 skipped" in ran.err
    typed("\n")
    ran = mivae(name, *rest, "-", "--run", run)
    assert ran.code == 3
    assert "standard input" in ran.err
    typed("one\ntwo\0three\n")
    ran = mivae(name, *rest, "-", "--run", run)
    assert ran.code == 3
    assert "standard input" in ran.err
    assert "line 2" in ran.err


def test_reconstruct_reads_no_more_sentences_than_asked(
    mivae: Mivae, typed: Callable[[str], None], run: Path
) -> None:
    for limit, count in (("2", 2), ("9", 3)):
        typed("\n".join(SENTENCES))
        ran = mivae("reconstruct", "-", "--run", run, "--limit", limit)
        assert len(ran.out.splitlines()) == 2 * count


@pytest.mark.parametrize("command", [COMMANDS[0], *COMMANDS[2:]], ids=" ".join)
def test_sentences_that_are_cut_are_counted(
    mivae: Mivae, typed: Callable[[str], None], run: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    name, *rest = command
    for text, told in ((SENTENCES[0], False), (" ".join(SENTENCES * 50), True)):
        typed("\n".join([*SENTENCES, text]))
        ran = mivae(name, *rest, "-", "--run", run)
        assert ran.code == 0
        assert ("standard input: 1 cut to 100 tokens" in ran.err) == told


@pytest.mark.parametrize(
    "command", [row for row in COMMANDS if row not in (("reconstruct",), ("vary",))], ids=" ".join
)
def test_every_command_takes_the_options_for_tables(
    mivae: Mivae, typed: Callable[[str], None], run: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    name, *rest = command
    Path("a.csv").write_text(TABLE)
    ran = mivae(name, *rest, "a.csv", "--run", run)
    assert (ran.code, "--delimiter ';'" in ran.err) == (3, True)
    ran = mivae(name, *rest, "a.csv", *READ, "--run", run)
    assert (ran.code, "a.csv: 3 rows" in ran.err) == (0, True)
    typed(TABLE)
    ran = mivae(name, *rest, "-", *READ, "--format", "csv", "--run", run)
    assert (ran.code, "standard input: 3 rows" in ran.err) == (0, True)
    Path("a.csv").write_text(TABLE + "4;too;many\n")
    ran = mivae(name, *rest, "a.csv", *READ, "--run", run)
    assert (ran.code, "line 5" in ran.err) == (3, True)
    ran = mivae(name, *rest, "a.csv", *READ, "--bad-rows", "skip", "--run", run)
    assert (ran.code, "1 skipped because" in ran.err) == (0, True)
    Path("a.txt").write_text("\n".join(SENTENCES))
    ran = mivae(name, *rest, "a.txt", "--column", "sentence", "--run", run)
    assert (ran.code, "data.column" in ran.err) == (2, True)
    ran = mivae(name, *rest, "a.parquet", "--run", run)
    assert (ran.code, ".jsonl" in ran.err) == (3, True)


@pytest.mark.parametrize("command", ["eval", "reconstruct", "vary"])
def test_options_for_a_file_need_one(mivae: Mivae, run: Path, command: str) -> None:
    ran = mivae(command, "--column", "sentence", "--run", run)
    assert (ran.code, "data.column" in ran.err) == (2, True)


def test_vectors_stay_aligned_with_a_file_of_labels(
    mivae: Mivae, run: Path, tmp_path: Path
) -> None:
    lines = ["", SENTENCES[0], " ", SENTENCES[1], SENTENCES[0], ""]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    assert mivae("encode", run, tmp_path / "a.txt", "-o", tmp_path / "v.npz").code == 0
    vectors = np.load(tmp_path / "v.npz")
    assert vectors["row"].tolist() == vectors["line"].tolist() == [2, 4, 5]
    np.testing.assert_allclose(vectors["mean"][0], vectors["mean"][2], rtol=1e-5)
    ran = mivae("encode", run, tmp_path / "a.txt", "-o", tmp_path / "v.npy")
    assert (ran.code, "3 of 6 rows" in ran.err) == (2, True)
    assert not (tmp_path / "v.npy").exists()


def test_a_table_keeps_its_other_columns(
    mivae: Mivae, typed: Callable[[str], None], run: Path, tmp_path: Path
) -> None:
    typed(TABLE)
    out = tmp_path / "v.csv"
    assert mivae("encode", run, "-", "--format", "csv", *READ, "-o", out).code == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["row"], row["line"], row["sentence"]) for row in rows] == [
        ("0", "1", "2", SENTENCES[0]), ("1", "2", "3", SENTENCES[1]), ("2", "3", "4", SENTENCES[2]),
    ]  # fmt: skip
    assert {"mean_1", "mean_4", "scale_4"} <= rows[0].keys()


@pytest.mark.parametrize("name", ["text.csv", "link.csv"])
def test_vectors_do_not_replace_the_text_that_they_are_of(
    mivae: Mivae, run: Path, tmp_path: Path, name: str
) -> None:
    text, link = tmp_path / "text.csv", tmp_path / "link.csv"
    text.write_text(TABLE)
    link.symlink_to(text)
    ran = mivae("encode", run, text, *READ, "-o", tmp_path / name)
    assert (ran.code, name in ran.err) == (2, True)
    assert text.read_text() == TABLE


@pytest.mark.parametrize("name", ["checkpoints/{}/model.safetensors", "data/v.npz", "link.npz"])
def test_results_do_not_go_among_the_files_of_a_run(
    mivae: Mivae, run: Path, tmp_path: Path, name: str
) -> None:
    [checkpoint] = (run / "checkpoints").iterdir()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    place = run / name.format(checkpoint.name)
    if name == "link.npz":
        place = tmp_path / name
        place.symlink_to(checkpoint / "model.safetensors")
    (tmp_path / "a.txt").write_text("".join(f"{sentence}\n" for sentence in SENTENCES))
    ran = mivae("encode", run, tmp_path / "a.txt", "-o", place)
    assert (ran.code, checkpoint.name in ran.err or "data" in ran.err) == (2, True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_a_run_is_no_text_to_train_on(mivae: Mivae, run: Path, resume: tuple[str, ...]) -> None:
    ran = mivae("train", run, *resume)
    assert (ran.code, f"--resume --out {run}" in ran.err) == (2, True)


class TestTraining:
    def rehearse(self, mivae: Mivae, *arguments: str | Path) -> tuple[int, str]:
        sizes = ("--set", "model.encoder.hidden_size=8", "--set", "model.decoder.hidden_size=8")
        ran = mivae("train", *arguments, "--dry-run", "--latent", "2", *sizes)
        return ran.code, ran.err

    def test_rows_are_counted_and_the_counts_are_kept(self, mivae: Mivae, tmp_path: Path) -> None:
        lines = write_scenes(tmp_path / "scenes.txt", count=200).read_text().splitlines()
        table = "\n".join(f"{text} | {text[:3]}" if text[-3] == "e" else text for text in lines)
        (tmp_path / "a.csv").write_text(f"text\n{table},\n,\n")
        code, err = self.rehearse(mivae, tmp_path / "a.csv")
        assert (code, "line 201" in err) == (3, True)
        code, err = self.rehearse(mivae, tmp_path / "a.csv", "--bad-rows", "skip")
        assert code == 0
        assert (
            "201 rows, 1 skipped because their text is empty, 1 skipped because they are malformed"
            in err
        )

    def test_copies_are_not_called_short(self, mivae: Mivae, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("the same line .\n" * 500)
        code, err = self.rehearse(mivae, tmp_path / "a.txt")
        assert (code, "500 sentences" in err, "1 distinct" in err) == (3, True, True)

    def test_text_without_spaces_is_better_read_by_bytes(
        self, mivae: Mivae, tmp_path: Path
    ) -> None:
        lines = [f"我们{chr(0x4E00 + number)}看见了" for number in range(200)]
        (tmp_path / "a.txt").write_text("\n".join(lines * 2), encoding="utf-8")
        code, err = self.rehearse(mivae, tmp_path / "a.txt", "--tokenizer", "word")
        assert (code, "--tokenizer bpe" in err) == (0, True)
        (tmp_path / "a.txt").write_text("\n".join(lines), encoding="utf-8")  # no word twice
        code, err = self.rehearse(mivae, tmp_path / "a.txt", "--tokenizer", "word")
        assert (code, "--tokenizer bpe" in err) == (3, True)

    def test_a_configuration_names_its_text_from_where_it_is(
        self, mivae: Mivae, tmp_path: Path
    ) -> None:
        write_scenes(tmp_path / "scenes.txt", count=200)
        (tmp_path / "a.toml").write_text('[data]\ntrain = "scenes.txt"\n')
        code, err = self.rehearse(mivae, "--config", tmp_path / "a.toml")
        assert (code, f"{tmp_path / 'scenes.txt'}: 200 rows" in err) == (0, True)

    def test_a_setting_for_tables_needs_a_table(self, mivae: Mivae, tmp_path: Path) -> None:
        text = write_scenes(tmp_path / "scenes.txt", count=200)
        for option in ("--column", "--delimiter", "--field"):
            code, err = self.rehearse(mivae, text, option, ";")
            assert (code, f"data.{option[2:]}" in err) == (2, True)

    def test_a_run_reads_other_files_as_its_own(self, mivae: Mivae, tmp_path: Path) -> None:
        lines = write_scenes(tmp_path / "scenes.txt", count=200).read_text().splitlines()
        (tmp_path / "a.csv").write_text("\n".join(f"{text}|1" for text in lines))
        sizes = ("--set", "model.encoder.hidden_size=8", "--set", "model.decoder.hidden_size=8")
        read = ("--no-header", "--delimiter", "|", "--column", "1")
        run = tmp_path / "run"
        ran = mivae(
            "train", tmp_path / "a.csv", "--out", run, *read, *sizes, "--latent", "2",
            "--epochs", "1", "--iw-samples", "1",
        )  # fmt: skip
        assert ran.code == 0
        rows = json.loads((run / "data" / "corpus.json").read_text())["rows"]
        assert rows["train"]["rows"] == 200
        ran = mivae("eval", run, "--data", tmp_path / "a.csv", "--iw-samples", "1", "--json")
        assert json.loads(ran.out)["sentences"] == 200


def test_a_sweep_takes_the_options_for_tables(mivae: Mivae, tmp_path: Path) -> None:
    options = ["--delimiter", ";", "--no-header", "--column", "2", "--bad-rows", "skip"]
    ran = mivae("sweep", "a.csv", "--out", tmp_path / "out", "--dry-run", "--json", *options)
    assert ran.code == 0
    [command] = json.loads(ran.out)[0]["commands"]
    text = " ".join(command)
    assert "--no-header" in command
    assert all(part in text for part in ("--delimiter ;", "--column 2", "--bad-rows skip"))


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 120 sentences and their labels, as a text and as a table."""
    monkeypatch.chdir(tmp_path)
    lines = [scene.sentence() for scene in scenes.scenes(120, seed=1)]
    labels = ["many" if line.split()[0] in {"two", "three", "four"} else "one" for line in lines]
    Path("other.txt").write_text("\n".join(["", *lines]))
    Path("labels.txt").write_text("\n".join(["", *labels]))
    rows = zip(lines, labels, strict=True)
    Path("other.csv").write_text(
        "\n".join(["text,number", *(f"{line},{label}" for line, label in rows)])
    )
    return tmp_path


def test_labels_of_sentences_are_compared_with_latents(
    mivae: Mivae, run: Path, labelled: Path
) -> None:
    table = ("--data", "other.csv", "--labels", "other.csv", "--label-column", "number")
    values = []
    for arguments in (("--data", "other.txt", "--labels", "labels.txt"), table):
        ran = mivae("estimate-mi", run, *arguments, "--json", "--permutations", "9")
        assert ran.code == 0, ran.err
        report = json.loads(ran.out)
        assert (report["n"], report["x_dim"], report["z_dim"]) == (120, 1, 4)
        assert report["p_value"] >= 0.1
        values.append(report["recommended"]["value"])
    assert values[0] == values[1] >= 0
    ran = mivae("estimate-mi", run, *table)
    assert "other.csv: I(label; z)" in ran.out
    assert "other.csv: 120 rows" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--labels", "labels.txt"), 3, "121 rows"),
        (("--labels", "none.txt"), 3, "none.txt"),
        (("--labels", "other.csv", "--data", "other.txt"), 2, "--label-column"),
        (("--labels", "labels.txt", "--draws", "2"), 2, "--draws"),
        (("--labels", "labels.txt", "--profile", "quick"), 2, "--profile"),
        (("--label-column", "number"), 2, "--label-column"),
        (("--permutations", "9"), 2, "--labels"),
        (("--labels", "labels.txt", "--given", "a"), 2, "--given"),
    ],
    ids=lambda value: str(value),
)
def test_labels_that_do_not_fit_are_named(
    mivae: Mivae, run: Path, labelled: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ran = mivae("estimate-mi", "--run", run, *arguments)
    assert (ran.code, ran.out) == (code, ""), ran.err
    assert words in ran.err


@pytest.mark.parametrize("form", ["files", "pattern", "folder", "sweep"])
def test_several_files_train_one_model(
    mivae: Mivae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shards").mkdir()
    files = [
        write_scenes(Path(f"shards/{name}.txt"), count=150, seed=n) for n, name in enumerate("ab")
    ]
    named = {"pattern": ["shards/*.txt"], "folder": ["shards"]}.get(form, list(map(str, files)))
    if form == "sweep":
        ran = mivae("sweep", *named, "--dry-run", "--json", "--set", "objective.mi_weight=0,1")
        [first, _] = json.loads(ran.out)
        assert first["commands"][0][:4] == ["mivae", "train", *named]
        return
    ran = mivae(
        "train", *named, "--dry-run", "--tokenizer", "word", "--set", "model.latent_size=2"
    )
    assert ran.code == 0
    assert "2 files: 300 rows" in ran.err


def test_the_first_text_names_a_new_run() -> None:
    def name(*train: str) -> str:
        return unused_path(read_config(options={"data.train": list(train)})).name

    assert name("a/first.txt.gz", "second.txt") == "first-default-1"
    assert name("shards/*.txt") == "shards-default-1"


def test_paths_are_texts_and_strings_are_sentences(tmp_path: Path) -> None:
    files = [
        write_scenes(tmp_path / f"{name}.txt", count=150, seed=n) for n, name in enumerate("ab")
    ]
    listed = text_paths(files)
    assert listed == tuple(map(str, files))
    assert text_paths(files[:1]) == text_paths(files[0]) == str(files[0])
    assert [text_paths(other) for other in (["a b", "c"], [], [files[0], "a"])] == [None] * 3


def test_the_preparation_of_a_large_text_is_shown(
    mivae: Mivae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=400)
    monkeypatch.setattr("mivae_cli.data.preparation.LARGE", 1)
    monkeypatch.setattr("mivae_cli.data.preparation.available_cores", lambda: 1)
    ran = mivae("train", text, "--dry-run", "--set", "model.latent_size=2")
    assert ran.code == 0
    assert ran.err.index("training the tokenizer: 0 MB ...") < ran.err.index("encoding the text")
