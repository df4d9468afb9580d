"""Text of a model beside the text that it came from, with the words that differ."""

__all__ = [
    "compared",
    "interpolations",
    "nearest_sentence",
    "reconstructions",
    "samples",
    "shortened",
]

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from ..data.prepared_corpus import Corpus
from ..data.token_store import TokenStore
from ..generation.decoding import Decoding
from ..generation.generate import encode_texts, generated, interpolation, prior_samples
from ..models.vae import VAE
from .records import Changed, Passage

LONGEST = 300  # characters of a sentence on a page
PAIRS, STEPS, SAMPLES, RECONSTRUCTIONS = 2, 7, 8, 6
SEARCHED = 20_000  # training sentences that a sample is compared with
CANDIDATES = 30  # of these, that are compared word by word
TEMPERATURE = 0.8  # of samples, as in `mivae sample`


def reconstructions(model: VAE, corpus: Corpus, longest: int, seed: int) -> tuple[Passage, ...]:
    """Returns test sentences, and what is decoded from their posterior means."""
    texts = _test_sentences(corpus, RECONSTRUCTIONS, seed)
    means = encode_texts(model, corpus.tokenizer, texts, longest).mean
    decoding = Decoding(beam=1, max_tokens=longest)
    decoded = generated(model, corpus.tokenizer, means, decoding, seed)
    return tuple(
        passage(str(number), out, text)
        for number, (text, out) in enumerate(zip(texts, decoded, strict=True), start=1)
    )


def interpolations(
    model: VAE, corpus: Corpus, longest: int, seed: int
) -> tuple[tuple[Passage, ...], ...]:
    """Returns paths between test sentences; words that differ from the row above are changed."""
    texts = _test_sentences(corpus, 2 * PAIRS, seed + 1)
    if len(texts) < 2:
        return ()
    means = encode_texts(model, corpus.tokenizer, texts, longest).mean
    decoding = Decoding(beam=1, max_tokens=longest)
    paths = []
    for first in range(0, len(texts) - 1, 2):
        latents = interpolation(means[first], means[first + 1], STEPS, "slerp")
        latents = model.prior.projected(latents)
        decoded = list(generated(model, corpus.tokenizer, latents, decoding, seed))
        whole = [texts[first], *decoded, texts[first + 1]]
        heads = ["A", *(f"{step / (STEPS - 1):.2f}" for step in range(STEPS)), "B"]
        above = [whole[0], *whole[:-1]]  # no word of A is marked
        rows = (
            Passage(head, compared(text, other), separator=separator(text))
            for head, text, other in zip(heads, whole, above, strict=True)
        )
        paths.append(tuple(rows))
    return tuple(paths)


def samples(model: VAE, corpus: Corpus, longest: int, seed: int) -> tuple[Passage, ...]:
    """Returns samples from the prior, each beside the most similar training sentence."""
    latents = prior_samples(SAMPLES, model.prior, seed)
    decoding = Decoding(temperature=TEMPERATURE, max_tokens=longest)
    found = []
    train = corpus["train"].sample(SEARCHED, seed)
    for number, text in enumerate(
        generated(model, corpus.tokenizer, latents, decoding, seed), start=1
    ):
        ids = corpus.tokenizer.encode([text])[0] if text.strip() else []
        place = nearest_sentence(ids, train)
        near = corpus.tokenizer.decode(train.sentence(place))
        found.append(passage(str(number), text, near))
    return tuple(found)


def nearest_sentence(ids: Sequence[int], store: TokenStore) -> int:
    """Returns the index of the sentence most similar to some token ids.

    Of the sentences that share most tokens (twice their number, divided by both lengths), it is the
    one with the largest ratio of matching tokens in order.
    """
    tokens, counts = np.asarray(store.tokens), Counter(ids)
    starts = np.asarray(store.offsets[:-1])
    shared = np.zeros(len(store))
    for token, count in counts.items():
        occurrences = np.add.reduceat((tokens == token).astype(np.int64), starts)
        shared += np.minimum(occurrences, count)
    similarity = 2 * shared / (store.lengths + max(len(ids), 1))
    best: list[int] = np.argsort(-similarity, kind="stable")[:CANDIDATES].tolist()

    def ratio(place: int) -> float:
        return SequenceMatcher(None, list(ids), store.sentence(place), autojunk=False).ratio()

    return max(best, key=ratio)


def passage(head: str, text: str, other: str) -> Passage:
    """Returns a text and the one it is compared with; an empty one leaves no word changed."""
    if not other:
        words = tuple(Changed(word, False) for word in _words(shortened(text)))
        return Passage(head, words, separator=separator(text))
    return Passage(head, *_both(text, other), separator=separator(text))


def compared(text: str, other: str) -> tuple[Changed, ...]:
    """Returns the words of a text; those outside the longest matching blocks are changed."""
    return _both(text, other)[0]


def shortened(text: str) -> str:
    """Returns a text of limited length without characters that could disturb a page."""
    shown = "".join(
        char if char.isprintable() else " " if char.isspace() else "\ufffd"
        for char in text[: LONGEST + 1]
    )
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def separator(text: str) -> str:
    """Returns what stands between the units that are compared: words, or else characters."""
    return " " if " " in text.strip() else ""


def _both(text: str, other: str) -> tuple[tuple[Changed, ...], tuple[Changed, ...]]:
    first, second = _words(shortened(text)), _words(shortened(other))
    same_first, same_second = set[int](), set[int]()
    for a, b, size in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks():
        same_first.update(range(a, a + size))
        same_second.update(range(b, b + size))
    return (
        tuple(Changed(word, place not in same_first) for place, word in enumerate(first)),
        tuple(Changed(word, place not in same_second) for place, word in enumerate(second)),
    )


def _words(text: str) -> list[str]:
    return text.split() if separator(text) else list(text)


def _test_sentences(corpus: Corpus, count: int, seed: int) -> list[str]:
    """Returns different sentences of the test split, drawn at random."""
    store = corpus["test"]
    order = np.random.default_rng(seed).permutation(len(store))[: 4 * count].tolist()
    texts = [corpus.tokenizer.decode(store.sentence(place)) for place in order]
    distinct = list(dict.fromkeys(text for text in texts if text.strip()))
    return distinct[:count]
