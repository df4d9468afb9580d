"""The content of eval.json: one evaluation record per checkpoint and protocol.

A protocol is the number of importance samples and the seed; a language model has no samples, since
its likelihood is exact. The results of `eval --full` have their own protocol, so they are stored
separately, and joined with the records of their checkpoint when read. A new record replaces only
the record of the same checkpoint and protocol. Does not import torch.

A checksum shows that a record has not changed, not who wrote it. Types and sizes of its values are
therefore checked before a comparison computes with them.
"""

__all__ = ["SENTENCE_FILE", "EvaluationRecords", "Record", "checkpoint_of", "samples_of"]

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .. import limits

Record = Mapping[str, Any]

COUNTS = (
    "iw_samples",
    "active_units",
    "latent_units",
    "units_above",
    "sentences",
    "tokens",
    "seed",
)
FIGURES = ("elbo", "nll", "iw_nll", "ppl_elbo", "ppl_iw", "distortion", "rate", "effective_units",
           "kl_aggregated_prior")  # fmt: skip
GROUPS = ("mi", "text", "checkpoint", "full", "sentence_values")
# A plain name, so that a record never leads to a file outside its run
SENTENCE_FILE = re.compile(r"(epoch-\d{4,20}|step-\d{8,20})-[0-9a-f]{16}\.safetensors", re.ASCII)
CHECKSUM = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class EvaluationRecords:
    """The evaluation records of a run, oldest first."""

    records: tuple[Record, ...] = ()  # without their "full" results
    full: tuple[Record, ...] = ()  # {"checkpoint": ..., "full": ...}

    @classmethod
    def of(cls, body: Record) -> "EvaluationRecords":
        """Returns the records in the body of eval.json.

        Raises:
            ValueError: The body is not valid.
        """
        records, full = body.get("evaluations"), body.get("full", [])
        for found in (records, full):
            if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
                raise ValueError("'evaluations' or 'full' is not a list of records")
        for record in (*(records or ()), *full):
            _check_record(record)
        return cls(tuple(records or ()), tuple(full))

    def body(self) -> dict[str, Any]:
        """Returns the body of eval.json."""
        return {"evaluations": list(self.records), "full": list(self.full)}

    def with_record(self, record: Record) -> "EvaluationRecords":
        """Returns the records with one added; it replaces that of its checkpoint and protocol."""
        full = record.get("full")
        bare = record if full is None else {**record, "full": None}
        records = [each for each in self.records if _key(each) != _key(bare)]
        fulls = list(self.full)
        if full is not None:
            kept = {"checkpoint": bare.get("checkpoint"), "full": full}
            fulls = [each for each in fulls if _full_key(each) != _full_key(kept)] + [kept]
        return EvaluationRecords((*records, bare), tuple(fulls))._within_limits()

    def about(self, checkpoint: object) -> "EvaluationRecords":
        """Returns the records of a checkpoint by name, and old records that do not name one."""
        names = (checkpoint, None)
        return EvaluationRecords(
            tuple(each for each in self.records if checkpoint_of(each) in names),
            tuple(each for each in self.full if checkpoint_of(each) in names),
        )

    @property
    def sampled(self) -> set[int]:
        """The numbers of importance samples that occur in the records."""
        return {number for each in self.records if (number := samples_of(each)) is not None}

    def exactly(self, iw_samples: int, seed: int) -> Record | None:
        """Returns the newest record of a protocol, or None."""
        for record in reversed(self.records):
            samples = samples_of(record)
            if samples is None or (samples, record.get("seed")) == (iw_samples, seed):
                return self._whole(record, seed)
        return None

    def best(self, iw_samples: int | None, seed: int) -> Record | None:
        """Returns the record nearest to a protocol, or None if there are no records.

        The number of samples counts first, with the largest as second choice, then the seed.
        """
        if not self.records:
            return None

        def preference(place: int) -> tuple[bool, int, bool, int]:
            record = self.records[place]
            samples = samples_of(record)
            return samples == iw_samples, samples or 0, record.get("seed") == seed, place

        return self._whole(self.records[max(range(len(self.records)), key=preference)], seed)

    def _whole(self, record: Record, seed: int) -> Record:
        """Returns a record joined with the "full" results of its checkpoint, if any."""
        name = checkpoint_of(record)
        found = [each.get("full") for each in self.full if checkpoint_of(each) == name]
        if not found:
            return record

        def preference(place: int) -> tuple[bool, int, int]:
            protocol = _mapping(_mapping(found[place]).get("protocol"))
            return protocol.get("seed") == seed, _count(protocol.get("samples")) or 0, place

        return {**record, "full": found[max(range(len(found)), key=preference)]}

    def _within_limits(self) -> "EvaluationRecords":
        """Drops records until the size limit holds: of other checkpoints first, oldest first."""
        kept = self
        while len(kept.records) > 1 and len(json.dumps(kept.body())) > limits.MAX_EVALUATION_BYTES:
            newest = checkpoint_of(kept.records[-1])
            others = (n for n, each in enumerate(kept.records) if checkpoint_of(each) != newest)
            place = next(others, 0)
            kept = replace(kept, records=kept.records[:place] + kept.records[place + 1 :])
        return kept


