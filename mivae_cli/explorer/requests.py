"""Requests of the page: types and ranges of all fields; unknown fields are rejected.

JSON comes from a browser and is not trusted. Numbers are never converted from text, and NaN and
infinity are rejected.
"""

__all__ = [
    "AnalogyRequest",
    "DecodeRequest",
    "End",
    "IndexEnd",
    "InterpolateRequest",
    "PlaceEnd",
    "PlaceRequest",
    "PointRequest",
    "PriorEnd",
    "Request",
    "SampleRequest",
    "SearchRequest",
    "SentenceRequest",
    "SentencesRequest",
    "TextEnd",
    "VaryRequest",
    "explain_request",
]

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import cut
from ..limits import (
    MAX_EXPLORED,
    MAX_REQUEST_CHARACTERS,
    MAX_REQUEST_COORDINATE,
    MAX_REQUEST_INDICES,
    MAX_REQUEST_ROWS,
    MAX_REQUEST_SEED,
    MAX_REQUEST_SPREAD,
    MAX_REQUEST_STEPS,
    MAX_REQUEST_TEMPERATURE,
    MAX_REQUEST_UNITS,
)

Index = Annotated[int, Field(ge=0, lt=MAX_EXPLORED)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_REQUEST_CHARACTERS)]
Coordinate = Annotated[float, Field(ge=-MAX_REQUEST_COORDINATE, le=MAX_REQUEST_COORDINATE)]
Rows = Annotated[int, Field(ge=1, le=MAX_REQUEST_ROWS)]
Steps = Annotated[int, Field(ge=2, le=MAX_REQUEST_STEPS)]
Temperature = Annotated[float, Field(ge=0, le=MAX_REQUEST_TEMPERATURE)]
Spread = Annotated[float, Field(ge=0, le=MAX_REQUEST_SPREAD)]
Number = Annotated[int, Field(ge=0, le=MAX_REQUEST_SEED)]
Page = Annotated[str, Field(max_length=64)]


class Request(BaseModel):
    """Base of all requests."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class IndexEnd(Request):
    """A sentence of the corpus."""

    index: Index


class TextEnd(Request):
    """A sentence that the user typed."""

    text: Text


class PlaceEnd(Request):
    """A place on the map."""

    x: Coordinate
    y: Coordinate


class PriorEnd(Request):
    """The centre of the prior, z = 0."""

    prior: Literal[True]


End = IndexEnd | TextEnd | PlaceEnd | PriorEnd


class SentenceRequest(Request):
    """A sentence of the corpus, its reconstruction and its neighbours."""

    index: Index


class PlaceRequest(Request):
    """The place of a sentence that the user typed."""

    text: Text


class PointRequest(Request):
    """Live decoding of a place on the map."""

    x: Coordinate
    y: Coordinate
    sequence: Number
    page: Page = ""
    neighbours: bool = False


class DecodeRequest(Request):
    """Live decoding of a latent with some coordinates replaced, by unit from 1."""

    start: End = Field(alias="from")
    units: Annotated[dict[int, Coordinate], Field(max_length=MAX_REQUEST_UNITS)]
    sequence: Number = 0
    page: Page = ""


class InterpolateRequest(Request):
    """A path between two ends."""

    start: End = Field(alias="from")
    end: End = Field(alias="to")
    method: Literal["slerp", "linear"] = "slerp"
    steps: Steps = 9
    temperature: Temperature = 0.0
    seed: Number = 0


class VaryRequest(Request):
    """Variations of an end."""

    start: End = Field(alias="from")
    count: Rows = 8
    spread: Spread = 1.0
    temperature: Temperature = 0.0
    seed: Number = 0


class AnalogyRequest(Request):
    """What is to c as b is to a."""

    a: Text
    b: Text
    c: Text
    temperature: Temperature = 0.0
    seed: Number = 0


class SampleRequest(Request):
    """Samples from the prior."""

    count: Rows = 8
    temperature: Temperature = 0.0
    seed: Number = 0


class SearchRequest(Request):
    """Sentences that contain a text, in any case."""

    query: Text
    limit: Rows = 50


class SentencesRequest(Request):
    """Sentences chosen on the map."""

    indices: Annotated[list[Index], Field(max_length=MAX_REQUEST_INDICES)]


def explain_request(error: ValidationError) -> str:
    """Returns one sentence that names the first invalid field and what it must be."""
    detail = error.errors(include_url=False, include_input=False)[0]
    if detail["type"] == "json_invalid":
        return "The request is not valid JSON."
    ends = {IndexEnd.__name__, TextEnd.__name__, PlaceEnd.__name__, PriorEnd.__name__}
    location = [str(part) for part in detail["loc"]]
    name = cut(".".join(part for part in location if part not in {*ends, "[key]"}), 80)
    if ends & set(location):
        first = location[0]
        return (
            f"'{first}' must be a sentence, a place on the map, or the prior; check its numbers."
        )
    if detail["type"] == "extra_forbidden":
        return f"The field '{name}' does not exist; remove it."
    if detail["type"] == "missing":
        return f"The field '{name}' is missing."
    what = re.sub(r"^\w+ should", "must", detail["msg"]).replace(" after validation", "")
    what = what.partition(", unable to parse")[0]
    return f"'{name}' {what}." if name else f"The request {what}."
