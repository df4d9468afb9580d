"""Mutate documents under the control of a fuzzer's bytes.

The same bytes always give the same mutation. When the bytes run out, every choice is the first
option, so that shorter inputs give simpler mutations.
"""

__all__ = [
    "NUMBERS",
    "STRINGS",
    "VALUES",
    "Choices",
    "mutated_bytes",
    "mutated_json",
    "mutated_text",
]

import json
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

EDGES = (8, 16, 31, 32, 53, 62, 63, 64)  # bits at the limits of number types
NUMBERS: tuple[float, ...] = (
    *(0, 1, -1, 2, 3, 7, 100, 4096, 65_536, 1_000_000, 10_000_000, 10**12, 10**30, 10**400),
    *(sign * 2**bits + more for bits in EDGES for sign in (1, -1) for more in (-1, 0, 1)),
    *(0.0, -0.0, 0.5, 1.0, -1.5, 1e-320, 1e-12, 0.9999999999999999, 1e39, 3.5e38, 1e300, 1e308),
)
STRINGS = (
    *("", "x", " ", "0", "-1", "\0", "\n", "a\tb", "\x7f\x85", "\ufeff", "\u2028", "\u202edcba"),
    *("../x", "/etc/passwd", "..", ".", "a/b", "-", "x" * 300, "x" * 5000, "ab." * 60),
    *("\ud800", "\udc80\ud800", "\U0001f642", "e\u0301", "שלום", "日本語", "\U0010ffff"),
    *("cpu", "meta", "cuda:0", "cuda:99", "cpu:300", "mkldnn", "xla", "hpu", "privateuseone"),
    *(
        "word",
        "bpe",
        "lstm",
        "gru",
        "transformer",
        "separable",
        "concatenated",
        "adam",
        "sgd",
        "adam-sgd",
        "constant",
        "linear",
    ),
    *("cyclical", "last", "mean", "max", "truncate", "skip", "float32", "bfloat16", "kind"),
    *("WordLevel", "BPE", "Unigram", "</s>", "<unk>", "vocab", "merges", "model", "<u2", "<u4"),
    *("F32", "F64", "I64", "U8", "BF16", "F4", "F8_E8M0", "I32", "BOOL", "C64", "__metadata__"),
    *("epoch-0001", "step-00000001", "epoch-0002", "model.safetensors", "0" * 64, "f" * 64),
)


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


VALUES: tuple[Any, ...] = (
    *(None, True, False, [], {}, [0], [None] * 3, {"": 0}, {"kind": "word"}, {"kind": []}),
    *(_nested(20), _nested(150), list(range(2000)), {str(i): i for i in range(1500)}),
    *(float("inf"), float("nan")),
    *NUMBERS,
    *STRINGS,
)


class Choices:
    """A sequence of choices determined by bytes."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def below(self, count: int) -> int:
        """Returns a number from 0 to count - 1."""
        size = max(1, ((count - 1).bit_length() + 7) // 8)
        part = self._data[self._place : self._place + size]
        self._place += size
        return int.from_bytes(part, "little") % count

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def one_in(self, count: int) -> bool:
        """Returns True for one in `count` inputs."""
        return self.below(count) == count - 1

    def several(self, most: int) -> range:
        """Returns a range of 1 to `most` iterations; usually one."""
        return range(self.pick((1, 1, 1, 1 + self.below(most))))

    def rest(self) -> bytes:
        return self._data[self._place :]


def mutated_bytes(choices: Choices, content: bytes) -> bytes:
    """Changes a few bits, bytes or numbers of a file, or removes, repeats or moves parts of it."""
    found = bytearray(content)
    for _ in choices.several(4):
        start = choices.below(len(found) + 1)
        length = choices.pick((1, 2, 4, 8, 40, 4000))
        match choices.below(8):
            case 0:
                found[start : start + 1] = bytes([choices.below(256)])
            case 1:
                del found[start:]
            case 2:
                del found[start : start + length]
            case 3:
                found[start:start] = found[start : start + length]
            case 4:
                number = int(choices.pick(NUMBERS[:70])) % 2**64
                size = choices.pick((1, 2, 4, 8))
                found[start : start + size] = (number % 2 ** (8 * size)).to_bytes(size, "little")
            case 5:
                end = choices.below(len(found) + 1)
                found[start:start] = found[end : end + length]
            case 6:
                found[start:start] = choices.pick(
                    (b"\0", b"\xff", b"\n", b'"', b"\x80\x04", b"PK")
                )
            case _:
                if start < len(found):
                    found[start] ^= 1 << choices.below(8)
    return bytes(found)


def mutated_text(choices: Choices, text: str) -> str:
    """Inserts unusual strings into a text, and removes parts of it."""
    for _ in choices.several(3):
        start = choices.below(len(text) + 1)
        length = choices.pick((0, 1, 5, 50))
        text = text[:start] + choices.pick(STRINGS) + text[start + length :]
    return text


def mutated_json(choices: Choices, document: Any) -> Any:  # noqa: ANN401  # any JSON
    """Changes, renames, adds or removes some fields of a JSON document."""
    document = _copied(document)
    for _ in choices.several(3):
        if not (isinstance(document, dict | list) and document):
            return _copied(choices.pick(VALUES))
        holder, key = _place(choices, document)
        match choices.below(10):
            case 0:
                holder[key] = _copied(choices.pick(VALUES))
            case 1 | 2 | 3:  # the same type, to pass type checks
                like: Sequence[Any] = STRINGS if isinstance(holder[key], str) else NUMBERS
                holder[key] = choices.pick(like)
            case 4:
                del holder[key]
            case 5 if isinstance(holder, dict):
                holder[choices.pick(STRINGS)] = holder.pop(key)
            case 6 if isinstance(holder, dict):
                holder[choices.pick(STRINGS)] = _copied(choices.pick(VALUES))
            case 7:
                other, name = _place(choices, document)
                holder[key] = _copied(other[name])
            case 8 if type(holder[key]) in (int, float) and abs(holder[key]) < 1e300:
                holder[key] = holder[key] + choices.pick((1, -1, 2, 0.5, 2**32, -(2**63)))
            case 9 if isinstance(holder[key], str):
                holder[key] = mutated_text(choices, holder[key])
            case _:
                holder[key] = [holder[key]]
    return document


def _place(choices: Choices, document: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Returns a random container in a document that is not empty, and one of its keys."""
    holder = document
    while True:
        key = choices.pick(list(holder) if isinstance(holder, dict) else range(len(holder)))
        inner = holder[key]
        if not (isinstance(inner, dict | list) and inner) or choices.below(4) == 3:
            return holder, key
        holder = inner


def _copied(value: Any) -> Any:  # noqa: ANN401
    return json.loads(json.dumps(value))
