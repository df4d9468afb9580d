"""Tokenizers: round trips, and no text can produce a special symbol."""

import json
import os
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.data import BPETokenizerConfig, WordTokenizerConfig
from mivae_cli.data.tokenizer import BOUNDARY, UNKNOWN, Tokenizer, train_tokenizer, training_sample
from mivae_cli.errors import CheckpointError, DataError

FORGERIES = ["</s>", "<unk>", "</s></s>", "a </s> b", "a<unk>b", "<s>", " </s>", "</s> ."]
SENTENCES = ["the cat sat on the mat", "the dog sat", "a cat and a dog", *FORGERIES] * 3


@cache
def bpe() -> Tokenizer:
    return train_tokenizer(SENTENCES, BPETokenizerConfig(vocab_size=300))


@cache
def words() -> Tokenizer:
    return train_tokenizer(SENTENCES, WordTokenizerConfig(min_count=1))


def texts() -> st.SearchStrategy[str]:
    """Arbitrary text in which special symbols are frequent."""
    return st.lists(st.text() | st.sampled_from(FORGERIES)).map("".join)


@given(texts())
def test_bpe_gives_any_text_back(text: str) -> None:
    [ids] = bpe().encode([text])
    assert bpe().decode(ids) == text


@given(texts())
def test_bpe_never_encodes_special_symbols(text: str) -> None:
    [ids] = bpe().encode([text])
    assert not {BOUNDARY, UNKNOWN} & set(ids)
    assert bool(ids) == bool(text)


@given(texts())
def test_words_never_read_a_boundary(text: str) -> None:
    [ids] = words().encode([text])
    assert BOUNDARY not in ids


@given(st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "dog", "and"])))
def test_known_words_come_back(chosen: list[str]) -> None:
    [ids] = words().encode([" ".join(chosen)])
    assert UNKNOWN not in ids
    assert len(ids) == len(chosen)
    assert words().decode(ids) == " ".join(chosen)


def test_spaces_between_words_do_not_count() -> None:
    once, often = words().encode(["the cat sat", "  the \t cat\u3000sat "])
    assert once == often


@given(st.lists(st.text(min_size=1).filter(lambda text: bool(text.strip())), max_size=5))
def test_a_batch_is_read_as_its_sentences_are_one_by_one(batch: list[str]) -> None:
    for tokenizer in (bpe(), words()):
        assert tokenizer.encode(batch) == [tokenizer.encode([text])[0] for text in batch]


def test_only_unseen_words_are_unknown() -> None:
    [ids] = words().encode(["the zebra sat"])
    assert [token == UNKNOWN for token in ids] == [False, True, False]


@pytest.mark.parametrize("symbol", ["</s>", "<unk>"])
def test_a_symbol_spelt_out_in_a_corpus_of_words_is_an_unknown_word(symbol: str) -> None:
    tokenizer = train_tokenizer([f"see {symbol} here"] * 5, WordTokenizerConfig())
    [[see, forged, here]] = tokenizer.encode([f"see {symbol} here"])
    assert forged == UNKNOWN
    assert min(see, here) > max(BOUNDARY, UNKNOWN)
    assert tokenizer.size == 4


def test_the_cap_keeps_the_most_frequent_words() -> None:
    corpus = ["rare", *["common"] * 5, *["usual"] * 4, *["seldom"] * 2]
    tokenizer = train_tokenizer(corpus, WordTokenizerConfig(vocab_size=4, min_count=1))
    known = {word for word in set(corpus) if tokenizer.encode([word]) != [[UNKNOWN]]}
    assert known == {"common", "usual"}
    assert tokenizer.size == 4


@given(st.lists(st.sampled_from("abcdefg"), min_size=1), st.integers(1, 5))
def test_words_below_the_least_count_are_left_out(corpus: list[str], least: int) -> None:
    enough = {word for word, count in Counter(corpus).items() if count >= least}
    config = WordTokenizerConfig(min_count=least)
    if not enough:
        with pytest.raises(DataError, match="min_count"):
            train_tokenizer(corpus, config)
        return
    tokenizer = train_tokenizer(corpus, config)
    for word in "abcdefg":
        assert (tokenizer.encode([word]) != [[UNKNOWN]]) == (word in enough)


@given(st.permutations(["a b c", "c d", "e", "a e"]))
def test_the_order_of_sentences_does_not_change_the_vocabulary(corpus: list[str]) -> None:
    config = WordTokenizerConfig(min_count=1)
    reference = train_tokenizer(sorted(corpus), config)
    assert train_tokenizer(corpus, config).encode(["a b c d e"]) == reference.encode(["a b c d e"])


