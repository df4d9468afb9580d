"""The cache of words gives the ids of the library, in bounded memory."""

import sys
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from mivae_cli.config.data import BPETokenizerConfig
from mivae_cli.data.tokenizer import MIN_CACHED, UNKNOWN, Tokenizer, train_tokenizer
from mivae_cli.data.word_cache import MAX_LENGTH, WordCache

CORPUS = [
    "the cat's on the mat, isn't it?",
    "été 日本 日本語 it'll be 12 or 123 …",
    "</s> <unk> </s>",
]
ODD = ["", "'s", "'ll", "don't", "123", "4é", "été", "日本", "😀", "👩‍👧", "</s>", "<unk>", ".", "...",
       "!?", "a", "B", "the", "cat", "\u0301", "١٢", "²", "_", "x" * (MAX_LENGTH + 1), "\x00", "\ufeff",
       "\u200b", "\u180e"]  # fmt: skip
SPACES = [
    " ",
    " ",
    " ",
    "",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\xa0",
    "\x1c",
    "\x85",
    "\u2003",
    "\u2028",
    "\u3000",
]
Texts = list[str]


@cache
def library() -> tokenizers.Tokenizer:
    tokenizer = train_tokenizer(CORPUS * 5, BPETokenizerConfig(vocab_size=330))
    return tokenizer._backend


def bare(texts: Sequence[str]) -> list[list[int]]:
    return [found.ids for found in library().encode_batch_fast(list(texts))]


class Spy:
    """The library, which records the texts that it encodes."""

    def __init__(self) -> None:
        self.texts: Texts = []

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        self.texts.extend(texts)
        return bare(texts)


def sentences() -> st.SearchStrategy[str]:
    pairs = st.tuples(st.sampled_from(ODD) | st.text(max_size=3), st.sampled_from(SPACES))
    return st.lists(pairs, max_size=10).map(lambda found: "".join(a + b for a, b in found))


def check(words: WordCache, batch: Sequence[str]) -> None:
    ids, lengths = words.encode_flat(batch)
    expected = bare(batch)
    assert ids.tolist() == [index for found in expected for index in found]
    assert lengths.tolist() == [len(found) for found in expected]
    assert ids.dtype == np.dtype(np.uint32)
    assert lengths.dtype == np.dtype(np.int64)


@settings(max_examples=30)
@given(st.lists(st.lists(sentences(), max_size=12), min_size=1, max_size=3))
def test_ids_are_those_of_the_library(batches: list[Texts]) -> None:
    words = WordCache(bare)
    for batch in [*batches, *batches]:  # new words, then cached ones
        check(words, batch)


def test_ids_are_those_of_the_library_around_any_separator_symbol_or_mark() -> None:
    kinds = {"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Sk", "Nl", "No"}
    odd = [
        chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in kinds
    ]
    assert len(odd) > 2000
    check(WordCache(bare), [f"a{symbol}b {symbol} {symbol}'s 1{symbol} x" for symbol in odd])


def test_only_new_words_reach_the_library() -> None:
    spy = Spy()
    words = WordCache(spy)
    check(words, ["a cat sat", "the cat", "a mat"])
    assert sorted(spy.texts) == [" cat", " mat", " sat", "a", "the"]
    spy.texts.clear()
    check(words, ["the mat sat", "a cat"])
    assert spy.texts == []
    check(words, ["cat a the"])  # other places in a sentence, other ids
    assert sorted(spy.texts) == [" a", " the", "cat"]


@pytest.mark.parametrize(
    "text", ["a  cat", "a\tcat sat", "a \n cat", "a " + "x" * 65, " a", "a ", ""]
)
def test_a_sentence_that_cannot_be_cut_is_encoded_as_a_whole(text: str) -> None:
    spy = Spy()
    check(WordCache(spy), ["fine", text, "fine too"])
    assert text in spy.texts


@pytest.mark.parametrize("limit", ["MAX_WORDS", "MAX_IDS"])
def test_memory_is_bounded_and_a_full_cache_starts_again(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"mivae_cli.data.word_cache.{limit}", 40)
    words = WordCache(bare)
    sizes = []
    for start in range(0, 200, 8):
        check(words, [f"word{n} and w{n}" for n in range(start, start + 8)])
        sizes.append(len(words))
    assert max(sizes) <= 40
    assert any(after < before for before, after in pairwise(sizes))
    check(words, [f"more{n} words{n} than fit" for n in range(100)])
    check(words, ["more0 words0"])


def test_threads_may_share_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mivae_cli.data.word_cache.MAX_WORDS", 50)
    words = WordCache(bare)
    batches = [[f"w{n} of {n % 7} v{n + turn}" for n in range(40)] for turn in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda batch: check(words, batch), batches))


def test_a_tokenizer_gives_the_same_ids_in_batches_of_any_size(tmp_path: Path) -> None:
    train_tokenizer(CORPUS * 5, BPETokenizerConfig(vocab_size=330)).save(tmp_path / "t.json")
    tokenizer = Tokenizer.load(tmp_path / "t.json")
    batch = [*CORPUS, *(f"{word} {word}" for word in ODD), "many </s> words " * 2000] * 20
    assert len(batch) > MIN_CACHED
    alone = [tokenizer.encode([text])[0] for text in batch]
    assert tokenizer.encode(batch) == alone
    assert min(min(ids) for ids in alone) >= UNKNOWN  # no text can produce the end symbol