def checkpoint_of(record: Record) -> object:
    """Returns the name of a record's checkpoint, or None if the record has no name."""
    return _mapping(record.get("checkpoint")).get("name")


def samples_of(record: Record) -> int | None:
    """Returns the number of importance samples of a record; None for a language model."""
    return _count(record.get("iw_samples")) if record.get("latent_units") else None


def _key(record: Record) -> str:
    return json.dumps([record.get("checkpoint"), samples_of(record), record.get("seed")])


def _full_key(record: Record) -> str:
    return json.dumps([record.get("checkpoint"), _mapping(record.get("full")).get("protocol")])


def _mapping(value: object) -> Record:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _check_record(record: Record) -> None:
    """Raises ValueError, naming the key, if a value has the wrong type or is out of range.

    Missing and null values are accepted, and so are unknown keys with values in range.
    """
    for key in COUNTS:
        value = record.get(key)
        if value is not None and (
            type(value) is not int or not 0 <= value <= limits.MAX_RECORD_COUNT
        ):
            raise ValueError(f"'{key}' is not a count (a whole number, 0 or more)")
    for key in FIGURES:
        if not _is_figure(record.get(key)):
            raise ValueError(f"'{key}' is not a finite number")
    for key in GROUPS:
        if not isinstance(record.get(key), Mapping | None):
            raise ValueError(f"'{key}' is not an object")  # noqa: TRY004
    rates = record.get("rates")
    if rates is not None and not (isinstance(rates, list) and all(map(_is_figure, rates))):
        raise ValueError("'rates' is not a list of numbers")
    name = (record.get("checkpoint") or {}).get("name")
    if not isinstance(name, str | None):
        raise ValueError("'checkpoint.name' is not a string")  # noqa: TRY004
    if (values := record.get("sentence_values")) is not None:
        _check_sentence_file(values)
    _check_sizes(record, "", limits.MAX_RECORD_DEPTH)


def _check_sentence_file(entry: Record) -> None:
    """Raises ValueError unless an entry names a file of a run, with its size and checksum."""
    for key, pattern in (("file", SENTENCE_FILE), ("sha256", CHECKSUM)):
        value = entry.get(key)
        if not (isinstance(value, str) and pattern.fullmatch(value)):
            raise ValueError(f"'sentence_values.{key}' is not valid")
    size = entry.get("size")
    if type(size) is not int or size < 0:
        raise ValueError("'sentence_values.size' is not a count")


def _check_sizes(value: object, path: str, depth: int) -> None:
    """Raises ValueError for numbers out of range, and for objects nested too deeply."""
    if depth < 0:
        raise ValueError(f"'{path}' is nested too deeply")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_sizes(inner, f"{path}.{key}".lstrip(".")[:100], depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check_sizes(inner, path, depth - 1)
    elif isinstance(value, int | float) and not (isinstance(value, bool) or _is_figure(value)):
        raise ValueError(f"'{path}' is out of range")


def _is_figure(value: object) -> bool:
    """Returns whether a value is null or a number in range."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value is None
    whole = isinstance(value, int)
    return abs(value) <= (limits.MAX_RECORD_COUNT if whole else limits.MAX_RECORD_VALUE)