def test_frequent_words_have_the_lowest_ids() -> None:
    tokenizer = train_tokenizer(["b b b a a c"], WordTokenizerConfig(min_count=1))
    [[b, a, c]] = tokenizer.encode(["b a c"])
    assert (b, a, c) == (2, 3, 4)


@given(st.lists(texts(), max_size=6))
def test_flat_ids_are_those_of_the_sentences_end_to_end(batch: list[str]) -> None:
    for tokenizer in (bpe(), words()):
        ids, lengths = tokenizer.encode_flat(batch)
        found = tokenizer.encode(batch)
        assert lengths.tolist() == [len(sentence) for sentence in found]
        assert ids.tolist() == [token for sentence in found for token in sentence]


@pytest.fixture(scope="session")
def saved_words(tmp_path_factory: pytest.TempPathFactory) -> tokenizers.Tokenizer:
    """The library's result for the saved rules of `words`."""
    path = tmp_path_factory.mktemp("words") / "tokenizer.json"
    words().save(path)
    library = tokenizers.Tokenizer.from_file(str(path))
    library.encode_special_tokens = True
    return library


@given(batch=st.lists(texts(), max_size=6))
def test_words_are_looked_up_as_the_saved_rules_say(
    saved_words: tokenizers.Tokenizer, batch: list[str]
) -> None:
    # Python splits at U+001C to U+001F, the library does not
    batch = [re.sub(r"[\x1c-\x1f]", " ", text) for text in batch]
    expected = [[token or UNKNOWN for token in saved_words.encode(text).ids] for text in batch]
    assert words().encode(batch) == expected


@pytest.mark.parametrize("space", ["\x1c", "\x85", "\u2028", "\u3000"])
def test_words_are_cut_where_they_were_counted(space: str) -> None:
    tokenizer = train_tokenizer([f"one{space}two"], WordTokenizerConfig(min_count=1))
    assert UNKNOWN not in tokenizer.encode([f"one{space}two"])[0]


