"""Generation with models small enough to enumerate every sentence."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mivae_cli.config.data import BPETokenizerConfig
from mivae_cli.data.batches import collate
from mivae_cli.data.prepared_corpus import TokenStore
from mivae_cli.data.tokenizer import BOUNDARY, UNKNOWN, train_tokenizer
from mivae_cli.errors import ConfigError, DataError
from mivae_cli.generation import generate as generation
from mivae_cli.generation.decoding import Decoding, decode
from mivae_cli.generation.generate import (
    analogous,
    encode_texts,
    generated,
    interpolation,
    prior_samples,
)
from mivae_cli.models.decoders import State
from mivae_cli.models.latent import StandardNormal
from mivae_cli.models.vae import VAE
from support.tiny_models import LATENT, tiny_model, word_tokenizer

WORDS = (2, 3, 4)  # beside the boundary and the unknown word, all that a tiny model can say
RULES: list[dict[str, Any]] = [
    {},
    {"no_repeat_ngram": 1},
    {"no_repeat_ngram": 2, "repetition_penalty": 1.3},
    {"repetition_penalty": 4.0},
]
every_kind = pytest.mark.parametrize("kind", ["lstm", "gru", "transformer"])


def constant_model(probabilities: dict[int, float]) -> VAE:
    """A model whose words have fixed probabilities, independent of the prefix."""
    model = tiny_model(len(probabilities))
    with torch.no_grad():
        model.decoder.output.weight.zero_()
        for word, probability in probabilities.items():
            model.decoder.output.bias[word] = math.log(probability)
    return model


@torch.no_grad()
def next_logits(model: VAE, z: Tensor, prefix: tuple[int, ...]) -> Tensor:
    """Log-probabilities of the next word, from one forward pass instead of incremental steps."""
    words = model.decoder.embedding(torch.tensor([[BOUNDARY, *prefix]]))
    states = model.decoder._states(words, z[None])
    logits: Tensor = model.decoder.output(states[0, -1])
    return logits


def next_log_probs(model: VAE, z: Tensor, prefix: tuple[int, ...]) -> Tensor:
    return next_logits(model, z, prefix).log_softmax(dim=-1)


def allowed(
    model: VAE, z: Tensor, prefix: tuple[int, ...], decoding: Decoding
) -> dict[int, float]:
    """Log-probabilities of the next word with all rules applied, in plain Python."""
    logits = next_logits(model, z, prefix)
    for word in set(prefix):
        if logits[word] > 0:
            logits[word] /= decoding.repetition_penalty
        else:
            logits[word] *= decoding.repetition_penalty
    return {
        word: value
        for word, value in enumerate(logits.log_softmax(dim=-1).tolist())
        if word != UNKNOWN
        and (prefix or word != BOUNDARY)
        and not repeated((*prefix, word), decoding.no_repeat_ngram)
    }


def repeated(ids: Sequence[int], n: int) -> bool:
    """Whether the last n-gram occurred before."""
    ngrams = [tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)] if n else []
    return ngrams[-1:] != [] and ngrams[-1] in ngrams[:-1]


@torch.no_grad()
def likelihoods(model: VAE, z: Tensor, sentences: Sequence[tuple[int, ...]]) -> Tensor:
    batch = collate(
        TokenStore.from_ids([list(ids) for ids in sentences]), np.arange(len(sentences))
    )
    return model.log_likelihood(batch, z.expand(len(sentences), -1))


def plain_beam(model: VAE, z: Tensor, decoding: Decoding) -> tuple[int, ...]:
    """The best hypothesis of a beam search in plain Python, which sorts all candidates."""
    beam: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for _ in range(decoding.length):
        grown = []
        for score, words in beam:
            if words[-1:] == (BOUNDARY,):
                grown.append((score, words))
                continue
            for word, log_prob in allowed(model, z, words, decoding).items():
                grown.append((score + log_prob, (*words, word)))
        beam = sorted(grown, reverse=True)[: decoding.beam]
    best = beam[0][1]
    return best[:-1] if best[-1] == BOUNDARY else best


def rows_of_steps(model: VAE, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Records the number of sequences in each decoder step."""
    rows: list[int] = []
    step = model.decoder.__class__.step

    def counted(previous: Tensor, state: State) -> tuple[Tensor, State]:
        rows.append(len(previous))
        return step(model.decoder, previous, state)

    monkeypatch.setattr(model.decoder, "step", counted)
    return rows


