r"""Metrics of generated text, as pure functions of sentences.

A sentence is a sequence of tokens: ids, or words separated by spaces. Shares are between 0 and 1,
BLEU between 0 and 100.
"""

__all__ = [
    "bleu",
    "copied",
    "distinct",
    "edit_distance",
    "exact_matches",
    "mean_length",
    "normalised_distance",
    "require_sacrebleu",
    "self_bleu",
    "token_accuracy",
]

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import ConfigError

Ids = Sequence[int]
Words = Sequence[str]


def exact_matches(references: Sequence[str], outputs: Sequence[str]) -> float:
    """Returns the share of outputs that equal their reference, character by character."""
    same = sum(one == other for one, other in zip(references, outputs, strict=True))
    return same / len(references)


def token_accuracy(references: Sequence[Ids], outputs: Sequence[Ids]) -> float:
    r"""Returns the share of positions of the references at which the output has the same token.

    .. math:: \sum_i \sum_{t=1}^{T_i + 1} [x_{it} = y_{it}] \Big/ \sum_i (T_i + 1)

    The end symbol counts as a position. Positions after the end of a shorter output are wrong.
    An output that is longer than its reference misses the end symbol, but nothing else. An
    inserted word shifts all later positions.
    """
    right = sum(
        sum(x == y for x, y in zip(reference, output, strict=False))
        + (len(reference) == len(output))
        for reference, output in zip(references, outputs, strict=True)
    )
    return right / sum(len(reference) + 1 for reference in references)


def require_sacrebleu() -> None:
    """Raises ConfigError unless sacrebleu is installed."""
    try:
        import sacrebleu  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "BLEU needs sacrebleu; install it with: pip install 'mivae[eval]'"
        ) from error


def bleu(references: Sequence[str], outputs: Sequence[str], tokenised: bool) -> tuple[float, str]:
    """Returns the case-sensitive corpus BLEU by sacrebleu, and its signature.

    Tokenised text is used unchanged (`tok:none`); other text is tokenised as translations are
    (`tok:13a`).

    References:
        | A Call for Clarity in Reporting BLEU Scores (Post, 2018)

    Raises:
        ConfigError: sacrebleu is not installed.
    """
    require_sacrebleu()
    from sacrebleu.metrics.bleu import BLEU

    # force: no warning about text that looks tokenised
    metric = BLEU(tokenize="none" if tokenised else "13a", force=True)
    score = metric.corpus_score(list(outputs), [list(references)]).score
    return float(score), str(metric.get_signature())


def distinct(sentences: Iterable[Words], order: int) -> float:
    """Returns distinct-n: the share of distinct n-grams among all n-grams of all sentences.

    It decreases with the number of sentences, so compare equal numbers only. It is 0 if there are
    no n-grams.

    References:
        | A Diversity-Promoting Objective Function for Neural Conversation Models (Li et al., 2016)
    """
    total = 0
    different: set[tuple[str, ...]] = set()
    for sentence in sentences:
        different.update(_ngrams(sentence, order))
        total += max(0, len(sentence) - order + 1)
    return len(different) / total if total else 0.0


def self_bleu(sentences: Sequence[Words], order: int) -> float:
    r"""Returns the mean BLEU of each sentence, with all others as its references.

    Sentence BLEU is defined as in sacrebleu: precisions of n-grams up to `order` or the length of
    the sentence; the k-th precision of 0 counts as :math:`2^{-k}` n-grams; the brevity penalty uses
    the reference of the nearest length. This implementation makes one pass over all sentences;
    sacrebleu reads all references again for each of them.

    100 means that all sentences are copies. Low values mean diverse text, or noise.

    References:
        | Texygen: A Benchmarking Platform for Text Generation Models (Zhu et al., 2018)

    Arguments:
        sentences: The sentences; the result is 0 if there are fewer than two.
        order: The longest n-grams.
    """
    if len(sentences) < 2:
        return 0.0
    matches = [_matches(sentences, n) for n in range(1, order + 1)]
    lengths = Counter(map(len, sentences))
    total = 0.0
    for place, sentence in enumerate(sentences):
        length = len(sentence)
        counts = [matches[n - 1][place] for n in range(1, min(order, length) + 1)]
        if not any(counts):
            continue
        others = (other for other, count in lengths.items() if count > (other == length))
        nearest = min(others, key=lambda other: (abs(other - length), other))
        zeros, logs = 0, 0.0
        for n, count in enumerate(counts, start=1):
            zeros += not count
            logs += math.log((count or 0.5**zeros) / (length - n + 1))
        brevity = min(0.0, 1 - nearest / length)
        total += 100 * math.exp(brevity + logs / len(counts))
    return total / len(sentences)


def copied(sentences: Iterable[Ids], training: Iterable[Ids]) -> float:
    """Returns the share of sentences that also occur in the training text, token by token.

    The training text is read once and not held in memory.
    """
    held = [tuple(sentence) for sentence in sentences]
    wanted = set(held)
    found = {line for ids in training if (line := tuple(ids)) in wanted}
    return sum(sentence in found for sentence in held) / len(held)


def mean_length(sentences: Sequence[Words]) -> float:
    """Returns the mean number of tokens, without end symbols."""
    return sum(map(len, sentences)) / len(sentences)


def edit_distance(first: Ids, second: Ids) -> int:
    """Returns the minimum number of insertions, deletions and substitutions (Levenshtein, 1966)."""
    other, steps = np.asarray(second, np.int64), np.arange(len(second) + 1)
    row = steps
    for place, token in enumerate(first, start=1):
        kept = np.minimum(row[1:] + 1, row[:-1] + (other != token))
        # insertions: a running minimum from the left
        row = np.minimum.accumulate(np.concatenate(([place], kept)) - steps) + steps
    return int(row[-1])


def normalised_distance(first: Ids, second: Ids) -> float:
    """Returns the edit distance divided by the longer length, from 0 (equal) to 1."""
    longer = max(len(first), len(second))
    return edit_distance(first, second) / longer if longer else 0.0


def _ngrams(sentence: Words, order: int) -> Iterable[tuple[str, ...]]:
    return zip(*(sentence[start:] for start in range(order)), strict=False)


def _matches(sentences: Sequence[Words], order: int) -> list[int]:
    """Returns, per sentence, the number of its n-grams that some other sentence has as often."""
    counts = [Counter(_ngrams(sentence, order)) for sentence in sentences]
    # the two highest counts of each n-gram: a sentence is compared with others, not with itself
    most: dict[tuple[str, ...], tuple[int, int]] = {}
    for found in counts:
        for ngram, count in found.items():
            high, low = most.get(ngram, (0, 0))
            most[ngram] = (max(high, count), max(low, min(high, count)))
    matches = []
    for found in counts:
        held = 0
        for ngram, count in found.items():
            high, low = most[ngram]
            held += min(count, low if count == high else high)
        matches.append(held)
    return matches
