"""How commands that write one sentence per latent choose its words."""

__all__ = ["likeliest_or_drawn"]

from ...errors import ConfigError
from ...generation.decoding import Decoding


def likeliest_or_drawn(
    temperature: float | None,
    beam: int,
    max_tokens: int,
    no_repeat_ngram: int,
    repetition_penalty: float,
) -> Decoding:
    """Returns how words are drawn at a temperature or, without one, found by beam search.

    Raises:
        ConfigError: Both are asked for, or a setting is out of its range.
    """
    if temperature is not None and beam > 1:
        raise ConfigError(
            "--beam writes the likeliest sentence, --temperature draws one: leave out one of them"
        )
    return Decoding(
        temperature=1.0 if temperature is None else temperature,
        beam=beam if temperature is None else 0,
        max_tokens=max_tokens,
        no_repeat_ngram=no_repeat_ngram,
        repetition_penalty=repetition_penalty,
    )
