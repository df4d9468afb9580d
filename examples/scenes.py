r"""Generates sentences from a small grammar of known factors, to measure I(factor; z).

A scene is a draw of six independent, uniform factors

.. math:: s = (s_\mathrm{who}, s_\mathrm{action}, s_\mathrm{place},
    s_\mathrm{time}, s_\mathrm{number}, s_\mathrm{tense})

and its sentence is an invertible function x(s). Therefore, for each factor k and any latent z
that depends on s only through the sentence, in nats,

.. math:: I(s_k; x) = H(s_k) = \ln |F_k|, \qquad I(s_k; z) \le H(s_k), \qquad
    H(x) = \sum_k H(s_k) = \ln 61440 \approx 11.03,

and a model keeps all information about a factor if and only if I(s_k; z) = H(s_k). Number and
tense affect several words (one child sings, two children sing, two children sang); the other
factors appear in one phrase each.

    python examples/scenes.py scenes.txt --count 5000 --seed 0 --factors factors.tsv
"""

from __future__ import annotations

__all__ = ["FACTORS", "Scene", "factor_entropy", "parse", "scenes"]

import argparse
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple


class Verb(NamedTuple):
    """The forms of a verb, and its complement."""

    base: str  # plural in the present; all numbers in the future
    singular: str  # singular in the present
    past: str  # differs from the base, so that the tense can be recovered
    complement: str = ""


# each time fits past, present and future, so it carries no information about tense
PLURALS: Mapping[str, str] = {
    "child": "children",
    "farmer": "farmers",
    "fox": "foxes",
    "king": "kings",
    "nurse": "nurses",
    "painter": "painters",
    "sailor": "sailors",
    "woman": "women",
}
VERBS: Mapping[str, Verb] = {
    "draw": Verb("draw", "draws", "drew", "a map"),
    "drink": Verb("drink", "drinks", "drank", "tea"),
    "feed": Verb("feed", "feeds", "fed", "the birds"),
    "play": Verb("play", "plays", "played", "the violin"),
    "sing": Verb("sing", "sings", "sang"),
    "sleep": Verb("sleep", "sleeps", "slept"),
    "wait": Verb("wait", "waits", "waited", "for a friend"),
    "write": Verb("write", "writes", "wrote", "a letter"),
}

FACTORS: Mapping[str, tuple[str, ...]] = {
    "who": tuple(PLURALS),
    "action": tuple(VERBS),
    "place": (
        "at the market",
        "behind the church",
        "by the river",
        "in the garden",
        "in the kitchen",
        "near the station",
        "on the bridge",
        "under the old tree",
    ),
    "time": (
        "after the rain",
        "at night",
        "at noon",
        "before lunch",
        "in the evening",
        "in the morning",
        "in winter",
        "on sunday",
    ),
    "number": ("one", "two", "three", "four", "five"),
    "tense": ("past", "present", "future"),
}
"""The values of each factor, in the order of the fields of `Scene`."""


@dataclass(frozen=True)
class Scene:
    """One value for each factor."""

    who: str
    action: str
    place: str
    time: str
    number: str
    tense: str

    def __post_init__(self) -> None:
        for factor, values in FACTORS.items():
            if (value := getattr(self, factor)) not in values:
                raise ValueError(f"{factor} is '{value}': expected one of {', '.join(values)}")

    def sentence(self) -> str:
        """Returns x(s): 8 to 14 words in lower case, separated by single spaces."""
        subject = self.who if self.number == "one" else PLURALS[self.who]
        predicate = _predicate(self.action, self.number == "one", self.tense)
        return f"{self.number} {subject} {predicate} {self.place} {self.time}"


def parse(sentence: str) -> Scene:
    """Returns the scene of a sentence, the inverse of `Scene.sentence`.

    Raises:
        ValueError: The grammar does not generate this sentence.
    """
    match = _SENTENCE.fullmatch(sentence)
    if match is not None:
        who = _SUBJECTS[match["subject"]]
        action, tense = _PREDICATES[match["predicate"]]
        scene = Scene(who, action, match["place"], match["time"], match["number"], tense)
        # the pattern also matches 'two child sings', which no scene generates
        if scene.sentence() == sentence:
            return scene
    raise ValueError(f"not a sentence of the grammar: '{sentence}'")


def scenes(count: int, seed: int) -> Iterator[Scene]:
    """Yields independent scenes with uniform factors, determined by the seed."""
    generator = random.Random(seed)
    for _ in range(count):
        yield Scene(**{factor: generator.choice(values) for factor, values in FACTORS.items()})


def factor_entropy(name: str) -> float:
    r"""Returns :math:`H(s_k) = \ln |F_k|`, in nats."""
    return math.log(len(FACTORS[name]))


def _predicate(action: str, singular: bool, tense: str) -> str:
    """Returns a verb in the form for a number and tense, with its complement."""
    verb = VERBS[action]
    match tense:
        case "past":
            form = verb.past
        case "present":
            form = verb.singular if singular else verb.base
        case _:
            form = f"will {verb.base}"
    return f"{form} {verb.complement}".rstrip()


# inverse of the grammar: from phrases to factors
_SUBJECTS = {form: who for who, plural in PLURALS.items() for form in (who, plural)}
_PREDICATES = {
    _predicate(action, singular, tense): (action, tense)
    for action, singular, tense in product(VERBS, (True, False), FACTORS["tense"])
}


def _one_of(name: str, phrases: Sequence[str]) -> str:
    """Returns a pattern that matches any of the phrases, as a named group."""
    return f"(?P<{name}>{'|'.join(map(re.escape, phrases))})"


_SENTENCE = re.compile(
    " ".join(
        [
            _one_of("number", FACTORS["number"]),
            _one_of("subject", tuple(_SUBJECTS)),
            _one_of("predicate", tuple(_PREDICATES)),
            _one_of("place", FACTORS["place"]),
            _one_of("time", FACTORS["time"]),
        ]
    )
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the sentences, and a table of their factors on request."""
    parser = argparse.ArgumentParser(
        description="Generate sentences from a small grammar of known, independent factors."
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="Output file: UTF-8 text, one sentence per line."
    )
    parser.add_argument(
        "--count", type=int, default=5000, help="Number of sentences (%(default)s)."
    )
    parser.add_argument("--seed", type=int, default=0, help="Random seed (%(default)s).")
    parser.add_argument(
        "--factors",
        type=Path,
        metavar="TSV",
        help="Also write a table of the factors: a header, then a row per sentence.",
    )
    options = parser.parse_args(arguments)
    if options.count < 1:
        parser.error("--count must be at least 1")
    for path in filter(None, (options.out, options.factors)):
        if not path.parent.is_dir():
            parser.error(f"no such directory: '{path.parent}'")

    drawn = list(scenes(options.count, options.seed))
    _write_lines(options.out, [scene.sentence() for scene in drawn])
    if options.factors is not None:
        _write_lines(options.factors, ["\t".join(FACTORS), *map("\t".join, map(astuple, drawn))])


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    """Writes lines as UTF-8 with line feeds, on every platform."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
