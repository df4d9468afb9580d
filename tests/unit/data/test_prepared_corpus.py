"""Prepared corpora: no text is lost, and a corpus is prepared only once."""

import io
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.data import BPETokenizerConfig, DataConfig, WordTokenizerConfig
from mivae_cli.data.corpus import Split
from mivae_cli.data.prepared_corpus import (
    SPLITS,
    Corpus,
    TokenStore,
    open_corpus,
    prepare_corpus,
)
from mivae_cli.data.tokenizer import UNKNOWN
from mivae_cli.errors import CheckpointError, ConfigError, DataError
from mivae_cli.storage.manifest import entry_of
from mivae_cli.storage.sealed_json import read_sealed, write_sealed
from support.texts import encode_file, split_of

BPE = BPETokenizerConfig(vocab_size=300)
WORDS = WordTokenizerConfig(min_count=1)
SENTENCES = [f"the number {number} is {'odd' if number % 2 else 'even'}" for number in range(400)]


def config_of(path: Path, sentences: list[str] | None = None, **settings: object) -> DataConfig:
    if sentences is not None:
        path.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
    return DataConfig.model_validate({"train": str(path), "tokenizer": BPE} | settings)


def texts(corpus: Corpus, split: Split) -> list[str]:
    store = corpus[split]
    return [corpus.tokenizer.decode(store.sentence(place)) for place in range(len(store))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corpus.txt"


class TestSplits:
    def test_splits_partition_the_sentences_in_their_order(self, path: Path) -> None:
        corpus = prepare_corpus(config_of(path, SENTENCES, valid_share=0.2, test_share=0.1))
        for split in SPLITS:
            assert texts(corpus, split) == [
                sentence for sentence in SENTENCES if split_of(sentence, 0.2, 0.1) == split
            ]
        together = Counter(text for split in SPLITS for text in texts(corpus, split))
        assert together == Counter(SENTENCES)

    def test_duplicates_never_straddle_splits(self, path: Path) -> None:
        corpus = prepare_corpus(config_of(path, SENTENCES + SENTENCES[::-1] + SENTENCES[::3]))
        found = {split: set(texts(corpus, split)) for split in SPLITS}
        assert sum(map(len, found.values())) == len(set(SENTENCES))
        assert sum(len(corpus[split]) for split in SPLITS) == 2 * len(SENTENCES) + 134

    def test_a_growing_corpus_keeps_its_test_sentences_apart(self, path: Path) -> None:
        before = prepare_corpus(config_of(path, SENTENCES))
        after = prepare_corpus(config_of(path, SENTENCES + [f"more {n}" for n in range(300)]))
        assert set(texts(before, "test")) <= set(texts(after, "test"))
        assert set(texts(before, "train")) <= set(texts(after, "train"))

    def test_the_vocabulary_is_that_of_the_training_split_alone(self, path: Path) -> None:
        corpus = prepare_corpus(config_of(path, SENTENCES, tokenizer=WORDS))
        split = {sentence: split_of(sentence, 0.05, 0.05) for sentence in SENTENCES}
        known = {word for text in SENTENCES if split[text] == "train" for word in text.split()}
        assert corpus.tokenizer.size == len(known) + 2
        for name in SPLITS:
            words = [word for text in SENTENCES if split[text] == name for word in text.split()]
            summary = corpus.summaries[name]
            assert summary.tokens == len(words) == len(corpus[name].tokens)
            assert summary.unknown == sum(word not in known for word in words)
        assert corpus.summaries["train"].unknown == 0
        assert corpus.summaries["test"].unknown_share > 0

    def test_a_folder_with_all_splits_is_not_split_further(self, tmp_path: Path) -> None:
        given: dict[Split, list[str]] = {
            "train": SENTENCES[:50],
            "valid": SENTENCES[:7],  # may overlap with train
            "test": SENTENCES[60:69],
        }
        for split, sentences in given.items():
            (tmp_path / f"{split}.txt").write_text("\n".join(sentences), encoding="utf-8")
        corpus = prepare_corpus(config_of(tmp_path))
        assert {split: texts(corpus, split) for split in SPLITS} == given

    def test_only_missing_splits_are_split_off(self, tmp_path: Path) -> None:
        (tmp_path / "train.txt").write_text("\n".join(SENTENCES), encoding="utf-8")
        (tmp_path / "dev.txt").write_text("one\ntwo", encoding="utf-8")
        corpus = prepare_corpus(config_of(tmp_path, valid_share=0.5, test_share=0.2))
        assert texts(corpus, "valid") == ["one", "two"]
        held_out = [text for text in SENTENCES if split_of(text, 0.0, 0.2) == "test"]
        assert texts(corpus, "test") == held_out
        assert len(corpus["train"]) == len(SENTENCES) - len(held_out)

    def test_standard_input_is_read_like_a_file(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        named = prepare_corpus(config_of(path, SENTENCES))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
        piped = prepare_corpus(config_of(Path("-")))
        assert [texts(piped, split) for split in SPLITS] == [
            texts(named, split) for split in SPLITS
        ]


class TestLongSentences:
    lengths = tuple(1 + number % 9 for number in range(400))

    def prepared(self, path: Path, too_long: str) -> Corpus:
        sentences = [
            " ".join([f"w{number}", *["x"] * (length - 1)])
            for number, length in enumerate(self.lengths)
        ]
        return prepare_corpus(
            config_of(path, sentences, tokenizer=WORDS, max_tokens=5, too_long=too_long)
        )

    def total(self, corpus: Corpus, count: str) -> int:
        return sum(getattr(corpus.summaries[split], count) for split in SPLITS)

    def test_those_that_are_cut_are_counted(self, path: Path) -> None:
        corpus = self.prepared(path, "truncate")
        assert self.total(corpus, "truncated") == sum(length > 5 for length in self.lengths)
        assert self.total(corpus, "skipped") == 0
        assert self.total(corpus, "sentences") == len(self.lengths)
        assert self.total(corpus, "tokens") == sum(min(length, 5) for length in self.lengths)
        assert max(corpus[split].lengths.max() for split in SPLITS) == 5

    def test_those_that_are_left_out_are_counted(self, path: Path) -> None:
        corpus = self.prepared(path, "skip")
        kept = [length for length in self.lengths if length <= 5]
        assert self.total(corpus, "skipped") == len(self.lengths) - len(kept)
        assert self.total(corpus, "truncated") == 0
        assert self.total(corpus, "sentences") == len(kept)
        found = sorted(length for split in SPLITS for length in corpus[split].lengths.tolist())
        assert found == sorted(kept)

    def test_summaries_agree_with_the_stores(self, path: Path) -> None:
        corpus = self.prepared(path, "truncate")
        for split in SPLITS:
            assert corpus.summaries[split].sentences == len(corpus[split])
            assert corpus.summaries[split].tokens == len(corpus[split].tokens)
            assert corpus.summaries[split].unknown == np.sum(corpus[split].tokens == UNKNOWN)


def stamp(corpus: Corpus) -> tuple[Path, int]:
    return corpus.folder, (corpus.folder / "train.tokens").stat().st_mtime_ns


class TestCache:
    def test_the_same_content_is_prepared_once(self, path: Path, tmp_path: Path) -> None:
        first = prepare_corpus(config_of(path, SENTENCES))
        assert stamp(prepare_corpus(config_of(path, SENTENCES))) == stamp(first)  # written again
        elsewhere = config_of(tmp_path / "copy.txt", SENTENCES)
        assert stamp(prepare_corpus(elsewhere)) == stamp(first)

    @pytest.mark.parametrize(
        "change",
        [
            {"valid_share": 0.2},
            {"max_tokens": 7},
            {"too_long": "skip"},
            {"tokenizer": WORDS},
            {"tokenizer": BPETokenizerConfig(vocab_size=301)},
        ],
    )
    def test_other_settings_make_another_corpus(
        self, path: Path, change: dict[str, object]
    ) -> None:
        first = prepare_corpus(config_of(path, SENTENCES))
        assert prepare_corpus(config_of(path, None, **change)).folder != first.folder

    def test_changed_content_makes_another_corpus(self, path: Path) -> None:
        first = prepare_corpus(config_of(path, SENTENCES))
        second = prepare_corpus(config_of(path, [*SENTENCES[:-1], "something else"]))
        assert second.folder != first.folder
        found = [text for split in SPLITS for text in texts(second, split)]
        assert "something else" in found
        assert SENTENCES[-1] not in found

    def test_the_same_bytes_in_another_form_make_another_corpus(self, tmp_path: Path) -> None:
        sentences = ["text", *(f'"number {number}"' for number in range(200))]
        as_text = prepare_corpus(config_of(tmp_path / "a.txt", sentences))
        as_table = prepare_corpus(config_of(tmp_path / "a.csv", sentences))
        assert '"number 3"' in {text for split in SPLITS for text in texts(as_text, split)}
        assert "number 3" in {text for split in SPLITS for text in texts(as_table, split)}

    @pytest.mark.parametrize("name", ["corpus.json", "tokenizer.json", "valid.lines.npy"])
    def test_a_damaged_corpus_in_the_cache_is_prepared_again(
        self, name: str, path: Path, tmp_path: Path
    ) -> None:
        config, cache = config_of(path, SENTENCES), tmp_path / "cache"
        first = prepare_corpus(config, cache)
        expected = [texts(first, split) for split in SPLITS]
        (first.folder / name).unlink()
        second = prepare_corpus(config, cache)
        assert [texts(second, split) for split in SPLITS] == expected

    def test_the_environment_names_the_place(self, path: Path, cache: Path) -> None:
        assert prepare_corpus(config_of(path, SENTENCES)).folder.parent == cache

    def test_a_cache_that_cannot_be_written_is_a_config_error(self, path: Path) -> None:
        config = config_of(path, SENTENCES)
        with pytest.raises(ConfigError, match="MIVAE_CACHE"):
            prepare_corpus(config, cache=path / "below a file")


@pytest.mark.parametrize("tokenizer", [BPE, WORDS], ids=["bpe", "word"])
def test_the_size_of_chunks_changes_nothing(
    tokenizer: object, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(path, SENTENCES, tokenizer=tokenizer, max_tokens=4)
    whole = prepare_corpus(config, tmp_path / "whole")
    monkeypatch.setattr("mivae_cli.data.ingestion.CHUNK", 100)
    parts = prepare_corpus(config, tmp_path / "parts")
    for file in whole.folder.iterdir():
        assert (parts.folder / file.name).read_bytes() == file.read_bytes()


class TestLines:
    @pytest.mark.parametrize("tokenizer", [BPE, WORDS], ids=["bpe", "word"])
    def test_every_sentence_knows_its_line(self, tokenizer: object, path: Path) -> None:
        written = [text for sentence in SENTENCES for text in ("", sentence)]
        corpus = prepare_corpus(config_of(path, written, tokenizer=tokenizer, valid_share=0.3))
        for split in SPLITS:
            lines = corpus[split].lines
            assert lines is not None
            there = [written[line - 1] for line in lines.tolist()]
            assert there == [text for text in SENTENCES if split_of(text, 0.3, 0.05) == split]
            if tokenizer is BPE:
                assert there == texts(corpus, split)

    def test_skipped_sentences_keep_line_numbers_aligned(self, path: Path) -> None:
        sentences = [" ".join(["word"] * (1 + place % 7)) for place in range(300)]
        held_out = path.with_name("held-out.txt")
        held_out.write_text("word\n", encoding="utf-8")
        config = config_of(
            path, sentences, tokenizer=WORDS, max_tokens=5, too_long="skip",
            valid=str(held_out), test=str(held_out),
        )  # fmt: skip
        store = prepare_corpus(config)["train"]
        assert store.lines is not None
        assert store.lines.tolist() == [line for line in range(1, 301) if (line - 1) % 7 < 5]
        assert store.lengths.tolist() == [1 + (line - 1) % 7 for line in store.lines.tolist()]

    def test_a_file_and_a_sample_of_it_know_their_lines(self, path: Path, tmp_path: Path) -> None:
        config = config_of(path, SENTENCES)
        tokenizer = prepare_corpus(config).tokenizer
        (tmp_path / "new.csv").write_text(
            "id,text\n" + "".join(f'{place},"{text}"\n' for place, text in enumerate(SENTENCES)),
            encoding="utf-8",
        )
        store = encode_file(tmp_path / "new.csv", tokenizer, config)
        assert store.lines is not None
        assert store.lines.tolist() == list(range(2, 402))
        sample = store.sample(50, seed=3)
        assert sample.lines is not None
        for place, line in enumerate(sample.lines.tolist()):
            assert tokenizer.decode(sample.sentence(place)) == SENTENCES[line - 2]

    def test_bare_ids_come_from_no_file(self) -> None:
        store = TokenStore.from_ids([[2], [3], [4]])
        assert store.lines is None
        assert store.sample(2, seed=0).lines is None


class TestFailures:
    @pytest.mark.parametrize("tokenizer", [BPE, WORDS], ids=["bpe", "word"])
    def test_a_reader_s_error_comes_through_and_leaves_nothing_behind(
        self, tokenizer: object, path: Path, tmp_path: Path
    ) -> None:
        path.write_bytes("\n".join(SENTENCES).encode() + b"\n\xff\n")
        cache = tmp_path / "cache"
        with pytest.raises(DataError, match="line 401"):
            prepare_corpus(config_of(path, tokenizer=tokenizer), cache)
        assert list(cache.iterdir()) == []

    def test_a_corpus_without_a_sentence_is_an_error(self, path: Path) -> None:
        with pytest.raises(DataError, match="no sentences"):
            prepare_corpus(config_of(path, ["", "  "]))

    @pytest.mark.parametrize("count", [1, 2])
    def test_a_corpus_that_is_too_short_is_an_error(
        self, count: int, path: Path, tmp_path: Path
    ) -> None:
        cache = tmp_path / "cache"
        with pytest.raises(DataError, match=r"too short.* for train.*--valid"):
            prepare_corpus(config_of(path, SENTENCES[:count]), cache)
        assert list(cache.iterdir()) == []

    def test_sentences_that_are_all_too_long_leave_too_few(self, path: Path) -> None:
        with pytest.raises(DataError, match="too short"):
            prepare_corpus(config_of(path, SENTENCES, max_tokens=1, too_long="skip"))

    def test_two_sentences_do_when_held_out_files_are_named(self, tmp_path: Path) -> None:
        (tmp_path / "held-out.txt").write_text("three\n", encoding="utf-8")
        held_out = str(tmp_path / "held-out.txt")
        config = config_of(tmp_path / "a.txt", ["one", "two"], valid=held_out, test=held_out)
        corpus = prepare_corpus(config)
        assert [texts(corpus, split) for split in SPLITS] == [["one", "two"], ["three"], ["three"]]


class TestEncodedFiles:
    def test_a_file_is_read_as_the_corpus_was(self, path: Path, tmp_path: Path) -> None:
        config = config_of(path, SENTENCES, tokenizer=WORDS, max_tokens=4)
        corpus = prepare_corpus(config)
        (tmp_path / "new.txt").write_text("\n".join(texts(corpus, "train")), encoding="utf-8")
        store = encode_file(tmp_path / "new.txt", corpus.tokenizer, config)
        np.testing.assert_array_equal(store.tokens, corpus["train"].tokens)
        np.testing.assert_array_equal(store.offsets, corpus["train"].offsets)

    @pytest.mark.parametrize(
        ("sentence", "fits"), [("the even qu ux", True), ("the qu ux qux", False)]
    )
    def test_a_file_of_foreign_words_is_refused(
        self, sentence: str, fits: bool, path: Path, tmp_path: Path
    ) -> None:
        config = config_of(path, SENTENCES, tokenizer=WORDS)
        tokenizer = prepare_corpus(config).tokenizer
        (tmp_path / "new.txt").write_text(f"{sentence}\n" * 3, encoding="utf-8")
        if fits:
            assert len(encode_file(tmp_path / "new.txt", tokenizer, config)) == 3
        else:
            with pytest.raises(DataError, match=r"75% of the words .* vocabulary"):
                encode_file(tmp_path / "new.txt", tokenizer, config)

    def test_to_bytes_no_text_is_foreign(self, path: Path, tmp_path: Path) -> None:
        config = config_of(path, SENTENCES)
        tokenizer = prepare_corpus(config).tokenizer
        (tmp_path / "new.txt").write_text("猫が座った\n", encoding="utf-8")
        store = encode_file(tmp_path / "new.txt", tokenizer, config)
        assert tokenizer.decode(store.sentence(0)) == "猫が座った"

    def test_a_file_without_sentences_is_an_error(self, path: Path, tmp_path: Path) -> None:
        config = config_of(path, SENTENCES)
        (tmp_path / "new.txt").write_text(" \n\n", encoding="utf-8")
        with pytest.raises(DataError, match="no sentences"):
            encode_file(tmp_path / "new.txt", prepare_corpus(config).tokenizer, config)


class TestDamage:
    @pytest.fixture
    def folder(self, path: Path, tmp_path: Path) -> Path:
        corpus = prepare_corpus(config_of(path, SENTENCES))
        corpus.copy_to(tmp_path / "copy")
        return tmp_path / "copy"

    def replace(self, path: Path, content: bytes) -> None:
        """Replaces a file, checks that it is rejected, then updates the manifest as an attacker would."""
        manifest = read_sealed(path.parent / "corpus.json", "corpus")
        path.write_bytes(content)
        if path.name != "corpus.json":
            with pytest.raises(CheckpointError, match=f"{path.name}' is damaged"):
                open_corpus(path.parent)
            manifest["files"][path.name] = entry_of(path).model_dump()
            self.seal(path.parent, manifest)

    def seal(self, folder: Path, body: dict[str, Any]) -> None:
        (folder / "corpus.json").unlink()
        for name in ("kind", "format", "mivae", "checksum"):
            body.pop(name, None)
        write_sealed(folder / "corpus.json", "corpus", body)

    @pytest.mark.parametrize("name", ["train.tokens", "valid.offsets.npy"])
    @pytest.mark.parametrize("keep", [0, 5, -2, -8])
    def test_a_file_that_is_cut_short_is_noticed(self, name: str, keep: int, folder: Path) -> None:
        self.replace(folder / name, (folder / name).read_bytes()[:keep])
        with pytest.raises(CheckpointError, match="damaged"):
            open_corpus(folder)

    def test_a_file_that_is_too_long_is_noticed(self, folder: Path) -> None:
        path = folder / "test.tokens"
        self.replace(path, path.read_bytes() + b"\0\0")
        with pytest.raises(CheckpointError, match=r"test\.tokens"):
            open_corpus(folder)

    def test_offsets_of_nothing_are_noticed(self, folder: Path) -> None:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(0, dtype=np.int64))
        self.replace(folder / "test.offsets.npy", buffer.getvalue())
        with pytest.raises(CheckpointError, match="damaged"):
            open_corpus(folder)

    @pytest.mark.parametrize(
        "record",
        [b"", b"[]", b"{}", b"3", b"\xff", b'{"splits": {"train": [], "valid": 1, "test": 2}}'],
    )
    def test_a_malformed_record_is_noticed(self, record: bytes, folder: Path) -> None:
        self.replace(folder / "corpus.json", record)
        with pytest.raises(CheckpointError):
            open_corpus(folder)

    @pytest.mark.parametrize("value", ["O", ["<u2"], "<i2"])
    def test_another_type_of_ids_is_detected(self, value: object, folder: Path) -> None:
        self.seal(folder, read_sealed(folder / "corpus.json", "corpus") | {"dtype": value})
        with pytest.raises(CheckpointError, match="type of ids"):
            open_corpus(folder)

    def test_ids_outside_the_vocabulary_are_detected(self, folder: Path) -> None:
        content = (folder / "test.tokens").read_bytes()
        self.replace(folder / "test.tokens", content[:-2] + b"\xff\xff")
        with pytest.raises(CheckpointError, match=r"tokens'.*vocabulary"):
            open_corpus(folder)

    @pytest.mark.parametrize("name", ["test.offsets.npy", "test.lines.npy"])
    @pytest.mark.parametrize("change", ["width", "rank", "longer", "huge", "archive", "pickle"])
    def test_arrays_of_another_form_are_noticed(
        self, name: str, change: str, folder: Path
    ) -> None:
        array, buffer = np.load(folder / name), io.BytesIO()
        match change:
            case "width":
                np.save(buffer, array.astype(np.float64))
            case "rank":
                np.save(buffer, array[:, None])
            case "longer":
                np.save(buffer, np.append(array, array[-1:]))
            case "huge":
                header = {"descr": array.dtype.str, "fortran_order": False, "shape": (10**30,)}
                np.lib.format.write_array_header_1_0(buffer, header)
            case "archive":
                np.savez(buffer, array)
            case _:
                np.save(buffer, np.array([{}]), allow_pickle=True)
        self.replace(folder / name, buffer.getvalue())
        with pytest.raises(CheckpointError, match="damaged"):
            open_corpus(folder)

    @pytest.mark.parametrize("place", [0, 3])
    def test_offsets_that_do_not_increase_are_detected(self, place: int, folder: Path) -> None:
        offsets = np.load(folder / "test.offsets.npy")
        offsets[place] += 10**6
        buffer = io.BytesIO()
        np.save(buffer, offsets)
        self.replace(folder / "test.offsets.npy", buffer.getvalue())
        with pytest.raises(CheckpointError, match="offsets"):
            open_corpus(folder)

    def test_brackets_without_end_are_noticed(self, folder: Path) -> None:
        self.replace(folder / "corpus.json", b"[" * 100_000)
        with pytest.raises(CheckpointError, match="nested too deeply"):
            open_corpus(folder)

    @pytest.mark.parametrize("key", ["dtype", "splits", "sources"])
    def test_a_record_that_lacks_something_is_noticed(self, key: str, folder: Path) -> None:
        record = read_sealed(folder / "corpus.json", "corpus")
        del record[key]
        self.seal(folder, record)
        with pytest.raises(CheckpointError, match=key):
            open_corpus(folder)

    @pytest.mark.parametrize(
        "name", ["corpus.json", "tokenizer.json", "valid.tokens", "valid.lines.npy"]
    )
    def test_a_missing_file_is_noticed(self, name: str, folder: Path) -> None:
        (folder / name).unlink()
        with pytest.raises(CheckpointError, match=name.partition(".")[0]):
            open_corpus(folder)


class TestCopies:
    def test_a_copy_holds_the_same_and_needs_the_original_no_longer(
        self, path: Path, tmp_path: Path
    ) -> None:
        corpus = prepare_corpus(config_of(path, SENTENCES), tmp_path / "cache")
        expected = [texts(corpus, split) for split in SPLITS]
        corpus.copy_to(tmp_path / "run" / "data")
        for file in corpus.folder.iterdir():
            file.unlink()
        copy = open_corpus(tmp_path / "run" / "data")
        assert [texts(copy, split) for split in SPLITS] == expected
        assert (copy.summaries, copy.sources) == (corpus.summaries, corpus.sources)

    def test_a_copy_is_not_made_over_something(self, path: Path, tmp_path: Path) -> None:
        corpus = prepare_corpus(config_of(path, SENTENCES))
        (tmp_path / "data").mkdir()
        with pytest.raises(FileExistsError):
            corpus.copy_to(tmp_path / "data")
        assert list((tmp_path / "data").iterdir()) == []

    def test_damage_to_a_copy_or_the_original_stays_there(
        self, path: Path, tmp_path: Path
    ) -> None:
        corpus = prepare_corpus(config_of(path, SENTENCES), tmp_path / "cache")
        folders = [corpus.folder, tmp_path / "one", tmp_path / "two"]
        for folder in folders[1:]:
            corpus.copy_to(folder)
        sound = texts(corpus, "train")
        for damaged in folders:
            with (damaged / "train.tokens").open("r+b") as file:
                content = file.read()
                file.seek(0)
                file.write(b"\xff" * 8)
            for folder in folders:
                if folder != damaged:
                    assert texts(open_corpus(folder), "train") == sound
            (damaged / "train.tokens").write_bytes(content)


class TestWidth:
    def prepared(self, folder: Path, words: int) -> Corpus:
        names = [f"w{number}" for number in range(words)]
        rows = [" ".join(names[start : start + 100]) for start in range(0, words, 100)]
        (folder / "train.txt").write_text("\n".join(rows), encoding="utf-8")
        for split in ("valid", "test"):
            (folder / f"{split}.txt").write_text(f"w0 {names[-1]}", encoding="utf-8")
        words_config = WordTokenizerConfig(min_count=1, vocab_size=100_000)
        return prepare_corpus(config_of(folder, tokenizer=words_config))

    @pytest.mark.parametrize(("words", "width"), [(1_000, 2), (2**16 - 2, 2), (2**16 - 1, 4)])
    def test_ids_take_two_bytes_until_they_no_longer_fit(
        self, words: int, width: int, tmp_path: Path
    ) -> None:
        corpus = self.prepared(tmp_path, words)
        assert corpus.tokenizer.size == words + 2
        assert (corpus.folder / "train.tokens").stat().st_size == width * words
        assert sorted(corpus["train"].tokens.tolist()) == list(range(2, words + 2))
        assert texts(corpus, "test") == [f"w0 w{words - 1}"]


@given(st.lists(st.lists(st.integers(0, 2**32 - 1))))
def test_a_store_in_memory_gives_its_sentences_back(sentences: list[list[int]]) -> None:
    store = TokenStore.from_ids(sentences)
    assert len(store) == len(sentences)
    assert [store.sentence(place) for place in range(len(store))] == sentences
    assert store.lengths.tolist() == [len(ids) for ids in sentences]


def test_a_sample_holds_different_sentences_as_the_seed_decides() -> None:
    store = TokenStore.from_ids([[index + 2] * (index % 3 + 1) for index in range(50)])
    drawn = store.sample(20, seed=1)
    found = [drawn.sentence(place) for place in range(len(drawn))]
    assert len({ids[0] for ids in found}) == 20
    assert all(ids in [store.sentence(place) for place in range(50)] for ids in found)
    again, other = store.sample(20, seed=1), store.sample(20, seed=2)
    assert np.array_equal(drawn.tokens, again.tokens)
    assert not np.array_equal(drawn.tokens, other.tokens)
    assert store.sample(50, seed=1) is store
