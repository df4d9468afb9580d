"""Corpora of several files: lists, patterns and folders."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mivae_cli.config.data import BPETokenizerConfig, DataConfig, WordTokenizerConfig
from mivae_cli.config.resolve import read_config, template
from mivae_cli.config.run import RunConfig
from mivae_cli.data.corpus import Split, locate_splits
from mivae_cli.data.ingestion import hashed_files
from mivae_cli.data.preparation import corpus_key
from mivae_cli.data.prepared_corpus import SPLITS, Corpus, open_corpus, prepare_corpus
from mivae_cli.errors import CheckpointError, ConfigError, DataError
from mivae_cli.storage.sealed_json import read_sealed, write_sealed
from support.texts import split_of

BPE = BPETokenizerConfig(vocab_size=300)
WORDS = WordTokenizerConfig(min_count=1)
FIRST = [f"the number {number} is odd" for number in range(1, 301, 2)]
SECOND = [f"number {number} is even" for number in range(0, 500, 2)]


def write(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def config_of(*paths: Path | str, **settings: object) -> DataConfig:
    settings = {"tokenizer": BPE, "valid_share": 0.2, "test_share": 0.1} | settings
    return DataConfig.model_validate({"train": list(map(str, paths)), **settings})


def located(*paths: Path | str, **settings: object) -> dict[str, list[str]]:
    found = locate_splits(config_of(*paths, **settings))
    return {split: [path.name for path in files] for split, files in found.items()}


def contents(corpus: Corpus) -> dict[str, bytes]:
    names = (path.name for path in corpus.folder.iterdir())
    return {name: (corpus.folder / name).read_bytes() for name in names if name != "corpus.json"}


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    write(tmp_path / "shards" / "a.txt", FIRST)
    write(tmp_path / "shards" / "b.txt", SECOND)
    return tmp_path / "shards"


class TestSetting:
    def test_one_path_is_the_same_setting_as_a_list_of_it(self) -> None:
        alone, listed = (read_config(overrides=[f"data.train={t}"]) for t in ('"a"', '["a"]'))
        assert alone == listed
        assert listed.data.train == "a"

    def test_a_list_survives_json_and_toml(self, tmp_path: Path) -> None:
        config = read_config(options={"data.train": ["a.txt", "b/*.txt"]})
        assert config.data.train == ("a.txt", "b/*.txt")
        assert RunConfig.model_validate_json(config.model_dump_json()) == config
        (tmp_path / "run.toml").write_text(template(config), encoding="utf-8")
        read = read_config(file=tmp_path / "run.toml").data.train
        assert read == tuple(str(tmp_path.resolve() / name) for name in ("a.txt", "b/*.txt"))

    def test_brackets_in_the_folder_of_a_toml_file_are_no_pattern(self, tmp_path: Path) -> None:
        folder = tmp_path / "run [1]"
        write(folder / "a.txt", FIRST)
        (folder / "run.toml").write_text('[data]\ntrain = "*.txt"\n')
        data = read_config(file=folder / "run.toml").data
        assert locate_splits(data)["train"] == (folder.resolve() / "a.txt",)

    @pytest.mark.parametrize("value", ['["a", 3]', '["a", "x\\u0007"]', '[["a"]]', "3"])
    def test_anything_else_is_an_error_that_names_the_key(self, value: str) -> None:
        with pytest.raises(ConfigError, match=r"'data\.train' cannot be") as caught:
            read_config(overrides=[f"data.train={value}"])
        assert str(caught.value).count("data.train") == 1


class TestFiles:
    def test_listed_files_are_read_in_their_order(self, shards: Path) -> None:
        assert located(shards / "b.txt", shards / "a.txt") == {"train": ["b.txt", "a.txt"]}

    def test_a_pattern_stands_for_its_files_by_name(self, shards: Path) -> None:
        write(shards / "c.csv", ["text"])
        write(shards / ".hidden.txt", FIRST)
        (shards / "folder.txt").mkdir()
        assert located(shards / "*.txt") == {"train": ["a.txt", "b.txt"]}
        assert located(shards / "[bc].*") == {"train": ["b.txt", "c.csv"]}
        assert located(shards.parent / "**" / "b*") == {"train": ["b.txt"]}

    def test_a_folder_without_a_training_file_stands_for_its_texts(self, shards: Path) -> None:
        for name in ("c.csv.gz", "valid.txt", ".hidden.txt", "LICENSE", "figure.png"):
            write(shards / name, ["text"])
        assert located(shards) == {"train": ["a.txt", "b.txt", "c.csv.gz"], "valid": ["valid.txt"]}
        write(shards / "train.txt", FIRST)
        assert located(shards) == {"train": ["train.txt"], "valid": ["valid.txt"]}

    def test_folders_and_files_can_be_combined(self, shards: Path, tmp_path: Path) -> None:
        more = write(tmp_path / "more.jsonl", ['{"text": "more"}'])
        assert located(more, shards) == {"train": ["more.jsonl", "a.txt", "b.txt"]}
        write(shards / "dev.txt", FIRST)
        with pytest.raises(DataError, match=r"valid split \('dev\.txt'\)"):
            located(more, shards)

    @pytest.mark.parametrize("train", ["{}", "{}/*.txt"])
    def test_held_out_files_are_no_training_files(self, train: str, shards: Path) -> None:
        held_out = write(shards / "last.txt", FIRST)
        found = located(
            train.format(shards), valid=str(held_out), test=f"{shards}/../shards/b.txt"
        )
        assert found == {"train": ["a.txt"], "valid": ["last.txt"], "test": ["b.txt"]}

    def test_a_file_whose_name_is_a_pattern_is_that_file(self, shards: Path) -> None:
        write(shards / "[ab].txt", FIRST)
        assert located(shards / "[ab].txt") == {"train": ["[ab].txt"]}

    @pytest.mark.parametrize("again", ["a.txt", "../shards/a.txt", "link.txt", "a*"])
    def test_a_file_that_is_given_twice_is_an_error(self, again: str, shards: Path) -> None:
        (shards / "link.txt").symlink_to(shards / "a.txt")
        with pytest.raises(DataError, match="twice"):
            located(shards / "a.txt", shards / again)

    def test_what_is_not_there_is_an_error(self, shards: Path, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"absent\.txt"):
            located(shards / "a.txt", shards / "absent.txt")
        with pytest.raises(DataError, match=r"pattern '.*\.jsonl'"):
            located(shards / "*.jsonl")
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="empty"):
            located(shards / "a.txt", tmp_path / "empty")
        with pytest.raises(DataError, match="standard input"):
            located("-", shards / "a.txt")

    def test_a_file_that_cannot_be_read_is_not_passed_over(self, shards: Path) -> None:
        write(shards / "c.parquet", FIRST)
        with pytest.raises(DataError, match=r"c\.parquet"):
            located(shards)

    def test_too_many_files_are_an_error(
        self, shards: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mivae_cli.limits.MAX_CORPUS_FILES", 1)
        with pytest.raises(DataError, match="2 files"):
            located(shards / "*.txt")


class TestPrepared:
    @pytest.mark.parametrize("tokenizer", [BPE, WORDS], ids=["bpe", "word"])
    def test_files_are_prepared_as_if_they_were_one(
        self, tokenizer: object, shards: Path, tmp_path: Path
    ) -> None:
        whole = write(tmp_path / "whole.txt", FIRST + SECOND)
        expected = contents(prepare_corpus(config_of(whole, tokenizer=tokenizer)))
        found = contents(prepare_corpus(config_of(shards, tokenizer=tokenizer)))
        assert found.keys() == expected.keys()
        assert {name for name in found if found[name] != expected[name]} == {
            f"{split}.lines.npy" for split in SPLITS
        }

    def test_every_sentence_knows_its_file_and_its_line(
        self, shards: Path, tmp_path: Path
    ) -> None:
        config = config_of(shards / "a.txt", shards / "b.txt")
        corpus = prepare_corpus(config, tmp_path / "cache")
        texts = {str(shards / "a.txt"): FIRST, str(shards / "b.txt"): SECOND}
        assert list(corpus.sources) == list(texts)
        for split in SPLITS:
            store = corpus[split]
            assert store.lines is not None
            files = corpus.files_of(split, np.arange(len(store)))
            found = [texts[file][line - 1] for file, line in zip(files, store.lines, strict=True)]
            assert found == [t for t in FIRST + SECOND if split_of(t, 0.2, 0.1) == split]
            assert found == [corpus.tokenizer.decode(store.sentence(n)) for n in range(len(store))]

    def test_named_splits_are_not_of_the_training_files(
        self, shards: Path, tmp_path: Path
    ) -> None:
        held_out = write(tmp_path / "held-out.txt", ["one", "two"])
        corpus = prepare_corpus(config_of(shards, valid=str(held_out)))
        assert corpus.parts.keys() == {"train", "test"}
        assert corpus.files_of("valid", np.arange(2)) == ()
        assert corpus.rows["train"].rows == len(FIRST + SECOND)
        assert corpus.rows["valid"].sentences == 2

    def test_skipped_sentences_and_empty_files_are_counted(self, shards: Path) -> None:
        write(shards / "aa.txt", [])
        write(shards / "b.txt", [f"{'very ' * (n % 2)}{text}" for n, text in enumerate(SECOND)])
        settings = {"tokenizer": WORDS, "max_tokens": 4, "too_long": "skip"}
        corpus = prepare_corpus(config_of(shards, **settings))
        for split in SPLITS:
            kept = [t for t in SECOND[::2] if split_of(t, 0.2, 0.1) == split]
            assert corpus.parts[split] == (0, 0, len(kept))

    def test_the_order_and_the_cuts_are_part_of_the_key(
        self, shards: Path, tmp_path: Path
    ) -> None:
        def key(*paths: Path) -> str:
            config = config_of(*paths)
            return corpus_key(hashed_files(locate_splits(config)), config)

        one, two = shards / "a.txt", shards / "b.txt"
        whole = write(tmp_path / "whole.txt", FIRST + SECOND)
        assert len({key(one, two), key(two, one), key(one), key(whole)}) == 4
        assert key(one, two) == key(shards) == key(shards / "*.txt")

    def test_a_corpus_is_prepared_once(self, shards: Path) -> None:
        first = prepare_corpus(config_of(shards))
        stamp = (first.folder / "train.tokens").stat().st_mtime_ns
        again = prepare_corpus(config_of(shards / "a.txt", shards / "b.txt"))
        assert again.folder == first.folder
        assert (again.folder / "train.tokens").stat().st_mtime_ns == stamp
        assert again.parts == first.parts

    def test_an_error_names_the_file_and_its_own_line(self, shards: Path) -> None:
        (shards / "b.txt").write_bytes(b"fine\n\xff\n")
        with pytest.raises(DataError, match=r"b\.txt'.*line 2"):
            prepare_corpus(config_of(shards))
        for name in ("a.txt", "b.txt"):
            write(shards / name, [""])
        with pytest.raises(DataError, match=r"a\.txt' and 1 more contains no sentences"):
            prepare_corpus(config_of(shards / "a.txt", shards / "b.txt"))

    @pytest.mark.parametrize(
        "parts",
        [
            {"train": [1, 2]},
            {"train": [-1, 2]},
            {"train": [1] * 9},
            {"odd": []},
            3,
            {"test": "12"},
        ],
    )
    def test_damaged_counts_are_noticed(self, parts: object, shards: Path, tmp_path: Path) -> None:
        prepare_corpus(config_of(shards)).copy_to(tmp_path / "copy")
        manifest: dict[str, Any] = read_sealed(tmp_path / "copy" / "corpus.json", "corpus")
        body = {
            k: v for k, v in manifest.items() if k not in ("kind", "format", "mivae", "checksum")
        }
        os.remove(tmp_path / "copy" / "corpus.json")
        write_sealed(tmp_path / "copy" / "corpus.json", "corpus", body | {"parts": parts})
        with pytest.raises(CheckpointError, match="damaged"):
            open_corpus(tmp_path / "copy")


def test_one_file_has_the_key_that_it_always_had(tmp_path: Path) -> None:
    """Prepared corpora of earlier versions are found in the cache."""
    path = write(tmp_path / "a.txt", FIRST)
    splits: dict[Split, tuple[Path, ...]] = {"train": (path,), "test": (path,)}
    assert corpus_key(hashed_files(splits), DataConfig()) == "69bdf605fab31777a82356be9c384e53"
