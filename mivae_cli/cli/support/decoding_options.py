"""How the commands that decode latents choose words."""

__all__ = ["greedy_or_drawn"]

from ...errors import ConfigError
from ...generation.decoding import Decoding


def greedy_or_drawn(
    temperature: float | None, beam: int, no_repeat_ngram: int, repetition_penalty: float
) -> Decoding:
    """Returns beam search, or drawing at a temperature if one is given.

    Raises:
        ConfigError: Both a temperature and a beam are given, or a value is out of range.
    """
    if temperature is not None and beam > 1:
        raise ConfigError("--temperature and --beam exclude each other: remove one of them")
    return Decoding(
        temperature=1.0 if temperature is None else temperature,
        beam=beam if temperature is None else 0,
        no_repeat_ngram=no_repeat_ngram,
        repetition_penalty=repetition_penalty,
    )
