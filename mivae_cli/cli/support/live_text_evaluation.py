"""Shows an evaluation in full while it goes on."""

__all__ = ["measured_in_full"]

from collections.abc import Generator
from contextlib import closing

from ...evaluation.text_record import Full
from ...signals import Interruption
from ...stages import Stage
from .live_stages import stages


def measured_in_full(passes: Generator[Stage | Full], interruption: Interruption) -> Full:
    """Says what an evaluation in full is at, and returns its record.

    A signal breaks it off at once, and what lies in temporary directories is removed.

    Arguments:
        passes: What `full.measure` gives.
        interruption: Of what it is a part, and listening.
    """
    with interruption.breakable(), closing(passes), stages() as show:
        for record in passes:
            if isinstance(record, Full):
                return record
            show(record)
    raise AssertionError("the passes end with their record")