class TestBounds:
    def test_the_rarest_of_too_many_words_are_forgotten(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mivae_cli.data.tokenizer.CHUNK", 10)
        monkeypatch.setattr("mivae_cli.data.tokenizer.MAX_WORDS", 200)
        corpus = [f"often{n % 7} usual{n % 50} rare{n}" for n in range(2000)]
        config = WordTokenizerConfig(min_count=1, vocab_size=59)
        expected = {f"often{n}" for n in range(7)} | {f"usual{n}" for n in range(50)}
        found = train_tokenizer(corpus, config)
        assert {word for word in expected if found.encode([word]) == [[UNKNOWN]]} == set()

    def test_as_many_words_as_are_counted_are_all_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mivae_cli.data.tokenizer.MAX_WORDS", 200)
        corpus = [f"rare{n}" for n in range(200)]
        assert train_tokenizer(corpus, WordTokenizerConfig(min_count=1)).size == 202
        with pytest.raises(DataError, match="min_count"):
            train_tokenizer([*corpus, "rare200"], WordTokenizerConfig(min_count=1))

    def test_merges_are_learned_from_the_whole_of_a_corpus_within_bounds(self) -> None:
        assert training_sample(iter(SENTENCES)) == SENTENCES

    @pytest.mark.parametrize("bound", ["MAX_TEXT", "MAX_DISTINCT"])
    def test_merges_are_learned_from_an_even_share_of_a_larger_one(
        self, bound: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(f"mivae_cli.data.tokenizer.{bound}", 9_000)
        corpus = [f"w{n:05} w{n:05} end" for n in range(10_000)]  # 17 characters, 6 of a new word
        kept = training_sample(iter(corpus))
        assert kept == sorted(set(kept))
        full = 9_000 / (17 if bound == "MAX_TEXT" else 6)
        assert full / 3 < len(kept) <= full
        # about a quarter of the sample from each quarter of the corpus
        quarters, _ = np.histogram([int(text[1:6]) for text in kept], 4, (0, 10_000))
        assert np.abs(quarters - len(kept) / 4).max() < 4 * np.sqrt(len(kept) / 4)

    def test_a_sentence_beyond_the_bound_is_no_trap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mivae_cli.data.tokenizer.MAX_TEXT", 100)
        assert "x" * 1000 not in training_sample(["short", "x" * 1000, "short too"])


def test_bpe_without_merges_reads_bytes() -> None:
    tokenizer = train_tokenizer(SENTENCES, BPETokenizerConfig(vocab_size=258))
    text = "the caté 👩‍👧"
    [ids] = tokenizer.encode([text])
    assert tokenizer.size == 258
    assert len(ids) == len(text.encode())


@pytest.mark.parametrize("cap", [259, 262, 270])
def test_bpe_stays_under_its_cap(cap: int) -> None:
    corpus = ["every word of this long sentence appears again and again"] * 10
    assert train_tokenizer(corpus, BPETokenizerConfig(vocab_size=cap)).size == cap


def test_bpe_merges_only_pairs_seen_often_enough() -> None:
    corpus = ["qz", *["xy"] * 3]
    [rare], [common] = (
        train_tokenizer(corpus, BPETokenizerConfig(min_count=3)).encode([text])
        for text in ("qz", "xy")
    )
    assert (len(rare), len(common)) == (2, 1)


def test_bpe_is_trained_the_same_way_twice() -> None:
    again = train_tokenizer(SENTENCES, BPETokenizerConfig(vocab_size=300))
    assert again.encode(SENTENCES) == bpe().encode(SENTENCES)


@pytest.mark.parametrize("by_word", [False, True])
def test_a_saved_tokenizer_reads_alike(by_word: bool, tmp_path: Path) -> None:
    tokenizer = words() if by_word else bpe()
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    texts = [*SENTENCES, "a zebra", "naïve </s> <unk>"]
    assert loaded.encode(texts) == tokenizer.encode(texts)
    assert [loaded.decode(ids) for ids in loaded.encode(texts)] == [
        tokenizer.decode(ids) for ids in tokenizer.encode(texts)
    ]
    assert (loaded.size, loaded.by_word) == (tokenizer.size, by_word)


@pytest.mark.parametrize("content", [b"", b"not json", b"{}", b"[]", b'{"model": 3}', b"\xff\xfe"])
def test_a_malformed_file_is_a_checkpoint_error_that_names_it(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer.load(path)


def test_a_missing_file_is_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="absent"):
        Tokenizer.load(tmp_path / "absent.json")


def test_half_a_file_is_a_checkpoint_error(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    bpe().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        Tokenizer.load(path)


def test_a_tokenizer_with_other_symbols_is_rejected(tmp_path: Path) -> None:
    vocabulary = {"<pad>": 0, "<unk>": 1, "word": 2}
    other = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    path = tmp_path / "tokenizer.json"
    path.write_text(other.to_str(), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer.load(path)


@given(
    st.lists(texts() | st.text("ab \u2028\ud7ff")),
    st.booleans(),
    st.integers(258, 300),
    st.integers(1, 3),
)
def test_saved_tokenizers_can_be_loaded(
    folder: Path, corpus: list[str], by_word: bool, size: int, least: int
) -> None:
    kind = WordTokenizerConfig if by_word else BPETokenizerConfig
    try:
        tokenizer = train_tokenizer(corpus, kind(vocab_size=size, min_count=least))
    except DataError:
        return
    tokenizer.save(folder / "tokenizer.json")
    loaded = Tokenizer.load(folder / "tokenizer.json")
    assert loaded.encode([*corpus, "a b"]) == tokenizer.encode([*corpus, "a b"])


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokenizer")


REGEX = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
ADDED = {"id": 2, "content": "x", "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": False}  # fmt: skip
TRUNCATED = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
CHANGES: dict[str, Any] = {
    "pre_tokenizer": [REGEX, None, {"type": "Whitespace"}, {"type": "Sequence", "pretokenizers": []}],
    "normalizer": [{"type": "Lowercase"}, {"type": "Replace", "pattern": {"Regex": "(a|a)*"},
                                           "content": ""}],
    "post_processor": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False,
                        "use_regex": True}],
    "decoder": [{"type": "WordPiece", "prefix": "##", "cleanup": True}],
    "truncation": [TRUNCATED],
    "padding": [{"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None,
                 "pad_id": 0, "pad_type_id": 0, "pad_token": "</s>"}],
    "added_tokens": [[ADDED], [ADDED] * 2, None, {}],
    "version": ["2.0", None],
    "more": [1],
    "model": [3, None, [], {}, {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0}],
}  # fmt: skip


class TestUntrustedFiles:
    """Files that mivae did not write are rejected without side effects."""

    def loaded(self, path: Path, record: object) -> Tokenizer:
        path.write_text(json.dumps(record), encoding="utf-8")
        return Tokenizer.load(path)

    def record(self, by_word: bool, path: Path) -> Any:  # noqa: ANN401  # JSON
        (words() if by_word else bpe()).save(path)
        return json.loads(path.read_bytes())

    @pytest.mark.parametrize("by_word", [False, True])
    @pytest.mark.parametrize(
        ("key", "value"), [(key, value) for key, values in CHANGES.items() for value in values]
    )
    def test_any_other_rule_is_refused(
        self, by_word: bool, key: str, value: object, tmp_path: Path
    ) -> None:
        path = tmp_path / "tokenizer.json"
        record = self.record(by_word, path)
        with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
            self.loaded(path, record | {key: value})
        del record[next(iter(record))]
        with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
            self.loaded(path, record)

    @pytest.mark.parametrize("by_word", [False, True])
    @pytest.mark.parametrize("wrong", [10**6, -1, 2.0, True, None, "2", [2], 3, 2**64, 10**4000])
    def test_ids_must_be_0_to_v_minus_1(
        self, by_word: bool, wrong: object, tmp_path: Path
    ) -> None:
        path = tmp_path / "tokenizer.json"
        record = self.record(by_word, path)
        vocabulary = record["model"]["vocab"]
        [second] = [word for word, index in vocabulary.items() if index == 2]
        vocabulary[second] = wrong
        with pytest.raises(CheckpointError, match=r"tokenizer\.json.*ids"):
            self.loaded(path, record)

    @pytest.mark.parametrize(
        ("key", "value"),
        [("unk_token", "</s>"), ("dropout", 0.5), ("byte_fallback", True), ("type", "Unigram"),
         ("merges", [["t", "h", "e"]]), ("merges", [["t", "no such token"]]), ("merges", "th"),
         ("merges", [["t", 3]]), ("merges", None), ("merges", [["t", "h"]] * 2),
         ("continuing_subword_prefix", "##"), ("end_of_word_suffix", "</w>")],
    )  # fmt: skip
    def test_another_model_is_refused(self, key: str, value: object, tmp_path: Path) -> None:
        path = tmp_path / "tokenizer.json"
        record = self.record(False, path)
        record["model"][key] = value
        with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
            self.loaded(path, record)

    def test_bytes_that_are_missing_are_noticed(self, tmp_path: Path) -> None:
        path = tmp_path / "tokenizer.json"
        record = self.record(False, path)
        vocabulary = record["model"]["vocab"]
        vocabulary["no byte"] = vocabulary.pop("!")
        with pytest.raises(CheckpointError, match="lacks some of the 256 bytes"):
            self.loaded(path, record)

    @pytest.mark.parametrize(
        "content",
        ["[" * 100_000, '{"model": ' * 50_000, '{"model": ' + "9" * 5000 + "}", '{"model": NaN}',
         '{"model": {"type": "WordLevel", "vocab": {"a": Infinity}}}', '"\\ud800"',
         '{"model": {"type": "WordLevel", "vocab": {"</s>": 0, "<unk>": 1, "\\ud800": 2}}}'],
        ids=["brackets", "braces", "digits", "nan", "infinity", "string", "surrogate"],
    )  # fmt: skip
    def test_odd_json_is_refused(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
        with pytest.raises(CheckpointError, match=r"tokenizer\.json") as caught:
            Tokenizer.load(tmp_path / "tokenizer.json")
        assert len(str(caught.value)) < 500

    def test_duplicate_keys_are_rejected(self, tmp_path: Path) -> None:
        path = tmp_path / "tokenizer.json"
        words().save(path)
        content = path.read_text(encoding="utf-8")
        path.write_text(content.replace("{", '{"normalizer": null,', 1), encoding="utf-8")
        with pytest.raises(CheckpointError, match="duplicate key"):
            Tokenizer.load(path)

    def test_only_a_regular_file_is_opened(self, tmp_path: Path) -> None:
        words().save(tmp_path / "there.json")
        (tmp_path / "link").symlink_to(tmp_path / "there.json")
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")  # opening it would block forever
        for name in ("link", "folder", "pipe"):
            with pytest.raises(CheckpointError, match=r"is a link|not a regular file"):
                Tokenizer.load(tmp_path / name)

    def test_a_file_that_is_too_large_is_neither_read_nor_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "tokenizer.json"
        words().save(path)
        size = path.stat().st_size
        monkeypatch.setattr("mivae_cli.limits.MAX_TOKENIZER_BYTES", size)
        words().save(path)
        assert Tokenizer.load(path).size == words().size
        monkeypatch.setattr("mivae_cli.limits.MAX_TOKENIZER_BYTES", size - 1)
        with pytest.raises(CheckpointError, match=f"{size:,} bytes"):
            Tokenizer.load(path)
        with pytest.raises(DataError, match=r"lower data\.tokenizer\.vocab_size"):
            words().save(path)

    def test_a_panic_of_the_library_is_an_error_like_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class PanicException(BaseException):
            pass

        def panic(*_: object, **__: object) -> None:
            raise PanicException("called `Option::unwrap()` on a `None` value")

        words().save(tmp_path / "tokenizer.json")
        monkeypatch.setattr("tokenizers.models.WordLevel", panic)
        with pytest.raises(CheckpointError, match="unwrap"):
            Tokenizer.load(tmp_path / "tokenizer.json")