class TestGreedy:
    @every_kind
    @pytest.mark.parametrize("rules", RULES)
    def test_each_word_is_the_likeliest(self, kind: str, rules: dict[str, Any]) -> None:
        model, latents = tiny_model(kind=kind), torch.randn(8, LATENT)
        decoding = Decoding(beam=1, max_tokens=9, **rules)
        found = decode(model, latents, decoding)
        assert len({tuple(ids) for ids in found}) > 1  # z is not ignored
        assert rules == {} or found != decode(model, latents, Decoding(beam=1, max_tokens=9))
        for z, ids in zip(latents, found, strict=True):
            prefix: tuple[int, ...] = ()
            while len(prefix) < 9:
                log_probs = allowed(model, z, prefix, decoding)
                word = max(log_probs, key=lambda word: log_probs[word])
                if word == BOUNDARY:
                    break
                prefix += (word,)
            assert tuple(ids) == prefix

    @pytest.mark.parametrize(
        "decoding",
        [
            Decoding(top_k=1, max_tokens=9),
            Decoding(top_p=1e-9, max_tokens=9),
            Decoding(top_p=1e-300, max_tokens=9),
            Decoding(top_p=5e-324, top_k=3, max_tokens=9),
            Decoding(temperature=1e-6, max_tokens=9),
            Decoding(temperature=1e-300, max_tokens=9),
        ],
    )
    def test_greedy_is_the_limit_of_drawing(self, decoding: Decoding) -> None:
        model, latents = tiny_model(20), torch.randn(30, LATENT)
        greedy = decode(model, latents, Decoding(beam=1, max_tokens=9))
        assert decode(model, latents, decoding) == greedy

    @pytest.mark.parametrize("beam", [1, 3])
    @pytest.mark.parametrize("rules", RULES)
    @every_kind
    def test_a_sentence_does_not_depend_on_its_batch(
        self,
        beam: int,
        rules: dict[str, Any],
        kind: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        model, latents = tiny_model(30, 2.0, kind), torch.randn(9, LATENT)
        decoding = Decoding(beam=beam, max_tokens=12, **rules)
        alone = [decode(model, z[None], decoding)[0] for z in latents]
        for at_once in (1, 4, 256):
            monkeypatch.setattr("mivae_cli.generation.decoding.AT_ONCE", at_once)
            assert decode(model, latents, decoding) == alone
        assert len({len(ids) for ids in alone}) > 1  # some end before others

    def test_dropout_is_off_even_after_training(self) -> None:
        model, latents = tiny_model(30), torch.randn(9, LATENT)
        expected = decode(model, latents, Decoding(beam=1))
        assert decode(model.train(), latents, Decoding(beam=1)) == expected


class TestBeam:
    longest = 4
    sentences = tuple(
        sentence
        for length in range(1, longest + 1)
        for sentence in itertools.product(WORDS, repeat=length)
    )

    @pytest.mark.parametrize(
        ("seed", "ending", "kind"),
        [
            *((seed, ending, "lstm") for seed, ending in ((1, 2.0), (7, 0.0))),
            (7, 0.0, "gru"),
            (7, 0.0, "transformer"),
        ],
    )
    def test_a_beam_of_full_width_finds_the_likeliest_sentence(
        self, seed: int, ending: float, kind: str
    ) -> None:
        torch.manual_seed(seed)
        model, latents = tiny_model(ending=ending, kind=kind), torch.randn(20, LATENT)
        decoding = Decoding(beam=len(WORDS) ** self.longest, max_tokens=self.longest)
        found = decode(model, latents, decoding)
        greedy = decode(model, latents, Decoding(beam=1, max_tokens=self.longest))
        assert found != greedy  # so there is something to find
        for z, ids in zip(latents, found, strict=True):
            ended = likelihoods(model, z, self.sentences)
            # a sentence that fills its place is cut before its end, which costs it nothing
            full = [sentence for sentence in self.sentences if len(sentence) == self.longest]
            costs = torch.stack([next_log_probs(model, z, x)[BOUNDARY] for x in full])
            ended[-len(full) :] -= costs
            assert tuple(ids) == self.sentences[int(ended.argmax())]

    def test_a_wide_beam_finds_sentences_at_least_as_likely_as_the_greedy_ones(self) -> None:
        torch.manual_seed(1)
        model, latents = tiny_model(ending=2.0), torch.randn(20, LATENT)
        decodings = [Decoding(beam=width, max_tokens=30) for width in (1, 200)]
        greedy, best = (
            torch.stack(
                [
                    likelihoods(model, z, [tuple(ids)])[0]
                    for z, ids in zip(latents, decode(model, latents, decoding), strict=True)
                ]
            )
            for decoding in decodings
        )
        assert (best >= greedy - 1e-5).all()
        assert (best > greedy + 1e-2).any()

    @pytest.mark.parametrize("width", [1, 2, 3, 7])
    @pytest.mark.parametrize("rules", RULES)
    def test_a_narrow_beam_equals_beam_search_in_plain_python(
        self, width: int, rules: dict[str, Any]
    ) -> None:
        torch.manual_seed(1)
        model, latents = tiny_model(9, ending=1.0), torch.randn(12, LATENT)
        decoding = Decoding(beam=width, max_tokens=7, **rules)
        found = decode(model, latents, decoding)
        assert [tuple(ids) for ids in found] == [plain_beam(model, z, decoding) for z in latents]
        assert rules or len({len(ids) for ids in found}) > 1

    def test_a_wide_beam_uses_smaller_batches_with_the_same_result(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, latents = tiny_model(30, ending=2.0), torch.randn(9, LATENT)
        decoding = Decoding(beam=8, max_tokens=12)
        expected = decode(model, latents, decoding)
        for most in (1, 20):
            monkeypatch.setattr("mivae_cli.generation.decoding.MAX_AT_ONCE", most)
            rows = rows_of_steps(model, monkeypatch)
            assert decode(model, latents, decoding) == expected
            assert max(rows) == max(8, most // 8 * 8)

    @pytest.mark.parametrize("width", [2, 5, 50])
    def test_a_beam_may_be_wider_than_the_vocabulary(self, width: int) -> None:
        model = constant_model({BOUNDARY: 0.3, UNKNOWN: 0.4, 2: 0.2, 3: 0.1})
        found = decode(model, torch.randn(3, LATENT), Decoding(beam=width, max_tokens=6))
        assert found == [[2]] * 3

    def test_beam_search_is_deterministic(self) -> None:
        before = torch.get_rng_state()
        model = tiny_model()
        drawn = torch.get_rng_state()
        assert not torch.equal(before, drawn)
        decode(model, torch.ones(2, LATENT), Decoding(beam=3))
        assert torch.equal(torch.get_rng_state(), drawn)


def shaped(log_probs: dict[int, float], decoding: Decoding) -> dict[int, float]:
    """The distribution of the next word under a setting, in plain Python."""
    weights = {word: math.exp(value / decoding.temperature) for word, value in log_probs.items()}
    order = sorted(weights, key=lambda word: -weights[word])[: decoding.top_k or None]
    total = sum(weights[word] for word in order)
    kept: list[int] = []
    for word in order:
        kept.append(word)
        if sum(weights[other] for other in kept) >= decoding.top_p * total:
            break
    return {word: weights[word] / sum(weights[other] for other in kept) for word in kept}


def all_sentences(
    model: VAE, z: Tensor, decoding: Decoding, prefix: tuple[int, ...] = ()
) -> dict[tuple[int, ...], float]:
    """The probability of every possible sentence."""
    if len(prefix) == decoding.max_tokens:
        return {prefix: 1.0}
    found: dict[tuple[int, ...], float] = {}
    nexts = shaped(allowed(model, z, prefix, decoding), decoding)
    for word, probability in nexts.items():
        if word == BOUNDARY:
            found[prefix] = probability
            continue
        for sentence, rest in all_sentences(model, z, decoding, (*prefix, word)).items():
            found[sentence] = probability * rest
    return found


def decode_at_once(
    model: VAE, count: int, decoding: Decoding, monkeypatch: pytest.MonkeyPatch
) -> list[list[int]]:
    """Decodes sentences from the origin, as one batch."""
    monkeypatch.setattr("mivae_cli.generation.decoding.AT_ONCE", count)
    return decode(model, torch.zeros(count, LATENT), decoding)


class TestSampling:
    @pytest.mark.parametrize(
        "decoding",
        [
            Decoding(max_tokens=3),
            Decoding(max_tokens=3, temperature=2.5),
            Decoding(max_tokens=3, top_k=2),
            Decoding(max_tokens=3, top_p=0.8),
            Decoding(max_tokens=3, temperature=2.0, top_k=3, top_p=0.7),
            Decoding(max_tokens=4, no_repeat_ngram=1),
            Decoding(max_tokens=4, no_repeat_ngram=2, top_k=2),
            Decoding(max_tokens=3, repetition_penalty=3.0),
            Decoding(max_tokens=4, repetition_penalty=1.5, no_repeat_ngram=1, temperature=1.5),
        ],
    )
    def test_frequencies_are_those_of_the_model(self, decoding: Decoding) -> None:
        torch.manual_seed(1)  # a model that leaves several words to top-p
        model = tiny_model(ending=1.0)
        with torch.no_grad():
            model.decoder.output.weight.mul_(0.3)  # softer, so that every sentence is seen
        z, count = torch.randn(LATENT), 20_000
        expected = all_sentences(model, z, decoding)
        assert sum(expected.values()) == pytest.approx(1, abs=1e-5)
        drawn = decode(model, z.expand(count, -1), decoding, torch.Generator().manual_seed(1))
        found = Counter(tuple(ids) for ids in drawn)
        assert set(found) <= set(expected)

        seen = {ids: p for ids, p in expected.items() if count * p >= 5}
        assert sum(seen.values()) > 0.95
        assert len(seen) > 3
        chi_square = sum((found[ids] - count * p) ** 2 / (count * p) for ids, p in seen.items())
        freedom = len(seen) - 1
        # its mean is the degrees of freedom, its variance twice that
        assert chi_square < freedom + 4.5 * math.sqrt(2 * freedom) + 5

    @pytest.mark.parametrize(
        ("top_p", "words"),
        [(0.1, {2}), (0.49, {2}), (0.6, {2, 3}), (0.8, {2, 3, 4}), (1.0, {2, 3, 4, 5})],
    )
    def test_top_p_keeps_the_likeliest_words_with_that_probability(
        self, top_p: float, words: set[int]
    ) -> None:
        # without the symbols, the words have 0.5, 0.25, 0.2 and 0.05 of what remains
        model = constant_model({BOUNDARY: 1e-6, UNKNOWN: 0.2, 3: 0.2, 2: 0.4, 5: 0.04, 4: 0.16})
        drawn = decode(model, torch.randn(100, LATENT), Decoding(top_p=top_p, max_tokens=20))
        assert {word for ids in drawn for word in ids} == words

    @pytest.mark.parametrize("few", [1, 3])
    def test_top_p_does_not_depend_on_the_number_of_words_sorted_first(
        self, few: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, latents = tiny_model(30, ending=2.0), torch.randn(50, LATENT)
        decoding = Decoding(top_p=0.7, max_tokens=9)
        drawn = []
        for words in (few, 1000):
            monkeypatch.setattr("mivae_cli.generation.decoding.FEW", words)
            drawn.append(decode(model, latents, decoding, torch.Generator().manual_seed(3)))
        assert drawn[0] == drawn[1]

    @pytest.mark.parametrize("top_k", [1, 2, 3])
    def test_top_k_keeps_exactly_k_words_despite_ties(self, top_k: int) -> None:
        model = constant_model({BOUNDARY: 1e-9} | dict.fromkeys(range(1, 9), 0.125))
        drawn = decode(model, torch.randn(100, LATENT), Decoding(top_k=top_k, max_tokens=20))
        assert len({word for ids in drawn for word in ids}) == top_k

    @pytest.mark.parametrize(
        "decoding",
        [
            Decoding(),
            Decoding(temperature=0.5),
            Decoding(top_k=40),
            Decoding(top_p=0.9),
            Decoding(top_p=0.9999),
            Decoding(temperature=1.5, top_k=290, top_p=0.99),
        ],
    )
    def test_evenly_spaced_random_numbers_draw_words_by_their_probability(
        self, decoding: Decoding, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # more words than top-p looks at first, and in many blocks of the distribution function
        logits, count = 2 * torch.randn(600), 4000
        grid = (torch.arange(count, dtype=torch.double)[:, None] + 0.5) / count
        monkeypatch.setattr(torch, "rand", lambda *_, **__: grid)
        model = constant_model(dict.fromkeys(range(600), 1.0))
        with torch.no_grad():
            model.decoder.output.bias.copy_(logits)
        one = replace(decoding, max_tokens=1)
        found = Counter(ids[0] for ids in decode_at_once(model, count, one, monkeypatch))
        expected = shaped(allowed(model, torch.zeros(LATENT), (), one), decoding)
        assert found.keys() <= expected.keys()
        # an interval of length p holds p n points of the grid, give or take one
        assert all(abs(found[word] - count * p) < 1.01 for word, p in expected.items())

    @pytest.mark.parametrize("temperature", [1e30, 1e39, 1e300])
    def test_at_the_highest_temperature_all_allowed_words_are_equally_likely(
        self, temperature: float
    ) -> None:
        model = constant_model({BOUNDARY: 0.9, UNKNOWN: 0.05, 2: 0.04, 3: 0.01})
        drawn = decode(model, torch.randn(3000, LATENT), Decoding(temperature, max_tokens=2))
        found = Counter(tuple(ids) for ids in drawn)
        expected = {(a, *b): 1 / 6 for a in (2, 3) for b in ((), (2,), (3,))}
        assert found.keys() == expected.keys()
        assert all(abs(found[ids] / 3000 - p) < 0.03 for ids, p in expected.items())

    def test_a_top_k_beyond_the_vocabulary_keeps_all(self) -> None:
        model, z = tiny_model(), torch.randn(50, LATENT)
        draws = [
            decode(model, z, Decoding(top_k=top_k, max_tokens=9), torch.Generator().manual_seed(5))
            for top_k in (0, 5, 1000)
        ]
        assert draws[0] == draws[1] == draws[2]

    def test_the_generator_determines_the_words(self) -> None:
        model, z = tiny_model(), torch.zeros(20, LATENT)
        first, again, other = (
            decode(model, z, Decoding(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert first == again != other


class TestRepetition:
    @pytest.mark.parametrize("n", [1, 2, 3])
    @pytest.mark.parametrize("how", [{"beam": 1}, {"beam": 4}, {}, {"temperature": 0.5}])
    def test_no_ngram_occurs_twice(self, n: int, how: dict[str, Any]) -> None:
        model, latents = tiny_model(7, ending=-3.0), torch.randn(60, LATENT)

        def repeats(decoding: Decoding) -> int:
            drawn = decode(model, latents, decoding, torch.Generator().manual_seed(0))
            ends = [ids[:end] for ids in drawn for end in range(len(ids) + 1)]
            return sum(repeated(ids, n) for ids in ends)

        free = Decoding(max_tokens=20, **how)
        assert repeats(free) > 20
        assert repeats(replace(free, no_repeat_ngram=n)) == 0

    @pytest.mark.parametrize("how", [{"beam": 1}, {"beam": 3}, {}, {"top_k": 1}, {"top_p": 0.1}])
    def test_a_sentence_ends_if_every_word_is_banned(self, how: dict[str, Any]) -> None:
        model = constant_model({BOUNDARY: 1e-9, UNKNOWN: 0.1, 2: 0.5, 3: 0.3, 4: 0.1})
        decoding = Decoding(max_tokens=30, no_repeat_ngram=1, **how)
        drawn = decode(model, torch.randn(50, LATENT), decoding)
        assert all(sorted(ids) == [2, 3, 4] for ids in drawn)
        if how in ({"beam": 1}, {"top_k": 1}):
            assert drawn == [[2, 3, 4]] * 50

    def test_a_penalty_makes_written_words_less_likely_but_not_impossible(self) -> None:
        model = constant_model({BOUNDARY: 0.1, UNKNOWN: 0.1, 2: 0.6, 3: 0.2})
        z = torch.zeros(1, LATENT)
        # log 0.6 = -0.51 and log 0.2 = -1.61: with 4, 0.6 falls below 0.2, and later 0.2 further
        found = decode(model, z, Decoding(beam=1, max_tokens=3, repetition_penalty=2.0))
        assert found == [[2, 2, 2]]
        found = decode(model, z, Decoding(beam=1, max_tokens=3, repetition_penalty=4.0))
        assert found == [[2, 3, 2]]

    @pytest.mark.parametrize("how", [{}, {"beam": 3}, {"top_k": 3, "temperature": 0.7}])
    def test_neutral_settings_change_no_word(self, how: dict[str, Any]) -> None:
        model, latents = tiny_model(9), torch.randn(40, LATENT)

        def written(**rules: Any) -> list[list[int]]:  # noqa: ANN401
            decoding = Decoding(max_tokens=9, **how, **rules)
            return decode(model, latents, decoding, torch.Generator().manual_seed(0))

        assert written(no_repeat_ngram=10) == written(repetition_penalty=1.0) == written()


DECODINGS = [
    Decoding(max_tokens=7),
    *(Decoding(beam=width, max_tokens=7) for width in (1, 4)),
]


@pytest.mark.parametrize("decoding", DECODINGS)
def test_the_unknown_word_is_never_generated(decoding: Decoding) -> None:
    model = constant_model({BOUNDARY: 0.004, UNKNOWN: 0.99, 2: 0.003, 3: 0.003})
    drawn = decode(model, torch.randn(200, LATENT), decoding)
    assert {word for ids in drawn for word in ids} <= {2, 3}


@pytest.mark.parametrize("decoding", DECODINGS)
def test_finished_sentences_leave_the_batch(
    decoding: Decoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    model = tiny_model(30, ending=1.0)
    rows = rows_of_steps(model, monkeypatch)
    lengths = [len(ids) for ids in decode(model, torch.randn(40, LATENT), decoding)]
    assert len(set(lengths)) > 2
    # a sentence takes a step for each word, and one for its end where there is room for it
    least = [sum(length >= step for length in lengths) for step in range(max(lengths) + 1)]
    width = max(1, decoding.beam)
    if width == 1:
        assert rows == least[: decoding.max_tokens]
    # a hypothesis that has ended may be the best only after others have grown
    assert rows == sorted(rows, reverse=True)
    assert all(found >= width * needed for found, needed in zip(rows, least, strict=False))
    assert rows[-1] < rows[0] == 40 * width


@pytest.mark.parametrize("decoding", DECODINGS)
def test_no_sentence_is_empty(decoding: Decoding) -> None:
    model = constant_model({BOUNDARY: 0.9999, UNKNOWN: 3e-5, 2: 4e-5, 3: 3e-5})
    drawn = decode(model, torch.randn(200, LATENT), decoding)
    assert len(drawn) == 200
    assert {len(ids) for ids in drawn} == {1}


@pytest.mark.parametrize("decoding", DECODINGS)
def test_sentences_stop_at_max_tokens(decoding: Decoding) -> None:
    model = constant_model({BOUNDARY: 1e-9, UNKNOWN: 0.2, 2: 0.4, 3: 0.4})
    assert {len(ids) for ids in decode(model, torch.randn(20, LATENT), decoding)} == {7}


@pytest.mark.parametrize("decoding", DECODINGS)
def test_no_latents_give_no_sentences(decoding: Decoding) -> None:
    assert decode(tiny_model(), torch.empty(0, LATENT), decoding) == []


@pytest.mark.parametrize(
    "setting",
    [
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": math.inf},
        {"temperature": math.nan},
        {"top_k": -1},
        {"beam": -1},
        {"beam": 10**20},
        {"top_p": 0.0},
        {"top_p": 1.01},
        {"top_p": math.nan},
        {"no_repeat_ngram": -1},
        {"no_repeat_ngram": 10**6},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": math.nan},
        {"repetition_penalty": math.inf},
        {"max_tokens": 0},
    ],
)
def test_a_setting_out_of_range_is_an_error(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Decoding(**setting)


class TestInterpolation:
    @given(st.integers(0, 2**16), st.integers(1, 40), st.integers(2, 12))
    def test_both_paths_include_their_ends(self, seed: int, size: int, steps: int) -> None:
        start, end = 3 * torch.randn(2, size, generator=torch.Generator().manual_seed(seed))
        for path in ("slerp", "linear"):
            way = interpolation(start, end, steps, path)
            assert way.shape == (steps, size)
            torch.testing.assert_close(way[[0, -1]], torch.stack([start, end]))

    @given(st.integers(0, 2**16), st.integers(2, 40))
    def test_slerp_keeps_the_norm_of_its_ends(self, seed: int, size: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        start, end = torch.nn.functional.normalize(torch.randn(2, size, generator=generator))
        norms = interpolation(2 * start, 2 * end, 9, "slerp").norm(dim=1)
        torch.testing.assert_close(norms, torch.full((9,), 2.0), atol=1e-3, rtol=0)

    def test_slerp_turns_by_equal_angles(self) -> None:
        way = interpolation(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 4, "slerp")
        angles = torch.arange(4) * math.pi / 6
        torch.testing.assert_close(way, torch.stack([angles.cos(), angles.sin()], dim=1))

    def test_linear_steps_are_equal(self) -> None:
        way = interpolation(torch.tensor([0.0, 3.0]), torch.tensor([4.0, -1.0]), 5, "linear")
        torch.testing.assert_close(way.diff(dim=0), torch.tensor([[1.0, -1.0]]).repeat(4, 1))

    @given(
        st.integers(0, 2**16),
        st.integers(1, 64),
        st.sampled_from([1.0, 2.0, 0.3, -1.0, -2.0, -0.7]),
    )
    def test_parallel_ends_are_joined_by_a_line(self, seed: int, size: int, factor: float) -> None:
        start = torch.randn(size, generator=torch.Generator().manual_seed(seed))
        found = interpolation(start, factor * start, 5, "slerp")
        expected = interpolation(start, factor * start, 5, "linear")
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)

    def test_an_end_may_be_the_origin(self) -> None:
        zero, one = torch.zeros(3), torch.ones(3)
        for start, end in ((zero, one), (one, zero), (zero, zero)):
            assert interpolation(start, end, 5, "slerp").isfinite().all()


class TestAnalogous:
    @given(st.integers(0, 2**16), st.integers(1, 40))
    def test_an_analogy_completes_the_parallelogram(self, seed: int, size: int) -> None:
        a, b, c = torch.randn(3, size, generator=torch.Generator().manual_seed(seed))
        d = analogous(a, b, c)
        torch.testing.assert_close(d - c, b - a)
        torch.testing.assert_close(analogous(a, c, b), d)  # the means may change places
        torch.testing.assert_close(analogous(c, d, a), b)
        torch.testing.assert_close(analogous(a, b, a), b)

    def test_the_scale_multiplies_the_step(self) -> None:
        a, b, c = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 5.0]])
        assert analogous(a, b, c, 0.5).tolist() == [1.0, 7.0]
        assert analogous(a, b, c, -1.0).tolist() == [-2.0, 1.0]
        assert analogous(a, b, c, 0.0).tolist() == c.tolist()

    @pytest.mark.parametrize("scale", [math.nan, math.inf, -math.inf, 1001.0, -1e30])
    def test_a_scale_out_of_range_is_an_error(self, scale: float) -> None:
        with pytest.raises(ConfigError, match="scale"):
            analogous(torch.zeros(2), torch.ones(2), torch.ones(2), scale)


class TestEncodedTexts:
    texts = ("w1 w2 w3 w4 w5", "w6", "w2 w3", "w9 w9 w9", "w6 w1", "w6")
    max_tokens = 4

    def test_rows_keep_the_order_of_the_texts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model, tokenizer = tiny_model(20), word_tokenizer()
        monkeypatch.setattr(generation, "AT_ONCE", 2)
        together = encode_texts(model, tokenizer, self.texts, self.max_tokens)
        for row, text in enumerate(self.texts):
            alone = encode_texts(model, tokenizer, [text], self.max_tokens)
            torch.testing.assert_close(together.mean[row], alone.mean[0])
            torch.testing.assert_close(together.parameters()[row], alone.parameters()[0])
        assert len(together.mean.round(decimals=3).unique(dim=0)) == len(self.texts) - 1

    def test_texts_are_truncated_and_stripped_like_the_corpus(self) -> None:
        model, tokenizer = tiny_model(20), word_tokenizer()
        texts = ["w1 w2 w3 w4 w5", " w1 w2 w3 w4\n", "w1 w2 w3"]
        long, cut, short = encode_texts(model, tokenizer, texts, self.max_tokens).mean
        torch.testing.assert_close(long, cut)
        assert not torch.allclose(cut, short)

    def test_dropout_is_off_even_after_training(self) -> None:
        model, tokenizer = tiny_model(20), word_tokenizer()
        expected = encode_texts(model, tokenizer, self.texts, self.max_tokens).mean
        model.train()
        torch.testing.assert_close(
            encode_texts(model, tokenizer, self.texts, self.max_tokens).mean, expected
        )

    @pytest.mark.parametrize("text", ["", " \n\t", "\u3000"])
    def test_an_empty_sentence_is_named_by_its_number(self, text: str) -> None:
        with pytest.raises(DataError, match="sentence 2 is empty"):
            encode_texts(tiny_model(20), word_tokenizer(), ["w1", text], self.max_tokens)

    def test_a_sentence_that_is_not_utf_8_is_named_by_its_number(self) -> None:
        argument = b"caf\xe9".decode(errors="surrogateescape")  # as Python decodes arguments
        with pytest.raises(DataError, match="sentence 2 is not UTF-8"):
            encode_texts(tiny_model(20), word_tokenizer(), ["w1", argument], self.max_tokens)


def test_generated_text_is_the_text_of_the_decoded_ids() -> None:
    tokenizer = train_tokenizer(["some words"], BPETokenizerConfig(vocab_size=258))
    model, z = tiny_model(tokenizer.size), torch.randn(5, LATENT)
    for decoding in DECODINGS:
        generator = torch.Generator().manual_seed(9)
        ids = decode(model, z, decoding, generator)
        assert list(generated(model, tokenizer, z, decoding, seed=8)) == [
            tokenizer.decode(row) for row in ids
        ]


def test_random_numbers_continue_across_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "AT_ONCE", 4)
    model, z = tiny_model(20), torch.zeros(12, LATENT)
    sentences = list(generated(model, word_tokenizer(), z, Decoding(max_tokens=12)))
    parts = [tuple(sentences[start : start + 4]) for start in (0, 4, 8)]
    assert len(set(parts)) == 3


def test_prior_samples_are_standard_normal_and_determined_by_the_seed() -> None:
    z = prior_samples(20_000, StandardNormal(3), seed=1)
    assert z.shape == (20_000, 3)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(3), atol=0.03, rtol=0)
    torch.testing.assert_close(z.T.cov(), torch.eye(3), atol=0.05, rtol=0)
    first, again, other = (prior_samples(5, StandardNormal(3), seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


class TestPairs:
    tokenizer = word_tokenizer()

    def test_the_seed_determines_two_different_sentences(self) -> None:
        store = TokenStore.from_ids([[word] for word in range(2, 12)])
        pairs = [generation.sentence_pair(store, self.tokenizer, seed) for seed in range(40)]
        assert all(start != end for start, end in pairs)
        assert len(set(itertools.chain(*pairs))) == 10
        assert generation.sentence_pair(store, self.tokenizer, 3) == pairs[3]

    def test_a_pair_needs_two_sentences(self) -> None:
        with pytest.raises(DataError, match="single sentence"):
            generation.sentence_pair(TokenStore.from_ids([[2]]), self.tokenizer, 0)
