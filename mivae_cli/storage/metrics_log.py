"""The metrics log: an append-only file of JSON lines.

A checkpoint stores the size and checksum of the log at that time. Resuming truncates the log to
that size, because training repeats the later steps. Lines that cannot be written, for example on
a full disk, are kept in memory and written with later ones.

`read_metrics` returns the steps and validations of a log, also while training writes it. Figures
are in nats per sentence. A figure is None if the log does not have it: it was NaN or infinite, or
the version of mivae that wrote the log did not record it.
"""

__all__ = [
    "LoggedStep",
    "LoggedValidation",
    "Metrics",
    "MetricsLog",
    "check_prefix",
    "read_metrics",
]

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, ValidationError

from .. import limits
from ..errors import CheckpointError, cut
from .files import check_not_sparse, open_checked
from .manifest import Entry
from .ownership import open_own
from .sealed_json import json_value

Count = Annotated[int, Field(ge=0, le=limits.MAX_TRAINING_STEPS)]
Number = Annotated[float, Field(ge=-limits.MAX_RECORD_VALUE, le=limits.MAX_RECORD_VALUE)]

ShortText = Annotated[str, Field(max_length=limits.MAX_NAME)]
Rates = Annotated[tuple[Number, ...], Field(max_length=limits.MAX_LOGGED_RATES)]


@dataclass(frozen=True, slots=True)
class LoggedStep:
    """Means over the steps since the previous record (`training.events.Step`)."""

    step: Count
    epoch: Number  # finished epochs, including the fraction of the current one
    loss: Number | None = None
    distortion: Number | None = None
    rate: Number | None = None
    mi_bound: Number | None = None  # on training batches; None also without an MI term
    tokens_per_second: Number | None = None
    seconds_left: Number | None = None
    log_xi: Number | None = None  # of the dual bound, at this step
    multiplier: Number | None = None  # of a constrained rate (minimum-rate), at this step


@dataclass(frozen=True, slots=True)
class LoggedValidation:
    """Figures of the validation split after an epoch (`training.events.Validation`)."""

    step: Count
    epoch: Count
    loss: Number | None = None
    elbo: Number | None = None
    distortion: Number | None = None
    rate: Number | None = None
    mi: Number | None = None  # from the known posteriors
    mi_ceiling: Number | None = None
    active_units: Count | None = None
    units_above: Count | None = None
    effective_units: Number | None = None
    learning_rate: Number | None = None
    best: bool = False
    collapsed: bool = False
    stopped: bool = False  # training ended with this epoch
    seconds: Number | None = None  # of training, since its start
    encoder_steps: Number | None = None  # encoder-only steps per decoder step
    mi_dual: Number | None = None  # dual bound of the training critic; None without one
    rates: Rates | None = None  # mean rate of each latent unit; None for more than 256 units
    device: ShortText | None = None  # that trained the epoch's last step
    time: ShortText | None = None  # of the validation: UTC, ISO 8601


@dataclass(frozen=True, slots=True)
class Metrics:
    """The records of a metrics log, in the order of training."""

    steps: tuple[LoggedStep, ...] = ()
    validations: tuple[LoggedValidation, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    kind: str


LINE = TypeAdapter(_Line)
STEP, VALIDATION = TypeAdapter(LoggedStep), TypeAdapter(LoggedValidation)


def read_metrics(path: Path) -> Metrics:
    """Returns the steps and validations of a metrics log.

    Unknown kinds of records and unknown keys are skipped, and so is a last line without a line
    ending, which training may just be writing.

    Raises:
        CheckpointError: The file is missing, cannot be read, is too large, or a line is damaged;
            the message gives the number of the line.
    """
    steps, validations = list[LoggedStep](), list[LoggedValidation]()
    with open_checked(path, limits.MAX_METRICS_BYTES) as file:
        check_not_sparse(file, path)
        number, limit = 0, limits.MAX_METRICS_LINE
        while (line := file.readline(limit + 1)).endswith(b"\n"):
            number += 1
            try:
                kind = LINE.validate_json(line, strict=True).kind
                if kind == "step":
                    steps.append(STEP.validate_json(line, strict=True))
                elif kind == "validation":
                    validations.append(VALIDATION.validate_json(line, strict=True))
            except ValidationError as error:
                found = error.errors(include_url=False, include_input=False)[0]
                what = ".".join(map(str, found["loc"]))
                raise CheckpointError(
                    f"'{path}' is damaged: line {number:,}: {what}{': ' * bool(what)}{cut(found['msg'], 100)}"
                ) from error
            if len(steps) + len(validations) > limits.MAX_METRICS_RECORDS:
                raise CheckpointError(
                    f"'{path}' has more than {limits.MAX_METRICS_RECORDS:,} records"
                )
        if len(line) > limit:
            raise CheckpointError(
                f"'{path}' is damaged: line {number + 1:,} has more than {limit:,} bytes"
            )
    return Metrics(tuple(steps), tuple(validations))


class MetricsLog:
    """Writes a metrics log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._waiting = b""

    @classmethod
    def resume(cls, path: Path, prefix: Entry) -> Self:
        """Continues a log after a prefix; the next write removes the lines after it.

        Raises:
            CheckpointError: The file does not start with this prefix.
        """
        log = cls(path)
        log._digest = check_prefix(path, prefix)
        log.size = prefix.size
        return log

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a line; NaN and infinite numbers become null."""
        self._waiting += (json.dumps(json_value(dict(record))) + "\n").encode()
        self.flush()

    def flush(self) -> None:
        """Writes the waiting lines; keeps them if the disk is full or the file is a link."""
        if not self._waiting:
            return
        try:
            descriptor = open_own(self.path)
        except (OSError, CheckpointError):
            return
        try:
            if os.fstat(descriptor).st_size < self.size:  # it was truncated by another program
                self.size, self._digest = 0, hashlib.sha256()
            os.ftruncate(descriptor, self.size)  # remove a partial line left by a full disk
            done = 0
            while done < len(self._waiting):
                done += os.pwrite(descriptor, self._waiting[done:], self.size + done)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, self.size)
            return
        finally:
            os.close(descriptor)
        self._digest.update(self._waiting)
        self.size += len(self._waiting)
        self._waiting = b""

    @property
    def entry(self) -> Entry:
        """The size and checksum of the log, to be stored in a checkpoint."""
        return Entry(size=self.size, sha256=self._digest.hexdigest())


def check_prefix(path: Path, prefix: Entry) -> "hashlib._Hash":
    """Returns the SHA-256 state of a log's prefix; raises CheckpointError if it does not match."""
    digest, left = hashlib.sha256(), prefix.size
    with open_checked(path) as file:
        check_not_sparse(file, path)
        while left and (chunk := file.read(min(left, 2**20))):
            digest.update(chunk)
            left -= len(chunk)
    if left or digest.hexdigest() != prefix.sha256:
        raise CheckpointError(f"'{path}' is damaged: it does not match the checkpoint")
    return digest
