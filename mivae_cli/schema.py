"""Base class and field types of configurations: frozen, without unknown keys, NaN or infinity."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from .limits import MAX_COUNT, MAX_NAME, MAX_TEXT, MAX_WEIGHT

Probability = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Factor = Annotated[float, Field(ge=0, le=MAX_WEIGHT)]
Epochs = Annotated[float, Field(ge=0, le=MAX_COUNT)]
Duration = Annotated[float, Field(gt=0, le=MAX_COUNT)]

NONE = "none"  # TOML has no null
OrNone = BeforeValidator(lambda value: None if value == NONE else value)


class Frozen(BaseModel):
    """Base of all configuration classes; the docstring of a field is its help text."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


def without_controls(text: str) -> str:
    """Returns a text; raises ValueError if it has control characters."""
    if not CONTROLS.isdisjoint(text):
        raise ValueError("control characters are not allowed")
    return text


CONTROLS = frozenset(map(chr, [*range(32), *range(127, 160)]))
Name = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(without_controls)]
Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(without_controls)]
