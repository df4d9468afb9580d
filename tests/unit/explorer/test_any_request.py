"""Whatever a request contains, the answer is data or one sentence about what is wrong."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("starlette")

from mivae_cli.explorer.guard import App
from mivae_cli.explorer.server import application
from support.explored import PORT, TOKEN, ask, scene_explorer

NAMES = (
    *("sentence", "place", "point", "decode", "interpolate", "vary", "analogy", "sample"),
    *("search", "sentences"),
)
numbers = st.one_of(
    st.integers(-2, 70), st.integers(), st.floats(-3, 3), st.floats(allow_nan=False)
)
ends = st.one_of(
    st.fixed_dictionaries({"index": st.integers(-1, 61)}),
    st.fixed_dictionaries({"text": st.text(max_size=30)}),
    st.fixed_dictionaries({"x": numbers, "y": numbers}),
    st.fixed_dictionaries({"prior": st.booleans()}),
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=5,
)
texts = st.text(st.characters(codec="utf-8"), max_size=40)
FIELDS: dict[str, Any] = {
    **dict.fromkeys(
        ("index", "steps", "count", "limit", "seed", "sequence"), st.integers(-1, 110)
    ),
    **dict.fromkeys(("x", "y", "temperature", "spread"), numbers),
    **dict.fromkeys(("text", "query", "a", "b", "c", "page"), texts),
    **dict.fromkeys(("from", "to"), ends),
    "units": st.dictionaries(st.integers(-1, 6).map(str), numbers, max_size=4),
    "method": st.sampled_from(["slerp", "linear", "arc"]),
    "indices": st.lists(st.integers(-1, 61), max_size=5),
}
USUAL: dict[str, tuple[str, ...]] = {
    "sentence": ("index",),
    "place": ("text",),
    "point": ("x", "y", "sequence"),
    "decode": ("from", "units", "sequence"),
    "interpolate": ("from", "to", "steps", "method", "temperature"),
    "vary": ("from", "count", "spread", "temperature", "seed"),
    "analogy": ("a", "b", "c", "temperature"),
    "sample": ("count", "temperature", "seed"),
    "search": ("query", "limit"),
    "sentences": ("indices",),
}


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draws a request of one kind; sometimes a field is anything, missing or unknown."""
    name = draw(st.sampled_from(NAMES))
    body = {field: draw(FIELDS[field]) for field in USUAL[name]}
    if draw(st.integers(0, 3)) == 0:
        body[draw(st.sampled_from([*USUAL[name], "more"]))] = draw(anything)
    if draw(st.integers(0, 9)) == 0:
        body.pop(draw(st.sampled_from(USUAL[name])))
    return name, body


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    explorer = scene_explorer()
    yield application(explorer, PORT, TOKEN)
    explorer.close()


@given(request=bodies())
@settings(max_examples=100)
def test_any_request_has_an_answer(app: App, request: tuple[str, dict[str, Any]]) -> None:
    name, body = request
    reply = ask(app, f"/api/{name}", body)
    assert reply.status in (200, 422), (request, reply.body)
    found = json.loads(reply.body, parse_constant=pytest.fail)
    if reply.status == 422:
        assert list(found) == ["error"]
        assert "\n" not in found["error"]


@given(body=st.binary(max_size=60))
def test_any_bytes_have_an_answer(app: App, body: bytes) -> None:
    assert ask(app, "/api/search", body).status in (200, 422)
