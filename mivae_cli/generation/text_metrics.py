r"""How good sentences are: pure functions of sentences, with no model behind them.

A sentence is a sequence of tokens: ids, or the words between its spaces. Shares lie between 0
and 1, BLEU between 0 and 100.
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
    """Returns the share of outputs that are their reference, character for character."""
    same = sum(one == other for one, other in zip(references, outputs, strict=True))
    return same / len(references)


def token_accuracy(references: Sequence[Ids], outputs: Sequence[Ids]) -> float:
    r"""Returns the share of the references' positions where the output has the same token.

    .. math:: \sum_i \sum_{t=1}^{T_i + 1} [x_{it} = y_{it}] \Big/ \sum_i (T_i + 1)

    Each sentence is followed by its end symbol, which is a position of the reference too. Where
    the output has ended before, the position is missed; what it says beyond the reference's end
    costs that end and no more. A word too many early in a sentence shifts all after it.
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
        raise ConfigError("BLEU takes sacrebleu: pip install 'mivae[eval]'") from error


def bleu(references: Sequence[str], outputs: Sequence[str], tokenised: bool) -> tuple[float, str]:
    """Returns the corpus BLEU of outputs by sacrebleu, and the signature that defines it.

    Case counts. Text whose words are set apart by spaces already is taken as it is (`tok:none`),
    any other is tokenised as for translations (`tok:13a`).

    References:
        | A Call for Clarity in Reporting BLEU Scores (Post, 2018)

    Raises:
        ConfigError: sacrebleu is not installed.
    """
    require_sacrebleu()
    from sacrebleu.metrics.bleu import BLEU

    # forced, it does not warn of text that looks tokenised, as ours may
    metric = BLEU(tokenize="none" if tokenised else "13a", force=True)
    score = metric.corpus_score(list(outputs), [list(references)]).score
    return float(score), str(metric.get_signature())


def distinct(sentences: Iterable[Words], order: int) -> float:
    """Returns distinct-n: the share of different ones among all n-grams of all sentences.

    It falls as sentences become more, so only equally many compare. Without n-grams it is 0.

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
    r"""Returns the mean BLEU of each sentence with all the others as its references.

    The BLEU of a sentence is sacrebleu's: precisions of n-grams up to an order, or up to the
    sentence's length; the k-th that is 0 counts as :math:`2^{-k}` n-grams; brevity is held
    against the reference of the nearest length. It is counted here in one pass over all
    sentences, for sacrebleu looks at all references anew for each.

    100 is a collection of copies; low values are diverse, or not language at all.

    References:
        | Texygen: A Benchmarking Platform for Text Generation Models (Zhu et al., 2018)

    Arguments:
        sentences: Two or more; none of one alone, which is 0.
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
    """Returns the share of sentences that stand in the training text token for token.

    Only the sentences are held in memory; the training text passes by once.
    """
    held = [tuple(sentence) for sentence in sentences]
    wanted = set(held)
    found = {line for ids in training if (line := tuple(ids)) in wanted}
    return sum(sentence in found for sentence in held) / len(held)


def mean_length(sentences: Sequence[Words]) -> float:
    """Returns the mean number of tokens, end symbols not counted."""
    return sum(map(len, sentences)) / len(sentences)


def edit_distance(first: Ids, second: Ids) -> int:
    """Returns the least number of tokens to insert, delete or replace (Levenshtein, 1966)."""
    other, steps = np.asarray(second, np.int64), np.arange(len(second) + 1)
    row = steps
    for place, token in enumerate(first, start=1):
        kept = np.minimum(row[1:] + 1, row[:-1] + (other != token))
        # what remains is to insert from the left, one at each step: a running minimum
        row = np.minimum.accumulate(np.concatenate(([place], kept)) - steps) + steps
    return int(row[-1])


def normalised_distance(first: Ids, second: Ids) -> float:
    """Returns the edit distance over the longer length: 0 are the same, 1 have nothing alike."""
    longer = max(len(first), len(second))
    return edit_distance(first, second) / longer if longer else 0.0


def _ngrams(sentence: Words, order: int) -> Iterable[tuple[str, ...]]:
    return zip(*(sentence[start:] for start in range(order)), strict=False)


def _matches(sentences: Sequence[Words], order: int) -> list[int]:
    """Counts each sentence's n-grams that another one has, as often as one of them has it."""
    counts = [Counter(_ngrams(sentence, order)) for sentence in sentences]
    # the two highest counts of each n-gram: a sentence is held against the other one than its own
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
