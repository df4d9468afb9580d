"""Writes sentences from a small grammar whose factors are known.

A scene is who does what, where, when, how many of them, and in which tense. Its sentence says
all of it and can be read back:

    Scene(who, action, place, time, number, tense)  <->  "two dogs slept in the garden at dawn ."

Factors are drawn uniformly and independently, so the entropy of each is the logarithm of its
number of values, and what a latent z knows of one, I(factor; z), can be checked.

    python examples/scenes.py scenes.txt --count 5000 --seed 0 --factors factors.tsv
"""

from __future__ import annotations

__all__ = ["FACTORS", "Scene", "factor_entropy", "parse", "scenes"]

import argparse
import csv
import math
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

# who: one and many; action: plain form, with he or she, past
WHO: Mapping[str, tuple[str, str]] = {
    "dog": ("dog", "dogs"),
    "cat": ("cat", "cats"),
    "child": ("child", "children"),
    "farmer": ("farmer", "farmers"),
    "woman": ("woman", "women"),
    "sailor": ("sailor", "sailors"),
    "goose": ("goose", "geese"),
    "baker": ("baker", "bakers"),
    "teacher": ("teacher", "teachers"),
    "fox": ("fox", "foxes"),
}
ACTION: Mapping[str, tuple[str, str, str]] = {
    "sleep": ("sleep", "sleeps", "slept"),
    "run": ("run", "runs", "ran"),
    "sing": ("sing", "sings", "sang"),
    "wait": ("wait", "waits", "waited"),
    "eat bread": ("eat bread", "eats bread", "ate bread"),
    "look for shells": ("look for shells", "looks for shells", "looked for shells"),
    "carry a lamp": ("carry a lamp", "carries a lamp", "carried a lamp"),
    "watch the stars": ("watch the stars", "watches the stars", "watched the stars"),
}
FACTORS: Mapping[str, tuple[str, ...]] = {
    "who": tuple(WHO),
    "action": tuple(ACTION),
    "place": (
        "in the garden",
        "by the river",
        "under the old bridge",
        "on the hill",
        "near the harbour",
        "behind the mill",
    ),
    "time": ("at dawn", "at noon", "in the evening", "after the storm"),
    "number": ("one", "two", "three", "many"),
    "tense": ("past", "present", "future"),
}


@dataclass(frozen=True)
class Scene:
    """One value of every factor."""

    who: str
    action: str
    place: str
    time: str
    number: str
    tense: str

    def sentence(self) -> str:
        """Returns the scene in words, with single spaces between them."""
        subject = WHO[self.who][0 if self.number == "one" else 1]
        return f"{self.number} {subject} {self._verb()} {self.place} {self.time} ."

    def _verb(self) -> str:
        plain, singular, past = ACTION[self.action]
        match self.tense:
            case "past":
                return past
            case "present":
                return singular if self.number == "one" else plain
            case _:
                return f"will {plain}"


def scenes(count: int, seed: int) -> Iterator[Scene]:
    """Yields scenes, every factor drawn uniformly and independently of the others."""
    generator = random.Random(seed)
    for _ in range(count):
        yield Scene(**{name: generator.choice(values) for name, values in FACTORS.items()})


def factor_entropy(name: str) -> float:
    """Returns the entropy of a factor in nats: the most that z can know of it."""
    return math.log(len(FACTORS[name]))


def parse(sentence: str) -> Scene:
    """Returns the scene that a sentence tells of.

    Raises:
        ValueError: No scene has this sentence.
    """
    number, subject, *_ = [*sentence.split(), "", ""]
    found = {"number": number}
    found["who"] = next((who for who, forms in WHO.items() if subject in forms), "")
    for name in ("place", "time"):
        found[name] = next((value for value in FACTORS[name] if f" {value} " in sentence), "")
    verb = sentence.removeprefix(f"{number} {subject} ").partition(f" {found['place']} ")[0]
    for action, (plain, singular, past) in ACTION.items():
        if verb in (plain, singular, past, f"will {plain}"):
            found["action"] = action
            found["tense"] = (
                "past" if verb == past else "future" if verb.startswith("will ") else "present"
            )
    if set(found) == set(FACTORS) and all(found[name] in FACTORS[name] for name in FACTORS):
        scene = Scene(**found)
        if scene.sentence() == sentence:
            return scene
    raise ValueError(f"no scene reads '{sentence}'")


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the sentences and, where asked, a table of their factors."""
    parser = argparse.ArgumentParser(description="Write sentences with known factors.")
    parser.add_argument("out", type=Path, metavar="OUT", help="UTF-8 text, one sentence a line.")
    parser.add_argument("--count", type=int, default=5000, help="How many sentences.")
    parser.add_argument("--seed", type=int, default=0, help="Seeds the draws.")
    parser.add_argument("--factors", type=Path, metavar="TSV", help="A row of factors a sentence.")
    options = parser.parse_args(arguments)
    if options.count < 1:
        parser.error("--count must be at least 1")
    drawn = list(scenes(options.count, options.seed))
    options.out.write_text("".join(f"{scene.sentence()}\n" for scene in drawn), encoding="utf-8")
    if options.factors is not None:
        with options.factors.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(field.name for field in fields(Scene))
            writer.writerows(map(astuple, drawn))
    print(f"{len(drawn):,} sentences, {len(set(drawn)):,} different", file=sys.stderr)


if __name__ == "__main__":
    main()
